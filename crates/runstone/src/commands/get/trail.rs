//! `get trail`: as a table, as JSON, or as a summary in Markdown for the page of a CI job.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::{Context, parse};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::Flag;
use crate::output::table::columns;
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[
    Flag::text("flow", "The flow.").short('f').required(),
    Flag::text(
        "output",
        "[defaulted] The format of the output: table, json or markdown.",
    )
    .short('o')
    .default("table"),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "trail"],
    usage: "TRAIL-NAME",
    arguments: Arguments::Exactly(1),
    about: "Show a trail: its commit, what is attested, and what happened.",
    details: "--output markdown makes a summary for the page of a CI job.",
    flags: &[FLAGS],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let flow = context.values.text("flow");
    let url = context.api(&["trails", context.org(), flow, context.argument(0)], &[]);
    let body = context.get(url)?;
    if context.values.text("output") == "markdown" {
        let trail = parse(&body)?;
        context.print(&markdown(context, &trail));
        return Ok(());
    }
    context.show(&body, table)
}

// ---- both forms

/// What an event says, in three parts: before, the linked middle, and after.
struct Said {
    before: String,
    linked: String,
    after: String,
}

/// Describes an event. The linked part is empty where nothing is to be linked.
fn describe(event: &Value) -> Said {
    let slot = text(event, "template_reference_name");
    let attested = |of: String, after: &str| Said {
        before: format!(
            "'{}' attestation reported for ",
            text(event, "attestation_type")
        ),
        linked: of,
        after: after.to_owned(),
    };
    let plain = |before: String| Said {
        before,
        linked: String::new(),
        after: String::new(),
    };
    let ran = |verb: &str| Said {
        before: format!("artifact '{slot}' {verb} running in "),
        linked: format!("'{}'", text(event, "environment_name")),
        after: String::new(),
    };
    match text(event, "type").as_str() {
        "trail_reported" => plain("trail started".to_owned()),
        "trail_updated" => plain("trail updated".to_owned()),
        "trail_attestation_reported" => attested(slot, " on the trail"),
        "artifact_creation_reported" => plain(format!(
            "artifact '{}' created for template name '{slot}'",
            text(event, "artifact_name")
        )),
        "artifact_attestation_reported" | "trail_attestation_for_artifact_reported" => {
            attested(format!("{}.{slot}", text(event, "target_artifact")), "")
        }
        "artifact_approval_reported" => {
            let number = text(event, "approval_number");
            plain(if text(event, "state") == "PENDING" {
                format!("approval #{number} requested")
            } else {
                format!(
                    "approval #{number} created by '{}'",
                    text(event, "reviewer")
                )
            })
        }
        "artifact_started_running" => ran("started"),
        "artifact_stopped_running" => ran("stopped"),
        other => plain(other.to_owned()),
    }
}

fn event_commit(event: &Value) -> String {
    text(field(event, "git_commit_info"), "sha1")
        .chars()
        .take(7)
        .collect()
}

fn compliance(value: &Value) -> &'static str {
    match field(value, "is_compliant") {
        Value::Bool(true) => "compliant",
        Value::Bool(false) => "non-compliant",
        _ => "",
    }
}

// ---- table

fn table(context: &Context, trail: &Value) -> String {
    let times = context.times();
    let mut lines = String::new();
    let _ = writeln!(lines, "Name:\t{}", text(trail, "name"));
    let _ = writeln!(lines, "Description:\t{}", text(trail, "description"));
    let _ = writeln!(lines, "Compliance:\t{}", text(trail, "compliance_state"));
    let _ = writeln!(
        lines,
        "Last modified at:\t{}",
        times.long_value(field(trail, "last_modified_at"))
    );
    let commit = field(trail, "git_commit_info");
    if !commit.is_null() {
        lines.push_str("Git commit:\t\n");
        let _ = writeln!(lines, "  Sha1:\t{}", text(commit, "sha1"));
        let _ = writeln!(lines, "  Author:\t{}", text(commit, "author"));
        let _ = writeln!(
            lines,
            "  Timestamp:\t{}",
            times.long_value(field(commit, "timestamp"))
        );
        let url = text(commit, "url");
        if !url.is_empty() {
            let _ = writeln!(lines, "  url:\t{url}");
        }
        let message = text(commit, "message");
        let mut rest = message.split('\n');
        let _ = writeln!(lines, "  message:\t{}", rest.next().unwrap_or_default());
        for line in rest {
            if line.is_empty() {
                lines.push('\n');
            } else {
                let _ = writeln!(lines, "\t{line}");
            }
        }
    }
    lines.push_str("Events:\n\n");
    if field(trail, "events").is_array() {
        lines.push_str("\tTIME\tDESCRIPTION\tGIT-COMMIT\tCOMPLIANCE\n");
    }
    for event in items(trail, "events") {
        let said = describe(event);
        let _ = writeln!(
            lines,
            "\t{}\t{}{}{}\t{}\t{}",
            times.short_value(field(event, "timestamp")),
            said.before,
            said.linked,
            said.after,
            event_commit(event),
            compliance(event)
        );
    }
    columns(&lines)
}

// ---- Markdown

/// Text as a cell: nothing in it is markup or ends the cell.
fn cell(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('|', "\\|")
        .replace("\r\n", "<br>")
        .replace(['\n', '\r'], "<br>")
}

fn link(shown: &str, url: &str) -> String {
    if url.is_empty() {
        cell(shown)
    } else {
        format!("[{}]({})", cell(shown), cell(url))
    }
}

/// A state with the sign it is known by.
fn state(state: &str) -> String {
    let sign = match state {
        "COMPLIANT" => "✅ ",
        "NON-COMPLIANT" | "NON_COMPLIANT" => "❌ ",
        "INCOMPLETE" | "MISSING" => "⏳ ",
        _ => "",
    };
    format!("{sign}{}", cell(state))
}

fn signed(value: &Value) -> &'static str {
    match field(value, "is_compliant") {
        Value::Bool(true) => "✅ compliant",
        Value::Bool(false) => "❌ non-compliant",
        _ => "",
    }
}

/// A table of attestations and where they stand.
fn attestations(statuses: &[Value], page: &str) -> String {
    let mut rows = String::from("|  |  |\n| --- | --- |\n");
    for status in statuses {
        let id = text(status, "attestation_id");
        let url = if id.is_empty() {
            String::new()
        } else {
            format!("{page}?attestation_id={id}")
        };
        let stands = if text(status, "status") == "MISSING" {
            "⏳ missing"
        } else {
            match signed(status) {
                "" => "⏳ pending",
                stands => stands,
            }
        };
        let beyond = if field(status, "unexpected") == &Value::Bool(true) {
            " (+)"
        } else {
            ""
        };
        let _ = writeln!(
            rows,
            "| {} | {stands}{beyond} |",
            link(&text(status, "attestation_name"), &url)
        );
    }
    rows
}

fn markdown(context: &Context, trail: &Value) -> String {
    let times = context.times();
    let name = text(trail, "name");
    let (org, flow) = (context.org(), context.values.text("flow"));
    let page = context.url(&[org, "flows", flow, "trails", &name]);
    let mut out = format!(
        "## Trail: {}\n\n|  |  |\n| --- | --- |\n",
        link(&name, &page)
    );
    let row = |out: &mut String, label: &str, value: &str| {
        let _ = writeln!(out, "| {label} | {value} |");
    };
    row(&mut out, "Name", &cell(&name));
    row(&mut out, "Description", &cell(&text(trail, "description")));
    row(
        &mut out,
        "Compliance",
        &state(&text(trail, "compliance_state")),
    );
    row(
        &mut out,
        "Last modified at",
        &times.long_value(field(trail, "last_modified_at")),
    );
    let origin = text(trail, "origin_url");
    if !origin.is_empty() {
        row(&mut out, "Origin", &cell(&origin));
    }
    let commit = field(trail, "git_commit_info");
    if !commit.is_null() {
        out.push_str("\n### Git commit\n\n|  |  |\n| --- | --- |\n");
        let sha1 = text(commit, "sha1");
        row(&mut out, "Sha1", &link(&sha1, &text(commit, "url")));
        row(&mut out, "Author", &cell(&text(commit, "author")));
        row(
            &mut out,
            "Timestamp",
            &times.long_value(field(commit, "timestamp")),
        );
        let message = text(commit, "message");
        let first = message.lines().next().unwrap_or_default();
        row(&mut out, "Message", &cell(first));
    }
    let status = field(trail, "compliance_status");
    let of_trail = items(status, "attestations_statuses");
    let mut of_artifacts: Vec<(&String, &Value)> = field(status, "artifacts_statuses")
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, artifact)| !items(artifact, "attestations_statuses").is_empty())
        .collect();
    of_artifacts.sort_unstable_by_key(|(name, _)| *name);
    if !of_trail.is_empty() || !of_artifacts.is_empty() {
        out.push_str("\n### Attestations\n");
    }
    if !of_trail.is_empty() {
        let _ = write!(out, "\n**Trail**\n\n{}", attestations(of_trail, &page));
    }
    for (name, artifact) in of_artifacts {
        let _ = write!(
            out,
            "\n**{}** — {}\n\n{}",
            cell(name),
            state(&text(artifact, "status")),
            attestations(items(artifact, "attestations_statuses"), &page)
        );
    }
    out.push_str("\n### Events\n\n");
    let events = items(trail, "events");
    if events.is_empty() {
        out.push_str("_No events._\n");
        return out;
    }
    out.push_str("| Time | Description | Git commit | Compliance |\n| --- | --- | --- | --- |\n");
    for event in events {
        let said = describe(event);
        let id = text(event, "attestation_id");
        let environment = text(event, "environment_name");
        let url = if !id.is_empty() {
            format!("{page}?attestation_id={id}")
        } else if !environment.is_empty() {
            let index = text(event, "snapshot_index");
            format!(
                "{}/{index}",
                context.url(&[org, "environments", &environment])
            )
        } else {
            String::new()
        };
        let linked = if said.linked.is_empty() {
            String::new()
        } else {
            link(&said.linked, &url)
        };
        let _ = writeln!(
            out,
            "| {} | {}{linked}{} | {} | {} |",
            times.short_value(field(event, "timestamp")),
            cell(&said.before),
            cell(&said.after),
            cell(&event_commit(event)),
            signed(event)
        );
    }
    out
}
