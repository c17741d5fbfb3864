//! Findings of static analysis: SARIF 2.1.0.

use serde_json::{Value, json};

use super::{Format, ITEMS_MAX, items_at, str_at, tally, text_at};

pub(super) static FORMAT: Format = Format {
    name: "sarif",
    json: Some(summary),
    xml: None,
};

fn summary(file: &Value) -> Option<Value> {
    let version = str_at(file, &["version"])?;
    let schema = str_at(file, &["$schema"]).unwrap_or("");
    file.get("runs")?.as_array()?;
    if !(version.starts_with("2.") || schema.contains("sarif")) {
        return None;
    }
    let runs = items_at(file, &["runs"]);
    let results = || runs.iter().flat_map(|run| items_at(run, &["results"]));
    // A result without a level is a warning, as the standard has it.
    let levels = results().map(|result| str_at(result, &["level"]).unwrap_or("warning"));
    let tools: Vec<Value> = runs
        .iter()
        .take(ITEMS_MAX)
        .map(|run| {
            json!({
                "name": text_at(run, &["tool", "driver", "name"]),
                "version": text_at(run, &["tool", "driver", "version"]),
            })
        })
        .collect();
    Some(json!({
        "version": super::cut(version),
        "tools": tools,
        "results": results().count(),
        "levels": tally(&["error", "warning", "note", "none"], levels),
    }))
}
