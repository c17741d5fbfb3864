//! `unarchive control`.

use runstone_api::client::Method;
use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["unarchive", "control"],
    usage: "CONTROL-IDENTIFIER",
    arguments: Arguments::Exactly(1),
    about: "Take a control out of the archive.",
    flags: &[DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let identifier = context.argument(0);
    let url = context.api(&["controls", context.org(), identifier, "unarchive"], &[]);
    if context.write(Method::POST, url, &Value::Null)?.is_some() {
        context.say(format_args!("control {identifier} was unarchived"));
    }
    Ok(())
}
