//! Commands: what callers ask to be changed, as the use cases hand it to the writer.
//!
//! A command is complete: time, ids and random bytes are in it, so that deciding it again gives
//! the same.

mod control;
mod custom_type;
mod flow;
mod legacy;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::control::ControlAction;
pub use self::custom_type::TypeAction;
pub use self::flow::{
    Attest, FlowAction, GivenTemplate, PutFlow, PutTrail, RepoTold, ReportArtifact,
};
pub use self::legacy::{LegacyAction, ReportApproval, ReportDeployment};

use crate::event::{Claim, Salt};
use crate::fact::{EntryIndex, EnvironmentNo, OrganizationKind, OrganizationNo, Seen, SnapshotNo};
use crate::id::{Digest, Fingerprint, Micros};
use crate::limit::{Limit, Limited};
use crate::name::EnvironmentKind;
use crate::report::Report;
use crate::role::Role;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The holder of the key with this verifier; looked up again when the command is decided,
    /// so that revocation is immediate.
    Key(Digest),
    /// Nobody.
    Anonymous,
    /// The holder of a key who tells of the past: what is asked counts from the claimed time on.
    /// For administrators only.
    Historian {
        /// The verifier of the key.
        key: Digest,
        /// What is claimed; `imported` is set.
        claim: Claim,
    },
    /// A part of Runstone itself, which may do everything.
    System(&'static str),
}

impl Caller {
    /// The verifier of the key that is held.
    pub fn key(&self) -> Option<Digest> {
        match self {
            Self::Key(key) | Self::Historian { key, .. } => Some(*key),
            Self::Anonymous | Self::System(_) => None,
        }
    }

    /// What is claimed of the past.
    pub fn history(&self) -> Option<&Claim> {
        match self {
            Self::Historian { claim, .. } => Some(claim),
            Self::Key(_) | Self::Anonymous | Self::System(_) => None,
        }
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who asks.
    pub caller: Caller,
    /// Name of the organization; empty for the server.
    pub organization: String,
    /// What is asked.
    pub action: Action,
    /// Random bytes from which those of each private body are made; never used twice, and never
    /// stored.
    pub salt: Salt,
}

impl Command {
    /// Random bytes for the private body with this running number.
    pub fn body_salt(&self, number: u32) -> Salt {
        let mut bytes = self.salt.to_vec();
        bytes.extend_from_slice(&number.to_be_bytes());
        Digest::of(&bytes).0
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create an environment or put it again.
    PutEnvironment(PutEnvironment),
    /// Change what is given.
    PatchEnvironment(PatchEnvironment),
    /// Hide an environment.
    ArchiveEnvironment {
        /// Name.
        environment: String,
    },
    /// Give an environment another name.
    RenameEnvironment {
        /// Name.
        environment: String,
        /// New name, already valid.
        new_name: String,
    },
    /// Add a physical environment to a logical one.
    JoinEnvironment {
        /// Logical environment.
        logical: String,
        /// Physical environment.
        physical: String,
    },
    /// Set and remove tags of an environment.
    TagEnvironment {
        /// Name.
        environment: String,
        /// Keys (already valid) and values.
        set: BTreeMap<String, String>,
        /// Keys; applied after `set`.
        remove: Vec<String>,
    },
    /// Something about flows and what is in them.
    Flow(FlowAction),
    /// Something that clients older than trails ask for.
    Legacy(LegacyAction),
    /// Something about custom types of attestation.
    Type(TypeAction),
    /// Something about controls.
    Control(ControlAction),
    /// Record what runs.
    RecordReport(RecordReport),
    /// Journal what has been observed since the last entry of an environment.
    RecordObservation {
        /// Environment.
        environment: EnvironmentNo,
        /// What this process observed and did not yet share.
        unshared: Option<Seen>,
    },
    /// Share when environments were last seen. Operational, makes no entry.
    ShareSeen(Vec<(OrganizationNo, EnvironmentNo, Seen)>),
    /// Make an organization, or change what differs.
    PutOrganization {
        /// Random id for a new one.
        id: String,
        /// Name, already valid.
        name: String,
        /// Kind; fixed at creation.
        kind: OrganizationKind,
        /// Readable by anyone.
        public: bool,
        /// Free text.
        description: String,
    },
    /// Set limits of an organization. A command of the server's log.
    PutLimits {
        /// Name of the organization.
        name: String,
        /// What is set; the others stay.
        limits: Vec<(Limited, Limit)>,
    },
    /// Close an organization for good: nobody gets in any more. A command of the server's log;
    /// its bodies are erased by commands of their own.
    CloseOrganization {
        /// Name.
        name: String,
        /// Why; free text.
        reason: String,
    },
    /// Erase private bodies of the command's log.
    EraseBodies {
        /// Entry and position of each, and the digest it has there.
        bodies: Vec<(EntryIndex, u32, Digest)>,
        /// Why; free text.
        reason: String,
    },
    /// Make a user, or change what differs.
    PutUser {
        /// Name.
        name: String,
        /// E-mail address, may be empty.
        email: String,
    },
    /// Give a user a role in the command's organization.
    PutRole {
        /// Name of the user.
        user: String,
        /// Role.
        role: Role,
    },
    /// Make a personal key, unless one with this verifier exists.
    PutUserKey {
        /// Name of the user.
        user: String,
        /// The key.
        key: NewKey,
    },
    /// Make a service account, or change what differs.
    PutServiceAccount {
        /// Name.
        name: String,
        /// Role.
        role: Role,
        /// Free text.
        description: String,
    },
    /// Make a key of a service account, unless one with this verifier exists.
    PutServiceAccountKey {
        /// Name of the account.
        account: String,
        /// The key.
        key: NewKey,
    },
    /// Journal that another signing key comes into use.
    RotateKey {
        /// Generation of the new key.
        generation: u32,
    },
    /// Journal the first entry of an epoch.
    BeginEpoch {
        /// The new epoch.
        epoch: String,
        /// Origin of the one before.
        origin: String,
        /// Size continued from.
        size: u64,
        /// Root continued from.
        root: Digest,
        /// Size of the highest checkpoint known to be signed.
        signed_size: u64,
        /// Why.
        reason: String,
    },
    /// Journal a jump back of the clock.
    NoteClockMovedBack {
        /// Microseconds.
        by: i64,
    },
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Management id.
    pub id: String,
    /// HMAC-SHA-256(pepper, SHA-256(key)).
    pub verifier: Digest,
    /// Free text.
    pub description: String,
    /// When it ends.
    pub expires_at: Option<Micros>,
}

/// See the environment contract, section 3.1. Names are already valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEnvironment {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: EnvironmentKind,
    /// Empty keeps the old one.
    pub description: String,
    /// None keeps the old one, false for a new one.
    pub include_scaling: Option<bool>,
    /// None keeps the old one.
    pub require_provenance: Option<bool>,
    /// None keeps the old ones.
    pub included_environments: Option<Vec<String>>,
    /// Names of policies; none exist yet.
    pub policies: Option<Vec<String>>,
}

/// See the environment contract, section 3.2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchEnvironment {
    /// Which environment.
    pub environment: String,
    /// New text.
    pub description: Option<String>,
    /// New setting.
    pub include_scaling: Option<bool>,
    /// Whole new list.
    pub included_environments: Option<Vec<String>>,
    /// Names of policies; none exist yet.
    pub policies: Option<Vec<String>>,
}

/// A report, already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReport {
    /// Which environment.
    pub environment: String,
    /// Type of the report.
    pub kind: EnvironmentKind,
    /// What runs.
    pub report: Arc<Report>,
    /// What the reporter says of it.
    pub claim: Option<Claim>,
    /// Unchanged reports this process saw since the last entry and did not yet share.
    pub unshared: Option<Seen>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Something new exists.
    Created,
    /// Something changed.
    Changed,
    /// It was so already; nothing was journalled.
    Unchanged,
    /// A report made this snapshot.
    Snapshot(SnapshotNo),
    /// A report was a replay and was left out.
    Replayed,
}

/// An attestation is about an artifact that its trail does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Artifact with fingerprint {fingerprint} does not exist in trail \"{trail}\" of flow \"{flow}\" belonging to organization \"{organization}\""
)]
#[expect(missing_docs, reason = "the message says it; fields are what it names")]
pub struct MissingInTrail {
    pub fingerprint: Fingerprint,
    pub trail: String,
    pub flow: String,
    pub organization: String,
}

/// A flow does not know an artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Artifact with fingerprint '{fingerprint}' does not exist in flow '{flow}' belonging to organization '{organization}'"
)]
#[expect(missing_docs, reason = "the message says it; fields are what it names")]
pub struct MissingInFlow {
    pub fingerprint: Fingerprint,
    pub flow: String,
    pub organization: String,
}

/// A command is refused. The texts are those the API contracts fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it; fields are what it names")]
pub enum Refusal {
    #[error("Unauthorized")]
    Unauthorized,
    #[error("You don't have permission to access this resource")]
    Forbidden,
    #[error("User does not have permission to archive environment")]
    ForbiddenToArchive,
    #[error("Environment named '{name}' does not exist for organization '{organization}'")]
    EnvironmentMissing { name: String, organization: String },
    #[error("Environment named '{name}' has been archived for organization '{organization}'")]
    EnvironmentArchived { name: String, organization: String },
    #[error("Environment named '{name}' already exists for organization '{organization}'")]
    EnvironmentExists { name: String, organization: String },
    #[error("Environment '{name}' already exists with type '{kind}'")]
    EnvironmentOfOtherKind { name: String, kind: EnvironmentKind },
    #[error("Policy '{name}' does not exist in organization '{organization}'")]
    PolicyMissing { name: String, organization: String },
    #[error("Can only add physical environments to logical environments")]
    MemberIsLogical,
    #[error("Environment '{name}' is not a logical environment")]
    NotLogical { name: String },
    #[error("cannot report a snapshot to the logical environment {name}")]
    ReportToLogical { name: String },
    #[error(
        "environment {name} already exists with type {kind}, which does not match the snapshot type {reported}"
    )]
    ReportOfOtherKind {
        name: String,
        kind: EnvironmentKind,
        reported: EnvironmentKind,
    },
    #[error("Flow named '{name}' does not exist for organization '{organization}'")]
    FlowMissing { name: String, organization: String },
    #[error("Flow named '{name}' already exists for organization '{organization}'")]
    FlowExists { name: String, organization: String },
    #[error(transparent)]
    ArtifactMissingInTrail(Box<MissingInTrail>),
    #[error(transparent)]
    ArtifactMissingInFlow(Box<MissingInFlow>),
    #[error("Custom attestation type '{name}' does not exist for org '{organization}'")]
    TypeMissing { name: String, organization: String },
    #[error("custom attestation type '{name}' has just got another version")]
    TypeChangedMeanwhile { name: String },
    #[error("Control '{identifier}' does not exist in organization '{organization}'")]
    ControlMissing {
        identifier: String,
        organization: String,
    },
    #[error(
        "A control with identifier '{identifier}' already exists in organization '{organization}'"
    )]
    ControlExists {
        identifier: String,
        organization: String,
    },
    #[error("Repo '{name}' not found")]
    RepoMissing { name: String },
    #[error("trail '{name}' has just been told otherwise by somebody else")]
    TrailToldMeanwhile { name: String },
    #[error("imported history has to be claimed for a time before now, not {at}")]
    HistoryOfTheFuture { at: Micros },
    #[error("environment '{name}' has snapshots of its own: history can no longer be imported")]
    HistoryAfterLive { name: String },
    #[error(
        "history has to be imported in the order of time: {what} was last changed at {last}, after {at}"
    )]
    HistoryOutOfOrder {
        what: String,
        last: Micros,
        at: Micros,
    },
    #[error("organization '{name}' does not exist")]
    OrganizationMissing { name: String },
    #[error("user '{name}' does not exist")]
    UserMissing { name: String },
    #[error("service account '{name}' does not exist in organization '{organization}'")]
    AccountMissing { name: String, organization: String },
    #[error("organization '{name}' is {kind}; its kind cannot change", kind = kind.as_str())]
    OrganizationOfOtherKind {
        name: String,
        kind: OrganizationKind,
    },
    #[error("the key of '{owner}' is already in use by someone else")]
    KeyInUse { owner: String },
    #[error("{what} exceeds the limit of {limit}")]
    LimitExceeded { what: &'static str, limit: u64 },
    #[error("organization '{organization}' has reached its limit of {limit} environments")]
    TooManyEnvironments { organization: String, limit: u64 },
    #[error("organization '{organization}' has reached its limit of {limit} bytes of bodies")]
    TooManyBytes { organization: String, limit: u64 },
    #[error(
        "organization '{organization}' has reached its limit of {limit} entries per minute; try again in {retry_after_seconds} s"
    )]
    TooManyEntries {
        organization: String,
        limit: u64,
        retry_after_seconds: u64,
    },
    #[error("organization '{name}' is closed")]
    OrganizationClosed { name: String },
    #[error("'{name}' is kept for users whose names were erased")]
    NameReserved { name: String },
    #[error("{field}: {what}")]
    NotErasable { field: String, what: String },
}

impl Refusal {
    /// The limit of the organization that was reached, if that is why.
    pub fn limit(&self) -> Option<Limited> {
        match self {
            Self::TooManyEnvironments { .. } => Some(Limited::Environments),
            Self::TooManyEntries { .. } => Some(Limited::EntriesPerMinute),
            Self::TooManyBytes { .. } => Some(Limited::Bytes),
            _ => None,
        }
    }
}
