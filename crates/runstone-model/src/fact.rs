//! Facts: what the store knows and a decision may read, one type per query table.
//!
//! A fact is a whole row. Ordinals (`OrganizationNo`, `EnvironmentNo`, `RecordNo`, …) are small
//! numbers assigned in entry order, so that a rebuild assigns the same.

use std::sync::Arc;

use crate::event::{Field, Subject};
use crate::id::{Digest, Fingerprint, Micros};
use crate::limit::Limits;
use crate::role::Role;

mod control;
mod custom_type;
mod flow;
mod legacy;

pub use control::*;
pub use custom_type::*;
pub use flow::*;
pub use legacy::*;

macro_rules! ordinal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);
    };
}

ordinal!(
    /// An organization, numbered by the server log; 0 is the server log itself.
    OrganizationNo
);
ordinal!(
    /// An environment, numbered from 1 within its organization.
    EnvironmentNo
);
ordinal!(
    /// An artifact record, numbered from 1 within its organization.
    RecordNo
);
ordinal!(
    /// A judgement, numbered within its organization; 0 is "no provenance, unknown".
    JudgementNo
);
ordinal!(
    /// A user, numbered from 1 by the server log.
    UserNo
);
ordinal!(
    /// A service account, numbered from 1 within its organization.
    AccountNo
);

ordinal!(
    /// A flow, numbered from 1 within its organization.
    FlowNo
);
ordinal!(
    /// A version of a template, of a flow or of one trail, numbered from 1 within its organization.
    TemplateNo
);
ordinal!(
    /// A trail, numbered from 1 within its organization.
    TrailNo
);
ordinal!(
    /// A report of an artifact, numbered from 1 within its organization.
    ArtifactNo
);
ordinal!(
    /// An attestation, numbered from 1 within its organization.
    AttestationNo
);
ordinal!(
    /// An approval, numbered from 1 within its flow.
    ApprovalNo
);
ordinal!(
    /// An announced deployment, numbered from 1 within its flow.
    DeploymentNo
);
ordinal!(
    /// A repository of code, numbered from 1 within its organization.
    RepoNo
);
ordinal!(
    /// A control, numbered from 1 within its organization.
    ControlNo
);
ordinal!(
    /// A custom type of attestation, numbered from 1 within its organization.
    TypeNo
);

/// The reserved log that holds organizations and people.
pub const SERVER: OrganizationNo = OrganizationNo(0);
/// Name and id of the server log.
pub const SERVER_NAME: &str = "_server";

/// No environment: under it stands how far each import of history has come.
pub const HISTORY: EnvironmentNo = EnvironmentNo(0);

/// Index of an entry in its organization's log, from 0.
pub type EntryIndex = u64;
/// Number of a snapshot in its environment, from 1; 0 is "before the first".
pub type SnapshotNo = u64;

/// Kind of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationKind {
    /// Has members and service accounts.
    Shared,
    /// Belongs to one user.
    Personal,
}

impl OrganizationKind {
    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Personal => "personal",
        }
    }

    /// The kind whose word is given.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "shared" => Some(Self::Shared),
            "personal" => Some(Self::Personal),
            _ => None,
        }
    }
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Ordinal.
    pub no: OrganizationNo,
    /// Immutable random id, 16 hexadecimal digits.
    pub id: String,
    /// Name, unique on the server.
    pub name: String,
    /// Kind.
    pub kind: OrganizationKind,
    /// Readable by anyone.
    pub public: bool,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at: Micros,
    /// When it last changed.
    pub modified_at: Micros,
    /// When it was closed for good.
    pub closed_at: Option<Micros>,
    /// How much it may hold, and how fast it may write.
    pub limits: Limits,
}

/// A person who signs in or holds personal keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Ordinal.
    pub no: UserNo,
    /// Unique name.
    pub name: String,
    /// E-mail address, may be empty.
    pub email: String,
    /// When it was created.
    pub created_at: Micros,
}

impl User {
    /// The name of a user whose own was erased: unique, and refused for others.
    pub fn erased_name(no: UserNo) -> String {
        format!("(erased {})", no.0)
    }

    /// Whether no living user may have this name.
    pub fn is_erased_name(name: &str) -> bool {
        name.starts_with("(erased ")
    }
}

/// The role of a user in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// In which organization.
    pub organization: OrganizationNo,
    /// Whose.
    pub user: UserNo,
    /// What they may do.
    pub role: Role,
}

/// A machine user of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Organization it belongs to.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: AccountNo,
    /// Unique name in the organization.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at: Micros,
}

/// Who a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A person.
    User(UserNo),
    /// A machine user of one organization.
    Account(OrganizationNo, AccountNo),
}

/// An API key. Its value is known to nobody but its holder: the verifier is
/// HMAC-SHA-256(pepper, SHA-256(key)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What is looked up.
    pub verifier: Digest,
    /// Management id.
    pub id: String,
    /// Whose key.
    pub principal: Principal,
    /// Free text.
    pub description: String,
    /// When it was created.
    pub created_at: Micros,
    /// When it ends; none = never.
    pub expires_at: Option<Micros>,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

/// A private body that an entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateBody {
    /// Organization in whose log it stands.
    pub organization: OrganizationNo,
    /// Entry that names it.
    pub entry: EntryIndex,
    /// Its position there.
    pub position: u32,
    /// What the entry is about.
    pub subject: Subject,
    /// What it holds.
    pub field: Field,
    /// The entry that says it was erased.
    pub erased_by: Option<EntryIndex>,
}

/// An environment without its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Organization it belongs to.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: EnvironmentNo,
    /// Current name; an archived one has an internal name.
    pub name: String,
    /// Type word of the wire (`K8S`, `server`, …, `logical`).
    pub kind: crate::name::EnvironmentKind,
    /// Free text.
    pub description: String,
    /// A difference in counts alone makes a snapshot (D9).
    pub include_scaling: bool,
    /// Deprecated setting, kept as given.
    pub require_provenance: bool,
    /// Members of a logical environment in the order given.
    pub members: Vec<EnvironmentNo>,
    /// Tags, by key.
    pub tags: std::collections::BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Micros,
    /// When its settings last changed.
    pub modified_at: Micros,
    /// When it was archived.
    pub archived_at: Option<Micros>,
    /// Number of snapshots.
    pub snapshots: SnapshotNo,
    /// Effective time of the latest snapshot.
    pub changed_at: Option<Micros>,
    /// So many snapshots, from the first on, tell of the past: they were imported.
    pub imported: SnapshotNo,
    /// Index of the last entry about it.
    pub last_entry: EntryIndex,
}

/// What one running record is: its identity in a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// None = unknown content.
    pub fingerprint: Option<Fingerprint>,
    /// Name as reported.
    pub name: String,
    /// Instance count, where scaling is included.
    pub count: Option<u32>,
}

/// An artifact record, shared by all environments of its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Ordinal.
    pub no: RecordNo,
    /// What it identifies.
    pub identity: Arc<Identity>,
    /// SHA-256 of its canonical JSON.
    pub digest: Digest,
}

/// One snapshot as stored: its difference from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Organization.
    pub organization: OrganizationNo,
    /// Environment.
    pub environment: EnvironmentNo,
    /// Number, from 1.
    pub no: SnapshotNo,
    /// Entry that made it.
    pub entry: EntryIndex,
    /// Effective time (D10).
    pub at: Micros,
    /// Number of events in all snapshots before this one.
    pub events_before: u64,
    /// Number of events of this one.
    pub events: u32,
    /// Number of the snapshot whose row is the keyframe this one builds on.
    pub keyframe: SnapshotNo,
    /// Running records.
    pub running: u32,
    /// Whole state or difference, see [`crate::state::Step`].
    pub step: Vec<u8>,
    /// For a logical environment: the snapshot of each member that made it up.
    pub members: Vec<(EnvironmentNo, SnapshotNo)>,
}

/// An artifact that started to run in a physical environment where it did not run before: an
/// observed deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Start {
    /// Organization.
    pub organization: OrganizationNo,
    /// When: the effective time of the snapshot.
    pub at: Micros,
    /// Where.
    pub environment: EnvironmentNo,
    /// With which snapshot.
    pub snapshot: SnapshotNo,
    /// As which record; the first, if it started under several names.
    pub record: RecordNo,
}

/// A maximal interval of snapshots in which one record ran in one environment with one detail
/// and one judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Organization.
    pub organization: OrganizationNo,
    /// Record.
    pub record: RecordNo,
    /// Environment.
    pub environment: EnvironmentNo,
    /// First snapshot.
    pub from: SnapshotNo,
    /// Last snapshot; none = still in the latest.
    pub to: Option<SnapshotNo>,
    /// Detail, canonical JSON.
    pub detail: Kept,
}

/// Where something is kept that an effects body brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In the effects body of this entry, in the element at this byte: see
    /// [`crate::event::Effects::places`].
    At(EntryIndex, u32),
    /// By itself, because the body is too large to be read for it.
    Here(Arc<[u8]>),
}

/// When an environment was last seen, and how often since its last entry. Operational (D8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// First report since the last entry of this environment.
    pub from: Micros,
    /// Latest report.
    pub to: Micros,
    /// Reports since the last entry.
    pub reports: u64,
    /// Longest pause between two of them, in microseconds.
    pub longest_gap: i64,
    /// Who reported last; may be empty.
    pub reporter: String,
}

/// One artifact running in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Record.
    pub record: RecordNo,
    /// Judgement.
    pub judgement: JudgementNo,
    /// Identity.
    pub identity: Arc<Identity>,
    /// Detail, canonical JSON.
    pub detail: Arc<[u8]>,
}

/// A run: an unbroken interval of snapshots in which a record ran in an environment, whatever
/// its details were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where.
    pub environment: EnvironmentNo,
    /// Which record.
    pub record: RecordNo,
    /// First snapshot.
    pub from: SnapshotNo,
    /// Last snapshot; none = still running.
    pub to: Option<SnapshotNo>,
}
