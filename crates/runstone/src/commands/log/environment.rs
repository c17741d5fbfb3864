//! `log environment`.

use serde_json::Value;

use crate::commands::moments;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, Kind, OUTPUT, PAGE, SINCE, TZ, UNTIL};
use crate::output::table::table as layout;
use crate::output::value::{field, text};

const FLAGS: &[Flag] = &[
    Flag::text(
        "interval",
        "[optional] From which to which snapshot: A..B, where a side is a number, ~N, NOW, a time as @{...}, or nothing.",
    )
    .short('i'),
    Flag::bool("reverse", "[optional] The oldest first."),
    Flag::list("repo", "[optional] Only artifacts built from these repositories."),
    Flag::text(
        "start",
        "[optional] The first snapshot: a number, NOW, or an age such as 1hour.",
    ),
    Flag::text(
        "end",
        "[optional] The last snapshot: a number, NOW, or an age such as 1hour.",
    ),
    Flag::new(
        "start-ts",
        Kind::Float,
        "[optional] The first second, counted from 1970.",
    ),
    Flag::new(
        "end-ts",
        Kind::Float,
        "[optional] The last second, counted from 1970.",
    ),
    SINCE,
    UNTIL,
    TZ,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["log", "environment"],
    aliases: &["env"],
    usage: "ENV_NAME",
    arguments: Arguments::Exactly(1),
    about: "Show what changed in an environment.",
    flags: &[FLAGS, OUTPUT, PAGE],
    only_one_of: &[&["since", "start-ts"], &["until", "end-ts"]],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let environment = context.argument(0);
    let mut query = context.page_query();
    query.push((
        "interval",
        moments::interval(context, environment, values.text("interval"))?,
    ));
    query.push(("reverse", values.bool("reverse").to_string()));
    query.extend(
        values
            .list("repo")
            .iter()
            .map(|repo| ("repo_name", repo.clone())),
    );
    for name in ["start", "end"] {
        let value = values.text(name);
        if !value.is_empty() {
            query.push((name, value.to_owned()));
        }
    }
    for (flag, key) in [("start-ts", "start_ts"), ("end-ts", "end_ts")] {
        let value = values.float(flag);
        if value != 0.0 {
            query.push((key, value.to_string()));
        }
    }
    if let Some(since) = moments::since(context)? {
        query.push(("start_ts", since.as_second().to_string()));
    }
    if let Some(until) = moments::until(context)? {
        query.push(("end_ts", until.as_second().to_string()));
    }
    let url = context.api(
        &["environments", context.org(), environment, "events"],
        &query,
    );
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let events = answer.as_array().map_or(&[][..], Vec::as_slice);
    if events.is_empty() {
        return context.none_found("environment events");
    }
    let mut rows = Vec::new();
    for event in events {
        rows.push(vec![
            format!("#{}", text(event, "snapshot_index")),
            format!("Artifact: {}", text(event, "artifact_name")),
            text(event, "pipeline"),
        ]);
        let further = [
            format!("Fingerprint: {}", text(event, "sha256")),
            format!("Description: {}", text(event, "description")),
            format!(
                "Reported at: {}",
                context.times().short_value(field(event, "reported_at"))
            ),
            String::new(),
        ];
        for line in further {
            rows.push(vec![String::new(), line, String::new(), String::new()]);
        }
    }
    layout(&["SNAPSHOT", "EVENT", "FLOW"], &rows)
}
