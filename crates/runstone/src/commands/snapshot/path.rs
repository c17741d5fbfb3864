//! `snapshot path`.

use std::path::Path;

use jiff::Timestamp;
use runstone_collect::runtime::paths::{Found, PathOptions, path};

use crate::commands::reporting;
use crate::commands::watch::watch;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, EXCLUDE, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("path", "The path of the artifact.").required(),
    Flag::text("name", "The name it is reported under.").required(),
    EXCLUDE,
    Flag::bool(
        "watch",
        "[optional] Report again whenever something below the path changes.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "path"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report one file or directory.",
    flags: &[FLAGS, DRY_RUN],
    check: reporting::check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    reporting::ensure_environment(context, context.argument(0), "server")?;
    let options = PathOptions {
        path: context.values.text("path").into(),
        name: context.values.text("name").to_owned(),
        exclude: context.values.list("exclude").to_vec(),
    };
    let report = |observed| {
        tell_spec(context, &options.name, &options.path, &options.exclude);
        report(context, path(&options)?, observed)
    };
    report(context.now())?;
    if context.values.bool("watch") {
        watch(context, std::slice::from_ref(&options.path), report)?;
    }
    Ok(())
}

/// Tells what is fingerprinted.
pub fn tell_spec(context: &Context, name: &str, path: &Path, exclude: &[String]) {
    context.debug(format_args!(
        "fingerprinting artifact [{name}] with spec [ Include: {}, Exclude: [{}]]",
        path.display(),
        exclude.join(" ")
    ));
}

/// Sends what was found as a report of type `server`.
pub fn report(context: &Context, found: Found, observed: Timestamp) -> anyhow::Result<()> {
    let environment = context.argument(0);
    for artifact in &found.artifacts {
        if let Some(fingerprint) = artifact.fingerprint {
            context.debug(format_args!(
                "fingerprint for artifact [{}]: {fingerprint}",
                artifact.name
            ));
        }
    }
    reporting::tell(context, &found.notices);
    if reporting::send(context, environment, "server", &found.artifacts, observed)? {
        context.say(format_args!(
            "[{}] artifacts were reported to environment {environment}",
            found.artifacts.len()
        ));
    }
    Ok(())
}
