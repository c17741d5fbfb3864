//! Files of evidence, recognised by what is in them, with a summary.
//!
//! Owns which formats are known and what is told of each. A new format is one file here and one
//! line in [`FORMATS`]. A file that is not recognised is no worse: it is stored whole like the
//! others. Nothing here trusts a file: nesting, sizes and entities are bounded, and what a summary
//! repeats is cut.

mod coverage;
mod ctrf;
mod cyclonedx;
mod dsse;
mod in_toto;
mod junit;
mod openvex;
mod sarif;
mod signed;
mod sigstore;
mod slsa;
mod spdx;
#[cfg(test)]
mod tests;
mod xml;

use serde_json::{Map, Value};

pub use self::signed::{Signature, Signed};
use self::xml::Tag;

/// All formats. The first that recognises a file has it, so the narrower stand before the wider.
static FORMATS: &[&Format] = &[
    &junit::FORMAT,
    &coverage::COBERTURA,
    &coverage::JACOCO,
    &sarif::FORMAT,
    &cyclonedx::FORMAT,
    &spdx::FORMAT,
    &openvex::FORMAT,
    &slsa::FORMAT,
    &in_toto::FORMAT,
    &sigstore::FORMAT,
    &dsse::FORMAT,
    &ctrf::FORMAT,
];

/// Most bytes of a file that is looked into; larger ones are stored unrecognised, because reading
/// one takes about ten times its size of memory.
pub const EVIDENCE_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a text that a summary repeats.
const TEXT_BYTES_MAX: usize = 300;
/// Most items of a list that a summary repeats.
const ITEMS_MAX: usize = 50;

/// One format.
struct Format {
    /// Its name.
    name: &'static str,
    /// The summary of JSON of this format; none = it is of another.
    json: Option<fn(&Value) -> Option<Value>>,
    /// What reads XML with this root element; none = it is of another.
    xml: Option<StartXml>,
}

/// Makes what reads an XML text by its root element, if it is of this format.
type StartXml = fn(&Tag<'_>) -> Option<Box<dyn XmlReader>>;

/// Follows the elements of an XML text.
trait XmlReader {
    /// An element begins; the root has depth 0 and was seen when the reader was made.
    fn begin(&mut self, depth: usize, tag: &Tag<'_>);
    /// The summary after the last element; none = it was of another format after all.
    fn finish(&mut self) -> Option<Value>;
}

/// A recognised file.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The name of its format: `junit`, `sarif`, `cyclonedx`, …
    pub format: &'static str,
    /// What is in it, as an object that differs by format.
    pub summary: Value,
    /// What is signed in it, if anything is.
    pub signed: Option<Signed>,
}

/// What this file is, if it is of a known format and within bounds.
pub fn recognise(bytes: &[u8]) -> Option<Evidence> {
    if bytes.len() > EVIDENCE_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    match text.bytes().next()? {
        b'{' => recognise_json(&serde_json::from_str(text).ok()?),
        b'<' => xml::recognise(text),
        _ => None,
    }
}

fn recognise_json(value: &Value) -> Option<Evidence> {
    FORMATS.iter().find_map(|format| {
        Some(Evidence {
            format: format.name,
            summary: format.json?(value)?,
            signed: signed::signed(format, value),
        })
    })
}

/// A text, cut.
fn cut(text: &str) -> Value {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Value::from(&text[..end])
}

/// The text at a path of members, cut; null if there is none.
fn text_at(value: &Value, path: &[&str]) -> Value {
    str_at(value, path).map_or(Value::Null, cut)
}

fn str_at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str()
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// The items of a list at a path.
fn items_at<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// How often each word occurs, in the order of the words that are known beforehand and then of
/// the others.
fn tally<'v>(known: &[&str], words: impl Iterator<Item = &'v str>) -> Value {
    let mut counts = Map::new();
    for word in known {
        counts.insert((*word).to_owned(), Value::from(0));
    }
    for word in words {
        let Value::String(word) = cut(word) else {
            continue;
        };
        if counts.len() >= ITEMS_MAX && !counts.contains_key(&word) {
            continue;
        }
        let count = counts.get(&word).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(word, Value::from(count + 1));
    }
    Value::Object(counts)
}
