//! `admin close-organization`.

use std::fmt::Write as _;

use runstone_server::admin_socket::{CloseAnswer, CloseRequest};
use serde_json::json;

use super::{ask, check_output, counted, existing, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::server;

const FLAGS: &[Flag] = &[Flag::text("reason", "Why; it stands in the server's log.").required()];

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "close-organization"],
    usage: "ORGANIZATION",
    arguments: Arguments::Exactly(1),
    about: "Close an organization for good: its keys end and what people wrote is erased.",
    details: "Nobody reads or writes it any more. Its log stays, so that what was signed stays provable ('admin export' writes it to a folder), and its name stays taken. There is no way back.",
    flags: &[server::STORE, FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let name = context.argument(0).to_owned();
    let asked = CloseRequest {
        organization: name.clone(),
        reason: context.values.text("reason").to_owned(),
    };
    let closed: CloseAnswer = ask(
        options,
        "close-organization",
        asked,
        async |store, asked| {
            let closed = store.close_organization(&asked.organization, &asked.reason);
            Ok(closed.await?.into())
        },
    )?;
    let erased = counted(closed.erased, "body was", "bodies were");
    let mut text = match (closed.was_closed, closed.erased) {
        (false, _) => format!("organization {name} is closed; {erased} erased"),
        (true, 0) => format!("organization {name} was closed already; there is nothing to do"),
        (true, _) => format!("organization {name} was closed already; {erased} still erased"),
    };
    if closed.kept > 0 {
        write!(
            text,
            "\n{} kept: an early version of Runstone wrote them together with what the log needs",
            counted(closed.kept, "body is", "bodies are")
        )?;
    }
    for left in &closed.pending {
        write!(text, "\nnot yet: {left}")?;
    }
    tell(context, &text, &json!(closed))
}
