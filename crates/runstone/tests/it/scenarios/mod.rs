//! Scenarios of a demanding user, from end to end, with the real published client where
//! `RUNSTONE_TEST_KOSLI` names it and a real Docker engine where `RUNSTONE_TEST_DOCKER_HOST` does.

mod cloud;
mod concurrency;
mod definitions;
mod docker;
mod flows;
mod legacy;
mod provenance;
mod runs;
mod story;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::running::{Place, Running, failed, succeeded};

/// What the test run says of its surroundings.
#[expect(
    clippy::disallowed_methods,
    reason = "the test run says by variables what there is to test with"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The published client, if there is one to test with.
fn published() -> Option<PathBuf> {
    variable("RUNSTONE_TEST_KOSLI").map(PathBuf::from)
}

/// The published client against a server.
struct Published<'a> {
    place: &'a Place,
    running: &'a Running,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

impl<'a> Published<'a> {
    fn new(place: &'a Place, running: &'a Running, program: PathBuf) -> Self {
        Self {
            place,
            running,
            program,
            variables: Vec::new(),
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.running.published(self.place, &self.program);
        command
            .args(line.split_whitespace())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a line that must succeed.
    fn ok(&self, line: &str) -> String {
        named_on_failure(line, || succeeded(&self.command(line).output().unwrap()))
    }

    /// Runs a line that must fail.
    fn fails(&self, line: &str) -> String {
        named_on_failure(line, || failed(&self.command(line).output().unwrap()))
    }

    /// Runs a line that prints JSON.
    fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} --output json"));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{line}: {text}"))
    }
}

/// Names the line in a panic that its run raises.
fn named_on_failure<T>(line: &str, run: impl FnOnce() -> T) -> T {
    struct Named<'a>(&'a str);
    impl Drop for Named<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                // The test's own output, shown when it fails.
                std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("in: kosli {}\n", self.0).as_bytes(),
                )
                .unwrap_or_default();
            }
        }
    }
    let _named = Named(line);
    run()
}
