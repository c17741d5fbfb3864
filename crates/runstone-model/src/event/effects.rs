//! The effects body: lists that an entry is too small for.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize as _;
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

/// An effects body up to this size is read for a single element of it; what a larger one brought
/// is kept outside it as well.
pub const ELEMENT_BODY_BYTES_MAX: usize = 64 * 1024;

/// Where the elements of an effects body stand in it: the byte each begins at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// Of what came.
    pub added: Vec<u32>,
    /// Of what stayed with another detail.
    pub changed: Vec<u32>,
    /// Bytes of the body.
    pub bytes: usize,
}

impl Places {
    /// Whether the body may be read for a single element.
    pub fn are_readable(&self) -> bool {
        self.bytes <= ELEMENT_BODY_BYTES_MAX
    }
}

/// One element of an effects body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What came; none of what stayed with another detail.
    pub identity: Option<Identity>,
    /// Its detail, canonical JSON.
    pub detail: Arc<[u8]>,
}

impl Effects {
    /// Canonical JSON. Lists are in the order given; details are canonical already.
    pub fn to_json(&self) -> Vec<u8> {
        self.write(&mut Places::default()).into_bytes()
    }

    /// Where the elements stand in [`Effects::to_json`].
    pub fn places(&self) -> Places {
        let mut places = Places::default();
        places.bytes = self.write(&mut places).len();
        places
    }

    fn write(&self, places: &mut Places) -> String {
        let mut text = String::with_capacity(96 + 320 * self.added.len());
        text.push_str("{\"added\":[");
        for (position, (identity, detail)) in self.added.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            places.added.push(text.len() as u32);
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
            places.changed.push(text.len() as u32);
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
        text
    }

    /// Reads what [`Effects::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(serde::Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            added: Vec<RawAdded<'a>>,
            #[serde(borrow)]
            changed: Vec<RawChanged<'a>>,
            judgements: Vec<Value>,
            logical: Vec<(u32, u64)>,
            #[serde(borrow)]
            removed: Vec<&'a str>,
            v: u64,
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
                .map(|added| Ok((Arc::new(added.record.identity()?), detail(added.detail))))
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

    /// Reads one element of what [`Effects::to_json`] wrote, by the byte it begins at.
    pub fn part_at(body: &[u8], at: u32) -> Result<Part, Unreadable> {
        let missing = || bad("no element of the effects begins there");
        let rest = body.get(at as usize..).ok_or_else(missing)?;
        let unreadable = |error: serde_json::Error| bad(error.to_string());
        let mut reader = serde_json::Deserializer::from_slice(rest);
        match rest.first() {
            Some(b'{') => {
                let added = RawAdded::deserialize(&mut reader).map_err(unreadable)?;
                Ok(Part {
                    identity: Some(added.record.identity()?),
                    detail: Arc::from(added.detail.get().as_bytes()),
                })
            }
            Some(b'[') => {
                let (_, detail) = RawChanged::deserialize(&mut reader).map_err(unreadable)?;
                Ok(Part {
                    identity: None,
                    detail: Arc::from(detail.get().as_bytes()),
                })
            }
            _ => Err(missing()),
        }
    }
}

type RawChanged<'a> = (&'a str, &'a serde_json::value::RawValue);

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

impl RawRecord<'_> {
    fn identity(&self) -> Result<Identity, Unreadable> {
        let fingerprint = self
            .fingerprint
            .map(|text| {
                text.parse::<Fingerprint>()
                    .map_err(|error| bad(error.to_string()))
            })
            .transpose()?;
        Ok(Identity {
            fingerprint,
            name: self.name.clone().into_owned(),
            count: self.count,
        })
    }
}

impl Identity {
    /// Reads what [`Identity::canonical_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str::<RawRecord>(text)
            .map_err(|error| bad(error.to_string()))?
            .identity()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use proptest::prelude::*;

    use super::*;

    fn detail() -> impl Strategy<Value = Arc<[u8]>> {
        proptest::collection::vec(any::<i64>(), 0..4).prop_map(|times| {
            let text = format!("{{\"t\":{}}}", serde_json::to_string(&times).unwrap());
            Arc::from(text.into_bytes())
        })
    }

    fn effects() -> impl Strategy<Value = Effects> {
        let identity = (
            proptest::option::of(any::<[u8; 32]>()),
            ".{0,12}",
            proptest::option::of(any::<u32>()),
        )
            .prop_map(|(fingerprint, name, count)| {
                Arc::new(Identity {
                    fingerprint: fingerprint.map(Fingerprint),
                    name,
                    count,
                })
            });
        (
            proptest::collection::vec((identity, detail()), 0..4),
            proptest::collection::vec((digest(), detail()), 0..4),
            proptest::collection::vec(digest(), 0..3),
            proptest::collection::vec((any::<u32>(), any::<u64>()), 0..3),
        )
            .prop_map(|(added, changed, removed, logical)| Effects {
                added,
                changed,
                removed,
                logical: logical
                    .into_iter()
                    .map(|(no, snapshot)| (EnvironmentNo(no), snapshot))
                    .collect(),
            })
    }

    fn digest() -> impl Strategy<Value = Digest> {
        any::<[u8; 32]>().prop_map(Digest)
    }

    proptest! {
        #[test]
        fn every_element_is_read_where_it_stands(effects in effects()) {
            let (body, places) = (effects.to_json(), effects.places());
            prop_assert_eq!(places.bytes, body.len());
            prop_assert_eq!(places.added.len(), effects.added.len());
            for ((identity, detail), at) in effects.added.iter().zip(&places.added) {
                let part = Effects::part_at(&body, *at).unwrap();
                prop_assert_eq!(part.identity.as_ref(), Some(&**identity));
                prop_assert_eq!(&part.detail, detail);
                let text = identity.canonical_json();
                prop_assert_eq!(&Identity::from_json(&text).unwrap(), &**identity);
            }
            prop_assert_eq!(places.changed.len(), effects.changed.len());
            for ((_, detail), at) in effects.changed.iter().zip(&places.changed) {
                let part = Effects::part_at(&body, *at).unwrap();
                prop_assert_eq!(part.identity, None);
                prop_assert_eq!(&part.detail, detail);
            }
            prop_assert_eq!(Effects::from_json(&body).unwrap(), effects);
        }

        #[test]
        fn damage_never_panics(body in ".{0,80}", at in 0u32..100) {
            let _ = Effects::part_at(body.as_bytes(), at);
        }
    }
}
