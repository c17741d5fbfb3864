//! Facts about commits, read from a local repository (`cli.md` 4.1 to 4.3).
//!
//! It only reads, it runs no program, and it looks at no configuration but the repository's own.

use std::path::Path;

use gix::bstr::ByteSlice as _;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;
use serde_json::{Map, Value};

/// What stands in place of a text that must not leave the machine.
pub const REDACTED: &str = "**REDACTED**";
/// The fields that can be redacted.
pub const REDACTABLE: [&str; 3] = ["author", "message", "branch"];

/// Why there are no facts.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no repository whose top is this directory.
    #[error("failed to open git repository at {0}: repository does not exist")]
    NoRepository(String),
    /// The repository cannot be read.
    #[error("failed to open git repository at {path}: {reason}")]
    Unreadable {
        /// Where it was looked for.
        path: String,
        /// What the library says.
        reason: String,
    },
    /// The revision names no commit.
    #[error("failed to resolve git reference {0}: reference not found")]
    NoRevision(String),
    /// A commit that should be there cannot be read.
    #[error("failed to read commit {commit}: {reason}")]
    NoCommit {
        /// Its hash.
        commit: String,
        /// What the library says.
        reason: String,
    },
}

/// A commit in the shape of `git_commit_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// 40 hex digits.
    pub sha1: String,
    /// Without white space around.
    pub message: String,
    /// `Name <mail>`.
    pub author: String,
    /// When the author wrote it, Unix seconds.
    pub timestamp: i64,
    /// The branch that is checked out; empty if none is.
    pub branch: String,
    /// Page of the commit; none if the repository has no `origin`.
    pub url: Option<String>,
    /// Hashes of the commits before it.
    pub parents: Vec<String>,
}

impl CommitInfo {
    /// Replaces the named fields.
    pub fn redact(&mut self, fields: &[String]) {
        for field in fields {
            let text = match field.as_str() {
                "author" => &mut self.author,
                "message" => &mut self.message,
                "branch" => &mut self.branch,
                _ => continue,
            };
            REDACTED.clone_into(text);
        }
    }

    /// The shape that trails, artifacts and attestations carry.
    pub fn to_json(&self) -> Value {
        let mut json = self.common();
        if let Some(url) = &self.url {
            json.insert("url".into(), url.as_str().into());
        }
        Value::Object(json)
    }

    /// The shape of an element of `commits_list`.
    pub fn to_list_json(&self) -> Value {
        let mut json = self.common();
        json.insert("parents".into(), self.parents.clone().into());
        Value::Object(json)
    }

    fn common(&self) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("sha1".into(), self.sha1.as_str().into());
        json.insert("message".into(), self.message.as_str().into());
        json.insert("author".into(), self.author.as_str().into());
        json.insert("timestamp".into(), self.timestamp.into());
        json.insert("branch".into(), self.branch.as_str().into());
        json
    }
}

/// A repository on this machine.
pub struct Repository {
    repository: gix::Repository,
}

impl Repository {
    /// Opens the repository whose top directory is `path`; the directories above are not looked at.
    pub fn open(path: &str) -> Result<Self, GitError> {
        let root = Path::new(path);
        let is_bare = root.join("HEAD").is_file() && root.join("objects").is_dir();
        if !root.join(".git").exists() && !is_bare {
            return Err(GitError::NoRepository(path.to_owned()));
        }
        let mut repository =
            gix::open_opts(root, gix::open::Options::isolated()).map_err(|error| {
                GitError::Unreadable {
                    path: path.to_owned(),
                    reason: error.to_string(),
                }
            })?;
        repository.object_cache_size_if_unset(4 * 1024 * 1024);
        Ok(Self { repository })
    }

    /// The full hash of the commit that `revision` names.
    pub fn resolve(&self, revision: &str) -> Result<String, GitError> {
        let missing = || GitError::NoRevision(revision.to_owned());
        let id = self
            .repository
            .rev_parse_single(revision)
            .map_err(|_| missing())?;
        let commit = id
            .object()
            .ok()
            .and_then(|object| object.peel_to_commit().ok())
            .ok_or_else(missing)?;
        Ok(commit.id().to_string())
    }

    /// The commit that `revision` names.
    pub fn commit(&self, revision: &str) -> Result<CommitInfo, GitError> {
        let sha1 = self.resolve(revision)?;
        self.read(&sha1)
    }

    /// The commits from `newest` back to, but without, `oldest`, newest first by the committer's
    /// time. Both the same: that commit.
    pub fn range(&self, oldest: &str, newest: &str) -> Result<Vec<CommitInfo>, GitError> {
        let oldest = self.resolve(oldest)?;
        let newest = self.resolve(newest)?;
        if oldest == newest {
            return Ok(vec![self.read(&newest)?]);
        }
        let failed = |reason: gix::Error| GitError::NoCommit {
            commit: newest.clone(),
            reason: reason.to_string(),
        };
        let start = gix::ObjectId::from_hex(newest.as_bytes())
            .map_err(|_| GitError::NoRevision(newest.clone()))?;
        let walk = self
            .repository
            .rev_walk([start])
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .all()
            .map_err(failed)?;
        let mut commits = Vec::new();
        for step in walk {
            let sha1 = step.map_err(failed)?.id.to_string();
            if sha1 == oldest {
                break;
            }
            commits.push(self.read(&sha1)?);
        }
        Ok(commits)
    }

    /// The name of the branch that is checked out; empty if none is.
    pub fn branch(&self) -> String {
        match self.repository.head_name() {
            Ok(Some(name)) => name.shorten().to_str_lossy().into_owned(),
            _ => String::new(),
        }
    }

    /// The page of the remote repository `origin`, if there is one.
    pub fn url(&self) -> Option<String> {
        let config = self.repository.config_snapshot();
        let urls = config.plumbing().strings("remote.origin.url")?;
        urls.first().map(|url| web_url(&url.to_str_lossy()))
    }

    fn read(&self, sha1: &str) -> Result<CommitInfo, GitError> {
        let failed = |reason: String| GitError::NoCommit {
            commit: sha1.to_owned(),
            reason,
        };
        let id =
            gix::ObjectId::from_hex(sha1.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let commit = self
            .repository
            .find_commit(id)
            .map_err(|error| failed(error.to_string()))?;
        let author = commit.author().map_err(|error| failed(error.to_string()))?;
        let message = commit
            .message_raw()
            .map_err(|error| failed(error.to_string()))?;
        Ok(CommitInfo {
            sha1: sha1.to_owned(),
            message: message.to_str_lossy().trim().to_owned(),
            author: format!(
                "{} <{}>",
                author.name.to_str_lossy(),
                author.email.to_str_lossy()
            ),
            timestamp: author.seconds(),
            branch: self.branch(),
            url: self.url().map(|url| commit_url(&url, sha1)),
            parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        })
    }
}

/// The page of a commit of the repository at `url`.
pub fn commit_url(url: &str, sha1: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("gitlab.com") {
        format!("{url}/-/commit/{sha1}")
    } else if url.contains("bitbucket.org") {
        format!("{url}/commits/{sha1}")
    } else {
        format!("{url}/commit/{sha1}")
    }
}

/// The page of a repository, from the URL that it is cloned from: `git@host:path` becomes
/// `https://host/path`; user, password and a trailing `.git` go; other schemes stay.
///
/// The published client takes the first `.git` wherever it stands, in a host's name too
/// (`cli.md` 12 no. 10).
pub fn web_url(url: &str) -> String {
    let mut text = url.trim().trim_end_matches('/').to_owned();
    if !text.contains("://")
        && let Some((login, path)) = text.split_once(':')
        && let Some((_, host)) = login.split_once('@')
    {
        text = format!("https://{host}/{path}");
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((_, host)) = authority.rsplit_once('@') {
            text = if path.is_empty() {
                format!("{scheme}://{host}")
            } else {
                format!("{scheme}://{host}/{path}")
            };
        }
    }
    text.strip_suffix(".git").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone_urls_become_pages() {
        let check = |url: &str, expected: &str| assert_eq!(web_url(url), expected, "{url}");
        check(
            "git@github.com:acme/shop.git",
            "https://github.com/acme/shop",
        );
        check(
            "https://github.com/acme/shop.git",
            "https://github.com/acme/shop",
        );
        check(
            "https://user:pw@gitlab.com/a/b.git",
            "https://gitlab.com/a/b",
        );
        check(
            "https://my.gitlab.example/x.git",
            "https://my.gitlab.example/x",
        );
        check("ssh://git@host:7999/a/b.git", "ssh://host:7999/a/b");
        check(
            "https://dev.azure.com/a/b/_git/c",
            "https://dev.azure.com/a/b/_git/c",
        );
        check("/srv/repos/x.git", "/srv/repos/x");
        check("", "");
    }

    #[test]
    fn pages_of_commits_follow_the_host() {
        let check = |url: &str, expected: &str| assert_eq!(commit_url(url, "1"), expected);
        check("https://gitlab.com/a", "https://gitlab.com/a/-/commit/1");
        check(
            "https://bitbucket.org/a",
            "https://bitbucket.org/a/commits/1",
        );
        check("https://github.com/a/", "https://github.com/a/commit/1");
    }

    #[test]
    fn redaction_takes_what_is_named() {
        let mut commit = CommitInfo {
            sha1: "1".into(),
            message: "m".into(),
            author: "a".into(),
            timestamp: 1,
            branch: "b".into(),
            url: None,
            parents: Vec::new(),
        };
        commit.redact(&["author".into(), "branch".into()]);
        assert_eq!(
            (
                commit.author.as_str(),
                commit.message.as_str(),
                commit.branch.as_str()
            ),
            (REDACTED, "m", REDACTED)
        );
    }
}
