//! Integration tests of the store: the same behaviour on SQLite and, where its address is given
//! in `RUNSTONE_TEST_POSTGRES_URL`, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod behaviour;
mod crash;
mod faults;
mod history;
mod rebuild;
mod servers;
mod stories;
mod support;
