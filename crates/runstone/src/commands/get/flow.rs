//! `get flow`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::OUTPUT;
use crate::output::table::columns;
use crate::output::value::{field, tags, text, texts};

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "flow"],
    usage: "FLOW-NAME",
    arguments: Arguments::Exactly(1),
    about: "Show a flow.",
    flags: &[OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let url = context.api(&["flows", context.org(), context.argument(0)], &[]);
    context.get_and_show(url, table)
}

fn table(context: &Context, flow: &Value) -> String {
    let mut lines = String::new();
    let _ = writeln!(lines, "Name:\t{}", text(flow, "name"));
    let _ = writeln!(lines, "Description:\t{}", text(flow, "description"));
    if !context.is_compat() {
        let _ = writeln!(lines, "Visibility:\t{}", text(flow, "visibility"));
    }
    match field(flow, "template") {
        Value::String(template) if template.starts_with("version: ") => {
            lines.push_str("Template:\t\n");
            for line in template.split('\n') {
                let _ = writeln!(lines, "\t{line}");
            }
        }
        Value::Array(_) => {
            let _ = writeln!(lines, "Template:\t[{}]", texts(flow, "template").join(", "));
        }
        _ => {
            let _ = writeln!(lines, "Template:\t{}", text(flow, "template"));
        }
    }
    let _ = writeln!(
        lines,
        "Last Deployment At:\t{}",
        context
            .times()
            .long_value(field(flow, "last_deployment_at"))
    );
    let mut tags = tags(flow);
    if tags.is_empty() {
        "None".clone_into(&mut tags);
    }
    let _ = writeln!(lines, "Tags:\t{tags}");
    columns(&lines)
}
