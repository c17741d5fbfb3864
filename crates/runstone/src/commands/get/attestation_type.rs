//! `get attestation-type`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::OUTPUT;
use crate::output::json::sorted_keys;
use crate::output::table::columns;
use crate::output::value::{field, items, text, texts};

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "attestation-type"],
    usage: "TYPE-NAME",
    arguments: Arguments::Exactly(1),
    about: "Show an attestation type and its versions.",
    details: "TYPE-NAME@vN shows version N only.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let (name, version) = split(context.argument(0))?;
    let query: Vec<(&str, String)> = version
        .map(|version| ("version", version.to_owned()))
        .into_iter()
        .collect();
    let segments = ["custom-attestation-types", context.org(), name];
    let url = context.api(&segments, &query);
    context.get_and_show(url, table)
}

/// The name and the version, if one is asked for.
fn split(expression: &str) -> anyhow::Result<(&str, Option<&str>)> {
    let (name, version) = match expression.split_once('@') {
        None => (expression, None),
        Some((name, version)) => match version.strip_prefix('v') {
            Some(number) if !number.is_empty() => (name, Some(number)),
            _ => anyhow::bail!("version number should be given as '@v<version#>'"),
        },
    };
    if name.is_empty() {
        anyhow::bail!("attestation type name is required");
    }
    Ok((name, version))
}

fn table(context: &Context, kind: &Value) -> String {
    let times = context.times();
    let mut lines = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "{label}:\t{value}");
    };
    line("Name", &text(kind, "name"));
    if kind.get("description").is_some() {
        line("Description", &text(kind, "description"));
    }
    line("Organization", &text(kind, "org"));
    for (label, name) in [("Archived", "archived"), ("Created By", "created_by")] {
        if kind.get(name).is_some() {
            line(label, &text(kind, name));
        }
    }
    for (label, name) in [
        ("Created at", "created_at"),
        ("Last modified at", "last_modified_at"),
    ] {
        if let Some(time) = kind.get(name) {
            line(label, &times.long_value(time));
        }
    }
    line("Versions", "");
    for version in items(kind, "versions") {
        lines.push_str(&version_lines(context, version));
    }
    columns(&lines)
}

fn version_lines(context: &Context, version: &Value) -> String {
    let mut lines = String::new();
    let _ = writeln!(lines, "\tVersion:\t{}", text(version, "version"));
    if version.get("comment").is_some() {
        let _ = writeln!(lines, "\tComment:\t{}", text(version, "comment"));
    }
    let _ = writeln!(
        lines,
        "\tTimestamp:\t{}",
        context.times().long_value(field(version, "timestamp"))
    );
    let _ = writeln!(lines, "\tCreated By:\t{}", text(version, "created_by"));
    if let Some(schema) = version.get("type_schema") {
        let _ = writeln!(lines, "\tType schema:\t{}", sorted_keys(schema));
    }
    let evaluator = field(version, "evaluator");
    if evaluator.is_object() {
        lines.push_str("\tEvaluator:\t\n");
        let _ = writeln!(
            lines,
            "\t\tContent Type:\t{}",
            text(evaluator, "content_type")
        );
        lines.push_str("\t\tRules:\n");
        for rule in texts(evaluator, "rules") {
            let _ = writeln!(lines, "\t\t\t{rule}");
        }
    }
    let summary = items(version, "summary");
    if !summary.is_empty() {
        lines.push_str("\tSummary:\t\n");
        for row in summary {
            let _ = writeln!(
                lines,
                "\t\t{}:\t{}",
                text(row, "name"),
                text(row, "expression")
            );
        }
    }
    lines.push_str("\t\n");
    lines
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn expressions_split_as_contracted() {
        assert_eq!(split("a").unwrap(), ("a", None));
        assert_eq!(split("a@v2").unwrap(), ("a", Some("2")));
        let fault = |text: &str| split(text).unwrap_err().to_string();
        let version = "version number should be given as '@v<version#>'";
        assert_eq!(fault("a@2"), version);
        assert_eq!(fault("a@v"), version);
        assert_eq!(fault("@v1"), "attestation type name is required");
    }
}
