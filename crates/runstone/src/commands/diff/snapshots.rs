//! `diff snapshots`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::commands::moments;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT, TZ};
use crate::output::table::columns;
use crate::output::value::{bracketed, field, items, text, text_or};

const FLAGS: &[Flag] = &[
    Flag::bool(
        "show-unchanged",
        "[optional] Show what is the same in both, too.",
    )
    .short('u'),
    TZ,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["diff", "snapshots"],
    usage: "SNAPPISH_1 SNAPPISH_2",
    arguments: Arguments::Exactly(2),
    about: "Compare two snapshots, of one environment or of two.",
    details: "See 'get snapshot' for the expressions.",
    flags: &[FLAGS, OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let first = moments::expression(context, context.argument(0))?;
    let second = moments::expression(context, context.argument(1))?;
    let query = [("snappish1", first), ("snappish2", second)];
    let url = context.api(&["env-diff", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, diff: &Value) -> String {
    let (first, second) = (context.argument(0), context.argument(1));
    let mut sections = vec![
        ("snappish1", only_present(first, field(diff, "snappish1"))),
        ("snappish2", only_present(second, field(diff, "snappish2"))),
        ("changed", format!("{first} -> {second} scaling")),
    ];
    if context.values.bool("show-unchanged") {
        sections.push(("not-changed", "Not changed in both snapshots".to_owned()));
    }
    let mut lines = String::new();
    for (name, title) in sections {
        let artifacts = items(field(diff, name), "artifacts");
        if artifacts.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        let _ = writeln!(lines, "{title}");
        for artifact in artifacts {
            lines.push_str(&entry(context, artifact));
        }
    }
    columns(&lines)
}

fn only_present(argument: &str, side: &Value) -> String {
    let id = text(side, "snapshot_id");
    if id == argument || id.is_empty() {
        format!("Only present in {argument}")
    } else {
        format!("Only present in {argument} (snapshot: {id})")
    }
}

fn entry(context: &Context, artifact: &Value) -> String {
    let mut lines = String::from("\t\t\n");
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "\t{label}\t{value}");
    };
    line("Name:", &text(artifact, "name"));
    line("Fingerprint:", &text(artifact, "fingerprint"));
    line("Flow:", &text_or(artifact, "flow", "Unknown"));
    line("Commit URL:", &text_or(artifact, "commit_url", "Unknown"));
    if !items(artifact, "pods").is_empty() {
        line("Pods:", &bracketed(artifact, "pods"));
    }
    let started = field(artifact, "most_recent_timestamp");
    line("Started:", &context.times().long_value(started));
    let count = |name: &str| field(artifact, name).as_f64().unwrap_or_default();
    if count("s1_instance_count") != 0.0 && count("s2_instance_count") != 0.0 {
        let scaled = format!(
            "scaled from {} to {}",
            text(artifact, "s1_instance_count"),
            text(artifact, "s2_instance_count")
        );
        line("Instances:", &scaled);
    } else if count("instance_count") != 0.0 {
        line("Instances:", &text(artifact, "instance_count"));
    }
    lines
}
