//! A changed mind about an attestation.

use serde_json::Value;

use super::kind::{CUSTOM, OVERRIDE, SYSTEM};
use super::{Judged, KINDS, Kind, Verdict, is_true};
use crate::name::NAME_BYTES_MAX;
use crate::provenance::shape::{Members, Pattern, Shape};

const ORIGINAL: Shape = Shape::Matching(&Pattern {
    text: "^(generic|junit|snyk|pull_request|jira|sonar|custom:.*|system:.*)$",
    fits: |text| {
        text.starts_with(CUSTOM)
            || text.starts_with(SYSTEM)
            || KINDS.iter().any(|kind| kind.tool && kind.path == text)
    },
    bytes_max: CUSTOM.len() + NAME_BYTES_MAX,
});

/// Compliant as the report says. It is listed with the kind of what it overrides (O14).
pub static KIND: Kind = Kind {
    path: OVERRIDE,
    tool: false,
    multipart: false,
    members: Members {
        open: false,
        members: &[
            ("reason", true, Shape::Text),
            ("new_compliance_status", true, Shape::Boolean),
            ("original_attestation_type", true, ORIGINAL),
        ],
    },
    shown: &[
        ("reason", "reason"),
        ("new_compliance_status", "new_compliance_status"),
        ("original_attestation_type", "original_attestation_type"),
    ],
    judge: |report| {
        let original = report.get("original_attestation_type");
        Judged {
            kind: OVERRIDE.to_owned(),
            verdict: Verdict::Decided(is_true(report, "new_compliance_status")),
            original: original.and_then(Value::as_str).map(ToOwned::to_owned),
            control: None,
        }
    },
};
