//! Keeps the house in order: what the compiler and clippy cannot see.
//!
//! [`walls`] reads the manifests, [`sources`] the text of every file. Both are functions from input to a list of
//! [`Problem`]s, so that the tests can show that each rule finds what it forbids.

mod sources;
mod walls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Something that must be mended before a change lands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A path below the root, or the name of a crate.
    place: String,
    /// Counted from 1; 0 where no line is meant.
    line: usize,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.what),
            line => write!(f, "{}:{line}: {}", self.place, self.what),
        }
    }
}

/// A text file: its path below the root, with `/`, and its contents.
#[derive(Debug, Clone)]
pub struct File {
    path: String,
    text: String,
}

/// Checks the repository and prints every problem; an error says how many there are.
pub fn report(root: &Path) -> anyhow::Result<()> {
    let problems = check(root)?;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("tidy found one problem"),
        count => bail!("tidy found {count} problems"),
    }
}

/// Every problem of the repository below `root`, sorted by place.
fn check(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let mut problems = walls::check(&metadata(root)?)?;
    problems.extend(sources::check(&files(root)?));
    problems.sort();
    Ok(problems)
}

/// What the manifests declare, as cargo understands them. Without dependencies of dependencies nothing is resolved,
/// so nothing is downloaded.
fn metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let output = Command::new("cargo")
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// Folders that hold what tools make, at any depth.
const NOT_SOURCES: [&str; 5] = [
    ".git",
    "target",
    "node_modules",
    "runstone-data",
    "__pycache__",
];

/// Every text file of the repository. Walks folders and does not ask git, so that a source archive is checked too.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let absolute = root.join(&folder);
        let entries = std::fs::read_dir(&absolute)
            .with_context(|| format!("cannot list {}", absolute.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let made_by_fuzzer =
                    folder == Path::new("fuzz") && (name == "corpus" || name == "artifacts");
                if !NOT_SOURCES.contains(&name.as_str()) && !made_by_fuzzer {
                    folders.push(path);
                }
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path())
                    .with_context(|| format!("cannot read {}", path.display()))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    let path = path.to_string_lossy().replace('\\', "/");
                    files.push(File { path, text });
                }
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let problems = check(crate::root()).unwrap();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            lines.is_empty(),
            "run `cargo xtask tidy`:\n{}",
            lines.join("\n")
        );
    }

    #[test]
    fn the_repository_is_seen() {
        let files = files(crate::root()).unwrap();
        for path in [
            "Cargo.toml",
            ".ci/run",
            "xtask/src/tidy/mod.rs",
            "crates/runstone/src/main.rs",
        ] {
            assert!(
                files.iter().any(|file| file.path == path),
                "{path} is not looked at"
            );
        }
        assert!(files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
