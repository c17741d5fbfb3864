//! `list artifacts`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, OUTPUT, PAGE};
use crate::output::table::table as layout;
use crate::output::value::{field, items, short_commit, text, text_or};

const FLAGS: &[Flag] = &[
    Flag::text("flow", "[optional] Only artifacts of this flow.").short('f'),
    Flag::text("repo", "[optional] Only artifacts of this repository."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "artifacts"],
    about: "List the artifacts, of a flow or of a repository.",
    flags: &[FLAGS, OUTPUT, PAGE],
    check: |context| context.check_page(),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let (flow, repo) = (context.values.text("flow"), context.values.text("repo"));
    let mut query = context.page_query();
    if !flow.is_empty() {
        query.push(("flow_name", flow.to_owned()));
    } else if !repo.is_empty() {
        query.push(("repo_name", repo.to_owned()));
    }
    let url = context.api(&["artifacts", context.org()], &query);
    context.get_and_show(url, table)
}

fn table(context: &Context, answer: &Value) -> String {
    let artifacts = match answer.as_array() {
        Some(artifacts) => artifacts.as_slice(),
        None => items(answer, "data"),
    };
    if artifacts.is_empty() {
        return context.none_found("artifacts");
    }
    let mut rows = Vec::new();
    for artifact in artifacts {
        rows.push(vec![
            short_commit(artifact, "git_commit"),
            format!("Name: {}", text(artifact, "filename")),
            text_or(artifact, "state", "N/A"),
            context.times().short_value(field(artifact, "created_at")),
        ]);
        rows.push(vec![
            String::new(),
            format!("Fingerprint: {}", text(artifact, "fingerprint")),
            String::new(),
            String::new(),
        ]);
        rows.push(vec![String::new(); 4]);
    }
    layout(&["COMMIT", "ARTIFACT", "STATE", "CREATED_AT"], &rows)
}
