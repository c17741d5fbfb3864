//! Snapshots (`api-environments.md` section 8).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::Seconds;

/// An item of the list of snapshots (section 8.1).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SnapshotListItem {
    /// Number, from 1.
    pub index: u64,
    /// Its time.
    pub from: Seconds,
    /// Time of the next one; 0.0 for the latest, never null.
    pub to: Seconds,
    /// Whether it is compliant; unknown shows as false.
    pub compliant: bool,
    /// Seconds until the next one, or until now.
    pub duration: f64,
}

/// A snapshot (section 8.2).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Snapshot<'a> {
    /// Number, from 1.
    pub index: u64,
    /// Whether there is none after it.
    pub is_latest: bool,
    /// Time of the next one.
    pub next_snapshot_timestamp: Option<Seconds>,
    /// Running artifacts by compliance.
    pub artifact_compliance_count: ComplianceCount,
    /// Its time.
    pub timestamp: Seconds,
    /// Type of the environment.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it is compliant; unknown shows as false.
    pub compliant: bool,
    /// Its page.
    pub html_url: String,
    /// What runs, and what stopped with this snapshot.
    pub artifacts: Vec<Artifact<'a>>,
    /// Policies as they were applied when it was made.
    #[schema(value_type = Vec<Object>)]
    pub applied_policies: [Never; 0],
}

/// Running artifacts by compliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ComplianceCount {
    /// Compliant.
    #[serde(rename = "true")]
    pub compliant: u64,
    /// Not compliant.
    #[serde(rename = "false")]
    pub non_compliant: u64,
    /// No policy judged them.
    #[serde(rename = "null")]
    pub unknown: u64,
}

/// The elements of a list that is empty until policies exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Never {}

/// An artifact of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Artifact<'a> {
    /// Name as reported.
    pub name: &'a str,
    /// Null = unknown.
    pub compliant: Option<bool>,
    /// Numbers of its announced deployments to this environment, oldest first.
    pub deployments: Vec<u64>,
    /// Decisions of the applied policies.
    #[schema(value_type = Vec<Object>)]
    pub policy_decisions: [Never; 0],
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub reasons_for_incompliance: [Never; 0],
    /// 64 hexadecimal digits, empty if unknown.
    pub fingerprint: String,
    /// Start of each instance, Unix seconds, ascending.
    #[serde(rename = "creationTimestamp")]
    pub creation_timestamps: Vec<i64>,
    /// K8S only: pods by name.
    pub pods: Option<BTreeMap<Cow<'a, str>, Pod<'a>>>,
    /// What happened to it with this snapshot.
    pub annotation: Annotation,
    /// Name of the primary flow; empty without provenance.
    pub flow_name: String,
    /// Commit it was built from, in the primary flow.
    pub git_commit: Option<String>,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// Page of the artifact in the primary flow.
    pub html_url: Option<String>,
    /// Page of the primary flow.
    pub flow_html_url: Option<String>,
    /// Difference from what ran before, in the primary flow.
    pub deployment_diff: Option<DeploymentDiff>,
    /// Seconds from the commit to the first run in this environment.
    pub commit_lead_time: Option<f64>,
    /// Provenance: the last report in each flow, oldest first. The first is of the primary flow.
    pub flows: Vec<FlowEntry>,
    /// ECS only: the task that started first.
    pub ecs_context: Option<EcsContext<'a>>,
    /// azure-apps only: the app that started first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_context: Option<AzureContext<'a>>,
    /// cloud-run only: the revision or job that started first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_run_context: Option<CloudRunContext<'a>>,
}

/// What one flow knows of an artifact, as it knew it while the snapshot was the latest.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FlowEntry {
    /// Name of the flow; of one that was archived with the second of that.
    pub flow_name: String,
    /// Name of the trail; empty where it was reported for a commit alone.
    pub trail_name: String,
    /// Its name in the template; empty if it has none.
    pub template_reference_name: String,
    /// Commit it was built from.
    pub git_commit: Option<String>,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// What is known of the commit.
    pub git_commit_info: Option<CommitInfo>,
    /// Page of the artifact.
    pub html_url: String,
    /// Page of the flow.
    pub flow_html_url: String,
    /// Difference from what ran before.
    pub deployment_diff: Option<DeploymentDiff>,
    /// Seconds from the commit to the first run in this environment.
    pub commit_lead_time: Option<f64>,
    /// Whether it was compliant in its trail.
    pub artifact_compliance_in_flow: Option<bool>,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub flow_reasons_for_non_compliance: [Never; 0],
}

/// A commit; what was not told is empty or 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommitInfo {
    /// 40 hexadecimal digits.
    pub sha1: String,
    /// Its message.
    pub message: String,
    /// Name and address of its author.
    pub author: String,
    /// Branch.
    pub branch: String,
    /// Its time, Unix seconds, as it was told.
    #[schema(value_type = f64)]
    pub timestamp: serde_json::Number,
    /// Its address.
    pub url: String,
}

/// What ran before in the environment from the same flow and name in its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeploymentDiff {
    /// Where the code host compares the two commits.
    pub diff_url: Option<String>,
    /// Commit it was built from.
    pub previous_git_commit: Option<String>,
    /// Address of that commit.
    pub previous_git_commit_url: Option<String>,
    /// Its fingerprint.
    pub previous_fingerprint: String,
    /// The name it ran under.
    pub previous_artifact_name: String,
    /// The verdict on it in its trail.
    pub previous_artifact_compliance_state: String,
    /// Whether it still runs beside this one.
    pub previous_running: bool,
    /// Its trail.
    pub previous_trail_name: String,
    /// Its name in the template.
    pub previous_template_reference_name: String,
}

/// What a transition did to an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Annotation {
    /// Type, section 5.2.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Instances in the snapshot before.
    pub was: u64,
    /// Instances in this snapshot.
    pub now: u64,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pod<'a> {
    /// Its namespace.
    pub namespace: Cow<'a, str>,
    /// Its creation, Unix seconds.
    #[serde(rename = "creationTimestamp")]
    pub creation_timestamp: i64,
    /// What owns it.
    pub owners: Option<Vec<Owner<'a>>>,
}

/// What owns a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner<'a> {
    /// API group and version.
    pub api_version: Cow<'a, str>,
    /// Type of the owner.
    pub kind: Cow<'a, str>,
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its unique id.
    pub uid: Cow<'a, str>,
    /// Whether it manages the pod.
    pub controller: Option<bool>,
    /// Whether it cannot be deleted before the pod.
    pub block_owner_deletion: Option<bool>,
}

/// An ECS task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EcsContext<'a> {
    /// The task.
    pub task_arn: Cow<'a, str>,
    /// Its cluster.
    pub cluster_name: Option<Cow<'a, str>>,
    /// Its service.
    pub service_name: Option<Cow<'a, str>>,
}

/// An Azure app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AzureContext<'a> {
    /// Name of the app.
    pub app_name: Cow<'a, str>,
    /// Kind of app.
    pub app_kind: Cow<'a, str>,
    /// How the digest was found.
    pub digests_source: Cow<'a, str>,
}

/// A Cloud Run revision or job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CloudRunContext<'a> {
    /// `service` or `job`.
    pub kind: Cow<'a, str>,
    /// Name of the service.
    pub service_name: Option<Cow<'a, str>>,
    /// Name of the revision.
    pub revision_name: Option<Cow<'a, str>>,
    /// Name of the job.
    pub job_name: Option<Cow<'a, str>>,
}
