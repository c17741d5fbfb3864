//! Bitbucket Cloud, REST API 2.0.

use runstone_api::client::url;
use serde_json::Value;

use super::{Approver, Commit, HostError, PAGES_MAX, PullRequest, text};
use crate::evidence::http::{Http, Reply, base, unix_seconds};

/// Where the API is when no base URL is given.
const CLOUD: &str = "https://api.bitbucket.org";

/// A repository.
pub struct Bitbucket {
    /// Speaks to the host.
    pub http: Http,
    /// Of another place that speaks this API; empty for the cloud.
    pub base_url: String,
    /// The workspace.
    pub workspace: String,
    /// The repository's name in addresses.
    pub repository: String,
}

impl Bitbucket {
    /// The pull requests that contain `commit`.
    pub async fn find(&self, commit: &str) -> Result<Vec<PullRequest>, HostError> {
        let address = self.address(&["commit", commit, "pullrequests"]);
        let reply = self.http.get(&address).await?;
        let list = match reply.status {
            200 => self.pages(reply, &address).await?,
            202 => {
                return Err(HostError::Refused(format!(
                    "repository pull requests are still being indexed for commit {commit}, please try again later"
                )));
            }
            404 => {
                return Err(HostError::Refused(format!(
                    "repository does not exist, commit {commit} is not in it, or the app \"Pull Request Commit Links\" is not installed in the workspace: {}",
                    reply.complaint()
                )));
            }
            _ => return Err(refused(&reply, &address)),
        };
        let mut found = Vec::new();
        for summary in &list {
            let own = text(&summary["links"]["self"]["href"]);
            let detail = self.get(&own).await?.json()?;
            found.push(self.pull_request(&detail, commit).await?);
        }
        Ok(found)
    }

    async fn pull_request(&self, detail: &Value, asked: &str) -> Result<PullRequest, HostError> {
        let branch = text(&detail["source"]["branch"]["name"]);
        let id = detail["id"].as_u64().unwrap_or_default().to_string();
        let address = self.address(&["pullrequests", &id, "commits"]);
        let first = self.get(&address).await?;
        let commits = self
            .pages(first, &address)
            .await?
            .iter()
            .map(|commit| Commit {
                sha1: text(&commit["hash"]),
                message: text(&commit["message"]),
                author: text(&commit["author"]["raw"]),
                author_username: text(&commit["author"]["user"]["nickname"]),
                timestamp: unix_seconds(&commit["date"]).unwrap_or_default(),
                branch: branch.clone(),
                url: text(&commit["links"]["html"]["href"]),
                ..Commit::default()
            })
            .collect();
        let approvers = detail["participants"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|participant| participant["approved"] == true)
            .map(|participant| Approver {
                username: text(&participant["user"]["display_name"]),
                state: text(&participant["state"]),
                timestamp: unix_seconds(&participant["participated_on"]),
            })
            .collect();
        let merge_commit = match text(&detail["merge_commit"]["hash"]) {
            hash if hash.is_empty() => asked.to_owned(),
            hash => hash,
        };
        let state = text(&detail["state"]);
        // The host tells no time of the merge; nothing changes after it.
        let merged_at = (state == "MERGED")
            .then(|| unix_seconds(&detail["updated_on"]))
            .flatten();
        Ok(PullRequest {
            merge_commit,
            url: text(&detail["links"]["html"]["href"]),
            state,
            approvers,
            author: text(&detail["author"]["display_name"]),
            created_at: unix_seconds(&detail["created_on"]),
            merged_at,
            title: text(&detail["title"]),
            head_ref: branch,
            base_ref: text(&detail["destination"]["branch"]["name"]),
            commits,
        })
    }

    /// The elements of this page and of those after it.
    async fn pages(&self, first: Reply, address: &str) -> Result<Vec<Value>, HostError> {
        let mut page = first.json()?;
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            if let Value::Array(found) = page["values"].take() {
                items.extend(found);
            }
            let next = text(&page["next"]);
            if next.is_empty() {
                break;
            }
            page = self.get_like(&next, address).await?.json()?;
        }
        Ok(items)
    }

    async fn get(&self, address: &str) -> Result<Reply, HostError> {
        self.get_like(address, &self.address(&[])).await
    }

    /// Fetches an address that came in an answer; only of the host that `like` is of, because the
    /// credentials go along.
    async fn get_like(&self, address: &str, like: &str) -> Result<Reply, HostError> {
        let origin = |text: &str| url::Url::parse(text).map(|url| url.origin()).ok();
        if origin(address).is_none() || origin(address) != origin(like) {
            return Err(HostError::Refused(format!(
                "the answer refers to another host: {address}"
            )));
        }
        let reply = self.http.get(address).await?;
        if reply.status == 200 {
            Ok(reply)
        } else {
            Err(refused(&reply, address))
        }
    }

    fn address(&self, segments: &[&str]) -> String {
        let host = match base(&self.base_url) {
            "" => CLOUD,
            base => base,
        };
        let mut all = vec!["2.0", "repositories", &self.workspace, &self.repository];
        all.extend_from_slice(segments);
        url(host, &all)
    }
}

fn refused(reply: &Reply, address: &str) -> HostError {
    HostError::Refused(format!(
        "failed to get pull requests from Bitbucket: {address} answered {}: {}",
        reply.status_text(),
        reply.complaint()
    ))
}
