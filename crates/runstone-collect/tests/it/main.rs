//! Integration tests of the collectors, against the real systems where those are there.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
#![expect(
    clippy::disallowed_methods,
    reason = "the environment says which real systems a test may use"
)]
#![expect(
    clippy::print_stderr,
    reason = "a test that is left out says so where the person who runs it sees it"
)]

mod docker;
mod docker_tls;
mod paths;
mod processes;
