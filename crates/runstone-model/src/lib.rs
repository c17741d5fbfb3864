//! What Runstone knows and how it decides: nouns, reports, snapshot states, differences,
//! expressions, events and the pure functions that decide a command on the facts given to it.
//!
//! This crate knows no clock, no randomness, no file, no network and no SQL. Time and ids are
//! arguments; facts arrive in a [`view::View`] and leave as values.

pub mod annotation;
pub mod attestation;
pub mod canonical;
pub mod command;
pub mod compliance;
pub mod control;
pub mod custom_type;
pub mod decide;
pub mod event;
pub mod evidence;
pub mod expression;
pub mod fact;
pub mod history;
pub mod id;
pub mod interval;
pub mod limit;
pub mod name;
pub mod project;
pub mod provenance;
pub mod read;
pub mod report;
pub mod role;
pub mod state;
pub mod template;
pub mod view;
