//! `list environments`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, Kind, OUTPUT, PAGE};
use crate::output::table::table as layout;
use crate::output::time::seconds;
use crate::output::value::{bracketed, field, items, tags, text};

const FLAGS: &[Flag] = &[
    Flag::text(
        "name",
        "[optional] Only environments whose name contains this.",
    ),
    Flag::list("type", "[optional] Only environments of these types."),
    Flag::list("space-id", "[optional] Only environments of these spaces."),
    Flag::new(
        "tag",
        Kind::Repeated,
        "[optional] Only environments with this tag, as KEY or KEY:VALUE. Can be repeated.",
    ),
    Flag::text("sort", "[optional] What to sort by."),
    Flag::text("sort-direction", "[optional] asc or desc."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "environments"],
    aliases: &["env", "envs"],
    about: "List the environments.",
    flags: &[FLAGS, OUTPUT, PAGE],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut query = Vec::new();
    // Without either flag everything is returned.
    if values.is_given("page") || values.is_given("page-limit") {
        query.extend(context.page_query());
    }
    for (flag, key) in [
        ("name", "name"),
        ("sort", "sort"),
        ("sort-direction", "sort_direction"),
    ] {
        let value = values.text(flag);
        if !value.is_empty() {
            query.push((key, value.to_owned()));
        }
    }
    for (flag, key) in [("type", "type"), ("space-id", "space_id"), ("tag", "tag")] {
        query.extend(values.list(flag).iter().map(|value| (key, value.clone())));
    }
    let url = context.api(&["environments", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let (environments, paged) = match answer.as_array() {
        Some(environments) => (environments.as_slice(), false),
        None => (items(answer, "environments"), true),
    };
    if environments.is_empty() {
        return context.none_found("environments");
    }
    let time = |environment: &Value, name: &str| {
        seconds(field(environment, name))
            .map(|seconds| context.times().rfc3339(seconds))
            .unwrap_or_default()
    };
    let rows: Vec<Vec<String>> = environments
        .iter()
        .map(|environment| {
            vec![
                text(environment, "name"),
                text(environment, "type"),
                time(environment, "last_reported_at"),
                time(environment, "last_modified_at"),
                tags(environment),
                bracketed(environment, "policies"),
            ]
        })
        .collect();
    let mut table = layout(
        &[
            "NAME",
            "TYPE",
            "LAST REPORT",
            "LAST MODIFIED",
            "TAGS",
            "POLICIES",
        ],
        &rows,
    );
    if paged {
        let _ = writeln!(
            table,
            "\nShowing page {} of {}, total {} items",
            text(answer, "page"),
            text(answer, "total_pages"),
            text(answer, "total_count")
        );
    }
    table
}
