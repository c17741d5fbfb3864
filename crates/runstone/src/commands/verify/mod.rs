//! `verify`: whether a log, an exported folder or a receipt is what its keys say, with nothing but
//! public keys.
//!
//! It owns what is printed. `log` draws the conclusions, `source` reads bytes, `memory` keeps what
//! was seen before; the journal crate does all arithmetic.

mod log;
mod memory;
mod receipt;
mod source;
mod watched;

use std::fmt::Write as _;

use runstone_journal::note::VerifierKey;
use serde_json::{Value, json};

use self::log::{Finding, KeysFrom, Lost, Verdict};
use self::memory::Memory;
use self::source::{Folder, Place, Site};
use self::watched::Watched;
use crate::commands::admin::{counted, progress};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{Flag, Kind, OUTPUT};
use crate::output::table::columns;

const FLAGS: &[Flag] = &[
    Flag::new(
        "key",
        Kind::Repeated,
        "[conditional] A public key of the log as name+id+base64. May be given several times; then no other key is trusted. Required for receipts of logs that were never verified here.",
    ),
    Flag::text(
        "key-file",
        "[optional] A file with such keys, one per line; what follows a blank on a line is left out.",
    ),
    Flag::text(
        "entry",
        "[conditional] For a receipt: the file with the entry.",
    ),
    Flag::text(
        "state",
        "[optional] The file that remembers what was verified. Default: one per log below ~/.config/runstone/verified.",
    ),
    Flag::bool(
        "full",
        "[optional] Verify every entry again, also those verified before.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["verify"],
    usage: "URL|FOLDER|RECEIPT",
    arguments: Arguments::Exactly(1),
    about: "Check that a log, an exported folder or a receipt is what its keys say.",
    details: "A log is checked entry by entry against its signed checkpoint and against the checkpoint that was verified here before. Without --key, the key that a log shows the first time is trusted from then on. Exits with 1 when something does not hold.\n\nFor example:\n  runstone verify http://127.0.0.1:8080/log/local\n  runstone verify ./export --key-file keys\n  runstone verify entry-12.tlog-proof --entry entry-12.json --key-file keys",
    flags: &[FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check,
    run,
    ..Command::DEFAULT
};

fn check(context: &Context) -> anyhow::Result<()> {
    match context.values.text("output") {
        "table" | "json" => Ok(()),
        other => anyhow::bail!("unsupported output format: {other}"),
    }
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let pinned = pinned(context)?;
    match Place::of(context.argument(0))? {
        Place::Receipt(path) => receipt::verify(context, &path, &pinned),
        Place::Folder(path) => {
            let name = std::fs::canonicalize(&path)?.display().to_string();
            verify_log(context, &name, &mut Folder::new(path), &pinned)
        }
        Place::Site(url) => {
            // The key of the server on this machine is not for others to see.
            let host = context.values.text("host").trim_end_matches('/').to_owned();
            let is_ours = url
                .strip_prefix(&host)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !is_ours
                && context.values.source("api-token") != Some(&crate::grammar::values::Source::Line)
            {
                context.values.replace_text("api-token", "");
            }
            let mut site = Site::new(context, &url);
            verify_log(context, &url, &mut site, &pinned)
        }
    }
}

/// The keys that `--key` and `--key-file` name.
fn pinned(context: &Context) -> anyhow::Result<Vec<VerifierKey>> {
    let mut keys = Vec::new();
    for text in context.values.list("key") {
        keys.push(VerifierKey::parse(text).map_err(|error| anyhow::anyhow!("--key: {error}"))?);
    }
    let file = context.values.text("key-file");
    if !file.is_empty() {
        let text = std::fs::read_to_string(file)
            .map_err(|error| anyhow::anyhow!("cannot read key file {file}: {error}"))?;
        let found = log::read_keys(&text).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        if found.is_empty() {
            anyhow::bail!("key file {file} holds no key");
        }
        keys.extend(found);
    }
    Ok(keys)
}

fn verify_log(
    context: &Context,
    name: &str,
    fetch: &mut dyn runstone_journal::verify::Fetch,
    pinned: &[VerifierKey],
) -> anyhow::Result<()> {
    let path = memory::path(context.values.text("state"), context.process.home(), name);
    let before = Memory::read(&path)?;
    let mut tell = progress(context);
    let verdict = log::verify(
        &mut Watched::new(fetch, &mut tell),
        pinned,
        before.as_ref(),
        context.values.bool("full"),
    );
    // The bar goes before anything is said.
    drop(tell);
    let verdict = verdict?;
    verdict.remember(before.as_ref()).write(&path)?;
    if context.values.text("output") == "json" {
        context.print(
            &crate::output::json::indented(as_json(name, &verdict).to_string().as_bytes(), 2)
                .map_err(anyhow::Error::msg)?,
        );
    } else {
        context.print(&as_table(name, &verdict));
    }
    match verdict.lost.as_slice() {
        [] => Ok(()),
        lost => Err(anyhow::anyhow!(
            "entries of the log were lost: {}",
            lost.iter()
                .map(Lost::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        )),
    }
}

fn as_table(name: &str, verdict: &Verdict) -> String {
    let mut rows = vec![
        vec!["Log:".to_owned(), name.to_owned()],
        vec!["Origin:".to_owned(), verdict.checkpoint.origin.clone()],
    ];
    for key in &verdict.keys {
        rows.push(vec!["Key:".to_owned(), key.to_string()]);
    }
    let trusted = match verdict.keys_from {
        KeysFrom::Given => "given on the command line",
        KeysFrom::Remembered => "the one remembered from before",
        KeysFrom::FirstUse => {
            "on first use, because the log shows it; compare it with what its owner says, or give it with --key"
        }
    };
    rows.push(vec!["Trusted:".to_owned(), trusted.to_owned()]);
    rows.push(vec![
        "Entries:".to_owned(),
        verdict.checkpoint.size.to_string(),
    ]);
    let mut checked = format!(
        "{} and {}",
        counted(verdict.entries_checked, "entry", "entries"),
        counted(verdict.tiles_checked, "tile", "tiles")
    );
    if verdict.entries_checked < verdict.checkpoint.size {
        let _ = write!(checked, ", the rest earlier (--full checks all again)");
    }
    rows.push(vec!["Checked:".to_owned(), checked]);
    rows.push(vec![
        "Extends:".to_owned(),
        match &verdict.extends {
            Some(old) => format!(
                "the checkpoint of {} verified before",
                counted(old.size, "entry", "entries")
            ),
            None => "nothing, it was not verified here before".to_owned(),
        },
    ]);
    for finding in &verdict.findings {
        rows.push(vec!["Note:".to_owned(), finding.to_string()]);
    }
    rows.push(vec![
        "Verdict:".to_owned(),
        if verdict.lost.is_empty() {
            "valid".to_owned()
        } else {
            "entries were lost".to_owned()
        },
    ]);
    labelled(&rows)
}

/// Rows of a label and a value.
fn labelled(rows: &[Vec<String>]) -> String {
    let lines: String = rows.iter().map(|row| row.join("\t") + "\n").collect();
    columns(&lines)
}

fn as_json(name: &str, verdict: &Verdict) -> Value {
    json!({
        "log": name,
        "origin": verdict.checkpoint.origin,
        "size": verdict.checkpoint.size,
        "root": hex(&verdict.checkpoint.root),
        "keys": verdict.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "keys_from": match verdict.keys_from {
            KeysFrom::Given => "given",
            KeysFrom::Remembered => "remembered",
            KeysFrom::FirstUse => "first use",
        },
        "entries_checked": verdict.entries_checked,
        "tiles_checked": verdict.tiles_checked,
        "extends": verdict.extends.as_ref().map(|old| old.size),
        "epochs": verdict.findings.iter().map(|finding| match finding {
            Finding::Epoch(epoch) => json!({
                "epoch": epoch.epoch,
                "origin_before": epoch.origin_before,
                "size": epoch.size,
                "signed_size": epoch.signed_size,
            }),
        }).collect::<Vec<_>>(),
        "lost": verdict.lost.iter().map(|lost| json!({
            "origin": lost.origin, "from": lost.from, "to": lost.to,
        })).collect::<Vec<_>>(),
        "valid": verdict.lost.is_empty(),
    })
}

fn hex(bytes: &[u8]) -> String {
    runstone_model::id::encode_hex(bytes)
}
