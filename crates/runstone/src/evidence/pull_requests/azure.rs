//! Azure DevOps, in its cloud or one's own.

use runstone_api::client::{url, with_query};
use serde_json::{Value, json};

use super::{Approver, Commit, HostError, PullRequest, text};
use crate::evidence::http::{Http, Reply, base, unix_seconds};

/// The version of the API that is spoken; servers of one's own know it since 2022.
const API_VERSION: &str = "7.0";
/// The vote of somebody who approved.
const APPROVED: i64 = 10;

/// A repository.
pub struct Azure {
    /// Speaks to the host.
    pub http: Http,
    /// The organization's or collection's URL.
    pub org_url: String,
    /// The project.
    pub project: String,
    /// The repository's name.
    pub repository: String,
}

impl Azure {
    /// The pull requests that `commit` is the last merge commit of.
    pub async fn find(&self, commit: &str) -> Result<Vec<PullRequest>, HostError> {
        let query = json!({ "queries": [{ "items": [commit], "type": "lastMergeCommit" }] });
        let address = self.address(&["pullrequestquery"], &[]);
        let reply = self.http.post(&address, &query).await?;
        let answer = accepted(&reply, "query pull requests")?;
        let mut found = Vec::new();
        for result in answer["results"].as_array().into_iter().flatten() {
            for detail in result[commit].as_array().into_iter().flatten() {
                found.push(self.pull_request(detail, commit).await?);
            }
        }
        Ok(found)
    }

    async fn pull_request(&self, detail: &Value, asked: &str) -> Result<PullRequest, HostError> {
        let id = detail["pullRequestId"]
            .as_i64()
            .unwrap_or_default()
            .to_string();
        let page = url(
            base(&self.org_url),
            &[&self.project, "_git", &self.repository, "pullrequest", &id],
        );
        let branch = text(&detail["sourceRefName"]);
        let address = self.address(&["pullRequests", &id, "commits"], &[("$top", "1000")]);
        let reply = self.http.get(&address).await?;
        let answer = accepted(&reply, "list commits of a pull request")?;
        let commits = answer["value"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|commit| {
                let author = &commit["author"];
                let sha1 = text(&commit["commitId"]);
                Commit {
                    message: text(&commit["comment"]),
                    author: format!("{} <{}>", text(&author["name"]), text(&author["email"])),
                    timestamp: unix_seconds(&author["date"]).unwrap_or_default(),
                    branch: branch.clone(),
                    url: url(
                        base(&self.org_url),
                        &[&self.project, "_git", &self.repository, "commit", &sha1],
                    ),
                    sha1,
                    ..Commit::default()
                }
            })
            .collect();
        let approvers = detail["reviewers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|reviewer| reviewer["vote"].as_i64() == Some(APPROVED))
            .map(|reviewer| Approver {
                username: person(reviewer),
                state: "APPROVED".to_owned(),
                timestamp: None,
            })
            .collect();
        let state = text(&detail["status"]);
        let merge_commit = match text(&detail["lastMergeCommit"]["commitId"]) {
            id if id.is_empty() => asked.to_owned(),
            id => id,
        };
        Ok(PullRequest {
            merge_commit,
            url: page,
            approvers,
            author: person(&detail["createdBy"]),
            created_at: unix_seconds(&detail["creationDate"]),
            merged_at: (state == "completed")
                .then(|| unix_seconds(&detail["closedDate"]))
                .flatten(),
            title: text(&detail["title"]),
            head_ref: branch,
            base_ref: text(&detail["targetRefName"]),
            state,
            commits,
        })
    }

    fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> String {
        let mut all = vec![
            self.project.as_str(),
            "_apis",
            "git",
            "repositories",
            &self.repository,
        ];
        all.extend_from_slice(segments);
        let mut pairs = vec![("api-version", API_VERSION.to_owned())];
        pairs.extend(query.iter().map(|(key, value)| (*key, (*value).to_owned())));
        with_query(&url(base(&self.org_url), &all), &pairs)
    }
}

/// `Display (unique)`.
fn person(identity: &Value) -> String {
    format!(
        "{} ({})",
        text(&identity["displayName"]),
        text(&identity["uniqueName"])
    )
}

/// The answer, if it is one. A token that is wrong is answered by a page to sign in on, with 203.
fn accepted(reply: &Reply, what: &str) -> Result<Value, HostError> {
    match reply.status {
        200 => Ok(reply.json()?),
        203 | 302 | 401 => Err(HostError::Refused(format!(
            "failed to {what}: Azure DevOps rejected the token"
        ))),
        _ => Err(HostError::Refused(format!(
            "failed to {what}: {}: {}",
            reply.status_text(),
            reply.complaint()
        ))),
    }
}
