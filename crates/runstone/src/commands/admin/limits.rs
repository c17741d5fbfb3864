//! `admin limits`.

use std::collections::BTreeMap;

use runstone_server::admin_socket::{LimitAnswer, LimitsRequest, limits_in};
use serde_json::json;

use super::{ask, check_output, existing, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::grammar::values::Source;
use crate::server;

const FLAGS: &[Flag] = &[
    Flag::text(
        "environments",
        "[optional] Set how many environments there may be that are not archived.",
    ),
    Flag::text(
        "entries-per-minute",
        "[optional] Set how many changes callers with a key may make in a minute.",
    ),
    Flag::text(
        "bytes",
        "[optional] Set how many bytes all bodies of the log may have, before compression.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "limits"],
    usage: "[ORGANIZATION]",
    arguments: Arguments::AtMost(1),
    about: "Show how much organizations may hold and use, or set it for one.",
    details: "A limit is a number, 'unlimited' or 'default'. It is an entry of the server's log and holds at once on every server.",
    flags: &[server::STORE, FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let set: BTreeMap<String, String> = FLAGS
        .iter()
        // A variable meant for other commands must not set anything.
        .filter(|flag| matches!(context.values.source(flag.name), Some(Source::Line)))
        .map(|flag| {
            let value = context.values.text(flag.name).to_owned();
            (flag.name.replace('-', "_"), value)
        })
        .collect();
    let asked = LimitsRequest {
        organization: context.arguments.first().cloned(),
        set,
    };
    let limits: Vec<LimitAnswer> = ask(options, "limits", asked, async |store, asked| {
        limits_in(store, asked).await.map_err(anyhow::Error::msg)
    })?;
    let lines: Vec<String> = limits
        .iter()
        .map(|limit| {
            let value = limit
                .value
                .map_or_else(|| "unlimited".to_owned(), |value| value.to_string());
            let default = if limit.is_default { " (default)" } else { "" };
            format!(
                "{} {}: {} of {value}{default}",
                limit.organization, limit.limit, limit.used
            )
        })
        .collect();
    tell(context, &lines.join("\n"), &json!(limits))
}
