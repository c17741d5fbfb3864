//! Environments (`api-environments.md` section 3).

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use runstone_api::environment::{
    Environment as Shown, EnvironmentPage, JoinEnvironment, PatchEnvironment, PutEnvironment,
    RenameEnvironment,
};
use runstone_api::paging::{Page, query_with_page};
use runstone_api::path::API;
use runstone_api::seconds;
use runstone_model::fact::{Environment, EnvironmentNo, Organization, Seen};
use runstone_model::id::Micros;
use runstone_model::name::EnvironmentKind;
use runstone_model::read;
use runstone_model::role::Right;

use super::live_environment;
use crate::app::App;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{BodyBound, ReadCall, WriteCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get, write};

const TAG: &str = "Environments";
const MISSING: (u16, &str) = (
    404,
    "There is no such environment, or it has been archived.",
);
const INVALID: (u16, &str) = (400, "The request is not valid.");

/// Most environments of a page.
const PER_PAGE_MAX: u64 = 50;
const PER_PAGE: u64 = 15;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/environments/{org}"),
            docs(
                "list_environments",
                TAG,
                "List environments",
                Success::ManyOrPage(shape::<Shown>(), shape::<EnvironmentPage>()),
                &[
                    (200, "The environments; with paging parameters a page."),
                    INVALID,
                ],
            )
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "per_page",
                    Of::Integer,
                    "Environments of a page, at most 50.",
                ),
                param(
                    "sort",
                    Of::Text,
                    "name, last_modified_at or last_changed_at.",
                ),
                param("sort_direction", Of::Text, "asc or desc."),
                param("name", Of::Text, "Part of the name, in any case."),
                param("type", Of::Texts, "Types."),
                param("tag", Of::Texts, "key or key:value; all must match."),
                param("space_id", Of::Texts, "Spaces."),
            ]),
            list,
        ),
        write(
            Method::PUT,
            Right::PutEnvironment,
            BodyBound::Other,
            api("/environments/{org}"),
            docs(
                "put_environment",
                TAG,
                "Create or update an environment",
                Success::Ok,
                &[
                    (201, "It exists as described."),
                    INVALID,
                    (404, "A member or policy does not exist."),
                ],
            )
            .body(shape::<PutEnvironment>()),
            put,
        ),
        get(
            Right::Read,
            api("/environments/{org}/{env_name}"),
            docs(
                "get_environment",
                TAG,
                "Get an environment",
                Success::One(shape::<Shown>()),
                &[(200, "The environment."), MISSING],
            ),
            get_one,
        ),
        write(
            Method::PATCH,
            Right::ChangeEnvironment,
            BodyBound::Other,
            api("/environments/{org}/{env_name}"),
            docs(
                "patch_environment",
                TAG,
                "Change parts of an environment",
                Success::Ok,
                &[(200, "Changed."), INVALID, MISSING],
            )
            .body(shape::<PatchEnvironment>()),
            patch,
        ),
        write(
            Method::PUT,
            Right::ArchiveEnvironment,
            BodyBound::Other,
            api("/environments/{org}/{env_name}/archive"),
            docs(
                "archive_environment",
                TAG,
                "Archive an environment",
                Success::Ok,
                &[(200, "Archived."), MISSING],
            ),
            archive,
        ),
        write(
            Method::PUT,
            Right::ChangeEnvironment,
            BodyBound::Other,
            api("/environments/{org}/{env_name}/rename"),
            docs(
                "rename_environment",
                TAG,
                "Rename an environment",
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
            .body(shape::<RenameEnvironment>()),
            rename,
        ),
        write(
            Method::PUT,
            Right::ChangeEnvironment,
            BodyBound::Other,
            api("/environments/{org}/{env_name}/join"),
            docs(
                "join_environment",
                TAG,
                "Add a physical environment to a logical one",
                Success::Ok,
                &[(200, "It is a member."), INVALID, MISSING],
            )
            .body(shape::<JoinEnvironment>()),
            join,
        ),
    ]
}

async fn put(call: WriteCall) -> Answer {
    let body = read::put_environment(&call.body)?;
    call.parts
        .app
        .put_environment(call.caller, &call.organization, body)
        .await?;
    Ok(answer::ok(StatusCode::CREATED))
}

async fn patch(call: WriteCall) -> Answer {
    let body = read::patch_environment(&call.body)?;
    let name = call.parts.param("env_name");
    call.parts
        .app
        .patch_environment(call.caller, &call.organization, name, body)
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

async fn archive(call: WriteCall) -> Answer {
    let name = call.parts.param("env_name");
    call.parts
        .app
        .archive_environment(call.caller, &call.organization, name)
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

async fn rename(call: WriteCall) -> Answer {
    let new_name = read::rename_environment(&call.body)?;
    let name = call.parts.param("env_name");
    call.parts
        .app
        .rename_environment(call.caller, &call.organization, name, new_name.as_str())
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

async fn join(call: WriteCall) -> Answer {
    let physical = read::join_environment(&call.body)?;
    let name = call.parts.param("env_name");
    call.parts
        .app
        .join_environment(call.caller, &call.organization, name, physical)
        .await?;
    Ok(answer::ok(StatusCode::OK))
}

/// What of other environments and of operational values is shown with an environment.
struct Around<'a> {
    app: &'a App,
    organization: &'a Organization,
    /// Live environments that may be members.
    members: HashMap<EnvironmentNo, &'a Environment>,
    seen: HashMap<EnvironmentNo, Seen>,
}

fn show(environment: &Environment, around: &Around<'_>) -> Shown {
    let is_logical = environment.kind == EnvironmentKind::Logical;
    let members = || {
        environment
            .members
            .iter()
            .filter_map(|no| around.members.get(no))
    };
    let reported = if is_logical {
        None
    } else {
        let shared = around.seen.get(&environment.no).map(|seen| seen.to);
        let own = around
            .app
            .lanes
            .last_seen(around.organization.no, environment.no);
        shared.max(own)
    };
    let changed = if is_logical {
        members().filter_map(|member| member.changed_at).max()
    } else {
        environment.changed_at
    };
    let modified = if is_logical {
        changed.unwrap_or(environment.modified_at)
    } else {
        reported.map_or(environment.modified_at, |reported| {
            reported.max(environment.modified_at)
        })
    };
    Shown {
        org: around.organization.name.clone(),
        name: environment.name.clone(),
        kind: environment.kind,
        description: environment.description.clone(),
        last_modified_at: seconds(modified),
        last_reported_at: reported.map(seconds),
        last_changed_at: changed.map(seconds),
        // Nothing judges until policies exist.
        state: None,
        include_scaling: environment.include_scaling,
        tags: environment.tags.clone(),
        policies: Some(Vec::new()),
        included_environments: is_logical
            .then(|| members().map(|member| member.name.clone()).collect()),
    }
}

async fn get_one(mut call: ReadCall) -> Answer {
    let name = call.parts.param("env_name");
    let environment = live_environment(&mut call.read, &call.organization, name).await?;
    let mut members = Vec::with_capacity(environment.members.len());
    for no in &environment.members {
        members.extend(call.read.environment(call.organization.no, *no).await?);
    }
    let seen = call
        .read
        .seen(call.organization.no, &[environment.no])
        .await?;
    let shown = show(
        &environment,
        &Around {
            app: &call.parts.app,
            organization: &call.organization,
            members: members
                .iter()
                .filter(|member| member.archived_at.is_none())
                .map(|member| (member.no, member))
                .collect(),
            seen,
        },
    );
    answer::json(StatusCode::OK, &shown)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Modified,
    Changed,
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    let sort = check.one_of(
        "sort",
        query.filled("sort"),
        &[
            ("name", Sort::Name),
            ("last_modified_at", Sort::Modified),
            ("last_changed_at", Sort::Changed),
        ],
    );
    let descending = check.one_of(
        "sort_direction",
        query.filled("sort_direction"),
        &[("asc", false), ("desc", true)],
    );
    let kinds = EnvironmentKind::ALL.map(|kind| (kind.as_wire(), kind));
    let mut wanted = Vec::new();
    for (index, text) in query.all("type").enumerate() {
        wanted.extend(check.one_of(&format!("type[{index}]"), Some(text), &kinds));
    }
    check.finish()?;
    let name = query.one("name").unwrap_or_default().to_lowercase();
    // There are no spaces yet, so that none has an environment.
    let in_space = query.all("space_id").all(str::is_empty);

    let all = call.read.environments(call.organization.no).await?;
    let mut found: Vec<&Environment> = all
        .iter()
        .filter(|environment| {
            in_space
                && (wanted.is_empty() || wanted.contains(&environment.kind))
                && (name.is_empty() || environment.name.to_lowercase().contains(&name))
                && query
                    .all("tag")
                    .all(|tag| super::has_tag(&environment.tags, tag))
        })
        .collect();
    let numbers: Vec<EnvironmentNo> = found.iter().map(|environment| environment.no).collect();
    let seen = call.read.seen(call.organization.no, &numbers).await?;
    let around = Around {
        app: &call.parts.app,
        organization: &call.organization,
        members: all
            .iter()
            .map(|environment| (environment.no, environment))
            .collect(),
        seen,
    };
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let mut shown: Vec<Shown> = found
        .into_iter()
        .map(|environment| show(environment, &around))
        .collect();
    let key = |shown: &Shown| {
        let at = match sort.unwrap_or(Sort::Name) {
            Sort::Name => None,
            Sort::Modified => Some(shown.last_modified_at),
            Sort::Changed => shown.last_changed_at,
        };
        at.map(Micros::from_seconds)
    };
    // By name already; both orders are total because names differ.
    shown.sort_by_key(key);
    if descending == Some(true) {
        shown.reverse();
    }
    if page.is_none() && per_page.is_none() {
        return answer::json(StatusCode::OK, &shown);
    }
    let page = Page {
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(PER_PAGE),
    };
    let total = shown.len() as u64;
    let (offset, length) = page.window(total);
    let origin = call.parts.origin();
    let href = |page| {
        format!(
            "{origin}{API}/environments/{}?{}",
            runstone_api::path::segment(&call.organization.name),
            query_with_page(call.parts.raw_query(), page)
        )
    };
    let first = usize::try_from(offset).map_err(|_| AppError::bad("page is too large"))?;
    let page = EnvironmentPage {
        links: page.links(total, href),
        page: page.page,
        per_page: page.per_page,
        total_pages: page.total_pages(total),
        total_count: total,
        environments: shown.drain(first..first + length as usize).collect(),
    };
    answer::json(StatusCode::OK, &page)
}
