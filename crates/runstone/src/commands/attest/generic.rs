//! `attest generic`.

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments,
};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[Flag::bool(
    "compliant",
    "[defaulted] Whether what is attested is as it should be.",
)
.short('C')
.default("true")];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "generic"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State anything about a trail or an artifact.",
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
    check: |context| check(context, |_| Ok(())),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let mut attestation = Attestation::begin(context)?;
    attestation.set("is_compliant", context.values.bool("compliant"));
    attestation.send(context, "generic", "generic").map(drop)
}
