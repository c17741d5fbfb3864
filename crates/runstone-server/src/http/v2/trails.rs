//! Trails (`api-flows.md` section 5).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::{Method, StatusCode};
use runstone_api::paging::Page;
use runstone_api::trail::{FlowOfTrail, PutTrail as PutParts, Trail as Shown, TrailPage};
use runstone_api::{path, seconds};
use runstone_model::annotation::AnnotationKind;
use runstone_model::compliance::Ids;
use runstone_model::event::{Actor, TemplateText};
use runstone_model::fact::{
    Approval, Artifact, Attestation, EntryIndex, Flow, FlowNo, Member, Organization, Repo, RepoNo,
    Telling, Trail,
};
use runstone_model::id::{Fingerprint, Micros, Named, wire_id};
use runstone_model::provenance;
use runstone_model::role::Right;
use runstone_model::template::{FILE_PART, TEXT_BYTES_MAX};
use runstone_store::{Read, TrailReports};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Names;
use super::flows::{created_or_ok, live_flow, pagination};
use super::legacy::{Releases, reviewer};
use super::lives::lives;
use crate::app::error::AppError;
use crate::app::told;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::multipart;
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Trails";
const MISSING: (u16, &str) = (404, "There is no such flow or trail.");
const INVALID: (u16, &str) = (400, "The request is not valid.");

/// Most trails of a page, and how many a page has if that is not said.
const PER_PAGE_MAX: u64 = 100;
const PER_PAGE: u64 = 20;
/// A list without pages tells so many trails.
const UNPAGED_MAX: u64 = 10_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let paging = [
        param("page", Of::Integer, "Page, from 1."),
        param("per_page", Of::Integer, "Trails of a page, at most 100."),
    ];
    vec![
        get(
            Right::Read,
            api("/trails/{org}"),
            docs(
                "list_trails_for_org",
                TAG,
                "List trails",
                Success::One(shape::<TrailPage>()),
                &[(200, "A page of trails, newest first."), INVALID],
            )
            .query(paging)
            .query([
                param("flow", Of::Text, "Name of a flow."),
                param("flow_tag", Of::Text, "key=value of a tag of the flow."),
                param("fingerprint", Of::Text, "Of an artifact of the trail."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/trails/{org}/{flow_name}"),
            docs(
                "list_trails",
                TAG,
                "List trails of a flow",
                Success::ManyOrPage(shape::<Shown>(), shape::<TrailPage>()),
                &[
                    (200, "The trails, newest first; with per_page a page."),
                    INVALID,
                    MISSING,
                ],
            )
            .query(paging),
            list_of_flow,
        ),
        write(
            Method::PUT,
            Right::Attest,
            BodyBound::Form,
            api("/trails/{org}/{flow_name}"),
            docs(
                "create_trail",
                TAG,
                "Begin a trail, or tell more of it",
                Success::Ok,
                &[
                    (200, "It was there and was told of."),
                    (201, "It has begun."),
                    INVALID,
                ],
            )
            .about("A flow that does not exist is made.")
            .body(shape::<PutParts>()),
            put,
        ),
        get(
            Right::Read,
            api("/trails/{org}/{flow_name}/{trail_name}"),
            docs(
                "get_trail",
                TAG,
                "Get a trail",
                Success::One(shape::<Shown>()),
                &[(200, "The trail."), MISSING],
            ),
            get_one,
        ),
    ]
}

/// The wire's ids of numbers in an organization.
pub(super) struct WireIds<'o>(pub(super) &'o Organization);

impl Ids for WireIds<'_> {
    fn template(&self, no: u32) -> String {
        wire_id(Named::Template, &self.0.id, no)
    }

    fn artifact(&self, no: u32) -> String {
        wire_id(Named::Artifact, &self.0.id, no)
    }

    fn attestation(&self, no: u32) -> String {
        wire_id(Named::Attestation, &self.0.id, no)
    }
}

/// JSON that is written already, as a value.
pub(super) fn raw(text: String) -> Result<Box<RawValue>, AppError> {
    RawValue::from_string(text)
        .map_err(|error| AppError::Internal(format!("an answer cannot be written: {error}")))
}

/// Id of whoever caused an entry.
pub(super) fn principal_id(organization: &Organization, actor: &Actor) -> String {
    let (home, no) = match actor {
        Actor::User(no) => ("_server", no.0),
        Actor::Account(no) => (organization.id.as_str(), no.0),
        Actor::System(_) => ("_system", 0),
    };
    wire_id(Named::Principal, home, no)
}

/// What is known of a commit, with the members that clients take for granted.
pub(super) fn commit_info(told: Option<&Value>) -> Value {
    let Some(Value::Object(told)) = told else {
        return Value::Null;
    };
    let mut shown = Map::new();
    for (name, absent) in [
        ("sha1", json!("")),
        ("message", json!("")),
        ("author", json!("")),
        ("branch", json!("")),
        ("timestamp", json!(0)),
        ("url", json!("")),
    ] {
        let value = told.get(name).filter(|value| !value.is_null());
        shown.insert(name.to_owned(), value.cloned().unwrap_or(absent));
    }
    Value::Object(shown)
}

/// The same in events, which show every member.
fn commit_in_event(told: Option<&Value>) -> Value {
    let mut shown = commit_info(told);
    if let (Value::Object(shown), Some(told)) = (&mut shown, told) {
        for name in ["author_username", "parents", "verified", "signature_state"] {
            shown.insert(name.to_owned(), told[name].clone());
        }
    }
    shown
}

/// A repository in events.
fn repo_in_event(organization: &Organization, repo: &Repo, told: Micros) -> Value {
    let facts: Value = serde_json::from_str(&repo.facts).unwrap_or_default();
    json!({
        "inner_id": wire_id(Named::Repo, &organization.id, repo.no.0),
        "org_id": wire_id(Named::Organization, &organization.id, 0),
        "repo_id": repo.id,
        "name": repo.name,
        "url": facts["url"],
        "provider": repo.provider,
        "description": null,
        "created_at": seconds(repo.created_at),
        "last_modified_at": seconds(told),
        "vcs_instance": repo.host(),
        "namespace_path": facts["namespace_path"],
        "additional_info": facts["additional_info"],
        "tags": repo.tags,
    })
}

/// Everything that one trail's answer is made of.
struct Parts<'a> {
    organization: &'a Organization,
    flow: &'a Flow,
    trail: &'a Trail,
    reports: &'a TrailReports,
    /// What private bodies hold, as JSON.
    contents: &'a HashMap<(EntryIndex, u32), Value>,
    repos: HashMap<RepoNo, Repo>,
    releases: Releases,
}

/// Private bodies as JSON; what was erased is missing.
pub(super) async fn json_contents(
    read: &mut Read,
    organization: &Organization,
    places: &[(EntryIndex, u32)],
) -> Result<HashMap<(EntryIndex, u32), Value>, AppError> {
    Ok(read
        .contents(organization.no, places)
        .await?
        .into_iter()
        .filter_map(|(place, content)| {
            let value = serde_json::from_str(&content.json?).ok()?;
            Some((place, value))
        })
        .collect())
}

impl Parts<'_> {
    fn member(&self, member: Member) -> Option<&Value> {
        self.contents.get(self.trail.members.get(&member)?)
    }

    /// What every event of the trail shows.
    fn event(
        &self,
        at: Micros,
        kind: &str,
        commit: Option<&Value>,
        repo: Option<RepoNo>,
    ) -> Map<String, Value> {
        let id = &self.organization.id;
        let repo = repo
            .and_then(|repo| self.repos.get(&repo))
            .map(|repo| repo_in_event(self.organization, repo, at));
        let mut event = Map::new();
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("org_id", wire_id(Named::Organization, id, 0).into());
        put("flow_id", wire_id(Named::Flow, id, self.flow.no.0).into());
        put(
            "trail_id",
            wire_id(Named::Trail, id, self.trail.no.0).into(),
        );
        put("timestamp", seconds(at).into());
        put("type", kind.into());
        put("git_commit_info", commit_in_event(commit));
        put("repo_info", repo.unwrap_or_default());
        event
    }

    fn telling(&self, telling: &Telling) -> Value {
        let id = &self.organization.id;
        let told = |member: Member| -> Option<&Value> {
            let position = telling.members.get(&member)?;
            self.contents.get(&(telling.entry, *position))
        };
        let commit = told(Member::GitCommitInfo);
        let by = principal_id(self.organization, &telling.by);
        let is_first = telling.changes.is_none();
        let mut data = Map::new();
        if is_first {
            data.insert(
                "org_id".to_owned(),
                wire_id(Named::Organization, id, 0).into(),
            );
            data.insert(
                "flow_id".to_owned(),
                wire_id(Named::Flow, id, self.flow.no.0).into(),
            );
            data.insert("name".to_owned(), self.trail.name.clone().into());
            data.insert("creating_user_id".to_owned(), by.clone().into());
        }
        if is_first || telling.members.contains_key(&Member::Description) {
            let text = told(Member::Description).cloned();
            data.insert("description".to_owned(), text.unwrap_or_else(|| "".into()));
        }
        if is_first || telling.members.contains_key(&Member::GitCommitInfo) {
            data.insert("git_commit_info".to_owned(), commit_info(commit));
        }
        if let Some(template) = telling.template {
            let template = wire_id(Named::Template, id, template.0);
            data.insert("template_id".to_owned(), template.into());
        }
        if is_first || telling.members.contains_key(&Member::OriginUrl) {
            let url = told(Member::OriginUrl).cloned().unwrap_or_default();
            data.insert("origin_url".to_owned(), url);
        }
        if is_first || telling.members.contains_key(&Member::UserData) {
            let text = told(Member::UserData).map_or("{}".to_owned(), Value::to_string);
            data.insert("user_data".to_owned(), text.into());
        }
        if is_first || telling.repo.is_some() {
            let repos: Vec<String> = telling
                .repo
                .iter()
                .map(|repo| wire_id(Named::Repo, id, repo.0))
                .collect();
            data.insert("repo_ids".to_owned(), repos.into());
        }
        let kind = if is_first {
            "trail_reported"
        } else {
            "trail_updated"
        };
        let mut event = self.event(
            telling.at,
            kind,
            commit.or_else(|| self.member(Member::GitCommitInfo)),
            telling.repo,
        );
        event.insert("setting_user_id".to_owned(), by.into());
        event.insert("trail_data_json".to_owned(), Value::Object(data));
        if let Some(changes) = &telling.changes {
            event.insert("changes".to_owned(), changes.clone().into());
        }
        Value::Object(event)
    }

    fn artifact(&self, artifact: &Artifact) -> Value {
        let content = self.contents.get(&(artifact.entry, 0));
        let mut event = self.event(
            artifact.at,
            "artifact_creation_reported",
            content.map(|content| &content["git_commit_info"]),
            artifact.repo,
        );
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("artifact_fingerprint", artifact.fingerprint.to_hex().into());
        put("artifact_name", artifact.filename.clone().into());
        let id = wire_id(Named::Artifact, &self.organization.id, artifact.no.0);
        put("artifact_id", id.into());
        put("template_reference_name", artifact.name.clone().into());
        let commit = artifact.commit.map(|commit| commit.to_hex());
        put("git_commit", commit.into());
        Value::Object(event)
    }

    fn attestation(&self, attestation: &Attestation) -> Value {
        let content = self.contents.get(&(attestation.entry, 0));
        let artifact = attestation.fingerprint.and_then(|fingerprint| {
            self.reports
                .artifacts
                .iter()
                .rev()
                .find(|artifact| artifact.fingerprint == fingerprint)
        });
        let kind = match (attestation.fingerprint, attestation.targets.is_empty()) {
            (Some(_), _) => "artifact_attestation_reported",
            (None, false) => "trail_attestation_for_artifact_reported",
            (None, true) => "trail_attestation_reported",
        };
        let mut event = self.event(
            attestation.at,
            kind,
            content.map(|content| &content["git_commit_info"]),
            attestation.repo,
        );
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("attestation_type", attestation.kind.clone().into());
        put("is_compliant", attestation.is_compliant.into());
        let id = wire_id(Named::Attestation, &self.organization.id, attestation.no.0);
        put("attestation_id", id.into());
        put("template_reference_name", attestation.name.clone().into());
        put("is_reattestation", Value::Null);
        if let Some(fingerprint) = attestation.fingerprint {
            put("artifact_fingerprint", fingerprint.to_hex().into());
            let name = artifact.map(|artifact| artifact.filename.clone());
            put("artifact_name", name.into());
        }
        if kind != "trail_attestation_reported" {
            let target = attestation
                .targets
                .first()
                .cloned()
                .or_else(|| artifact.and_then(|artifact| artifact.name.clone()));
            put("target_artifact", target.into());
        }
        Value::Object(event)
    }

    /// Approvals of the trail's artifacts.
    fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.fingerprints()
            .into_iter()
            .flat_map(|fingerprint| self.releases.approvals(self.flow.no, fingerprint))
            .filter(|approval| approval.trail == self.trail.no)
    }

    fn approval(&self, approval: &Approval) -> Value {
        let content = self.contents.get(&(approval.entry, 0));
        let reported = self
            .reports
            .artifacts
            .iter()
            .find(|artifact| artifact.no == approval.artifact);
        let built_from = reported
            .and_then(|artifact| self.contents.get(&(artifact.entry, 0)))
            .map(|content| &content["git_commit_info"]);
        let repo = reported.and_then(|artifact| artifact.repo);
        let mut event = self.event(approval.at, "artifact_approval_reported", built_from, repo);
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        let id = &self.organization.id;
        // Approvals are numbered within their flow.
        let in_flow = format!("{id}/{}", approval.flow.0);
        put("artifact_fingerprint", approval.fingerprint.to_hex().into());
        put(
            "approval_id",
            wire_id(Named::Approval, &in_flow, approval.no.0).into(),
        );
        put("approval_number", approval.no.0.into());
        let environment = approval
            .environment
            .map(|no| wire_id(Named::Environment, id, no.0));
        put("environment_id", environment.into());
        put("state", approval.state.as_wire().into());
        put("reviewer", reviewer(content).into());
        Value::Object(event)
    }

    fn fingerprints(&self) -> BTreeSet<Fingerprint> {
        self.reports
            .artifacts
            .iter()
            .map(|artifact| artifact.fingerprint)
            .collect()
    }

    /// Everything that happened, oldest first.
    async fn events(&self, read: &mut Read, tellings: &[Telling]) -> Result<Vec<Value>, AppError> {
        let mut events: Vec<(Micros, Value)> = Vec::new();
        for telling in tellings {
            events.push((telling.at, self.telling(telling)));
        }
        for artifact in &self.reports.artifacts {
            events.push((artifact.at, self.artifact(artifact)));
        }
        for approval in self.approvals() {
            events.push((approval.at, self.approval(approval)));
        }
        let mut names = BTreeMap::new();
        for artifact in &self.reports.artifacts {
            names.insert(artifact.fingerprint, artifact.name.clone());
        }
        let fingerprints: Vec<_> = names.keys().copied().collect();
        let lives = if fingerprints.is_empty() {
            HashMap::new()
        } else {
            lives(read, self.organization.no, &fingerprints).await?
        };
        for attestation in &self.reports.attestations {
            let mut event = self.attestation(attestation);
            // It came after an artifact that it is about was first deployed or ran.
            let mut about = self.reports.artifacts.iter();
            let is_late = about.any(|artifact| {
                let (fingerprint, life) = (artifact.fingerprint, lives.get(&artifact.fingerprint));
                attestation.is_about(artifact)
                    && self
                        .releases
                        .first_use(fingerprint, life, None)
                        .is_some_and(|first| attestation.at > first)
            });
            if let (true, Value::Object(event)) = (is_late, &mut event) {
                event.insert("late".to_owned(), true.into());
            }
            events.push((attestation.at, event));
        }
        for (fingerprint, life) in &lives {
            for happened in &life.happened {
                let kind = match happened.annotation.kind {
                    AnnotationKind::Exited => "artifact_stopped_running",
                    AnnotationKind::Scaled => continue,
                    _ => "artifact_started_running",
                };
                let mut event = self.event(happened.at, kind, None, None);
                let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
                put("artifact_fingerprint", fingerprint.to_hex().into());
                let environment = wire_id(
                    Named::Environment,
                    &self.organization.id,
                    happened.environment.0,
                );
                put("environment_id", environment.into());
                put("environment_name", happened.environment_name.clone().into());
                put("snapshot_index", happened.snapshot.into());
                if happened.annotation.kind != AnnotationKind::Exited {
                    put("replica_number", happened.annotation.now.into());
                }
                put("template_reference_name", names[fingerprint].clone().into());
                events.push((happened.at, Value::Object(event)));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }
}

/// Where what a trail was told stands.
fn places_of(trail: &Trail) -> impl Iterator<Item = (EntryIndex, u32)> + '_ {
    trail.members.values().copied()
}

/// The JSON of a trail with its events.
pub(super) async fn show(
    read: &mut Read,
    organization: &Organization,
    origin: &str,
    flow: &Flow,
    trail: &Trail,
) -> Result<Shown, AppError> {
    let reports = read.trail_reports(trail).await?;
    let tellings = read.tellings(trail).await?;
    let mut places: Vec<(EntryIndex, u32)> = places_of(trail).collect();
    for telling in &tellings {
        places.extend(telling.members.values().map(|at| (telling.entry, *at)));
    }
    let artifacts = reports.artifacts.iter().map(|artifact| artifact.entry);
    let attestations = reports.attestations.iter().map(|report| report.entry);
    places.extend(artifacts.chain(attestations).map(|entry| (entry, 0)));
    let told = reports.artifacts.iter();
    let fingerprints: BTreeSet<Fingerprint> = told.map(|artifact| artifact.fingerprint).collect();
    let fingerprints: Vec<Fingerprint> = fingerprints.into_iter().collect();
    let releases = Releases::of(read, organization, &fingerprints).await?;
    for fingerprint in fingerprints {
        let approvals = releases.approvals(flow.no, fingerprint);
        places.extend(approvals.map(|approval| (approval.entry, 0)));
    }
    let contents = json_contents(read, organization, &places).await?;
    let template = read.template(organization.no, trail.template).await?;
    let created_by = read.name_of(organization.no, &trail.created_by).await?;
    let parts = Parts {
        organization,
        flow,
        trail,
        reports: &reports,
        contents: &contents,
        repos: read.repos_by_no(organization.no, &trail.repos).await?,
        releases,
    };
    let events = parts.events(read, &tellings).await?;
    parts.shown(origin, &template, created_by, Some(events))
}

impl Parts<'_> {
    fn shown(
        &self,
        origin: &str,
        template: &TemplateText,
        created_by: String,
        events: Option<Vec<Value>>,
    ) -> Result<Shown, AppError> {
        let (organization, flow, trail, reports) =
            (self.organization, self.flow, self.trail, self.reports);
        let content = match template {
            TemplateText::Yaml(text) => text.clone(),
            TemplateText::Names(names) => json!(names).to_string(),
        };
        let last = reports
            .artifacts
            .iter()
            .map(|artifact| artifact.at)
            .chain(reports.attestations.iter().map(|report| report.at))
            .max();
        let told = self.member(Member::GitCommitInfo);
        Ok(Shown {
            name: trail.name.clone(),
            description: self
                .member(Member::Description)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            git_commit_info: told.map(|told| commit_info(Some(told))),
            origin_url: self
                .member(Member::OriginUrl)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            user_data: self
                .member(Member::UserData)
                .cloned()
                .unwrap_or_else(|| json!({})),
            repo_ids: trail
                .repos
                .iter()
                .map(|repo| wire_id(Named::Repo, &organization.id, repo.0))
                .collect(),
            created_at: seconds(trail.created_at),
            last_modified_at: seconds(trail.modified_at.max(last.unwrap_or_default())),
            created_by,
            compliance_status: raw(reports.state.status().to_json(&WireIds(organization)))?,
            compliance_state: trail.state.as_wire().to_owned(),
            is_compliant: trail.state.is_compliant(),
            template: reports.state.template().view(&content),
            events,
            flow: FlowOfTrail {
                name: flow.name.clone(),
                tags: flow.tags.clone(),
            },
            external_urls: self.member(Member::ExternalUrls).cloned(),
            html_url: path::trail_html(origin, &organization.name, &flow.name, &trail.name),
        })
    }
}

async fn put(call: WriteCall) -> Answer {
    let form = multipart::read(&call.parts.headers, call.body, FILE_PART, TEXT_BYTES_MAX).await?;
    let flow = super::flow_name(call.parts.param("flow_name"))?;
    let mut put = told::trail(flow.as_str(), provenance::create_trail(&form.data)?)?;
    put.template = form
        .file
        .map(|file| super::given_template(&file.bytes))
        .transpose()
        .map_err(|errors| AppError::bad(errors.for_trail()))?;
    let reply = call
        .parts
        .app
        .put_trail(call.caller, &call.organization, put)
        .await?;
    Ok(answer::ok(created_or_ok(&reply)))
}

/// A trail of a live flow, by their names.
pub(super) async fn trail_of(
    read: &mut Read,
    organization: &Organization,
    flow: &str,
    trail: &str,
) -> Result<(Flow, Trail), AppError> {
    let known = live_flow(read, organization, flow).await?;
    let found = read
        .trail_named(organization.no, known.no, trail)
        .await?
        .filter(|trail| !trail.implicit)
        .ok_or_else(|| {
            AppError::missing(format!(
                "Trail with name '{trail}' does not exist for Organization '{}' and Flow '{flow}'",
                organization.name
            ))
        })?;
    Ok((known, found))
}

async fn get_one(mut call: ReadCall) -> Answer {
    let (flow, trail) = trail_of(
        &mut call.read,
        &call.organization,
        call.parts.param("flow_name"),
        call.parts.param("trail_name"),
    )
    .await?;
    let origin = call.parts.origin();
    let shown = show(&mut call.read, &call.organization, &origin, &flow, &trail).await?;
    answer::json(StatusCode::OK, &shown)
}

/// Trails without their events, in the order given: a few statements, however many there are.
async fn show_all(call: &mut ReadCall, trails: &[Trail]) -> Result<Vec<Shown>, AppError> {
    let organization = &call.organization;
    let (origin, read) = (call.parts.origin(), &mut call.read);
    let flows: BTreeSet<FlowNo> = trails.iter().map(|trail| trail.flow).collect();
    let flows: Vec<FlowNo> = flows.into_iter().collect();
    let flows = read.flows_by_no(organization.no, &flows).await?;
    let reports = read.reports_of_trails(organization.no, trails).await?;
    let templates = trails.iter().map(|trail| trail.template);
    let templates = read.templates(organization.no, templates).await?;
    let places: Vec<_> = trails.iter().flat_map(places_of).collect();
    let contents = json_contents(read, organization, &places).await?;
    let mut names = Names::default();
    let mut shown = Vec::with_capacity(trails.len());
    for trail in trails {
        let created_by = names.of(read, organization, &trail.created_by).await?;
        let (Some(flow), Some(reports), Some(template)) = (
            flows.get(&trail.flow),
            reports.get(&trail.no),
            templates.get(&trail.template),
        ) else {
            continue;
        };
        let parts = Parts {
            organization,
            flow,
            trail,
            reports,
            contents: &contents,
            repos: HashMap::new(),
            releases: Releases::default(),
        };
        shown.push(parts.shown(&origin, template, created_by, None)?);
    }
    Ok(shown)
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    check.finish()?;
    let page = Page {
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(PER_PAGE),
    };
    let org = call.organization.no;
    // Flows that are asked for by name or tag; a tag that nothing has leads to none.
    let mut flows: Option<Vec<FlowNo>> = None;
    if let Some(name) = query.filled("flow") {
        flows = Some(vec![
            live_flow(&mut call.read, &call.organization, name)
                .await?
                .no,
        ]);
    }
    if let Some(tag) = query.filled("flow_tag") {
        let wanted = tag.replacen('=', ":", 1);
        let tagged = call.read.flows(org).await?;
        let tagged = tagged
            .iter()
            .filter(|flow| super::has_tag(&flow.tags, &wanted))
            .map(|flow| flow.no);
        flows = Some(match flows {
            None => tagged.collect(),
            Some(named) => tagged.filter(|no| named.contains(no)).collect(),
        });
    }
    let with_artifact = match query.filled("fingerprint") {
        None => None,
        Some(text) => {
            let fingerprint = super::whole_fingerprint("query.fingerprint", text)?;
            let mut found = call.read.provenance(org, &[fingerprint]).await?;
            let artifacts = found.remove(&fingerprint).unwrap_or_default();
            Some(artifacts.iter().map(|artifact| artifact.trail).collect())
        }
    };
    let (total, trails) = call
        .read
        .trails_where(
            org,
            &runstone_store::TrailFilter {
                flows,
                trails: with_artifact,
            },
            |total| page.window(total),
        )
        .await?;
    let data = show_all(&mut call, &trails).await?;
    let pagination = pagination(page, total);
    answer::json(StatusCode::OK, &TrailPage { data, pagination })
}

async fn list_of_flow(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    check.finish()?;
    let name = call.parts.param("flow_name");
    let flow = live_flow(&mut call.read, &call.organization, name).await?;
    let filter = runstone_store::TrailFilter {
        flows: Some(vec![flow.no]),
        trails: None,
    };
    let paged = per_page.map(|per_page| Page {
        page: page.unwrap_or(1),
        per_page,
    });
    let (total, trails) = call
        .read
        .trails_where(call.organization.no, &filter, |total| match paged {
            Some(page) => page.window(total),
            None => (0, total.min(UNPAGED_MAX)),
        })
        .await?;
    let data = show_all(&mut call, &trails).await?;
    match paged {
        None => answer::json(StatusCode::OK, &data),
        Some(page) => {
            let pagination = pagination(page, total);
            answer::json(StatusCode::OK, &TrailPage { data, pagination })
        }
    }
}
