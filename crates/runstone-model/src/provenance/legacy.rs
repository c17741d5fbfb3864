//! Bodies of clients older than trails: approvals and announced deployments (`api-flows.md`
//! section 14).

use serde_json::{Map, Value};

use super::shape::{Members, Shape, read_body};
use super::shared::{COMMIT, FINGERPRINT, USER_DATA, take};
use crate::fact::ApprovalState;
use crate::id::Fingerprint;
use crate::read::{BODY_BYTES_MAX, FieldErrors};

use Shape::{List, Object, OneOf, Text};

/// Most commits that an approval lists.
pub const APPROVED_COMMITS_MAX: usize = 10_000;
/// Most reviews of one approval.
pub const REVIEWS_MAX: usize = 20;

/// What a shape let through has the parts it promises.
const SHAPED: &str = "the shape was checked";

/// Body of `POST /approvals/{org}/{flow}` (section 14.1).
#[derive(Debug, Clone, PartialEq)]
pub struct CreateApproval {
    /// The artifact.
    pub fingerprint: Fingerprint,
    /// The environment it is for; none: every one.
    pub environment: Option<String>,
    /// What the last of its reviews says; without reviews it is a request.
    pub state: ApprovalState,
    /// `description`, `src_commit_list`, `oldest_commit`, `approvals` and `user_data` as they
    /// were told.
    pub told: Map<String, Value>,
}

/// Body of `POST /deployments/{org}/{flow}` (section 14.2).
#[derive(Debug, Clone, PartialEq)]
pub struct CreateDeployment {
    /// The artifact.
    pub fingerprint: Fingerprint,
    /// The environment it goes to.
    pub environment: String,
    /// `description`, `build_url` and `user_data` as they were told.
    pub told: Map<String, Value>,
}

fn fingerprint(object: &mut Map<String, Value>) -> Option<Fingerprint> {
    take::text(object, "artifact_fingerprint")?.parse().ok()
}

fn list<'o>(object: &'o Map<String, Value>, name: &str) -> &'o [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Reads the body of `POST /approvals/{org}/{flow}`.
pub fn create_approval(body: &[u8]) -> Result<CreateApproval, FieldErrors> {
    const REVIEW: Members = Members {
        open: false,
        members: &[
            ("state", true, OneOf(&["APPROVED", "UNAPPROVED"])),
            ("comment", false, Text),
            ("approved_by", false, Text),
            ("approval_url", false, Text),
        ],
    };
    const CREATE_APPROVAL: Members = Members {
        open: false,
        members: &[
            ("artifact_fingerprint", true, FINGERPRINT),
            ("description", true, Text),
            ("src_commit_list", true, List(&COMMIT)),
            ("environment", false, Text),
            ("oldest_commit", false, Text),
            ("approvals", false, List(&Object(&REVIEW))),
            ("user_data", false, USER_DATA),
        ],
    };
    let mut told = read_body(body, BODY_BYTES_MAX, &[&CREATE_APPROVAL])?;
    for (name, most) in [
        ("src_commit_list", APPROVED_COMMITS_MAX),
        ("approvals", REVIEWS_MAX),
    ] {
        let items = list(&told, name).len();
        if items > most {
            let message = format!("List should have at most {most} items");
            return Err(FieldErrors::one(name, &message, &items.to_string()));
        }
    }
    let state = match list(&told, "approvals").last() {
        None => ApprovalState::Pending,
        Some(review) => review["state"]
            .as_str()
            .and_then(ApprovalState::from_wire)
            .expect(SHAPED),
    };
    Ok(CreateApproval {
        fingerprint: fingerprint(&mut told).expect(SHAPED),
        environment: take::text(&mut told, "environment").filter(|name| !name.is_empty()),
        state,
        told,
    })
}

/// Reads the body of `POST /deployments/{org}/{flow}`.
pub fn create_deployment(body: &[u8]) -> Result<CreateDeployment, FieldErrors> {
    const CREATE_DEPLOYMENT: Members = Members {
        open: false,
        members: &[
            ("artifact_fingerprint", true, FINGERPRINT),
            ("environment", true, Text),
            ("description", false, Text),
            ("build_url", false, Text),
            ("user_data", false, USER_DATA),
        ],
    };
    let mut told = read_body(body, BODY_BYTES_MAX, &[&CREATE_DEPLOYMENT])?;
    Ok(CreateDeployment {
        fingerprint: fingerprint(&mut told).expect(SHAPED),
        environment: take::text(&mut told, "environment").expect(SHAPED),
        told,
    })
}
