//! `list repos`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, Kind, OUTPUT, PAGE};
use crate::output::table::{paged, table as layout};
use crate::output::value::{items, plain_tags, text, text_or};

const FLAGS: &[Flag] = &[
    Flag::text("name", "[optional] Only the repository of this name."),
    Flag::text(
        "search",
        "[optional] Only repositories whose name contains this, capitals and small letters alike.",
    ),
    Flag::text("provider", "[optional] Only repositories at this host."),
    Flag::text(
        "repo-id",
        "[optional] Only the repository of this id at its host.",
    ),
    Flag::text("sort-direction", "[optional] asc or desc."),
    Flag::new(
        "tag",
        Kind::Repeated,
        "[optional] Only repositories with this tag, as KEY or KEY:VALUE. Can be repeated.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "repos"],
    about: "List the repositories.",
    flags: &[FLAGS, OUTPUT, PAGE],
    groups: &[&["name", "search"]],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut query = context.page_query();
    for (flag, key) in [
        ("name", "name"),
        ("search", "search"),
        ("provider", "provider"),
        ("repo-id", "repo_id"),
        ("sort-direction", "sort_direction"),
    ] {
        let value = values.text(flag);
        if !value.is_empty() {
            query.push((key, value.to_owned()));
        }
    }
    query.extend(values.list("tag").iter().map(|tag| ("tag", tag.clone())));
    let url = context.api(&["repos", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let repos = items(answer, "repos");
    if repos.is_empty() {
        // The server may have gone back to a page that exists.
        return match text_or(answer, "page", context.values.text("page")).as_str() {
            "1" => "No repos were found.\n".to_owned(),
            page => format!("No repos were found at page number {page}.\n"),
        };
    }
    let rows: Vec<Vec<String>> = repos
        .iter()
        .map(|repo| {
            vec![
                text(repo, "name"),
                text(repo, "url"),
                text(repo, "provider"),
                plain_tags(repo),
            ]
        })
        .collect();
    let mut table = layout(&["NAME", "URL", "PROVIDER", "TAGS"], &rows);
    table.push_str(&paged(answer, "total_pages", "total_count", "repos"));
    table
}
