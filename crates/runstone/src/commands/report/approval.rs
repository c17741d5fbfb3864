//! `report approval`, which scripts older than trails use.

use serde_json::json;

use crate::commands::approving::{FLAGS, check, create};
use crate::commands::attesting::{OF_ARTIFACT, USAGE};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const APPROVER: &[Flag] = &[Flag::text("approver", "[optional] Who approved.")];

/// The command.
pub static COMMAND: Command = Command {
    path: &["report", "approval"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Report the approval of an artifact.",
    flags: &[APPROVER, FLAGS, OF_ARTIFACT, DRY_RUN],
    check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let approver = match values.text("approver") {
        "" => "External",
        approver => approver,
    };
    let review = json!({
        "state": "APPROVED",
        "comment": values.text("description"),
        "approved_by": approver,
        "approval_url": "undefined",
    });
    if let Some(fingerprint) = create(context, vec![review])? {
        context.say(format_args!("approval created for artifact: {fingerprint}"));
    }
    Ok(())
}
