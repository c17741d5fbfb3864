//! Approvals and announced deployments, as clients older than trails know them (`api-flows.md`
//! section 14).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Seconds;

/// Body of an approval, or of a request for one.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct CreateApproval {
    /// The artifact.
    pub artifact_fingerprint: String,
    /// Free text.
    pub description: String,
    /// Commits since the artifact that was approved before.
    pub src_commit_list: Vec<String>,
    /// The environment it is for; every one if it is not said.
    pub environment: Option<String>,
    /// The commit of the artifact that was approved before.
    pub oldest_commit: Option<String>,
    /// Who approved; nobody asks for it.
    #[serde(default)]
    pub approvals: Vec<CreateReview>,
    /// Anything.
    pub user_data: Option<Value>,
}

/// What one person says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct CreateReview {
    /// `APPROVED` or `UNAPPROVED`.
    pub state: String,
    /// Free text.
    pub comment: Option<String>,
    /// Who.
    pub approved_by: Option<String>,
    /// Where it stands.
    pub approval_url: Option<String>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Approval {
    /// Its number in the flow.
    pub release_number: u64,
    /// Fingerprint of the artifact of the oldest commit; empty when unknown.
    pub base_artifact: String,
    /// The artifact's own name.
    pub artifact_name: String,
    /// The artifact's fingerprint.
    pub target_artifact: String,
    /// Free text.
    pub description: String,
    /// The environment it is for; null: every one.
    pub environment: Option<String>,
    /// `PENDING`, `APPROVED` or `UNAPPROVED`.
    pub state: String,
    /// Commits since the artifact that was approved before.
    pub src_commit_list: Vec<SourceCommit>,
    /// Who approved.
    pub approvals: Vec<Review>,
    /// When it was told.
    pub created_at: Seconds,
    /// When something of it was last told.
    pub last_modified_at: Seconds,
    /// Anything.
    pub user_data: Value,
}

/// A commit of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceCommit {
    /// The commit.
    pub commit_sha: String,
    /// Artifacts of the flow that were built from it.
    pub artifact_fingerprints: Vec<String>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Review {
    /// `APPROVED` or `UNAPPROVED`.
    pub state: String,
    /// Free text.
    pub comment: String,
    /// Who: `external://` and the text that was given.
    pub approved_by: String,
    /// Where it stands.
    pub approval_url: String,
    /// When it was told.
    pub timestamp: Seconds,
}

/// The commit of the artifact that was last approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApprovedCommit {
    /// Null if none was.
    pub commit_sha: Option<String>,
}

/// Body that announces a deployment.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
pub struct CreateDeployment {
    /// The artifact.
    pub artifact_fingerprint: String,
    /// The environment it goes to.
    pub environment: String,
    /// Free text.
    pub description: Option<String>,
    /// What deploys it.
    pub build_url: Option<String>,
    /// Anything.
    pub user_data: Option<Value>,
}

/// An announced deployment in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnnouncedDeploymentItem {
    /// Its number in the flow.
    pub deployment_id: u64,
    /// The artifact's own name.
    pub artifact_name: String,
    /// The artifact's fingerprint.
    pub artifact_fingerprint: String,
    /// The environment it goes to.
    pub environment: String,
    /// When it was announced.
    pub created_at: Seconds,
}

/// An announced deployment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnnouncedDeployment {
    /// Its number in the flow.
    pub deployment_id: u64,
    /// The artifact's own name.
    pub artifact_name: String,
    /// The artifact's fingerprint.
    pub artifact_fingerprint: String,
    /// The environment it goes to.
    pub environment: String,
    /// When it was announced.
    pub created_at: Seconds,
    /// What deploys it.
    pub build_url: String,
    /// What became of it.
    pub running_state: RunningState,
}

/// What became of an announced deployment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunningState {
    /// `deploying`, `running` or `exited`.
    pub state: &'static str,
    /// Since when.
    pub timestamp: Seconds,
}
