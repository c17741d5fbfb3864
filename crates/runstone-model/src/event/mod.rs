//! Events: every accepted change, as it stands in the journal for good.
//!
//! An entry is canonical JSON (RFC 8785) of at most [`ENTRY_BYTES_MAX`] bytes. It holds ids,
//! resource names, fingerprints, counts, times and digests; free text, personal data and key
//! verifiers stand in private bodies (32 random bytes before the text, so that a digest tells
//! nothing), lists in the effects body. An event is never changed: a new version is added and
//! the old one still reads.

mod code;
mod control;
mod custom_type;
mod effects;
mod erasable;
mod flow;
mod json;
mod legacy;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use self::json::{bad, digest, digests, text};
use crate::canonical;
use crate::fact::{
    AccountNo, ControlNo, EntryIndex, EnvironmentNo, FlowNo, OrganizationKind, OrganizationNo,
    RepoNo, SnapshotNo, TrailNo, TypeNo, UserNo,
};
use crate::id::{Digest, Micros};
use crate::limit::Limits;
use crate::name::EnvironmentKind;
use crate::role::Role;

pub use self::control::ControlEvent;
pub use self::custom_type::TypeEvent;
pub use self::effects::{ELEMENT_BODY_BYTES_MAX, Effects, Part, Places};
pub use self::erasable::{Field, Text, Verifier};
pub use self::flow::{
    ATTACHMENT_HELD_BYTES_MAX, Attachment, Content, FlowEvent, NewTemplate, TemplateText, Verdicts,
};
pub use self::legacy::LegacyEvent;

const INFALLIBLE: &str = "writing to a string does not fail";

/// No entry is longer.
pub const ENTRY_BYTES_MAX: usize = 4096;
/// Version of the entry format.
pub const ENTRY_VERSION: u64 = 1;
/// At most this many bodies per entry.
pub const BODIES_MAX: usize = 8;
/// An entry says of at most this many bodies that they were erased, so that it is never too long.
pub const ERASED_BODIES_MAX: usize = 32;

/// Who caused an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person.
    User(UserNo),
    /// A service account of the entry's organization.
    Account(AccountNo),
    /// A part of Runstone itself: `provision`, `observation`, `clock`, `keys`.
    System(String),
}

impl Actor {
    /// The form in entries: `user:1`, `account:2`, `system:provision`.
    pub fn to_text(&self) -> String {
        match self {
            Self::User(no) => format!("user:{}", no.0),
            Self::Account(no) => format!("account:{}", no.0),
            Self::System(job) => format!("system:{job}"),
        }
    }

    /// The actor written in `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "user" => rest.parse().ok().map(|no| Self::User(UserNo(no))),
            "account" => rest.parse().ok().map(|no| Self::Account(AccountNo(no))),
            "system" => Some(Self::System(rest.to_owned())),
            _ => None,
        }
    }
}

/// What an entry is about; each subject's entries form a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The organization, or the server in the server log.
    Organization(OrganizationNo),
    /// An environment.
    Environment(EnvironmentNo),
    /// A user.
    User(UserNo),
    /// A service account.
    Account(AccountNo),
    /// A flow.
    Flow(FlowNo),
    /// A trail, with its artifacts and attestations.
    Trail(TrailNo),
    /// A repository.
    Repo(RepoNo),
    /// A custom type of attestation.
    Type(TypeNo),
    /// A control.
    Control(ControlNo),
    /// The log itself.
    Log,
}

impl Subject {
    /// The form in entries: `environment:7`.
    pub fn to_text(self) -> String {
        match self {
            Self::Organization(no) => format!("organization:{}", no.0),
            Self::Environment(no) => format!("environment:{}", no.0),
            Self::User(no) => format!("user:{}", no.0),
            Self::Account(no) => format!("account:{}", no.0),
            Self::Flow(no) => format!("flow:{}", no.0),
            Self::Trail(no) => format!("trail:{}", no.0),
            Self::Repo(no) => format!("repo:{}", no.0),
            Self::Type(no) => format!("type:{}", no.0),
            Self::Control(no) => format!("control:{}", no.0),
            Self::Log => "log:0".to_owned(),
        }
    }

    /// The subject written in `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, no) = text.split_once(':')?;
        let no: u32 = no.parse().ok()?;
        match kind {
            "organization" => Some(Self::Organization(OrganizationNo(no))),
            "environment" => Some(Self::Environment(EnvironmentNo(no))),
            "user" => Some(Self::User(UserNo(no))),
            "account" => Some(Self::Account(AccountNo(no))),
            "flow" => Some(Self::Flow(FlowNo(no))),
            "trail" => Some(Self::Trail(TrailNo(no))),
            "repo" => Some(Self::Repo(RepoNo(no))),
            "type" => Some(Self::Type(TypeNo(no))),
            "control" => Some(Self::Control(ControlNo(no))),
            "log" if no == 0 => Some(Self::Log),
            _ => None,
        }
    }
}

/// What a reporter says of its own report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// When it observed, by its own clock.
    pub at: Option<Micros>,
    /// Its name, at most [`REPORTER_BYTES_MAX`] bytes.
    pub by: String,
    /// Its running number of reports, for leaving out replays.
    pub sequence: Option<u64>,
    /// It tells of the past: what the entry says counts from `at` on (design D10).
    pub imported: bool,
}

/// A reporter's name is at most this long.
pub const REPORTER_BYTES_MAX: usize = 128;

/// A body named by an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Starts with 32 random bytes and is never shared.
    pub private: bool,
    /// What the digest covers.
    pub content: Stored,
}

/// Where the bytes of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// In hand, to be stored with the entry.
    Here(Arc<[u8]>),
    /// In the blob store, put there before the entry was decided.
    Before {
        /// SHA-256 of the bytes.
        digest: Digest,
        /// How many there are.
        bytes: u64,
    },
}

impl Body {
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        match &self.content {
            Stored::Here(bytes) => Digest::of(bytes),
            Stored::Before { digest, .. } => *digest,
        }
    }

    /// The bytes; none if they were stored before.
    pub fn in_hand(&self) -> Option<&Arc<[u8]>> {
        match &self.content {
            Stored::Here(bytes) => Some(bytes),
            Stored::Before { .. } => None,
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        match &self.content {
            Stored::Here(bytes) => bytes.len() as u64,
            Stored::Before { bytes, .. } => *bytes,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Random bytes that hide a private body from guessing.
pub type Salt = [u8; 32];

/// Settings of an environment in the first version of its events, one private body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Free text.
    pub description: String,
    /// A difference in counts alone makes a snapshot.
    pub include_scaling: bool,
    /// Deprecated, kept as given.
    pub require_provenance: bool,
    /// Members of a logical environment.
    pub members: Vec<EnvironmentNo>,
}

/// A key in the first version of its events, one private body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// HMAC-SHA-256(pepper, SHA-256(key)).
    pub verifier: Digest,
    /// Free text.
    pub description: String,
}

/// One accepted change with all its effects.
///
/// In a variant whose name ends in `V2`, each text that can be erased is a private body of its
/// own, so that what the log needs to be replayed stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry the names of the facts they set")]
pub enum Event {
    OrganizationCreated {
        no: OrganizationNo,
        id: String,
        name: String,
        kind: OrganizationKind,
        public: bool,
        description: String,
        salt: Salt,
    },
    OrganizationChanged {
        no: OrganizationNo,
        public: bool,
        description: String,
        salt: Salt,
    },
    /// Closed for good; its name stays taken.
    OrganizationClosed {
        no: OrganizationNo,
        reason: String,
        salt: Salt,
    },
    OrganizationLimited {
        no: OrganizationNo,
        /// All that are set from now on.
        limits: Limits,
    },
    UserCreatedV2 {
        no: UserNo,
        name: Text,
        email: Text,
    },
    UserChangedV2 {
        no: UserNo,
        email: Text,
    },
    UserKeyCreatedV2 {
        user: UserNo,
        key: String,
        expires_at: Option<Micros>,
        verifier: Verifier,
        description: Text,
    },
    ServiceAccountKeyCreatedV2 {
        account: AccountNo,
        key: String,
        expires_at: Option<Micros>,
        verifier: Verifier,
        description: Text,
    },
    EnvironmentCreatedV2 {
        no: EnvironmentNo,
        name: String,
        kind: EnvironmentKind,
        include_scaling: bool,
        require_provenance: bool,
        /// None: empty from the start.
        description: Option<Text>,
        /// Of a logical environment.
        members: Option<Vec<EnvironmentNo>>,
        /// The logical snapshot that membership makes at once.
        snapshot: Option<SnapshotNo>,
    },
    EnvironmentChangedV2 {
        no: EnvironmentNo,
        include_scaling: bool,
        require_provenance: bool,
        /// None: as it was.
        description: Option<Text>,
        /// None: as they were.
        members: Option<Vec<EnvironmentNo>>,
        snapshot: Option<SnapshotNo>,
    },
    EnvironmentTaggedV2 {
        no: EnvironmentNo,
        /// Keys and values; each value is none once they were erased.
        set: BTreeMap<String, Option<String>>,
        /// Keys; applied after `set`.
        removed: Vec<String>,
        salt: Salt,
    },
    UserCreated {
        no: UserNo,
        name: String,
        email: String,
        salt: Salt,
    },
    UserChanged {
        no: UserNo,
        name: String,
        email: String,
        salt: Salt,
    },
    UserKeyCreated {
        user: UserNo,
        key: String,
        expires_at: Option<Micros>,
        secret: KeySecret,
        salt: Salt,
    },
    RoleGranted {
        user: UserNo,
        role: Role,
    },
    ServiceAccountCreated {
        no: AccountNo,
        name: String,
        role: Role,
        description: String,
        salt: Salt,
    },
    ServiceAccountChanged {
        no: AccountNo,
        role: Role,
        description: String,
        salt: Salt,
    },
    ServiceAccountKeyCreated {
        account: AccountNo,
        key: String,
        expires_at: Option<Micros>,
        secret: KeySecret,
        salt: Salt,
    },
    EnvironmentCreated {
        no: EnvironmentNo,
        name: String,
        kind: EnvironmentKind,
        settings: Settings,
        /// The logical snapshot that membership makes at once.
        snapshot: Option<SnapshotNo>,
        salt: Salt,
    },
    EnvironmentChanged {
        no: EnvironmentNo,
        settings: Settings,
        snapshot: Option<SnapshotNo>,
        salt: Salt,
    },
    EnvironmentArchived {
        no: EnvironmentNo,
        /// Internal name from now on.
        name: String,
    },
    EnvironmentRenamed {
        no: EnvironmentNo,
        name: String,
    },
    EnvironmentTagged {
        no: EnvironmentNo,
        set: BTreeMap<String, String>,
        removed: Vec<String>,
        salt: Salt,
    },
    SnapshotRecorded {
        environment: EnvironmentNo,
        snapshot: SnapshotNo,
        effective: Micros,
        effects: Arc<Effects>,
    },
    ObservationRecorded {
        environment: EnvironmentNo,
        from: Micros,
        to: Micros,
        reports: u64,
        /// Microseconds.
        longest_gap: i64,
        reporter: String,
    },
    EpochBegun {
        epoch: String,
        /// Origin of the epoch before.
        origin: String,
        /// Size and root continued from.
        size: u64,
        root: Digest,
        /// Size of the highest checkpoint known to be signed.
        signed_size: u64,
        reason: String,
        salt: Salt,
    },
    KeyRotated {
        generation: u32,
        /// The new public key, so that whoever trusts the old one can trust it.
        vkey: String,
    },
    ClockMovedBack {
        /// Microseconds.
        by: i64,
    },
    BodiesErased {
        /// Entries and positions of the bodies, with their digests; at most
        /// [`ERASED_BODIES_MAX`].
        bodies: Vec<(EntryIndex, u32, Digest)>,
        reason: String,
        salt: Salt,
    },
    Flow(FlowEvent),
    Legacy(LegacyEvent),
    Type(TypeEvent),
    Control(ControlEvent),
}

/// An entry ready to be placed in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Id of the organization whose log it is.
    pub organization: String,
    /// What happened.
    pub event: Event,
    /// What it is about, each with the index of its previous entry.
    pub subjects: Vec<(Subject, Option<EntryIndex>)>,
    /// Who caused it.
    pub actor: Actor,
    /// When it was accepted.
    pub received: Micros,
    /// What its reporter said.
    pub claim: Option<Claim>,
    /// Digest of the environment's state after it.
    pub state: Option<Digest>,
}

/// Stored bytes are not an entry of any version known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a readable entry: {0}")]
pub struct Unreadable(pub String);

impl Entry {
    /// Since when holds what it says: when it was accepted, or for imported history when it is
    /// claimed to have happened.
    pub fn at(&self) -> Micros {
        self.claim
            .as_ref()
            .filter(|claim| claim.imported)
            .and_then(|claim| claim.at)
            .unwrap_or(self.received)
    }

    /// Canonical bytes and the bodies they name, in order.
    pub fn encode(&self) -> (Vec<u8>, Vec<Body>) {
        let (kind, data, bodies) = self.event.encode();
        let mut text = String::with_capacity(512);
        text.push_str("{\"actor\":");
        canonical::write_string(&self.actor.to_text(), &mut text);
        text.push_str(",\"bodies\":[");
        for (position, body) in bodies.iter().enumerate() {
            text.push_str(if position > 0 { ",\"" } else { "\"" });
            text.push_str(&body.digest().to_hex());
            text.push('"');
        }
        text.push(']');
        if let Some(claim) = &self.claim {
            text.push_str(",\"claimed\":{");
            if let Some(at) = claim.at {
                write!(text, "\"at\":{},", at.0).expect(INFALLIBLE);
            }
            text.push_str("\"by\":");
            canonical::write_string(&claim.by, &mut text);
            if claim.imported {
                text.push_str(",\"imported\":true");
            }
            if let Some(sequence) = claim.sequence {
                write!(text, ",\"sequence\":{sequence}").expect(INFALLIBLE);
            }
            text.push('}');
        }
        text.push_str(",\"data\":");
        canonical::write(&data, &mut text);
        text.push_str(",\"event\":\"");
        text.push_str(kind);
        text.push_str("\",\"organization\":");
        canonical::write_string(&self.organization, &mut text);
        write!(text, ",\"received\":{}", self.received.0).expect(INFALLIBLE);
        if let Some(state) = &self.state {
            text.push_str(",\"state\":\"");
            text.push_str(&state.to_hex());
            text.push('"');
        }
        text.push_str(",\"subjects\":[");
        for (position, (subject, previous)) in self.subjects.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str("[\"");
            text.push_str(&subject.to_text());
            text.push_str("\",");
            match previous {
                Some(index) => text.push_str(&index.to_string()),
                None => text.push_str("null"),
            }
            text.push(']');
        }
        write!(text, "],\"v\":{ENTRY_VERSION}}}").expect(INFALLIBLE);
        debug_assert!(text.len() <= ENTRY_BYTES_MAX, "entry too long: {text}");
        (text.into_bytes(), bodies)
    }

    /// Digests of the bodies an entry names, without reading them.
    pub fn body_digests(bytes: &[u8]) -> Result<Vec<Digest>, Unreadable> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        digests(&value)
    }

    /// Who caused an entry, without reading the rest of it.
    pub fn actor_of(bytes: &[u8]) -> Result<Actor, Unreadable> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        value["actor"]
            .as_str()
            .and_then(Actor::parse)
            .ok_or_else(|| bad("actor"))
    }

    /// Reads an entry. `bodies` are those it names, in order, where they are at hand: an erased
    /// body is none, and then the parts it held read as empty.
    pub fn decode(bytes: &[u8], bodies: &[Option<Arc<[u8]>>]) -> Result<Self, Unreadable> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(bad("too long"));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if value["v"].as_u64() != Some(ENTRY_VERSION) {
            return Err(bad(format!("unknown version {}", value["v"])));
        }
        let actor = value["actor"]
            .as_str()
            .and_then(Actor::parse)
            .ok_or_else(|| bad("actor"))?;
        let claim = match &value["claimed"] {
            Value::Null => None,
            claimed => Some(Claim {
                at: claimed["at"].as_i64().map(Micros),
                by: text(claimed, "by")?,
                sequence: claimed["sequence"].as_u64(),
                imported: claimed["imported"].as_bool().unwrap_or(false),
            }),
        };
        let state = match &value["state"] {
            Value::Null => None,
            state => Some(digest(state)?),
        };
        let mut subjects = Vec::new();
        for subject in value["subjects"]
            .as_array()
            .ok_or_else(|| bad("subjects"))?
        {
            let name = subject[0]
                .as_str()
                .and_then(Subject::parse)
                .ok_or_else(|| bad("subject"))?;
            subjects.push((name, subject[1].as_u64()));
        }
        let kind = value["event"].as_str().ok_or_else(|| bad("event"))?;
        Ok(Self {
            organization: text(&value, "organization")?,
            event: Event::decode(kind, &value["data"], bodies)?,
            subjects,
            actor,
            received: Micros(value["received"].as_i64().ok_or_else(|| bad("received"))?),
            claim,
            state,
        })
    }
}
