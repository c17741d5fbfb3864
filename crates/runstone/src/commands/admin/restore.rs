//! `admin restore`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::{alone, check_output, progress, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "restore"],
    usage: "FOLDER",
    arguments: Arguments::Exactly(1),
    about: "Make a store from the backup in a folder.",
    details: "The data folder or database must be empty. When the checkpoint guard knows more of a log than the backup holds, writes are refused until 'admin new-epoch' says why.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = server::options(&context.values, &context.process)?;
    let folder = context.argument(0);
    let mut progress = progress(context);
    let restored = server::runtime()?
        .block_on(runstone_store::restore(
            Path::new(folder),
            &options,
            &mut progress,
        ))
        .map_err(|error| alone(error, "restore"))?;
    let mut text = format!("restored from {folder}");
    for (origin, size) in &restored.logs {
        let _ = write!(text, "\n  {origin}: {size} entries");
    }
    for origin in &restored.stopped {
        let _ = write!(
            text,
            "\n{origin} is behind what was signed: writes are refused until '{} admin new-epoch --reason TEXT'",
            context.program()
        );
    }
    tell(
        context,
        &text,
        &json!({"logs": super::backup::logs(&restored.logs), "stopped": restored.stopped}),
    )
}
