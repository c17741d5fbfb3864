//! `get control`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::OUTPUT;
use crate::output::table::columns;
use crate::output::value::{field, plain_tags, sorted, text, texts};

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "control"],
    usage: "CONTROL-IDENTIFIER",
    arguments: Arguments::Exactly(1),
    about: "Show a control.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let url = context.api(&["controls", context.org(), context.argument(0)], &[]);
    context.get_and_show(url, table)
}

fn table(context: &Context, control: &Value) -> String {
    let mut lines = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(lines, "{label}:\t{value}");
    };
    line("Identifier", &text(control, "identifier"));
    line("Name", &text(control, "name"));
    for (label, name) in [
        ("Description", "description"),
        ("Version", "version"),
        ("Archived", "archived"),
        ("Created by", "created_by"),
    ] {
        if !field(control, name).is_null() {
            line(label, &text(control, name));
        }
    }
    let created = field(control, "created_at");
    if !created.is_null() {
        line("Created at", &context.times().long_value(created));
    }
    let tags = plain_tags(control);
    if !tags.is_empty() {
        line("Tags", &tags);
    }
    let links = sorted(field(control, "links"));
    if !links.is_empty() {
        line("Links", "");
        for (name, url) in links {
            let _ = writeln!(lines, "\t{name}:\t{url}");
        }
    }
    let policies = texts(control, "policies_referencing");
    if !policies.is_empty() {
        let _ = writeln!(lines, "Policies referencing:\t{}", policies.join(", "));
    }
    columns(&lines)
}
