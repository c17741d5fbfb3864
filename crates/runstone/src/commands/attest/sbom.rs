//! `attest sbom`.

use serde_json::{Map, Value};

use crate::commands::attesting::{
    ATTACHMENTS, Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, check,
    check_arguments,
};
use crate::context::Context;
use crate::evidence::sbom;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

/// Annotations that are made of the file.
const OWN_ANNOTATIONS: [&str; 2] = ["sbom_format", "sbom_sha256"];

const FLAGS: &[Flag] = &[
    Flag::text(
        "sbom-file",
        "The file: CycloneDX in JSON or XML, SPDX in JSON or tag-value form.",
    )
    .required(),
    // Refused with a reason.
    ATTACHMENTS.hidden(),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "sbom"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the bill of materials of an artifact.",
    details: DETAILS,
    flags: &[FLAGS, PLACE, OF_COMMIT, MORE, REPO, OF_ARTIFACT, DRY_RUN],
    check_first: check_arguments,
    check: |context| check(context, check_flags),
    run,
    ..Command::DEFAULT
};

fn check_flags(context: &Context) -> anyhow::Result<()> {
    if context.values.is_given("attachments") {
        anyhow::bail!(
            "--attachments cannot be used with attest sbom: the SBOM file is the only attachment, and a second one would be compressed"
        );
    }
    for (key, _) in context.values.map("annotate") {
        if OWN_ANNOTATIONS.contains(&key) {
            anyhow::bail!(
                "annotation key '{key}' is set by this command from the SBOM file and cannot be provided with --annotate"
            );
        }
    }
    Ok(())
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let mut attestation = Attestation::begin(context)?;
    let path = context.values.text("sbom-file");
    let summary = sbom::read_file(path)?;
    let mut annotations = match attestation.json.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        _ => Map::new(),
    };
    annotations.insert("sbom_format".into(), summary.format.as_str().into());
    annotations.insert(
        "sbom_sha256".into(),
        summary.original_fingerprint.as_str().into(),
    );
    annotations.sort_keys();
    attestation.set("annotations", annotations);
    attestation.set("type_name", "sbom");
    attestation.set("attestation_data", serde_json::to_value(&summary)?);
    attestation.attachments = vec![path.to_owned()];
    attestation.send(context, "system", "sbom").map(drop)
}
