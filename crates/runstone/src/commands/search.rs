//! `search`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::OUTPUT;
use crate::output::table::columns;
use crate::output::time::seconds;
use crate::output::value::{field, items, text, text_or, texts};

/// The command.
pub static COMMAND: Command = Command {
    path: &["search"],
    aliases: &["se"],
    usage: "{GIT-COMMIT | FINGERPRINT}",
    arguments: Arguments::Exactly(1),
    about: "Find artifacts by the beginning of their fingerprint or commit.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let url = context.api(&["search", context.org(), "sha", context.argument(0)], &[]);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let resolved = field(answer, "resolved_to");
    let artifacts = items(answer, "artifacts");
    let full = text(resolved, "full_match");
    let mut lines = match text(resolved, "type").as_str() {
        "commit" => format!("Search result resolved to commit {full}\n"),
        "fingerprint" => {
            format!("Search result resolved to artifact with fingerprint {full}\n")
        }
        _ => format!(
            "Search result resolved to {} fingerprint(s) and {} commit(s) across {} artifacts\n\n",
            text_or(field(resolved, "fingerprints"), "count", "0"),
            text_or(field(resolved, "commits"), "count", "0"),
            artifacts.len()
        ),
    };
    for artifact in artifacts {
        lines.push_str(&entry(context, artifact));
    }
    columns(&lines)
}

fn entry(context: &Context, artifact: &Value) -> String {
    let mut lines = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "{label}\t{value}");
    };
    line("Name:", &text(artifact, "name"));
    line("Fingerprint:", &text(artifact, "fingerprint"));
    let provenance = field(artifact, "has_provenance") == &Value::Bool(true);
    line("Has provenance:", &provenance.to_string());
    if provenance {
        for (label, name) in [
            ("Flow:", "flow"),
            ("Git commit:", "git_commit"),
            ("Commit URL:", "commit_url"),
            ("Build URL:", "build_url"),
            ("Artifact URL:", "html_url"),
            ("Compliance state:", "compliance_state"),
        ] {
            line(label, &text(artifact, name));
        }
    }
    for (label, name) in [
        ("Running in:", "running_in"),
        ("Exited from:", "exited_from"),
    ] {
        line(label, &format!("[ {} ]", texts(artifact, name).join(", ")));
    }
    lines.push_str("History:\n");
    for event in items(artifact, "history") {
        let time = seconds(field(event, "timestamp")).map_or_else(
            || "bad timestamp".to_owned(),
            |seconds| context.times().short(seconds),
        );
        let _ = writeln!(lines, "    {}\t{time}", text(event, "event"));
    }
    lines.push_str("\n\n");
    lines
}
