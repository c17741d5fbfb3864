//! Equality with the published client on random trees.
//!
//! Runs if `RUNSTONE_TEST_KOSLI` names the client's binary; `RUNSTONE_TEST_KOSLI_CASES` sets the
//! number of trees (default 60). Root names are plain here: for a root that is a link or has
//! pattern characters Runstone differs on purpose (`cli.md` 12, defects 8 and 9).

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runstone_fingerprint::{Options, directory};

use crate::tree::{any_tree, pattern, plant};

/// Standard output, or the message behind `Error: [<command>] `.
fn client(binary: &str, home: &Path, root: &Path, exclude: &[String]) -> Result<String, String> {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .args(["fingerprint", "--artifact-type", "dir"])
        .arg(root);
    for pattern in exclude {
        command.args(["--exclude", pattern]);
    }
    let output = command.output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // Warnings may stand before the error line.
    let error = text.rfind("Error: [").map_or(&text[..], |at| &text[at..]);
    Err(error
        .split_once("] ")
        .map_or(error, |(_, message)| message.trim())
        .to_owned())
}

#[test]
fn equal_to_the_published_client() {
    let Ok(binary) = std::env::var("RUNSTONE_TEST_KOSLI") else {
        eprintln!("left out: RUNSTONE_TEST_KOSLI does not name the published client");
        return;
    };
    let cases = std::env::var("RUNSTONE_TEST_KOSLI_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(60);
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let relative_root = prop::bool::weighted(0.3);
    runner
        .run(
            &(
                any_tree(),
                prop::collection::vec(pattern(), 0..3),
                relative_root,
            ),
            |(tree, exclude, relative)| {
                let place = tempfile::tempdir().unwrap();
                let root = place.path().join("root");
                plant(&root, &tree);
                let given = if relative { Path::new("root") } else { &root };
                let theirs = client(&binary, place.path(), given, &exclude);
                let options = Options {
                    exclude: &exclude,
                    ..Options::default()
                };
                let ours = if relative {
                    relative_directory(place.path(), &exclude)
                } else {
                    directory(&root, &options)
                        .map(|found| found.fingerprint.to_hex())
                        .map_err(|error| error.to_string())
                };
                prop_assert_eq!(ours, theirs, "{:?} {:?}", tree, exclude);
                Ok(())
            },
        )
        .unwrap();
}

/// A relative root needs a working directory of its own, hence a process of its own: this test
/// binary again, running only [`child`].
fn relative_directory(working: &Path, exclude: &[String]) -> Result<String, String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "client::child", "--nocapture", "--quiet"])
        .env("RUNSTONE_TEST_CHILD_EXCLUDE", exclude.join(","))
        .current_dir(working)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("child "))
        .unwrap_or_else(|| panic!("the child said nothing: {text}"));
    match line.split_once(' ') {
        Some(("ok", digits)) => Ok(digits.to_owned()),
        _ => Err(line
            .strip_prefix("error ")
            .unwrap_or(line)
            .replace('\u{1}', "\n")),
    }
}

/// Does nothing unless [`relative_directory`] started it.
#[test]
fn child() {
    let Ok(exclude) = std::env::var("RUNSTONE_TEST_CHILD_EXCLUDE") else {
        return;
    };
    let exclude: Vec<String> = exclude
        .split(',')
        .filter(|pattern| !pattern.is_empty())
        .map(str::to_owned)
        .collect();
    let options = Options {
        exclude: &exclude,
        ..Options::default()
    };
    match directory(Path::new("root"), &options) {
        Ok(found) => eprintln!("child ok {}", found.fingerprint),
        Err(error) => {
            // Names may contain line ends; the parent reads lines.
            eprintln!("child error {}", error.to_string().replace('\n', "\u{1}"));
        }
    }
}
