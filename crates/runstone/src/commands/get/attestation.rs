//! `get attestation`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::output::table::columns;
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[
    Flag::text("flow", "[conditional] The flow of the attestation.").short('f'),
    Flag::text("trail", "[conditional] The trail of the attestation.").short('t'),
    Flag::text(
        "fingerprint",
        "[conditional] The fingerprint of the attested artifact.",
    )
    .short('F'),
    Flag::text("attestation-id", "[conditional] The id of the attestation."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "attestation"],
    usage: "[ATTESTATION-NAME]",
    arguments: Arguments::AtMost(1),
    about: "Show attestations, by their name on a trail or artifact, or one by its id.",
    flags: &[FLAGS, OUTPUT],
    check,
    run,
    ..Command::DEFAULT
};

fn check(context: &Context) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    let named = !context.arguments.is_empty();
    match (named, given("attestation-id")) {
        (false, false) => {
            anyhow::bail!("one of ATTESTATION-NAME argument or --attestation-id flag is required")
        }
        (true, true) => {
            anyhow::bail!("--attestation-id cannot be used when ATTESTATION-NAME is provided")
        }
        (false, true) if ["flow", "trail", "fingerprint"].into_iter().any(given) => {
            anyhow::bail!(
                "--flow, --trail, and --fingerprint flags cannot be used with --attestation-id"
            )
        }
        (false, true) => Ok(()),
        (true, false) if !given("flow") => {
            anyhow::bail!("--flow is required when using ATTESTATION-NAME")
        }
        (true, false) => match (given("trail"), given("fingerprint")) {
            (true, true) => anyhow::bail!(
                "only one of --trail, --fingerprint is allowed when using ATTESTATION-NAME"
            ),
            (false, false) => anyhow::bail!(
                "at least one of --trail, --fingerprint is required when using ATTESTATION-NAME"
            ),
            _ => Ok(()),
        },
    }
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let id = values.text("attestation-id");
    let url = if id.is_empty() {
        let (flow, trail) = (values.text("flow"), values.text("trail"));
        let (kind, of) = if trail.is_empty() {
            ("artifact", values.text("fingerprint"))
        } else {
            ("trail", trail)
        };
        let name = context.argument(0);
        context.api(&["attestations", context.org(), flow, kind, of, name], &[])
    } else {
        let query = [("attestation_id", id.to_owned())];
        context.api(&["attestations", context.org()], &query)
    };
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let attestations = match answer {
        Value::Array(attestations) => attestations.as_slice(),
        answer => items(answer, "data"),
    };
    if attestations.is_empty() {
        return "No attestations found.\n".to_owned();
    }
    let entries: Vec<String> = attestations
        .iter()
        .map(|attestation| columns(&entry(context, attestation)))
        .collect();
    entries.join("\n")
}

fn entry(context: &Context, attestation: &Value) -> String {
    let times = context.times();
    let mut lines = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "{label}:\t{value}");
    };
    line("Name", &text(attestation, "attestation_name"));
    line("Type", &text(attestation, "attestation_type"));
    let compliant = field(attestation, "is_compliant") == &Value::Bool(true);
    line("Compliance", &compliant.to_string());
    line(
        "Created at",
        &times.long_value(field(attestation, "created_at")),
    );
    let fingerprint = text(attestation, "artifact_fingerprint");
    if !fingerprint.is_empty() {
        line("Artifact fingerprint", &fingerprint);
    }
    let commit = field(attestation, "git_commit_info");
    if !commit.is_null() {
        lines.push_str("Git Commit Info:\n");
        for (label, name) in [
            ("Sha1", "sha1"),
            ("Author", "author"),
            ("Branch", "branch"),
            ("Commit URL", "url"),
        ] {
            let _ = writeln!(lines, "    {label}:\t{}", text(commit, name));
        }
        let _ = writeln!(
            lines,
            "    Timestamp:\t{}",
            times.long_value(field(commit, "timestamp"))
        );
    }
    let url = text(attestation, "html_url");
    if !url.is_empty() {
        let _ = writeln!(lines, "Attestation URL:\t{url}");
    }
    lines
}
