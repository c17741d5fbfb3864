//! One receipt: that an entry is in a log whose key is trusted, offline.

use std::path::Path;

use runstone_journal::ENTRY_BYTES_MAX;
use runstone_journal::note::VerifierKey;
use runstone_journal::proof::{RECEIPT_BYTES_MAX, Receipt, verify_receipt};
use serde_json::json;

use super::memory::Memory;
use super::source::read_bounded;
use crate::context::Context;

/// Verifies the receipt at `path` for the entry that `--entry` names.
pub fn verify(context: &Context, path: &Path, pinned: &[VerifierKey]) -> anyhow::Result<()> {
    let read = |path: &Path, limit: usize| {
        read_bounded(path, limit)
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()))
    };
    let receipt = Receipt::parse(&read(path, RECEIPT_BYTES_MAX)?)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let entry = context.values.text("entry");
    if entry.is_empty() {
        anyhow::bail!(
            "--entry is required: a receipt says that an entry is in the log, but does not hold it"
        );
    }
    let entry = read(Path::new(entry), ENTRY_BYTES_MAX)?;
    let keys = if pinned.is_empty() {
        let known = Memory::all_keys(context.process.home());
        if known.is_empty() {
            anyhow::bail!(
                "no key is trusted yet: give the log's public key with --key, or verify the log first"
            );
        }
        known
    } else {
        pinned.to_vec()
    };
    let checkpoint = verify_receipt(&receipt, &entry, &keys)
        .map_err(|error| anyhow::anyhow!("the receipt does not hold: {error}"))?;
    if context.values.text("output") == "json" {
        let value = json!({
            "origin": checkpoint.origin,
            "index": receipt.index,
            "size": checkpoint.size,
            "root": super::hex(&checkpoint.root),
            "valid": true,
        });
        context.print(
            &crate::output::json::indented(value.to_string().as_bytes(), 2)
                .map_err(anyhow::Error::msg)?,
        );
    } else {
        let row = |label: &str, value: String| vec![label.to_owned(), value];
        context.print(&super::labelled(&[
            row("Origin:", checkpoint.origin),
            row("Entry:", receipt.index.to_string()),
            row(
                "Below:",
                format!("the checkpoint of {} entries", checkpoint.size),
            ),
            row("Verdict:", "valid".to_owned()),
        ]));
    }
    Ok(())
}
