//! Events of flows, trails, artifacts and attestations.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::code::{read_tags, tag_bodies};
use super::json::{bad, digest, flag, ordinal, plain, read_plain, text};
use super::{Body, Field, Salt, Stored, Text, Unreadable};
use crate::compliance::State;
use crate::fact::{
    ArtifactNo, AttestationNo, FlowNo, Member, RepoNo, TemplateNo, TrailNo, Visibility,
};
use crate::id::{Commit, Digest, Fingerprint};

/// JSON in a private body of its own, as it was given but for blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// None once it was erased.
    pub json: Option<Arc<str>>,
    /// Random bytes before it.
    pub salt: Salt,
}

impl Content {
    pub(super) fn to_body(&self) -> Body {
        let json = self.json.as_deref().unwrap_or("null");
        let mut bytes = Vec::with_capacity(self.salt.len() + json.len());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(json.as_bytes());
        Body {
            private: true,
            content: Stored::Here(bytes.into()),
        }
    }

    pub(super) fn read(bodies: &[Option<Arc<[u8]>>], position: usize) -> Result<Self, Unreadable> {
        match bodies.get(position) {
            Some(Some(bytes)) => Self::of_body(bytes),
            Some(None) => Ok(Self {
                json: None,
                salt: [0; 32],
            }),
            None => Err(bad("missing body")),
        }
    }

    /// Reads the bytes of such a body.
    pub fn of_body(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (salt, json) = bytes
            .split_first_chunk::<32>()
            .ok_or_else(|| bad("private body"))?;
        let json = std::str::from_utf8(json).map_err(|_| bad("private body"))?;
        Ok(Self {
            json: Some(json.into()),
            salt: *salt,
        })
    }
}

/// What a template was given as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateText {
    /// YAML, byte for byte.
    Yaml(String),
    /// A list of names, as older clients give it.
    Names(Vec<String>),
}

impl TemplateText {
    fn to_json(&self) -> Value {
        match self {
            Self::Yaml(text) => json!({"yaml": text}),
            Self::Names(names) => json!({"names": names}),
        }
    }

    fn to_body(&self) -> Body {
        plain(&self.to_json())
    }

    /// The bytes of the body that holds it.
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::canonical::to_string(&self.to_json()).into_bytes()
    }

    /// Reads what [`TemplateText::to_bytes`] wrote.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let body: Value = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        Self::of(&body)
    }

    fn of(body: &Value) -> Result<Self, Unreadable> {
        if let Some(text) = body["yaml"].as_str() {
            return Ok(Self::Yaml(text.to_owned()));
        }
        body["names"]
            .as_array()
            .ok_or_else(|| bad("template"))?
            .iter()
            .map(|name| name.as_str().map(ToOwned::to_owned))
            .collect::<Option<_>>()
            .map(Self::Names)
            .ok_or_else(|| bad("template"))
    }
}

/// A new version of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTemplate {
    /// Its ordinal.
    pub no: TemplateNo,
    /// Its text.
    pub text: TemplateText,
}

/// A file of at most so many bytes is kept like any other body; a larger one was stored before the
/// entry that names it.
pub const ATTACHMENT_HELD_BYTES_MAX: u64 = 64 * 1024;

/// An attached file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u64,
    /// The bytes, if they are at most [`ATTACHMENT_HELD_BYTES_MAX`] and were not erased.
    pub held: Option<Arc<[u8]>>,
}

impl Attachment {
    fn to_body(&self) -> Body {
        let content = match &self.held {
            Some(bytes) => Stored::Here(Arc::clone(bytes)),
            None => Stored::Before {
                digest: self.digest,
                bytes: self.bytes,
            },
        };
        Body {
            private: false,
            content,
        }
    }
}

/// What an entry changed in the verdicts on a trail and its artifacts, as decided with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdicts {
    /// The trail's state from now on; none: as it was.
    pub trail: Option<State>,
    /// Reports of artifacts whose state is another from now on.
    pub artifacts: Vec<(ArtifactNo, State)>,
}

/// Most verdicts on artifacts that stand in the entry itself; more stand in a body.
const VERDICTS_INLINE_MAX: usize = 16;

impl Verdicts {
    fn artifacts_json(&self) -> Value {
        self.artifacts
            .iter()
            .map(|(no, state)| json!([no.0, state.as_wire()]))
            .collect()
    }

    fn to_json(&self) -> Value {
        let inline = self.artifacts.len() <= VERDICTS_INLINE_MAX;
        json!({
            "artifacts": inline.then(|| self.artifacts_json()),
            "trail": self.trail.map(State::as_wire),
        })
    }

    /// The body that stands after all others, where the entry has no room.
    fn to_body(&self) -> Option<Body> {
        (self.artifacts.len() > VERDICTS_INLINE_MAX)
            .then(|| plain(&json!({"artifacts": self.artifacts_json()})))
    }

    fn read(data: &Value, bodies: &[Option<Arc<[u8]>>]) -> Result<Self, Unreadable> {
        let state = |value: &Value| {
            value
                .as_str()
                .and_then(State::from_wire)
                .ok_or_else(|| bad("verdicts"))
        };
        let data = &data["verdicts"];
        let outside;
        let list = match &data["artifacts"] {
            Value::Null => {
                let last = bodies.len().checked_sub(1).ok_or_else(|| bad("verdicts"))?;
                outside = read_plain(bodies, last)?;
                &outside["artifacts"]
            }
            list => list,
        };
        Ok(Self {
            trail: match &data["trail"] {
                Value::Null => None,
                value => Some(state(value)?),
            },
            artifacts: list
                .as_array()
                .ok_or_else(|| bad("verdicts"))?
                .iter()
                .map(|pair| {
                    let no = pair[0]
                        .as_u64()
                        .and_then(|no| u32::try_from(no).ok())
                        .ok_or_else(|| bad("verdicts"))?;
                    Ok((ArtifactNo(no), state(&pair[1])?))
                })
                .collect::<Result<_, Unreadable>>()?,
        })
    }
}

/// What happened to flows and repositories, and in trails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry the names of the facts they set")]
pub enum FlowEvent {
    Created {
        no: FlowNo,
        name: String,
        visibility: Visibility,
        /// None: empty.
        description: Option<Text>,
        template: NewTemplate,
    },
    Changed {
        no: FlowNo,
        visibility: Visibility,
        /// None: as it was.
        description: Option<Text>,
        /// None: as it was.
        template: Option<NewTemplate>,
    },
    Archived {
        no: FlowNo,
    },
    /// No longer archived.
    Restored {
        no: FlowNo,
    },
    Renamed {
        no: FlowNo,
        name: String,
    },
    Tagged {
        no: FlowNo,
        /// Keys and values; each value is none once they were erased.
        set: BTreeMap<String, Option<String>>,
        /// Keys; applied after `set`.
        removed: Vec<String>,
        salt: Salt,
    },
    /// A repository was told of for the first time, or is told of otherwise.
    RepoRecorded {
        no: RepoNo,
        provider: Option<String>,
        id: Option<String>,
        name: String,
        /// `url`, `namespace_path` and `additional_info`, as canonical JSON.
        facts: String,
        /// None: as it was.
        description: Option<Text>,
    },
    RepoTagged {
        no: RepoNo,
        set: BTreeMap<String, Option<String>>,
        removed: Vec<String>,
        salt: Salt,
    },
    TrailBegun {
        no: TrailNo,
        flow: FlowNo,
        name: String,
        /// Not by its name: it holds the artifacts that were reported for a commit alone.
        implicit: bool,
        commit: Option<Commit>,
        repo: Option<RepoNo>,
        /// The flow's, unless it is new.
        template: TemplateNo,
        own_template: Option<TemplateText>,
        members: BTreeMap<Member, Content>,
        verdicts: Verdicts,
    },
    TrailUpdated {
        no: TrailNo,
        /// None: as it was.
        commit: Option<Commit>,
        repo: Option<RepoNo>,
        template: Option<NewTemplate>,
        /// What was written.
        members: BTreeMap<Member, Content>,
        /// Names of what was written and differs.
        changes: Vec<String>,
        verdicts: Verdicts,
    },
    ArtifactReported {
        no: ArtifactNo,
        trail: TrailNo,
        /// In the template.
        name: Option<String>,
        fingerprint: Fingerprint,
        filename: String,
        commit: Option<Commit>,
        repo: Option<RepoNo>,
        content: Content,
        verdicts: Verdicts,
    },
    Attested {
        no: AttestationNo,
        trail: TrailNo,
        name: String,
        kind: String,
        is_compliant: bool,
        fingerprint: Option<Fingerprint>,
        targets: Vec<String>,
        commit: Option<Commit>,
        repo: Option<RepoNo>,
        overrides: Option<AttestationNo>,
        original_kind: Option<String>,
        /// Of a custom type: the version that judged it. Of a decision: the version that the
        /// control had then.
        version: Option<u32>,
        /// Of a decision.
        control: Option<String>,
        content: Content,
        attachment: Option<Attachment>,
        verdicts: Verdicts,
    },
}

fn optional_text(value: &Value, key: &str) -> Result<Option<String>, Unreadable> {
    match &value[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(bad(key)),
    }
}

fn optional_ordinal(value: &Value, key: &str) -> Result<Option<u32>, Unreadable> {
    match &value[key] {
        Value::Null => Ok(None),
        _ => ordinal(value, key).map(Some),
    }
}

fn optional_commit(value: &Value) -> Result<Option<Commit>, Unreadable> {
    optional_text(value, "commit")?
        .map(|text| Commit::parse(&text).ok_or_else(|| bad("commit")))
        .transpose()
}

fn repo(value: &Value) -> Result<Option<RepoNo>, Unreadable> {
    Ok(optional_ordinal(value, "repo")?.map(RepoNo))
}

fn hex(commit: Option<&Commit>) -> Option<String> {
    commit.map(Commit::to_hex)
}

fn visibility(value: &Value) -> Result<Visibility, Unreadable> {
    Visibility::parse(&text(value, "visibility")?).ok_or_else(|| bad("visibility"))
}

fn strings(value: &Value, key: &str) -> Result<Vec<String>, Unreadable> {
    value[key]
        .as_array()
        .ok_or_else(|| bad(key))?
        .iter()
        .map(|text| text.as_str().map(ToOwned::to_owned).ok_or_else(|| bad(key)))
        .collect()
}

fn members(value: &Value) -> Result<Vec<Member>, Unreadable> {
    strings(value, "members")?
        .iter()
        .map(|name| Member::parse(name).ok_or_else(|| bad("members")))
        .collect()
}

fn read_members(
    names: &[Member],
    bodies: &[Option<Arc<[u8]>>],
    first: usize,
) -> Result<BTreeMap<Member, Content>, Unreadable> {
    names
        .iter()
        .enumerate()
        .map(|(position, member)| Ok((*member, Content::read(bodies, first + position)?)))
        .collect()
}

fn names_of(members: &BTreeMap<Member, Content>) -> Vec<&'static str> {
    members.keys().map(|member| member.as_str()).collect()
}

fn new_template(
    data: &Value,
    bodies: &[Option<Arc<[u8]>>],
) -> Result<Option<NewTemplate>, Unreadable> {
    optional_ordinal(data, "template")?
        .map(|no| {
            Ok(NewTemplate {
                no: TemplateNo(no),
                text: TemplateText::of(&read_plain(bodies, 0)?)?,
            })
        })
        .transpose()
}

impl FlowEvent {
    /// Name in entries, data and bodies. A template's text stands before all other bodies.
    pub(super) fn encode(&self) -> (&'static str, Value, Vec<Body>) {
        match self {
            Self::Created {
                no,
                name,
                visibility,
                description,
                template,
            } => (
                "FlowCreated",
                json!({
                    "described": description.is_some(),
                    "name": name,
                    "no": no.0,
                    "template": template.no.0,
                    "visibility": visibility.as_str(),
                }),
                std::iter::once(template.text.to_body())
                    .chain(description.as_ref().map(Text::to_body))
                    .collect(),
            ),
            Self::Changed {
                no,
                visibility,
                description,
                template,
            } => (
                "FlowChanged",
                json!({
                    "described": description.is_some(),
                    "no": no.0,
                    "template": template.as_ref().map(|template| template.no.0),
                    "visibility": visibility.as_str(),
                }),
                template
                    .as_ref()
                    .map(|template| template.text.to_body())
                    .into_iter()
                    .chain(description.as_ref().map(Text::to_body))
                    .collect(),
            ),
            Self::Archived { no } => ("FlowArchived", json!({"no": no.0}), vec![]),
            Self::Restored { no } => ("FlowRestored", json!({"no": no.0}), vec![]),
            Self::Renamed { no, name } => {
                ("FlowRenamed", json!({"name": name, "no": no.0}), vec![])
            }
            Self::Tagged {
                no,
                set,
                removed,
                salt,
            } => (
                "FlowTagged",
                json!({"no": no.0}),
                tag_bodies(set, removed, salt),
            ),
            Self::RepoRecorded {
                no,
                provider,
                id,
                name,
                facts,
                description,
            } => (
                "RepoRecorded",
                json!({
                    "described": description.is_some(),
                    "id": id,
                    "name": name,
                    "no": no.0,
                    "provider": provider,
                }),
                std::iter::once(Body {
                    private: false,
                    content: Stored::Here(facts.as_bytes().into()),
                })
                .chain(description.as_ref().map(Text::to_body))
                .collect(),
            ),
            Self::RepoTagged {
                no,
                set,
                removed,
                salt,
            } => (
                "RepoTagged",
                json!({"no": no.0}),
                tag_bodies(set, removed, salt),
            ),
            Self::TrailBegun {
                no,
                flow,
                name,
                implicit,
                commit,
                repo,
                template,
                own_template,
                members,
                verdicts,
            } => (
                "TrailBegun",
                json!({
                    "commit": hex(commit.as_ref()),
                    "flow": flow.0,
                    "implicit": implicit,
                    "members": names_of(members),
                    "name": name,
                    "no": no.0,
                    "own_template": own_template.is_some(),
                    "repo": repo.map(|repo| repo.0),
                    "template": template.0,
                    "verdicts": verdicts.to_json(),
                }),
                own_template
                    .as_ref()
                    .map(TemplateText::to_body)
                    .into_iter()
                    .chain(members.values().map(Content::to_body))
                    .chain(verdicts.to_body())
                    .collect(),
            ),
            Self::TrailUpdated {
                no,
                commit,
                repo,
                template,
                members,
                changes,
                verdicts,
            } => (
                "TrailUpdated",
                json!({
                    "changes": changes,
                    "commit": hex(commit.as_ref()),
                    "members": names_of(members),
                    "no": no.0,
                    "repo": repo.map(|repo| repo.0),
                    "template": template.as_ref().map(|template| template.no.0),
                    "verdicts": verdicts.to_json(),
                }),
                template
                    .as_ref()
                    .map(|template| template.text.to_body())
                    .into_iter()
                    .chain(members.values().map(Content::to_body))
                    .chain(verdicts.to_body())
                    .collect(),
            ),
            Self::ArtifactReported {
                no,
                trail,
                name,
                fingerprint,
                filename,
                commit,
                repo,
                content,
                verdicts,
            } => (
                "ArtifactReported",
                json!({
                    "commit": hex(commit.as_ref()),
                    "filename": filename,
                    "fingerprint": fingerprint.to_hex(),
                    "name": name,
                    "no": no.0,
                    "repo": repo.map(|repo| repo.0),
                    "trail": trail.0,
                    "verdicts": verdicts.to_json(),
                }),
                std::iter::once(content.to_body())
                    .chain(verdicts.to_body())
                    .collect(),
            ),
            Self::Attested {
                no,
                trail,
                name,
                kind,
                is_compliant,
                fingerprint,
                targets,
                commit,
                repo,
                overrides,
                original_kind,
                version,
                control,
                content,
                attachment,
                verdicts,
            } => (
                "Attested",
                json!({
                    "attachment": attachment.as_ref().map(|attachment| json!([
                        attachment.digest.to_hex(),
                        attachment.bytes,
                    ])),
                    "commit": hex(commit.as_ref()),
                    "control": control,
                    "fingerprint": fingerprint.map(|fingerprint| fingerprint.to_hex()),
                    "is_compliant": is_compliant,
                    "kind": kind,
                    "name": name,
                    "no": no.0,
                    "original_kind": original_kind,
                    "overrides": overrides.map(|no| no.0),
                    "repo": repo.map(|repo| repo.0),
                    "targets": targets,
                    "trail": trail.0,
                    "verdicts": verdicts.to_json(),
                    "version": version,
                }),
                std::iter::once(content.to_body())
                    .chain(attachment.as_ref().map(Attachment::to_body))
                    .chain(verdicts.to_body())
                    .collect(),
            ),
        }
    }

    /// The event of this name; none if it is not one of these.
    pub(super) fn decode(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Option<Self>, Unreadable> {
        let description = |position: usize| -> Result<Option<Text>, Unreadable> {
            flag(data, "described")?
                .then(|| Text::read(bodies, position))
                .transpose()
        };
        Ok(Some(match kind {
            "FlowCreated" => Self::Created {
                no: FlowNo(ordinal(data, "no")?),
                name: text(data, "name")?,
                visibility: visibility(data)?,
                description: description(1)?,
                template: new_template(data, bodies)?.ok_or_else(|| bad("template"))?,
            },
            "FlowChanged" => {
                let template = new_template(data, bodies)?;
                Self::Changed {
                    no: FlowNo(ordinal(data, "no")?),
                    visibility: visibility(data)?,
                    description: description(usize::from(template.is_some()))?,
                    template,
                }
            }
            "FlowArchived" => Self::Archived {
                no: FlowNo(ordinal(data, "no")?),
            },
            "FlowRestored" => Self::Restored {
                no: FlowNo(ordinal(data, "no")?),
            },
            "FlowRenamed" => Self::Renamed {
                no: FlowNo(ordinal(data, "no")?),
                name: text(data, "name")?,
            },
            "FlowTagged" => {
                let (set, removed, salt) = read_tags(bodies)?;
                Self::Tagged {
                    no: FlowNo(ordinal(data, "no")?),
                    set,
                    removed,
                    salt,
                }
            }
            "RepoRecorded" => Self::RepoRecorded {
                no: RepoNo(ordinal(data, "no")?),
                provider: optional_text(data, "provider")?,
                id: optional_text(data, "id")?,
                name: text(data, "name")?,
                facts: crate::canonical::to_string(&read_plain(bodies, 0)?),
                description: description(1)?,
            },
            "RepoTagged" => {
                let (set, removed, salt) = read_tags(bodies)?;
                Self::RepoTagged {
                    no: RepoNo(ordinal(data, "no")?),
                    set,
                    removed,
                    salt,
                }
            }
            "TrailBegun" => {
                let own = flag(data, "own_template")?;
                Self::TrailBegun {
                    no: TrailNo(ordinal(data, "no")?),
                    flow: FlowNo(ordinal(data, "flow")?),
                    name: text(data, "name")?,
                    implicit: flag(data, "implicit")?,
                    commit: optional_commit(data)?,
                    repo: repo(data)?,
                    template: TemplateNo(ordinal(data, "template")?),
                    own_template: own
                        .then(|| TemplateText::of(&read_plain(bodies, 0)?))
                        .transpose()?,
                    members: read_members(&members(data)?, bodies, usize::from(own))?,
                    verdicts: Verdicts::read(data, bodies)?,
                }
            }
            "TrailUpdated" => {
                let template = new_template(data, bodies)?;
                Self::TrailUpdated {
                    no: TrailNo(ordinal(data, "no")?),
                    commit: optional_commit(data)?,
                    repo: repo(data)?,
                    members: read_members(
                        &members(data)?,
                        bodies,
                        usize::from(template.is_some()),
                    )?,
                    template,
                    changes: strings(data, "changes")?,
                    verdicts: Verdicts::read(data, bodies)?,
                }
            }
            "ArtifactReported" => Self::ArtifactReported {
                no: ArtifactNo(ordinal(data, "no")?),
                trail: TrailNo(ordinal(data, "trail")?),
                name: optional_text(data, "name")?,
                fingerprint: fingerprint(&data["fingerprint"])?,
                filename: text(data, "filename")?,
                commit: optional_commit(data)?,
                repo: repo(data)?,
                content: Content::read(bodies, 0)?,
                verdicts: Verdicts::read(data, bodies)?,
            },
            "Attested" => Self::Attested {
                no: AttestationNo(ordinal(data, "no")?),
                trail: TrailNo(ordinal(data, "trail")?),
                name: text(data, "name")?,
                kind: text(data, "kind")?,
                is_compliant: flag(data, "is_compliant")?,
                fingerprint: match &data["fingerprint"] {
                    Value::Null => None,
                    value => Some(fingerprint(value)?),
                },
                targets: strings(data, "targets")?,
                commit: optional_commit(data)?,
                repo: repo(data)?,
                overrides: optional_ordinal(data, "overrides")?.map(AttestationNo),
                original_kind: optional_text(data, "original_kind")?,
                version: optional_ordinal(data, "version")?,
                control: optional_text(data, "control")?,
                content: Content::read(bodies, 0)?,
                attachment: match &data["attachment"] {
                    Value::Null => None,
                    pair => {
                        let bytes = pair[1].as_u64().ok_or_else(|| bad("attachment"))?;
                        let held = bodies.get(1).cloned().flatten();
                        Some(Attachment {
                            digest: digest(&pair[0])?,
                            bytes,
                            held: held.filter(|_| bytes <= ATTACHMENT_HELD_BYTES_MAX),
                        })
                    }
                },
                verdicts: Verdicts::read(data, bodies)?,
            },
            _ => return Ok(None),
        }))
    }

    /// Its private bodies: position among its bodies, and what it holds.
    pub(super) fn private_bodies(&self) -> Vec<(u32, Field)> {
        let described = |position: usize, description: &Option<Text>| {
            description
                .iter()
                .map(|_| (position as u32, Field::Description))
                .collect()
        };
        match self {
            Self::Created { description, .. } | Self::RepoRecorded { description, .. } => {
                described(1, description)
            }
            Self::Changed {
                description,
                template,
                ..
            } => described(usize::from(template.is_some()), description),
            Self::Tagged { set, .. } | Self::RepoTagged { set, .. } if !set.is_empty() => {
                vec![(1, Field::TagValues)]
            }
            Self::TrailBegun {
                own_template,
                members,
                ..
            } => member_bodies(usize::from(own_template.is_some()), members),
            Self::TrailUpdated {
                template, members, ..
            } => member_bodies(usize::from(template.is_some()), members),
            Self::ArtifactReported { .. } | Self::Attested { .. } => vec![(0, Field::Content)],
            Self::Archived { .. }
            | Self::Restored { .. }
            | Self::Renamed { .. }
            | Self::Tagged { .. }
            | Self::RepoTagged { .. } => Vec::new(),
        }
    }
}

fn member_bodies(first: usize, members: &BTreeMap<Member, Content>) -> Vec<(u32, Field)> {
    members
        .keys()
        .enumerate()
        .map(|(position, member)| ((first + position) as u32, Field::Told(*member)))
        .collect()
}

pub(super) fn fingerprint(value: &Value) -> Result<Fingerprint, Unreadable> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad("fingerprint"))
}
