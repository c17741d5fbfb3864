//! Results of tests.

use super::{Judged, Kind, is_positive, items};
use crate::provenance::shape::{Members, Shape};

/// Compliant if no suite has failures or errors; skipped tests do not matter.
pub static KIND: Kind = Kind {
    path: "junit",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[(
            "junit_results",
            true,
            Shape::List(&Shape::Object(&Members {
                open: false,
                members: &[
                    ("name", true, Shape::Text),
                    ("failures", true, Shape::Integer),
                    ("errors", true, Shape::Integer),
                    ("skipped", true, Shape::Integer),
                    ("total", true, Shape::Integer),
                    ("duration", true, Shape::Number),
                    ("timestamp", false, Shape::Number),
                ],
            })),
        )],
    },
    shown: &[("junit_results", "junit_results")],
    judge: |report| {
        let failed = |suite| is_positive(suite, "failures") || is_positive(suite, "errors");
        Judged::plain("junit", !items(report, "junit_results").iter().any(failed))
    },
};
