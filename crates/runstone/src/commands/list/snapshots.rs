//! `list snapshots`.

use serde_json::Value;

use crate::commands::moments;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT, PAGE, SINCE, TZ, UNTIL};
use crate::output::table::table as layout;
use crate::output::time::{seconds, words};
use crate::output::value::{field, text};

const FLAGS: &[Flag] = &[
    Flag::text(
        "interval",
        "[optional] From which to which snapshot: A..B, where a side is a number, ~N, NOW, a time as @{...}, or nothing.",
    )
    .short('i'),
    Flag::bool("reverse", "[optional] The oldest first."),
    SINCE,
    UNTIL,
    TZ,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "snapshots"],
    usage: "ENV_NAME",
    arguments: Arguments::Exactly(1),
    about: "List the snapshots of an environment.",
    flags: &[FLAGS, OUTPUT, PAGE],
    only_one_of: &[&["interval", "since"], &["interval", "until"]],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let environment = context.argument(0);
    let interval = if context.values.is_given("since") || context.values.is_given("until") {
        match moments::interval_between(context, environment)? {
            Some(interval) => interval,
            None => return context.show(b"[]", table),
        }
    } else {
        moments::interval(context, environment, context.values.text("interval"))?
    };
    let mut query = context.page_query();
    query.push(("interval", interval));
    query.push(("reverse", context.values.bool("reverse").to_string()));
    let url = context.api(&["snapshots", context.org(), environment], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let snapshots = answer.as_array().map_or(&[][..], Vec::as_slice);
    if snapshots.is_empty() {
        return context.none_found("environment snapshots");
    }
    let rows: Vec<Vec<String>> = snapshots
        .iter()
        .map(|snapshot| {
            let to = match seconds(field(snapshot, "to")) {
                Some(0) | None => "now".to_owned(),
                Some(to) => context.times().short(to),
            };
            let duration = field(snapshot, "duration").as_f64().unwrap_or_default();
            vec![
                text(snapshot, "index"),
                context.times().short_value(field(snapshot, "from")),
                to,
                words((duration * 1e3) as i64),
                text(snapshot, "compliant"),
            ]
        })
        .collect();
    layout(&["SNAPSHOT", "FROM", "TO", "DURATION", "COMPLIANT"], &rows)
}
