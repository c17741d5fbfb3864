//! Pull requests that contain a commit, as the code host tells (`cli.md` 6.6, `integrations.md` 7).
//! One host is one file.

pub mod azure;
pub mod bitbucket;
pub mod github;
pub mod gitlab;

use serde::Serialize;

use super::http::Unreachable;

/// The most pages that are read of any list.
const PAGES_MAX: u32 = 100;

/// A pull request in the shape of an element of `pull_requests`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// The commit it became, or the one that was asked for.
    pub merge_commit: String,
    /// Its page.
    pub url: String,
    /// As the host spells it.
    pub state: String,
    /// Who approved it.
    pub approvers: Vec<Approver>,
    /// Who proposed it.
    pub author: String,
    /// When, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// When it was merged, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<i64>,
    /// Its title.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The branch it comes from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub head_ref: String,
    /// The branch it goes to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base_ref: String,
    /// Its commits.
    pub commits: Vec<Commit>,
}

/// One who approved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Approver {
    /// As the host shows people.
    pub username: String,
    /// As the host spells it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// When, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

/// A commit of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its hash.
    pub sha1: String,
    /// Its message, or the first line of it.
    pub message: String,
    /// `Name <mail>`.
    pub author: String,
    /// The author's account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author_username: String,
    /// When it was written, in Unix seconds.
    pub timestamp: i64,
    /// The branch of the pull request.
    pub branch: String,
    /// Its page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Whether its signature is good; nothing for one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// What the host says of the signature.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub signature_state: String,
}

/// Why the host tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No answer came, or none that can be read.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The host said no.
    #[error("{0}")]
    Refused(String),
}

/// The text of a JSON value, empty if it is none.
fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The last part of a repository's name, which may come with its owner.
pub fn last_part(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}
