//! Whatever a reporter says itself.

use super::{Judged, Kind, is_true};
use crate::provenance::shape::{Members, Shape};

/// Compliant if the report says so.
pub static KIND: Kind = Kind {
    path: "generic",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[("is_compliant", true, Shape::Boolean)],
    },
    shown: &[],
    judge: |report| Judged::plain("generic", is_true(report, "is_compliant")),
};
