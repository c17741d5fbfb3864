//! `attest custom`.

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments, read_json,
};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("type", "The name of the attestation type.").required(),
    Flag::text(
        "attestation-data",
        "A JSON file with the data, which the type's schema and rules judge.",
    )
    .required(),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "custom"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State something of a type of your own about a trail or an artifact.",
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
    let kind = context.values.text("type");
    let data = read_json(context.values.text("attestation-data"))
        .map_err(|error| anyhow::anyhow!("failed to load attestation data. {error}"))?;
    attestation.set("type_name", kind);
    attestation.set("attestation_data", data);
    attestation
        .send(context, "custom", &format!("custom:{kind}"))
        .map(drop)
}
