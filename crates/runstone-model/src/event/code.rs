//! Events as entries keep them: name, data and bodies, and back.
//!
//! A version that was ever written is read for good; a new one has a name of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::json::{
    bad, digest, flag, number, optional_micros, ordinal, plain, private, read_plain, read_private,
    role, text, text_or_empty,
};
use super::{
    Body, ControlEvent, Effects, Event, FlowEvent, KeySecret, LegacyEvent, Salt, Settings, Stored,
    Text, TypeEvent, Unreadable, Verifier,
};
use crate::fact::{AccountNo, EnvironmentNo, OrganizationKind, OrganizationNo, UserNo};
use crate::id::Digest;
use crate::limit::Limits;
use crate::name::EnvironmentKind;

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

impl Text {
    pub(super) fn to_body(&self) -> Body {
        private(json!({"text": self.as_str()}), &self.salt)
    }

    pub(super) fn read(bodies: &[Option<Arc<[u8]>>], position: usize) -> Result<Self, Unreadable> {
        let (body, salt) = read_private(bodies, position)?;
        Ok(Self {
            text: match &body {
                Value::Null => None,
                body => Some(text(body, "text")?),
            },
            salt,
        })
    }
}

impl Verifier {
    fn to_body(&self) -> Body {
        let verifier = self.verifier.map(|verifier| verifier.to_hex());
        private(json!({"verifier": verifier}), &self.salt)
    }

    fn read(bodies: &[Option<Arc<[u8]>>], position: usize) -> Result<Self, Unreadable> {
        let (body, salt) = read_private(bodies, position)?;
        Ok(Self {
            verifier: match &body {
                Value::Null => None,
                body => Some(digest(&body["verifier"])?),
            },
            salt,
        })
    }
}

/// The list of members as a plain body: it may be longer than an entry.
fn members_body(members: &[EnvironmentNo]) -> Body {
    let numbers: Vec<u32> = members.iter().map(|no| no.0).collect();
    plain(&json!({"members": numbers}))
}

fn read_members(
    bodies: &[Option<Arc<[u8]>>],
    position: usize,
) -> Result<Vec<EnvironmentNo>, Unreadable> {
    read_plain(bodies, position)?["members"]
        .as_array()
        .ok_or_else(|| bad("members"))?
        .iter()
        .map(|no| {
            no.as_u64()
                .and_then(|no| u32::try_from(no).ok())
                .map(EnvironmentNo)
                .ok_or_else(|| bad("members"))
        })
        .collect()
}

/// Description and members of an environment where the data says that they are there.
type Written = (Option<Text>, Option<Vec<EnvironmentNo>>);

fn read_settings(data: &Value, bodies: &[Option<Arc<[u8]>>]) -> Result<Written, Unreadable> {
    let described = flag(data, "described")?;
    let description = described.then(|| Text::read(bodies, 0)).transpose()?;
    let members = flag(data, "regrouped")?
        .then(|| read_members(bodies, usize::from(described)))
        .transpose()?;
    Ok((description, members))
}

fn settings_bodies(description: Option<&Text>, members: Option<&[EnvironmentNo]>) -> Vec<Body> {
    description
        .map(Text::to_body)
        .into_iter()
        .chain(members.map(members_body))
        .collect()
}

fn texts(value: &Value, key: &str) -> Result<Vec<String>, Unreadable> {
    value[key]
        .as_array()
        .ok_or_else(|| bad(key))?
        .iter()
        .map(|text| text.as_str().map(ToOwned::to_owned).ok_or_else(|| bad(key)))
        .collect()
}

/// Keys of tags and, where some are set, their values: the keys are names, the values free text.
pub(super) fn tag_bodies(
    set: &BTreeMap<String, Option<String>>,
    removed: &[String],
    salt: &Salt,
) -> Vec<Body> {
    let keys: Vec<&String> = set.keys().collect();
    let mut bodies = vec![plain(&json!({"removed": removed, "set": keys}))];
    if !set.is_empty() {
        let values: Vec<&str> = set
            .values()
            .map(|value| value.as_deref().unwrap_or_default())
            .collect();
        bodies.push(private(json!({"values": values}), salt));
    }
    bodies
}

/// Keys and values that are set, keys that are removed, and the random bytes before the values.
pub(super) type Tags = (BTreeMap<String, Option<String>>, Vec<String>, Salt);

pub(super) fn read_tags(bodies: &[Option<Arc<[u8]>>]) -> Result<Tags, Unreadable> {
    let names = read_plain(bodies, 0)?;
    let keys = texts(&names, "set")?;
    let (values, salt) = if keys.is_empty() {
        (Vec::new(), [0; 32])
    } else {
        let (body, salt) = read_private(bodies, 1)?;
        let values = match &body {
            Value::Null => keys.iter().map(|_| None).collect(),
            body => texts(body, "values")?.into_iter().map(Some).collect(),
        };
        (values, salt)
    };
    if values.len() != keys.len() {
        return Err(bad("values"));
    }
    Ok((
        keys.into_iter().zip(values).collect(),
        texts(&names, "removed")?,
        salt,
    ))
}

impl Event {
    /// Name in entries, data and bodies.
    pub(super) fn encode(&self) -> (&'static str, Value, Vec<Body>) {
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
            Self::OrganizationClosed { no, reason, salt } => (
                "OrganizationClosed",
                json!({"no": no.0}),
                vec![private(json!({"reason": reason}), salt)],
            ),
            Self::OrganizationLimited { no, limits } => (
                "OrganizationLimited",
                json!({"limits": limits.to_json(), "no": no.0}),
                vec![],
            ),
            Self::UserCreatedV2 { no, name, email } => (
                "UserCreated/2",
                json!({"no": no.0}),
                vec![name.to_body(), email.to_body()],
            ),
            Self::UserChangedV2 { no, email } => {
                ("UserChanged/2", json!({"no": no.0}), vec![email.to_body()])
            }
            Self::UserKeyCreatedV2 {
                user,
                key,
                expires_at,
                verifier,
                description,
            } => (
                "UserKeyCreated/2",
                json!({"expires_at": expires_at.map(|at| at.0), "key": key, "user": user.0}),
                vec![verifier.to_body(), description.to_body()],
            ),
            Self::ServiceAccountKeyCreatedV2 {
                account,
                key,
                expires_at,
                verifier,
                description,
            } => (
                "ServiceAccountKeyCreated/2",
                json!({"account": account.0, "expires_at": expires_at.map(|at| at.0), "key": key}),
                vec![verifier.to_body(), description.to_body()],
            ),
            Self::EnvironmentCreatedV2 {
                no,
                name,
                kind,
                include_scaling,
                require_provenance,
                description,
                members,
                snapshot,
            } => (
                "EnvironmentCreated/2",
                json!({
                    "described": description.is_some(),
                    "include_scaling": include_scaling,
                    "kind": kind.as_wire(),
                    "name": name,
                    "no": no.0,
                    "regrouped": members.is_some(),
                    "require_provenance": require_provenance,
                    "snapshot": snapshot,
                }),
                settings_bodies(description.as_ref(), members.as_deref()),
            ),
            Self::EnvironmentChangedV2 {
                no,
                include_scaling,
                require_provenance,
                description,
                members,
                snapshot,
            } => (
                "EnvironmentChanged/2",
                json!({
                    "described": description.is_some(),
                    "include_scaling": include_scaling,
                    "no": no.0,
                    "regrouped": members.is_some(),
                    "require_provenance": require_provenance,
                    "snapshot": snapshot,
                }),
                settings_bodies(description.as_ref(), members.as_deref()),
            ),
            Self::EnvironmentTaggedV2 {
                no,
                set,
                removed,
                salt,
            } => (
                "EnvironmentTagged/2",
                json!({"no": no.0}),
                tag_bodies(set, removed, salt),
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
                    content: Stored::Here(effects.to_json().into()),
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
            Self::Flow(event) => event.encode(),
            Self::Legacy(event) => event.encode(),
            Self::Type(event) => event.encode(),
            Self::Control(event) => event.encode(),
        }
    }

    pub(super) fn decode(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Self, Unreadable> {
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
            "OrganizationClosed" => {
                let (body, salt) = read_private(bodies, 0)?;
                Self::OrganizationClosed {
                    no: OrganizationNo(ordinal(data, "no")?),
                    reason: text_or_empty(&body, "reason"),
                    salt,
                }
            }
            "OrganizationLimited" => Self::OrganizationLimited {
                no: OrganizationNo(ordinal(data, "no")?),
                limits: Limits::from_json(&data["limits"]).ok_or_else(|| bad("limits"))?,
            },
            "UserCreated/2" => Self::UserCreatedV2 {
                no: UserNo(ordinal(data, "no")?),
                name: Text::read(bodies, 0)?,
                email: Text::read(bodies, 1)?,
            },
            "UserChanged/2" => Self::UserChangedV2 {
                no: UserNo(ordinal(data, "no")?),
                email: Text::read(bodies, 0)?,
            },
            "UserKeyCreated/2" => Self::UserKeyCreatedV2 {
                user: UserNo(ordinal(data, "user")?),
                key: text(data, "key")?,
                expires_at: optional_micros(data, "expires_at"),
                verifier: Verifier::read(bodies, 0)?,
                description: Text::read(bodies, 1)?,
            },
            "ServiceAccountKeyCreated/2" => Self::ServiceAccountKeyCreatedV2 {
                account: AccountNo(ordinal(data, "account")?),
                key: text(data, "key")?,
                expires_at: optional_micros(data, "expires_at"),
                verifier: Verifier::read(bodies, 0)?,
                description: Text::read(bodies, 1)?,
            },
            "EnvironmentCreated/2" => {
                let (description, members) = read_settings(data, bodies)?;
                Self::EnvironmentCreatedV2 {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    name: text(data, "name")?,
                    kind: EnvironmentKind::from_wire(&text(data, "kind")?)
                        .ok_or_else(|| bad("kind"))?,
                    include_scaling: flag(data, "include_scaling")?,
                    require_provenance: flag(data, "require_provenance")?,
                    description,
                    members,
                    snapshot: data["snapshot"].as_u64(),
                }
            }
            "EnvironmentChanged/2" => {
                let (description, members) = read_settings(data, bodies)?;
                Self::EnvironmentChangedV2 {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    include_scaling: flag(data, "include_scaling")?,
                    require_provenance: flag(data, "require_provenance")?,
                    description,
                    members,
                    snapshot: data["snapshot"].as_u64(),
                }
            }
            "EnvironmentTagged/2" => {
                let (set, removed, salt) = read_tags(bodies)?;
                Self::EnvironmentTaggedV2 {
                    no: EnvironmentNo(ordinal(data, "no")?),
                    set,
                    removed,
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
            other => Self::decode_family(other, data, bodies)?
                .ok_or_else(|| bad(format!("unknown event '{other}'")))?,
        })
    }

    /// An event of one of the families; none if none has such a name.
    fn decode_family(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Option<Self>, Unreadable> {
        if let Some(event) = FlowEvent::decode(kind, data, bodies)? {
            return Ok(Some(Self::Flow(event)));
        }
        if let Some(event) = LegacyEvent::decode(kind, data, bodies)? {
            return Ok(Some(Self::Legacy(event)));
        }
        if let Some(event) = TypeEvent::decode(kind, data, bodies)? {
            return Ok(Some(Self::Type(event)));
        }
        Ok(ControlEvent::decode(kind, data, bodies)?.map(Self::Control))
    }
}
