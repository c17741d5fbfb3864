//! Integration tests of the store: the same behaviour on SQLite and, where its address is given
//! in `RUNSTONE_TEST_POSTGRES_URL`, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
#![expect(clippy::print_stdout, reason = "tests say what they leave out")]

mod backup;
mod behaviour;
mod crash;
mod epoch;
mod erase;
mod faults;
mod fsck;
mod guard;
mod history;
mod object_store;
mod rebuild;
mod servers;
mod stories;
mod support;
mod uploads;
