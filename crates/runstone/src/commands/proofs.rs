//! Entries of the journal in a folder, each with its receipt.

use std::collections::BTreeSet;
use std::path::Path;

use crate::commands::admin::counted;
use crate::context::{Context, parse};
use crate::output::value::{items, text};

/// Writes each entry with its receipt, and the keys of the log.
pub fn write(context: &Context, folder: &Path, entries: &BTreeSet<u64>) -> anyhow::Result<()> {
    let failed = |path: &Path, error: &std::io::Error| {
        anyhow::anyhow!("cannot write {}: {error}", path.display())
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| failed(&path, &error))
    };
    let org = context.org();
    let head = parse(&context.get(context.api(&["journal", org], &[]))?)?;
    let mut keys = String::new();
    for key in items(&head, "keys") {
        keys.push_str(&text(key, "vkey"));
        keys.push('\n');
    }
    write("keys", keys.as_bytes())?;
    for index in entries {
        let index = index.to_string();
        let fetch = |what: &str| context.get(context.api(&["journal", org, what, &index], &[]));
        write(&format!("entry-{index}.json"), &fetch("entries")?)?;
        write(&format!("entry-{index}.tlog-proof"), &fetch("receipts")?)?;
    }
    context.streams.err(&format!(
        "{} written to {}\n",
        counted(entries.len() as u64, "receipt", "receipts"),
        folder.display()
    ));
    Ok(())
}
