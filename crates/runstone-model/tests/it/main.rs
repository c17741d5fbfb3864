//! Tests of the model through its public face.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod bodies;
mod decisions;
mod definitions;
mod events;
mod reports;
