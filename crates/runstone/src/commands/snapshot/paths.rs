//! `snapshot paths`.

use std::path::{Path, PathBuf};

use runstone_collect::runtime::paths::{paths, read_spec};

use crate::commands::reporting;
use crate::commands::snapshot::path::{report, tell_spec};
use crate::commands::watch::watch;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text(
        "paths-file",
        "The file that names the artifacts, in YAML, JSON or TOML.",
    )
    .required(),
    Flag::bool(
        "watch",
        "[optional] Report again whenever something below the paths changes.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "paths"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report files and directories that a file lists.",
    details: "The file holds for example:
  version: 1
  artifacts:
    web:
      path: dist/web
      exclude: [logs, \"**/*.tmp\"]
Paths are relative to the working directory.",
    flags: &[FLAGS, DRY_RUN],
    check: reporting::check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    reporting::ensure_environment(context, context.argument(0), "server")?;
    let spec = read_spec(Path::new(context.values.text("paths-file")))?;
    let report = |observed| {
        for (name, artifact) in &spec.artifacts {
            tell_spec(context, name, &artifact.path, &artifact.exclude);
        }
        report(context, paths(&spec)?, observed)
    };
    report(context.now())?;
    if context.values.bool("watch") {
        let watched: Vec<PathBuf> = spec
            .artifacts
            .values()
            .map(|artifact| artifact.path.clone())
            .collect();
        watch(context, &watched, report)?;
    }
    Ok(())
}
