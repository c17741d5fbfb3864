//! Statements about artifacts: in-toto.

use serde_json::{Value, json};

use super::{Format, ITEMS_MAX, items_at, str_at, text_at};

pub(super) static FORMAT: Format = Format {
    name: "in-toto",
    json: Some(statement),
    xml: None,
};

/// The summary of a statement, whatever its predicate.
pub(super) fn statement(file: &Value) -> Option<Value> {
    let kind = str_at(file, &["_type"])?;
    kind.starts_with("https://in-toto.io/Statement/").then(|| {
        let subjects = items_at(file, &["subject"]);
        let shown: Vec<Value> = subjects
            .iter()
            .take(ITEMS_MAX)
            .map(|subject| {
                json!({
                    "name": text_at(subject, &["name"]),
                    "sha256": text_at(subject, &["digest", "sha256"]),
                })
            })
            .collect();
        json!({
            "type": super::cut(kind),
            "predicate_type": text_at(file, &["predicateType"]),
            "subject_count": subjects.len(),
            "subjects": shown,
        })
    })
}
