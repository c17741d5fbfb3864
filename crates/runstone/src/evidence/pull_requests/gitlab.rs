//! GitLab, in its cloud or one's own: merge requests through the REST API.

use runstone_api::client::{url, with_query};
use serde_json::Value;

use super::{Approver, Commit, HostError, PAGES_MAX, PullRequest, text};
use crate::evidence::http::{Http, base, unix_seconds};

/// Where the host is when no base URL is given.
const CLOUD: &str = "https://gitlab.com";

/// A project.
pub struct GitLab {
    /// Speaks to the host.
    pub http: Http,
    /// Of a server of one's own; empty for gitlab.com.
    pub base_url: String,
    /// Its path, with the groups it is in.
    pub project: String,
}

impl GitLab {
    /// The merge requests that contain `commit`.
    pub async fn find(&self, commit: &str) -> Result<Vec<PullRequest>, HostError> {
        let what = format!("list merge requests for commit {commit}");
        let list = self
            .list(&["repository", "commits", commit, "merge_requests"], &what)
            .await?;
        let mut found = Vec::new();
        for request in &list {
            found.push(self.merge_request(request).await?);
        }
        Ok(found)
    }

    async fn merge_request(&self, request: &Value) -> Result<PullRequest, HostError> {
        let number = request["iid"].as_u64().unwrap_or_default().to_string();
        let what = format!("get approvals of merge request {number}");
        let approvals = self
            .get(&["merge_requests", &number, "approvals"], 1, &what)
            .await?
            .json()?;
        let approvers = approvals["approved_by"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|approval| Approver {
                username: person(&approval["user"]),
                ..Approver::default()
            })
            .collect();
        let branch = text(&request["source_branch"]);
        let what = format!("list commits of merge request {number}");
        let list = self
            .list(&["merge_requests", &number, "commits"], &what)
            .await?;
        let mut commits = Vec::new();
        for commit in &list {
            let sha1 = text(&commit["id"]);
            let signature = self.signature(&sha1).await?;
            commits.push(Commit {
                message: text(&commit["message"]),
                author: format!(
                    "{} <{}>",
                    text(&commit["author_name"]),
                    text(&commit["author_email"])
                ),
                timestamp: unix_seconds(&commit["authored_date"])
                    .or_else(|| unix_seconds(&commit["created_at"]))
                    .unwrap_or_default(),
                branch: branch.clone(),
                url: text(&commit["web_url"]),
                verified: signature.as_ref().map(|state| state == "verified"),
                signature_state: signature.unwrap_or_default(),
                sha1,
                ..Commit::default()
            });
        }
        Ok(PullRequest {
            merge_commit: text(&request["merge_commit_sha"]),
            url: text(&request["web_url"]),
            state: text(&request["state"]),
            approvers,
            author: person(&request["author"]),
            created_at: unix_seconds(&request["created_at"]),
            merged_at: unix_seconds(&request["merged_at"]),
            title: text(&request["title"]),
            head_ref: branch,
            base_ref: text(&request["target_branch"]),
            commits,
        })
    }

    /// What the host says of a commit's signature; nothing for one without.
    async fn signature(&self, commit: &str) -> Result<Option<String>, HostError> {
        let address = self.address(&["repository", "commits", commit, "signature"]);
        let reply = self.http.get(&address).await?;
        match reply.status {
            200 => Ok(Some(text(&reply.json()?["verification_status"]))),
            404 => Ok(None),
            _ => Err(HostError::Refused(format!(
                "failed to get signature of commit {commit}: {}",
                reply.status_text()
            ))),
        }
    }

    /// All pages of a list.
    async fn list(&self, segments: &[&str], what: &str) -> Result<Vec<Value>, HostError> {
        let mut items = Vec::new();
        for page in 1..=PAGES_MAX {
            let reply = self.get(segments, page, what).await?;
            if let Value::Array(found) = reply.json()? {
                items.extend(found);
            }
            if reply.header("x-next-page").is_empty() {
                break;
            }
        }
        Ok(items)
    }

    async fn get(
        &self,
        segments: &[&str],
        page: u32,
        what: &str,
    ) -> Result<crate::evidence::http::Reply, HostError> {
        let address = self.address(segments);
        // Only lists have pages.
        let address = if segments.last() == Some(&"approvals") {
            address
        } else {
            let query = [("page", page.to_string()), ("per_page", "100".to_owned())];
            with_query(&address, &query)
        };
        let reply = self.http.get(&address).await?;
        if reply.status == 200 {
            return Ok(reply);
        }
        Err(HostError::Refused(format!(
            "failed to {what}: {}",
            reply.status_text()
        )))
    }

    fn address(&self, segments: &[&str]) -> String {
        let host = match base(&self.base_url) {
            "" => CLOUD,
            base => base,
        };
        let mut all = vec!["api", "v4", "projects", self.project.as_str()];
        all.extend_from_slice(segments);
        url(host, &all)
    }
}

/// `Name (@user)`.
fn person(user: &Value) -> String {
    format!("{} (@{})", text(&user["name"]), text(&user["username"]))
}
