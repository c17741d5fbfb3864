//! `attest snyk`.

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments,
};
use crate::context::Context;
use crate::evidence::sarif;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text(
        "scan-results",
        "The file with the results in SARIF, of Snyk or of any other scanner.",
    )
    .short('R')
    .required(),
    Flag::bool(
        "upload-results",
        "[defaulted] Keep the file along with the attestation.",
    )
    .default("true"),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "snyk"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the results of a scan for vulnerabilities.",
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
    let values = &context.values;
    let mut attestation = Attestation::begin(context)?;
    let path = values.text("scan-results");
    let results = sarif::read_file(path).map_err(|error| {
        anyhow::anyhow!("failed to parse Snyk sarif results file [{path}]: {error}")
    })?;
    if values.bool("upload-results") {
        attestation.attachments.push(path.to_owned());
    }
    attestation.set("snyk_results", serde_json::to_value(&results)?);
    attestation.send(context, "snyk", "snyk").map(drop)
}
