//! `request approval`, which scripts older than trails use.

use crate::commands::approving::{FLAGS, check, create};
use crate::commands::attesting::{OF_ARTIFACT, USAGE};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["request", "approval"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Ask for the approval of an artifact.",
    flags: &[FLAGS, OF_ARTIFACT, DRY_RUN],
    check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    if let Some(fingerprint) = create(context, Vec::new())? {
        context.say(format_args!(
            "approval request created for artifact: {fingerprint}"
        ));
    }
    Ok(())
}
