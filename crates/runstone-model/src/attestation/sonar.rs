//! The outcome of an analysis of code quality, with the members of the analyser's webhook.

use super::{Judged, Kind};
use crate::provenance::shape::{Members, Shape};

const RESULTS: Members = Members {
    open: true,
    members: &[
        ("serverUrl", false, Shape::Text),
        ("taskId", false, Shape::Text),
        ("status", false, Shape::Text),
        ("analysedAt", true, Shape::Text),
        ("revision", true, Shape::Text),
        ("changedAt", false, Shape::Text),
        (
            "project",
            true,
            Shape::Open(&Members {
                open: true,
                members: &[
                    ("name", false, Shape::Text),
                    ("key", true, Shape::Text),
                    ("url", true, Shape::Text),
                ],
            }),
        ),
        (
            "branch",
            false,
            Shape::Open(&Members {
                open: true,
                members: &[("name", false, Shape::Text), ("type", false, Shape::Text)],
            }),
        ),
        (
            "qualityGate",
            false,
            Shape::Open(&Members {
                open: true,
                members: &[
                    ("name", false, Shape::Text),
                    ("status", true, Shape::Text),
                    (
                        "conditions",
                        false,
                        Shape::List(&Shape::Map(None, &Shape::Any)),
                    ),
                ],
            }),
        ),
    ],
};

/// Compliant if the quality gate is `OK` (O12: not if there is none).
pub static KIND: Kind = Kind {
    path: "sonar",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[("sonar_results", true, Shape::Open(&RESULTS))],
    },
    shown: &[("sonar_results", "sonar_results")],
    judge: |report| {
        let status = report
            .get("sonar_results")
            .and_then(|results| results.get("qualityGate")?.get("status")?.as_str());
        Judged::plain("sonar", status == Some("OK"))
    },
};
