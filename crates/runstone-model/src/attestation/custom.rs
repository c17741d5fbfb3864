//! Attestations of a type that the organization defined itself.

use serde_json::{Map, Value};

use super::kind::CUSTOM;
use super::{Judged, Kind, Verdict};
use crate::name::{NAME_BYTES_MAX, TypeName};
use crate::provenance::shape::{Members, Pattern, Shape};

pub(super) const TYPE_NAME: Shape = Shape::Matching(&Pattern {
    text: TypeName::PATTERN,
    fits: |text| text.len() > NAME_BYTES_MAX || TypeName::parse(text).is_ok(),
    bytes_max: NAME_BYTES_MAX,
});

/// Judged by the newest version of its type.
pub static KIND: Kind = Kind {
    path: "custom",
    tool: false,
    multipart: true,
    members: Members {
        open: false,
        members: &[
            ("type_name", true, TYPE_NAME),
            ("attestation_data", true, Shape::Json),
        ],
    },
    shown: &[
        ("type_name", "type_name"),
        ("attestation_data", "attestation_data"),
    ],
    judge,
};

fn judge(report: &Map<String, Value>) -> Judged {
    let name = report.get("type_name").and_then(Value::as_str);
    let name = name.and_then(|name| TypeName::parse(name).ok());
    let name = name.expect("the shape was checked");
    Judged {
        kind: format!("{CUSTOM}{name}"),
        verdict: Verdict::ByType(name),
        original: None,
        control: None,
    }
}
