//! What reporters told, as commands take it: names and digests apart, everything else as JSON for
//! one private body.

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_model::attestation::{Attestation, Verdict};
use runstone_model::command::{Attest, PutTrail, RepoTold, ReportArtifact};
use runstone_model::custom_type::Evaluation;
use runstone_model::event::Attachment;
use runstone_model::fact::{Member, RepoId, RepoKey};
use runstone_model::id::Commit;
use runstone_model::name::NAME_BYTES_MAX;
use runstone_model::provenance::{CreateArtifact, CreateTrail, GitCommit, RepoInfo};
use runstone_model::read::FieldErrors;
use serde_json::{Map, Value, json};

use super::error::AppError;
use super::judging::Judgement;

/// Most bytes of an artifact's own name: it stands in the entry.
const FILENAME_BYTES_MAX: usize = 1_024;
/// Most artifacts that one attestation names.
const TARGETS_MAX: usize = 8;
/// Most bytes of their names together.
const TARGETS_BYTES_MAX: usize = 1_024;
/// Most bytes of the identifier of a control.
const CONTROL_BYTES_MAX: usize = 256;

/// Refuses a text that has no room in an entry.
fn bounded(path: &str, text: &str, most: usize) -> Result<(), AppError> {
    let message = if text.len() > most {
        format!("String should have at most {most} bytes")
    } else if text.chars().any(char::is_control) {
        "String should not contain control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(FieldErrors::one(path, &message, text).into())
}

fn json_text(value: &Value) -> Arc<str> {
    value.to_string().into()
}

/// A repository. What identifies and names it stands in the entry.
fn repo(told: Option<&RepoInfo>) -> Result<Option<RepoTold>, AppError> {
    let Some(told) = told else { return Ok(None) };
    bounded("repo_info.name", &told.name, NAME_BYTES_MAX)?;
    let id = told.id.clone().filter(|id| !id.is_empty());
    if let Some(id) = &id {
        bounded("repo_info.id", id, NAME_BYTES_MAX)?;
    }
    let member = |name: &str| told.told.get(name).cloned().unwrap_or_default();
    let facts = json!({
        "additional_info": member("additional_info"),
        "namespace_path": member("namespace_path"),
        "url": told.url,
    });
    Ok(Some(RepoTold {
        key: RepoKey {
            provider: told.provider.clone(),
            id: match id {
                Some(id) => RepoId::Id(id),
                None => RepoId::Name(told.name.clone()),
            },
        },
        name: told.name.clone(),
        facts: runstone_model::canonical::to_string(&facts).into(),
        description: told
            .told
            .get("description")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
    }))
}

fn commit(told: Option<&GitCommit>) -> Option<Commit> {
    told.map(|told| Commit(told.sha1))
}

fn commit_json(told: Option<GitCommit>) -> Option<Value> {
    told.map(|told| Value::Object(told.told))
}

/// Members that are there, as one object.
fn content<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// A trail that is begun or told of (`api-flows.md` section 5.1), but for its template.
pub(crate) fn trail(flow: &str, told: CreateTrail) -> Result<PutTrail, AppError> {
    let repo = repo(told.repo_info.as_ref())?;
    let commit = commit(told.git_commit_info.as_ref());
    let members: BTreeMap<Member, Arc<str>> = [
        (Member::Description, told.description.map(Value::from)),
        (Member::ExternalUrls, told.external_urls.map(Value::Object)),
        (Member::GitCommitInfo, commit_json(told.git_commit_info)),
        (Member::OriginUrl, told.origin_url.map(Value::from)),
        (Member::UserData, told.user_data),
    ]
    .into_iter()
    .filter_map(|(member, value)| Some((member, json_text(&value?))))
    .collect();
    Ok(PutTrail {
        flow: flow.to_owned(),
        name: told.name.as_str().to_owned(),
        commit,
        repo,
        template: None,
        members,
        compared: None,
    })
}

/// A report of an artifact (section 7.1).
pub(crate) fn artifact(flow: &str, told: CreateArtifact) -> Result<ReportArtifact, AppError> {
    bounded("filename", &told.filename, FILENAME_BYTES_MAX)?;
    let commit = told.commit().map(Commit);
    let repo = repo(told.repo_info.as_ref())?;
    let content = content([
        ("build_url", Some(told.build_url.into())),
        ("commit_url", Some(told.commit_url.into())),
        ("repo_url", Some(told.repo_url.into())),
        ("description", told.description.map(Value::from)),
        ("git_commit_info", commit_json(told.git_commit_info)),
        (
            "repo_info",
            told.repo_info.map(|told| Value::Object(told.told)),
        ),
        ("external_urls", told.external_urls.map(Value::Object)),
        ("annotations", told.annotations.map(Value::Object)),
        ("user_data", told.user_data),
        (
            "commits_list",
            told.commits_list.map(|commits| {
                commits
                    .into_iter()
                    .map(|commit| Value::Object(commit.told))
                    .collect()
            }),
        ),
    ]);
    Ok(ReportArtifact {
        flow: flow.to_owned(),
        trail: told.trail_name.map(|name| name.as_str().to_owned()),
        name: told
            .template_reference_name
            .map(|name| name.as_str().to_owned()),
        fingerprint: told.fingerprint,
        filename: told.filename,
        commit,
        repo,
        content: json_text(&Value::Object(content)),
    })
}

/// A file with what is known of it.
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) file: Attachment,
    /// The client's name of it; empty if it has none.
    pub(crate) name: String,
    /// What it was recognised as.
    pub(crate) evidence: Option<Value>,
}

/// What a version of a custom type found, as it is shown beside the data.
fn show_judgement(judged: &Judgement, payload: &mut Map<String, Value>) {
    let Evaluation {
        problems, summary, ..
    } = &judged.evaluation;
    payload.insert("type_version".to_owned(), judged.version.into());
    if !summary.is_empty() {
        let rows = summary
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        payload.insert("summary".to_owned(), rows);
    }
    if !problems.is_empty() {
        payload.insert("problems".to_owned(), json!(problems));
    }
}

/// An attestation (section 9), and what the newest version of its custom type made of it.
pub(crate) fn attestation(
    flow: &str,
    trail: &str,
    mut told: Attestation,
    judged: Option<&Judgement>,
    attachment: Option<Attached>,
) -> Result<Attest, AppError> {
    let targets: Vec<String> = told
        .target_artifacts
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    if targets.len() > TARGETS_MAX {
        let message = format!("List should have at most {TARGETS_MAX} items");
        return Err(FieldErrors::one("target_artifacts", &message, &targets.join(", ")).into());
    }
    bounded("target_artifacts", &targets.concat(), TARGETS_BYTES_MAX)?;
    if let Some(control) = &told.control {
        bounded("control", control, CONTROL_BYTES_MAX)?;
    }
    let (version, is_compliant) = match (&told.verdict, judged) {
        (Verdict::Decided(compliant), _) => (None, *compliant),
        (Verdict::ByType(_), Some(judged)) => {
            show_judgement(judged, &mut told.payload);
            (Some(judged.version), judged.evaluation.is_compliant)
        }
        (Verdict::ByType(name), None) => {
            return Err(AppError::Internal(format!("type {name} was not asked")));
        }
    };
    let repo = repo(told.repo_info.as_ref())?;
    let commit = commit(told.git_commit_info.as_ref());
    let content = content([
        ("origin_url", told.origin_url.map(Value::from)),
        ("description", told.description.map(Value::from)),
        ("git_commit_info", commit_json(told.git_commit_info)),
        (
            "repo_info",
            told.repo_info.map(|told| Value::Object(told.told)),
        ),
        ("external_urls", told.external_urls.map(Value::Object)),
        ("annotations", told.annotations.map(Value::Object)),
        ("user_data", told.user_data),
        ("payload", Some(Value::Object(told.payload))),
        (
            "attachment",
            attachment.as_ref().map(|attached| {
                let mut told = json!({
                    "digest": attached.file.digest.to_hex(),
                    "name": attached.name,
                });
                if let Some(evidence) = &attached.evidence {
                    told["recognised"] = evidence.clone();
                }
                told
            }),
        ),
    ]);
    Ok(Attest {
        flow: flow.to_owned(),
        trail: trail.to_owned(),
        name: told.name.as_str().to_owned(),
        kind: told.kind,
        is_compliant,
        fingerprint: told.artifact_fingerprint,
        targets,
        commit,
        repo,
        original_kind: told.original_kind,
        version,
        control: told.control,
        content: json_text(&Value::Object(content)),
        attachment: attachment.map(|attached| attached.file),
    })
}
