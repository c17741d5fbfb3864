//! Starts the benchmarks. What they are and how they are read: `docs/benchmarks.md`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// Builds and runs the benchmarks with the given arguments. The short form is built without optimisation: it judges
/// nothing, and the lint and test stages have built most of it already.
pub fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["run", "--quiet"]);
    if !arguments.contains(&"--short") {
        command.arg("--release");
    }
    let status = command
        .args(["--package", "runstone-bench", "--"])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the benchmarks failed");
    }
    Ok(())
}
