//! Bodies that make flows, trails and artifacts.

use serde_json::{Map, Value};

use super::shape::{Members, Shape, read_body};
use super::shared::{
    COMMIT, EXTERNAL_URLS, FINGERPRINT, FLOW_NAME, GIT_COMMIT, GitCommit, REFERENCE_NAME,
    REPO_INFO, RepoInfo, TRAIL_NAME, USER_DATA, commit_from_hex, take,
};
use crate::compliance::CommitBytes;
use crate::id::Fingerprint;
use crate::name::{FlowName, ReferenceName, TrailName};
use crate::read::{BODY_BYTES_MAX, FieldErrors};

use Shape::{Any, Boolean, List, Map as MapOf, OneOf, Text, Url};

/// Most bytes of a report of an artifact, which may list many commits.
pub const ARTIFACT_BYTES_MAX: usize = 4 << 20;

const VISIBILITY: Shape = OneOf(&["public", "private"]);

/// Of `PUT /flows/{org}/template_file` (section 3.1), or of the legacy form (3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFlow {
    /// Name, the identity of the upsert.
    pub name: FlowName,
    /// Free text.
    pub description: String,
    /// `public` or `private`, if told.
    pub visibility: Option<String>,
    /// The legacy form's list of names, if told.
    pub template: Option<Vec<String>>,
}

const CREATE_FLOW: Members = Members {
    open: false,
    members: &[
        ("name", true, FLOW_NAME),
        ("description", true, Text),
        ("visibility", false, VISIBILITY),
    ],
};

const LEGACY_TEMPLATE: Members = Members {
    open: false,
    members: &[("template", false, List(&Text))],
};

fn flow(mut object: Map<String, Value>) -> Option<CreateFlow> {
    let template = object.shift_remove("template").map(|names| match names {
        Value::Array(names) => names
            .into_iter()
            .filter_map(|name| name.as_str().map(ToOwned::to_owned))
            .collect(),
        _ => Vec::new(),
    });
    Some(CreateFlow {
        name: FlowName::parse(&take::text(&mut object, "name")?).ok()?,
        description: take::text(&mut object, "description")?,
        visibility: take::text(&mut object, "visibility"),
        template,
    })
}

/// What a shape let through has the parts it promises.
const SHAPED: &str = "the shape was checked";

/// Reads `data_json` of `PUT /flows/{org}/template_file`.
pub fn create_flow(body: &[u8]) -> Result<CreateFlow, FieldErrors> {
    let object = read_body(body, BODY_BYTES_MAX, &[&CREATE_FLOW])?;
    Ok(flow(object).expect(SHAPED))
}

/// Reads the body of `PUT /flows/{org}` (section 3.2).
pub fn create_legacy_flow(body: &[u8]) -> Result<CreateFlow, FieldErrors> {
    let object = read_body(body, BODY_BYTES_MAX, &[&CREATE_FLOW, &LEGACY_TEMPLATE])?;
    Ok(flow(object).expect(SHAPED))
}

/// Reads the body of `PUT /flows/{org}/{flow}/rename` (section 3.6): the new name.
pub fn rename_flow(body: &[u8]) -> Result<FlowName, FieldErrors> {
    const RENAME: Members = Members {
        open: false,
        members: &[("new_name", true, FLOW_NAME)],
    };
    let mut object = read_body(body, BODY_BYTES_MAX, &[&RENAME])?;
    let name = take::text(&mut object, "new_name").and_then(|name| FlowName::parse(&name).ok());
    Ok(name.expect(SHAPED))
}

/// `data_json` of `PUT /trails/{org}/{flow}` (section 5.1). What is absent keeps its value.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTrail {
    /// Name, the identity of the upsert within the flow.
    pub name: TrailName,
    /// Free text.
    pub description: Option<String>,
    /// The commit it is about.
    pub git_commit_info: Option<GitCommit>,
    /// The repository.
    pub repo_info: Option<RepoInfo>,
    /// Where it was begun.
    pub origin_url: Option<String>,
    /// Links by label.
    pub external_urls: Option<Map<String, Value>>,
    /// An object, a list or null; `{}` is a value too.
    pub user_data: Option<Value>,
}

/// Reads `data_json` of `PUT /trails/{org}/{flow}`.
pub fn create_trail(body: &[u8]) -> Result<CreateTrail, FieldErrors> {
    const CREATE_TRAIL: Members = Members {
        open: false,
        members: &[
            ("name", true, TRAIL_NAME),
            ("description", false, Text),
            ("git_commit_info", false, GIT_COMMIT),
            ("repo_info", false, REPO_INFO),
            ("origin_url", false, Text),
            ("external_urls", false, EXTERNAL_URLS),
            ("user_data", false, USER_DATA),
        ],
    };
    let mut object = read_body(body, BODY_BYTES_MAX, &[&CREATE_TRAIL])?;
    let name = take::text(&mut object, "name").and_then(|name| TrailName::parse(&name).ok());
    Ok(CreateTrail {
        name: name.expect(SHAPED),
        description: take::text(&mut object, "description"),
        git_commit_info: take::commit(&mut object),
        repo_info: take::repo(&mut object),
        origin_url: take::text(&mut object, "origin_url"),
        external_urls: take::members(&mut object, "external_urls"),
        user_data: object.shift_remove("user_data"),
    })
}

/// Body of `POST /artifacts/{org}/{flow}` (section 7.1).
#[derive(Debug, Clone, PartialEq)]
pub struct CreateArtifact {
    /// What it is.
    pub fingerprint: Fingerprint,
    /// Its own name.
    pub filename: String,
    /// Where it was built.
    pub build_url: String,
    /// Where its commit is shown.
    pub commit_url: String,
    /// The trail; without it the artifact belongs to the flow alone (O7).
    pub trail_name: Option<TrailName>,
    /// Its name in the template.
    pub template_reference_name: Option<ReferenceName>,
    /// Free text.
    pub description: Option<String>,
    /// What it was built from.
    pub git_commit: Option<CommitBytes>,
    /// The same with what is known of it.
    pub git_commit_info: Option<GitCommit>,
    /// The repository.
    pub repo_info: Option<RepoInfo>,
    /// The repository's address; empty if not told.
    pub repo_url: String,
    /// What older clients say of it.
    pub is_compliant: Option<bool>,
    /// Links by label.
    pub external_urls: Option<Map<String, Value>>,
    /// Anything.
    pub annotations: Option<Map<String, Value>>,
    /// An object, a list or null.
    pub user_data: Option<Value>,
    /// Commits since the artifact before, newest first as they were given.
    pub commits_list: Option<Vec<GitCommit>>,
    /// What older clients say of the template: a text or a list of names.
    pub template: Option<Value>,
}

impl CreateArtifact {
    /// The commit, however it was told.
    pub fn commit(&self) -> Option<CommitBytes> {
        let told = self.git_commit_info.as_ref().map(|commit| commit.sha1);
        self.git_commit.or(told)
    }
}

/// Reads the body of `POST /artifacts/{org}/{flow}`; members it does not know are ignored.
pub fn create_artifact(body: &[u8]) -> Result<CreateArtifact, FieldErrors> {
    const CREATE_ARTIFACT: Members = Members {
        open: true,
        members: &[
            ("fingerprint", true, FINGERPRINT),
            ("filename", true, Text),
            ("build_url", true, Text),
            ("commit_url", true, Url),
            ("trail_name", false, TRAIL_NAME),
            ("template_reference_name", false, REFERENCE_NAME),
            ("description", false, Text),
            ("git_commit", false, COMMIT),
            ("git_commit_info", false, GIT_COMMIT),
            ("repo_info", false, REPO_INFO),
            ("repo_url", false, Text),
            ("is_compliant", false, Boolean),
            ("external_urls", false, EXTERNAL_URLS),
            ("annotations", false, MapOf(None, &Any)),
            ("user_data", false, USER_DATA),
            ("commits_list", false, List(&GIT_COMMIT)),
            ("template", false, Any),
        ],
    };
    let mut object = read_body(body, ARTIFACT_BYTES_MAX, &[&CREATE_ARTIFACT])?;
    let read = |object: &mut Map<String, Value>| {
        Some(CreateArtifact {
            fingerprint: take::text(object, "fingerprint")?.parse().ok()?,
            filename: take::text(object, "filename")?,
            build_url: take::text(object, "build_url")?,
            commit_url: take::text(object, "commit_url")?,
            trail_name: take::text(object, "trail_name")
                .and_then(|name| TrailName::parse(&name).ok()),
            template_reference_name: take::text(object, "template_reference_name")
                .and_then(|name| ReferenceName::parse(&name).ok()),
            description: take::text(object, "description"),
            git_commit: take::text(object, "git_commit").and_then(|hex| commit_from_hex(&hex)),
            git_commit_info: take::commit(object),
            repo_info: take::repo(object),
            repo_url: take::text(object, "repo_url").unwrap_or_default(),
            is_compliant: object
                .shift_remove("is_compliant")
                .and_then(|value| value.as_bool()),
            external_urls: take::members(object, "external_urls"),
            annotations: take::members(object, "annotations"),
            user_data: object.shift_remove("user_data"),
            commits_list: match object.shift_remove("commits_list") {
                Some(Value::Array(commits)) => Some(
                    commits
                        .into_iter()
                        .filter_map(GitCommit::from_value)
                        .collect(),
                ),
                _ => None,
            },
            template: object.shift_remove("template"),
        })
    };
    Ok(read(&mut object).expect(SHAPED))
}
