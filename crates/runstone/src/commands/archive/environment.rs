//! `archive environment`.

use runstone_api::client::Method;
use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["archive", "environment"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Archive an environment.",
    flags: &[DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let name = context.argument(0);
    let url = context.api(&["environments", context.org(), name, "archive"], &[]);
    if context.write(Method::PUT, url, &Value::Null)?.is_some() {
        context.say(format_args!("environment {name} was archived"));
    }
    Ok(())
}
