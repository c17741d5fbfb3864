//! The last report of an environment, kept so that the next one is recognised or read in part.
//!
//! Owns the comparison of a new body with the last: as a whole, element by element in any order,
//! and, where an element is new, by the artifacts it tells of. What it finds is what reading both
//! reports whole would find. It must not know states: whether a report makes a snapshot is decided
//! on the facts, in `decide`.
//!
//! An accepted element is one JSON object, and no text of an object is the beginning of another's.
//! So the elements of the last report, sorted by their bytes, are found again in a new body by
//! comparing bytes, without reading JSON: where the greatest of them that is not beyond the rest
//! of the body begins that rest, it is the element there; else none is.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{
    ElementInstances, Report, ReportLimits, group_within, read_element_at, read_report,
    split_elements,
};
use crate::id::{Digest, Fingerprint};
use crate::name::EnvironmentKind;
use crate::read::FieldErrors;

/// A report that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReport {
    kind: EnvironmentKind,
    limits: ReportLimits,
    /// The body as it was sent.
    body: Box<[u8]>,
    /// Where the first element begins and the last one ends; both 0 if there is none.
    list: (usize, usize),
    /// Number of elements, equal ones included.
    count: usize,
    /// Each different element once, ascending by its bytes.
    elements: Vec<Element>,
    /// Number of bytes that all elements begin with and that are skipped in `keys`.
    common: usize,
    /// The next eight bytes of each element as a number: the search looks at these, which lie
    /// close together, and at one element.
    keys: Vec<u64>,
    /// For each element in turn, the places in `artifacts` it tells of.
    places: Vec<u32>,
    /// Identity of each artifact and number of its instances, ascending.
    artifacts: Vec<(Digest, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Element {
    start: u32,
    end: u32,
    /// How often it occurs.
    count: u32,
    /// Where its part of `places` ends; it begins where that of the element before ends.
    places_end: u32,
}

/// What a new report is, compared with the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The same bytes.
    Identical,
    /// The same elements in another order.
    SameElements,
    /// Other elements that tell of the same artifacts; with scaling of as many instances of each.
    SameArtifacts(LastReport),
    /// Something else, or there was nothing to compare with.
    Differs {
        /// What it says.
        report: Report,
        /// To compare the next one with.
        next: LastReport,
    },
}

/// How a report that was not read is known to be the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// The same bytes.
    Body,
    /// The same elements in another order.
    Elements,
}

/// An element of a new report.
enum Found<'a> {
    /// Its place among the elements of the last report.
    Known(usize),
    /// It had to be read.
    New(ElementInstances<'a>),
}

impl LastReport {
    /// Compares the body of a report with the last one accepted, if there was one; reads of it
    /// what is new. Errors are those of [`read_report`].
    pub fn compare(
        last: Option<&Self>,
        kind: EnvironmentKind,
        body: &[u8],
        limits: &ReportLimits,
        include_scaling: bool,
    ) -> Result<Compared, FieldErrors> {
        let last = last.filter(|last| last.kind == kind && last.limits == *limits);
        if let Some(same) = last.and_then(|last| last.recognise(kind, body, limits)) {
            return Ok(match same {
                Same::Body => Compared::Identical,
                Same::Elements => Compared::SameElements,
            });
        }
        match Self::read_new(last, kind, body, limits) {
            Ok((found, raw, next)) => {
                if last.is_some_and(|last| last.tells_of(&next, include_scaling)) {
                    return Ok(Compared::SameArtifacts(next));
                }
                let report = report_of(found, &raw, kind, limits)?;
                Ok(Compared::Differs { report, next })
            }
            // Reading the whole names everything that is wrong.
            Err(first) => Err(read_report(kind, body, limits).err().unwrap_or(first)),
        }
    }

    /// Whether a body says what this report says, in any order, without reading it.
    pub fn recognise(
        &self,
        kind: EnvironmentKind,
        body: &[u8],
        limits: &ReportLimits,
    ) -> Option<Same> {
        if self.kind != kind || self.limits != *limits {
            None
        } else if *self.body == *body {
            Some(Same::Body)
        } else {
            self.has_elements_of(body).then_some(Same::Elements)
        }
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.body.len()
            + self.elements.capacity() * size_of::<Element>()
            + self.keys.capacity() * size_of::<u64>()
            + self.places.capacity() * size_of::<u32>()
            + self.artifacts.capacity() * size_of::<(Digest, u32)>()
    }

    fn bytes_of(&self, element: &Element) -> &[u8] {
        &self.body[element.start as usize..element.end as usize]
    }

    /// The element `rest` begins with.
    fn find(&self, rest: &[u8]) -> Option<usize> {
        let key = key_after(self.common, rest)?;
        let first = self.keys.partition_point(|known| *known < key);
        let alike = self.keys[first..].partition_point(|known| *known == key);
        let alike = &self.elements[first..first + alike];
        let beyond = match alike {
            [_] => 1,
            _ => alike.partition_point(|element| self.bytes_of(element) <= rest),
        };
        let place = first + beyond.checked_sub(1)?;
        rest.starts_with(self.bytes_of(&self.elements[place]))
            .then_some(place)
    }

    /// Whether a body is this one but for the order of the elements and the space between them.
    fn has_elements_of(&self, body: &[u8]) -> bool {
        let (first, last) = self.list;
        let (head, tail) = (&self.body[..first], &self.body[last..]);
        if self.count == 0
            || body.len() < head.len() + tail.len()
            || !body.starts_with(head)
            || !body.ends_with(tail)
        {
            return false;
        }
        let mut rest = &body[head.len()..body.len() - tail.len()];
        let mut left: Vec<u32> = self.elements.iter().map(|element| element.count).collect();
        for number in 0..self.count {
            if number > 0 {
                let Some(next) = without_space(rest).strip_prefix(b",") else {
                    return false;
                };
                rest = without_space(next);
            }
            let Some(place) = self.find(rest) else {
                return false;
            };
            let Some(fewer) = left[place].checked_sub(1) else {
                return false;
            };
            left[place] = fewer;
            rest = &rest[self.bytes_of(&self.elements[place]).len()..];
        }
        rest.is_empty()
    }

    fn tells_of(&self, other: &Self, include_scaling: bool) -> bool {
        if include_scaling {
            return self.artifacts == other.artifacts;
        }
        let identities = |report: &'_ Self| -> Vec<Digest> {
            report.artifacts.iter().map(|(digest, _)| *digest).collect()
        };
        self.artifacts.len() == other.artifacts.len() && identities(self) == identities(other)
    }

    /// Identities of the artifacts an element tells of.
    fn artifacts_of(&self, place: usize) -> impl Iterator<Item = Digest> {
        let start = match place {
            0 => 0,
            _ => self.elements[place - 1].places_end as usize,
        };
        self.places[start..self.elements[place].places_end as usize]
            .iter()
            .map(|place| self.artifacts[*place as usize].0)
    }

    /// Splits a body, finds the elements that are known and reads the others.
    #[expect(clippy::type_complexity, reason = "three parts of one answer")]
    fn read_new<'a>(
        last: Option<&Self>,
        kind: EnvironmentKind,
        body: &'a [u8],
        limits: &ReportLimits,
    ) -> Result<(Vec<Found<'a>>, Vec<&'a [u8]>, Self), FieldErrors> {
        let raw = split_elements(kind, body, limits)?;
        let mut found = Vec::with_capacity(raw.len());
        for (index, raw) in raw.iter().enumerate() {
            let known = last.and_then(|last| {
                let place = last.find(raw)?;
                (last.bytes_of(&last.elements[place]).len() == raw.len()).then_some(place)
            });
            found.push(match known {
                Some(place) => Found::Known(place),
                None => Found::New(read_element_at(kind, raw, index, limits)?),
            });
        }
        let next = Self::of(last, kind, limits, body, &raw, &found);
        Ok((found, raw, next))
    }

    fn of(
        last: Option<&Self>,
        kind: EnvironmentKind,
        limits: &ReportLimits,
        body: &[u8],
        raw: &[&[u8]],
        found: &[Found<'_>],
    ) -> Self {
        let start = |raw: &[u8]| raw.as_ptr().addr() - body.as_ptr().addr();
        let list = match (raw.first(), raw.last()) {
            (Some(first), Some(last)) => (start(first), start(last) + last.len()),
            _ => (0, 0),
        };

        let mut order: Vec<usize> = (0..raw.len()).collect();
        order.sort_unstable_by_key(|index| raw[*index]);
        let mut elements: Vec<Element> = Vec::with_capacity(raw.len());
        let mut told: Vec<Digest> = Vec::with_capacity(raw.len());
        for equal in order.chunk_by(|a, b| raw[*a] == raw[*b]) {
            let index = equal[0];
            match &found[index] {
                Found::Known(place) => {
                    let last = last.expect("only a last report knows elements");
                    told.extend(last.artifacts_of(*place));
                }
                Found::New(element) => told.extend(
                    element
                        .digests
                        .iter()
                        .map(|(name, fingerprint)| identity(name, fingerprint.as_ref())),
                ),
            }
            let start = start(raw[index]);
            // Bodies and their parts are far below 4 GiB.
            elements.push(Element {
                start: start as u32,
                end: (start + raw[index].len()) as u32,
                count: equal.len() as u32,
                places_end: told.len() as u32,
            });
        }

        let bytes_of = |element: &Element| &body[element.start as usize..element.end as usize];
        let shared = match (elements.first(), elements.last()) {
            // They are sorted: what the outermost share, all share.
            (Some(first), Some(last)) => bytes_of(first)
                .iter()
                .zip(bytes_of(last))
                .take_while(|(a, b)| a == b)
                .count(),
            _ => 0,
        };
        // Each has eight bytes more. One that had not would not be found, only read again.
        let shortest = elements.iter().map(|element| bytes_of(element).len()).min();
        let common = shared.min(shortest.unwrap_or_default().saturating_sub(8));
        let keys = elements
            .iter()
            .map(|element| key_after(common, bytes_of(element)).unwrap_or_default())
            .collect();

        let mut artifacts: Vec<(Digest, u32)> = told.iter().map(|digest| (*digest, 0)).collect();
        artifacts.sort_unstable();
        artifacts.dedup();
        artifacts.shrink_to_fit();
        let number: HashMap<Digest, u32> = artifacts
            .iter()
            .enumerate()
            .map(|(number, (digest, _))| (*digest, number as u32))
            .collect();
        let places: Vec<u32> = told.iter().map(|digest| number[digest]).collect();
        let mut from = 0;
        for element in &elements {
            for place in &places[from..element.places_end as usize] {
                artifacts[*place as usize].1 += element.count;
            }
            from = element.places_end as usize;
        }
        Self {
            kind,
            limits: *limits,
            body: body.into(),
            list,
            count: raw.len(),
            elements,
            common,
            keys,
            places,
            artifacts,
        }
    }
}

/// The eight bytes after the first `common` as a number that sorts as they do.
fn key_after(common: usize, text: &[u8]) -> Option<u64> {
    let key = text.get(common..)?.first_chunk()?;
    Some(u64::from_be_bytes(*key))
}

/// What identifies an artifact, as a key without length.
fn identity(name: &str, fingerprint: Option<&Fingerprint>) -> Digest {
    let mut hash = Sha256::new();
    match fingerprint {
        Some(fingerprint) => {
            hash.update(b"f");
            hash.update(fingerprint.as_bytes());
        }
        None => hash.update(b"-"),
    }
    hash.update(name);
    Digest(hash.finalize().into())
}

/// The whole report; the known elements were left unread until it was clear that it is needed.
fn report_of(
    found: Vec<Found<'_>>,
    raw: &[&[u8]],
    kind: EnvironmentKind,
    limits: &ReportLimits,
) -> Result<Report, FieldErrors> {
    let elements = found
        .into_iter()
        .enumerate()
        .map(|(index, found)| match found {
            Found::New(element) => Ok(element),
            Found::Known(_) => read_element_at(kind, raw[index], index, limits),
        })
        .collect::<Result<Vec<_>, _>>()?;
    group_within(&elements, limits)
}

fn without_space(text: &[u8]) -> &[u8] {
    let space = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
        .count();
    &text[space..]
}
