//! Tests of the server through its router, on SQLite always and on PostgreSQL where
//! `RUNSTONE_TEST_POSTGRES_URL` names a server.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod attestation_types;
mod audit;
mod controls;
mod endpoints;
mod evidence;
mod flows;
mod history;
mod journal;
mod known;
mod legacy;
mod limits;
mod malformed;
mod matrix;
mod messages;
mod observation;
mod provenance;
mod provisioning;
mod races;
mod runs;
mod scenarios;
mod serving;
mod support;
