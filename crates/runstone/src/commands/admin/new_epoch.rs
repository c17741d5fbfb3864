//! `admin new-epoch`.

use std::fmt::Write as _;

use runstone_server::admin_socket::{EpochAnswer, NewEpochRequest};
use serde_json::json;

use super::{ask, check_output, existing, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::server;

const FLAGS: &[Flag] = &[Flag::text("reason", "Why; it stands in the log.").required()];

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "new-epoch"],
    usage: "[ORGANIZATION]",
    arguments: Arguments::AtMost(1),
    about: "Give a log a new name and key, after a restore or when its key was given up.",
    details: "Entries and their numbers go on; what was signed under the old name and is gone is named as lost. Without ORGANIZATION: every log that the guard stopped, or all of them if it stopped none. _server is the server's own log.",
    flags: &[server::STORE, FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let organization = context.arguments.first().map(|name| match name.as_str() {
        "_server" => String::new(),
        name => name.to_owned(),
    });
    let asked = NewEpochRequest {
        organization,
        reason: context.values.text("reason").to_owned(),
    };
    let begun: Vec<EpochAnswer> = ask(options, "new-epoch", asked, async |store, asked| {
        let begun = store.new_epoch(asked.organization.as_deref(), &asked.reason);
        Ok(begun.await?.into_iter().map(EpochAnswer::from).collect())
    })?;
    let lines: Vec<String> = begun
        .iter()
        .map(|epoch| {
            let mut line = format!(
                "{} continues {} from {} entries",
                epoch.new_origin, epoch.old_origin, epoch.size
            );
            if epoch.signed_size > epoch.size {
                let _ = write!(
                    line,
                    "; {} that were signed are lost",
                    epoch.signed_size - epoch.size
                );
            }
            line
        })
        .collect();
    tell(context, &lines.join("\n"), &json!(begun))
}
