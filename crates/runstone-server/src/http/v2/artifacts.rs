//! Artifacts (`api-flows.md` section 7).

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::http::{Method, StatusCode};
use runstone_api::artifact::{ArtifactListItem, ArtifactView, HistoryEvent, Place};
use runstone_api::{path, seconds};
use runstone_model::fact::{
    Artifact, EntryIndex, EnvironmentNo, Flow, FlowNo, Organization, Trail, TrailNo,
};
use runstone_model::id::{Fingerprint, Micros, Named, wire_id};
use runstone_model::provenance;
use runstone_model::role::Right;
use runstone_store::{Read, TrailReports};
use serde_json::{Value, json};

use super::attestations;
use super::flows::live_flow;
use super::legacy::Releases;
use super::lives::{Life, lives};
use super::trails::{commit_info, json_contents};
use crate::app::error::AppError;
use crate::app::told;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Artifacts";
const MISSING: (u16, &str) = (404, "There is no such flow or artifact.");
const INVALID: (u16, &str) = (400, "The request is not valid.");

const PER_PAGE: u64 = 15;
/// Most artifacts of a page.
const PER_PAGE_MAX: u64 = 500;
/// A commit or prefix leads to so many reports at most.
const FOUND_MAX: usize = 500;
/// Fewest digits of a prefix.
const DIGITS_MIN: usize = 5;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let paging = [
        param("page", Of::Integer, "Page, from 1."),
        param("per_page", Of::Integer, "Artifacts of a page."),
    ];
    vec![
        get(
            Right::Read,
            api("/artifacts/{org}"),
            docs(
                "list_artifacts",
                TAG,
                "List artifacts",
                Success::Many(shape::<ArtifactListItem>()),
                &[(200, "The artifacts, newest first."), INVALID, MISSING],
            )
            .query(paging)
            .query([
                param("flow_name", Of::Text, "Name of a flow."),
                param("repo_name", Of::Text, "Name of a repository."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/artifacts/{org}/{flow_name}"),
            docs(
                "list_artifacts_of_flow",
                TAG,
                "List artifacts of a flow, as older clients do",
                Success::Many(shape::<ArtifactListItem>()),
                &[(200, "The artifacts, newest first."), INVALID, MISSING],
            )
            .query(paging),
            list,
        ),
        write(
            Method::POST,
            Right::Attest,
            BodyBound::Form,
            api("/artifacts/{org}/{flow_name}"),
            docs(
                "create_artifact",
                TAG,
                "Report an artifact",
                Success::Ok,
                &[(201, "It is reported."), INVALID],
            )
            .about("A flow or trail that does not exist is made."),
            report,
        ),
        get(
            Right::Read,
            api("/artifacts/{org}/{flow_name}/fingerprint/{fingerprint}"),
            docs(
                "get_artifact_by_fingerprint",
                TAG,
                "Get an artifact by its fingerprint or the first digits of it",
                Success::One(shape::<ArtifactView>()),
                &[(200, "Its newest report."), INVALID, MISSING],
            )
            .query([
                param("trail", Of::Text, "Name of the trail it was reported to."),
                param("attestation_id", Of::Text, "Id of one report of it."),
            ]),
            by_fingerprint,
        ),
        get(
            Right::Read,
            api("/artifacts/{org}/{flow_name}/commit_sha/{commit_sha}"),
            docs(
                "get_artifact_by_commit_sha",
                TAG,
                "Get the artifacts built from a commit",
                Success::Many(shape::<ArtifactView>()),
                &[(200, "Their reports, newest first."), INVALID, MISSING],
            )
            .query([param(
                "trail",
                Of::Text,
                "Name of the trail they were reported to.",
            )]),
            by_commit,
        ),
        get(
            Right::Read,
            api("/artifacts/{org}/{flow_name}/{fingerprint}/latest_commit"),
            docs(
                "get_latest_artifact_commit",
                TAG,
                "Get the commit of the latest artifact of a flow",
                Success::Other("{\"latest_commit\": \"…\"} or null"),
                &[(200, "The commit, or null."), MISSING],
            )
            .query([param("branch", Of::Text, "On this branch.")]),
            latest_commit,
        ),
    ]
}

async fn report(call: WriteCall) -> Answer {
    let flow = super::flow_name(call.parts.param("flow_name"))?;
    let report = told::artifact(flow.as_str(), provenance::create_artifact(&call.body)?)?;
    call.parts
        .app
        .report_artifact(call.caller, &call.organization, report)
        .await?;
    Ok(answer::ok(StatusCode::CREATED))
}

/// Flows and trails of reports, and what is told in them.
pub(super) struct Around<'a> {
    organization: &'a Organization,
    origin: &'a str,
    flows: HashMap<FlowNo, Flow>,
    trails: HashMap<TrailNo, Trail>,
    reports: HashMap<TrailNo, TrailReports>,
    contents: HashMap<(EntryIndex, u32), Value>,
    releases: Releases,
}

impl<'a> Around<'a> {
    /// What these reports are shown with, set-wise.
    pub(super) async fn of(
        read: &mut Read,
        organization: &'a Organization,
        origin: &'a str,
        artifacts: &[Artifact],
    ) -> Result<Self, AppError> {
        let numbers: HashSet<TrailNo> = artifacts.iter().map(|artifact| artifact.trail).collect();
        let numbers: Vec<TrailNo> = numbers.into_iter().collect();
        let trails = read.trails(organization.no, &numbers).await?;
        let flows: HashSet<FlowNo> = trails.values().map(|trail| trail.flow).collect();
        let flows: Vec<FlowNo> = flows.into_iter().collect();
        let flows = read.flows_by_no(organization.no, &flows).await?;
        let reports = read
            .reports_of_trails(organization.no, trails.values())
            .await?;
        let mut places: Vec<(EntryIndex, u32)> = reports
            .values()
            .flat_map(|told| told.attestations.iter().map(|report| (report.entry, 0)))
            .collect();
        places.extend(artifacts.iter().map(|artifact| (artifact.entry, 0)));
        let contents = json_contents(read, organization, &places).await?;
        let fingerprints: HashSet<Fingerprint> = artifacts
            .iter()
            .map(|artifact| artifact.fingerprint)
            .collect();
        let fingerprints: Vec<Fingerprint> = fingerprints.into_iter().collect();
        let releases = Releases::of(read, organization, &fingerprints).await?;
        Ok(Self {
            organization,
            origin,
            flows,
            trails,
            reports,
            contents,
            releases,
        })
    }

    pub(super) fn flow_of(&self, artifact: &Artifact) -> Option<&Flow> {
        self.flows.get(&self.trails.get(&artifact.trail)?.flow)
    }

    /// When something was last reported about an artifact.
    fn modified_at(&self, artifact: &Artifact) -> Micros {
        self.attestations_of(artifact)
            .map(|attestation| attestation.at)
            .max()
            .map_or(artifact.at, |at| at.max(artifact.at))
    }

    /// Attestations bound to an artifact, oldest first.
    fn attestations_of<'s>(
        &'s self,
        artifact: &'s Artifact,
    ) -> impl Iterator<Item = &'s runstone_model::fact::Attestation> {
        self.reports
            .get(&artifact.trail)
            .into_iter()
            .flat_map(|reports| &reports.attestations)
            .filter(move |attestation| attestation.is_about(artifact))
    }

    pub(super) fn item(&self, artifact: &Artifact) -> Option<ArtifactListItem> {
        let (organization, origin) = (self.organization, self.origin);
        let trail = self.trails.get(&artifact.trail)?;
        let flow = self.flows.get(&trail.flow)?;
        let content = self.contents.get(&(artifact.entry, 0));
        let told = |name: &str| content.map(|content| content[name].clone());
        let text = |name: &str| {
            content
                .and_then(|content| content[name].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let id = wire_id(Named::Artifact, &organization.id, artifact.no.0);
        let hex = artifact.fingerprint.to_hex();
        let mut evidence = BTreeMap::new();
        for attestation in self.attestations_of(artifact) {
            let content = self.contents.get(&(attestation.entry, 0));
            let shown = attestations::object(
                organization,
                origin,
                flow,
                trail,
                attestation,
                content,
                None,
            );
            evidence.insert(attestation.name.clone(), shown);
        }
        Some(ArtifactListItem {
            html_url: path::artifact_html(origin, &organization.name, &flow.name, &hex, &id),
            api_url: path::artifact_api(origin, &organization.name, &flow.name, &hex),
            id,
            fingerprint: hex,
            filename: artifact.filename.clone(),
            created_at: seconds(artifact.at),
            last_modified_at: seconds(self.modified_at(artifact)),
            trail_name: (!trail.implicit).then(|| trail.name.clone()),
            template_reference_name: artifact.name.clone(),
            git_commit: artifact
                .commit
                .map_or_else(|| "0".repeat(40), |commit| commit.to_hex()),
            git_commit_info: content
                .map(|content| commit_info(Some(&content["git_commit_info"])))
                .filter(|info| !info.is_null()),
            repo_info: told("repo_info").filter(|info| !info.is_null()),
            commit_url: text("commit_url"),
            build_url: text("build_url"),
            repo_url: text("repo_url"),
            user_data: told("user_data").unwrap_or_default(),
            external_urls: told("external_urls").filter(|urls| !urls.is_null()),
            annotations: told("annotations").filter(|annotations| !annotations.is_null()),
            state: artifact.state.as_wire().to_owned(),
            evidence,
            deployments: self
                .releases
                .deployments(artifact.flow, artifact.fingerprint)
                .map(|deployment| deployment.no.0.into())
                .collect(),
            releases: Vec::new(),
        })
    }

    /// What happened to an artifact, oldest first. Evidence that came after it was first deployed
    /// or ran is marked.
    pub(super) fn history(&self, artifact: &Artifact, life: &Life) -> Vec<HistoryEvent> {
        let created = match &artifact.name {
            Some(name) => format!("{name} reported"),
            None => "Artifact created".to_owned(),
        };
        let (flow, fingerprint) = (artifact.flow, artifact.fingerprint);
        let is_late = |at: Micros, environment: Option<EnvironmentNo>| {
            self.releases
                .first_use(fingerprint, Some(life), environment)
                .is_some_and(|first| at > first)
        };
        let mut history = vec![(artifact.at, created, false)];
        for attestation in self.attestations_of(artifact) {
            let text = format!("{} evidence received", attestation.name);
            history.push((attestation.at, text, is_late(attestation.at, None)));
        }
        for approval in self.releases.approvals(flow, fingerprint) {
            let environment = approval.environment;
            let name = environment.map(|no| self.releases.environment_name(no));
            let late = is_late(approval.at, environment);
            history.push((approval.at, approval.history(name), late));
        }
        for deployment in self.releases.deployments(flow, fingerprint) {
            let name = self.releases.environment_name(deployment.environment);
            history.push((deployment.at, deployment.history(name), false));
        }
        for happened in &life.happened {
            history.push((happened.at, happened.text.clone(), false));
        }
        history.sort_by_key(|(at, ..)| *at);
        history
            .into_iter()
            .map(|(at, event, late)| HistoryEvent {
                event,
                timestamp: seconds(at),
                late,
            })
            .collect()
    }

    fn view(&self, artifact: &Artifact, life: &Life) -> Option<ArtifactView> {
        let item = self.item(artifact)?;
        let flow = self.flow_of(artifact)?;
        let state = &self.reports.get(&artifact.trail)?.state;
        let demanded = state.template().demanded_of(artifact.name.as_deref());
        let missing: Vec<&str> = state
            .artifact_status(artifact.name.as_deref(), artifact.fingerprint)
            .into_iter()
            .flat_map(|status| status.attestations)
            .filter(|status| status.report.is_none_or(|(_, compliant)| !compliant))
            .map(|status| status.name)
            .collect();
        let place = |(environment_name, snapshot_index): &(String, u64)| Place {
            environment_name: environment_name.clone(),
            snapshot_index: *snapshot_index,
        };
        let lead_times = |since: Option<Micros>| -> BTreeMap<String, f64> {
            let mut times = BTreeMap::new();
            for happened in &life.happened {
                if happened.annotation.was == 0
                    && let Some(since) = since
                {
                    times
                        .entry(happened.environment_name.clone())
                        .or_insert(seconds(happened.at) - seconds(since));
                }
            }
            times
        };
        let committed_at = item
            .git_commit_info
            .as_ref()
            .and_then(|info| info["timestamp"].as_f64())
            .filter(|at| *at > 0.0)
            .map(Micros::from_seconds);
        Some(ArtifactView {
            history: self.history(artifact, life),
            running: life.running.iter().map(place).collect(),
            exited: life.exited.iter().map(place).collect(),
            template: demanded.iter().map(|slot| slot.name.clone()).collect(),
            state_info: if missing.is_empty() {
                String::new()
            } else {
                format!("missing or not compliant: {}", missing.join(", "))
            },
            commit_lead_times: lead_times(committed_at),
            build_lead_times: lead_times(Some(artifact.at)),
            flow_name: flow.name.clone(),
            git_commit: artifact
                .commit
                .map_or_else(String::new, |commit| commit.to_hex()),
            approvals: self
                .releases
                .approvals(artifact.flow, artifact.fingerprint)
                .map(|approval| approval.no.0.into())
                .collect(),
            deployments: item.deployments,
            evidence: item.evidence,
            id: item.id,
            fingerprint: item.fingerprint,
            filename: item.filename,
            created_at: item.created_at,
            last_modified_at: item.last_modified_at,
            trail_name: item.trail_name,
            template_reference_name: item.template_reference_name,
            git_commit_info: item.git_commit_info,
            repo_info: item.repo_info,
            commit_url: item.commit_url,
            build_url: item.build_url,
            repo_url: item.repo_url,
            html_url: item.html_url,
            api_url: item.api_url,
            user_data: item.user_data,
            external_urls: item.external_urls,
            annotations: item.annotations,
            state: item.state,
        })
    }
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    check.finish()?;
    let (page, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PER_PAGE));
    let org = call.organization.no;
    let named = match call.parts.param("flow_name") {
        "" => query.filled("flow_name"),
        name => Some(name),
    };
    let flow = match named {
        Some(name) => Some(
            live_flow(&mut call.read, &call.organization, name)
                .await?
                .no,
        ),
        None => None,
    };
    let repo = match query.filled("repo_name").filter(|_| flow.is_none()) {
        None => None,
        Some(name) => {
            let repos = call.read.repos(org).await?;
            let known = repos
                .iter()
                .filter(|repo| repo.name == name)
                .max_by_key(|repo| repo.no);
            let known =
                known.ok_or_else(|| AppError::missing(format!("Repo '{name}' not found")))?;
            Some(known.no)
        }
    };
    let window = ((page - 1).saturating_mul(per_page), per_page);
    let artifacts = call.read.artifacts(org, flow, repo, window).await?;
    let origin = call.parts.origin();
    let around = Around::of(&mut call.read, &call.organization, &origin, &artifacts).await?;
    let items: Vec<ArtifactListItem> = artifacts
        .iter()
        .filter_map(|artifact| around.item(artifact))
        .collect();
    answer::json(StatusCode::OK, &items)
}

/// Reports in a flow that a prefix leads to.
async fn in_flow(
    call: &mut ReadCall,
    flow: &Flow,
    found: Vec<Artifact>,
) -> Result<Vec<Artifact>, AppError> {
    let numbers: Vec<TrailNo> = found.iter().map(|artifact| artifact.trail).collect();
    let trails = call.read.trails(call.organization.no, &numbers).await?;
    let query = call.parts.query();
    let wanted = query.filled("trail");
    let id = query.filled("attestation_id");
    Ok(found
        .into_iter()
        .filter(|artifact| {
            trails.get(&artifact.trail).is_some_and(|trail| {
                trail.flow == flow.no && wanted.is_none_or(|name| trail.name == name)
            })
        })
        .filter(|artifact| {
            id.is_none_or(|id| wire_id(Named::Artifact, &call.organization.id, artifact.no.0) == id)
        })
        .collect())
}

/// The digits of a prefix in a path.
pub(super) fn digits<'t>(path: &str, text: &'t str, most: usize) -> Result<&'t str, AppError> {
    let is_hex = text
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && (DIGITS_MIN..=most).contains(&text.len()) {
        return Ok(text);
    }
    let message = format!("String should match pattern '^[a-f0-9]{{{DIGITS_MIN},{most}}}$'");
    Err(runstone_model::read::FieldErrors::one(path, &message, text).into())
}

pub(super) async fn views(
    call: &mut ReadCall,
    artifacts: &[Artifact],
) -> Result<Vec<ArtifactView>, AppError> {
    let origin = call.parts.origin();
    let around = Around::of(&mut call.read, &call.organization, &origin, artifacts).await?;
    let fingerprints: HashSet<Fingerprint> = artifacts
        .iter()
        .map(|artifact| artifact.fingerprint)
        .collect();
    let fingerprints: Vec<Fingerprint> = fingerprints.into_iter().collect();
    let lives = lives(&mut call.read, call.organization.no, &fingerprints).await?;
    let none = Life::default();
    Ok(artifacts
        .iter()
        .filter_map(|artifact| {
            around.view(artifact, lives.get(&artifact.fingerprint).unwrap_or(&none))
        })
        .collect())
}

/// Reports in a flow whose fingerprint begins with these digits, newest first.
pub(super) async fn found_in_flow(
    call: &mut ReadCall,
    flow: &Flow,
    prefix: &str,
) -> Result<Vec<Artifact>, AppError> {
    let found = call
        .read
        .artifacts_by_prefix(call.organization.no, prefix, FOUND_MAX)
        .await?;
    in_flow(call, flow, found).await
}

async fn by_fingerprint(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let name = parts.param("flow_name");
    let flow = live_flow(&mut call.read, &call.organization, name).await?;
    let prefix = digits("fingerprint", parts.param("fingerprint"), 64)?;
    let mut found = found_in_flow(&mut call, &flow, prefix).await?;
    found.truncate(1);
    let view = views(&mut call, &found).await?.pop().ok_or_else(|| {
        AppError::missing(format!(
            "Artifact with fingerprint '{prefix}' does not exist in flow '{name}' belonging to organization '{}'",
            call.organization.name
        ))
    })?;
    answer::json(StatusCode::OK, &view)
}

async fn by_commit(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let name = parts.param("flow_name");
    let flow = live_flow(&mut call.read, &call.organization, name).await?;
    let prefix = digits("commit_sha", parts.param("commit_sha"), 40)?;
    let found = call
        .read
        .artifacts_by_commit(call.organization.no, prefix, FOUND_MAX)
        .await?;
    let mut found = in_flow(&mut call, &flow, found).await?;
    // One view for each artifact: its newest report.
    let mut seen = HashSet::new();
    found.retain(|artifact| {
        seen.insert((artifact.fingerprint, artifact.trail, artifact.name.clone()))
    });
    if found.is_empty() {
        return Err(AppError::missing(format!(
            "Artifacts with commit '{prefix}' do not exist in flow '{name}' belonging to organization '{}'",
            call.organization.name
        )));
    }
    let views = views(&mut call, &found).await?;
    answer::json(StatusCode::OK, &views)
}

async fn latest_commit(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let flow = live_flow(&mut call.read, &call.organization, parts.param("flow_name")).await?;
    let query = parts.query();
    let branch = query.filled("branch");
    let artifacts = call
        .read
        .artifacts(
            call.organization.no,
            Some(flow.no),
            None,
            (0, FOUND_MAX as u64),
        )
        .await?;
    let places: Vec<(EntryIndex, u32)> = artifacts
        .iter()
        .map(|artifact| (artifact.entry, 0))
        .collect();
    let contents = json_contents(&mut call.read, &call.organization, &places).await?;
    let latest = artifacts
        .iter()
        .filter(|artifact| artifact.commit.is_some())
        .find(|artifact| {
            branch.is_none_or(|branch| {
                contents
                    .get(&(artifact.entry, 0))
                    .is_some_and(|content| content["git_commit_info"]["branch"] == branch)
            })
        })
        .and_then(|artifact| artifact.commit);
    let latest = latest.map(|commit| commit.to_hex());
    answer::json(StatusCode::OK, &json!({"latest_commit": latest}))
}
