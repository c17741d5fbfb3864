//! `status`.

use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::Flag;

const FLAGS: &[Flag] = &[Flag::bool(
    "assert",
    "[optional] Exit with a code other than 0 if the server is not ready.",
)];

/// The command.
pub static COMMAND: Command = Command {
    path: &["status"],
    aliases: &["st"],
    about: "Show whether the server is ready.",
    flags: &[FLAGS],
    needs: Needs::Nothing,
    run: |context| report(context, context.values.bool("assert")),
    ..Command::DEFAULT
};

/// Prints what the server says. A server that is not ready is an error if `assert` is set.
pub fn report(context: &Context, assert: bool) -> anyhow::Result<()> {
    match context.get(context.url(&["ready"])) {
        Ok(body) => {
            context.say(String::from_utf8_lossy(&body));
            Ok(())
        }
        Err(_) if assert => anyhow::bail!(
            "{} server {} is unresponsive",
            context.program(),
            context.values.text("host")
        ),
        Err(_) => {
            let name = if context.is_compat() {
                "Kosli"
            } else {
                "Runstone"
            };
            context.say(format_args!("{name} is Down"));
            Ok(())
        }
    }
}
