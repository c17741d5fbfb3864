//! GitHub and GitHub Enterprise: GraphQL, with the REST API's look-up where GraphQL knows nothing
//! yet.

use std::time::Duration;

use runstone_api::client::url;
use serde_json::{Value, json};

use super::{Approver, Commit, HostError, PAGES_MAX, PullRequest, text};
use crate::evidence::http::{Http, base, unix_seconds};

/// Where the API is when no base URL is given.
const CLOUD: &str = "https://api.github.com";

/// What is asked of a pull request.
const FIELDS: &str = "number title state headRefName baseRefName url createdAt mergedAt
mergeCommit { oid } author { login }
commits(first: 100, after: $commits) {
  nodes { commit { oid messageHeadline committedDate authoredDate url
    author { name email user { login } } signature { isValid state } } }
  pageInfo { hasNextPage endCursor }
}
reviews(first: 100, states: APPROVED, after: $reviews) {
  nodes { author { login } state submittedAt }
  pageInfo { hasNextPage endCursor }
}";

/// A repository.
pub struct GitHub {
    /// Speaks to the host.
    pub http: Http,
    /// Of an Enterprise server; empty for github.com.
    pub base_url: String,
    /// Who owns the repository.
    pub owner: String,
    /// Its name.
    pub repository: String,
    /// How long to wait before the look-up is tried again: the host needs a while after a merge.
    pub pauses: Vec<Duration>,
}

impl GitHub {
    /// The pull requests that contain `commit`.
    pub async fn find(&self, commit: &str) -> Result<Vec<PullRequest>, HostError> {
        let query = format!(
            "query($owner: String!, $repository: String!, $commit: GitObjectID!, $commits: String, $reviews: String) {{
repository(owner: $owner, name: $repository) {{ object(oid: $commit) {{ ... on Commit {{
associatedPullRequests(first: 100) {{ nodes {{ {FIELDS} }} }} }} }} }} }}"
        );
        let answer = self.ask(&query, json!({ "commit": commit })).await?;
        let nodes = &answer["repository"]["object"]["associatedPullRequests"]["nodes"];
        let mut found = Vec::new();
        for node in nodes.as_array().into_iter().flatten() {
            found.push(self.complete(node, commit.to_owned()).await?);
        }
        if found.is_empty() {
            return self.find_by_number(commit).await;
        }
        Ok(found)
    }

    /// Through the REST API, which knows of a merge earlier than GraphQL.
    async fn find_by_number(&self, commit: &str) -> Result<Vec<PullRequest>, HostError> {
        let mut pauses = self.pauses.iter();
        loop {
            let rest = match base(&self.base_url) {
                "" => CLOUD.to_owned(),
                base => format!("{base}/api/v3"),
            };
            let segments = [
                "repos",
                &self.owner,
                &self.repository,
                "commits",
                commit,
                "pulls",
            ];
            let reply = self.http.get(&url(&rest, &segments)).await?;
            let numbers: Vec<u64> = match reply.status {
                200 => reply
                    .json()?
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|pull| pull["number"].as_u64())
                    .collect(),
                // A commit that nobody pushed.
                404 | 422 => Vec::new(),
                _ => {
                    return Err(HostError::Refused(format!(
                        "failed to list pull requests for commit {commit}: {}: {}",
                        reply.status_text(),
                        reply.complaint()
                    )));
                }
            };
            let mut found = Vec::new();
            for number in numbers {
                let node = self.pull_request(number, Value::Null, Value::Null).await?;
                let merge_commit = text(&node["mergeCommit"]["oid"]);
                found.push(self.complete(&node, merge_commit).await?);
            }
            if !found.is_empty() {
                return Ok(found);
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Ok(found),
            }
        }
    }

    async fn pull_request(
        &self,
        number: u64,
        commits: Value,
        reviews: Value,
    ) -> Result<Value, HostError> {
        let query = format!(
            "query($owner: String!, $repository: String!, $number: Int!, $commits: String, $reviews: String) {{
repository(owner: $owner, name: $repository) {{ pullRequest(number: $number) {{ {FIELDS} }} }} }}"
        );
        let variables = json!({ "number": number, "commits": commits, "reviews": reviews });
        let mut answer = self.ask(&query, variables).await?;
        Ok(answer["repository"]["pullRequest"].take())
    }

    /// Reads further pages of commits and reviews, and gives all of it our shape.
    async fn complete(&self, node: &Value, merge_commit: String) -> Result<PullRequest, HostError> {
        let mut pull_request = of_node(node, merge_commit);
        let number = node["number"].as_u64().unwrap_or_default();
        let mut page = node.clone();
        for _ in 0..PAGES_MAX {
            let more = |name: &str| page[name]["pageInfo"]["hasNextPage"] == true;
            let (commits, reviews) = (more("commits"), more("reviews"));
            if !commits && !reviews {
                break;
            }
            let cursor = |name: &str| page[name]["pageInfo"]["endCursor"].clone();
            page = self
                .pull_request(number, cursor("commits"), cursor("reviews"))
                .await?;
            let next = of_node(&page, String::new());
            if commits {
                pull_request.commits.extend(next.commits);
            }
            if reviews {
                pull_request.approvers.extend(next.approvers);
            }
        }
        Ok(pull_request)
    }

    async fn ask(&self, query: &str, mut variables: Value) -> Result<Value, HostError> {
        variables["owner"] = self.owner.as_str().into();
        variables["repository"] = self.repository.as_str().into();
        let address = match base(&self.base_url) {
            "" => format!("{CLOUD}/graphql"),
            base => format!("{base}/api/graphql"),
        };
        let body = json!({ "query": query, "variables": variables });
        let reply = self.http.post(&address, &body).await?;
        if reply.status != 200 {
            return Err(HostError::Refused(format!(
                "non-200 OK status code: {} body: {:?}",
                reply.status_text(),
                String::from_utf8_lossy(&reply.body)
            )));
        }
        let mut answer = reply.json()?;
        if let Some(error) = answer["errors"]
            .as_array()
            .and_then(|errors| errors.first())
        {
            return Err(HostError::Refused(text(&error["message"])));
        }
        Ok(answer["data"].take())
    }
}

fn of_node(node: &Value, merge_commit: String) -> PullRequest {
    let branch = text(&node["headRefName"]);
    let nodes =
        |name: &str| -> Vec<Value> { node[name]["nodes"].as_array().cloned().unwrap_or_default() };
    PullRequest {
        merge_commit,
        url: text(&node["url"]),
        state: text(&node["state"]),
        approvers: nodes("reviews")
            .iter()
            .map(|review| Approver {
                username: text(&review["author"]["login"]),
                state: text(&review["state"]),
                timestamp: unix_seconds(&review["submittedAt"]),
            })
            .collect(),
        author: text(&node["author"]["login"]),
        created_at: unix_seconds(&node["createdAt"]),
        merged_at: unix_seconds(&node["mergedAt"]),
        title: text(&node["title"]),
        head_ref: branch.clone(),
        base_ref: text(&node["baseRefName"]),
        commits: nodes("commits")
            .iter()
            .map(|node| {
                let commit = &node["commit"];
                let author = &commit["author"];
                let signature = &commit["signature"];
                Commit {
                    sha1: text(&commit["oid"]),
                    message: text(&commit["messageHeadline"]),
                    author: format!("{} <{}>", text(&author["name"]), text(&author["email"])),
                    author_username: text(&author["user"]["login"]),
                    timestamp: unix_seconds(&commit["authoredDate"])
                        .or_else(|| unix_seconds(&commit["committedDate"]))
                        .unwrap_or_default(),
                    branch: branch.clone(),
                    url: text(&commit["url"]),
                    verified: signature["isValid"].as_bool(),
                    signature_state: text(&signature["state"]),
                }
            })
            .collect(),
    }
}
