//! What clients older than trails ask for: approvals and announced deployments (`api-flows.md`
//! sections 14.1 and 14.2), and the one route that announced deployments share with observed ones.

use std::collections::{BTreeSet, HashMap, HashSet};

use axum::http::{Method, StatusCode};
use runstone_api::deployment::Deployment as ObservedDeployment;
use runstone_api::legacy::{
    AnnouncedDeployment, AnnouncedDeploymentItem, Approval as ShownApproval, ApprovedCommit,
    CreateApproval, CreateDeployment, Review, RunningState, SourceCommit,
};
use runstone_api::paging::Page;
use runstone_api::seconds;
use runstone_model::annotation::AnnotationKind;
use runstone_model::command::{MissingInFlow, Refusal, ReportApproval, ReportDeployment};
use runstone_model::fact::{
    Approval, ApprovalNo, Artifact, ArtifactNo, Deployment, DeploymentNo, EntryIndex, Environment,
    EnvironmentNo, Flow, FlowNo, Organization,
};
use runstone_model::id::{Commit, Fingerprint, Micros};
use runstone_model::provenance;
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;
use runstone_model::view::Counted;
use runstone_store::Read;
use serde_json::Value;

use super::deployments;
use super::flows::live_flow;
use super::live_environment;
use super::lives::{Life, lives};
use super::trails::json_contents;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const APPROVALS: &str = "Approvals";
const DEPLOYMENTS: &str = "Deployments";
const MISSING: (u16, &str) = (
    404,
    "There is no such flow, artifact, environment or number.",
);
const INVALID: (u16, &str) = (400, "The request is not valid.");

/// How many a page has if that is not said, and at most.
const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
/// Digits of a whole fingerprint.
const FINGERPRINT_DIGITS: usize = 64;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let paging = [
        param("page", Of::Integer, "Page, from 1."),
        param("per_page", Of::Integer, "How many a page has, at most 100."),
    ];
    vec![
        write(
            Method::POST,
            Right::Attest,
            BodyBound::Other,
            api("/approvals/{org}/{flow_name}"),
            docs(
                "create_approval",
                APPROVALS,
                "Approve an artifact, or ask for that",
                Success::Ok,
                &[(201, "It is told."), INVALID, MISSING],
            )
            .about("Without a member of approvals it is a request.")
            .body(shape::<CreateApproval>()),
            create_approval,
        ),
        get(
            Right::Read,
            api("/approvals/{org}/{flow_name}"),
            docs(
                "list_approvals",
                APPROVALS,
                "List approvals of a flow",
                Success::Many(shape::<ShownApproval>()),
                &[(200, "The approvals, newest first."), INVALID, MISSING],
            )
            .query(paging),
            list_approvals,
        ),
        get(
            Right::Read,
            api("/approvals/{org}/{flow_name}/{number}"),
            docs(
                "get_approval",
                APPROVALS,
                "Get an approval by its number",
                Success::One(shape::<ShownApproval>()),
                &[(200, "The approval."), INVALID, MISSING],
            )
            .about("-1 is the newest, -2 the one before."),
            get_approval,
        ),
        get(
            Right::Read,
            api("/approvals/{org}/{flow_name}/artifact-commit/{env_name}"),
            docs(
                "get_approved_commit",
                APPROVALS,
                "Get the commit of the artifact last approved for an environment",
                Success::One(shape::<ApprovedCommit>()),
                &[(200, "The commit, or null."), MISSING],
            ),
            approved_commit,
        ),
        get(
            Right::Read,
            api("/artifacts/{org}/{flow_name}/{fingerprint}/approvals"),
            docs(
                "list_approvals_of_artifact",
                APPROVALS,
                "List approvals of an artifact",
                Success::Many(shape::<ShownApproval>()),
                &[(200, "The approvals, oldest first."), INVALID, MISSING],
            ),
            approvals_of_artifact,
        ),
        write(
            Method::POST,
            Right::Attest,
            BodyBound::Other,
            api("/deployments/{org}/{flow_name}"),
            docs(
                "create_deployment",
                DEPLOYMENTS,
                "Announce the deployment of an artifact",
                Success::Ok,
                &[(201, "It is told."), INVALID, MISSING],
            )
            .body(shape::<CreateDeployment>()),
            create_deployment,
        ),
        get(
            Right::Read,
            api("/deployments/{org}/{flow_name}"),
            docs(
                "list_announced_deployments",
                DEPLOYMENTS,
                "List announced deployments of a flow",
                Success::Many(shape::<AnnouncedDeploymentItem>()),
                &[(200, "The deployments, newest first."), INVALID, MISSING],
            )
            .query(paging),
            list_deployments,
        ),
        get(
            Right::Read,
            api("/deployments/{org}/{flow_name}/{number}"),
            docs(
                "get_deployment",
                DEPLOYMENTS,
                "Get a deployment",
                Success::Either(shape::<AnnouncedDeployment>(), shape::<ObservedDeployment>()),
                &[(200, "The deployment."), INVALID, MISSING],
            )
            .about(
                "By a number: the announced deployment of the flow; -1 is the newest, -2 the one before. By the 64 digits of a fingerprint: the last time it was deployed to the environment of this name.",
            ),
            get_deployment,
        ),
    ]
}

/// What was told of artifacts: approvals and announced deployments, with the names of their
/// environments.
#[derive(Debug, Default)]
pub(super) struct Releases {
    approvals: HashMap<Fingerprint, Vec<Approval>>,
    deployments: HashMap<Fingerprint, Vec<Deployment>>,
    environments: HashMap<EnvironmentNo, Environment>,
}

impl Releases {
    /// What was told of these, set-wise.
    pub(super) async fn of(
        read: &mut Read,
        organization: &Organization,
        fingerprints: &[Fingerprint],
    ) -> Result<Self, AppError> {
        if fingerprints.is_empty() {
            return Ok(Self::default());
        }
        let approvals = read.approvals_of(organization.no, fingerprints).await?;
        let deployments = read.deployments_of(organization.no, fingerprints).await?;
        let named = approvals
            .values()
            .flatten()
            .filter_map(|approval| approval.environment)
            .chain(
                deployments
                    .values()
                    .flatten()
                    .map(|deployment| deployment.environment),
            );
        let environments = environments(read, organization, named).await?;
        Ok(Self {
            approvals,
            deployments,
            environments,
        })
    }

    /// Approvals of an artifact in a flow, oldest first.
    pub(super) fn approvals(
        &self,
        flow: FlowNo,
        fingerprint: Fingerprint,
    ) -> impl Iterator<Item = &Approval> {
        self.approvals
            .get(&fingerprint)
            .into_iter()
            .flatten()
            .filter(move |approval| approval.flow == flow)
    }

    /// Announced deployments of an artifact in a flow, oldest first.
    pub(super) fn deployments(
        &self,
        flow: FlowNo,
        fingerprint: Fingerprint,
    ) -> impl Iterator<Item = &Deployment> {
        self.deployments
            .get(&fingerprint)
            .into_iter()
            .flatten()
            .filter(move |deployment| deployment.flow == flow)
    }

    /// The name of an environment that one of them names.
    pub(super) fn environment_name(&self, no: EnvironmentNo) -> &str {
        self.environments
            .get(&no)
            .map_or("", |environment| environment.name.as_str())
    }

    /// When an artifact was first announced to be deployed or started, whichever came first; in
    /// the environment, if one is given.
    pub(super) fn first_use(
        &self,
        fingerprint: Fingerprint,
        life: Option<&Life>,
        environment: Option<EnvironmentNo>,
    ) -> Option<Micros> {
        let is_there = |no: EnvironmentNo| environment.is_none_or(|wanted| wanted == no);
        let announced = self
            .deployments
            .get(&fingerprint)
            .into_iter()
            .flatten()
            .filter(|deployment| is_there(deployment.environment))
            .map(|deployment| deployment.at);
        let ran = life
            .into_iter()
            .flat_map(|life| &life.happened)
            .filter(|happened| is_there(happened.environment))
            .map(|happened| happened.at);
        announced.chain(ran).min()
    }
}

/// Who said what an approval says, as it is shown.
pub(super) fn reviewer(content: Option<&Value>) -> Option<String> {
    let reviews = content?["approvals"].as_array()?;
    Some(external(&reviews.last()?["approved_by"]))
}

fn external(name: &Value) -> String {
    format!("external://{}", name.as_str().unwrap_or_default())
}

async fn environments(
    read: &mut Read,
    organization: &Organization,
    numbers: impl Iterator<Item = EnvironmentNo>,
) -> Result<HashMap<EnvironmentNo, Environment>, AppError> {
    let numbers: BTreeSet<EnvironmentNo> = numbers.collect();
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let numbers: Vec<EnvironmentNo> = numbers.into_iter().collect();
    Ok(read
        .environments_numbered(organization.no, &numbers)
        .await?)
}

async fn artifacts(
    read: &mut Read,
    organization: &Organization,
    numbers: impl Iterator<Item = ArtifactNo>,
) -> Result<HashMap<ArtifactNo, Artifact>, AppError> {
    let numbers: BTreeSet<ArtifactNo> = numbers.collect();
    let numbers: Vec<ArtifactNo> = numbers.into_iter().collect();
    Ok(read.artifacts_numbered(organization.no, &numbers).await?)
}

fn json_text(told: serde_json::Map<String, Value>) -> std::sync::Arc<str> {
    Value::Object(told).to_string().into()
}

/// A number in a path: from 1, or backwards from -1; none if it can be none.
fn counted(text: &str, field: &str, last: u32) -> Result<Option<u32>, AppError> {
    let number: i64 = text.parse().map_err(|_| {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        FieldErrors::one(field, message, text)
    })?;
    let number = if number < 0 {
        number.saturating_add(i64::from(last) + 1)
    } else {
        number
    };
    Ok(u32::try_from(number)
        .ok()
        .filter(|number| (1..=last).contains(number)))
}

/// The page that is asked for: offset and number.
fn window(call: &ReadCall) -> Result<(u64, u64), AppError> {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    check.finish()?;
    let page = Page {
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(PER_PAGE),
    };
    Ok(((page.page - 1).saturating_mul(page.per_page), page.per_page))
}

async fn flow_of(call: &mut ReadCall) -> Result<Flow, AppError> {
    let parts = std::sync::Arc::clone(&call.parts);
    live_flow(&mut call.read, &call.organization, parts.param("flow_name")).await
}

async fn create_approval(call: WriteCall) -> Answer {
    let flow = super::flow_name(call.parts.param("flow_name"))?;
    let given = provenance::create_approval(&call.body)?;
    let report = ReportApproval {
        flow: flow.as_str().to_owned(),
        fingerprint: given.fingerprint,
        environment: given.environment,
        state: given.state,
        content: json_text(given.told),
    };
    call.parts
        .app
        .report_approval(call.caller, &call.organization, report)
        .await?;
    Ok(answer::ok(StatusCode::CREATED))
}

/// Approvals as they are shown, in the order in which they are given.
async fn show_approvals(
    read: &mut Read,
    organization: &Organization,
    approvals: &[Approval],
) -> Result<Vec<ShownApproval>, AppError> {
    if approvals.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<(EntryIndex, u32)> = approvals
        .iter()
        .map(|approval| (approval.entry, 0))
        .collect();
    let contents = json_contents(read, organization, &places).await?;
    let numbers = approvals.iter().map(|approval| approval.artifact);
    let known = artifacts(read, organization, numbers).await?;
    let named = approvals.iter().filter_map(|approval| approval.environment);
    let environments = environments(read, organization, named).await?;
    let told: HashSet<Commit> = contents
        .values()
        .flat_map(|content| {
            let listed = content["src_commit_list"].as_array().into_iter().flatten();
            listed.chain([&content["oldest_commit"]])
        })
        .filter_map(|commit| Commit::parse(commit.as_str()?))
        .collect();
    let told: Vec<Commit> = told.into_iter().collect();
    let built = read.artifacts_of_commits(organization.no, &told).await?;
    Ok(approvals
        .iter()
        .map(|approval| {
            let content = contents.get(&(approval.entry, 0)).unwrap_or(&Value::Null);
            let environment = approval.environment.and_then(|no| environments.get(&no));
            let from = |commit: &Value| -> Vec<String> {
                let commit = commit.as_str().and_then(Commit::parse);
                let mut fingerprints: Vec<String> = Vec::new();
                for artifact in commit
                    .and_then(|commit| built.get(&commit))
                    .into_iter()
                    .flatten()
                {
                    let hex = artifact.fingerprint.to_hex();
                    if artifact.flow == approval.flow && !fingerprints.contains(&hex) {
                        fingerprints.push(hex);
                    }
                }
                fingerprints
            };
            let at = seconds(approval.at);
            ShownApproval {
                release_number: approval.no.0.into(),
                base_artifact: from(&content["oldest_commit"]).pop().unwrap_or_default(),
                artifact_name: filename(&known, approval.artifact),
                target_artifact: approval.fingerprint.to_hex(),
                description: text(&content["description"]),
                environment: environment.map(|environment| environment.name.clone()),
                state: approval.state.as_wire().to_owned(),
                src_commit_list: content["src_commit_list"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|commit| SourceCommit {
                        commit_sha: text(commit),
                        artifact_fingerprints: from(commit),
                    })
                    .collect(),
                approvals: content["approvals"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|review| Review {
                        state: text(&review["state"]),
                        comment: text(&review["comment"]),
                        approved_by: external(&review["approved_by"]),
                        approval_url: text(&review["approval_url"]),
                        timestamp: at,
                    })
                    .collect(),
                created_at: at,
                last_modified_at: at,
                user_data: content["user_data"].clone(),
            }
        })
        .collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn filename(known: &HashMap<ArtifactNo, Artifact>, no: ArtifactNo) -> String {
    known
        .get(&no)
        .map(|artifact| artifact.filename.clone())
        .unwrap_or_default()
}

async fn list_approvals(mut call: ReadCall) -> Answer {
    let window = window(&call)?;
    let flow = flow_of(&mut call).await?;
    let found = call
        .read
        .approvals(call.organization.no, flow.no, window)
        .await?;
    let shown = show_approvals(&mut call.read, &call.organization, &found).await?;
    answer::json(StatusCode::OK, &shown)
}

async fn get_approval(mut call: ReadCall) -> Answer {
    let flow = flow_of(&mut call).await?;
    let org = call.organization.no;
    let parts = std::sync::Arc::clone(&call.parts);
    let number = parts.param("number");
    let last = call.read.last_in(org, flow.no, Counted::Approval).await?;
    let found = match counted(number, "approval_number", last)? {
        Some(no) => call.read.approval(org, flow.no, ApprovalNo(no)).await?,
        None => None,
    };
    let found = found.ok_or_else(|| {
        AppError::missing(format!(
            "Approval number '{number}' does not exist in flow '{}' belonging to organization '{}'",
            parts.param("flow_name"),
            call.organization.name
        ))
    })?;
    let shown = show_approvals(&mut call.read, &call.organization, &[found]).await?;
    answer::json(StatusCode::OK, &shown.first())
}

async fn approved_commit(mut call: ReadCall) -> Answer {
    let flow = flow_of(&mut call).await?;
    let parts = std::sync::Arc::clone(&call.parts);
    let name = parts.param("env_name");
    let environment = live_environment(&mut call.read, &call.organization, name).await?;
    let commit = call
        .read
        .approved_commit(call.organization.no, flow.no, environment.no)
        .await?;
    let commit_sha = commit.map(|commit| commit.to_hex());
    answer::json(StatusCode::OK, &ApprovedCommit { commit_sha })
}

async fn approvals_of_artifact(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let flow = flow_of(&mut call).await?;
    let fingerprint = super::whole_fingerprint("fingerprint", parts.param("fingerprint"))?;
    let org = call.organization.no;
    let reports = call.read.provenance(org, &[fingerprint]).await?;
    if !reports
        .values()
        .flatten()
        .any(|report| report.flow == flow.no)
    {
        return Err(Refusal::ArtifactMissingInFlow(Box::new(MissingInFlow {
            fingerprint,
            flow: parts.param("flow_name").to_owned(),
            organization: call.organization.name.clone(),
        }))
        .into());
    }
    let mut found = call.read.approvals_of(org, &[fingerprint]).await?;
    let mut found = found.remove(&fingerprint).unwrap_or_default();
    found.retain(|approval| approval.flow == flow.no);
    let shown = show_approvals(&mut call.read, &call.organization, &found).await?;
    answer::json(StatusCode::OK, &shown)
}

async fn create_deployment(call: WriteCall) -> Answer {
    let flow = super::flow_name(call.parts.param("flow_name"))?;
    let given = provenance::create_deployment(&call.body)?;
    let report = ReportDeployment {
        flow: flow.as_str().to_owned(),
        fingerprint: given.fingerprint,
        environment: given.environment,
        content: json_text(given.told),
    };
    call.parts
        .app
        .report_deployment(call.caller, &call.organization, report)
        .await?;
    Ok(answer::ok(StatusCode::CREATED))
}

async fn list_deployments(mut call: ReadCall) -> Answer {
    let window = window(&call)?;
    let flow = flow_of(&mut call).await?;
    let found = call
        .read
        .deployments(call.organization.no, flow.no, window)
        .await?;
    let numbers = found.iter().map(|deployment| deployment.artifact);
    let known = artifacts(&mut call.read, &call.organization, numbers).await?;
    let named = found.iter().map(|deployment| deployment.environment);
    let environments = environments(&mut call.read, &call.organization, named).await?;
    let shown: Vec<AnnouncedDeploymentItem> = found
        .iter()
        .map(|deployment| AnnouncedDeploymentItem {
            deployment_id: deployment.no.0.into(),
            artifact_name: filename(&known, deployment.artifact),
            artifact_fingerprint: deployment.fingerprint.to_hex(),
            environment: environments
                .get(&deployment.environment)
                .map(|environment| environment.name.clone())
                .unwrap_or_default(),
            created_at: seconds(deployment.at),
        })
        .collect();
    answer::json(StatusCode::OK, &shown)
}

/// `/deployments/{org}/{x}/{y}`: an integer is an announced deployment of flow x, a fingerprint an
/// observed one in environment x.
async fn get_deployment(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let number = parts.param("number");
    if number.len() == FINGERPRINT_DIGITS
        && let Ok(fingerprint) = number.parse::<Fingerprint>()
    {
        return deployments::observed(call, parts.param("flow_name"), &fingerprint).await;
    }
    let flow = flow_of(&mut call).await?;
    let org = call.organization.no;
    let last = call.read.last_in(org, flow.no, Counted::Deployment).await?;
    let found = match counted(number, "deployment_number", last)? {
        Some(no) => call.read.deployment(org, flow.no, DeploymentNo(no)).await?,
        None => None,
    };
    let found = found.ok_or_else(|| {
        AppError::missing(format!(
            "Deployment number '{number}' does not exist in flow '{}' belonging to organization '{}'",
            parts.param("flow_name"),
            call.organization.name
        ))
    })?;
    let known = artifacts(
        &mut call.read,
        &call.organization,
        std::iter::once(found.artifact),
    )
    .await?;
    let environment = call.read.environment(org, found.environment).await?;
    let contents = json_contents(&mut call.read, &call.organization, &[(found.entry, 0)]).await?;
    let content = contents.get(&(found.entry, 0)).unwrap_or(&Value::Null);
    let mut lives = lives(&mut call.read, org, &[found.fingerprint]).await?;
    let life = lives.remove(&found.fingerprint).unwrap_or_default();
    // What goes to a logical environment runs in its members.
    let mut places = vec![found.environment];
    places.extend(environment.iter().flat_map(|logical| &logical.members));
    answer::json(
        StatusCode::OK,
        &AnnouncedDeployment {
            deployment_id: found.no.0.into(),
            artifact_name: filename(&known, found.artifact),
            artifact_fingerprint: found.fingerprint.to_hex(),
            environment: environment.map(|known| known.name).unwrap_or_default(),
            created_at: seconds(found.at),
            build_url: text(&content["build_url"]),
            running_state: running_state(&found, &life, &places),
        },
    )
}

/// What became of a deployment, by what ran in these environments.
fn running_state(deployment: &Deployment, life: &Life, places: &[EnvironmentNo]) -> RunningState {
    let (mut running, mut exited): (Option<Micros>, Option<Micros>) = (None, None);
    for place in places {
        let mut since = None;
        for happened in &life.happened {
            if happened.environment != *place {
                continue;
            }
            if happened.annotation.kind == AnnotationKind::Exited {
                since = None;
                exited = exited.max(Some(happened.at));
            } else if since.is_none() {
                since = Some(happened.at);
            }
        }
        running = running.max(since);
    }
    // What was gone before it was announced is still to come.
    let exited = exited.filter(|at| *at >= deployment.at);
    let (state, at) = match (running, exited) {
        (Some(at), _) => ("running", at),
        (None, Some(at)) => ("exited", at),
        (None, None) => ("deploying", deployment.at),
    };
    RunningState {
        state,
        timestamp: seconds(at),
    }
}
