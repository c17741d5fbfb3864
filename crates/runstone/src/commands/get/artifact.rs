//! `get artifact`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::output::table::columns;
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[Flag::text(
    "trail",
    "[optional] The artifact as it stands on this trail.",
)
.short('t')];

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "artifact"],
    usage: "EXPRESSION",
    arguments: Arguments::Exactly(1),
    about: "Show an artifact, where it runs and what happened to it.",
    details: "EXPRESSION is FLOW@FINGERPRINT or FLOW:COMMIT; the beginning of a fingerprint or commit is enough.",
    flags: &[FLAGS, OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let (flow, by, identity) = split(context.argument(0))?;
    let mut query = Vec::new();
    let trail = context.values.text("trail");
    if !trail.is_empty() {
        query.push(("trail", trail.to_owned()));
    }
    let url = context.api(&["artifacts", context.org(), flow, by, identity], &query);
    context.get_and_show(url, table)
}

/// The flow, by what the artifact is meant, and the value.
fn split(expression: &str) -> anyhow::Result<(&str, &'static str, &str)> {
    let (separator, by) = match (expression.contains('@'), expression.contains(':')) {
        (true, true) => {
            anyhow::bail!("invalid expression: {expression}. Both '@' and ':' are present")
        }
        (true, false) => ('@', "fingerprint"),
        (false, true) => (':', "commit_sha"),
        (false, false) => anyhow::bail!("invalid expression: {expression}"),
    };
    let (flow, identity) = expression.split_once(separator).unwrap_or_default();
    if flow.is_empty() {
        anyhow::bail!("invalid expression: {expression}. Flow name is missing");
    }
    if identity.is_empty() {
        anyhow::bail!("invalid expression: {expression}. Artifact identity is missing");
    }
    Ok((flow, by, identity))
}

fn table(context: &Context, answer: &Value) -> String {
    let artifacts = answer
        .as_array()
        .map_or(std::slice::from_ref(answer), Vec::as_slice);
    let entries: Vec<String> = artifacts
        .iter()
        .map(|artifact| columns(&entry(context, artifact)))
        .collect();
    entries.join("\n")
}

fn entry(context: &Context, artifact: &Value) -> String {
    let times = context.times();
    let mut lines = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "{label}:\t{value}");
    };
    let running_in = |name: &str| -> Vec<String> {
        items(artifact, name)
            .iter()
            .map(|run| {
                format!(
                    "{}#{}",
                    text(run, "environment_name"),
                    text(run, "snapshot_index")
                )
            })
            .collect()
    };
    line("Name", &text(artifact, "filename"));
    line("Flow", &text(artifact, "flow_name"));
    for (label, name) in [
        ("Trail", "trail_name"),
        ("Name in template", "template_reference_name"),
    ] {
        if !field(artifact, name).is_null() {
            line(label, &text(artifact, name));
        }
    }
    line("Fingerprint", &text(artifact, "fingerprint"));
    line(
        "Created on",
        &times.long_value(field(artifact, "created_at")),
    );
    for (label, name) in [
        ("Git commit", "git_commit"),
        ("Commit URL", "commit_url"),
        ("Build URL", "build_url"),
        ("Artifact URL", "html_url"),
        ("State", "state"),
    ] {
        line(label, &text(artifact, name));
    }
    let mut running = running_in("running");
    running.sort_unstable();
    if !running.is_empty() {
        line("Running in environments", &running.join(", "));
    }
    let exited = running_in("exited");
    if !exited.is_empty() {
        line("Exited from environments", &exited.join(", "));
    }
    let history = items(artifact, "history");
    if !history.is_empty() {
        lines.push_str("History:\n");
        for event in history {
            let late = if field(event, "late") == &Value::Bool(true) {
                " (late)"
            } else {
                ""
            };
            let _ = writeln!(
                lines,
                "    {}{late}\t{}",
                text(event, "event"),
                times.short_value(field(event, "timestamp"))
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn expressions_split_as_contracted() {
        assert_eq!(split("f@abc").unwrap(), ("f", "fingerprint", "abc"));
        assert_eq!(split("f:abc").unwrap(), ("f", "commit_sha", "abc"));
        let fault = |text: &str| split(text).unwrap_err().to_string();
        assert_eq!(fault("f"), "invalid expression: f");
        assert_eq!(
            fault("f@a:b"),
            "invalid expression: f@a:b. Both '@' and ':' are present"
        );
        assert_eq!(fault("@a"), "invalid expression: @a. Flow name is missing");
        assert_eq!(
            fault("f:"),
            "invalid expression: f:. Artifact identity is missing"
        );
    }
}
