//! `list controls`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, Kind, OUTPUT, PAGE};
use crate::output::table::{paged, table as layout};
use crate::output::time::seconds;
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[
    Flag::text(
        "search",
        "[optional] Only controls whose name or identifier contains this.",
    ),
    Flag::new(
        "tag",
        Kind::Repeated,
        "[optional] Only controls with this tag, as KEY or KEY:VALUE. Can be repeated.",
    ),
    Flag::bool("archived", "[optional] The archived ones."),
    Flag::text("sort-direction", "[optional] asc or desc."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "controls"],
    about: "List the controls.",
    flags: &[FLAGS, OUTPUT, PAGE],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut query = context.page_query();
    for (flag, key) in [("search", "search"), ("sort-direction", "sort_direction")] {
        let value = values.text(flag);
        if !value.is_empty() {
            query.push((key, value.to_owned()));
        }
    }
    query.extend(values.list("tag").iter().map(|tag| ("tag", tag.clone())));
    if values.bool("archived") {
        query.push(("archived", "true".to_owned()));
    }
    let url = context.api(&["controls", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let controls = items(answer, "controls");
    if controls.is_empty() {
        return context.none_found("controls");
    }
    let rows: Vec<Vec<String>> = controls
        .iter()
        .map(|control| {
            let created = seconds(field(control, "created_at"))
                .map(|seconds| context.times().short(seconds))
                .unwrap_or_default();
            vec![
                text(control, "identifier"),
                text(control, "name"),
                text(control, "description"),
                created,
            ]
        })
        .collect();
    let mut table = layout(&["IDENTIFIER", "NAME", "DESCRIPTION", "CREATED AT"], &rows);
    table.push_str(&paged(answer, "total_pages", "total_count", "controls"));
    table
}
