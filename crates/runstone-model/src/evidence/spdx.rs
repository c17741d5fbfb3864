//! Bills of materials: SPDX 2 in JSON, and SPDX 3.

use serde_json::{Value, json};

use super::{Format, cut, items_at, str_at, text_at};

pub(super) static FORMAT: Format = Format {
    name: "spdx",
    json: Some(|file| second(file).or_else(|| third(file))),
    xml: None,
};

fn second(file: &Value) -> Option<Value> {
    let version = str_at(file, &["spdxVersion"])?;
    version.starts_with("SPDX-").then(|| {
        json!({
            "version": cut(version),
            "name": text_at(file, &["name"]),
            "packages": items_at(file, &["packages"]).len(),
            "files": items_at(file, &["files"]).len(),
            "relationships": items_at(file, &["relationships"]).len(),
        })
    })
}

/// A graph of elements of many types.
fn third(file: &Value) -> Option<Value> {
    let context = str_at(file, &["@context"])?;
    let version = context.strip_prefix("https://spdx.org/rdf/")?;
    let graph = items_at(file, &["@graph"]);
    let count = |kinds: &[&str]| {
        let is_one =
            |item: &&Value| str_at(item, &["type"]).is_some_and(|kind| kinds.contains(&kind));
        graph.iter().filter(is_one).count()
    };
    let document = graph
        .iter()
        .find(|item| str_at(item, &["type"]) == Some("SpdxDocument"));
    Some(json!({
        "version": cut(version.split('/').next().unwrap_or(version)),
        "name": document.map_or(Value::Null, |document| text_at(document, &["name"])),
        "packages": count(&["software_Package"]),
        "files": count(&["software_File"]),
        "relationships": count(&["Relationship", "LifecycleScopedRelationship"]),
    }))
}
