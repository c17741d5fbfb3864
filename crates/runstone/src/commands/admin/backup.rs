//! `admin backup`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{check_output, existing, progress, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::server;

const FLAGS: &[Flag] = &[Flag::bool(
    "with-secrets",
    "[optional] Put the signing seed and the pepper of keys into the backup, too. Without them a restored store needs the key file.",
)];

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "backup"],
    usage: "FOLDER",
    arguments: Arguments::Exactly(1),
    about: "Copy the store into a new folder, consistent, also beside a running server.",
    flags: &[server::STORE, FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let folder = context.argument(0);
    let with_secrets = context.values.bool("with-secrets");
    let mut progress = progress(context);
    let done = server::runtime()?.block_on(runstone_store::backup(
        &options,
        Path::new(folder),
        with_secrets,
        &mut progress,
    ))?;
    let mut text = format!(
        "backup of {} files and {} bytes in {folder}",
        done.files, done.bytes
    );
    for (origin, size) in &done.logs {
        let _ = write!(text, "\n  {origin}: {size} entries");
    }
    tell(
        context,
        &text,
        &json!({"files": done.files, "bytes": done.bytes, "logs": logs(&done.logs)}),
    )
}

/// Origins and sizes.
pub fn logs(logs: &[(String, u64)]) -> Vec<Value> {
    logs.iter()
        .map(|(origin, size)| json!({"origin": origin, "size": size}))
        .collect()
}
