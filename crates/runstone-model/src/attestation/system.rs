//! Decisions about controls.

use serde_json::Value;

use super::kind::DECISION;
use super::{Judged, Kind, Verdict};
use crate::provenance::shape::{Members, Shape};

/// Compliant if the decision says so. A control that does not exist is recorded all the same.
pub static KIND: Kind = Kind {
    path: "system",
    tool: false,
    multipart: true,
    members: Members {
        open: true,
        members: &[
            ("type_name", true, Shape::OneOf(&["decision"])),
            (
                "attestation_data",
                true,
                Shape::Open(&Members {
                    open: true,
                    members: &[("is_compliant", true, Shape::Boolean)],
                }),
            ),
            ("control", false, Shape::Text),
        ],
    },
    shown: &[
        ("attestation_data", "attestation_data"),
        ("control", "control"),
    ],
    judge: |report| {
        let data = report.get("attestation_data");
        let says = data.and_then(|data| data.get("is_compliant"));
        let control = report.get("control").and_then(Value::as_str);
        Judged {
            kind: DECISION.to_owned(),
            verdict: Verdict::Decided(says == Some(&Value::Bool(true))),
            original: None,
            control: control.map(ToOwned::to_owned),
        }
    },
};
