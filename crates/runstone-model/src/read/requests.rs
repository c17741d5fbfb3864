//! Bodies of requests other than reports.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{
    BODY, BODY_BYTES_MAX, FieldErrors, Members, Path, Reader, TextRule, body_text, not_json,
};
use crate::name::{EnvironmentKind, EnvironmentName, TagKey};

/// Reads `body` as one closed object.
fn read_object<T>(
    body: &[u8],
    known: &'static [&'static str],
    read: impl FnOnce(&mut Reader, &mut Members<'_>) -> Option<T>,
) -> Result<T, FieldErrors> {
    let text = body_text(body)?;
    if text.len() > BODY_BYTES_MAX {
        let message = format!("Body should have at most {BODY_BYTES_MAX} bytes");
        return Err(FieldErrors::one(BODY, &message, text));
    }
    let node = serde_json::from_str(text).map_err(|error| not_json(BODY, text, &error))?;
    let mut reader = Reader::new();
    let value = reader
        .members(&Path::Root, node, known)
        .and_then(|mut members| {
            let value = read(&mut reader, &mut members);
            members.finish(&mut reader, &Path::Root);
            value
        });
    reader.errors.into_result(value)
}

/// Body of `PUT /environments/{org}` (section 3.1). Absent and null mean the same in every
/// optional member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEnvironment {
    /// Name, the identity of the upsert.
    pub name: EnvironmentName,
    /// Type, fixed at creation.
    pub kind: EnvironmentKind,
    /// Description; empty keeps the old one on an update.
    pub description: String,
    /// Whether counts of instances make snapshots.
    pub include_scaling: Option<bool>,
    /// Deprecated; accepted without effect.
    pub require_provenance: Option<bool>,
    /// Logical only: names of physical environments, as given (may name nothing).
    pub included_environments: Option<Vec<String>>,
    /// Names of policies to attach, as given.
    pub policies: Option<Vec<String>>,
}

/// Reads the body of `PUT /environments/{org}`.
pub fn put_environment(body: &[u8]) -> Result<PutEnvironment, FieldErrors> {
    const KNOWN: &[&str] = &[
        "name",
        "type",
        "description",
        "include_scaling",
        "require_provenance",
        "included_environments",
        "policies",
    ];
    read_object(body, KNOWN, |reader, members| {
        let at = |name| Path::Member(&Path::Root, name);
        let name = members
            .required(reader, &Path::Root, "name")
            .and_then(|node| reader.environment_name(&at("name"), node));
        let kinds = EnvironmentKind::ALL.map(|kind| (kind.as_wire(), kind));
        let kind = members
            .required(reader, &Path::Root, "type")
            .and_then(|node| reader.one_of(&at("type"), &node, &kinds));
        let description = members
            .required(reader, &Path::Root, "description")
            .and_then(|node| reader.text(&at("description"), node, TextRule::FREE));
        let include_scaling = members
            .nullable("include_scaling")
            .and_then(|node| reader.boolean(&at("include_scaling"), &node));
        let require_provenance = members
            .nullable("require_provenance")
            .and_then(|node| reader.boolean(&at("require_provenance"), &node));
        let included_environments = members
            .nullable("included_environments")
            .and_then(|node| reader.texts(&at("included_environments"), node));
        let policies = members
            .nullable("policies")
            .and_then(|node| reader.texts(&at("policies"), node));
        Some(PutEnvironment {
            name: name?,
            kind: kind?,
            description: description?.into_owned(),
            include_scaling,
            require_provenance,
            included_environments,
            policies,
        })
    })
}

/// Body of `PATCH /environments/{org}/{env_name}` (section 3.2); null counts as not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchEnvironment {
    /// New description; empty clears it.
    pub description: Option<String>,
    /// Whether counts of instances make snapshots.
    pub include_scaling: Option<bool>,
    /// Replaces the whole list of members.
    pub included_environments: Option<Vec<String>>,
    /// Replaces the whole list of attached policies.
    pub policies: Option<Vec<String>>,
}

/// Reads the body of `PATCH /environments/{org}/{env_name}`.
pub fn patch_environment(body: &[u8]) -> Result<PatchEnvironment, FieldErrors> {
    const KNOWN: &[&str] = &[
        "description",
        "include_scaling",
        "included_environments",
        "policies",
    ];
    read_object(body, KNOWN, |reader, members| {
        let at = |name| Path::Member(&Path::Root, name);
        Some(PatchEnvironment {
            description: members
                .nullable("description")
                .and_then(|node| reader.text(&at("description"), node, TextRule::FREE))
                .map(Cow::into_owned),
            include_scaling: members
                .nullable("include_scaling")
                .and_then(|node| reader.boolean(&at("include_scaling"), &node)),
            included_environments: members
                .nullable("included_environments")
                .and_then(|node| reader.texts(&at("included_environments"), node)),
            policies: members
                .nullable("policies")
                .and_then(|node| reader.texts(&at("policies"), node)),
        })
    })
}

/// Reads the body of `PUT /environments/{org}/{env_name}/rename` (section 3.6): the new name.
pub fn rename_environment(body: &[u8]) -> Result<EnvironmentName, FieldErrors> {
    read_object(body, &["new_name"], |reader, members| {
        let node = members.required(reader, &Path::Root, "new_name")?;
        reader.environment_name(&Path::Member(&Path::Root, "new_name"), node)
    })
}

/// Reads the body of `PUT /environments/{org}/{logical}/join` (section 3.7): the name of the
/// environment to add, as given (it may name nothing).
pub fn join_environment(body: &[u8]) -> Result<String, FieldErrors> {
    read_object(body, &["physical_env_name"], |reader, members| {
        let node = members.required(reader, &Path::Root, "physical_env_name")?;
        let path = Path::Member(&Path::Root, "physical_env_name");
        reader
            .text(&path, node, TextRule::FREE)
            .map(Cow::into_owned)
    })
}

/// Body of `PATCH /tags/{org}/{resource_type}/{resource_id}` (section 15.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchTags {
    /// Tags to set, overwriting.
    pub set: BTreeMap<TagKey, String>,
    /// Keys to remove after setting, as given; unknown or impossible ones are no error.
    pub remove: Vec<String>,
}

/// Reads the body of `PATCH /tags/{org}/{resource_type}/{resource_id}`.
pub fn patch_tags(body: &[u8]) -> Result<PatchTags, FieldErrors> {
    read_object(body, &["set_tags", "remove_tags"], |reader, members| {
        let mut tags = PatchTags::default();
        let path = Path::Member(&Path::Root, "set_tags");
        if let Some(node) = members.nullable("set_tags") {
            for (key, value) in reader.map(&path, node).unwrap_or_default() {
                if reader.is_full() {
                    break;
                }
                let path = Path::Member(&path, &key);
                let value = reader.text(&path, value, TextRule::FREE);
                match TagKey::parse(&key) {
                    Ok(key) => {
                        tags.set.insert(key, value.unwrap_or_default().into_owned());
                    }
                    Err(error) => reader.errors.at(&path, &error.contracted_text(), &key),
                }
            }
        }
        if let Some(node) = members.nullable("remove_tags") {
            tags.remove = reader
                .texts(&Path::Member(&Path::Root, "remove_tags"), node)
                .unwrap_or_default();
        }
        Some(tags)
    })
}
