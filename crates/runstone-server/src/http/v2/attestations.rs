//! Attestations (`api-flows.md` sections 9 and 10).

use std::collections::HashSet;

use axum::http::{Method, StatusCode};
use runstone_api::paging::Page;
use runstone_api::{path, seconds};
use runstone_model::attestation::{
    Attestation as Reported, KINDS, Kind, Verdict, system_attestation_types,
};
use runstone_model::command::Refusal;
use runstone_model::event::Attachment;
use runstone_model::fact::{
    Attestation, AttestationNo, EntryIndex, Flow, FlowNo, Organization, Trail, TrailNo,
};
use runstone_model::id::{Commit, Micros, Named, parse_wire_id, wire_id};
use runstone_model::read::FieldErrors;
use runstone_model::role::Right;
use runstone_store::{AttestationFilter, Read};
use serde_json::{Map, Value, json};

use super::Names;
use super::flows::{live_flow, pagination};
use super::trails::{commit_info, json_contents, trail_of};
use crate::app::App;
use crate::app::error::AppError;
use crate::app::judging::Judgement;
use crate::app::told;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, PublicCall, ReadCall, WriteCall, reader};
use crate::http::openapi::{Of, Success, docs, param};
use crate::http::router::{Endpoint, api, public, read as get, write};
use crate::http::{download, multipart};

const TAG: &str = "Attestations";
const MISSING: (u16, &str) = (404, "There is no such flow, trail or artifact.");
const INVALID: (u16, &str) = (400, "The request is not valid.");
const SHAPE: &str = "attestations as the guide describes them";

/// Most attestations of a page, and how many a page has if that is not said.
const PER_PAGE_MAX: u64 = 100;
const PER_PAGE: u64 = 20;
/// A list without pages tells so many attestations.
const UNPAGED_MAX: u64 = 10_000;
/// Pages of a search by a pattern look at so many attestations before they end.
const LOOKED_AT_MAX: usize = 20_000;
/// Most commits that one request asks about.
const COMMITS_MAX: usize = 200;
/// The parts of a form: JSON, and what is attached.
const PARTS: (&str, &str) = (multipart::DATA, "attachment_file");
/// An attestation is judged so often while its type gets other versions.
const JUDGEMENTS_MAX: u32 = 5;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let times = [
        param("from_timestamp", Of::Number, "Not before this time."),
        param("to_timestamp", Of::Number, "Before this time."),
    ];
    let mut endpoints = vec![
        public(
            api("/attestations/system-attestation-types"),
            docs(
                "list_system_attestation_types",
                TAG,
                "List the built-in kinds of attestations",
                Success::Other("kinds with the JSON Schema of each version"),
                &[(200, "The kinds.")],
            ),
            system_types,
        ),
        get(
            Right::Read,
            api("/attestations/{org}"),
            docs(
                "list_attestations",
                TAG,
                "List attestations",
                Success::Other(SHAPE),
                &[(200, "A page of attestations, newest first."), INVALID],
            )
            .query(times)
            .query([
                param("attestation_id", Of::Text, "Id."),
                param("name", Of::Text, "Name."),
                param("name_regex", Of::Text, "Pattern in the name."),
                param("flow", Of::Texts, "Names of flows; one must match."),
                param("type", Of::Texts, "Kinds; one must match."),
                param("is_compliant", Of::Boolean, "What it says."),
                param("after", Of::Text, "Where the page before ended."),
                param("page", Of::Integer, "Page, from 1."),
                param("per_page", Of::Integer, "Attestations of a page."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/attestations/{org}/list_attestations_for_criteria"),
            docs(
                "list_attestations_for_criteria",
                TAG,
                "List attestations about commits",
                Success::Other(SHAPE),
                &[(200, "By commit, newest first."), INVALID],
            )
            .query([
                param("commit_list", Of::Texts, "Commits."),
                param("flow_name", Of::Text, "Name of a flow."),
                param("attestation_type", Of::Text, "Kind."),
                param("attestation_name", Of::Text, "Name."),
            ]),
            for_commits,
        ),
        get(
            Right::Read,
            api("/attestations/{org}/{flow_name}"),
            docs(
                "get_flow_attestations",
                TAG,
                "List attestations of a flow",
                Success::Other(SHAPE),
                &[
                    (200, "A page of attestations, newest first."),
                    INVALID,
                    MISSING,
                ],
            )
            .query(times)
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param("per_page", Of::Integer, "Attestations of a page."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/attestations/{org}/{flow_name}/trail/{trail_name}/{attestation_name}"),
            docs(
                "get_trail_attestation",
                TAG,
                "Get the attestations of a name in a trail",
                Success::Other(SHAPE),
                &[(200, "All reports of the name, newest first."), MISSING],
            ),
            of_trail,
        ),
        get(
            Right::Read,
            api("/attestations/{org}/{flow_name}/artifact/{fingerprint}/{attestation_name}"),
            docs(
                "get_artifact_attestation",
                TAG,
                "Get the attestations of a name on an artifact",
                Success::Other(SHAPE),
                &[(200, "All reports of the name, newest first."), MISSING],
            ),
            of_artifact,
        ),
    ];
    endpoints.push(get(
        Right::Read,
        api("/attestations/{org}/{flow_name}/trail/{trail_name}/attestation/{attestation_id}/evidence"),
        docs(
            "get_attestation_evidence",
            TAG,
            "Download the file attached to an attestation",
            Success::Other("the file as it was sent"),
            &[(200, "The file."), MISSING],
        ),
        evidence,
    ));
    endpoints.extend(KINDS.iter().map(|kind| {
        write(
            Method::POST,
            Right::Attest,
            if kind.multipart {
                BodyBound::Upload
            } else {
                BodyBound::Form
            },
            api(&format!(
                "/attestations/{{org}}/{{flow_name}}/trail/{{trail_name}}/{}",
                kind.path
            )),
            docs(
                format!("post_{}_attestation", kind.path),
                TAG,
                "Attest",
                Success::Ok,
                &[(201, "It is attested."), INVALID, MISSING],
            )
            .about("A flow or trail that does not exist is made."),
            move |call| attest(call, kind),
        )
    }));
    endpoints
}

async fn system_types(_: PublicCall) -> Answer {
    answer::json(StatusCode::OK, &system_attestation_types())
}

async fn attest(call: WriteCall, kind: &'static Kind) -> Answer {
    let flow = super::flow_name(call.parts.param("flow_name"))?;
    let trail = super::trail_name(call.parts.param("trail_name"))?;
    let app = &call.parts.app;
    let id = &call.organization.id;
    let read = |data: &bytes::Bytes| Ok(kind.read(data)?);
    let (attestation, file) = if kind.multipart {
        let headers = &call.parts.headers;
        multipart::receive(app, headers, call.upload, id, PARTS, read).await?
    } else {
        (read(&call.body)?, None)
    };
    // Before what was sent is kept for good: there may be no such type.
    let judged = judge(app, &call.organization, &attestation).await?;
    let attachment = attached(app, id, file).await?;
    let (flow, trail) = (flow.as_str(), trail.as_str());
    let Some(mut judged) = judged else {
        let attest = told::attestation(flow, trail, attestation, None, attachment)?;
        app.attest(call.caller, &call.organization, attest).await?;
        return Ok(answer::ok(StatusCode::CREATED));
    };
    for attempt in 1.. {
        let attest = told::attestation(
            flow,
            trail,
            attestation.clone(),
            Some(&judged),
            attachment.clone(),
        )?;
        match app
            .attest(call.caller.clone(), &call.organization, attest)
            .await
        {
            // Its type has got another version, which is the one to judge.
            Err(AppError::Refused(Refusal::TypeChangedMeanwhile { .. }))
                if attempt < JUDGEMENTS_MAX =>
            {
                if let Some(again) = judge(app, &call.organization, &attestation).await? {
                    judged = again;
                }
            }
            done => {
                done?;
                break;
            }
        }
    }
    Ok(answer::ok(StatusCode::CREATED))
}

/// What the newest version of its custom type makes of an attestation, if it is of one.
async fn judge(
    app: &App,
    organization: &Organization,
    attestation: &Reported,
) -> Result<Option<Judgement>, AppError> {
    let Verdict::ByType(name) = &attestation.verdict else {
        return Ok(None);
    };
    let data = attestation.payload.get("attestation_data");
    let data = data.unwrap_or(&Value::Null);
    app.judge(organization, name, data).await.map(Some)
}

/// A file that was sent, with what it is.
pub(super) async fn attached(
    app: &App,
    organization: &str,
    file: Option<(Attachment, String)>,
) -> Result<Option<told::Attached>, AppError> {
    let Some((file, name)) = file else {
        return Ok(None);
    };
    Ok(Some(told::Attached {
        evidence: app.recognise(organization, &file).await?,
        file,
        name,
    }))
}

/// An attestation as it is shown (section 10.1). Members that were not told are left out.
pub(super) fn object(
    organization: &Organization,
    origin: &str,
    flow: &Flow,
    trail: &Trail,
    attestation: &Attestation,
    content: Option<&Value>,
    by: Option<&str>,
) -> Value {
    let id = wire_id(Named::Attestation, &organization.id, attestation.no.0);
    let told = |name: &str| {
        content
            .map(|content| &content[name])
            .filter(|value| !value.is_null())
            .cloned()
    };
    let (org, flow_name) = (path::segment(&organization.name), path::segment(&flow.name));
    let (name, trail_name) = (path::segment(&attestation.name), path::segment(&trail.name));
    let api = format!("{origin}{}/attestations/{org}/{flow_name}", path::API);
    let self_href = match attestation.fingerprint {
        Some(fingerprint) => format!("{api}/artifact/{}/{name}", fingerprint.to_hex()),
        None => format!("{api}/trail/{trail_name}/{name}"),
    };
    let mut links = json!({"self": {"href": self_href}});
    let mut shown = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    };
    put("schema_version", Some(json!(2)));
    put("attestation_type", Some(attestation.kind.clone().into()));
    put("attestation_name", Some(attestation.name.clone().into()));
    put("is_compliant", Some(attestation.is_compliant.into()));
    put("origin_url", told("origin_url"));
    put("description", told("description"));
    let fingerprint = attestation
        .fingerprint
        .map(|fingerprint| fingerprint.to_hex());
    put("artifact_fingerprint", fingerprint.map(Value::from));
    let targets = (!attestation.targets.is_empty()).then(|| attestation.targets.clone());
    put("target_artifacts", targets.map(Value::from));
    let commit = told("git_commit_info").map(|told| commit_info(Some(&told)));
    put("git_commit_info", commit);
    put("repo_info", told("repo_info"));
    put("external_urls", told("external_urls"));
    put("annotations", told("annotations"));
    if attestation.is_attached {
        let digest = content.and_then(|content| content["attachment"]["digest"].as_str());
        let storage = match attestation.fingerprint {
            Some(_) => "artifact_attestation",
            None => "trail_attestation",
        };
        let org_id = wire_id(Named::Organization, &organization.id, 0);
        let file = content
            .and_then(|content| content["attachment"]["name"].as_str())
            .unwrap_or_default();
        let file = download::safe_name(file, "evidence");
        let path = format!("{org_id}/{storage}/{id}/{file}");
        put("evidence_archive_path", Some(path.into()));
        put("evidence_archive_fingerprint", digest.map(Value::from));
        let recognised = content.map(|content| &content["attachment"]["recognised"]);
        let recognised = recognised.filter(|recognised| recognised.is_object());
        put("recognised_evidence", recognised.cloned());
        links["evidence"] =
            json!({"href": format!("{api}/trail/{trail_name}/attestation/{id}/evidence")});
    }
    put(
        "user_data",
        Some(told("user_data").unwrap_or_else(|| json!({}))),
    );
    put("created_at", Some(seconds(attestation.at).into()));
    if let Some(Value::Object(payload)) = told("payload") {
        for (name, value) in payload {
            put(&name, Some(value));
        }
    }
    put("attestation_id", Some(id.clone().into()));
    let html = path::trail_html(origin, &organization.name, &flow.name, &trail.name);
    put(
        "html_url",
        Some(format!("{html}?attestation_id={id}").into()),
    );
    put("flow_name", Some(flow.name.clone().into()));
    put("trail_name", Some(trail.name.clone().into()));
    put("reported_by", by.map(Value::from));
    put("has_audit_package", Some(attestation.is_attached.into()));
    put("_links", Some(links));
    Value::Object(shown)
}

/// Attestations with their flows, trails and texts, in the order given.
pub(super) async fn show_all(
    read: &mut Read,
    organization: &Organization,
    origin: &str,
    attestations: &[Attestation],
) -> Result<Vec<Value>, AppError> {
    let numbers: HashSet<TrailNo> = attestations.iter().map(|report| report.trail).collect();
    let numbers: Vec<TrailNo> = numbers.into_iter().collect();
    let trails = read.trails(organization.no, &numbers).await?;
    let flows: HashSet<FlowNo> = trails.values().map(|trail| trail.flow).collect();
    let flows: Vec<FlowNo> = flows.into_iter().collect();
    let flows = read.flows_by_no(organization.no, &flows).await?;
    let places: Vec<(EntryIndex, u32)> = attestations
        .iter()
        .map(|report| (report.entry, 0))
        .collect();
    let contents = json_contents(read, organization, &places).await?;
    let mut names = Names::default();
    let mut shown = Vec::with_capacity(attestations.len());
    for attestation in attestations {
        let Some(trail) = trails.get(&attestation.trail) else {
            continue;
        };
        let Some(flow) = flows.get(&trail.flow) else {
            continue;
        };
        let by = names.of(read, organization, &attestation.by).await?;
        shown.push(object(
            organization,
            origin,
            flow,
            trail,
            attestation,
            contents.get(&(attestation.entry, 0)),
            Some(&by),
        ));
    }
    Ok(shown)
}

async fn list(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let query = parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    let is_compliant = check.boolean("is_compliant", query.filled("is_compliant"));
    let from = check.number("from_timestamp", query.filled("from_timestamp"));
    let until = check.number("to_timestamp", query.filled("to_timestamp"));
    check.finish()?;
    let page = Page {
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(PER_PAGE),
    };
    let org = &call.organization;
    let origin = parts.origin();
    if let Some(id) = query.filled("attestation_id") {
        let found = match parse_wire_id(Named::Attestation, &org.id, id) {
            Some(no) => call.read.attestation(org.no, AttestationNo(no)).await?,
            None => None,
        };
        let found: Vec<Attestation> = found.into_iter().collect();
        let data = show_all(&mut call.read, org, &origin, &found).await?;
        let total = data.len() as u64;
        return answer::json(
            StatusCode::OK,
            &json!({"data": data, "_links": {}, "pagination": pagination(page, total)}),
        );
    }
    let mut filter = AttestationFilter {
        name: query.filled("name").map(ToOwned::to_owned),
        kinds: query
            .all("type")
            .map(|kind| {
                if kind == "decision" {
                    "system:decision"
                } else {
                    kind
                }
                .to_owned()
            })
            .collect(),
        is_compliant,
        from: from.map(Micros::from_seconds),
        until: until.map(Micros::from_seconds),
        ..AttestationFilter::default()
    };
    let in_path = parts.param("flow_name");
    let named: Vec<&str> = match in_path {
        "" => query.all("flow").filter(|name| !name.is_empty()).collect(),
        name => vec![name],
    };
    for name in &named {
        filter
            .flows
            .push(live_flow(&mut call.read, org, name).await?.no);
    }
    let pattern = match query.filled("name_regex") {
        None => None,
        Some(_) if filter.name.is_some() => {
            return Err(AppError::bad(
                "name and name_regex cannot be given together",
            ));
        }
        Some(text) => Some(
            regex::RegexBuilder::new(text)
                .size_limit(1 << 20)
                .build()
                .map_err(|_| {
                    FieldErrors::one("query.name_regex", "Input should be a valid pattern", text)
                })?,
        ),
    };
    if let Some(after) = query.filled("after") {
        let no = parse_wire_id(Named::Attestation, &org.id, after).ok_or_else(|| {
            FieldErrors::one(
                "query.after",
                "Input should be a cursor of an answer",
                after,
            )
        })?;
        filter.before = Some(AttestationNo(no));
    }
    let wanted = page.per_page as usize;
    let (total, found) = match &pattern {
        None => {
            let total = call.read.count_attestations(org.no, &filter).await?;
            let window = if filter.before.is_some() {
                (0, page.per_page)
            } else {
                page.window(total)
            };
            (
                total,
                call.read.attestations(org.no, &filter, window).await?,
            )
        }
        Some(pattern) => {
            let window = (0, LOOKED_AT_MAX as u64);
            let mut found = call.read.attestations(org.no, &filter, window).await?;
            found.retain(|attestation| pattern.is_match(&attestation.name));
            let total = found.len() as u64;
            let (offset, _) = page.window(total);
            let offset = if filter.before.is_some() { 0 } else { offset };
            let found = found.into_iter().skip(offset as usize).take(wanted);
            (total, found.collect())
        }
    };
    let data = show_all(&mut call.read, org, &origin, &found).await?;
    let mut links = Map::new();
    if let Some(last) = found.last().filter(|_| found.len() == wanted) {
        let cursor = wire_id(Named::Attestation, &org.id, last.no.0);
        let mut kept: Vec<&str> = parts
            .raw_query()
            .split('&')
            .filter(|part| {
                !part.is_empty() && !part.starts_with("after=") && !part.starts_with("page=")
            })
            .collect();
        let after = format!("after={cursor}");
        kept.push(&after);
        let href = format!("{origin}{}?{}", parts.path(), kept.join("&"));
        links.insert("next".to_owned(), json!({"href": href}));
    }
    answer::json(
        StatusCode::OK,
        &json!({"data": data, "_links": links, "pagination": pagination(page, total)}),
    )
}

async fn for_commits(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let query = parts.query();
    let mut errors = FieldErrors::default();
    let mut commits = Vec::new();
    for (index, text) in query.all("commit_list").enumerate() {
        match Commit::parse(text) {
            Some(commit) if index < COMMITS_MAX => commits.push(commit),
            Some(_) => {
                let message = format!("List should have at most {COMMITS_MAX} items");
                errors.add("query.commit_list", &message, text);
                break;
            }
            None => errors.add(
                &format!("query.commit_list[{index}]"),
                "String should match pattern '^[a-f0-9]{40}$'",
                text,
            ),
        }
    }
    if commits.is_empty() && errors.0.is_empty() {
        errors.add("query.commit_list", "Field required", "");
    }
    let commits = errors.into_result(Some(commits))?;
    let org = &call.organization;
    let flow = match query.filled("flow_name") {
        Some(name) => Some(live_flow(&mut call.read, org, name).await?.no),
        None => None,
    };
    let mut found = call.read.attestations_of_commits(org.no, &commits).await?;
    found.retain(|attestation| {
        attestation
            .commit
            .is_some_and(|commit| commits.contains(&commit))
            && query
                .filled("attestation_type")
                .is_none_or(|kind| attestation.kind == kind)
            && query
                .filled("attestation_name")
                .is_none_or(|name| attestation.name == name)
    });
    if let Some(flow) = flow {
        let numbers: Vec<TrailNo> = found.iter().map(|report| report.trail).collect();
        let trails = call.read.trails(org.no, &numbers).await?;
        found.retain(|report| {
            trails
                .get(&report.trail)
                .is_some_and(|trail| trail.flow == flow)
        });
    }
    let origin = parts.origin();
    let mut by_commit = Map::new();
    for commit in &commits {
        let of_commit: Vec<Attestation> = found
            .iter()
            .filter(|attestation| attestation.commit.as_ref() == Some(commit))
            .cloned()
            .collect();
        let shown = show_all(&mut call.read, org, &origin, &of_commit).await?;
        by_commit.insert(commit.to_hex(), shown.into());
    }
    answer::json(StatusCode::OK, &by_commit)
}

async fn of_trail(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let (_, trail) = trail_of(
        &mut call.read,
        &call.organization,
        parts.param("flow_name"),
        parts.param("trail_name"),
    )
    .await?;
    let name = parts.param("attestation_name");
    let mut found = call.read.trail_reports(&trail).await?.attestations;
    found.retain(|attestation| attestation.name == name && attestation.fingerprint.is_none());
    found.reverse();
    let origin = parts.origin();
    let shown = show_all(&mut call.read, &call.organization, &origin, &found).await?;
    answer::json(StatusCode::OK, &shown)
}

/// The attached file, to be saved and never shown by a browser.
async fn evidence(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let org = &call.organization;
    let (_, trail) = trail_of(
        &mut call.read,
        org,
        parts.param("flow_name"),
        parts.param("trail_name"),
    )
    .await?;
    let id = parts.param("attestation_id");
    let missing = || AppError::missing(format!("Attestation '{id}' has no evidence"));
    let no = parse_wire_id(Named::Attestation, &org.id, id).ok_or_else(missing)?;
    let attestation = call
        .read
        .attestation(org.no, AttestationNo(no))
        .await?
        .filter(|attestation| attestation.trail == trail.no && attestation.is_attached)
        .ok_or_else(missing)?;
    // The file stands after what was told with it.
    let file = call
        .read
        .attached(org.no, attestation.entry, 1)
        .await?
        .ok_or_else(missing)?;
    let contents = json_contents(&mut call.read, org, &[(attestation.entry, 0)]).await?;
    let told = contents.get(&(attestation.entry, 0));
    let name = told.and_then(|told| told["attachment"]["name"].as_str());
    let name = download::safe_name(name.unwrap_or_default(), "evidence");
    Ok(download::file(&parts.headers, file, &name))
}

async fn of_artifact(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let org = &call.organization;
    let flow = live_flow(&mut call.read, org, parts.param("flow_name")).await?;
    let prefix = super::artifacts::digits("fingerprint", parts.param("fingerprint"), 64)?;
    let name = parts.param("attestation_name");
    let artifacts = call
        .read
        .artifacts_by_prefix(org.no, prefix, UNPAGED_MAX as usize)
        .await?;
    let numbers: HashSet<TrailNo> = artifacts.iter().map(|artifact| artifact.trail).collect();
    let numbers: Vec<TrailNo> = numbers.into_iter().collect();
    let trails = call.read.trails(org.no, &numbers).await?;
    let mut found = Vec::new();
    for trail in trails.values().filter(|trail| trail.flow == flow.no) {
        let reports = call.read.trail_reports(trail).await?;
        found.extend(reports.attestations.into_iter().filter(|attestation| {
            attestation.name == name
                && artifacts
                    .iter()
                    .any(|artifact| artifact.trail == trail.no && attestation.is_about(artifact))
        }));
    }
    found.sort_by_key(|attestation| std::cmp::Reverse(attestation.no));
    let origin = parts.origin();
    let shown = show_all(&mut call.read, org, &origin, &found).await?;
    answer::json(StatusCode::OK, &shown)
}
