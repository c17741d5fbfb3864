//! `archive attestation-type`.

use runstone_api::client::Method;
use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["archive", "attestation-type"],
    usage: "TYPE-NAME",
    arguments: Arguments::Exactly(1),
    about: "Archive an attestation type.",
    flags: &[DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let name = context.argument(0);
    let segments = ["custom-attestation-types", context.org(), name, "archive"];
    let url = context.api(&segments, &[]);
    if context.write(Method::PUT, url, &Value::Null)?.is_some() {
        context.say(format_args!("Custom attestation type {name} was archived"));
    }
    Ok(())
}
