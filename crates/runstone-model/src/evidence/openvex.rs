//! Statements about vulnerabilities: OpenVEX.

use serde_json::json;

use super::{Format, items_at, str_at, tally, text_at};

pub(super) static FORMAT: Format = Format {
    name: "openvex",
    json: Some(|file| {
        let context = str_at(file, &["@context"])?;
        context.starts_with("https://openvex.dev/ns").then(|| {
            let statements = items_at(file, &["statements"]);
            let statuses = statements
                .iter()
                .filter_map(|statement| str_at(statement, &["status"]));
            let known = ["not_affected", "affected", "fixed", "under_investigation"];
            json!({
                "id": text_at(file, &["@id"]),
                "author": text_at(file, &["author"]),
                "statements": statements.len(),
                "statuses": tally(&known, statuses),
            })
        })
    }),
    xml: None,
};
