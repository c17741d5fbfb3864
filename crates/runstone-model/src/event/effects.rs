//! The effects body: lists that an entry is too small for.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::json::bad;
use super::{INFALLIBLE, Unreadable};
use crate::fact::{EnvironmentNo, Identity, SnapshotNo};
use crate::id::{Digest, Fingerprint};

/// A difference between two states as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Records that came, with their details.
    pub added: Vec<(Arc<Identity>, Arc<[u8]>)>,
    /// Records that stayed with another detail.
    pub changed: Vec<(Digest, Arc<[u8]>)>,
    /// Records that left.
    pub removed: Vec<Digest>,
    /// Snapshots appended to logical environments because of this one.
    pub logical: Vec<(EnvironmentNo, SnapshotNo)>,
}

impl Effects {
    /// Canonical JSON. Lists are in the order given; details are canonical already.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = String::with_capacity(64 + 256 * self.added.len());
        text.push_str("{\"added\":[");
        for (position, (identity, detail)) in self.added.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str("{\"detail\":");
            text.push_str(&String::from_utf8_lossy(detail));
            text.push_str(",\"record\":");
            text.push_str(&identity.canonical_json());
            text.push('}');
        }
        text.push_str("],\"changed\":[");
        for (position, (digest, detail)) in self.changed.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str("[\"");
            text.push_str(&digest.to_hex());
            text.push_str("\",");
            text.push_str(&String::from_utf8_lossy(detail));
            text.push(']');
        }
        text.push_str("],\"judgements\":[],\"logical\":[");
        for (position, (environment, snapshot)) in self.logical.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            write!(text, "[{},{snapshot}]", environment.0).expect(INFALLIBLE);
        }
        text.push_str("],\"removed\":[");
        for (position, digest) in self.removed.iter().enumerate() {
            text.push_str(if position > 0 { ",\"" } else { "\"" });
            text.push_str(&digest.to_hex());
            text.push('"');
        }
        text.push_str("],\"v\":1}");
        text.into_bytes()
    }

    /// Reads what [`Effects::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(serde::Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            added: Vec<RawAdded<'a>>,
            #[serde(borrow)]
            changed: Vec<(&'a str, &'a serde_json::value::RawValue)>,
            judgements: Vec<Value>,
            logical: Vec<(u32, u64)>,
            #[serde(borrow)]
            removed: Vec<&'a str>,
            v: u64,
        }
        #[derive(serde::Deserialize)]
        struct RawAdded<'a> {
            #[serde(borrow)]
            detail: &'a serde_json::value::RawValue,
            #[serde(borrow)]
            record: RawRecord<'a>,
        }
        #[derive(serde::Deserialize)]
        struct RawRecord<'a> {
            count: Option<u32>,
            fingerprint: Option<&'a str>,
            #[serde(borrow)]
            name: std::borrow::Cow<'a, str>,
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if raw.v != 1 || !raw.judgements.is_empty() {
            return Err(bad("effects of an unknown version"));
        }
        let hex = |text: &str| {
            text.parse::<Digest>()
                .map_err(|error| bad(error.to_string()))
        };
        let detail = |raw: &serde_json::value::RawValue| Arc::from(raw.get().as_bytes());
        Ok(Self {
            added: raw
                .added
                .iter()
                .map(|added| {
                    let fingerprint = added
                        .record
                        .fingerprint
                        .map(|text| {
                            text.parse::<Fingerprint>()
                                .map_err(|error| bad(error.to_string()))
                        })
                        .transpose()?;
                    Ok((
                        Arc::new(Identity {
                            fingerprint,
                            name: added.record.name.clone().into_owned(),
                            count: added.record.count,
                        }),
                        detail(added.detail),
                    ))
                })
                .collect::<Result<_, Unreadable>>()?,
            changed: raw
                .changed
                .iter()
                .map(|(digest, raw)| Ok((hex(digest)?, detail(raw))))
                .collect::<Result<_, Unreadable>>()?,
            removed: raw
                .removed
                .iter()
                .map(|text| hex(text))
                .collect::<Result<_, Unreadable>>()?,
            logical: raw
                .logical
                .into_iter()
                .map(|(no, snapshot)| (EnvironmentNo(no), snapshot))
                .collect(),
        })
    }
}
