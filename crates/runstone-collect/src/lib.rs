//! Reads what runs in outside systems and returns it as values.
//!
//! Each collector knows one outside system and nothing of servers: the same collector serves one
//! report, a period, or an agent. What a person should be told on the way comes back as values
//! too ([`Notice`]).
//!
//! Must not: print, read environment variables, keep state outside its values. All input is in
//! option structs; with feature `clap` they can be read from a command line.

pub mod runtime;

use runstone_fingerprint::Fingerprint;

/// One thing that runs, or lies ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name: an image, a path, or what the person called it.
    pub name: String,
    /// What it is; absent where the outside system does not know.
    pub fingerprint: Option<Fingerprint>,
    /// When it was created there, Unix seconds.
    pub created_at: i64,
}

/// Something to tell a person besides the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Belongs to the ordinary output.
    Note(String),
    /// Belongs to the warnings.
    Warning(String),
}
