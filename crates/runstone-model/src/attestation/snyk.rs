//! Findings of a scan for vulnerabilities.

use serde_json::Value;

use super::{Judged, Kind, is_positive};
use crate::provenance::shape::{Members, Shape};

const FINDINGS: Shape = Shape::List(&Shape::Object(&Members {
    open: false,
    members: &[
        ("id", true, Shape::Text),
        ("message", true, Shape::Text),
        (
            "locations",
            false,
            Shape::List(&Shape::Object(&Members {
                open: false,
                members: &[("uri", true, Shape::Text), ("lines", false, Shape::Text)],
            })),
        ),
        ("priority_score", false, Shape::Number),
    ],
}));

/// Compliant if nothing was found, whatever its severity (O8).
pub static KIND: Kind = Kind {
    path: "snyk",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[(
            "snyk_results",
            true,
            Shape::Object(&Members {
                open: false,
                members: &[
                    ("schema_version", false, Shape::Integer),
                    (
                        "tool",
                        true,
                        Shape::Object(&Members {
                            open: false,
                            members: &[("name", true, Shape::Text), ("version", true, Shape::Text)],
                        }),
                    ),
                    (
                        "results",
                        true,
                        Shape::List(&Shape::Object(&Members {
                            open: false,
                            members: &[
                                ("low_count", true, Shape::Integer),
                                ("medium_count", true, Shape::Integer),
                                ("high_count", true, Shape::Integer),
                                ("low", false, FINDINGS),
                                ("medium", false, FINDINGS),
                                ("high", false, FINDINGS),
                            ],
                        })),
                    ),
                ],
            }),
        )],
    },
    shown: &[("snyk_results", "processed_snyk_results")],
    judge: |report| {
        let found = |result: &Value| {
            ["low_count", "medium_count", "high_count"]
                .iter()
                .any(|count| is_positive(result, count))
        };
        let results = report
            .get("snyk_results")
            .and_then(|results| results.get("results")?.as_array());
        Judged::plain("snyk", !results.into_iter().flatten().any(found))
    },
};
