//! XML without entities of its own, bounded in nesting and size.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{Evidence, FORMATS, XmlReader};

/// Deepest nesting.
const DEPTH_MAX: usize = 100;
/// Most elements.
const ELEMENTS_MAX: usize = 5_000_000;
/// Most attributes of one element.
const ATTRIBUTES_MAX: usize = 100;

/// The begin of an element: its name without prefix, and its attributes.
pub(super) struct Tag<'t> {
    pub(super) name: &'t str,
    attributes: Vec<(String, String)>,
}

impl Tag<'_> {
    /// An attribute by its name with prefix.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let (_, value) = attributes.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The number that an attribute holds.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let number: f64 = self.get(name)?.trim().parse().ok()?;
        number.is_finite().then_some(number)
    }
}

fn attributes(start: &BytesStart<'_>) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        if attributes.len() >= ATTRIBUTES_MAX {
            return None;
        }
        // Fails on entities that XML itself does not define.
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Some(attributes)
}

/// Reads the whole text: what is not well-formed, defines entities or is beyond the bounds is not
/// recognised.
pub(super) fn recognise(text: &str) -> Option<Evidence> {
    let mut reader = Reader::from_str(text);
    let mut found: Option<(&'static str, Box<dyn XmlReader>)> = None;
    let (mut depth, mut elements, mut ended) = (0_usize, 0_usize, false);
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                elements += 1;
                if depth >= DEPTH_MAX || elements > ELEMENTS_MAX || ended {
                    return None;
                }
                let name = start.local_name();
                let tag = Tag {
                    name: name.as_ref(),
                    attributes: attributes(start)?,
                };
                match &mut found {
                    None => {
                        found = FORMATS
                            .iter()
                            .find_map(|format| Some((format.name, format.xml?(&tag)?)));
                        // Nobody knows this root.
                        found.as_ref()?;
                    }
                    Some((_, follower)) => follower.begin(depth, &tag),
                }
                if matches!(event, Event::Start(_)) {
                    depth += 1;
                } else {
                    ended = depth == 0;
                }
            }
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                ended = depth == 0;
            }
            // A reference to a definition elsewhere is never followed; own definitions are refused.
            Event::DocType(doctype) if doctype.contains(['[', '<']) => return None,
            Event::GeneralRef(reference) => {
                let known = ["lt", "gt", "amp", "quot", "apos"];
                if !reference.is_char_ref() && !known.contains(&reference.as_ref()) {
                    return None;
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let (format, mut follower) = found.filter(|_| ended)?;
    Some(Evidence {
        format,
        summary: follower.finish()?,
        signed: None,
    })
}
