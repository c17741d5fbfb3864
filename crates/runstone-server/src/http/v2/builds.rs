//! Builds: first reports of fingerprints (`api-organisation.md` section 11).

use std::collections::BTreeSet;

use axum::http::StatusCode;
use runstone_api::paging::Href;
use runstone_api::repo::{Build, BuildPage, BuildStatistics, SelfLink};
use runstone_api::{path, seconds};
use runstone_model::fact::{FlowNo, RepoNo, TrailNo};
use runstone_model::id::{Micros, Named, parse_wire_id};
use runstone_model::role::Right;
use runstone_store::BuildFilter;

use super::deployments::trail_name;
use super::paged::{self, Asked};
use super::repos;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{ReadCall, reader};
use crate::http::openapi::{Of, Param, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const TAG: &str = "Builds";
const INVALID: (u16, &str) = (400, "The request is not valid.");
const MISSING: (u16, &str) = (404, "There is no such repository.");
const PER_PAGE: u64 = 15;
const PER_PAGE_MAX: u64 = 50;
/// More moments than this are not told at once.
pub(super) const TIMES_MAX: u64 = 100_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let of_repo = [
        param("repo_id", Of::Text, "Id of a repository at its code host."),
        param("repo_name", Of::Text, "Name of a repository."),
        param("repo_inner_id", Of::Text, "Id of a repository here."),
    ];
    vec![
        get(
            Right::Read,
            api("/builds/{org}"),
            docs(
                "list_builds",
                TAG,
                "List builds",
                Success::One(shape::<BuildPage>()),
                &[(200, "A page of builds, newest first."), INVALID, MISSING],
            )
            .about("A build is the first report of a fingerprint.")
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param(
                    "per_page",
                    Of::Integer,
                    "Builds of a page, at most 50; 0 counts only.",
                ),
            ])
            .query(of_repo)
            .query(window_params()),
            list,
        ),
        get(
            Right::Read,
            api("/builds/{org}/statistics"),
            docs(
                "build_statistics",
                TAG,
                "Get when builds were",
                Success::One(shape::<BuildStatistics>()),
                &[(200, "A moment for each build."), INVALID, MISSING],
            )
            .query(of_repo)
            .query(window_params()),
            statistics,
        ),
    ]
}

pub(super) fn window_params() -> [Param; 2] {
    [
        param(
            "start_ts",
            Of::Number,
            "First moment, Unix seconds; 28 days before the last, if absent.",
        ),
        param(
            "end_ts",
            Of::Number,
            "Last moment, Unix seconds; now, if absent.",
        ),
    ]
}

/// Repositories of which all is true that is asked for; none: of any or of no repository.
async fn repos_asked(call: &mut ReadCall) -> Result<Option<Vec<RepoNo>>, AppError> {
    let query = call.parts.query();
    let (outer, name, inner) = (
        query.filled("repo_id"),
        query.filled("repo_name"),
        query.filled("repo_inner_id"),
    );
    let Some(asked) = inner.or(outer).or(name) else {
        return Ok(None);
    };
    let known = call.read.repos(call.organization.no).await?;
    let inner = inner.map(|id| parse_wire_id(Named::Repo, &call.organization.id, id));
    let found: Vec<RepoNo> = known
        .iter()
        .filter(|repo| {
            outer.is_none_or(|id| repo.id.as_deref() == Some(id))
                && name.is_none_or(|name| repo.name == name)
                && inner.is_none_or(|no| no == Some(repo.no.0))
        })
        .map(|repo| repo.no)
        .collect();
    if found.is_empty() {
        return Err(repos::missing(asked));
    }
    Ok(Some(found))
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let asked = Asked::read(&mut check, &query, (0, PER_PAGE, PER_PAGE_MAX));
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let repos = repos_asked(&mut call).await?;
    let org = call.organization.no;
    let filter = BuildFilter {
        repos,
        from: window.from,
        to: window.to,
    };
    let (total, found) = call
        .read
        .builds(org, &filter, |total| asked.window(total))
        .await?;
    let trails: BTreeSet<TrailNo> = found.iter().map(|build| build.trail).collect();
    let trails: Vec<TrailNo> = trails.into_iter().collect();
    let trails = call.read.trails(org, &trails).await?;
    let flows: BTreeSet<FlowNo> = found.iter().map(|build| build.flow).collect();
    let flows: Vec<FlowNo> = flows.into_iter().collect();
    let flows = call.read.flows_by_no(org, &flows).await?;
    let repos: BTreeSet<RepoNo> = found.iter().filter_map(|build| build.repo).collect();
    let repos: Vec<RepoNo> = repos.into_iter().collect();
    let repos = call.read.repos_by_no(org, &repos).await?;
    let origin = call.parts.origin();
    let builds = found
        .iter()
        .filter_map(|build| {
            let (flow, trail) = (flows.get(&build.flow)?, trails.get(&build.trail)?);
            let fingerprint = build.fingerprint.to_hex();
            Some(Build {
                created_at: seconds(build.at),
                flow_name: flow.name.clone(),
                trail_name: trail_name(trail),
                repo_info: build.repo.and_then(|no| repos.get(&no)).map(repos::name_of),
                links: SelfLink {
                    this: Href {
                        href: path::artifact_api(
                            &origin,
                            &call.organization.name,
                            &flow.name,
                            &fingerprint,
                        ),
                    },
                },
                fingerprint,
            })
        })
        .collect();
    let page = BuildPage {
        links: asked.links(&call, total),
        page: asked.page(),
        per_page: asked.per_page(),
        total_pages: asked.total_pages(total),
        total_count: total,
        builds,
    };
    answer::json(StatusCode::OK, &page)
}

async fn statistics(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let window = paged::window(&mut check, &query, call.parts.app.now());
    check.finish()?;
    let window = window()?;
    let repos = repos_asked(&mut call).await?;
    let filter = BuildFilter {
        repos,
        from: window.from,
        to: window.to,
    };
    let times = call
        .read
        .build_times(call.organization.no, &filter, TIMES_MAX + 1)
        .await?;
    if times.len() as u64 > TIMES_MAX {
        return Err(too_many());
    }
    let timestamps: Vec<f64> = times.iter().copied().map(Micros::to_seconds).collect();
    answer::json(
        StatusCode::OK,
        &BuildStatistics {
            start_ts: seconds(window.from),
            end_ts: seconds(window.end),
            count: timestamps.len() as u64,
            timestamps,
        },
    )
}

/// The window holds more than is told at once.
pub(super) fn too_many() -> AppError {
    AppError::bad(format!(
        "The window of time holds more than {TIMES_MAX} moments: ask for a shorter one"
    ))
}
