//! The state of an environment: a set of (record, judgement) pairs, how one state becomes the
//! next, and how states are written small.
//!
//! A state's digest is SHA-256 over its sorted 64-byte pairs (record digest, judgement digest).
//! States are stored as steps: a whole state now and then (a keyframe), differences between.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::fact::{EntryIndex, Identity, JudgementNo, RecordNo, SnapshotNo};
use crate::id::{Digest, Fingerprint, Micros};

/// Canonical JSON of the one judgement that exists without flows and policies.
pub const NO_JUDGEMENT_JSON: &str = r#"{"compliance":null,"provenance":[],"rules":[],"v":1}"#;

/// Digest of [`NO_JUDGEMENT_JSON`].
pub fn no_judgement() -> Digest {
    static DIGEST: std::sync::LazyLock<Digest> =
        std::sync::LazyLock::new(|| Digest::of(NO_JUDGEMENT_JSON.as_bytes()));
    *DIGEST
}

impl Identity {
    /// Canonical JSON (RFC 8785) of the record with this identity.
    pub fn canonical_json(&self) -> String {
        let mut text = String::with_capacity(self.name.len() + 100);
        text.push('{');
        if let Some(count) = self.count {
            text.push_str("\"count\":");
            text.push_str(&count.to_string());
            text.push(',');
        }
        text.push_str("\"fingerprint\":");
        match self.fingerprint {
            Some(fingerprint) => {
                text.push('"');
                text.push_str(&fingerprint.to_hex());
                text.push('"');
            }
            None => text.push_str("null"),
        }
        text.push_str(",\"name\":");
        crate::canonical::write_string(&self.name, &mut text);
        text.push_str(",\"v\":1}");
        text
    }

    /// Digest of the record with this identity.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical_json().as_bytes())
    }

    /// The part that stays when only the count changes.
    pub fn key(&self) -> (Option<Fingerprint>, &str) {
        (self.fingerprint, &self.name)
    }
}

/// One running record in the latest state of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Record.
    pub record: RecordNo,
    /// Judgement.
    pub judgement: JudgementNo,
    /// First snapshot of its current span.
    pub since: SnapshotNo,
    /// Identity.
    pub identity: Arc<Identity>,
    /// Digest of the record.
    pub digest: Digest,
    /// Detail, canonical JSON; empty in logical environments.
    pub detail: Arc<[u8]>,
}

impl Element {
    fn pair(&self) -> [u8; 64] {
        pair(&self.digest)
    }
}

fn pair(record: &Digest) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(record.as_bytes());
    pair[32..].copy_from_slice(no_judgement().as_bytes());
    pair
}

/// The latest state of an environment, with what is needed to make the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Number of the latest snapshot; 0 = none yet.
    pub no: SnapshotNo,
    /// Its effective time.
    pub at: Micros,
    /// Its entry.
    pub entry: EntryIndex,
    /// Number of events up to and including it.
    pub events: u64,
    /// Number of the latest keyframe.
    pub keyframe: SnapshotNo,
    /// Bytes of differences since that keyframe.
    pub step_bytes: u64,
    /// What runs, sorted by identity.
    pub elements: Vec<Element>,
    /// The sorted pairs whose hash is the state digest.
    pairs: Vec<[u8; 64]>,
    /// For a logical environment: the snapshots of its members that make it up.
    pub members: Vec<(crate::fact::EnvironmentNo, SnapshotNo)>,
}

impl Head {
    /// A head whose elements were read back from the store.
    pub fn restore(mut self, mut elements: Vec<Element>) -> Self {
        elements.sort_by(|a, b| a.identity.cmp(&b.identity));
        self.pairs = elements.iter().map(Element::pair).collect();
        self.pairs.sort_unstable();
        self.elements = elements;
        self
    }

    /// Digest of the state.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for pair in &self.pairs {
            hash.update(pair);
        }
        Digest(hash.finalize().into())
    }

    /// Digest of the state that follows when `removed` go and `added` come.
    pub fn digest_after<'a>(
        &self,
        removed: impl Iterator<Item = &'a Digest>,
        added: impl Iterator<Item = &'a Digest>,
    ) -> Digest {
        let mut gone: Vec<[u8; 64]> = removed.map(pair).collect();
        let mut come: Vec<[u8; 64]> = added.map(pair).collect();
        gone.sort_unstable();
        come.sort_unstable();
        let mut hash = Sha256::new();
        let mut gone = gone.iter().peekable();
        let mut come = come.iter().peekable();
        for pair in &self.pairs {
            while let Some(next) = come.next_if(|next| *next < pair) {
                hash.update(next);
            }
            if gone.next_if(|next| *next == pair).is_some() {
                continue;
            }
            hash.update(pair);
        }
        for next in come {
            hash.update(next);
        }
        Digest(hash.finalize().into())
    }

    /// Takes elements out and puts others in; `gone` are positions in `elements`, ascending.
    pub fn replace(&mut self, gone: &[usize], come: Vec<Element>) {
        let mut gone_at = gone.iter().copied().peekable();
        let mut position = 0;
        let pairs = &mut self.pairs;
        self.elements.retain(|element| {
            let leaves = gone_at.next_if_eq(&position).is_some();
            position += 1;
            if leaves && let Ok(at) = pairs.binary_search(&element.pair()) {
                pairs.remove(at);
            }
            !leaves
        });
        if come.is_empty() {
            return;
        }
        for element in &come {
            let pair = element.pair();
            let at = self.pairs.binary_search(&pair).unwrap_or_else(|at| at);
            self.pairs.insert(at, pair);
        }
        self.elements.extend(come);
        self.elements.sort_by(|a, b| a.identity.cmp(&b.identity));
    }

    /// Bytes this head takes in a cache, roughly.
    pub fn weight(&self) -> usize {
        256 + self.pairs.len() * 64
            + self
                .elements
                .iter()
                .map(|element| 240 + element.identity.name.len() + element.detail.len())
                .sum::<usize>()
    }
}

/// A stored state: the whole set, or the difference from the snapshot before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// This is a keyframe: `added` is the whole state.
    pub whole: bool,
    /// Records that left, ascending.
    pub removed: Vec<RecordNo>,
    /// Records that came or whose judgement changed, ascending.
    pub added: Vec<(RecordNo, JudgementNo)>,
}

/// Stored bytes of a step are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored state is damaged")]
pub struct DamagedStep;

impl Step {
    /// Bytes: a flag byte (bit 0: whole; bit 1: judgements follow), then for each list its
    /// length and the gaps between ascending numbers as unsigned LEB128; a judgement number
    /// follows each added record where bit 1 is set.
    pub fn to_bytes(&self) -> Vec<u8> {
        let judged = self.added.iter().any(|(_, judgement)| judgement.0 != 0);
        let mut bytes = Vec::with_capacity(3 + 2 * (self.removed.len() + self.added.len()));
        bytes.push(u8::from(self.whole) | u8::from(judged) << 1);
        if !self.whole {
            write_number(self.removed.len() as u64, &mut bytes);
            let mut last = 0;
            for record in &self.removed {
                write_number(u64::from(record.0 - last), &mut bytes);
                last = record.0;
            }
        }
        write_number(self.added.len() as u64, &mut bytes);
        let mut last = 0;
        for (record, judgement) in &self.added {
            write_number(u64::from(record.0 - last), &mut bytes);
            last = record.0;
            if judged {
                write_number(u64::from(judgement.0), &mut bytes);
            }
        }
        bytes
    }

    /// The step written in `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedStep> {
        let mut rest = bytes;
        let (&flags, tail) = rest.split_first().ok_or(DamagedStep)?;
        rest = tail;
        if flags > 3 {
            return Err(DamagedStep);
        }
        let whole = flags & 1 == 1;
        let judged = flags & 2 == 2;
        let mut removed = Vec::new();
        if !whole {
            let count = read_count(&mut rest)?;
            removed.reserve_exact(count);
            let mut last = 0u32;
            for _ in 0..count {
                last = last.checked_add(read_u32(&mut rest)?).ok_or(DamagedStep)?;
                removed.push(RecordNo(last));
            }
        }
        let count = read_count(&mut rest)?;
        let mut added = Vec::with_capacity(count);
        let mut last = 0u32;
        for _ in 0..count {
            last = last.checked_add(read_u32(&mut rest)?).ok_or(DamagedStep)?;
            let judgement = if judged { read_u32(&mut rest)? } else { 0 };
            added.push((RecordNo(last), JudgementNo(judgement)));
        }
        if rest.is_empty() {
            Ok(Self {
                whole,
                removed,
                added,
            })
        } else {
            Err(DamagedStep)
        }
    }

    /// Turns the state before into the state after. States are ascending by record.
    pub fn apply(&self, state: &mut Vec<(RecordNo, JudgementNo)>) {
        if self.whole {
            state.clone_from(&self.added);
            return;
        }
        // Mostly a few of a thousand change, in each of many steps: moving the tail is cheaper
        // than copying everything.
        if (self.removed.len() + self.added.len()) * 16 <= state.len() {
            for record in &self.removed {
                if let Ok(at) = state.binary_search_by_key(record, |pair| pair.0) {
                    state.remove(at);
                }
            }
            for new in &self.added {
                match state.binary_search_by_key(&new.0, |pair| pair.0) {
                    Ok(at) => state[at] = *new,
                    Err(at) => state.insert(at, *new),
                }
            }
            return;
        }
        let mut next = Vec::with_capacity(state.len() + self.added.len());
        let mut removed = self.removed.iter().peekable();
        let mut added = self.added.iter().copied().peekable();
        for &(record, judgement) in state.iter() {
            while let Some(new) = added.next_if(|new| new.0 < record) {
                next.push(new);
            }
            if removed.next_if_eq(&&record).is_some() {
                continue;
            }
            match added.next_if(|new| new.0 == record) {
                Some(new) => next.push(new),
                None => next.push((record, judgement)),
            }
        }
        next.extend(added);
        *state = next;
    }
}

fn write_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_u32(rest: &mut &[u8]) -> Result<u32, DamagedStep> {
    let mut number = 0u64;
    for shift in (0..35).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(DamagedStep)?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(number).map_err(|_| DamagedStep);
        }
    }
    Err(DamagedStep)
}

/// A list length; each item takes at least a byte, so that damage cannot ask for memory.
fn read_count(rest: &mut &[u8]) -> Result<usize, DamagedStep> {
    let count = read_u32(rest)? as usize;
    if count > rest.len() {
        return Err(DamagedStep);
    }
    Ok(count)
}

/// Keyframes come at least this far apart.
pub const KEYFRAME_DISTANCE_MIN: u64 = 16;
/// And at most this far, so that reading a state stays short.
pub const KEYFRAME_DISTANCE_MAX: u64 = 256;

/// Whether the next snapshot is a keyframe: when the differences since the last one outweigh a
/// whole state, yet not too close and not too far from it.
pub fn keyframe_due(distance: u64, step_bytes: u64, whole_bytes: u64) -> bool {
    distance >= KEYFRAME_DISTANCE_MAX
        || (distance >= KEYFRAME_DISTANCE_MIN && step_bytes >= whole_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn state() -> impl Strategy<Value = Vec<(RecordNo, JudgementNo)>> {
        btree_map(0..5_000u32, 0..3u32, 0..60).prop_map(|map| {
            map.into_iter()
                .map(|(record, judgement)| (RecordNo(record), JudgementNo(judgement)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_step_leads_from_one_state_to_the_other(before in state(), after in state()) {
            let step = Step {
                whole: false,
                removed: before
                    .iter()
                    .filter(|(record, _)| !after.iter().any(|(other, _)| other == record))
                    .map(|(record, _)| *record)
                    .collect(),
                added: after
                    .iter()
                    .filter(|pair| !before.contains(pair))
                    .copied()
                    .collect(),
            };
            let read = Step::from_bytes(&step.to_bytes()).expect("own bytes");
            prop_assert_eq!(&read, &step);
            let mut state = before;
            read.apply(&mut state);
            prop_assert_eq!(state, after);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Step::from_bytes(&bytes);
        }
    }

    #[test]
    fn the_digest_follows_the_set() {
        let element = |name: &str| {
            let identity = Arc::new(Identity {
                fingerprint: Some(Fingerprint([7; 32])),
                name: name.to_owned(),
                count: None,
            });
            Element {
                record: RecordNo(1),
                judgement: JudgementNo(0),
                since: 1,
                digest: identity.digest(),
                identity,
                detail: Arc::from(&b"{}"[..]),
            }
        };
        let head = Head::default().restore(vec![element("b"), element("a")]);
        let same = Head::default().restore(vec![element("a"), element("b")]);
        assert_eq!(head.digest(), same.digest());
        let c = element("c");
        let expected = head.digest_after([element("a").digest].iter(), [c.digest].iter());
        let mut head = head;
        head.replace(&[0], vec![c]);
        assert_eq!(head.digest(), expected);
        assert_eq!(
            head.digest(),
            Head::default()
                .restore(vec![element("c"), element("b")])
                .digest()
        );
    }
}
