//! `snapshot server`.

use std::collections::BTreeSet;

use crate::commands::paths::{Spec, matching};
use crate::commands::reporting;
use crate::commands::snapshot::path::report;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, E, EXCLUDE, Flag};

const FLAGS: &[Flag] = &[
    Flag::list("paths", "The paths and globs of the artifacts.").short('p'),
    EXCLUDE,
    Flag { short: None, ..E },
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "server"],
    aliases: &["directories"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report files and directories that globs match.",
    flags: &[FLAGS, DRY_RUN],
    check: |context| {
        reporting::check(context)?;
        if !context.values.is_given("paths") {
            anyhow::bail!("required flag \"paths\" not set");
        }
        Ok(())
    },
    deprecated: Some("use 'kosli snapshot paths' instead"),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    reporting::ensure_environment(context, context.argument(0), "server")?;
    let patterns = context.values.list("paths");
    let exclude = context.values.list("exclude");
    let mut paths = BTreeSet::new();
    for pattern in patterns {
        paths.extend(matching(pattern)?);
    }
    if paths.is_empty() {
        anyhow::bail!("no matches found for [{}]", patterns.join(" "));
    }
    let mut left_out = BTreeSet::new();
    for pattern in exclude {
        left_out.extend(matching(pattern)?);
    }
    if let Some(both) = paths
        .iter()
        .find(|path| left_out.contains(*path) && std::path::Path::new(path).is_file())
    {
        anyhow::bail!("path [{both}] is both included and excluded");
    }
    let specs: Vec<Spec> = paths
        .into_iter()
        .map(|path| Spec {
            name: path.clone(),
            path,
            exclude: exclude.to_vec(),
        })
        .collect();
    report(context, &specs, context.times().now)?;
    Ok(())
}
