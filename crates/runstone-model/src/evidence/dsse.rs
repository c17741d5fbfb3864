//! Signed envelopes: DSSE. That the signatures hold is for whoever has the keys to say.

use serde_json::{Value, json};

use super::{Format, ITEMS_MAX, in_toto, items_at, signed, slsa, str_at, text_at};

pub(super) static FORMAT: Format = Format {
    name: "dsse",
    json: Some(envelope),
    xml: None,
};

/// The summary of an envelope and of the statement in it.
pub(super) fn envelope(file: &Value) -> Option<Value> {
    let kind = str_at(file, &["payloadType"])?;
    let payload = str_at(file, &["payload"])?;
    file.get("signatures")?.as_array()?;
    let signatures = items_at(file, &["signatures"]);
    let keys: Vec<Value> = signatures
        .iter()
        .take(ITEMS_MAX)
        .map(|signature| text_at(signature, &["keyid"]))
        .collect();
    let statement = signed::decode(payload)
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|payload| slsa::provenance(&payload).or_else(|| in_toto::statement(&payload)));
    Some(json!({
        "payload_type": super::cut(kind),
        "signatures": signatures.len(),
        "key_ids": keys,
        "statement": statement,
    }))
}
