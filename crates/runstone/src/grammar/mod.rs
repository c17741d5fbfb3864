//! The command line as `cli.md` section 1 defines it: which commands and flags exist, how words
//! become values, and what is said when they do not.
//!
//! A command is one [`command::Command`] value; its flags are [`flag::Flag`] values. The same
//! values feed our scanner, clap's help and clap's completion, so that a flag is written once.
//! clap's own parser is not used: the contract follows another parser down to the order of its
//! checks and the words of its complaints, which clap cannot be taught. This layer decides nothing
//! about servers and prints nothing.

pub mod command;
pub mod flag;
pub mod help;
pub mod scan;
pub mod sources;
pub mod spell;
pub mod values;
pub mod when;
