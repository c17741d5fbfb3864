//! `attest override`.

use runstone_api::client::Method;
use serde_json::Value;

use crate::commands::attesting::{
    ATTACHMENTS, Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, check,
    check_arguments, explained, url,
};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("reason", "Why it is overridden.").required(),
    Flag::text(
        "original-attestation-type",
        "The type of the attestation that is overridden.",
    )
    .required(),
    Flag::bool(
        "new-compliance-status",
        "Whether it counts as compliant from now on.",
    ),
    // Accepted as by the published client, which has no place for it in the request.
    ATTACHMENTS.hidden(),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "override"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Override the compliance of an earlier attestation.",
    details: DETAILS,
    flags: &[FLAGS, PLACE, OF_COMMIT, MORE, REPO, OF_ARTIFACT, DRY_RUN],
    hidden: true,
    check_first: check_arguments,
    check: |context| {
        if !context.values.is_given("new-compliance-status") {
            anyhow::bail!("required flag(s) \"new-compliance-status\" not set");
        }
        check(context, |_| Ok(()))
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut attestation = Attestation::begin(context)?;
    attestation.set("reason", values.text("reason"));
    attestation.set(
        "new_compliance_status",
        values.bool("new-compliance-status"),
    );
    attestation.set(
        "original_attestation_type",
        values.text("original-attestation-type"),
    );
    let body = Value::Object(attestation.json);
    let sent = context
        .write(Method::POST, url(context, "override"), &body)
        .map_err(explained)?;
    if sent.is_some() {
        context.say(format_args!(
            "attestation '{}' has been overridden in trail: {}",
            attestation.slot,
            values.text("trail")
        ));
    }
    Ok(())
}
