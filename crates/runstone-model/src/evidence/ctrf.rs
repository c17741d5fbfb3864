//! Results of tests in the common format CTRF.

use serde_json::{Value, json};

use super::{Format, at, items_at, text_at};

pub(super) static FORMAT: Format = Format {
    name: "ctrf",
    json: Some(|file| {
        let summary = at(file, &["results", "summary"])?;
        summary.get("tests")?.as_u64()?;
        summary.get("passed")?.as_u64()?;
        at(file, &["results", "tool", "name"])?.as_str()?;
        let count = |name: &str| summary.get(name).and_then(Value::as_u64).unwrap_or(0);
        Some(json!({
            "tool": text_at(file, &["results", "tool", "name"]),
            "tests": count("tests"),
            "passed": count("passed"),
            "failed": count("failed"),
            "pending": count("pending"),
            "skipped": count("skipped"),
            "other": count("other"),
            "cases": items_at(file, &["results", "tests"]).len(),
        }))
    }),
    xml: None,
};
