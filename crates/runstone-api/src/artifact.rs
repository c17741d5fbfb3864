//! Artifacts (`api-flows.md` section 7).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Seconds;

/// A report of an artifact with its history (sections 7.3 and 7.4).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ArtifactView {
    /// Id of the report.
    pub id: String,
    /// What it is.
    pub fingerprint: String,
    /// Its own name.
    pub filename: String,
    /// When it was reported.
    pub created_at: Seconds,
    /// When something was last reported about it.
    pub last_modified_at: Seconds,
    /// The flow.
    pub flow_name: String,
    /// The trail; null if it was reported without one.
    pub trail_name: Option<String>,
    /// Its name in the template.
    pub template_reference_name: Option<String>,
    /// What it was built from; empty when unknown.
    pub git_commit: String,
    /// The same, with what is known of it.
    pub git_commit_info: Option<Value>,
    /// The repository.
    pub repo_info: Option<Value>,
    /// Address of the commit.
    pub commit_url: String,
    /// Address of the build.
    pub build_url: String,
    /// Address of the repository.
    pub repo_url: String,
    /// Its page.
    pub html_url: String,
    /// Its resource.
    pub api_url: String,
    /// Anything.
    pub user_data: Value,
    /// Links, by label.
    pub external_urls: Option<Value>,
    /// Annotations.
    pub annotations: Option<Value>,
    /// `COMPLIANT`, `NON-COMPLIANT` or `INCOMPLETE`.
    pub state: String,
    /// Why, in words.
    pub state_info: String,
    /// The newest attestation of each name.
    pub evidence: BTreeMap<String, Value>,
    /// Names of what its template demands of it.
    pub template: Vec<String>,
    /// Numbers of its deployments.
    pub deployments: Vec<u64>,
    /// Numbers of its approvals.
    pub approvals: Vec<u64>,
    /// Where it runs.
    pub running: Vec<Place>,
    /// Where it ran.
    pub exited: Vec<Place>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEvent>,
    /// Seconds from the commit to where it runs, by environment.
    pub commit_lead_times: BTreeMap<String, Seconds>,
    /// Seconds from its report to where it runs, by environment.
    pub build_lead_times: BTreeMap<String, Seconds>,
}

/// An environment that an artifact runs or ran in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Place {
    /// The environment.
    pub environment_name: String,
    /// The snapshot in which it started or stopped.
    pub snapshot_index: u64,
}

/// Something that happened to an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HistoryEvent {
    /// In words.
    pub event: String,
    /// When.
    pub timestamp: Seconds,
    /// It came after the artifact had first been deployed or started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// A report of an artifact in a list (section 7.2).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ArtifactListItem {
    /// Id of the report.
    pub id: String,
    /// What it is.
    pub fingerprint: String,
    /// Its own name.
    pub filename: String,
    /// When it was reported.
    pub created_at: Seconds,
    /// When something was last reported about it.
    pub last_modified_at: Seconds,
    /// The trail; null if it was reported without one.
    pub trail_name: Option<String>,
    /// Its name in the template.
    pub template_reference_name: Option<String>,
    /// What it was built from; zeros when unknown.
    pub git_commit: String,
    /// The same, with what is known of it.
    pub git_commit_info: Option<Value>,
    /// The repository.
    pub repo_info: Option<Value>,
    /// Address of the commit.
    pub commit_url: String,
    /// Address of the build.
    pub build_url: String,
    /// Address of the repository.
    pub repo_url: String,
    /// Its page.
    pub html_url: String,
    /// Its resource.
    pub api_url: String,
    /// Anything.
    pub user_data: Value,
    /// Links, by label.
    pub external_urls: Option<Value>,
    /// Annotations.
    pub annotations: Option<Value>,
    /// `COMPLIANT`, `NON-COMPLIANT` or `INCOMPLETE`.
    pub state: String,
    /// The newest attestation of each name.
    pub evidence: BTreeMap<String, Value>,
    /// Numbers of its deployments.
    pub deployments: Vec<u64>,
    /// Always empty.
    pub releases: Vec<Value>,
}
