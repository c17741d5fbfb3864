//! Where an artifact was built: provenance as SLSA words it, versions 0.2 and 1.

use serde_json::Value;

use super::{Format, in_toto, str_at, text_at};

pub(super) static FORMAT: Format = Format {
    name: "slsa-provenance",
    json: Some(provenance),
    xml: None,
};

pub(super) fn provenance(file: &Value) -> Option<Value> {
    let predicate = str_at(file, &["predicateType"])?;
    if !predicate.starts_with("https://slsa.dev/provenance/") {
        return None;
    }
    let mut summary = in_toto::statement(file)?;
    let first_of = |paths: [&[&str]; 2]| {
        let found = paths.into_iter().map(|path| text_at(file, path));
        found
            .into_iter()
            .find(|text| !text.is_null())
            .unwrap_or_default()
    };
    summary["builder"] = first_of([
        &["predicate", "runDetails", "builder", "id"],
        &["predicate", "builder", "id"],
    ]);
    summary["build_type"] = first_of([
        &["predicate", "buildDefinition", "buildType"],
        &["predicate", "buildType"],
    ]);
    summary["invocation"] = first_of([
        &["predicate", "runDetails", "metadata", "invocationId"],
        &["predicate", "metadata", "buildInvocationId"],
    ]);
    Some(summary)
}
