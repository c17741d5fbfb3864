//! The journal as JSON: what an organization's log is called, how large it is and who signs it.
//! Ours; not part of the contracted API.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Head of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// Immutable id of the organization.
    pub organization_id: String,
    /// Origin of the current epoch, the name of its keys.
    pub origin: String,
    /// Current epoch.
    pub epoch: String,
    /// Number of published entries.
    pub size: u64,
    /// Prefix of the log, absolute.
    pub url: String,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Who signs.
    pub keys: Vec<Key>,
    /// All epochs, oldest first.
    pub epochs: Vec<Epoch>,
}

/// The entries on which it rests what a snapshot shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotEntries {
    /// `env#N`.
    pub snapshot_id: String,
    /// All of them, ascending.
    pub entries: Vec<u64>,
    /// The one that made the snapshot. It states the digest of everything that runs.
    pub made_by: u64,
    /// What runs.
    pub artifacts: Vec<ArtifactEntries>,
}

/// The entries that tell of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactEntries {
    /// Name as reported.
    pub name: String,
    /// What it is.
    pub fingerprint: String,
    /// The one that made the snapshot it came to run with; null if that is not known.
    pub started_by: Option<u64>,
    /// The reports of it that flows know, which state its commit: the primary flow's first.
    pub reported_by: Vec<u64>,
}

/// A public key of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Verifier key as signed-note writes it.
    pub vkey: String,
    /// First size it signs.
    pub from_size: u64,
    /// Last size it signs; null = still signs.
    pub to_size: Option<u64>,
}

/// A stretch of a log between two restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Epoch {
    /// Eight hexadecimal digits.
    pub epoch: String,
    /// Size at which it began.
    pub from_size: u64,
    /// Size at which it ended; null = the current one.
    pub to_size: Option<u64>,
}
