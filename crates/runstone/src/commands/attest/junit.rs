//! `attest junit`.

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments,
};
use crate::context::Context;
use crate::evidence::junit;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text(
        "results-dir",
        "[defaulted] The directory in and below which the results lie, in files that end in .xml.",
    )
    .short('R')
    .default("."),
    Flag::bool(
        "upload-results",
        "[defaulted] Keep the files along with the attestation.",
    )
    .default("true"),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "junit"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the results of tests.",
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
    let results = junit::read_directory(values.text("results-dir"))?;
    if values.bool("upload-results") {
        attestation.attachments.extend(
            results
                .files
                .iter()
                .map(|path| path.to_string_lossy().into_owned()),
        );
    }
    attestation.set("junit_results", serde_json::to_value(&results.suites)?);
    attestation.send(context, "junit", "junit").map(drop)
}
