//! Flows (`api-flows.md` section 3).

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use runstone_api::flow::{
    Flow as Shown, FlowListItem, FlowPage, Pagination, PutFlow, TemplateText as ShownTemplate,
};
use runstone_api::paging::Page;
use runstone_api::seconds;
use runstone_model::command::{GivenTemplate, Refusal, Reply};
use runstone_model::event::TemplateText;
use runstone_model::fact::{Flow, Organization, Repo, RepoNo, Trail, TrailNo};
use runstone_model::id::{Named, wire_id};
use runstone_model::provenance;
use runstone_model::role::Right;
use runstone_model::template::{FILE_PART, TEXT_BYTES_MAX, Template};
use runstone_store::Read;

use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::multipart;
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Flows";
const MISSING: (u16, &str) = (404, "There is no such flow, or it has been archived.");
const INVALID: (u16, &str) = (400, "The request is not valid.");

/// Most flows of a page.
const PER_PAGE_MAX: u64 = 100;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/flows/{org}"),
            docs(
                "list_flows",
                TAG,
                "List flows",
                Success::ManyOrPage(shape::<FlowListItem>(), shape::<FlowPage>()),
                &[(200, "The flows; with per_page a page."), INVALID],
            )
            .query([
                param("search_by_name", Of::Text, "Part of the name."),
                param(
                    "case_sensitive",
                    Of::Boolean,
                    "Whether the case of the name counts; it does.",
                ),
                param("page", Of::Integer, "Page, from 1."),
                param("per_page", Of::Integer, "Flows of a page, at most 100."),
                param("space_id", Of::Texts, "Spaces."),
                param("tag", Of::Texts, "key or key:value; all must match."),
            ]),
            list,
        ),
        write(
            Method::PUT,
            Right::ChangeFlow,
            BodyBound::Form,
            api("/flows/{org}/template_file"),
            docs(
                "put_flow_with_template",
                TAG,
                "Create or update a flow with a template",
                Success::Ok,
                &[
                    (200, "It was there and is as described now."),
                    (201, "It is new."),
                    INVALID,
                ],
            )
            .about("A form: data_json holds name, description and visibility, template_file YAML.")
            .body(shape::<PutFlow>()),
            put_with_template,
        ),
        write(
            Method::PUT,
            Right::ChangeFlow,
            BodyBound::Other,
            api("/flows/{org}"),
            docs(
                "put_flow",
                TAG,
                "Create or update a flow, as older clients do",
                Success::Ok,
                &[
                    (200, "It was there and is as described now."),
                    (201, "It is new."),
                    INVALID,
                ],
            )
            .body(shape::<PutFlow>()),
            put,
        ),
        get(
            Right::Read,
            api("/flows/{org}/{flow_name}"),
            docs(
                "get_flow",
                TAG,
                "Get a flow",
                Success::One(shape::<Shown>()),
                &[(200, "The flow."), MISSING],
            ),
            get_one,
        ),
        write(
            Method::PUT,
            Right::ChangeFlow,
            BodyBound::Other,
            api("/flows/{org}/{flow_name}/archive"),
            docs(
                "archive_flow",
                TAG,
                "Archive a flow",
                Success::Ok,
                &[(200, "Archived."), MISSING],
            ),
            archive,
        ),
        write(
            Method::PUT,
            Right::ChangeFlow,
            BodyBound::Other,
            api("/flows/{org}/{flow_name}/rename"),
            docs(
                "rename_flow",
                TAG,
                "Rename a flow",
                Success::Ok,
                &[
                    (
                        200,
                        "Renamed; the old name leads to it until another takes it.",
                    ),
                    INVALID,
                    MISSING,
                ],
            )
            .body(shape::<runstone_api::environment::RenameEnvironment>()),
            rename,
        ),
    ]
}

/// 201 for what is new.
pub(super) fn created_or_ok(reply: &Reply) -> StatusCode {
    match reply {
        Reply::Created => StatusCode::CREATED,
        _ => StatusCode::OK,
    }
}

/// A live flow by name.
pub(super) async fn live_flow(
    read: &mut Read,
    organization: &Organization,
    name: &str,
) -> Result<Flow, AppError> {
    read.flow_named(organization.no, name)
        .await?
        .filter(|flow| flow.archived_at.is_none())
        .ok_or_else(|| {
            Refusal::FlowMissing {
                name: name.to_owned(),
                organization: organization.name.clone(),
            }
            .into()
        })
}

async fn put_with_template(call: WriteCall) -> Answer {
    let form = multipart::read(&call.parts.headers, call.body, FILE_PART, TEXT_BYTES_MAX).await?;
    let flow = provenance::create_flow(&form.data)?;
    let template = form
        .file
        .map(|file| super::given_template(&file.bytes).map_err(|errors| errors.for_flow()))
        .transpose()?;
    let done = call
        .parts
        .app
        .put_flow(call.caller, &call.organization, flow, template)
        .await?;
    Ok(answer::ok(created_or_ok(&done)))
}

async fn put(call: WriteCall) -> Answer {
    let mut flow = provenance::create_legacy_flow(&call.body)?;
    let template = flow.template.take().map(|names| GivenTemplate {
        template: Template::legacy(names.clone()).into(),
        text: TemplateText::Names(names),
    });
    let done = call
        .parts
        .app
        .put_flow(call.caller, &call.organization, flow, template)
        .await?;
    Ok(answer::ok(created_or_ok(&done)))
}

async fn archive(call: WriteCall) -> Answer {
    let name = call.parts.param("flow_name");
    call.parts
        .app
        .archive_flow(call.caller, &call.organization, name)
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

async fn rename(call: WriteCall) -> Answer {
    let new_name = provenance::rename_flow(&call.body)?;
    let name = call.parts.param("flow_name");
    call.parts
        .app
        .rename_flow(call.caller, &call.organization, name, new_name.as_str())
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

/// Flows in the order given, set-wise.
async fn show(
    read: &mut Read,
    organization: &Organization,
    flows: &[Flow],
) -> Result<Vec<Shown>, AppError> {
    let templates = flows.iter().map(|flow| flow.template);
    let templates = read.templates(organization.no, templates).await?;
    let repos: Vec<RepoNo> = flows.iter().filter_map(|flow| flow.repo).collect();
    let repos = read.repos_by_no(organization.no, &repos).await?;
    Ok(flows
        .iter()
        .map(|flow| {
            // The read fails where one is missing.
            let template = match templates[&flow.template].clone() {
                TemplateText::Yaml(text) => ShownTemplate::Yaml(text),
                TemplateText::Names(names) => ShownTemplate::Names(names),
            };
            let repo = flow.repo.and_then(|repo| repos.get(&repo));
            Shown {
                id: wire_id(Named::Flow, &organization.id, flow.no.0),
                name: flow.name.clone(),
                description: flow.description.clone(),
                visibility: flow.visibility.as_str().to_owned(),
                org: organization.name.clone(),
                template,
                repo_url: repo.map(Repo::url).unwrap_or_default(),
                tags: flow.tags.clone(),
            }
        })
        .collect())
}

async fn get_one(mut call: ReadCall) -> Answer {
    let name = call.parts.param("flow_name");
    let flow = live_flow(&mut call.read, &call.organization, name).await?;
    let shown = show(
        &mut call.read,
        &call.organization,
        std::slice::from_ref(&flow),
    )
    .await?;
    answer::json(StatusCode::OK, &shown.first())
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    let case_sensitive = check.boolean("case_sensitive", query.filled("case_sensitive"));
    check.finish()?;
    let case_sensitive = case_sensitive.unwrap_or(true);
    let fold = |text: &str| {
        if case_sensitive {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    let part = query.filled("search_by_name").map(fold);
    let tags: Vec<&str> = query.all("tag").filter(|tag| !tag.is_empty()).collect();
    let mut flows = call.read.flows(call.organization.no).await?;
    flows.retain(|flow| {
        part.as_ref()
            .is_none_or(|part| fold(&flow.name).contains(part.as_str()))
            && tags.iter().all(|tag| super::has_tag(&flow.tags, tag))
    });
    let total = flows.len() as u64;
    let paged = per_page.map(|per_page| Page {
        page: page.unwrap_or(1),
        per_page,
    });
    if let Some(paged) = paged {
        let (offset, count) = paged.window(total);
        flows = flows
            .into_iter()
            .skip(offset as usize)
            .take(count as usize)
            .collect();
    }
    let latest: Vec<TrailNo> = flows.iter().filter_map(|flow| flow.latest_trail).collect();
    let trails: HashMap<TrailNo, Trail> = call.read.trails(call.organization.no, &latest).await?;
    let shown = show(&mut call.read, &call.organization, &flows).await?;
    let items: Vec<FlowListItem> = shown
        .into_iter()
        .zip(&flows)
        .map(|(shown, flow)| {
            let trail = flow.latest_trail.and_then(|no| trails.get(&no));
            FlowListItem {
                flow: shown,
                latest_activity_at: flow.latest_at.map(seconds),
                latest_state: trail.map(|trail| trail.state.as_wire().to_owned()),
            }
        })
        .collect();
    match paged {
        None => answer::json(StatusCode::OK, &items),
        Some(paged) => answer::json(
            StatusCode::OK,
            &FlowPage {
                data: items,
                pagination: pagination(paged, total),
            },
        ),
    }
}

/// Which page of how many items an answer is.
pub(super) fn pagination(page: Page, total: u64) -> Pagination {
    Pagination {
        total,
        page: page.page,
        per_page: page.per_page,
        page_count: page.total_pages(total),
    }
}
