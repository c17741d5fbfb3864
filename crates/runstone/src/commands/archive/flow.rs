//! `archive flow`.

use runstone_api::client::Method;
use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["archive", "flow"],
    usage: "FLOW-NAME",
    arguments: Arguments::Exactly(1),
    about: "Archive a flow.",
    flags: &[DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let name = context.argument(0);
    let url = context.api(&["flows", context.org(), name, "archive"], &[]);
    if context.write(Method::PUT, url, &Value::Null)?.is_some() {
        context.say(format_args!("flow {name} was archived"));
    }
    Ok(())
}
