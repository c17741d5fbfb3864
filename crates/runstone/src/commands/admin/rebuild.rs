//! `admin rebuild`.

use serde_json::json;

use super::{alone, check_output, existing, progress, tell};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "rebuild"],
    about: "Make every derived table again from the journal.",
    details: "Needs the store for itself: stop the server first.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let mut progress = progress(context);
    let counts = server::runtime()?
        .block_on(runstone_store::rebuild(&options, &mut progress))
        .map_err(|error| alone(error, "rebuild"))?;
    tell(
        context,
        &format!(
            "{} rows rebuilt from {} entries of {} logs",
            counts.rows, counts.entries, counts.logs
        ),
        &json!({
            "logs": counts.logs,
            "entries": counts.entries,
            "bodies": counts.bodies,
            "tiles": counts.tiles,
            "rows": counts.rows,
        }),
    )
}
