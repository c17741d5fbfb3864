//! `admin rotate-key`.

use runstone_server::admin_socket::{RotateAnswer, RotateRequest};
use serde_json::json;

use super::{ask, check_output, existing, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "rotate-key"],
    usage: "ORGANIZATION",
    arguments: Arguments::Exactly(1),
    about: "Bring a new signing key of a log into use; the old one signs along for 30 days.",
    details: "_server is the server's own log.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let organization = match context.argument(0) {
        "_server" => String::new(),
        name => name.to_owned(),
    };
    let asked = RotateRequest { organization };
    let rotated: RotateAnswer = ask(options, "rotate-key", asked, async |store, asked| {
        Ok(store.rotate_key(&asked.organization).await?.into())
    })?;
    tell(
        context,
        &format!(
            "a new key signs the log of {} from now on",
            context.argument(0)
        ),
        &json!(rotated),
    )
}
