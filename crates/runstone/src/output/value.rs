//! Reads fields of an answer and spells them as tables show them. A field that is absent, null or
//! of another type gives an empty text: an answer never stops a command (`cli.md` 12 no. 21).

use serde_json::Value;

/// The field `name`, null if there is none.
pub fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The text of the field `name`; numbers and booleans in their spelling, else empty.
pub fn text(value: &Value, name: &str) -> String {
    match field(value, name) {
        Value::Null => String::new(),
        other => runstone_api::client::spelled(other),
    }
}

/// The text of the field `name`, or `otherwise` if it is empty.
pub fn text_or(value: &Value, name: &str, otherwise: &str) -> String {
    let text = text(value, name);
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

/// The elements of the field `name`, none if it is no array.
pub fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    field(value, name).as_array().map_or(&[], Vec::as_slice)
}

/// The texts of the elements of the field `name`.
pub fn texts(value: &Value, name: &str) -> Vec<String> {
    items(value, name)
        .iter()
        .map(runstone_api::client::spelled)
        .collect()
}

/// `[a b]`.
pub fn bracketed(value: &Value, name: &str) -> String {
    format!("[{}]", texts(value, name).join(" "))
}

/// Tags as `[k=v], [k2=v2]`, sorted by key; empty if there are none.
pub fn tags(value: &Value) -> String {
    let Some(tags) = field(value, "tags").as_object() else {
        return String::new();
    };
    let mut tags: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("[{key}={}]", runstone_api::client::spelled(value)))
        .collect();
    tags.sort_unstable();
    tags.join(", ")
}

/// The members of an object and their texts, sorted by name; none if it is no object.
pub fn sorted(value: &Value) -> Vec<(String, String)> {
    let mut members: Vec<(String, String)> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), runstone_api::client::spelled(value)))
        .collect();
    members.sort_unstable();
    members
}

/// Tags as `k=v, k2=v2`, sorted by key; empty if there are none.
pub fn plain_tags(value: &Value) -> String {
    let tags: Vec<String> = sorted(field(value, "tags"))
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    tags.join(", ")
}

/// The first letters of a commit, or `N/A`.
pub fn short_commit(value: &Value, name: &str) -> String {
    let commit = text_or(value, name, "N/A");
    commit.chars().take(7).collect()
}
