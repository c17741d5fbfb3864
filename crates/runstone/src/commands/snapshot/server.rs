//! `snapshot server`.

use runstone_collect::runtime::paths::{ServerOptions, server};

use crate::commands::reporting;
use crate::commands::snapshot::path::report;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, E, EXCLUDE, Flag};

const FLAGS: &[Flag] = &[
    Flag::list("paths", "The paths and globs of the artifacts.").short('p'),
    EXCLUDE,
    E,
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
    let options = ServerOptions {
        paths: context.values.list("paths").to_vec(),
        exclude: context.values.list("exclude").to_vec(),
    };
    report(context, server(&options)?, context.now())
}
