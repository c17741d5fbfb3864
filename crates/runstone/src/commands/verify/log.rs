//! What a verified log means: whose key speaks for it, whether it extends what was seen before, how
//! its epochs follow each other, and what was lost between them.
//!
//! The journal crate says whether entries, tiles and checkpoint agree; this module alone reads
//! entries, and only the one event that begins an epoch. It reads no file and asks nobody.

use std::fmt;

use runstone_journal::checkpoint::{Checkpoint, CheckpointError};
use runstone_journal::merkle::{Frontier, Hash, leaf_hash};
use runstone_journal::note::{Note, NoteError, VerifierKey};
use runstone_journal::verify::{CHECKPOINT_PATH, Fetch, Mode, Request, VerifyError, verify_at};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::memory::Memory;

/// Path of the keys below the prefix of a log.
const KEYS_PATH: &str = "keys";
/// How an entry that begins an epoch spells it; entries are canonical JSON.
const EPOCH_BEGUN: &[u8] = b"\"event\":\"EpochBegun\"";
/// How an entry that brings another key into use spells it.
const KEY_ROTATED: &[u8] = b"\"event\":\"KeyRotated\"";

/// Why a key is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysFrom {
    /// The user named it.
    Given,
    /// An earlier verification ended with it.
    Remembered,
    /// The log shows it, and was never seen before.
    FirstUse,
}

/// Entries that were signed and are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Origin of the epoch that had them.
    pub origin: String,
    /// Index of the first.
    pub from: u64,
    /// Index after the last that is known to have been signed.
    pub to: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} from index {} on",
            self.to - self.from,
            self.origin,
            self.from
        )
    }
}

/// The beginning of an epoch, as its first entry tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Its digits.
    pub epoch: String,
    /// Origin of the one before.
    pub origin_before: String,
    /// Size continued from, and index of the entry.
    pub size: u64,
    /// Size of the highest checkpoint known to have been signed before.
    pub signed_size: u64,
}

/// Something a reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An epoch begins here.
    Epoch(Epoch),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Epoch(epoch) = self;
        write!(
            f,
            "epoch {} begins at index {} and continues {}",
            epoch.epoch, epoch.size, epoch.origin_before
        )?;
        if epoch.signed_size > epoch.size {
            write!(f, ", of which {} entries were signed", epoch.signed_size)?;
        }
        Ok(())
    }
}

/// What was found out about a log whose every byte agrees with its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The same, signed.
    pub note: String,
    /// Keys that are trusted.
    pub keys: Vec<VerifierKey>,
    /// Why.
    pub keys_from: KeysFrom,
    /// Entries read this time.
    pub entries_checked: u64,
    /// Tiles derived this time.
    pub tiles_checked: u64,
    /// The checkpoint verified before, which this one extends.
    pub extends: Option<Checkpoint>,
    /// What a reader should know.
    pub findings: Vec<Finding>,
    /// What is gone; a log with losses is not valid.
    pub lost: Vec<Lost>,
}

impl Verdict {
    /// What to remember.
    pub fn remember(&self, before: Option<&Memory>) -> Memory {
        Memory {
            checkpoint: self.note.clone(),
            keys: self.keys.iter().map(ToString::to_string).collect(),
            first_use: match self.keys_from {
                KeysFrom::Given => false,
                KeysFrom::FirstUse => true,
                KeysFrom::Remembered => before.is_some_and(|memory| memory.first_use),
            },
            lost: self.lost.clone(),
        }
    }
}

/// Why a log is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The bytes do not agree, or cannot be read.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// The checkpoint is no checkpoint.
    #[error("the checkpoint is not valid: {0}")]
    Checkpoint(String),
    /// The file of keys is none.
    #[error("the log's keys cannot be read: {0}")]
    Keys(String),
    /// Nothing says which key to trust.
    #[error("the log shows no key for its origin {0}: give its public key with --key")]
    NoKey(String),
    /// Somebody else signed.
    #[error(
        "the checkpoint is signed by none of the trusted keys; the log now shows {shown}, which none of them vouches for: if its owner confirms it, verify with --key"
    )]
    OtherKey {
        /// What the log shows.
        shown: String,
    },
    /// Another epoch, whose key is not trusted.
    #[error(
        "the log has become {origin}, which the trusted keys do not speak for; it shows {shown}: if its owner confirms that key, verify with --key"
    )]
    OtherOrigin {
        /// The new origin.
        origin: String,
        /// What the log shows.
        shown: String,
    },
    /// An entry says of an epoch what is not so.
    #[error("entry {index} begins an epoch, but {reason}")]
    Epoch {
        /// The entry.
        index: u64,
        /// What is not so.
        reason: String,
    },
    /// The log goes by another name than the one verified before.
    #[error("the log is {found}, the one verified before was {expected}, and no epoch joins them")]
    OtherLog {
        /// Origin now.
        found: String,
        /// Origin before.
        expected: String,
    },
    /// The tree holds something else than it did.
    #[error(
        "the log does not extend the checkpoint of {0} entries that was verified before: what was seen was changed"
    )]
    Inconsistent(u64),
    /// The memory is damaged.
    #[error("what is remembered of the log cannot be used: {0}")]
    Memory(String),
}

/// Reads lines that begin with a key; blank lines and those with `#` are left out.
pub fn read_keys(text: &str) -> Result<Vec<VerifierKey>, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let key = line.split_whitespace().next().unwrap_or_default();
            VerifierKey::parse(key).map_err(|error| error.to_string())
        })
        .collect()
}

/// Verifies a log. `pinned` keys are the only trusted ones, if there are any; else those that
/// `memory` holds; else those the log shows.
pub fn verify(
    fetch: &mut dyn Fetch,
    pinned: &[VerifierKey],
    memory: Option<&Memory>,
    full: bool,
) -> Result<Verdict, Fault> {
    let note = fetch_needed(fetch, CHECKPOINT_PATH)?;
    let claimed = Note::parse(&note)
        .map_err(CheckpointError::from)
        .and_then(|note| Checkpoint::parse(note.text()))
        .map_err(|error| Fault::Checkpoint(error.to_string()))?;
    let (keys, keys_from) = trusted(fetch, pinned, memory, &claimed.origin)?;
    if let Err(CheckpointError::Note(NoteError::NoTrustedSignature)) =
        Checkpoint::open(&note, &keys)
    {
        let shown = shown_keys(fetch, &claimed.origin)?;
        return Err(Fault::OtherKey {
            shown: spelled(&shown),
        });
    }

    let remembered = memory
        .map(Memory::checkpoint)
        .transpose()
        .map_err(Fault::Memory)?;
    // The edge of an earlier epoch says nothing under the new name: then all is read again.
    let same = remembered
        .as_ref()
        .filter(|old| old.origin == claimed.origin);
    let incremental = same.is_some() && !full;
    let request = Request {
        keys: &keys,
        origin: None,
        remembered: same,
        mode: if incremental {
            Mode::Incremental
        } else {
            Mode::Full
        },
    };
    let mut reading = Reading {
        tree: (!incremental).then(Frontier::new),
        watched: remembered.as_ref().map(|old| (old.size, None)),
        epochs: Vec::new(),
        rotated: Vec::new(),
    };
    let verified = verify_at(fetch, note, &request, &mut |index, entry| {
        reading.entry(index, entry)
    })?;
    reading.finish();
    // A checkpoint that a trusted key signed covers these entries: it vouches for their keys.
    let mut keys = keys;
    for key in &reading.rotated {
        if key.name() == verified.checkpoint.origin && !keys.contains(key) {
            keys.push(key.clone());
        }
    }

    let mut lost = memory.map(|memory| memory.lost.clone()).unwrap_or_default();
    if !incremental {
        check_names(&reading.epochs, &verified.checkpoint.origin)?;
        lost.extend(lost_between(&reading.epochs, remembered.as_ref()));
        dedup(&mut lost);
    }
    if let Some(old) = &remembered
        && same.is_none()
    {
        check_across(&reading, old, &verified.checkpoint)?;
    }
    Ok(Verdict {
        note: String::from_utf8_lossy(&verified.note).into_owned(),
        checkpoint: verified.checkpoint,
        keys,
        keys_from,
        entries_checked: verified.entries,
        tiles_checked: verified.tiles,
        extends: remembered,
        findings: reading.epochs.into_iter().map(Finding::Epoch).collect(),
        lost,
    })
}

fn fetch_needed(fetch: &mut dyn Fetch, path: &str) -> Result<Vec<u8>, Fault> {
    let found = fetch.fetch(path).map_err(|source| VerifyError::Fetch {
        path: path.to_owned(),
        source,
    })?;
    found.ok_or_else(|| {
        Fault::Log(VerifyError::Missing {
            path: path.to_owned(),
        })
    })
}

/// The keys the log shows for `origin`.
fn shown_keys(fetch: &mut dyn Fetch, origin: &str) -> Result<Vec<VerifierKey>, Fault> {
    let found = fetch
        .fetch(KEYS_PATH)
        .map_err(|source| VerifyError::Fetch {
            path: KEYS_PATH.to_owned(),
            source,
        })?;
    let text = String::from_utf8(found.unwrap_or_default())
        .map_err(|error| Fault::Keys(error.to_string()))?;
    let mut keys = read_keys(&text).map_err(Fault::Keys)?;
    keys.retain(|key| key.name() == origin);
    Ok(keys)
}

fn spelled(keys: &[VerifierKey]) -> String {
    if keys.is_empty() {
        return "no key".to_owned();
    }
    keys.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn trusted(
    fetch: &mut dyn Fetch,
    pinned: &[VerifierKey],
    memory: Option<&Memory>,
    origin: &str,
) -> Result<(Vec<VerifierKey>, KeysFrom), Fault> {
    let (keys, from) = if !pinned.is_empty() {
        (pinned.to_vec(), KeysFrom::Given)
    } else if let Some(memory) = memory {
        (memory.keys().map_err(Fault::Memory)?, KeysFrom::Remembered)
    } else {
        let shown = shown_keys(fetch, origin)?;
        if shown.is_empty() {
            return Err(Fault::NoKey(origin.to_owned()));
        }
        return Ok((shown, KeysFrom::FirstUse));
    };
    if keys.iter().any(|key| key.name() == origin) {
        return Ok((keys, from));
    }
    Err(Fault::OtherOrigin {
        origin: origin.to_owned(),
        shown: spelled(&shown_keys(fetch, origin)?),
    })
}

/// What is gathered while entries pass.
struct Reading {
    /// The tree so far; absent where the walk does not begin with the first entry.
    tree: Option<Frontier>,
    /// A size whose root is wanted, and the root once it was passed.
    watched: Option<(u64, Option<Hash>)>,
    epochs: Vec<Epoch>,
    /// Keys that entries brought into use.
    rotated: Vec<VerifierKey>,
}

impl Reading {
    fn entry(&mut self, index: u64, entry: &[u8]) -> Result<(), String> {
        self.look();
        if entry
            .windows(EPOCH_BEGUN.len())
            .any(|window| window == EPOCH_BEGUN)
        {
            self.epoch(index, entry)?;
        }
        if entry
            .windows(KEY_ROTATED.len())
            .any(|window| window == KEY_ROTATED)
        {
            self.rotation(entry)?;
        }
        if let Some(tree) = &mut self.tree {
            tree.push(leaf_hash(entry));
        }
        Ok(())
    }

    /// Takes the watched root when the tree has its size.
    fn look(&mut self) {
        if let (Some((size, root @ None)), Some(tree)) = (&mut self.watched, &self.tree)
            && tree.size() == *size
        {
            *root = Some(tree.root());
        }
    }

    fn finish(&mut self) {
        self.look();
    }

    fn rotation(&mut self, entry: &[u8]) -> Result<(), String> {
        let value: Value = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
        if value["event"] == "KeyRotated" {
            let vkey = value["data"]["vkey"].as_str().unwrap_or_default();
            let key = VerifierKey::parse(vkey)
                .map_err(|error| format!("the key it brings into use cannot be read: {error}"))?;
            self.rotated.push(key);
        }
        Ok(())
    }

    fn epoch(&mut self, index: u64, entry: &[u8]) -> Result<(), String> {
        let value: Value = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
        if value["event"] != "EpochBegun" {
            return Ok(());
        }
        let data = &value["data"];
        let text = |key: &str| {
            data[key]
                .as_str()
                .map(ToOwned::to_owned)
                .ok_or_else(|| format!("the beginning of an epoch has no {key}"))
        };
        let number = |key: &str| {
            data[key]
                .as_u64()
                .ok_or_else(|| format!("the beginning of an epoch has no {key}"))
        };
        let epoch = Epoch {
            epoch: text("epoch")?,
            origin_before: text("origin")?,
            size: number("size")?,
            signed_size: number("signed_size")?,
        };
        if epoch.size != index {
            return Err(format!(
                "it says that it continues {} entries, but is number {index}",
                epoch.size
            ));
        }
        let Some(tree) = &self.tree else {
            // Another epoch has another name, and the walk would have begun at the first entry.
            return Err("an epoch begins within an epoch".to_owned());
        };
        if text("root")? != runstone_model::id::encode_hex(&tree.root()) {
            return Err("it names another root than the entries before it have".to_owned());
        }
        self.epochs.push(epoch);
        Ok(())
    }
}

/// Whether each epoch continues the one before it, and the last is the one that signs.
fn check_names(epochs: &[Epoch], origin: &str) -> Result<(), Fault> {
    let renamed = |origin: &str, epoch: &str| {
        let prefix = origin.rsplit_once('/').map_or(origin, |(prefix, _)| prefix);
        format!("{prefix}/{epoch}")
    };
    for (position, epoch) in epochs.iter().enumerate() {
        let expected = match epochs.get(position + 1) {
            Some(next) => next.origin_before.as_str(),
            None => origin,
        };
        let found = renamed(&epoch.origin_before, &epoch.epoch);
        if found != expected {
            return Err(Fault::Epoch {
                index: epoch.size,
                reason: format!("it is called {found}, and what follows is {expected}"),
            });
        }
    }
    Ok(())
}

/// What was signed in an epoch and is not in the one that continues it.
fn lost_between(epochs: &[Epoch], remembered: Option<&Checkpoint>) -> Vec<Lost> {
    epochs
        .iter()
        .filter_map(|epoch| {
            // Our own memory is a witness too.
            let seen = remembered
                .filter(|old| old.origin == epoch.origin_before)
                .map_or(0, |old| old.size);
            let to = epoch.signed_size.max(seen);
            (to > epoch.size).then(|| Lost {
                origin: epoch.origin_before.clone(),
                from: epoch.size,
                to,
            })
        })
        .collect()
}

/// The widest loss of each beginning.
fn dedup(lost: &mut Vec<Lost>) {
    lost.sort_by(|a, b| (a.from, &a.origin, b.to).cmp(&(b.from, &b.origin, a.to)));
    lost.dedup_by(|later, kept| later.from == kept.from && later.origin == kept.origin);
}

/// Whether a log extends a checkpoint of an earlier epoch of it, as far as it claims to.
fn check_across(reading: &Reading, old: &Checkpoint, new: &Checkpoint) -> Result<(), Fault> {
    let Some(ended) = reading
        .epochs
        .iter()
        .find(|epoch| epoch.origin_before == old.origin)
    else {
        return Err(Fault::OtherLog {
            found: new.origin.clone(),
            expected: old.origin.clone(),
        });
    };
    if old.size > ended.size {
        // Entries are gone, and named as lost.
        return Ok(());
    }
    match reading.watched {
        Some((_, Some(root))) if root == old.root => Ok(()),
        _ => Err(Fault::Inconsistent(old.size)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::collections::BTreeMap;

    use runstone_journal::merkle::Edge;
    use runstone_journal::note::Signer;
    use runstone_journal::tile::{TilePath, all_tiles, encode_bundle};
    use runstone_journal::verify::FetchError;
    use serde_json::json;

    use super::*;

    /// A log in memory, in its current epoch.
    #[derive(Clone)]
    struct Log {
        entries: Vec<Vec<u8>>,
        origin: String,
        shown: Vec<String>,
    }

    fn signer(origin: &str) -> Signer {
        let mut seed = [0; 32];
        for (at, byte) in origin.bytes().enumerate() {
            seed[at % 32] ^= byte;
        }
        Signer::new(origin, &seed).unwrap()
    }

    fn key(origin: &str) -> VerifierKey {
        signer(origin).verifier_key().clone()
    }

    impl Log {
        fn new() -> Self {
            let origin = "host/log/acme/00000000".to_owned();
            Self {
                entries: Vec::new(),
                shown: vec![key(&origin).to_string()],
                origin,
            }
        }

        fn push(&mut self, count: usize) {
            for _ in 0..count {
                let number = self.entries.len();
                let entry = json!({"event": "SnapshotRecorded", "number": number});
                self.entries.push(entry.to_string().into_bytes());
            }
        }

        fn edge(&self) -> Edge {
            let mut edge = Edge::new();
            for entry in &self.entries {
                edge.push(leaf_hash(entry), &mut |_| {});
            }
            edge
        }

        fn begin(&mut self, epoch: &str, signed_size: u64) {
            self.begin_as(
                epoch,
                json!({
                    "epoch": epoch,
                    "origin": self.origin,
                    "root": runstone_model::id::encode_hex(&self.edge().root()),
                    "size": self.entries.len(),
                    "signed_size": signed_size,
                }),
            );
        }

        fn begin_as(&mut self, epoch: &str, data: Value) {
            // Members of entries are sorted, and this one would be so without the help of a map.
            self.entries
                .push(format!("{{\"data\":{data},\"event\":\"EpochBegun\"}}").into_bytes());
            self.origin = format!("host/log/acme/{epoch}");
            self.shown.push(key(&self.origin).to_string());
        }

        fn files(&self) -> Files {
            let mut files = BTreeMap::new();
            let edge = self.edge();
            let size = self.entries.len() as u64;
            let checkpoint = Checkpoint {
                origin: self.origin.clone(),
                size,
                root: edge.root(),
            };
            let note = checkpoint.sign(&[&signer(&self.origin)]).unwrap();
            files.insert("checkpoint".to_owned(), note.to_string().into_bytes());
            let mut keys = String::new();
            for key in &self.shown {
                keys.push_str(key);
                keys.push_str(" 0 -\n");
            }
            files.insert("keys".to_owned(), keys.into_bytes());
            // Small enough for one tile of each level.
            assert!(size < 256);
            for path in all_tiles(size) {
                files.insert(path.to_string(), edge.partial(0).to_vec());
            }
            if size > 0 {
                let entries = TilePath::at_size(runstone_journal::tile::TileKind::Entries, 0, size);
                files.insert(
                    entries.unwrap().to_string(),
                    encode_bundle(&self.entries).unwrap(),
                );
            }
            Files(files)
        }
    }

    struct Files(BTreeMap<String, Vec<u8>>);

    impl Fetch for Files {
        fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
            Ok(self.0.get(path).cloned())
        }
    }

    fn check(log: &Log, pinned: &[VerifierKey], memory: Option<&Memory>) -> Result<Verdict, Fault> {
        verify(&mut log.files(), pinned, memory, false)
    }

    /// What a first verification remembers.
    fn remembered(log: &Log) -> Memory {
        check(log, &[], None).unwrap().remember(None)
    }

    #[test]
    fn a_new_epoch_is_followed_only_with_its_key() {
        let mut log = Log::new();
        log.push(5);
        let memory = remembered(&log);
        assert!(memory.first_use);
        log.push(2);
        log.begin("11111111", 7);
        log.push(3);
        let error = check(&log, &[], Some(&memory)).unwrap_err();
        assert!(
            matches!(&error, Fault::OtherOrigin { origin, shown } if *origin == log.origin && shown.contains("11111111+")),
            "{error}"
        );
        let verdict = check(&log, &[key(&log.origin)], Some(&memory)).unwrap();
        assert_eq!(verdict.lost, []);
        assert_eq!(verdict.extends.unwrap().size, 5);
        assert_eq!(verdict.findings.len(), 1);
    }

    #[test]
    fn a_gap_between_epochs_is_lost_and_stays_so() {
        let mut log = Log::new();
        log.push(5);
        let mut longer = log.clone();
        longer.push(4);
        let memory = remembered(&longer);
        // The new epoch admits to six signed entries; nine were seen here.
        log.begin("11111111", 6);
        log.push(1);
        let keys = [key(&log.origin)];
        let lost = vec![Lost {
            origin: "host/log/acme/00000000".to_owned(),
            from: 5,
            to: 9,
        }];
        let verdict = check(&log, &keys, Some(&memory)).unwrap();
        assert_eq!(verdict.lost, lost);
        let memory = verdict.remember(Some(&memory));
        log.push(1);
        assert_eq!(check(&log, &keys, Some(&memory)).unwrap().lost, lost);
        let again = verify(&mut log.files(), &keys, Some(&memory), true).unwrap();
        assert_eq!(again.lost, lost, "also when all is read again");
        // Who never saw the nine is told of the six.
        let first = check(&log, &keys, None).unwrap();
        assert_eq!((first.lost[0].from, first.lost[0].to), (5, 6));
    }

    #[test]
    fn an_epoch_that_says_what_is_not_so_is_refused() {
        let begin = |change: &dyn Fn(&mut Value)| {
            let mut log = Log::new();
            log.push(5);
            let mut data = json!({
                "epoch": "11111111",
                "origin": log.origin,
                "root": runstone_model::id::encode_hex(&log.edge().root()),
                "size": 5,
                "signed_size": 5,
            });
            change(&mut data);
            log.begin_as("11111111", data);
            check(&log, &[key(&log.origin)], None)
        };
        assert!(begin(&|_| {}).is_ok());
        let refused = |change: &dyn Fn(&mut Value), expected: &str| {
            let error = begin(change).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(
            &|data| data["size"] = json!(4),
            "it says that it continues 4 entries",
        );
        refused(&|data| data["root"] = json!("00"), "another root");
        refused(&|data| data["epoch"] = json!("22222222"), "is called");
        refused(&|data| data["origin"] = json!("h/log/x/0"), "is called");
        refused(
            &|data| data["signed_size"] = Value::Null,
            "has no signed_size",
        );
    }

    #[test]
    fn changed_history_is_found_across_epochs() {
        let mut log = Log::new();
        log.push(5);
        let memory = remembered(&log);
        let mut other = Log::new();
        other.push(6);
        other.entries[2] = b"{}".to_vec();
        other.begin("11111111", 6);
        let error = check(&other, &[key(&other.origin)], Some(&memory)).unwrap_err();
        assert!(matches!(error, Fault::Inconsistent(5)), "{error}");
        // The same name, and no epoch that leads there.
        let mut stranger = Log::new();
        stranger.origin = "host/log/acme/99999999".to_owned();
        stranger.push(6);
        let error = check(&stranger, &[key(&stranger.origin)], Some(&memory)).unwrap_err();
        assert!(matches!(error, Fault::OtherLog { .. }), "{error}");
    }

    #[test]
    fn keys_are_read_one_a_line() {
        let text = format!("# ours\n\n{} 0 -\n{}\n", key("a/b"), key("c/d"));
        assert_eq!(read_keys(&text).unwrap(), [key("a/b"), key("c/d")]);
        assert!(read_keys("nonsense\n").is_err());
        assert_eq!(read_keys("").unwrap(), []);
    }
}
