//! The wire of Runstone: paths, request and response shapes with their members in the order in
//! which they are served, the error body and the shapes of paging. The HTTP client is behind the
//! feature `client`.
//!
//! Owns the spelling of what goes over the network. It must not know how a value is stored, how
//! it is decided or which HTTP library serves it.

pub mod artifact;
pub mod assertion;
pub mod attestation_type;
#[cfg(feature = "client")]
pub mod client;
pub mod control;
pub mod deployment;
pub mod diff;
pub mod environment;
pub mod error;
pub mod event;
pub mod flow;
pub mod journal;
pub mod legacy;
pub mod lookalike;
pub mod paging;
pub mod path;
pub mod repo;
pub mod report;
pub mod search;
pub mod snapshot;
pub mod tag;
pub mod timeline;
pub mod trail;

use runstone_model::id::Micros;

/// A point in time on the wire: Unix seconds with fraction.
pub type Seconds = f64;

/// The wire's form of an instant.
pub fn seconds(at: Micros) -> Seconds {
    at.to_seconds()
}

/// Body of a change that has nothing better to say.
pub const OK: &str = "OK";
