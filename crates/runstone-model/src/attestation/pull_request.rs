//! Pull and merge requests behind a commit.

use super::{Judged, Kind, items};
use crate::provenance::GIT_COMMIT;
use crate::provenance::shape::{Members, Pattern, Shape};

/// Open requests have no merge commit yet: the published client sends an empty text.
const MERGE_COMMIT: Shape = Shape::Matching(&Pattern {
    text: "^([a-f0-9]{40})?$",
    fits: |text| {
        text.is_empty()
            || text.len() == 40
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    },
    bytes_max: 40,
});

const FIRST: Members = Members {
    open: false,
    members: &[
        ("url", true, Shape::Text),
        ("state", true, Shape::Text),
        ("merge_commit", true, MERGE_COMMIT),
        ("approvers", false, Shape::List(&Shape::Text)),
    ],
};

const SECOND: Members = Members {
    open: false,
    members: &[
        ("url", true, Shape::Text),
        ("state", true, Shape::Text),
        ("author", true, Shape::Text),
        ("title", false, Shape::Text),
        ("created_at", false, Shape::Integer),
        ("merged_at", false, Shape::Integer),
        ("head_ref", false, Shape::Text),
        ("base_ref", false, Shape::Text),
        ("merge_commit", false, Shape::Nullable(&MERGE_COMMIT)),
        (
            "approvers",
            false,
            Shape::List(&Shape::Object(&Members {
                open: false,
                members: &[
                    ("username", true, Shape::Text),
                    ("state", false, Shape::Text),
                    ("timestamp", false, Shape::Integer),
                ],
            })),
        ),
        ("commits", true, Shape::List(&GIT_COMMIT)),
    ],
};

/// Compliant if there is one; its state and approvals do not matter here.
pub static KIND: Kind = Kind {
    path: "pull_request",
    tool: true,
    multipart: true,
    members: Members {
        open: false,
        members: &[
            (
                "git_provider",
                true,
                Shape::OneOf(&["github", "gitlab", "bitbucket", "azure"]),
            ),
            (
                "pull_requests",
                true,
                Shape::List(&Shape::Either(&FIRST, &["author", "commits"], &SECOND)),
            ),
        ],
    },
    shown: &[
        ("git_provider", "git_provider"),
        ("pull_requests", "pull_requests"),
    ],
    judge: |report| {
        let any = !items(report, "pull_requests").is_empty();
        Judged::plain("pull_request", any)
    },
};
