//! `list flows`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, OUTPUT, PAGE_20};
use crate::output::table::{paged, table as layout};
use crate::output::value::{field, items, tags, text};

const FLAGS: &[Flag] = &[
    Flag::text("name", "[optional] Only flows whose name contains this.").short('N'),
    Flag::bool(
        "ignore-case",
        "[optional] --name means capitals and small letters alike.",
    )
    .short('i'),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "flows"],
    about: "List the flows.",
    flags: &[FLAGS, OUTPUT, PAGE_20],
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
    let name = values.text("name");
    if !name.is_empty() {
        query.push(("search_by_name", name.to_owned()));
        if values.bool("ignore-case") {
            query.push(("case_sensitive", "false".to_owned()));
        }
    }
    let url = context.api(&["flows", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let (flows, pagination) = match answer.as_array() {
        Some(flows) => (flows.as_slice(), None),
        None => (items(answer, "data"), Some(field(answer, "pagination"))),
    };
    if flows.is_empty() {
        return context.none_found("flows");
    }
    // The published client lost the visibility; people who ask us see it.
    let with_visibility = !context.is_compat();
    let rows: Vec<Vec<String>> = flows
        .iter()
        .map(|flow| {
            let mut row = vec![text(flow, "name"), text(flow, "description")];
            if with_visibility {
                row.push(text(flow, "visibility"));
            }
            row.push(tags(flow));
            row
        })
        .collect();
    let header: &[&str] = if with_visibility {
        &["NAME", "DESCRIPTION", "VISIBILITY", "TAGS"]
    } else {
        &["NAME", "DESCRIPTION", "TAGS"]
    };
    let mut table = layout(header, &rows);
    if let Some(pagination) = pagination {
        table.push_str(&paged(pagination, "page_count", "total", "items"));
    }
    table
}
