//! `list attestation-types`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::Command;
use crate::grammar::flag::OUTPUT;
use crate::output::table::table as layout;
use crate::output::value::{items, text};

/// The command.
pub static COMMAND: Command = Command {
    path: &["list", "attestation-types"],
    about: "List the attestation types.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let url = context.api(&["custom-attestation-types", context.org()], &[]);
    context.get_and_show(url, table)
}

fn table(_: &Context, answer: &Value) -> String {
    let kinds = answer.as_array().map_or(&[][..], Vec::as_slice);
    if kinds.is_empty() {
        return "No attestation types were found.\n".to_owned();
    }
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .map(|kind| {
            vec![
                text(kind, "name"),
                text(kind, "description"),
                items(kind, "versions").len().to_string(),
            ]
        })
        .collect();
    layout(&["NAME", "DESCRIPTION", "LATEST VERSION"], &rows)
}
