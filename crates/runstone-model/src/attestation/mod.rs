//! Attestations: what was checked, of which kind, and what follows from it (`api-flows.md`
//! sections 6.8, 9 and 10).
//!
//! Owns the kinds: what a report of each holds, when it is compliant and what of it is shown. A
//! new kind is one file here and one line in [`KINDS`]. It must not know trails, templates or how
//! a report reached the server.

mod custom;
pub mod evidence;
mod generic;
mod jira;
mod junit;
pub mod kind;
mod overriding;
mod pull_request;
mod snyk;
mod sonar;
mod system;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::id::Fingerprint;
use crate::name::{AttestationName, TypeName};
use crate::provenance::shape::{Member, Members, Shape, read_body, schema_of};
use crate::provenance::{
    ANNOTATIONS, ATTESTATION_NAME, EXTERNAL_URLS, FINGERPRINT, GIT_COMMIT, GitCommit, REPO_INFO,
    RepoInfo, USER_DATA,
};
use crate::read::FieldErrors;

/// All kinds, in the order in which error texts list them.
pub static KINDS: &[&Kind] = &[
    &generic::KIND,
    &junit::KIND,
    &snyk::KIND,
    &pull_request::KIND,
    &jira::KIND,
    &sonar::KIND,
    &custom::KIND,
    &system::KIND,
    &overriding::KIND,
];

/// Most bytes of the JSON of an attestation.
pub const ATTESTATION_BYTES_MAX: usize = 10 << 20;

/// One kind of attestation.
#[derive(Debug)]
pub struct Kind {
    /// The last segment of its route: `…/trail/{trail}/{path}`. For kinds of tools also its name.
    pub path: &'static str,
    /// Whether a template names it by [`Kind::path`].
    pub tool: bool,
    /// Whether it comes as `multipart/form-data` with an optional attachment; else as JSON.
    pub multipart: bool,
    /// Its own members.
    members: Members,
    /// What is shown: name in the report, name in the attestation object (section 10.1).
    shown: &'static [(&'static str, &'static str)],
    /// What it says, and its name in statuses; the members obey the shape.
    judge: fn(&Map<String, Value>) -> Judged,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This.
    Decided(bool),
    /// What the newest version of this custom type makes of the attestation's data.
    ByType(TypeName),
}

/// What a kind makes of its members.
struct Judged {
    /// As statuses spell it; of an override `override`.
    kind: String,
    verdict: Verdict,
    /// Of an override: the kind that it is listed with (O14).
    original: Option<String>,
    /// Of a decision: the control.
    control: Option<String>,
}

impl Judged {
    /// A plain kind that decides itself.
    fn plain(kind: &str, compliant: bool) -> Self {
        Self {
            kind: kind.to_owned(),
            verdict: Verdict::Decided(compliant),
            original: None,
            control: None,
        }
    }
}

/// An attestation as it was reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Attestation {
    /// The name it is reported under.
    pub name: AttestationName,
    /// Its kind as the attestation object shows it: `junit`, `custom:coverage`,
    /// `system:decision`, `override`.
    pub kind: String,
    /// Of an override: the kind of what it overrides, which statuses show (O14).
    pub original_kind: Option<String>,
    /// Of a decision: the identifier of the control.
    pub control: Option<String>,
    /// What it says.
    pub verdict: Verdict,
    /// The artifact it is about.
    pub artifact_fingerprint: Option<Fingerprint>,
    /// Names in the template of the artifacts it is about; empty = none given.
    pub target_artifacts: Vec<AttestationName>,
    /// The commit it is about.
    pub git_commit_info: Option<GitCommit>,
    /// The repository.
    pub repo_info: Option<RepoInfo>,
    /// Where it was made.
    pub origin_url: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Links by label.
    pub external_urls: Option<Map<String, Value>>,
    /// Texts by key.
    pub annotations: Option<Map<String, Value>>,
    /// An object, a list or null.
    pub user_data: Option<Value>,
    /// The kind's own members under the names of the attestation object.
    pub payload: Map<String, Value>,
}

impl Attestation {
    /// The kind that statuses show and slots are matched with.
    pub fn kind_in_statuses(&self) -> &str {
        self.original_kind.as_deref().unwrap_or(&self.kind)
    }
}

const COMMON: &[Member] = &[
    ("attestation_name", true, ATTESTATION_NAME),
    ("artifact_fingerprint", false, FINGERPRINT),
    ("target_artifacts", false, Shape::List(&ATTESTATION_NAME)),
    ("git_commit_info", false, GIT_COMMIT),
    ("repo_info", false, REPO_INFO),
    ("origin_url", false, Shape::Text),
    ("description", false, Shape::Text),
    ("external_urls", false, EXTERNAL_URLS),
    ("annotations", false, ANNOTATIONS),
    ("user_data", false, USER_DATA),
];

const COMMON_MEMBERS: Members = Members {
    open: false,
    members: COMMON,
};

impl Kind {
    /// The kind with this last segment of the route.
    pub fn by_path(path: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.path == path)
    }

    /// Reads `data_json` (of an override the body), naming every problem.
    pub fn read(&self, body: &[u8]) -> Result<Attestation, FieldErrors> {
        let parts = [&COMMON_MEMBERS, &self.members];
        let attestation = self.attestation(read_body(body, ATTESTATION_BYTES_MAX, &parts)?);
        if attestation.artifact_fingerprint.is_none()
            && attestation.git_commit_info.is_none()
            && !attestation.target_artifacts.is_empty()
        {
            let names: Vec<&str> = attestation
                .target_artifacts
                .iter()
                .map(AttestationName::as_str)
                .collect();
            return Err(FieldErrors::one(
                "target_artifacts",
                "An attestation for a target artifact requires at least one of: artifact_fingerprint or git_commit_info.",
                &names.join(", "),
            ));
        }
        Ok(attestation)
    }

    /// The attestation of an object that the shapes let through.
    fn attestation(&self, mut object: Map<String, Value>) -> Attestation {
        let judged = (self.judge)(&object);
        let mut payload = Map::new();
        for (given, shown) in self.shown {
            if let Some(value) = object.shift_remove(*given) {
                payload.insert((*shown).to_owned(), value);
            }
        }
        read_common(object, judged, payload).expect("the shape was checked")
    }

    /// The JSON Schema of a report.
    pub fn schema(&self) -> Value {
        let mut schema = schema_of(&[&COMMON_MEMBERS, &self.members]);
        if let Value::Object(members) = &mut schema {
            members.insert(
                "$schema".to_owned(),
                Value::from("https://json-schema.org/draft/2020-12/schema"),
            );
        }
        schema
    }
}

fn read_common(
    mut object: Map<String, Value>,
    judged: Judged,
    payload: Map<String, Value>,
) -> Option<Attestation> {
    use crate::provenance::take::{commit, members, repo, text};

    let object = &mut object;
    let targets = match object.shift_remove("target_artifacts") {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    Some(Attestation {
        name: AttestationName::parse(&text(object, "attestation_name")?).ok()?,
        kind: judged.kind,
        original_kind: judged.original,
        control: judged.control,
        verdict: judged.verdict,
        artifact_fingerprint: match text(object, "artifact_fingerprint") {
            Some(digits) => Some(digits.parse().ok()?),
            None => None,
        },
        target_artifacts: targets
            .iter()
            .filter_map(|name| AttestationName::parse(name.as_str()?).ok())
            .collect(),
        git_commit_info: commit(object),
        repo_info: repo(object),
        origin_url: text(object, "origin_url"),
        description: text(object, "description"),
        external_urls: members(object, "external_urls"),
        annotations: members(object, "annotations"),
        user_data: object.shift_remove("user_data"),
        payload,
    })
}

/// The built-in kinds with the JSON Schema of each version (section 10.6).
pub fn system_attestation_types() -> Value {
    KINDS
        .iter()
        .filter(|kind| kind.path != "custom")
        .map(|kind| {
            let name = match kind.path {
                "system" => kind::DECISION,
                path => path,
            };
            json!({"name": name, "versions": [{"version": 1, "type_schema": kind.schema()}]})
        })
        .collect()
}

/// The items of a list member that the shape let through.
fn items<'o>(object: &'o Map<String, Value>, name: &str) -> &'o [Value] {
    object
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A boolean member that the shape let through.
fn is_true(object: &Map<String, Value>, name: &str) -> bool {
    object.get(name) == Some(&Value::Bool(true))
}

/// Whether a number that the shape let through is above zero.
fn is_positive(item: &Value, name: &str) -> bool {
    item.get(name)
        .and_then(Value::as_i64)
        .is_some_and(|n| n > 0)
}
