//! `get repo`.

use serde_json::Value;

use crate::context::{Context, usage_error};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::output::table::columns;
use crate::output::value::{plain_tags, text};

const FLAGS: &[Flag] = &[
    Flag::text(
        "provider",
        "[optional] The host of the code, where two have a repository of the name.",
    ),
    Flag::text(
        "repo-id",
        "[optional] The id of the repository, in place of its name.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "repo"],
    usage: "[REPO-NAME]",
    arguments: Arguments::AtMost(1),
    about: "Show a repository.",
    flags: &[FLAGS, OUTPUT],
    check,
    run,
    ..Command::DEFAULT
};

fn check(context: &Context) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    if context.arguments.is_empty() != given("repo-id") {
        return Err(usage_error(
            "exactly one of the REPO-NAME argument or --repo-id must be provided",
        ));
    }
    if given("provider") && given("repo-id") {
        return Err(usage_error("--provider cannot be combined with --repo-id"));
    }
    Ok(())
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let mut query = Vec::new();
    let mut segments = vec!["repos", context.org()];
    let id = values.text("repo-id");
    if id.is_empty() {
        // The names of repositories hold separators that stay such.
        segments.extend(context.argument(0).split('/'));
        let provider = values.text("provider");
        if !provider.is_empty() {
            query.push(("provider", provider.to_owned()));
        }
    } else {
        segments.push(id);
        query.push(("id", id.to_owned()));
    }
    let url = context.api(&segments, &query);
    context.get_and_show(url, table)
}

fn table(_: &Context, repo: &Value) -> String {
    let mut tags = plain_tags(repo);
    if tags.is_empty() {
        "None".clone_into(&mut tags);
    }
    columns(&format!(
        "Name:\t{}\nID:\t{}\nURL:\t{}\nProvider:\t{}\nTags:\t{tags}\n",
        text(repo, "name"),
        text(repo, "id"),
        text(repo, "url"),
        text(repo, "provider"),
    ))
}
