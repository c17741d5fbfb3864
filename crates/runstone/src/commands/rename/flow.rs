//! `rename flow`.

use runstone_api::client::Method;
use serde_json::json;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["rename", "flow"],
    usage: "OLD_NAME NEW_NAME",
    arguments: Arguments::Exactly(2),
    about: "Rename a flow.",
    flags: &[DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let (old, new) = (context.argument(0), context.argument(1));
    let url = context.api(&["flows", context.org(), old, "rename"], &[]);
    if context
        .write(Method::PUT, url, &json!({ "new_name": new }))?
        .is_some()
    {
        context.say(format_args!("flow {old} was renamed to {new}"));
    }
    Ok(())
}
