//! The program as a process: whole outputs against a server that gives fixed answers, and servers of
//! our own with everything around them.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod admin;
mod dev;
mod differential;
mod environment;
mod postgres;
mod running;
mod scenarios;
mod serve;
mod transcripts;
mod uploads;
mod verify;
