//! `tag`.

use runstone_api::client::Method;
use serde_json::{Map, Value, json};

use crate::context::{Context, parse};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag, Kind};
use crate::output::value::text;

/// What can be tagged, singular and plural.
const TYPES: [&str; 8] = [
    "flow",
    "flows",
    "env",
    "environment",
    "environments",
    "control",
    "controls",
    "repo",
];

const FLAGS: &[Flag] = &[
    Flag::new(
        "set",
        Kind::Map,
        "[optional] The tags to add or change. Can be repeated.",
    )
    .short('s'),
    Flag::list("unset", "[optional] The tags to remove.").short('u'),
    Flag::text("provider", "[optional] The provider of the repository."),
    Flag::text("repo-id", "[optional] The id of the repository."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["tag"],
    usage: "RESOURCE-TYPE [RESOURCE-ID]",
    arguments: Arguments::Between(1, 2),
    about: "Add tags to things and remove them.",
    details: "RESOURCE-TYPE is one of flow, environment (or env), control and repo.",
    flags: &[FLAGS, DRY_RUN],
    check,
    run,
    ..Command::DEFAULT
};

fn is_repo(kind: &str) -> bool {
    matches!(kind, "repo" | "repos")
}

fn check(context: &Context) -> anyhow::Result<()> {
    let kind = context.argument(0);
    let given = |name: &str| context.values.is_given(name);
    let has_id = context.arguments.len() > 1;
    if !is_repo(kind) {
        if !TYPES.contains(&kind) {
            anyhow::bail!(
                "{kind} is not a valid resource type. Valid resource types are: [{} repos]",
                TYPES.join(" ")
            );
        }
        for name in ["provider", "repo-id"] {
            if given(name) {
                anyhow::bail!("--{name} is only valid when tagging repos");
            }
        }
    }
    if given("provider") && given("repo-id") {
        anyhow::bail!("--provider cannot be combined with --repo-id");
    }
    if has_id && given("repo-id") {
        anyhow::bail!("exactly one of the RESOURCE-ID argument or --repo-id must be provided");
    }
    if !has_id && !given("repo-id") {
        anyhow::bail!("the RESOURCE-ID argument is required unless tagging a repo with --repo-id");
    }
    Ok(())
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let kind = context.argument(0);
    let named = match values.text("repo-id") {
        "" => context.argument(1),
        id => id,
    };
    let id = if is_repo(kind) && context.arguments.len() > 1 && !context.is_dry_run() {
        repo_id(context, named)?
    } else {
        named.to_owned()
    };
    let set: Map<String, Value> = values
        .map("set")
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let unset = values.list("unset");
    let url = context.api(&["tags", context.org(), kind, &id], &[]);
    let body = json!({ "set_tags": set, "remove_tags": unset });
    if context.write(Method::PATCH, url, &body)?.is_some() {
        let added: Vec<&str> = set.keys().map(String::as_str).collect();
        let mut removed: Vec<&str> = unset.iter().map(String::as_str).collect();
        removed.sort_unstable();
        let (added, removed) = (added.join(", "), removed.join(", "));
        let what = match (added.is_empty(), removed.is_empty()) {
            (false, false) => format!("Tag(s) [{added}] added, and Tag(s) [{removed}] removed"),
            (false, true) => format!("Tag(s) [{added}] added"),
            (true, false) => format!("Tag(s) [{removed}] removed"),
            (true, true) => "No tags were applied".to_owned(),
        };
        context.say(format_args!("{what} for {kind} '{named}'"));
    }
    Ok(())
}

/// The id of the repository of this name.
fn repo_id(context: &Context, name: &str) -> anyhow::Result<String> {
    let mut query = Vec::new();
    let provider = context.values.text("provider");
    if !provider.is_empty() {
        query.push(("provider", provider.to_owned()));
    }
    // The names of repositories hold separators that stay such.
    let mut segments = vec!["repos", context.org()];
    segments.extend(name.split('/'));
    let body = context.get(context.api(&segments, &query))?;
    let id = text(&parse(&body)?, "id");
    if id.is_empty() {
        anyhow::bail!("could not resolve repo \"{name}\" to an id");
    }
    Ok(id)
}
