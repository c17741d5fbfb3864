//! The analysis of a project by SonarQube, in its cloud or one's own, and its quality gate
//! (`cli.md` 6.4).

use std::time::Duration;

use runstone_api::client::{url, with_query};
use serde::Serialize;
use serde_json::Value;

use super::http::{Auth, Http, Reply, Unreachable, base};
use super::reason;

/// From here on the pauses grow by this and no longer double, in seconds.
const LONG: u64 = 300;
/// Analyses of one search; the API has no larger page.
const PAGE: &str = "500";

/// An analysis in the shape of `sonar_results`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The server.
    pub server_url: String,
    /// The task that made it.
    pub task_id: String,
    /// How the task ended.
    pub status: String,
    /// When, as the server writes times.
    pub analysed_at: String,
    /// The commit.
    pub revision: String,
    /// The project.
    pub project: Project,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// The pull request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pull_request: String,
    /// The verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_gate: Option<Gate>,
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Project {
    /// Its key.
    pub key: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its page.
    pub url: String,
}

/// A branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// A quality gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// `OK` or `ERROR`.
    pub status: String,
    /// What it is made of.
    pub conditions: Vec<Condition>,
}

/// A condition of a quality gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is measured.
    pub metric: String,
    /// The bound.
    pub error_threshold: String,
    /// How it is compared.
    pub operator: String,
    /// What was measured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Whether it holds.
    pub status: String,
}

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum SonarError {
    /// Nothing says which analysis is meant.
    #[error(
        "{0}. Check your working directory is set correctly. Alternatively provide the project key and either revision or pull-request ID for the scan to attest"
    )]
    Unknown(String),
    /// No answer came, or none that can be read.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The server said what is wrong.
    #[error("SonarQube error: {0}")]
    Said(String),
    /// The token does not do.
    #[error(
        "SonarQube rejected the request (HTTP {0}): the API token is invalid or does not have permission to read this project.\nCheck the token, and that it belongs to a user or a project that may browse it"
    )]
    Rejected(u16),
    /// The server is not well.
    #[error(
        "SonarQube returned HTTP {0}: the server may be unavailable or overloaded, try again later"
    )]
    Unavailable(u16),
    /// The answer is something else.
    #[error("SonarQube returned an unexpected response (HTTP {0}): check the URL of the server")]
    Unexpected(u16),
    /// The task has not ended.
    #[error(
        "analysis ID not found on {0}. The scan results are not yet available, likely due to: \n1. Your project being particularly large and the scan taking time to process, or \n2. SonarQube experiencing delays in processing scans. \nTry rerunning the command with the --max-wait flag"
    )]
    NotYet(String),
    /// The analysis of the task is gone.
    #[error(
        "analysis with ID {id} not found on {server}. Snapshot may have been deleted by SonarQube"
    )]
    Gone {
        /// Its id.
        id: String,
        /// The server.
        server: String,
    },
    /// No analysis of this revision.
    #[error(
        "analysis for revision {revision} of project {project} not found: {searched} \nThe scan may still be being processed by SonarQube, try again later.\n Otherwise if you are attesting an older scan, the snapshot may also have been deleted by SonarQube"
    )]
    NoRevision {
        /// The revision.
        revision: String,
        /// The project.
        project: String,
        /// Where it was looked for.
        searched: String,
    },
    /// No such pull request.
    #[error("pull request {id} not found for project {project} on {server}")]
    NoPullRequest {
        /// Its number.
        id: String,
        /// The project.
        project: String,
        /// The server.
        server: String,
    },
    /// The pull request's analysis is of another commit.
    #[error(
        "analysis for pull request {id} of project {project} is of revision {found}, not {wanted}.\nThe scan for that revision may still be being processed by SonarQube, try again later.\nOtherwise check the revision is correct"
    )]
    OtherRevision {
        /// Its number.
        id: String,
        /// The project.
        project: String,
        /// Of which revision it is.
        found: String,
        /// Of which it should be.
        wanted: String,
    },
}

/// Which analysis is meant.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The folder in which the scanner left its note.
    pub working_directory: String,
    /// The address of the task.
    pub task_url: String,
    /// The server, where neither of these tells.
    pub server_url: String,
    /// The key of the project.
    pub project_key: String,
    /// The commit.
    pub revision: String,
    /// Whether somebody asked for this commit; it may only be the one that is built.
    pub revision_is_given: bool,
    /// The pull request.
    pub pull_request: String,
    /// The branch.
    pub branch: String,
    /// The longest wait for the task, in seconds.
    pub wait_seconds_max: u64,
    /// How long a second is.
    pub second: Duration,
}

/// A SonarQube.
pub struct Sonar<'a> {
    /// Speaks to it, with the token as bearer.
    http: Http,
    token: String,
    /// Hears what is going on.
    tell: &'a dyn Fn(String),
}

impl<'a> Sonar<'a> {
    /// A client that is known by `token` and tells `tell` what it waits for.
    pub fn new(http: Http, token: String, tell: &'a dyn Fn(String)) -> Self {
        Self { http, token, tell }
    }

    /// The analysis and its quality gate.
    pub async fn find(mut self, question: &Question) -> Result<Analysis, SonarError> {
        let mut question = question.clone();
        let note = format!(
            "{}/report-task.txt",
            question.working_directory.trim_end_matches('/')
        );
        let mut found = Analysis::default();
        let names_one = !question.revision.is_empty() || !question.pull_request.is_empty();
        match std::fs::read_to_string(&note) {
            Ok(text) => {
                for line in text.lines() {
                    match line.split_once('=') {
                        Some(("serverUrl", value)) => value.clone_into(&mut found.server_url),
                        Some(("dashboardUrl", value)) => value.clone_into(&mut found.project.url),
                        Some(("ceTaskUrl", value)) => value.clone_into(&mut question.task_url),
                        _ => {}
                    }
                }
            }
            Err(_) if !question.task_url.is_empty() => {
                let origin = url::Url::parse(&question.task_url)
                    .map(|url| url.origin().ascii_serialization())
                    .map_err(|error| {
                        Unreachable(format!("parse \"{}\": {error}", question.task_url))
                    })?;
                found.server_url = origin;
            }
            Err(_) if !question.project_key.is_empty() && names_one => {
                base(&question.server_url).clone_into(&mut found.server_url);
            }
            Err(error) => {
                return Err(SonarError::Unknown(format!(
                    "open {note}: {}",
                    reason(&error)
                )));
            }
        }
        let analysis_id = if question.task_url.is_empty() {
            question.project_key.clone_into(&mut found.project.key);
            self.by_project(&question, &mut found).await?
        } else {
            self.by_task(&question, &mut found).await?
        };
        if found.project.url.is_empty() {
            found.project.url = with_query(
                &url(&found.server_url, &["dashboard"]),
                &[("id", found.project.key.clone())],
            );
        }
        found.quality_gate = Some(self.gate(&found, &analysis_id).await?);
        Ok(found)
    }

    /// Waits for the task and reads what it made; the id of the analysis.
    async fn by_task(
        &mut self,
        question: &Question,
        found: &mut Analysis,
    ) -> Result<String, SonarError> {
        let server = found.server_url.clone();
        let (mut waited, mut pause, mut tries) = (0, 1, 0);
        let task = loop {
            let mut answer = self.ask(&question.task_url).await?;
            let task = answer["task"].take();
            let is_open = matches!(task["status"].as_str(), Some("PENDING" | "IN_PROGRESS"));
            let left = question.wait_seconds_max.saturating_sub(waited);
            if !is_open || left == 0 {
                break task;
            }
            let now = pause.min(left);
            tries += 1;
            (self.tell)(format!(
                "retry {tries}: waiting {now}s for SonarQube scan to be processed..."
            ));
            tokio::time::sleep(question.second * u32::try_from(now).unwrap_or(u32::MAX)).await;
            waited += now;
            pause = if waited >= LONG {
                pause + LONG
            } else {
                pause * 2
            };
        };
        if tries > 0 {
            (self.tell)(format!(
                "Waited for {waited} seconds for SonarQube scan to be processed. {tries} retries.\n"
            ));
        }
        let id = text(&task["analysisId"]);
        if id.is_empty() {
            return Err(SonarError::NotYet(server));
        }
        take_task(&task, found);
        found.project.key = text(&task["componentKey"]);
        found.pull_request = text(&task["pullRequest"]);
        if !found.pull_request.is_empty() {
            self.pull_request(question, found).await?;
            return Ok(id);
        }
        let branch = found
            .branch
            .as_ref()
            .map_or(String::new(), |branch| branch.name.clone());
        let key = found.project.key.clone();
        let analyses = self.analyses(&server, &key, &branch).await?;
        let Some(analysis) = analyses
            .iter()
            .find(|analysis| analysis["key"] == id.as_str())
        else {
            return Err(SonarError::Gone { id, server });
        };
        found.analysed_at = text(&analysis["date"]);
        found.revision = text(&analysis["revision"]);
        Ok(id)
    }

    /// Looks for the analysis of a revision or a pull request; its id, of the former.
    async fn by_project(
        &mut self,
        question: &Question,
        found: &mut Analysis,
    ) -> Result<String, SonarError> {
        let server = found.server_url.clone();
        let key = question.project_key.clone();
        if !question.pull_request.is_empty() {
            question.pull_request.clone_into(&mut found.pull_request);
            let tasks = self.tasks(&server, &key).await?;
            let wanted = question.pull_request.as_str();
            if let Some(task) = tasks.iter().find(|task| task["pullRequest"] == wanted) {
                take_task(task, found);
            }
            self.pull_request(question, found).await?;
            return Ok(String::new());
        }
        let analyses = self.analyses(&server, &key, &question.branch).await?;
        let wanted = question.revision.as_str();
        let Some(analysis) = analyses
            .iter()
            .find(|analysis| analysis["revision"] == wanted)
        else {
            let searched = if question.branch.is_empty() {
                "only the project's main branch was searched, because no --sonar-branch was given. Check the revision is correct, and pass --sonar-branch if the scan ran on another branch.".to_owned()
            } else {
                format!(
                    "branch {} was searched. Check the revision and the branch are correct. Only the most recent analyses are searched, so an older scan may not be listed.",
                    question.branch
                )
            };
            return Err(SonarError::NoRevision {
                revision: question.revision.clone(),
                project: key,
                searched,
            });
        };
        let id = text(&analysis["key"]);
        found.analysed_at = text(&analysis["date"]);
        found.revision = text(&analysis["revision"]);
        let tasks = self.tasks(&server, &key).await?;
        if let Some(task) = tasks.iter().find(|task| task["analysisId"] == id.as_str()) {
            take_task(task, found);
        }
        Ok(id)
    }

    /// Reads when the pull request was analysed, and which commit.
    async fn pull_request(
        &mut self,
        question: &Question,
        found: &mut Analysis,
    ) -> Result<(), SonarError> {
        let address = with_query(
            &url(&found.server_url, &["api", "project_pull_requests", "list"]),
            &[("project", found.project.key.clone())],
        );
        let answer = self.ask(&address).await?;
        let wanted = found.pull_request.as_str();
        let pull = items(&answer["pullRequests"])
            .iter()
            .find(|pull| pull["key"] == wanted)
            .ok_or_else(|| SonarError::NoPullRequest {
                id: found.pull_request.clone(),
                project: found.project.key.clone(),
                server: found.server_url.clone(),
            })?;
        let revision = text(&pull["commit"]["sha"]);
        if question.revision_is_given && question.revision != revision {
            return Err(SonarError::OtherRevision {
                id: found.pull_request.clone(),
                project: found.project.key.clone(),
                found: revision,
                wanted: question.revision.clone(),
            });
        }
        found.analysed_at = text(&pull["analysisDate"]);
        found.revision = revision;
        Ok(())
    }

    async fn analyses(
        &mut self,
        server: &str,
        project: &str,
        branch: &str,
    ) -> Result<Vec<Value>, SonarError> {
        let mut query = vec![("project", project.to_owned()), ("ps", PAGE.to_owned())];
        if !branch.is_empty() {
            query.push(("branch", branch.to_owned()));
        }
        let address = with_query(&url(server, &["api", "project_analyses", "search"]), &query);
        Ok(items(&self.ask(&address).await?["analyses"]).to_vec())
    }

    async fn tasks(&mut self, server: &str, project: &str) -> Result<Vec<Value>, SonarError> {
        let address = with_query(
            &url(server, &["api", "ce", "activity"]),
            &[("component", project.to_owned())],
        );
        Ok(items(&self.ask(&address).await?["tasks"]).to_vec())
    }

    async fn gate(&mut self, found: &Analysis, analysis_id: &str) -> Result<Gate, SonarError> {
        let query = if found.pull_request.is_empty() {
            vec![("analysisId", analysis_id.to_owned())]
        } else {
            vec![
                ("projectKey", found.project.key.clone()),
                ("pullRequest", found.pull_request.clone()),
            ]
        };
        let address = url(
            &found.server_url,
            &["api", "qualitygates", "project_status"],
        );
        let answer = self.ask(&with_query(&address, &query)).await?;
        let gate = &answer["projectStatus"];
        Ok(Gate {
            status: text(&gate["status"]),
            conditions: items(&gate["conditions"])
                .iter()
                .map(|condition| Condition {
                    metric: text(&condition["metricKey"]),
                    error_threshold: text(&condition["errorThreshold"]),
                    operator: text(&condition["comparator"]),
                    value: text(&condition["actualValue"]),
                    status: text(&condition["status"]),
                })
                .collect(),
        })
    }

    /// Fetches an address. Servers before version 10 take the token only as a user's name: one that
    /// rejects the bearer is asked so from then on. The cloud is not.
    async fn ask(&mut self, address: &str) -> Result<Value, SonarError> {
        let mut reply = self.http.get(address).await?;
        if reply.status == 401 && !is_cloud(address) {
            let as_user = self
                .http
                .known_as(Auth::Basic(self.token.clone(), String::new()));
            let second = as_user.get(address).await?;
            if second.status != 401 {
                self.http = as_user;
            }
            reply = second;
        }
        read(&reply)
    }
}

/// What a task tells of the project and the branch.
fn take_task(task: &Value, found: &mut Analysis) {
    found.task_id = text(&task["id"]);
    found.status = text(&task["status"]);
    found.project.name = text(&task["componentName"]);
    let branch = Branch {
        name: text(&task["branch"]),
        kind: text(&task["branchType"]),
    };
    found.branch = (branch != Branch::default()).then_some(branch);
}

fn is_cloud(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| {
        url.host_str()
            .is_some_and(|host| host == "sonarcloud.io" || host.ends_with(".sonarcloud.io"))
    })
}

fn read(reply: &Reply) -> Result<Value, SonarError> {
    match reply.json() {
        Ok(answer) => match answer["errors"][0]["msg"].as_str() {
            Some(said) => Err(SonarError::Said(said.to_owned())),
            None if reply.status == 200 => Ok(answer),
            None => Err(by_status(reply.status)),
        },
        Err(_) => Err(by_status(reply.status)),
    }
}

fn by_status(status: u16) -> SonarError {
    match status {
        401 | 403 => SonarError::Rejected(status),
        500.. => SonarError::Unavailable(status),
        _ => SonarError::Unexpected(status),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
