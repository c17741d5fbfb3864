//! Events of an environment (`api-environments.md` section 10).

use serde::Serialize;
use utoipa::ToSchema;

use crate::Seconds;
use crate::snapshot::Never;

/// One event: an artifact that did not stay as it was in one snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Current name of the environment.
    pub environment_name: String,
    /// Number of the snapshot.
    pub snapshot_index: u64,
    /// Name as reported.
    pub artifact_name: String,
    /// Fingerprint; empty if unknown.
    pub sha256: String,
    /// In words.
    pub description: String,
    /// Time of the snapshot.
    pub reported_at: Seconds,
    /// Primary flow; empty without provenance.
    pub pipeline: String,
    /// Always empty.
    #[schema(value_type = Vec<u64>)]
    pub deployments: [Never; 0],
    /// Flows with provenance.
    pub flows: Vec<EventFlow>,
    /// Compliance of the artifact after the transition.
    pub artifact_compliance: Option<bool>,
    /// Compliance of the snapshot after the transition.
    pub snapshot_compliance: Option<bool>,
    /// Type, section 5.2.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Address of the difference in source code.
    pub code_diff: Option<String>,
    /// Where to read on.
    #[serde(rename = "_links")]
    pub links: EventLinks,
}

/// A flow that knows the artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventFlow {
    /// Its name.
    pub flow_name: String,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    pub deployments: Option<Never>,
}

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventLinks {
    /// The artifact in its flow; null without provenance.
    pub artifact: Links,
    /// The snapshot.
    pub snapshot: Links,
}

/// Resource and page of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Links {
    /// Resource.
    #[serde(rename = "self")]
    pub this: Option<String>,
    /// Page.
    pub html: Option<String>,
}
