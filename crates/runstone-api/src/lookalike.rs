//! What runs under the name of something known without being it: a noun of our own.

use serde::Serialize;
use utoipa::ToSchema;

/// Artifacts of a snapshot that no flow knows, but whose names are those of artifacts that flows
/// know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lookalikes {
    /// `env#N`.
    pub snapshot_id: String,
    /// In the order of fingerprints and names.
    pub artifacts: Vec<Lookalike>,
}

/// An artifact of unknown provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lookalike {
    /// Name as reported.
    pub name: String,
    /// What it is.
    pub fingerprint: String,
    /// Other artifacts of that name: the last report in each flow, the latest first.
    pub known: Vec<Namesake>,
}

/// A known artifact with the name of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Namesake {
    /// Its own name.
    pub name: String,
    /// What it is.
    pub fingerprint: String,
    /// Name of the flow.
    pub flow_name: String,
    /// Name of the trail; empty where it was reported for a commit alone.
    pub trail_name: String,
    /// Commit it was built from.
    pub git_commit: Option<String>,
}
