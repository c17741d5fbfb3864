//! Difference of two snapshots (`api-environments.md` section 9).

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

/// What differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnvironmentDiff<'a> {
    /// Only in the first.
    pub snappish1: Side<'a>,
    /// Only in the second.
    pub snappish2: Side<'a>,
    /// In both, with another number of instances.
    pub changed: ChangedArtifacts<'a>,
    /// In both.
    #[serde(rename = "not-changed")]
    pub not_changed: UnchangedArtifacts<'a>,
}

/// What is in one snapshot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Side<'a> {
    /// `env#N`, always resolved.
    pub snapshot_id: String,
    /// By fingerprint.
    pub artifacts: Vec<DiffArtifact<'a>>,
}

/// What is in both with another number of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedArtifacts<'a> {
    /// By fingerprint.
    pub artifacts: Vec<ChangedArtifact<'a>>,
}

/// What is in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnchangedArtifacts<'a> {
    /// By fingerprint.
    pub artifacts: Vec<DiffArtifact<'a>>,
}

/// A running artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiffArtifact<'a> {
    /// Empty if unknown.
    pub fingerprint: String,
    /// Name as reported.
    pub name: &'a str,
    /// Latest start, Unix seconds.
    pub most_recent_timestamp: i64,
    /// Primary flow; empty without provenance.
    pub flow: String,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// Number of instances.
    pub instance_count: u64,
    /// K8S only: names of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<Cow<'a, str>>>,
}

/// A running artifact with another number of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedArtifact<'a> {
    /// Empty if unknown.
    pub fingerprint: String,
    /// Name as reported.
    pub name: &'a str,
    /// Latest start, Unix seconds.
    pub most_recent_timestamp: i64,
    /// Primary flow; empty without provenance.
    pub flow: String,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// Instances in the first.
    pub s1_instance_count: u64,
    /// Instances in the second.
    pub s2_instance_count: u64,
    /// K8S only: names of the pods in the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<Cow<'a, str>>>,
}
