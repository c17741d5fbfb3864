//! `admin fsck`.

use std::fmt::Write as _;

use serde_json::json;

use super::{check_output, count, counted, existing, progress, tell};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "fsck"],
    about: "Derive everything in the store again and name what differs.",
    details: "Reads only, also beside a running server. Exits with 1 when something differs.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let mut progress = progress(context);
    let report = server::runtime()?.block_on(runstone_store::fsck(&options, &mut progress))?;
    let counts = &report.counts;
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    let _ = write!(
        text,
        "checked {}, {}, {}, {} and {}",
        count(counts.logs, "log"),
        counted(counts.entries, "entry", "entries"),
        counted(counts.bodies, "body", "bodies"),
        count(counts.tiles, "tile"),
        count(counts.rows, "row"),
    );
    let json = json!({
        "problems": report.problems.iter().map(|problem| json!({
            "place": problem.place, "what": problem.what,
        })).collect::<Vec<_>>(),
        "logs": counts.logs,
        "entries": counts.entries,
        "bodies": counts.bodies,
        "tiles": counts.tiles,
        "rows": counts.rows,
    });
    tell(context, &text, &json)?;
    if report.problems.is_empty() {
        Ok(())
    } else {
        anyhow::bail!("{} found", count(report.problems.len() as u64, "problem"))
    }
}
