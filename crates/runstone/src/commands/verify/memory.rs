//! What was verified before: the last checkpoint of each log, the keys it was verified with, and
//! what was found lost. It is believed, so it lies where only the user writes.

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::{Note, VerifierKey};
use serde::{Deserialize, Serialize};

use super::log::Lost;

/// What is remembered of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
    /// Trusted keys.
    pub keys: Vec<String>,
    /// Whether they were trusted because the log showed them.
    pub first_use: bool,
    /// What was lost.
    #[serde(default)]
    pub lost: Vec<Lost>,
}

/// The file that remembers the log `name`, unless one is given.
pub fn path(given: &str, home: Option<&Path>, name: &str) -> PathBuf {
    if !given.is_empty() {
        return PathBuf::from(given);
    }
    let hash = runstone_model::id::encode_hex(digest(&SHA256, name.as_bytes()).as_ref());
    folder(home).join(format!("{}.json", &hash[..32]))
}

/// Where the files lie.
fn folder(home: Option<&Path>) -> PathBuf {
    home.unwrap_or(Path::new(""))
        .join(".config/runstone/verified")
}

impl Memory {
    /// Reads a file; nothing if there is none. One that cannot be read is an error: going on
    /// without it would trust anew.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let damaged = |reason: String| {
            anyhow::anyhow!(
                "{} remembers what was verified before and cannot be read ({reason}); remove it only if you trust the log anew",
                path.display()
            )
        };
        match std::fs::read(path) {
            Ok(bytes) => {
                let memory: Self =
                    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                memory.checkpoint().map_err(damaged)?;
                memory.keys().map_err(damaged)?;
                Ok(Some(memory))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        crate::config::write_private(path, &text)
            .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> Result<Checkpoint, String> {
        let note = Note::parse(self.checkpoint.as_bytes()).map_err(|error| error.to_string())?;
        Checkpoint::parse(note.text()).map_err(|error| error.to_string())
    }

    /// The keys.
    pub fn keys(&self) -> Result<Vec<VerifierKey>, String> {
        self.keys
            .iter()
            .map(|key| VerifierKey::parse(key).map_err(|error| error.to_string()))
            .collect()
    }

    /// The keys of every log verified on this machine, for receipts.
    pub fn all_keys(home: Option<&Path>) -> Vec<VerifierKey> {
        let Ok(files) = std::fs::read_dir(folder(home)) else {
            return Vec::new();
        };
        files
            .filter_map(|file| Self::read(&file.ok()?.path()).ok()?)
            .filter_map(|memory| memory.keys().ok())
            .flatten()
            .collect()
    }
}
