//! The field-error reader: turns the JSON of a request body into typed values and, when that
//! fails, names *every* offending member under its dotted path in the contracted words
//! (`api-environments.md` section 1.3).
//!
//! Owns the wording and the bounds of validation errors. It reads into a borrowed tree, so that
//! texts without escapes are never copied, and it never shows a message of the JSON library. It
//! must not know routes, statuses or what a value is used for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::name::{EnvironmentKind, EnvironmentName, TagKey};

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

/// A JSON value that borrows its texts from the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(name), value)) = map.next_entry()? {
            if members.is_empty() {
                // Most objects of reports have up to six members.
                members.reserve_exact(6);
            }
            members.push((name, value));
        }
        Ok(Node::Object(members))
    }
}

/// A member name, borrowed where it holds no escape.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl Node<'_> {
    /// The value as error texts show it: scalars as the original service writes them
    /// (`None`, `True`), lists and objects as JSON. Bounded, also in work.
    fn shown(&self) -> String {
        match self {
            Self::Null => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Text(text) => shorten(text).into_owned(),
            _ => {
                let mut text = String::new();
                self.write_json(&mut text);
                text
            }
        }
    }

    fn write_json(&self, out: &mut String) {
        use fmt::Write as _;
        // One character more than is shown at most four bytes each: enough for the mark of cutting.
        if out.len() > INPUT_CHARS_MAX * 4 {
            return;
        }
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => write!(out, "{value}").expect("writing to a string succeeds"),
            Self::Integer(value) => write!(out, "{value}").expect("writing to a string succeeds"),
            Self::Float(value) => write!(out, "{value}").expect("writing to a string succeeds"),
            Self::Text(text) => write!(out, "\"{}\"", shorten(text).escape_debug())
                .expect("writing to a string succeeds"),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().take(INPUT_CHARS_MAX).enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().take(INPUT_CHARS_MAX).enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    write!(out, "\"{}\": ", shorten(name).escape_debug())
                        .expect("writing to a string succeeds");
                    value.write_json(out);
                }
                out.push('}');
            }
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

/// Reads `body` as one closed object.
fn read_object<T>(
    body: &[u8],
    known: &'static [&'static str],
    read: impl FnOnce(&mut Reader, &mut Members<'_>) -> Option<T>,
) -> Result<T, FieldErrors> {
    let text = body_text(body)?;
    if text.len() > BODY_BYTES_MAX {
        let message = format!("Body should have at most {BODY_BYTES_MAX} bytes");
        return Err(FieldErrors::one(BODY, &message, text));
    }
    let node = serde_json::from_str(text).map_err(|error| not_json(BODY, text, &error))?;
    let mut reader = Reader::new();
    let value = reader
        .members(&Path::Root, node, known)
        .and_then(|mut members| {
            let value = read(&mut reader, &mut members);
            members.finish(&mut reader, &Path::Root);
            value
        });
    reader.errors.into_result(value)
}

/// Body of `PUT /environments/{org}` (section 3.1). Absent and null mean the same in every
/// optional member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEnvironment {
    /// Name, the identity of the upsert.
    pub name: EnvironmentName,
    /// Type, fixed at creation.
    pub kind: EnvironmentKind,
    /// Description; empty keeps the old one on an update.
    pub description: String,
    /// Whether counts of instances make snapshots.
    pub include_scaling: Option<bool>,
    /// Deprecated; accepted without effect.
    pub require_provenance: Option<bool>,
    /// Logical only: names of physical environments, as given (may name nothing).
    pub included_environments: Option<Vec<String>>,
    /// Names of policies to attach, as given.
    pub policies: Option<Vec<String>>,
}

/// Reads the body of `PUT /environments/{org}`.
pub fn put_environment(body: &[u8]) -> Result<PutEnvironment, FieldErrors> {
    const KNOWN: &[&str] = &[
        "name",
        "type",
        "description",
        "include_scaling",
        "require_provenance",
        "included_environments",
        "policies",
    ];
    read_object(body, KNOWN, |reader, members| {
        let at = |name| Path::Member(&Path::Root, name);
        let name = members
            .required(reader, &Path::Root, "name")
            .and_then(|node| reader.environment_name(&at("name"), node));
        let kinds = EnvironmentKind::ALL.map(|kind| (kind.as_wire(), kind));
        let kind = members
            .required(reader, &Path::Root, "type")
            .and_then(|node| reader.one_of(&at("type"), &node, &kinds));
        let description = members
            .required(reader, &Path::Root, "description")
            .and_then(|node| reader.text(&at("description"), node, TextRule::FREE));
        let include_scaling = members
            .nullable("include_scaling")
            .and_then(|node| reader.boolean(&at("include_scaling"), &node));
        let require_provenance = members
            .nullable("require_provenance")
            .and_then(|node| reader.boolean(&at("require_provenance"), &node));
        let included_environments = members
            .nullable("included_environments")
            .and_then(|node| reader.texts(&at("included_environments"), node));
        let policies = members
            .nullable("policies")
            .and_then(|node| reader.texts(&at("policies"), node));
        Some(PutEnvironment {
            name: name?,
            kind: kind?,
            description: description?.into_owned(),
            include_scaling,
            require_provenance,
            included_environments,
            policies,
        })
    })
}

/// Body of `PATCH /environments/{org}/{env_name}` (section 3.2); null counts as not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchEnvironment {
    /// New description; empty clears it.
    pub description: Option<String>,
    /// Whether counts of instances make snapshots.
    pub include_scaling: Option<bool>,
    /// Replaces the whole list of members.
    pub included_environments: Option<Vec<String>>,
    /// Replaces the whole list of attached policies.
    pub policies: Option<Vec<String>>,
}

/// Reads the body of `PATCH /environments/{org}/{env_name}`.
pub fn patch_environment(body: &[u8]) -> Result<PatchEnvironment, FieldErrors> {
    const KNOWN: &[&str] = &[
        "description",
        "include_scaling",
        "included_environments",
        "policies",
    ];
    read_object(body, KNOWN, |reader, members| {
        let at = |name| Path::Member(&Path::Root, name);
        Some(PatchEnvironment {
            description: members
                .nullable("description")
                .and_then(|node| reader.text(&at("description"), node, TextRule::FREE))
                .map(Cow::into_owned),
            include_scaling: members
                .nullable("include_scaling")
                .and_then(|node| reader.boolean(&at("include_scaling"), &node)),
            included_environments: members
                .nullable("included_environments")
                .and_then(|node| reader.texts(&at("included_environments"), node)),
            policies: members
                .nullable("policies")
                .and_then(|node| reader.texts(&at("policies"), node)),
        })
    })
}

/// Reads the body of `PUT /environments/{org}/{env_name}/rename` (section 3.6): the new name.
pub fn rename_environment(body: &[u8]) -> Result<EnvironmentName, FieldErrors> {
    read_object(body, &["new_name"], |reader, members| {
        let node = members.required(reader, &Path::Root, "new_name")?;
        reader.environment_name(&Path::Member(&Path::Root, "new_name"), node)
    })
}

/// Reads the body of `PUT /environments/{org}/{logical}/join` (section 3.7): the name of the
/// environment to add, as given (it may name nothing).
pub fn join_environment(body: &[u8]) -> Result<String, FieldErrors> {
    read_object(body, &["physical_env_name"], |reader, members| {
        let node = members.required(reader, &Path::Root, "physical_env_name")?;
        let path = Path::Member(&Path::Root, "physical_env_name");
        reader
            .text(&path, node, TextRule::FREE)
            .map(Cow::into_owned)
    })
}

/// Body of `PATCH /tags/{org}/{resource_type}/{resource_id}` (section 15.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchTags {
    /// Tags to set, overwriting.
    pub set: BTreeMap<TagKey, String>,
    /// Keys to remove after setting, as given; unknown or impossible ones are no error.
    pub remove: Vec<String>,
}

/// Reads the body of `PATCH /tags/{org}/{resource_type}/{resource_id}`.
pub fn patch_tags(body: &[u8]) -> Result<PatchTags, FieldErrors> {
    read_object(body, &["set_tags", "remove_tags"], |reader, members| {
        let mut tags = PatchTags::default();
        let path = Path::Member(&Path::Root, "set_tags");
        if let Some(node) = members.nullable("set_tags") {
            for (key, value) in reader.map(&path, node).unwrap_or_default() {
                if reader.is_full() {
                    break;
                }
                let path = Path::Member(&path, &key);
                let value = reader.text(&path, value, TextRule::FREE);
                match TagKey::parse(&key) {
                    Ok(key) => {
                        tags.set.insert(key, value.unwrap_or_default().into_owned());
                    }
                    Err(error) => reader.errors.at(&path, &error.contracted_text(), &key),
                }
            }
        }
        if let Some(node) = members.nullable("remove_tags") {
            tags.remove = reader
                .texts(&Path::Member(&Path::Root, "remove_tags"), node)
                .unwrap_or_default();
        }
        Some(tags)
    })
}

/// Values of a query string, with the contracted texts under `query.<name>`.
///
/// Each reader returns the default when the parameter is absent or wrong; ask
/// [`QueryReader::finish`] before using any of them.
#[derive(Debug, Default)]
pub struct QueryReader {
    errors: FieldErrors,
}

impl QueryReader {
    /// A reader that has found nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An integer of at least `min` and, if given, at most `max`.
    pub fn integer(
        &mut self,
        name: &str,
        text: Option<&str>,
        min: u64,
        max: Option<u64>,
    ) -> Option<u64> {
        let text = text?;
        let message = match text.trim().parse::<i128>() {
            Err(_) => {
                "Input should be a valid integer, unable to parse string as an integer".to_owned()
            }
            Ok(value) if value < i128::from(min) => {
                format!("Input should be greater than or equal to {min}")
            }
            Ok(value) => {
                let max = max.unwrap_or(i64::MAX as u64);
                match u64::try_from(value) {
                    Ok(value) if value <= max => return Some(value),
                    _ => format!("Input should be less than or equal to {max}"),
                }
            }
        };
        self.errors.add(&format!("query.{name}"), &message, text);
        None
    }

    /// A finite number.
    pub fn number(&mut self, name: &str, text: Option<&str>) -> Option<f64> {
        let text = text?;
        let message = match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => return Some(value),
            Ok(_) => "Input should be a finite number",
            Err(_) => "Input should be a valid number, unable to parse string as a number",
        };
        self.errors.add(&format!("query.{name}"), message, text);
        None
    }

    /// A boolean, in any of the usual words.
    pub fn boolean(&mut self, name: &str, text: Option<&str>) -> Option<bool> {
        let text = text?;
        match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => {
                self.errors.add(
                    &format!("query.{name}"),
                    "Input should be a valid boolean, unable to interpret input",
                    text,
                );
                None
            }
        }
    }

    /// One of a few words. `name` may carry an index for a repeated parameter (`type[0]`).
    pub fn one_of<T: Copy>(
        &mut self,
        name: &str,
        text: Option<&str>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = text?;
        if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == text) {
            return Some(*value);
        }
        let message = enum_text(choices.iter().map(|(choice, _)| *choice));
        self.errors.add(&format!("query.{name}"), &message, text);
        None
    }

    /// A parameter that must be given.
    pub fn required<'t>(&mut self, name: &str, text: Option<&'t str>) -> Option<&'t str> {
        if text.is_none() {
            self.errors
                .add(&format!("query.{name}"), "Field required", "None");
        }
        text
    }

    /// The errors found, if any.
    pub fn finish(self) -> Result<(), FieldErrors> {
        self.errors.into_result(Some(()))
    }
}
