//! The stored form of a trail's facts: one small row per slot, so that a new report writes one
//! row however much the trail holds. A row is canonical JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ArtifactKey, CommitBytes, Newest, Record, Slot, TrailState};
use crate::id::{Fingerprint, Micros, decode_hex_32, encode_hex};
use crate::template::Template;

/// Which row of a trail.
///
/// As text: `h`, `t/<name>`, `a/<fingerprint>/<name>`, `n/<fingerprint>`,
/// `b/<fingerprint>/<name>`, `p/<commit>/<target>/<name>`; no name of ours holds a slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// The trail: its template and when it was begun.
    Head,
    /// An attestation of the trail.
    Trail(Box<str>),
    /// An artifact.
    Artifact(ArtifactKey, Fingerprint),
    /// An attestation of an artifact by its fingerprint.
    Bound(Fingerprint, Box<str>),
    /// An attestation of whatever has this name in the template and this commit.
    Pending(Box<str>, CommitBytes, Box<str>),
}

/// A row cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// Not the text of a key.
    #[error("not the key of a trail's row: {0}")]
    Key(String),
    /// Not what was written under the key.
    #[error("row {key} of a trail cannot be read: {text}")]
    Value {
        /// The key.
        key: String,
        /// The text found.
        text: String,
    },
    /// There is no head.
    #[error("a trail's rows have no head")]
    NoHead,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("h"),
            Self::Trail(name) => write!(f, "t/{name}"),
            Self::Artifact(ArtifactKey::Named(name), fingerprint) => {
                write!(f, "a/{fingerprint}/{name}")
            }
            Self::Artifact(ArtifactKey::Nameless(_), fingerprint) => write!(f, "n/{fingerprint}"),
            Self::Bound(fingerprint, name) => write!(f, "b/{fingerprint}/{name}"),
            Self::Pending(target, commit, name) => {
                write!(f, "p/{}/{target}/{name}", encode_hex(commit))
            }
        }
    }
}

impl FromStr for RowKey {
    type Err = BadRow;

    fn from_str(text: &str) -> Result<Self, BadRow> {
        parse_key(text).ok_or_else(|| BadRow::Key(text.to_owned()))
    }
}

fn parse_key(text: &str) -> Option<RowKey> {
    if text == "h" {
        return Some(RowKey::Head);
    }
    let (sort, rest) = text.split_once('/')?;
    let fingerprint = |text: &str| decode_hex_32(text.as_bytes()).map(Fingerprint);
    match sort {
        "t" => Some(RowKey::Trail(rest.into())),
        "n" => {
            let fingerprint = fingerprint(rest)?;
            let key = ArtifactKey::Nameless(fingerprint);
            Some(RowKey::Artifact(key, fingerprint))
        }
        "a" => {
            let (digits, name) = rest.split_once('/')?;
            let key = ArtifactKey::Named(name.into());
            Some(RowKey::Artifact(key, fingerprint(digits)?))
        }
        "b" => {
            let (digits, name) = rest.split_once('/')?;
            Some(RowKey::Bound(fingerprint(digits)?, name.into()))
        }
        "p" => {
            let (digits, rest) = rest.split_once('/')?;
            let (target, name) = rest.split_once('/')?;
            let commit = commit_from_hex(digits)?;
            Some(RowKey::Pending(target.into(), commit, name.into()))
        }
        _ => None,
    }
}

fn commit_from_hex(text: &str) -> Option<CommitBytes> {
    if text.len() != 40 {
        return None;
    }
    let padded = decode_hex_32(format!("{text:0<64}").as_bytes())?;
    padded.first_chunk().copied()
}

/// `[template, begun at]`
#[derive(Serialize, Deserialize)]
struct HeadRow(u32, i64);

/// `[first, no, at, template, kind, compliant, overridden]`
#[derive(Serialize, Deserialize)]
struct SlotRow(u32, u32, i64, u32, Box<str>, bool, Option<u32>);

/// `[first, no, at, template, commit]`
#[derive(Serialize, Deserialize)]
struct RecordRow(u32, u32, i64, u32, Option<String>);

fn slot_row(slot: &Slot) -> String {
    let newest = &slot.newest;
    text(&SlotRow(
        slot.first,
        newest.no,
        newest.at.0,
        newest.template,
        newest.kind.clone(),
        newest.compliant,
        newest.overridden,
    ))
}

fn record_row(record: &Record) -> String {
    text(&RecordRow(
        record.first,
        record.no,
        record.at.0,
        record.template,
        record.commit.as_ref().map(|commit| encode_hex(commit)),
    ))
}

fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).expect("numbers and texts are JSON")
}

fn read_slot(text: &str) -> Option<Slot> {
    let SlotRow(first, no, at, template, kind, compliant, overridden) =
        serde_json::from_str(text).ok()?;
    Some(Slot {
        first,
        newest: Newest {
            no,
            at: Micros(at),
            template,
            kind,
            compliant,
            overridden,
        },
    })
}

fn read_record(text: &str) -> Option<Record> {
    let RecordRow(first, no, at, template, commit) = serde_json::from_str(text).ok()?;
    let commit = match commit {
        Some(digits) => Some(commit_from_hex(&digits)?),
        None => None,
    };
    Some(Record {
        first,
        no,
        commit,
        at: Micros(at),
        template,
    })
}

impl TrailState {
    /// The text of one row; none if there is no such row.
    pub fn row(&self, key: &RowKey) -> Option<String> {
        match key {
            RowKey::Head => Some(text(&HeadRow(self.template_no, self.begun_at.0))),
            RowKey::Trail(name) => self.trail.get(name).map(slot_row),
            RowKey::Artifact(key, fingerprint) => {
                self.records.get(key)?.get(fingerprint).map(record_row)
            }
            RowKey::Bound(fingerprint, name) => {
                self.bound.get(fingerprint)?.get(name).map(slot_row)
            }
            RowKey::Pending(target, commit, name) => {
                let slots = self.pending.get(target)?.get(commit)?;
                slots.get(name).map(slot_row)
            }
        }
    }

    /// All rows, in the order of their keys.
    pub fn rows(&self) -> BTreeMap<RowKey, String> {
        let mut keys = vec![RowKey::Head];
        keys.extend(self.trail.keys().cloned().map(RowKey::Trail));
        for (key, records) in &self.records {
            let row = |fingerprint: &Fingerprint| RowKey::Artifact(key.clone(), *fingerprint);
            keys.extend(records.keys().map(row));
        }
        for (fingerprint, slots) in &self.bound {
            let names = slots.keys().cloned();
            keys.extend(names.map(|name| RowKey::Bound(*fingerprint, name)));
        }
        for (target, commits) in &self.pending {
            for (commit, slots) in commits {
                let names = slots.keys().cloned();
                keys.extend(names.map(|name| RowKey::Pending(target.clone(), *commit, name)));
            }
        }
        keys.into_iter()
            .filter_map(|key| self.row(&key).map(|row| (key, row)))
            .collect()
    }

    /// Reads back what [`TrailState::rows`] wrote, in any order. `template` is the one whose
    /// number stands in the head.
    pub fn from_rows<'r>(
        template: Arc<Template>,
        rows: impl IntoIterator<Item = (RowKey, &'r str)>,
    ) -> Result<Self, BadRow> {
        let mut state = Self::new(0, Arc::default(), Micros(0));
        let mut has_head = false;
        for (key, text) in rows {
            let bad = || BadRow::Value {
                key: key.to_string(),
                text: text.to_owned(),
            };
            match &key {
                RowKey::Head => {
                    let HeadRow(no, begun_at) = serde_json::from_str(text).map_err(|_| bad())?;
                    state.template_no = no;
                    state.begun_at = Micros(begun_at);
                    has_head = true;
                }
                RowKey::Artifact(key, fingerprint) => {
                    let record = read_record(text).ok_or_else(bad)?;
                    let records = state.records.entry(key.clone()).or_default();
                    records.insert(*fingerprint, record);
                }
                RowKey::Trail(name) => {
                    let slot = read_slot(text).ok_or_else(bad)?;
                    state.trail.insert(name.clone(), slot);
                }
                RowKey::Bound(fingerprint, name) => {
                    let slot = read_slot(text).ok_or_else(bad)?;
                    let slots = state.bound.entry(*fingerprint).or_default();
                    slots.insert(name.clone(), slot);
                }
                RowKey::Pending(target, commit, name) => {
                    let slot = read_slot(text).ok_or_else(bad)?;
                    let commits = state.pending.entry(target.clone()).or_default();
                    let slots = commits.entry(*commit).or_default();
                    slots.insert(name.clone(), slot);
                }
            }
        }
        if !has_head {
            return Err(BadRow::NoHead);
        }
        state.template = template;
        state.derive();
        Ok(state)
    }
}
