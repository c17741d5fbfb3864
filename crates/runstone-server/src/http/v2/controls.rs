//! Controls, their versions, and what was decided about them (`api-organisation.md` section 8).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use runstone_api::control::{
    ChangeControl, Control as Shown, ControlPage, ControlVersion as ShownVersion,
    ControlVersionPage, Coverage, CoveredEnvironment, CreateControl, Decision as ShownDecision,
    DecisionPage, EvidenceFile,
};
use runstone_api::paging::{Page, PageLinks, query_with_page};
use runstone_api::{path, seconds};
use runstone_model::command::Refusal;
use runstone_model::control::{ControlTexts, change_control, create_control};
use runstone_model::fact::{
    AttestationNo, Control, ControlVersion, EntryIndex, Flow, FlowNo, Organization, TrailNo,
};
use runstone_model::id::{Fingerprint, Micros, Named, parse_wire_id, wire_id};
use runstone_model::role::Right;
use runstone_store::{Decision, DecisionFilter, Read};
use serde_json::json;

use super::Names;
use super::trails::json_contents;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, Parts, Query, ReadCall, WriteCall, reader};
use crate::http::openapi::{Of, Param, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Controls";
const MISSING: (u16, &str) = (404, "There is no such control.");
const INVALID: (u16, &str) = (400, "The request is not valid.");

const PER_PAGE: u64 = 15;
const PER_PAGE_MAX: u64 = 100;

const PAGED: [Param; 2] = [
    param("page", Of::Integer, "Page, from 1."),
    param("per_page", Of::Integer, "Items of a page, at most 100."),
];
const SORTED: Param = param("sort_direction", Of::Text, "asc or desc.");

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = lists();
    endpoints.extend(changes());
    endpoints.extend(histories());
    endpoints
}

fn lists() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/controls/{org}"),
            docs(
                "list_controls",
                TAG,
                "List controls",
                Success::One(shape::<ControlPage>()),
                &[(200, "A page of controls, by name."), INVALID],
            )
            .query(PAGED)
            .query([
                SORTED,
                param("search", Of::Text, "Part of the name or identifier."),
                param("tag", Of::Texts, "key or key:value; all must match."),
                param("archived", Of::Boolean, "The archived ones instead."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/controls/{org}/tags"),
            docs(
                "list_control_tag_choices",
                TAG,
                "List tags of controls",
                Success::Other("values by key"),
                &[(200, "Every value of every key.")],
            ),
            tags,
        ),
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}"),
            docs(
                "get_control",
                TAG,
                "Get a control",
                Success::One(shape::<Shown>()),
                &[(200, "The control, archived or not."), MISSING],
            ),
            get_one,
        ),
    ]
}

fn changes() -> Vec<Endpoint> {
    let change = |method: Method, route: &str, docs, handler: fn(WriteCall) -> Changed| {
        write(
            method,
            Right::ChangeControl,
            BodyBound::Other,
            api(route),
            docs,
            handler,
        )
    };
    vec![
        change(
            Method::POST,
            "/controls/{org}",
            docs(
                "create_control",
                TAG,
                "Create a control",
                Success::One(shape::<Shown>()),
                &[
                    (201, "The control."),
                    INVALID,
                    (409, "There is one with this identifier; this is final."),
                ],
            )
            .body(shape::<CreateControl>()),
            |call| Box::pin(create(call)),
        ),
        change(
            Method::PUT,
            "/controls/{org}/{control_identifier}",
            docs(
                "put_control",
                TAG,
                "Make a new version of a control",
                Success::One(shape::<Shown>()),
                &[(200, "The control."), INVALID, MISSING],
            )
            .body(shape::<ChangeControl>()),
            |call| Box::pin(put(call)),
        ),
        change(
            Method::POST,
            "/controls/{org}/{control_identifier}/archive",
            docs(
                "archive_control",
                TAG,
                "Archive a control",
                Success::One(shape::<Shown>()),
                &[(200, "The control."), MISSING],
            ),
            |call| Box::pin(set_archived(call, true)),
        ),
        change(
            Method::POST,
            "/controls/{org}/{control_identifier}/unarchive",
            docs(
                "unarchive_control",
                TAG,
                "Bring an archived control back",
                Success::One(shape::<Shown>()),
                &[(200, "The control."), MISSING],
            ),
            |call| Box::pin(set_archived(call, false)),
        ),
    ]
}

/// What a change answers.
type Changed = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

fn histories() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}/versions"),
            docs(
                "list_control_versions",
                TAG,
                "List versions of a control",
                Success::One(shape::<ControlVersionPage>()),
                &[(200, "A page of versions, newest first."), INVALID, MISSING],
            )
            .query(PAGED)
            .query([SORTED]),
            versions,
        ),
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}/versions/{version_number}"),
            docs(
                "get_control_version",
                TAG,
                "Get a version of a control",
                Success::One(shape::<ShownVersion>()),
                &[(200, "The version."), (404, "There is no such version.")],
            ),
            version,
        ),
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}/decisions"),
            docs(
                "list_control_decisions",
                TAG,
                "List decisions about a control",
                Success::One(shape::<DecisionPage>()),
                &[
                    (200, "A page of decisions, newest first."),
                    INVALID,
                    MISSING,
                ],
            )
            .query(PAGED)
            .query([
                SORTED,
                param("is_compliant", Of::Boolean, "What was decided."),
                param("from_timestamp", Of::Number, "Not before this time."),
                param("to_timestamp", Of::Number, "Not after this time."),
                param("flow_id", Of::Texts, "Ids of flows; one must match."),
            ]),
            decisions,
        ),
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}/decisions/{decision_id}"),
            docs(
                "get_control_decision",
                TAG,
                "Get a decision about a control",
                Success::One(shape::<ShownDecision>()),
                &[
                    (200, "The decision."),
                    (404, "There is no such control or decision."),
                ],
            ),
            decision,
        ),
        get(
            Right::Read,
            api("/controls/{org}/{control_identifier}/coverage"),
            docs(
                "get_control_coverage",
                TAG,
                "Get the environments that enforce a control",
                Success::One(shape::<Coverage>()),
                &[(200, "A page of environments, by name."), INVALID, MISSING],
            )
            .query(PAGED)
            .query([
                param("search", Of::Text, "Part of the environment's name."),
                param("covered", Of::Boolean, "Whether it enforces the control."),
            ]),
            coverage,
        ),
    ]
}

/// A control by identifier, archived or not, or the contracted answer.
async fn control_of(
    read: &mut Read,
    organization: &Organization,
    identifier: &str,
) -> Result<Control, AppError> {
    read.control_named(organization.no, identifier)
        .await?
        .ok_or_else(|| {
            Refusal::ControlMissing {
                identifier: identifier.to_owned(),
                organization: organization.name.clone(),
            }
            .into()
        })
}

fn show(control: Control, created_by: String) -> Shown {
    Shown {
        identifier: control.identifier,
        name: control.texts.name,
        description: control.texts.description,
        links: control.texts.links,
        version: control.version,
        created_by,
        created_at: seconds(control.created_at),
        tags: control.tags,
        archived: control.archived_at.is_some(),
        policies_referencing: None,
    }
}

/// One control with the policies that name it: none until policies exist.
async fn show_whole(
    read: &mut Read,
    organization: &Organization,
    identifier: &str,
) -> Result<Shown, AppError> {
    let control = control_of(read, organization, identifier).await?;
    let by = read.name_of(organization.no, &control.created_by).await?;
    Ok(Shown {
        policies_referencing: Some(Vec::new()),
        ..show(control, by)
    })
}

async fn answer_whole(
    parts: &Parts,
    organization: &Organization,
    identifier: &str,
    status: StatusCode,
) -> Answer {
    let mut read = parts.app.read().await?;
    let shown = show_whole(&mut read, organization, identifier).await?;
    answer::json(status, &shown)
}

async fn create(call: WriteCall) -> Answer {
    let (identifier, texts) = create_control(&call.body)?;
    let (parts, org) = (call.parts, call.organization);
    parts
        .app
        .create_control(call.caller, &org, &identifier, texts)
        .await?;
    answer_whole(&parts, &org, &identifier, StatusCode::CREATED).await
}

async fn put(call: WriteCall) -> Answer {
    let change = change_control(&call.body)?;
    let (parts, org) = (call.parts, call.organization);
    let identifier = parts.param("control_identifier");
    parts
        .app
        .change_control(call.caller, &org, identifier, change)
        .await?;
    answer_whole(&parts, &org, identifier, StatusCode::OK).await
}

async fn set_archived(call: WriteCall, archived: bool) -> Answer {
    let (parts, org) = (call.parts, call.organization);
    let identifier = parts.param("control_identifier");
    parts
        .app
        .archive_control(call.caller, &org, identifier, archived)
        .await?;
    answer_whole(&parts, &org, identifier, StatusCode::OK).await
}

async fn get_one(mut call: ReadCall) -> Answer {
    let identifier = call.parts.param("control_identifier");
    let shown = show_whole(&mut call.read, &call.organization, identifier).await?;
    answer::json(StatusCode::OK, &shown)
}

/// The page that a query asks for; reading it may add problems.
fn page_of(query: &Query, check: &mut runstone_model::read::QueryReader) -> Page {
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    Page {
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(PER_PAGE),
    }
}

fn descending(query: &Query, check: &mut runstone_model::read::QueryReader, default: bool) -> bool {
    check
        .one_of(
            "sort_direction",
            query.filled("sort_direction"),
            &[("asc", false), ("desc", true)],
        )
        .unwrap_or(default)
}

fn links(parts: &Parts, page: Page, total: u64) -> PageLinks {
    let origin = parts.origin();
    page.links(total, |page| {
        let query = query_with_page(parts.raw_query(), page);
        format!("{origin}{}?{query}", parts.path())
    })
}

/// The items of a page.
fn cut<T>(items: Vec<T>, page: Page) -> Vec<T> {
    let (offset, length) = page.window(items.len() as u64);
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    items
        .into_iter()
        .skip(skipped)
        .take(length as usize)
        .collect()
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = page_of(&query, &mut check);
    let descending = descending(&query, &mut check, false);
    let archived = check.boolean("archived", query.filled("archived"));
    check.finish()?;
    let archived = archived.unwrap_or(false);
    let part = query.filled("search").map(str::to_lowercase);
    let wanted: Vec<&str> = query.all("tag").filter(|tag| !tag.is_empty()).collect();
    let mut found = call.read.controls(call.organization.no).await?;
    found.retain(|control| {
        control.archived_at.is_some() == archived
            && part.as_ref().is_none_or(|part| {
                control.texts.name.to_lowercase().contains(part)
                    || control.identifier.to_lowercase().contains(part)
            })
            && wanted.iter().all(|tag| super::has_tag(&control.tags, tag))
    });
    if descending {
        found.reverse();
    }
    let total = found.len() as u64;
    let mut names = Names::default();
    let mut controls = Vec::new();
    for control in cut(found, page) {
        let by = names
            .of(&mut call.read, &call.organization, &control.created_by)
            .await?;
        controls.push(show(control, by));
    }
    answer::json(
        StatusCode::OK,
        &ControlPage {
            links: links(&call.parts, page, total),
            page: page.page,
            per_page: page.per_page,
            total_pages: page.total_pages(total),
            total_count: total,
            controls,
        },
    )
}

async fn tags(mut call: ReadCall) -> Answer {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for control in call.read.controls(call.organization.no).await? {
        for (key, value) in control.tags {
            values.entry(key).or_default().insert(value);
        }
    }
    answer::json(StatusCode::OK, &values)
}

/// Versions with what they say, in the order given.
async fn show_versions(
    read: &mut Read,
    organization: &Organization,
    identifier: &str,
    versions: Vec<ControlVersion>,
) -> Result<Vec<ShownVersion>, AppError> {
    let places: Vec<(EntryIndex, u32)> =
        versions.iter().map(|version| (version.entry, 0)).collect();
    let contents = read.contents(organization.no, &places).await?;
    let mut names = Names::default();
    let mut shown = Vec::with_capacity(versions.len());
    for version in versions {
        let content = contents.get(&(version.entry, 0));
        let texts = ControlTexts::from_json(content.and_then(|body| body.json.as_deref()));
        shown.push(ShownVersion {
            identifier: identifier.to_owned(),
            version: version.version,
            name: texts.name,
            description: texts.description,
            links: texts.links,
            created_at: seconds(version.at),
            created_by: names.of(read, organization, &version.by).await?,
            status: if version.version == 1 {
                "created"
            } else {
                "edited"
            }
            .to_owned(),
        });
    }
    Ok(shown)
}

async fn versions(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = page_of(&query, &mut check);
    let descending = descending(&query, &mut check, true);
    check.finish()?;
    let org = &call.organization;
    let identifier = call.parts.param("control_identifier");
    let control = control_of(&mut call.read, org, identifier).await?;
    let total = u64::from(control.version);
    let found = call
        .read
        .control_versions(org.no, control.no, !descending, page.window(total))
        .await?;
    let versions = show_versions(&mut call.read, org, identifier, found).await?;
    answer::json(
        StatusCode::OK,
        &ControlVersionPage {
            links: links(&call.parts, page, total),
            page: page.page,
            per_page: page.per_page,
            total_pages: page.total_pages(total),
            total_count: total,
            versions,
        },
    )
}

async fn version(mut call: ReadCall) -> Answer {
    let org = &call.organization;
    let identifier = call.parts.param("control_identifier");
    let missing = || AppError::missing("Control or version not found");
    let control = call
        .read
        .control_named(org.no, identifier)
        .await?
        .ok_or_else(missing)?;
    let number = call.parts.param("version_number").parse();
    let found = match number {
        Ok(number) => {
            call.read
                .control_version(org.no, control.no, number)
                .await?
        }
        Err(_) => None,
    };
    let found = found.ok_or_else(missing)?;
    let mut shown = show_versions(&mut call.read, org, identifier, vec![found]).await?;
    answer::json(StatusCode::OK, &shown.pop())
}

async fn decisions(mut call: ReadCall) -> Answer {
    let parts = Arc::clone(&call.parts);
    let query = parts.query();
    let mut check = reader();
    let page = page_of(&query, &mut check);
    let descending = descending(&query, &mut check, true);
    let is_compliant = check.boolean("is_compliant", query.filled("is_compliant"));
    let from = check.number("from_timestamp", query.filled("from_timestamp"));
    let until = check.number("to_timestamp", query.filled("to_timestamp"));
    check.finish()?;
    let org = &call.organization;
    let identifier = parts.param("control_identifier");
    control_of(&mut call.read, org, identifier).await?;
    let ids: Vec<&str> = query.all("flow_id").filter(|id| !id.is_empty()).collect();
    let filter = DecisionFilter {
        // An id of no flow of this organization leads to none.
        flows: (!ids.is_empty()).then(|| {
            ids.iter()
                .filter_map(|id| parse_wire_id(Named::Flow, &org.id, id).map(FlowNo))
                .collect()
        }),
        is_compliant,
        from: from.map(Micros::from_seconds),
        until: until.map(Micros::from_seconds),
        ascending: !descending,
    };
    let (total, found) = call
        .read
        .decisions(org.no, identifier, &filter, |total| page.window(total))
        .await?;
    let origin = parts.origin();
    let decisions = show_decisions(&mut call.read, org, &origin, identifier, &found).await?;
    answer::json(
        StatusCode::OK,
        &DecisionPage {
            links: links(&parts, page, total),
            page: page.page,
            per_page: page.per_page,
            total_pages: page.total_pages(total),
            total_count: total,
            decisions,
        },
    )
}

async fn decision(mut call: ReadCall) -> Answer {
    let parts = Arc::clone(&call.parts);
    let org = &call.organization;
    let identifier = parts.param("control_identifier");
    control_of(&mut call.read, org, identifier).await?;
    let id = parts.param("decision_id");
    let missing = || {
        AppError::missing(format!(
            "Decision '{id}' does not exist for control '{identifier}'"
        ))
    };
    let no = parse_wire_id(Named::Attestation, &org.id, id).ok_or_else(missing)?;
    let found = call
        .read
        .decision(org.no, identifier, AttestationNo(no))
        .await?
        .ok_or_else(missing)?;
    let origin = parts.origin();
    let mut shown = show_decisions(&mut call.read, org, &origin, identifier, &[found]).await?;
    let shown = shown.pop().ok_or_else(missing)?;
    answer::json(StatusCode::OK, &shown)
}

/// Decisions with their flows, trails, artifacts and texts, in the order given.
async fn show_decisions(
    read: &mut Read,
    organization: &Organization,
    origin: &str,
    control: &str,
    decisions: &[Decision],
) -> Result<Vec<ShownDecision>, AppError> {
    let reports = || decisions.iter().map(|decision| &decision.attestation);
    let numbers: HashSet<TrailNo> = reports().map(|report| report.trail).collect();
    let numbers: Vec<TrailNo> = numbers.into_iter().collect();
    let trails = read.trails(organization.no, &numbers).await?;
    let mut flows: HashMap<FlowNo, Flow> = HashMap::new();
    for no in reports().map(|report| report.flow).collect::<HashSet<_>>() {
        flows.extend(
            read.flow(organization.no, no)
                .await?
                .map(|flow| (flow.no, flow)),
        );
    }
    let fingerprints: Vec<Fingerprint> =
        reports().filter_map(|report| report.fingerprint).collect();
    let artifacts = read.provenance(organization.no, &fingerprints).await?;
    let places: Vec<(EntryIndex, u32)> = reports().map(|report| (report.entry, 0)).collect();
    let contents = json_contents(read, organization, &places).await?;
    let shown = decisions.iter().map(|decision| {
        let report = &decision.attestation;
        let content = contents.get(&(report.entry, 0));
        let told = |name: &str| {
            content
                .map(|content| content[name].clone())
                .filter(|value| !value.is_null())
        };
        let text = |name: &str| told(name)?.as_str().map(ToOwned::to_owned);
        let id = wire_id(Named::Attestation, &organization.id, report.no.0);
        let flow = flows.get(&report.flow).map(|flow| flow.name.clone());
        let trail = trails.get(&report.trail).map(|trail| trail.name.clone());
        let file = report.is_attached.then(|| EvidenceFile {
            filename: content
                .and_then(|content| content["attachment"]["name"].as_str())
                .filter(|name| !name.is_empty())
                .unwrap_or("evidence")
                .to_owned(),
            download_url: format!(
                "{origin}{}/attestations/{}/{}/trail/{}/attestation/{id}/evidence",
                path::API,
                path::segment(&organization.name),
                path::segment(flow.as_deref().unwrap_or_default()),
                path::segment(trail.as_deref().unwrap_or_default()),
            ),
        });
        // As the newest report of it in the same trail names it.
        let artifact = report
            .fingerprint
            .and_then(|fingerprint| artifacts.get(&fingerprint))
            .and_then(|known| known.iter().rev().find(|known| known.trail == report.trail));
        ShownDecision {
            decision_id: id,
            control: control.to_owned(),
            is_compliant: report.is_compliant,
            timestamp: seconds(report.at),
            attestation_name: report.name.clone(),
            evidence_files: file.into_iter().collect(),
            control_version: decision.version,
            flow_name: flow,
            trail_name: trail,
            artifact_fingerprint: report.fingerprint.map(|fingerprint| fingerprint.to_hex()),
            artifact_name: artifact.map(|artifact| artifact.filename.clone()),
            description: text("description"),
            origin_url: text("origin_url"),
            user_data: told("user_data").unwrap_or_else(|| json!({})),
        }
    });
    Ok(shown.collect())
}

async fn coverage(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = page_of(&query, &mut check);
    let wanted = check.boolean("covered", query.filled("covered"));
    check.finish()?;
    let org = &call.organization;
    control_of(&mut call.read, org, call.parts.param("control_identifier")).await?;
    let part = query.filled("search").map(str::to_lowercase);
    let live = call.read.environments(org.no).await?;
    let total = live.len() as u64;
    // No policy exists yet, so that none names the control.
    let mut found: Vec<CoveredEnvironment> = live
        .into_iter()
        .map(|environment| CoveredEnvironment {
            name: environment.name,
            kind: environment.kind.as_wire().to_owned(),
            covered: false,
            policies: Vec::new(),
        })
        .collect();
    let covered = found.iter().filter(|found| found.covered).count() as u64;
    found.retain(|environment| {
        wanted.is_none_or(|wanted| environment.covered == wanted)
            && part
                .as_ref()
                .is_none_or(|part| environment.name.to_lowercase().contains(part))
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let count = found.len() as u64;
    let coverage_percent = if total == 0 {
        0.0
    } else {
        100.0 * covered as f64 / total as f64
    };
    answer::json(
        StatusCode::OK,
        &Coverage {
            total,
            covered,
            coverage_percent,
            links: links(&call.parts, page, count),
            page: page.page,
            per_page: page.per_page,
            total_pages: page.total_pages(count),
            total_count: count,
            environments: cut(found, page),
        },
    )
}
