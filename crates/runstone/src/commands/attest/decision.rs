//! `attest decision`.

use serde_json::json;

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments,
};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("control", "The identifier of the control.").required(),
    Flag::bool("compliant", "Whether the control is satisfied.").short('C'),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "decision"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Record the outcome of a control.",
    details: DETAILS,
    flags: &[
        FLAGS,
        PLACE,
        OF_COMMIT,
        MORE,
        WITH_ATTACHMENTS,
        REPO,
        OF_ARTIFACT,
        DRY_RUN,
    ],
    check_first: check_arguments,
    check: |context| {
        // Nobody decides by saying nothing.
        if !context.values.is_given("compliant") {
            anyhow::bail!("required flag(s) \"compliant\" not set");
        }
        check(context, |_| Ok(()))
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let mut attestation = Attestation::begin(context)?;
    attestation.set("type_name", "decision");
    attestation.set("control", context.values.text("control"));
    attestation.set(
        "attestation_data",
        json!({ "is_compliant": context.values.bool("compliant") }),
    );
    attestation.send(context, "system", "decision").map(drop)
}
