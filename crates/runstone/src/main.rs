//! Runstone: server, command line and agent in one binary.
//!
//! This file only takes the words and the environment from the process; `run` does the rest.

mod clock;
mod commands;
mod config;
mod context;
mod evidence;
mod grammar;
mod output;
mod run;
mod server;

use std::process::ExitCode;

/// Decision 0012.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything makes a TLS connection; the other provider is not compiled in.
    let installed = rustls::crypto::ring::default_provider().install_default();
    debug_assert!(installed.is_ok(), "nothing ran before");
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = run::program_name(&words.next().unwrap_or_default());
    let words: Vec<String> = words.collect();
    run::run(context::Process::current(program), &words)
}
