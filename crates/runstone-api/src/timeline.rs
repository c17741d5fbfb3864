//! Every change of a system across its environments, the oldest first. Ours.

use serde::Serialize;
use utoipa::ToSchema;

use crate::Seconds;

/// A page of changes, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChangesPage {
    /// The journal as far as it is told of: entries below this index. The same on all pages.
    pub pinned_to: u64,
    /// What is told of each environment, by name. The same on all pages.
    pub environments: Vec<TimelineEnvironment>,
    /// Those of this page.
    pub changes: Vec<TimelineChange>,
    /// Asks for the page after this one; null on the last.
    pub next: Option<String>,
}

/// What is told of an environment: without gaps from the first snapshot to the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimelineEnvironment {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is archived.
    pub archived: bool,
    /// The first snapshot told of; null if none is.
    pub first_snapshot: Option<u64>,
    /// The last snapshot told of.
    pub last_snapshot: Option<u64>,
    /// The entry of the first snapshot.
    pub first_entry: Option<u64>,
    /// The entry of the last snapshot.
    pub last_entry: Option<u64>,
    /// Number of changes on all pages.
    pub changes: u64,
}

/// Something that happened to an artifact in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TimelineChange {
    /// When: the effective time of the snapshot.
    pub at: Seconds,
    /// Where.
    pub environment: String,
    /// With which snapshot.
    pub snapshot: u64,
    /// The journal's entry that states it.
    pub entry: u64,
    /// What: `started`, `exited`, `scaled`, `changed`, …
    pub kind: String,
    /// The same in words.
    pub description: String,
    /// Instances before.
    pub was: u64,
    /// Instances after.
    pub now: u64,
    /// The artifact's name as it runs.
    pub artifact: String,
    /// What it is; null if unknown.
    pub fingerprint: Option<String>,
    /// Where it came from: its newest report in each flow, the oldest flow first.
    pub provenance: Vec<ChangeProvenance>,
    /// Who reported it.
    pub actor: String,
}

/// A report of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangeProvenance {
    /// Flow.
    pub flow: String,
    /// Trail.
    pub trail: String,
    /// Name in the template.
    pub artifact: Option<String>,
    /// Commit.
    pub commit: Option<String>,
    /// Approvals of the artifact, the oldest first.
    pub approvals: Vec<ChangeApproval>,
}

/// An approval of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangeApproval {
    /// Number in the flow.
    pub number: u64,
    /// `APPROVED`, `PENDING` or `UNAPPROVED`.
    pub state: String,
    /// For which environment; null for any.
    pub environment: Option<String>,
}
