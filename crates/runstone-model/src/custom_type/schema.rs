//! JSON Schema over values whose every use is charged.

use std::borrow::Cow;
use std::collections::HashMap;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use jsonschema::{Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::meter::charge;

/// Most bytes of a schema.
pub(super) const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// The keyword that is put where a schema would look at nothing.
const STEP: &str = "x-runstone-step";

/// Values of this server whose use is charged.
pub(super) struct Charged;

impl Json for Charged {
    type Node<'a> = Seen<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Value, string: &str, f: impl FnOnce(Seen<'_>) -> T) -> T {
        *buffer = Value::String(string.to_owned());
        f(Seen(buffer))
    }
}

/// A value as the validator sees it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a>(pub(super) &'a Value);

pub(super) struct Members<'a>(&'a Map<String, Value>);

pub(super) struct Items<'a>(&'a [Value]);

impl<'a> Node<'a, Charged> for Seen<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a serde_json::Number;

    fn as_object(&self) -> Option<Members<'a>> {
        charge(1);
        self.0.as_object().map(Members)
    }

    fn as_array(&self) -> Option<Items<'a>> {
        charge(1);
        self.0.as_array().map(|items| Items(items))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.0.as_str();
        // Whoever asks goes through it, perhaps with a pattern.
        charge(1 + text.map_or(0, str::len));
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a serde_json::Number> {
        charge(1);
        self.0.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        charge(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        charge(1);
        self.0.is_null()
    }

    fn json_type(&self) -> JsonType {
        charge(1);
        match self.0 {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        charge(size(self.0));
        Cow::Borrowed(self.0)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        charge(1);
        Some(NodeIdentity::new(std::ptr::from_ref(self.0).addr()))
    }
}

impl<'a> Object<'a, Charged> for Members<'a> {
    type Node = Seen<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Seen<'a>> {
        charge(1);
        self.0.get(key).map(Seen)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

impl<'a> Array<'a, Charged> for Items<'a> {
    type Node = Seen<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter(self.0.iter())
    }
}

pub(super) struct MembersIter<'a>(serde_json::map::Iter<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Seen<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        charge(1);
        self.0
            .next()
            .map(|(name, value)| (name.as_str(), Seen(value)))
    }
}

pub(super) struct ItemsIter<'a>(std::slice::Iter<'a, Value>);

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        charge(1);
        self.0.next().map(Seen)
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / 16,
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => {
            let members = members.iter();
            1 + members
                .map(|(name, value)| 1 + name.len() / 16 + size(value))
                .sum::<usize>()
        }
        _ => 1,
    }
}

/// A keyword that costs a step and always holds.
struct Step;

impl<'i> Keyword<'i, Charged> for Step {
    fn validate(&self, _: Seen<'i>) -> Result<(), ValidationError<'i>> {
        charge(1);
        Ok(())
    }

    fn is_valid(&self, _: Seen<'i>) -> bool {
        charge(1);
        true
    }
}

/// A schema that can be used.
pub(super) struct Schema(Validator<Charged>);

impl Schema {
    /// Compiles a schema, or says what is wrong with it. To be called within the meter.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        if !(schema.is_object() || schema.is_boolean()) {
            return Err("Invalid JSON Schema: it should be an object".to_owned());
        }
        jsonschema::meta::validate(schema)
            .map_err(|error| format!("Invalid JSON Schema: {}", shown(&error)))?;
        Endless::refuse(schema)?;
        let mut stepped = schema.clone();
        mark(&mut stepped)?;
        jsonschema::options_for::<Charged>()
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(1 << 20)
                    .dfa_size_limit(1 << 20),
            )
            .with_keyword(STEP, |_, _, _| Ok(Box::new(Step)))
            .should_validate_formats(true)
            .build(&stepped)
            .map(Self)
            .map_err(|error| format!("Invalid JSON Schema: {}", shown(&error)))
    }

    /// Whether `data` conforms. To be called within the meter.
    pub(super) fn accepts(&self, data: &Value) -> bool {
        self.0.is_valid(Seen(data))
    }

    /// What is wrong with `data`, at most `max` problems: where, and what.
    pub(super) fn problems(&self, data: &Value, max: usize) -> Vec<String> {
        let errors = self.0.iter_errors(Seen(data));
        errors
            .take(max)
            .map(|error| {
                let place = error.instance_path().to_string();
                format!("{place}: {}", shown(&error))
            })
            .collect()
    }
}

fn shown(error: &ValidationError<'_>) -> String {
    error.to_string().chars().take(300).collect()
}

/// Keywords whose value is a map from names to schemas.
const MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
];

/// Keywords whose value holds no schema.
const PLAIN: &[&str] = &[
    "const",
    "enum",
    "default",
    "examples",
    "dependentRequired",
    "required",
    "type",
    "$vocabulary",
];

/// Keywords whose schemas apply to the same value, where `true` and `false` would cost nothing.
const IN_PLACE: &[&str] = &["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Looks for schemas that refer to themselves without ever going on to a part of the value: such a
/// schema says nothing, and the library lets everything pass it.
struct Endless<'s> {
    root: &'s Value,
    /// Schemas that were looked at; false while their references are followed.
    seen: HashMap<*const Value, bool>,
}

impl<'s> Endless<'s> {
    fn refuse(root: &'s Value) -> Result<(), String> {
        let seen = HashMap::new();
        Self { root, seen }.within(root, root)
    }

    /// Every schema within `value`, which lies in the resource `base`.
    fn within(&mut self, value: &'s Value, base: &'s Value) -> Result<(), String> {
        match value {
            Value::Object(members) => {
                let base = own_base(value, base);
                self.follow(value, base)?;
                members
                    .iter()
                    .filter(|(keyword, _)| !PLAIN.contains(&keyword.as_str()))
                    .try_for_each(|(_, value)| self.within(value, base))
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.within(item, base)),
            _ => Ok(()),
        }
    }

    /// The schemas that apply to the same value as `schema`.
    fn follow(&mut self, schema: &'s Value, base: &'s Value) -> Result<(), String> {
        let Value::Object(members) = schema else {
            return Ok(());
        };
        let base = own_base(schema, base);
        let place = std::ptr::from_ref(schema);
        match self.seen.insert(place, false) {
            None => {}
            Some(true) => {
                self.seen.insert(place, true);
                return Ok(());
            }
            Some(false) => {
                return Err("Invalid JSON Schema: it refers to itself without end".to_owned());
            }
        }
        for keyword in IN_PLACE {
            match members.get(*keyword) {
                Some(Value::Array(items)) => {
                    items.iter().try_for_each(|item| self.follow(item, base))?;
                }
                Some(schema) => self.follow(schema, base)?,
                None => {}
            }
        }
        if let Some(Value::Object(map)) = members.get("dependentSchemas") {
            map.values().try_for_each(|item| self.follow(item, base))?;
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(Value::String(target)) = members.get(keyword)
                && let Some((target, base)) = self.target(target, base)
            {
                self.follow(target, base)?;
            }
        }
        self.seen.insert(place, true);
        Ok(())
    }

    /// The schema that a reference leads to, and its resource; none if it is named otherwise than
    /// by its place or an anchor.
    fn target(&self, target: &str, base: &'s Value) -> Option<(&'s Value, &'s Value)> {
        let (resource, fragment) = target.split_once('#').unwrap_or((target, ""));
        let base = match resource {
            "" => base,
            name => find(self.root, &|members| {
                members.get("$id").and_then(Value::as_str) == Some(name)
            })?,
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            return base.pointer(fragment).map(|found| (found, base));
        }
        let found = find(base, &|members| {
            ["$anchor", "$dynamicAnchor"]
                .iter()
                .any(|name| members.get(*name).and_then(Value::as_str) == Some(fragment))
        })?;
        Some((found, base))
    }
}

/// The resource that `schema` lies in: itself, if it has a name of its own.
fn own_base<'s>(schema: &'s Value, base: &'s Value) -> &'s Value {
    if schema.get("$id").is_some_and(Value::is_string) {
        schema
    } else {
        base
    }
}

/// The first schema within `value` whose members are as wanted.
fn find<'s>(value: &'s Value, wanted: &impl Fn(&Map<String, Value>) -> bool) -> Option<&'s Value> {
    match value {
        Value::Object(members) if wanted(members) => Some(value),
        Value::Object(members) => members
            .iter()
            .filter(|(keyword, _)| !PLAIN.contains(&keyword.as_str()))
            .find_map(|(_, value)| find(value, wanted)),
        Value::Array(items) => items.iter().find_map(|item| find(item, wanted)),
        _ => None,
    }
}

/// Puts [`STEP`] into every schema that can be reached, so that none is looked at for nothing:
/// references and combinations alone could multiply without ever touching the value.
fn mark(schema: &mut Value) -> Result<(), String> {
    let members = match schema {
        Value::Bool(true) => {
            *schema = json!({STEP: true});
            return Ok(());
        }
        Value::Bool(false) => {
            *schema = json!({"not": {STEP: true}});
            return Ok(());
        }
        Value::Object(members) => members,
        _ => return Ok(()),
    };
    for (keyword, value) in members.iter_mut() {
        let keyword = keyword.as_str();
        if PLAIN.contains(&keyword) {
            continue;
        }
        if let ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) =
            (keyword, &*value)
        {
            check_ref(target)?;
        }
        match value {
            Value::Object(map) if MAPS.contains(&keyword) => {
                for (_, schema) in map.iter_mut() {
                    mark_unless_plain(keyword, schema)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    mark_unless_plain(keyword, item)?;
                }
            }
            value => mark_unless_plain(keyword, value)?,
        }
    }
    members.insert(STEP.to_owned(), Value::Bool(true));
    Ok(())
}

fn mark_unless_plain(keyword: &str, value: &mut Value) -> Result<(), String> {
    let in_place = IN_PLACE.contains(&keyword) || MAPS.contains(&keyword);
    if value.is_object() || in_place && value.is_boolean() {
        mark(value)?;
    }
    Ok(())
}

/// Refuses references into values that are no schemas: they could not be counted.
fn check_ref(target: &str) -> Result<(), String> {
    let refuse = || {
        Err(format!(
            "Invalid JSON Schema: reference '{target}' is not supported"
        ))
    };
    let Some((_, fragment)) = target.split_once('#') else {
        return Ok(());
    };
    if fragment.contains('%') {
        return refuse();
    }
    let mut segments = fragment.split('/').skip(1);
    while let Some(keyword) = segments.next() {
        if PLAIN.contains(&keyword) {
            return refuse();
        }
        if MAPS.contains(&keyword) {
            segments.next();
        }
    }
    Ok(())
}
