//! Shapes of JSON values as data: one table says what a body may hold, reads it with every
//! problem under its dotted path, and is shown as JSON Schema.

use serde_json::{Map, Value, json};

use crate::read::{FieldErrors, Node, Path, Reader, TextRule, body_text, enum_text, not_json};

/// A rule for texts, and how it is told.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// The contracted pattern; shown when a text breaks it.
    pub text: &'static str,
    /// Whether a text obeys it.
    pub fits: fn(&str) -> bool,
    /// Most bytes.
    pub bytes_max: usize,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Anything.
    Any,
    /// Anything; a text with JSON in it stands for what it holds.
    Json,
    /// Any text.
    Text,
    /// A text that obeys a rule.
    Matching(&'static Pattern),
    /// An absolute URL.
    Url,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// Null, or this.
    Nullable(&'static Shape),
    /// An object or a list of anything.
    Structure,
    /// A list.
    List(&'static Shape),
    /// An object whose member names obey the rule.
    Map(Option<&'static Pattern>, &'static Shape),
    /// An object with known members; what else it holds is dropped if it is open.
    Object(&'static Members),
    /// An object with known members that keeps what else it holds.
    Open(&'static Members),
    /// An object of the second form if it has one of these members, else of the first.
    Either(&'static Members, &'static [&'static str], &'static Members),
}

/// The known members of an object.
#[derive(Debug, Clone, Copy)]
pub struct Members {
    /// Whether other members are accepted, and dropped.
    pub open: bool,
    /// Name, whether it must be there, shape. What need not be there may be null, which is read
    /// as absent unless the shape is nullable.
    pub members: &'static [Member],
}

/// Name, whether it must be there, shape.
pub type Member = (&'static str, bool, Shape);

/// Reads `body` as one object with the members of all `parts`; open if one of them is.
pub fn read_body(
    body: &[u8],
    bytes_max: usize,
    parts: &[&Members],
) -> Result<Map<String, Value>, FieldErrors> {
    let text = body_text(body)?;
    if text.len() > bytes_max {
        let message = format!("Body should have at most {bytes_max} bytes");
        return Err(FieldErrors::one(crate::read::BODY, &message, text));
    }
    let node =
        serde_json::from_str(text).map_err(|error| not_json(crate::read::BODY, text, &error))?;
    let mut reader = Reader::new();
    let object = read_object(&mut reader, &Path::Root, node, parts);
    reader.errors.into_result(object)
}

fn read_object(
    reader: &mut Reader,
    path: &Path<'_>,
    node: Node<'_>,
    parts: &[&Members],
) -> Option<Map<String, Value>> {
    let Node::Object(entries) = node else {
        reader.refuse(
            path,
            "Input should be a valid dictionary or object to extract fields from",
            &node,
        );
        return None;
    };
    let find = |name: &str| {
        let mut members = parts.iter().flat_map(|part| part.members);
        members.find(|(known, ..)| *known == name)
    };
    let open = parts.iter().any(|part| part.open);
    let mut found: Vec<(&'static str, Option<Value>)> = Vec::with_capacity(entries.len().min(32));
    for (name, value) in entries {
        if reader.is_full() {
            return None;
        }
        let Some((known, required, shape)) = find(&name) else {
            if !open {
                let path = Path::Member(path, &name);
                reader.refuse(&path, "Extra inputs are not permitted", &value);
            }
            continue;
        };
        let path = Path::Member(path, known);
        if found.iter().any(|(before, _)| before == known) {
            let text = format!("Member '{known}' is given more than once");
            reader.refuse(&path, &text, &value);
            continue;
        }
        if value == Node::Null && !required && !matches!(shape, Shape::Nullable(_)) {
            found.push((known, None));
            continue;
        }
        found.push((known, shape.read(reader, &path, value)));
    }
    let mut object = Map::with_capacity(found.len());
    for (name, required, _) in parts.iter().flat_map(|part| part.members) {
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => {
                if let Some(value) = value.take() {
                    object.insert((*name).to_owned(), value);
                }
            }
            None if *required => {
                reader.refuse(&Path::Member(path, name), "Field required", &Node::Null);
            }
            None => {}
        }
    }
    Some(object)
}

impl Shape {
    /// Reads a value of this shape; on a problem it is reported and the value is of no use.
    pub(crate) fn read(
        &self,
        reader: &mut Reader,
        path: &Path<'_>,
        node: Node<'_>,
    ) -> Option<Value> {
        match self {
            Self::Any => Some(to_value(node)),
            Self::Json => match &node {
                Node::Text(text) => {
                    let held = serde_json::from_str(text);
                    Some(held.map_or_else(|_| to_value(node.clone()), to_value))
                }
                _ => Some(to_value(node)),
            },
            Self::Text => {
                let text = reader.text(path, node, TextRule::FREE)?;
                Some(Value::String(text.into_owned()))
            }
            Self::Matching(pattern) => {
                let text = reader.text(path, node, TextRule::FREE)?;
                if !(pattern.fits)(&text) {
                    let message = format!("String should match pattern '{}'", pattern.text);
                    reader.refuse(path, &message, &Node::Text(text));
                    None
                } else if text.len() > pattern.bytes_max {
                    let message = format!(
                        "String should have at most {} characters",
                        pattern.bytes_max
                    );
                    reader.refuse(path, &message, &Node::Text(text));
                    None
                } else {
                    Some(Value::String(text.into_owned()))
                }
            }
            Self::Url => {
                let text = reader.text(path, node, TextRule::FREE)?;
                if is_url(&text) {
                    Some(Value::String(text.into_owned()))
                } else {
                    reader.refuse(path, "Input should be a valid URL", &Node::Text(text));
                    None
                }
            }
            Self::OneOf(choices) => match &node {
                Node::Text(text) if choices.contains(&text.as_ref()) => Some(to_value(node)),
                _ => {
                    reader.refuse(path, &enum_text(choices.iter().copied()), &node);
                    None
                }
            },
            Self::Boolean => reader.boolean(path, &node).map(Value::Bool),
            Self::Integer => reader
                .integer(path, &node, i64::MIN, i64::MAX)
                .map(Value::from),
            Self::Number => match node {
                Node::Integer(_) | Node::Float(_) => Some(to_value(node)),
                _ => {
                    reader.refuse(path, "Input should be a valid number", &node);
                    None
                }
            },
            Self::Nullable(_) if node == Node::Null => Some(Value::Null),
            Self::Nullable(shape) => shape.read(reader, path, node),
            Self::Structure => match node {
                Node::Object(_) | Node::List(_) => Some(to_value(node)),
                _ => {
                    reader.refuse(path, "Input should be a valid dictionary or list", &node);
                    None
                }
            },
            Self::List(shape) => {
                let nodes = reader.list(path, node)?;
                let mut items = Vec::with_capacity(nodes.len());
                for (index, node) in nodes.into_iter().enumerate() {
                    if reader.is_full() {
                        return None;
                    }
                    items.extend(shape.read(reader, &Path::Index(path, index), node));
                }
                Some(Value::Array(items))
            }
            Self::Map(pattern, shape) => {
                let entries = reader.map(path, node)?;
                let mut object = Map::with_capacity(entries.len());
                for (name, node) in entries {
                    if reader.is_full() {
                        return None;
                    }
                    let path = Path::Member(path, &name);
                    if let Some(pattern) = pattern
                        && !(pattern.fits)(&name)
                    {
                        let message = format!("String should match pattern '{}'", pattern.text);
                        reader.refuse(&path, &message, &Node::Text(name.clone()));
                        continue;
                    }
                    if let Some(value) = shape.read(reader, &path, node) {
                        object.insert(name.into_owned(), value);
                    }
                }
                Some(Value::Object(object))
            }
            Self::Object(members) => {
                read_object(reader, path, node, &[*members]).map(Value::Object)
            }
            Self::Open(members) => {
                let whole = to_value(node.clone());
                let read = read_object(reader, path, node, &[*members])?;
                let Value::Object(mut whole) = whole else {
                    return None;
                };
                whole.extend(read);
                Some(Value::Object(whole))
            }
            Self::Either(first, marks, second) => {
                let is_second = matches!(&node, Node::Object(entries)
                    if entries.iter().any(|(name, _)| marks.contains(&name.as_ref())));
                let members = if is_second { second } else { first };
                read_object(reader, path, node, &[*members]).map(Value::Object)
            }
        }
    }

    /// As JSON Schema.
    pub fn schema(&self) -> Value {
        match self {
            Self::Any | Self::Json => json!({}),
            Self::Text => json!({"type": "string"}),
            Self::Matching(pattern) => json!({"type": "string", "pattern": pattern.text}),
            Self::Url => json!({"type": "string", "format": "uri"}),
            Self::OneOf(choices) => json!({"enum": choices}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Number => json!({"type": "number"}),
            Self::Nullable(shape) => json!({"anyOf": [shape.schema(), {"type": "null"}]}),
            Self::Structure => json!({"type": ["object", "array"]}),
            Self::List(shape) => json!({"type": "array", "items": shape.schema()}),
            Self::Map(None, shape) => {
                json!({"type": "object", "additionalProperties": shape.schema()})
            }
            Self::Map(Some(pattern), shape) => json!({
                "type": "object",
                "patternProperties": {pattern.text: shape.schema()},
                "additionalProperties": false
            }),
            Self::Object(members) | Self::Open(members) => schema_of(&[*members]),
            Self::Either(first, _, second) => {
                json!({"anyOf": [schema_of(&[*first]), schema_of(&[*second])]})
            }
        }
    }
}

/// The JSON Schema of an object with the members of all `parts`.
pub fn schema_of(parts: &[&Members]) -> Value {
    let members = || parts.iter().flat_map(|part| part.members);
    let properties: Map<String, Value> = members()
        .map(|(name, _, shape)| ((*name).to_owned(), shape.schema()))
        .collect();
    let required: Vec<&str> = members()
        .filter(|(_, required, _)| *required)
        .map(|(name, ..)| *name)
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": parts.iter().any(|part| part.open)
    })
}

/// The value that a node stands for. A repeated member counts as the last one.
pub(crate) fn to_value(node: Node<'_>) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(value),
        Node::Integer(value) => Value::from(value),
        Node::Float(value) => Value::from(value),
        Node::Text(text) => Value::String(text.into_owned()),
        Node::List(items) => items.into_iter().map(to_value).collect(),
        Node::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name.into_owned(), to_value(value)))
            .collect(),
    }
}

/// Whether a text is an absolute URL: a scheme, `://`, something after it, no blanks or controls.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !host.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
