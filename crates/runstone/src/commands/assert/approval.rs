//! `assert approval`, which scripts older than trails use.

use crate::commands::approving::check_named;
use crate::commands::attesting::{FINGERPRINT, FLOW, OF_ARTIFACT, USAGE, artifact_fingerprint};
use crate::context::{Context, parse};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};
use crate::output::value::text;

const FLAGS: &[Flag] = &[FLOW, FINGERPRINT];

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "approval"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Exit with a code other than 0 unless an artifact is approved.",
    flags: &[FLAGS, OF_ARTIFACT, DRY_RUN],
    check: check_named,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let flow = context.values.text("flow");
    let segments = ["artifacts", context.org(), flow, &fingerprint, "approvals"];
    let approvals = parse(&context.get(context.api(&segments, &[]))?)?;
    // The last one counts, whatever went before.
    let Some(last) = approvals.as_array().and_then(|approvals| approvals.last()) else {
        anyhow::bail!("artifact with fingerprint {fingerprint} has no approvals created");
    };
    if text(last, "state") != "APPROVED" {
        anyhow::bail!("artifact with fingerprint {fingerprint} is not approved");
    }
    context.say(format_args!(
        "artifact with fingerprint {fingerprint} is approved (approval no. [{}])",
        text(last, "release_number")
    ));
    Ok(())
}
