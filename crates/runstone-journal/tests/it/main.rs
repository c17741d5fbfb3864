//! Tests of the journal formats from outside: published vectors, properties, foreign judges.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod bytes_in;
mod checkpoints;
mod foreign;
mod go_judge;
mod log;
mod merkle;
mod notes;
mod proofs;
mod tiles;
mod trust;
mod verify;
