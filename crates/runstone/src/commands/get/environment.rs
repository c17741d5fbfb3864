//! `get environment`.

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::OUTPUT;
use crate::output::table::columns;
use crate::output::value::{bracketed, field, tags, text};

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "environment"],
    aliases: &["env"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Show an environment.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let url = context.api(&["environments", context.org(), context.argument(0)], &[]);
    context.get_and_show(url, table)
}

fn table(context: &Context, environment: &Value) -> String {
    let state = match field(environment, "state") {
        Value::Bool(true) => "COMPLIANT",
        Value::Bool(false) => "NON-COMPLIANT",
        _ => "N/A",
    };
    let mut tags = tags(environment);
    if tags.is_empty() {
        "None".clone_into(&mut tags);
    }
    columns(&format!(
        "Name:\t{}\nType:\t{}\nDescription:\t{}\nState:\t{state}\nLast Reported At:\t{}\nTags:\t{tags}\nPolicies:\t{}\n",
        text(environment, "name"),
        text(environment, "type"),
        text(environment, "description"),
        context
            .times()
            .long_value(field(environment, "last_reported_at")),
        bracketed(environment, "policies"),
    ))
}
