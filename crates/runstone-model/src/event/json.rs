//! Reading members of JSON values, and private bodies.

use std::sync::Arc;

use serde_json::Value;

use super::{Body, Salt, Stored, Unreadable};
use crate::canonical;
use crate::id::{Digest, Micros};
use crate::role::Role;

pub(super) fn bad(what: impl Into<String>) -> Unreadable {
    Unreadable(what.into())
}

pub(super) fn digests(value: &Value) -> Result<Vec<Digest>, Unreadable> {
    value["bodies"]
        .as_array()
        .ok_or_else(|| bad("bodies"))?
        .iter()
        .map(digest)
        .collect()
}

pub(super) fn digest(value: &Value) -> Result<Digest, Unreadable> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad("digest"))
}

pub(super) fn text(value: &Value, key: &str) -> Result<String, Unreadable> {
    value[key]
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| bad(key))
}

pub(super) fn number(value: &Value, key: &str) -> Result<u64, Unreadable> {
    value[key].as_u64().ok_or_else(|| bad(key))
}

pub(super) fn ordinal(value: &Value, key: &str) -> Result<u32, Unreadable> {
    u32::try_from(number(value, key)?).map_err(|_| bad(key))
}

pub(super) fn flag(value: &Value, key: &str) -> Result<bool, Unreadable> {
    value[key].as_bool().ok_or_else(|| bad(key))
}

pub(super) fn optional_micros(value: &Value, key: &str) -> Option<Micros> {
    value[key].as_i64().map(Micros)
}

pub(super) fn role(value: &Value) -> Result<Role, Unreadable> {
    text(value, "role")?.parse().map_err(|_| bad("role"))
}

pub(super) fn private(value: Value, salt: &Salt) -> Body {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(canonical::to_string(&value).as_bytes());
    Body {
        private: true,
        content: Stored::Here(bytes.into()),
    }
}

pub(super) fn plain(value: &Value) -> Body {
    Body {
        private: false,
        content: Stored::Here(canonical::to_string(value).into_bytes().into()),
    }
}

/// The JSON of the plain body at `position`, which is never erased.
pub(super) fn read_plain(
    bodies: &[Option<Arc<[u8]>>],
    position: usize,
) -> Result<Value, Unreadable> {
    let bytes = bodies
        .get(position)
        .and_then(Option::as_ref)
        .ok_or_else(|| bad("missing body"))?;
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}

/// The JSON and salt of the private body at `position`; an erased one reads as null.
pub(super) fn read_private(
    bodies: &[Option<Arc<[u8]>>],
    position: usize,
) -> Result<(Value, Salt), Unreadable> {
    match bodies.get(position) {
        Some(Some(bytes)) => {
            let (salt, json) = bytes
                .split_first_chunk::<32>()
                .ok_or_else(|| bad("private body"))?;
            let value = serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
            Ok((value, *salt))
        }
        Some(None) => Ok((Value::Null, [0; 32])),
        None => Err(bad("missing body")),
    }
}

pub(super) fn text_or_empty(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
