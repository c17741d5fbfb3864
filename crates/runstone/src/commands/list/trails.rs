//! `list trails`.

use serde_json::Value;

use crate::context::{Context, usage_error};
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, OUTPUT, PAGE_20};
use crate::output::table::{paged, table as layout};
use crate::output::value::{field, items, text};

const FLAGS: &[Flag] = &[
    Flag::text("flow", "[optional] Only trails of this flow.").short('f'),
    Flag::text(
        "fingerprint",
        "[optional] Only trails with the artifact of this fingerprint.",
    )
    .short('F'),
    Flag::text(
        "flow-tag",
        "[optional] Only trails of flows with this tag, as key=value.",
    )
    .short('t'),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "trails"],
    about: "List the trails.",
    flags: &[FLAGS, OUTPUT, PAGE_20],
    check: |context| {
        context.check_page()?;
        let tag = context.values.text("flow-tag");
        if !tag.is_empty() && !tag.contains('=') {
            return Err(usage_error(
                "flag '--flow-tag' must be in the format of key=value",
            ));
        }
        Ok(())
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let mut query = context.page_query();
    for (flag, key) in [
        ("flow", "flow"),
        ("fingerprint", "fingerprint"),
        ("flow-tag", "flow_tag"),
    ] {
        let value = context.values.text(flag);
        if !value.is_empty() {
            query.push((key, value.to_owned()));
        }
    }
    let url = context.api(&["trails", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let trails = match answer.as_array() {
        Some(trails) => trails.as_slice(),
        None => items(answer, "data"),
    };
    if trails.is_empty() {
        return context.none_found("trails");
    }
    let rows: Vec<Vec<String>> = trails
        .iter()
        .map(|trail| {
            vec![
                text(trail, "name"),
                text(trail, "description"),
                text(trail, "compliance_state"),
            ]
        })
        .collect();
    let mut table = layout(&["NAME", "DESCRIPTION", "COMPLIANCE"], &rows);
    if !answer.is_array() {
        let pagination = field(answer, "pagination");
        table.push_str(&paged(pagination, "page_count", "total", "items"));
    }
    table
}
