//! The chores of the repository, run as `cargo xtask COMMAND`.
//!
//! Owns no truth of the product: it checks the house and starts the tools that judge it. It must not become a
//! second build system; what cargo does by itself stays with cargo.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the terminal"
)]

mod bench;
mod ci;
mod junit;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  tidy   checks the walls between the crates and the manners of every file
  bench  runs the benchmarks of crates/runstone-bench; `cargo xtask bench --help` says more
  ci     the lint stage: formatting, tidy, clippy (the tests are `scripts/test`)
  junit  LOG XML: writes the results of tests in LOG, which `cargo test` printed, as JUnit XML";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["tidy"] => tidy::report(root()),
        ["bench", arguments @ ..] => bench::run(root(), arguments),
        ["ci"] => ci::run(root()),
        ["junit", log, xml] => junit::convert(Path::new(log), Path::new(xml)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository this program was built from.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate stands one level below the root")
}
