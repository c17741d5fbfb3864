//! `join environment`.

use runstone_api::client::Method;
use serde_json::json;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("physical", "The environment that is put into the other.").required(),
    Flag::text("logical", "The logical environment.").required(),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["join", "environment"],
    aliases: &["env"],
    arguments: Arguments::Zero,
    about: "Put an environment into a logical one.",
    flags: &[FLAGS, DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let physical = context.values.text("physical");
    let logical = context.values.text("logical");
    let url = context.api(&["environments", context.org(), logical, "join"], &[]);
    if context
        .write(Method::PUT, url, &json!({ "physical_env_name": physical }))?
        .is_some()
    {
        context.say(format_args!(
            "environment '{physical}' was joined to '{logical}'"
        ));
    }
    Ok(())
}
