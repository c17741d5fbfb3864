//! The command line as a process: whole outputs against a server that gives fixed answers.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod differential;
mod environment;
mod transcripts;
