//! Attestations: what was checked, of which kind, and what follows from it.
//!
//! Owns the kinds: what a report of each holds, when it is compliant and what of it is shown.
//! It must not know trails, templates or how a report reached the server.

pub mod kind;
