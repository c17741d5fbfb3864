//! The field-error reader: turns the JSON of a request body into typed values and, when that
//! fails, names *every* offending member under its dotted path in the contracted words
//! (`api-environments.md` section 1.3).
//!
//! Owns the wording and the bounds of validation errors. It reads into a borrowed tree, so that
//! texts without escapes are never copied, and it never shows a message of the JSON library. It
//! must not know routes, statuses or what a value is used for.

mod node;
mod query;
mod requests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

pub(crate) use self::node::Node;
pub use self::query::QueryReader;
pub use self::requests::{
    PatchEnvironment, PatchTags, PutEnvironment, join_environment, patch_environment, patch_tags,
    put_environment, rename_environment,
};
use crate::name::EnvironmentName;

/// Most errors one answer names; further ones are found by sending the body again.
pub const ERRORS_MAX: usize = 100;

/// Most characters of an offending value or member name that are repeated in an answer.
pub const INPUT_CHARS_MAX: usize = 300;

/// Most bytes of a body other than a report; it bounds the memory that reading one takes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The path under which errors of the body as a whole are reported.
pub const BODY: &str = "body";

/// Every offending member of one request, by dotted path, with its text.
///
/// The message around them is `Input payload validation failed`, status 400.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("input payload validation failed: {0:?}")]
pub struct FieldErrors(pub BTreeMap<String, String>);

impl FieldErrors {
    /// One error, `<text> [input: <input>]`, at `path`.
    pub fn one(path: &str, text: &str, input: &str) -> Self {
        let mut errors = Self::default();
        errors.add(path, text, input);
        errors
    }

    /// Adds `<text> [input: <input>]` at `path`, shortened; ignored beyond [`ERRORS_MAX`].
    pub fn add(&mut self, path: &str, text: &str, input: &str) {
        if self.0.len() < ERRORS_MAX {
            self.0.insert(
                path.to_owned(),
                format!("{text} [input: {}]", shorten(input)),
            );
        }
    }

    /// `Ok(value)` if nothing was found, else the errors.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// Adds the errors of a part, as long as there is room.
    pub(crate) fn extend(&mut self, part: Self) {
        for (path, text) in part.0 {
            if !self.is_full() {
                self.0.insert(path, text);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() >= ERRORS_MAX
    }

    fn at(&mut self, path: &Path<'_>, text: &str, input: &str) {
        if !self.is_full() {
            self.add(&path.to_string(), text, input);
        }
    }
}

/// The first [`INPUT_CHARS_MAX`] characters, with `…` if there are more.
fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(INPUT_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Where in the body a value stands; written out only when something is wrong there.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str(BODY),
            Self::Member(Path::Root, name) => f.write_str(&shorten(name)),
            Self::Member(parent, name) => write!(f, "{parent}.{}", shorten(name)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What a text may look like.
#[derive(Clone, Copy)]
pub(crate) struct TextRule {
    /// Fewest bytes.
    pub bytes_min: usize,
    /// Most bytes.
    pub bytes_max: usize,
    /// Whether control characters (below blank, and delete) may occur.
    pub controls: bool,
}

impl TextRule {
    /// Free text of any length the body allows.
    pub(crate) const FREE: Self = Self {
        bytes_min: 0,
        bytes_max: usize::MAX,
        controls: true,
    };
}

/// Reads parts of one body and gathers what is wrong with them.
pub(crate) struct Reader {
    pub errors: FieldErrors,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            errors: FieldErrors::default(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.errors.is_full()
    }

    /// Reports `text` about `node` at `path`.
    pub(crate) fn refuse(&mut self, path: &Path<'_>, text: &str, node: &Node<'_>) {
        if !self.is_full() {
            self.errors.at(path, text, &node.shown());
        }
    }

    /// The members of a closed or open object that a fixed shape describes.
    pub(crate) fn members<'a>(
        &mut self,
        path: &Path<'_>,
        node: Node<'a>,
        known: &'static [&'static str],
    ) -> Option<Members<'a>> {
        match node {
            Node::Object(entries) => Some(Members { entries, known }),
            other => {
                self.refuse(
                    path,
                    "Input should be a valid dictionary or object to extract fields from",
                    &other,
                );
                None
            }
        }
    }

    /// The entries of an object used as a map; a repeated name is refused.
    pub(crate) fn map<'a>(
        &mut self,
        path: &Path<'_>,
        node: Node<'a>,
    ) -> Option<Vec<(Cow<'a, str>, Node<'a>)>> {
        let entries = match node {
            Node::Object(entries) => entries,
            other => {
                self.refuse(path, "Input should be a valid dictionary", &other);
                return None;
            }
        };
        if entries.len() > 1 {
            let mut order: Vec<usize> = (0..entries.len()).collect();
            order.sort_unstable_by(|a, b| entries[*a].0.cmp(&entries[*b].0).then(a.cmp(b)));
            let mut repeated = false;
            for pair in order.windows(2) {
                let (name, value) = &entries[pair[1]];
                if *name == entries[pair[0]].0 {
                    self.repeated(path, name, value);
                    repeated = true;
                }
            }
            if repeated {
                return None;
            }
        }
        Some(entries)
    }

    fn repeated(&mut self, path: &Path<'_>, name: &str, value: &Node<'_>) {
        let text = format!("Member '{}' is given more than once", shorten(name));
        self.refuse(&Path::Member(path, name), &text, value);
    }

    pub(crate) fn list<'a>(&mut self, path: &Path<'_>, node: Node<'a>) -> Option<Vec<Node<'a>>> {
        match node {
            Node::List(items) => Some(items),
            other => {
                self.refuse(path, "Input should be a valid list", &other);
                None
            }
        }
    }

    pub(crate) fn text<'a>(
        &mut self,
        path: &Path<'_>,
        node: Node<'a>,
        rule: TextRule,
    ) -> Option<Cow<'a, str>> {
        match node {
            Node::Text(text) => {
                if self.obeys(path, &text, rule) {
                    Some(text)
                } else {
                    None
                }
            }
            other => {
                self.refuse(path, "Input should be a valid string", &other);
                None
            }
        }
    }

    /// Whether a text obeys its rule; the reason is reported if not.
    pub(crate) fn obeys(&mut self, path: &Path<'_>, text: &str, rule: TextRule) -> bool {
        if text.len() < rule.bytes_min {
            let message = if rule.bytes_min == 1 {
                "String should have at least 1 character".to_owned()
            } else {
                format!("String should have at least {} characters", rule.bytes_min)
            };
            self.errors.at(path, &message, text);
            false
        } else if text.len() > rule.bytes_max {
            let message = format!("String should have at most {} bytes", rule.bytes_max);
            self.errors.at(path, &message, text);
            false
        } else if !rule.controls && holds_control(text) {
            self.errors.at(
                path,
                "String should not contain control characters",
                &text.escape_debug().to_string(),
            );
            false
        } else {
            true
        }
    }

    /// A boolean; texts and numbers are interpreted as the original service does.
    pub(crate) fn boolean(&mut self, path: &Path<'_>, node: &Node<'_>) -> Option<bool> {
        let value = match node {
            Node::Bool(value) => Some(*value),
            Node::Integer(0) => Some(false),
            Node::Integer(1) => Some(true),
            Node::Text(text) => match text.to_ascii_lowercase().as_str() {
                "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
                "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
                _ => None,
            },
            _ => None,
        };
        if value.is_none() {
            let message = match node {
                Node::Text(_) | Node::Integer(_) => {
                    "Input should be a valid boolean, unable to interpret input"
                }
                _ => "Input should be a valid boolean",
            };
            self.refuse(path, message, node);
        }
        value
    }

    /// An integer between `min` and `max`; a fraction of zero is accepted.
    pub(crate) fn integer(
        &mut self,
        path: &Path<'_>,
        node: &Node<'_>,
        min: i64,
        max: i64,
    ) -> Option<i64> {
        let too_small = || format!("Input should be greater than or equal to {min}");
        let too_large = || format!("Input should be less than or equal to {max}");
        let message = match node {
            Node::Integer(value) if *value < min => too_small(),
            Node::Integer(value) if *value > max => too_large(),
            Node::Integer(value) => return Some(*value),
            Node::Float(value) if *value < min as f64 => too_small(),
            Node::Float(value) if *value > max as f64 => too_large(),
            Node::Float(value) if value.fract() != 0.0 => {
                "Input should be a valid integer, got a number with a fractional part".to_owned()
            }
            Node::Float(value) => return Some(*value as i64),
            Node::Text(text) if text.parse::<i64>().is_err() => {
                "Input should be a valid integer, unable to parse string as an integer".to_owned()
            }
            _ => "Input should be a valid integer".to_owned(),
        };
        self.refuse(path, &message, node);
        None
    }

    /// One of a few texts; `Input should be 'a', 'b' or 'c'` if not.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        path: &Path<'_>,
        node: &Node<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        if let Node::Text(text) = node
            && let Some((_, value)) = choices.iter().find(|(choice, _)| choice == text)
        {
            return Some(*value);
        }
        let message = enum_text(choices.iter().map(|(choice, _)| *choice));
        self.refuse(path, &message, node);
        None
    }

    fn texts(&mut self, path: &Path<'_>, node: Node<'_>) -> Option<Vec<String>> {
        let items = self.list(path, node)?;
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            if self.is_full() {
                return None;
            }
            if let Some(text) = self.text(&Path::Index(path, index), item, TextRule::FREE) {
                texts.push(text.into_owned());
            }
        }
        Some(texts)
    }

    fn environment_name(&mut self, path: &Path<'_>, node: Node<'_>) -> Option<EnvironmentName> {
        let text = self.text(path, node, TextRule::FREE)?;
        match EnvironmentName::parse(&text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.errors.at(path, &error.contracted_text(), &text);
                None
            }
        }
    }
}

/// Whether a control character occurs; without an early exit, so that it runs on whole registers.
fn holds_control(text: &str) -> bool {
    text.bytes()
        .fold(false, |found, byte| found | byte.is_ascii_control())
}

/// `Input should be 'a'`, `Input should be 'a' or 'b'`, `Input should be 'a', 'b' or 'c'`.
pub fn enum_text<'c>(choices: impl Iterator<Item = &'c str>) -> String {
    let quoted: Vec<String> = choices.map(|choice| format!("'{choice}'")).collect();
    match quoted.split_last() {
        None => "Input should be nothing".to_owned(),
        Some((last, [])) => format!("Input should be {last}"),
        Some((last, rest)) => format!("Input should be {} or {last}", rest.join(", ")),
    }
}

/// The members of one object that are still to be read.
pub(crate) struct Members<'a> {
    entries: Vec<(Cow<'a, str>, Node<'a>)>,
    known: &'static [&'static str],
}

impl<'a> Members<'a> {
    /// The value of a member that may be absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Node<'a>> {
        debug_assert!(self.known.contains(&name));
        let index = self.entries.iter().position(|(key, _)| key == name)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// The value of a member that may be absent; null counts as absent.
    pub(crate) fn nullable(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.optional(name).filter(|node| *node != Node::Null)
    }

    /// The value of a member that must be there.
    pub(crate) fn required(
        &mut self,
        reader: &mut Reader,
        path: &Path<'_>,
        name: &'static str,
    ) -> Option<Node<'a>> {
        let node = self.optional(name);
        if node.is_none() {
            reader
                .errors
                .at(&Path::Member(path, name), "Field required", "None");
        }
        node
    }

    /// Ends a closed object: whatever was not read is repeated or not permitted.
    pub(crate) fn finish(self, reader: &mut Reader, path: &Path<'_>) {
        self.finish_with(reader, path, true);
    }

    /// Ends an open object: only repeated known members are wrong.
    pub(crate) fn finish_open(self, reader: &mut Reader, path: &Path<'_>) {
        self.finish_with(reader, path, false);
    }

    fn finish_with(self, reader: &mut Reader, path: &Path<'_>, closed: bool) {
        for (name, value) in &self.entries {
            if reader.is_full() {
                return;
            }
            if self.known.contains(&name.as_ref()) {
                reader.repeated(path, name, value);
            } else if closed {
                reader.refuse(
                    &Path::Member(path, name),
                    "Extra inputs are not permitted",
                    value,
                );
            }
        }
    }
}

/// The body as text, or why it is none.
pub(crate) fn body_text(body: &[u8]) -> Result<&str, FieldErrors> {
    std::str::from_utf8(body).map_err(|error| {
        let start = error.valid_up_to();
        let end = body.len().min(start + 16);
        FieldErrors::one(
            BODY,
            &format!("Invalid JSON: byte {start} is not UTF-8"),
            &body[start..end].escape_ascii().to_string(),
        )
    })
}

/// What is wrong with a text that is not JSON, or beyond what is read (nesting over 128 levels,
/// numbers beyond double precision), with the place and the text found there.
pub(crate) fn not_json(path: &str, text: &str, error: &serde_json::Error) -> FieldErrors {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_eof() {
        "Invalid JSON: the input ends too early"
    } else {
        "Invalid JSON"
    };
    // The library counts columns in bytes; show the text from a little before that place.
    let line_text = text.split('\n').nth(line.saturating_sub(1)).unwrap_or("");
    let mut start = column.saturating_sub(20).min(line_text.len());
    while !line_text.is_char_boundary(start) {
        start -= 1;
    }
    let found: String = line_text[start..].chars().take(60).collect();
    FieldErrors::one(
        path,
        &format!("{what} at line {line} column {column}"),
        &found,
    )
}
