//! `assert artifact`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::commands::artifact::check_registry_flags;
use crate::commands::attesting::{
    FINGERPRINT, OF_ARTIFACT, USAGE, artifact_fingerprint, check_fingerprint, check_one_artifact,
};
use crate::context::{Context, parse, usage_error};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag, OUTPUT};
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[
    FINGERPRINT,
    Flag::text("flow", "[optional] Only as an artifact of this flow.").short('f'),
    Flag::text(
        "environment",
        "[optional] By the policies of this environment.",
    ),
    Flag::list("policy", "[optional] By these policies."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "artifact"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Exit with a code other than 0 unless an artifact is compliant.",
    details: "Without --environment and --policy the templates of its flows judge.",
    flags: &[FLAGS, OF_ARTIFACT, OUTPUT, DRY_RUN],
    groups: &[&["environment", "policy"]],
    check,
    run,
    ..Command::DEFAULT
};

fn check(context: &Context) -> anyhow::Result<()> {
    check_one_artifact(context)?;
    let given = |name: &str| context.values.is_given(name);
    if context.argument(0).is_empty() && !given("fingerprint") {
        return Err(usage_error(
            "docker image name or file/dir path is required when --fingerprint is not provided",
        ));
    }
    if !given("artifact-type") && !given("fingerprint") {
        return Err(usage_error(
            "either --artifact-type or --fingerprint must be specified",
        ));
    }
    check_fingerprint(context)?;
    check_registry_flags(context)
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let mut query = Vec::new();
    for (flag, key) in [("environment", "environment_name"), ("flow", "flow_name")] {
        let value = values.text(flag);
        if !value.is_empty() {
            query.push((key, value.to_owned()));
        }
    }
    for policy in values.list("policy") {
        query.push(("policy_name", policy.clone()));
    }
    let segments = ["asserts", context.org(), "fingerprint", &fingerprint];
    let body = context.get(context.api(&segments, &query))?;
    context.show(&body, |_, answer| table(answer))?;
    if field(&parse(&body)?, "compliant") != &Value::Bool(true) {
        anyhow::bail!("Artifact is not compliant");
    }
    Ok(())
}

fn table(answer: &Value) -> String {
    let mut out = if field(answer, "compliant") == &Value::Bool(true) {
        "COMPLIANT\n".to_owned()
    } else {
        "Error: NON-COMPLIANT\n".to_owned()
    };
    let scope = text(answer, "scope");
    if scope == "environment" {
        let _ = writeln!(out, "Environment: {}", text(answer, "environment"));
    }
    if matches!(scope.as_str(), "environment" | "policy") {
        let _ = writeln!(out, "{:<32} {:<30}", "Policy-name", "status");
        for policy in items(answer, "policy_evaluations") {
            let status = text(policy, "status");
            let _ = writeln!(out, "  {:<32} {status:<30}", text(policy, "policy_name"));
            if status != "COMPLIANT" {
                reasons(&mut out, policy);
            }
        }
        out.push('\n');
    }
    for flow in items(answer, "flows") {
        let _ = writeln!(out, "Flow: {}", text(flow, "flow"));
        let _ = writeln!(out, "  Trail: {}", text(flow, "trail"));
        let _ = writeln!(
            out,
            "  {:<32} {:<30} {:<15} {:<10}",
            "Attestation-name", "type", "status", "compliant"
        );
        for status in items(field(flow, "compliance_status"), "attestations_statuses") {
            let is = |name: &str| field(status, name) == &Value::Bool(true);
            let _ = writeln!(
                out,
                "    {:<32} {:<30} {:<15} {:<10} {:<10}",
                text(status, "attestation_name"),
                text(status, "attestation_type"),
                text(status, "status"),
                is("is_compliant").to_string(),
                if is("unexpected") { "unexpected" } else { "" }
            );
        }
        let _ = writeln!(out, "  See more details at {}", text(answer, "html_url"));
    }
    out
}

/// Why a policy is not satisfied, one line each.
fn reasons(out: &mut String, policy: &Value) {
    for rule in items(policy, "rule_evaluations") {
        let is = |name: &str| field(rule, name) == &Value::Bool(true);
        if is("ignored") || is("satisfied") {
            continue;
        }
        let definition = field(field(rule, "rule"), "definition");
        let (name, kind) = (text(definition, "name"), text(definition, "type"));
        for resolution in items(rule, "resolutions") {
            let control = text(field(resolution, "context"), "for_control");
            let reason = match (text(resolution, "type").as_str(), control.as_str()) {
                ("legacy_flow", _) => {
                    "artifact comes from a legacy flow and does not have the new attestations"
                        .to_owned()
                }
                ("missing_attestation", "") => format!(
                    "artifact is missing required '{name}' (type: {kind}) attestation in trail"
                ),
                ("missing_attestation", control) => {
                    format!("artifact is missing required {kind} for control '{control}'")
                }
                ("non_compliant_attestation", "") => {
                    format!("attestation '{name}' is non-compliant in trail")
                }
                ("non_compliant_attestation", control) => {
                    format!("decision for control '{control}' is non-compliant in trail")
                }
                ("non_compliant_in_trail", _) => "artifact is not compliant in trail".to_owned(),
                _ => continue,
            };
            let _ = writeln!(out, "    {reason}");
        }
    }
}
