//! Issues that the changes refer to.

use serde_json::Value;

use super::{Judged, Kind, items};
use crate::provenance::shape::{Members, Shape};

/// Compliant if at least one issue is referred to and all of them exist (O12).
pub static KIND: Kind = Kind {
    path: "jira",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[(
            "jira_results",
            true,
            Shape::List(&Shape::Object(&Members {
                open: false,
                members: &[
                    ("issue_id", true, Shape::Text),
                    ("issue_url", true, Shape::Text),
                    ("issue_exists", true, Shape::Boolean),
                    ("issue_fields", false, Shape::Map(None, &Shape::Any)),
                ],
            })),
        )],
    },
    shown: &[("jira_results", "jira_results")],
    judge: |report| {
        let issues = items(report, "jira_results");
        let exists = |issue: &Value| issue.get("issue_exists") == Some(&Value::Bool(true));
        Judged::plain("jira", !issues.is_empty() && issues.iter().all(exists))
    },
};
