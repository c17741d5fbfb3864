//! The lint stage: everything that judges the source without running it.
//!
//! It must not hold a check of its own; each step is a command that a contributor can run alone.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

/// Runs each step in order and stops at the first that fails.
pub fn run(root: &Path) -> anyhow::Result<()> {
    cargo(root, &["fmt", "--all", "--check"])?;
    let began = Instant::now();
    crate::tidy::report(root)?;
    println!("== tidy: {} s", began.elapsed().as_secs());
    cargo(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    // Running the fuzz targets needs a nightly compiler; that they still fit the parsers does not.
    cargo(&root.join("fuzz"), &["check"])
}

fn cargo(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    println!("== {line}");
    let began = Instant::now();
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(folder)
        .status()
        .with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line} failed");
    }
    println!("== {line}: {} s", began.elapsed().as_secs());
    Ok(())
}
