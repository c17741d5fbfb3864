//! `snapshot path`.

use jiff::Timestamp;

use crate::commands::paths::{Spec, Watch, artifacts, watch};
use crate::commands::reporting;
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
    let environment = context.argument(0);
    reporting::ensure_environment(context, environment, "server")?;
    let specs = [Spec {
        name: context.values.text("name").to_owned(),
        path: context.values.text("path").to_owned(),
        exclude: context.values.list("exclude").to_vec(),
    }];
    report(context, &specs, context.times().now)?;
    if context.values.bool("watch") {
        watch(context, &specs, |moment| report(context, &specs, moment))?;
    }
    Ok(())
}

/// Fingerprints what `specs` name and sends the report.
pub fn report(context: &Context, specs: &[Spec], observed: Timestamp) -> anyhow::Result<Watch> {
    let environment = context.argument(0);
    let artifacts = artifacts(context, specs)?;
    if reporting::send(context, environment, "server", &artifacts, observed)? {
        context.say(format_args!(
            "[{}] artifacts were reported to environment {environment}",
            artifacts.len()
        ));
    }
    Ok(Watch::On)
}
