//! Integration tests: published vectors, error texts, a slow second opinion, the real client.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
#![expect(
    clippy::disallowed_methods,
    reason = "the environment says which real systems a test may use"
)]
#![expect(
    clippy::print_stderr,
    reason = "a test that is left out says so where the person who runs it sees it"
)]

mod client;
#[cfg(feature = "oci")]
mod credentials;
mod directories;
mod errors;
#[cfg(feature = "oci")]
mod registry;
mod tree;
