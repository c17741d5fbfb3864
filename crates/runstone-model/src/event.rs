//! Events: every accepted change, as it stands in the journal for good.
//!
//! An entry is canonical JSON (RFC 8785) of at most [`ENTRY_BYTES_MAX`] bytes. It holds ids,
//! resource names, fingerprints, counts, times and digests; free text, personal data and key
//! verifiers stand in private bodies (32 random bytes before the text, so that a digest tells
//! nothing), lists in the effects body. An event is never changed: a new version is added and
//! the old one still reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::canonical;
use crate::fact::{
    AccountNo, EntryIndex, EnvironmentNo, Identity, OrganizationKind, OrganizationNo, SnapshotNo,
    UserNo,
};
use crate::id::{Digest, Fingerprint, Micros};
use crate::name::EnvironmentKind;
use crate::role::Role;

const INFALLIBLE: &str = "writing to a string does not fail";

/// No entry is longer.
pub const ENTRY_BYTES_MAX: usize = 4096;
/// Version of the entry format.
pub const ENTRY_VERSION: u64 = 1;
/// At most this many bodies per entry.
pub const BODIES_MAX: usize = 8;

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

    fn parse(text: &str) -> Option<Self> {
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
}

/// A reporter's name is at most this long.
pub const REPORTER_BYTES_MAX: usize = 128;

/// A body named by an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Starts with 32 random bytes and is never shared.
    pub private: bool,
    /// What the digest covers.
    pub bytes: Arc<[u8]>,
}

impl Body {
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Random bytes that hide a private body from guessing.
pub type Salt = [u8; 32];

/// A difference between two states as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Records that came, with their details.
    pub added: Vec<(Arc<Identity>, Arc<[u8]>)>,
    /// Records that stayed with another detail.
    pub changed: Vec<(Digest, Arc<[u8]>)>,
    /// Records that left.
    pub removed: Vec<Digest>,
    /// Snapshots appended to logical environments because of this one.
    pub logical: Vec<(EnvironmentNo, SnapshotNo)>,
}

/// Settings of an environment; a private body, because the description is free text.
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

/// A key as its private body keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// HMAC-SHA-256(pepper, SHA-256(key)).
    pub verifier: Digest,
    /// Free text.
    pub description: String,
}

/// One accepted change with all its effects.
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
        /// Entries and positions of the bodies, with their digests.
        bodies: Vec<(EntryIndex, u32, Digest)>,
        reason: String,
        salt: Salt,
    },
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

fn bad(what: impl Into<String>) -> Unreadable {
    Unreadable(what.into())
}

impl Entry {
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

fn digests(value: &Value) -> Result<Vec<Digest>, Unreadable> {
    value["bodies"]
        .as_array()
        .ok_or_else(|| bad("bodies"))?
        .iter()
        .map(digest)
        .collect()
}

fn digest(value: &Value) -> Result<Digest, Unreadable> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad("digest"))
}

fn text(value: &Value, key: &str) -> Result<String, Unreadable> {
    value[key]
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| bad(key))
}

fn number(value: &Value, key: &str) -> Result<u64, Unreadable> {
    value[key].as_u64().ok_or_else(|| bad(key))
}

fn ordinal(value: &Value, key: &str) -> Result<u32, Unreadable> {
    u32::try_from(number(value, key)?).map_err(|_| bad(key))
}

fn flag(value: &Value, key: &str) -> Result<bool, Unreadable> {
    value[key].as_bool().ok_or_else(|| bad(key))
}

fn optional_micros(value: &Value, key: &str) -> Option<Micros> {
    value[key].as_i64().map(Micros)
}

fn role(value: &Value) -> Result<Role, Unreadable> {
    text(value, "role")?.parse().map_err(|_| bad("role"))
}

fn private(value: Value, salt: &Salt) -> Body {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(canonical::to_string(&value).as_bytes());
    Body {
        private: true,
        bytes: bytes.into(),
    }
}

/// The JSON and salt of the private body at `position`; an erased one reads as null.
fn read_private(
    bodies: &[Option<Arc<[u8]>>],
    position: usize,
) -> Result<(Value, Salt), Unreadable> {
    match bodies.get(position) {
        Some(Some(bytes)) => {
            let (salt, json) = bytes
                .split_first_chunk::<32>()
                .ok_or_else(|| bad("private body"))?;
            let value = serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
            Ok((value, *salt))
        }
        Some(None) => Ok((Value::Null, [0; 32])),
        None => Err(bad("missing body")),
    }
}

fn text_or_empty(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

impl Settings {
    fn to_json(&self) -> Value {
        json!({
            "description": self.description,
            "include_scaling": self.include_scaling,
            "members": self.members.iter().map(|no| no.0).collect::<Vec<_>>(),
            "require_provenance": self.require_provenance,
        })
    }

    fn from_json(value: &Value) -> Self {
        Self {
            description: text_or_empty(value, "description"),
            include_scaling: value["include_scaling"].as_bool().unwrap_or(false),
            require_provenance: value["require_provenance"].as_bool().unwrap_or(false),
            members: value["members"]
                .as_array()
                .map(|members| {
                    members
                        .iter()
                        .filter_map(Value::as_u64)
                        .map(|no| EnvironmentNo(no as u32))
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}

impl KeySecret {
    fn to_json(&self) -> Value {
        json!({"description": self.description, "verifier": self.verifier.to_hex()})
    }

    fn from_json(value: &Value) -> Result<Self, Unreadable> {
        Ok(Self {
            // A key whose body was erased verifies nothing.
            verifier: match &value["verifier"] {
                Value::Null => Digest([0; 32]),
                verifier => digest(verifier)?,
            },
            description: text_or_empty(value, "description"),
        })
    }
}

impl Effects {
    /// Canonical JSON. Lists are in the order given; details are canonical already.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = String::with_capacity(64 + 256 * self.added.len());
        text.push_str("{\"added\":[");
        for (position, (identity, detail)) in self.added.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str("{\"detail\":");
            text.push_str(&String::from_utf8_lossy(detail));
            text.push_str(",\"record\":");
            text.push_str(&identity.canonical_json());
            text.push('}');
        }
        text.push_str("],\"changed\":[");
        for (position, (digest, detail)) in self.changed.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str("[\"");
            text.push_str(&digest.to_hex());
            text.push_str("\",");
            text.push_str(&String::from_utf8_lossy(detail));
            text.push(']');
        }
        text.push_str("],\"judgements\":[],\"logical\":[");
        for (position, (environment, snapshot)) in self.logical.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            write!(text, "[{},{snapshot}]", environment.0).expect(INFALLIBLE);
        }
        text.push_str("],\"removed\":[");
        for (position, digest) in self.removed.iter().enumerate() {
            text.push_str(if position > 0 { ",\"" } else { "\"" });
            text.push_str(&digest.to_hex());
            text.push('"');
        }
        text.push_str("],\"v\":1}");
        text.into_bytes()
    }

    /// Reads what [`Effects::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(serde::Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            added: Vec<RawAdded<'a>>,
            #[serde(borrow)]
            changed: Vec<(&'a str, &'a serde_json::value::RawValue)>,
            judgements: Vec<Value>,
            logical: Vec<(u32, u64)>,
            #[serde(borrow)]
            removed: Vec<&'a str>,
            v: u64,
        }
        #[derive(serde::Deserialize)]
        struct RawAdded<'a> {
            #[serde(borrow)]
            detail: &'a serde_json::value::RawValue,
            #[serde(borrow)]
            record: RawRecord<'a>,
        }
        #[derive(serde::Deserialize)]
        struct RawRecord<'a> {
            count: Option<u32>,
            fingerprint: Option<&'a str>,
            #[serde(borrow)]
            name: std::borrow::Cow<'a, str>,
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if raw.v != 1 || !raw.judgements.is_empty() {
            return Err(bad("effects of an unknown version"));
        }
        let hex = |text: &str| {
            text.parse::<Digest>()
                .map_err(|error| bad(error.to_string()))
        };
        let detail = |raw: &serde_json::value::RawValue| Arc::from(raw.get().as_bytes());
        Ok(Self {
            added: raw
                .added
                .iter()
                .map(|added| {
                    let fingerprint = added
                        .record
                        .fingerprint
                        .map(|text| {
                            text.parse::<Fingerprint>()
                                .map_err(|error| bad(error.to_string()))
                        })
                        .transpose()?;
                    Ok((
                        Arc::new(Identity {
                            fingerprint,
                            name: added.record.name.clone().into_owned(),
                            count: added.record.count,
                        }),
                        detail(added.detail),
                    ))
                })
                .collect::<Result<_, Unreadable>>()?,
            changed: raw
                .changed
                .iter()
                .map(|(digest, raw)| Ok((hex(digest)?, detail(raw))))
                .collect::<Result<_, Unreadable>>()?,
            removed: raw
                .removed
                .iter()
                .map(|text| hex(text))
                .collect::<Result<_, Unreadable>>()?,
            logical: raw
                .logical
                .into_iter()
                .map(|(no, snapshot)| (EnvironmentNo(no), snapshot))
                .collect(),
        })
    }
}

impl Event {
    /// Name in entries, data and bodies.
    fn encode(&self) -> (&'static str, Value, Vec<Body>) {
        match self {
            Self::OrganizationCreated {
                no,
                id,
                name,
                kind,
                public,
                description,
                salt,
            } => (
                "OrganizationCreated",
                json!({"id": id, "kind": kind.as_str(), "name": name, "no": no.0, "public": public}),
                vec![private(json!({"description": description}), salt)],
            ),
            Self::OrganizationChanged {
                no,
                public,
                description,
                salt,
            } => (
                "OrganizationChanged",
                json!({"no": no.0, "public": public}),
                vec![private(json!({"description": description}), salt)],
            ),
            Self::UserCreated {
                no,
                name,
                email,
                salt,
            } => (
                "UserCreated",
                json!({"no": no.0}),
                vec![private(json!({"email": email, "name": name}), salt)],
            ),
            Self::UserChanged {
                no,
                name,
                email,
                salt,
            } => (
                "UserChanged",
                json!({"no": no.0}),
                vec![private(json!({"email": email, "name": name}), salt)],
            ),
            Self::UserKeyCreated {
                user,
                key,
                expires_at,
                secret,
                salt,
            } => (
                "UserKeyCreated",
                json!({"expires_at": expires_at.map(|at| at.0), "key": key, "user": user.0}),
                vec![private(secret.to_json(), salt)],
            ),
            Self::RoleGranted { user, role } => (
                "RoleGranted",
                json!({"role": role.as_str(), "user": user.0}),
                vec![],
            ),
            Self::ServiceAccountCreated {
                no,
                name,
                role,
                description,
                salt,
            } => (
                "ServiceAccountCreated",
                json!({"name": name, "no": no.0, "role": role.as_str()}),
                vec![private(json!({"description": description}), salt)],
            ),
            Self::ServiceAccountChanged {
                no,
                role,
                description,
                salt,
            } => (
                "ServiceAccountChanged",
                json!({"no": no.0, "role": role.as_str()}),
                vec![private(json!({"description": description}), salt)],
            ),
            Self::ServiceAccountKeyCreated {
                account,
                key,
                expires_at,
                secret,
                salt,
            } => (
                "ServiceAccountKeyCreated",
                json!({"account": account.0, "expires_at": expires_at.map(|at| at.0), "key": key}),
                vec![private(secret.to_json(), salt)],
            ),
            Self::EnvironmentCreated {
                no,
                name,
                kind,
                settings,
                snapshot,
                salt,
            } => (
                "EnvironmentCreated",
                json!({"kind": kind.as_wire(), "name": name, "no": no.0, "snapshot": snapshot}),
                vec![private(settings.to_json(), salt)],
            ),
            Self::EnvironmentChanged {
                no,
                settings,
                snapshot,
                salt,
            } => (
                "EnvironmentChanged",
                json!({"no": no.0, "snapshot": snapshot}),
                vec![private(settings.to_json(), salt)],
            ),
            Self::EnvironmentArchived { no, name } => (
                "EnvironmentArchived",
                json!({"name": name, "no": no.0}),
                vec![],
            ),
            Self::EnvironmentRenamed { no, name } => (
                "EnvironmentRenamed",
                json!({"name": name, "no": no.0}),
                vec![],
            ),
            Self::EnvironmentTagged {
                no,
                set,
                removed,
                salt,
            } => (
                "EnvironmentTagged",
                json!({"no": no.0}),
                vec![private(json!({"removed": removed, "set": set}), salt)],
            ),
            Self::SnapshotRecorded {
                environment,
                snapshot,
                effective,
                effects,
            } => (
                "SnapshotRecorded",
                json!({"effective": effective.0, "environment": environment.0, "snapshot": snapshot}),
                vec![Body {
                    private: false,
                    bytes: effects.to_json().into(),
                }],
            ),
            Self::ObservationRecorded {
                environment,
                from,
                to,
                reports,
                longest_gap,
                reporter,
            } => (
                "ObservationRecorded",
                json!({
                    "environment": environment.0,
                    "from": from.0,
                    "longest_gap": longest_gap,
                    "reporter": reporter,
                    "reports": reports,
                    "to": to.0,
                }),
                vec![],
            ),
            Self::EpochBegun {
                epoch,
                origin,
                size,
                root,
                signed_size,
                reason,
                salt,
            } => (
                "EpochBegun",
                json!({
                    "epoch": epoch,
                    "origin": origin,
                    "root": root.to_hex(),
                    "signed_size": signed_size,
                    "size": size,
                }),
                vec![private(json!({"reason": reason}), salt)],
            ),
            Self::KeyRotated { generation, vkey } => (
                "KeyRotated",
                json!({"generation": generation, "vkey": vkey}),
                vec![],
            ),
            Self::ClockMovedBack { by } => ("ClockMovedBack", json!({"by": by}), vec![]),
            Self::BodiesErased {
                bodies,
                reason,
                salt,
            } => (
                "BodiesErased",
                json!({"bodies": bodies
                    .iter()
                    .map(|(entry, position, digest)| json!([entry, position, digest.to_hex()]))
                    .collect::<Vec<_>>()}),
                vec![private(json!({"reason": reason}), salt)],
            ),
        }
    }

    fn decode(kind: &str, data: &Value, bodies: &[Option<Arc<[u8]>>]) -> Result<Self, Unreadable> {
        Ok(match kind {
            "OrganizationCreated" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::OrganizationCreated {
                    no: OrganizationNo(ordinal(data, "no")?),
                    id: text(data, "id")?,
                    name: text(data, "name")?,
                    kind: OrganizationKind::parse(&text(data, "kind")?)
                        .ok_or_else(|| bad("kind"))?,
                    public: flag(data, "public")?,
                    description: text_or_empty(&body, "description"),
                    salt,
                }
            }
            "OrganizationChanged" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::OrganizationChanged {
                    no: OrganizationNo(ordinal(data, "no")?),
                    public: flag(data, "public")?,
                    description: text_or_empty(&body, "description"),
                    salt,
                }
            }
            "UserCreated" | "UserChanged" => {
                let (body, salt) = read_private(bodies, 0)?;
                let no = UserNo(ordinal(data, "no")?);
                let name = text_or_empty(&body, "name");
                let email = text_or_empty(&body, "email");
                if kind == "UserCreated" {
                    Self::UserCreated {
                        no,
                        name,
                        email,
                        salt,
                    }
                } else {
                    Self::UserChanged {
                        no,
                        name,
                        email,
                        salt,
                    }
                }
            }
            "UserKeyCreated" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::UserKeyCreated {
                    user: UserNo(ordinal(data, "user")?),
                    key: text(data, "key")?,
                    expires_at: optional_micros(data, "expires_at"),
                    secret: KeySecret::from_json(&body)?,
                    salt,
                }
            }
            "RoleGranted" => Self::RoleGranted {
                user: UserNo(ordinal(data, "user")?),
                role: role(data)?,
            },
            "ServiceAccountCreated" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::ServiceAccountCreated {
                    no: AccountNo(ordinal(data, "no")?),
                    name: text(data, "name")?,
                    role: role(data)?,
                    description: text_or_empty(&body, "description"),
                    salt,
                }
            }
            "ServiceAccountChanged" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::ServiceAccountChanged {
                    no: AccountNo(ordinal(data, "no")?),
                    role: role(data)?,
                    description: text_or_empty(&body, "description"),
                    salt,
                }
            }
            "ServiceAccountKeyCreated" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::ServiceAccountKeyCreated {
                    account: AccountNo(ordinal(data, "account")?),
                    key: text(data, "key")?,
                    expires_at: optional_micros(data, "expires_at"),
                    secret: KeySecret::from_json(&body)?,
                    salt,
                }
            }
            "EnvironmentCreated" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::EnvironmentCreated {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    name: text(data, "name")?,
                    kind: EnvironmentKind::from_wire(&text(data, "kind")?)
                        .ok_or_else(|| bad("kind"))?,
                    settings: Settings::from_json(&body),
                    snapshot: data["snapshot"].as_u64(),
                    salt,
                }
            }
            "EnvironmentChanged" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::EnvironmentChanged {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    settings: Settings::from_json(&body),
                    snapshot: data["snapshot"].as_u64(),
                    salt,
                }
            }
            "EnvironmentArchived" => Self::EnvironmentArchived {
                no: EnvironmentNo(ordinal(data, "no")?),
                name: text(data, "name")?,
            },
            "EnvironmentRenamed" => Self::EnvironmentRenamed {
                no: EnvironmentNo(ordinal(data, "no")?),
                name: text(data, "name")?,
            },
            "EnvironmentTagged" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::EnvironmentTagged {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    set: body["set"]
                        .as_object()
                        .map(|set| {
                            set.iter()
                                .map(|(key, value)| {
                                    (key.clone(), value.as_str().unwrap_or_default().to_owned())
                                })
                                .collect()
                        })
                        .unwrap_or_default(),
                    removed: body["removed"]
                        .as_array()
                        .map(|keys| {
                            keys.iter()
                                .filter_map(Value::as_str)
                                .map(ToOwned::to_owned)
                                .collect()
                        })
                        .unwrap_or_default(),
                    salt,
                }
            }
            "SnapshotRecorded" => {
                let body = bodies
                    .first()
                    .and_then(Option::as_ref)
                    .ok_or_else(|| bad("missing effects"))?;
                Self::SnapshotRecorded {
                    environment: EnvironmentNo(ordinal(data, "environment")?),
                    snapshot: number(data, "snapshot")?,
                    effective: optional_micros(data, "effective")
                        .ok_or_else(|| bad("effective"))?,
                    effects: Arc::new(Effects::from_json(body)?),
                }
            }
            "ObservationRecorded" => Self::ObservationRecorded {
                environment: EnvironmentNo(ordinal(data, "environment")?),
                from: optional_micros(data, "from").ok_or_else(|| bad("from"))?,
                to: optional_micros(data, "to").ok_or_else(|| bad("to"))?,
                reports: number(data, "reports")?,
                longest_gap: data["longest_gap"]
                    .as_i64()
                    .ok_or_else(|| bad("longest_gap"))?,
                reporter: text(data, "reporter")?,
            },
            "EpochBegun" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::EpochBegun {
                    epoch: text(data, "epoch")?,
                    origin: text(data, "origin")?,
                    size: number(data, "size")?,
                    root: digest(&data["root"])?,
                    signed_size: number(data, "signed_size")?,
                    reason: text_or_empty(&body, "reason"),
                    salt,
                }
            }
            "KeyRotated" => Self::KeyRotated {
                generation: ordinal(data, "generation")?,
                vkey: text(data, "vkey")?,
            },
            "ClockMovedBack" => Self::ClockMovedBack {
                by: data["by"].as_i64().ok_or_else(|| bad("by"))?,
            },
            "BodiesErased" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::BodiesErased {
                    bodies: data["bodies"]
                        .as_array()
                        .ok_or_else(|| bad("bodies"))?
                        .iter()
                        .map(|erased| {
                            Ok((
                                erased[0].as_u64().ok_or_else(|| bad("entry"))?,
                                erased[1]
                                    .as_u64()
                                    .and_then(|position| u32::try_from(position).ok())
                                    .ok_or_else(|| bad("position"))?,
                                digest(&erased[2])?,
                            ))
                        })
                        .collect::<Result<_, Unreadable>>()?,
                    reason: text_or_empty(&body, "reason"),
                    salt,
                }
            }
            other => return Err(bad(format!("unknown event '{other}'"))),
        })
    }
}
