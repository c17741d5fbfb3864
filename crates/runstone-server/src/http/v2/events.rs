//! Events of an environment (`api-environments.md` section 10). Offsets and totals are arithmetic:
//! every snapshot carries the number of events before it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use runstone_api::event::{Event, EventLinks, Links};
use runstone_api::paging::{Page, query_with_page};
use runstone_api::{path, seconds};
use runstone_model::history::{Annotated, events};
use runstone_model::interval::{EventsQuery, Interval};
use runstone_model::role::Right;

use super::{live_environment, with_times};
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{Query, ReadCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const PER_PAGE: u64 = 15;
const PER_PAGE_MAX: u64 = 100;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/environments/{org}/{env_name}/events"),
        docs(
            "list_environment_events",
            "Environments",
            "List events of an environment",
            Success::Many(shape::<Event>()),
            &[
                (
                    200,
                    "The events, newest snapshot first; totals stand in headers.",
                ),
                (400, "The request is not valid."),
                (404, "There is no such environment or repository."),
            ],
        )
        .query([
            param("page", Of::Integer, "Page, from 1."),
            param("per_page", Of::Integer, "Events of a page, at most 100."),
            param("reverse", Of::Boolean, "Oldest first."),
            param("interval", Of::Text, "Deprecated: use start and end."),
            param(
                "start",
                Of::Text,
                "First snapshot: N, -N, NOW or an age such as 2days.",
            ),
            param("end", Of::Text, "Last snapshot."),
            param("start_ts", Of::Number, "First moment, Unix seconds."),
            param("end_ts", Of::Number, "Last moment, Unix seconds."),
            param(
                "repo_name",
                Of::Texts,
                "Only artifacts from these repositories.",
            ),
        ]),
        list,
    )]
}

struct Asked {
    page: Page,
    reverse: bool,
    interval: Interval,
}

fn asked(query: &Query) -> Result<Asked, AppError> {
    let mut check = reader();
    let page = check.integer("page", query.filled("page"), 1, None);
    let per_page = check.integer("per_page", query.filled("per_page"), 1, Some(PER_PAGE_MAX));
    let reverse = check.boolean("reverse", query.filled("reverse"));
    // An older document names the times `from` and `to`.
    let start_ts = check.number(
        "start_ts",
        query.filled("start_ts").or(query.filled("from")),
    );
    let end_ts = check.number("end_ts", query.filled("end_ts").or(query.filled("to")));
    check.finish()?;
    let interval = Interval::of_events(&EventsQuery {
        interval: query.one("interval"),
        start: query.one("start"),
        end: query.one("end"),
        start_ts,
        end_ts,
    })
    .map_err(|error| AppError::bad(error.message()))?;
    Ok(Asked {
        page: Page {
            page: page.unwrap_or(1),
            per_page: per_page.unwrap_or(PER_PAGE),
        },
        reverse: reverse.unwrap_or(false),
        interval,
    })
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let asked = asked(&query)?;
    let name = call.parts.param("env_name");
    let environment = live_environment(&mut call.read, &call.organization, name).await?;
    // No repository exists yet.
    if let Some(repo) = query.all("repo_name").find(|repo| !repo.is_empty()) {
        return Err(AppError::missing(format!("Repo '{repo}' not found")));
    }
    let now = call.parts.app.now();
    let range = with_times(&mut call.read, &environment, |at_time| {
        asked.interval.resolve(now, environment.snapshots, at_time)
    })
    .await?;

    let (org, env) = (call.organization.no, environment.no);
    let mut shown = Vec::new();
    let mut total = 0;
    if let Some(range) = range {
        let read = &mut call.read;
        let missing = || AppError::Internal("a snapshot is missing".to_owned());
        let oldest = read
            .snapshot(org, env, *range.start())
            .await?
            .ok_or_else(missing)?;
        let newest = read
            .snapshot(org, env, *range.end())
            .await?
            .ok_or_else(missing)?;
        let first = oldest.events_before;
        let end = newest.events_before + u64::from(newest.events);
        total = end - first;
        let (offset, length) = asked.page.window(total);
        if length > 0 {
            let (low, high) = if asked.reverse {
                (first + offset, first + offset + length - 1)
            } else {
                (end - offset - length, end - offset - 1)
            };
            let from = read.snapshot_of_event(org, env, low).await?;
            let to = read.snapshot_of_event(org, env, high).await?;
            let mut changes = read.changes(org, env, from, to).await?;
            if !asked.reverse {
                changes.reverse();
            }
            // Events of the first snapshot that lie on the page before. The order within a
            // snapshot is the same in both directions.
            let skip = changes.first().map_or(0, |(snapshot, _)| {
                if asked.reverse {
                    low - snapshot.events_before
                } else {
                    snapshot.events_before + u64::from(snapshot.events) - 1 - high
                }
            });
            let origin = call.parts.origin();
            for (snapshot, change) in &changes {
                let links = Links {
                    this: Some(path::snapshot_api(
                        &origin,
                        &call.organization.name,
                        &environment.name,
                        snapshot.no,
                    )),
                    html: Some(path::snapshot_html(
                        &origin,
                        &call.organization.name,
                        &environment.name,
                        snapshot.no,
                    )),
                };
                for event in events(&change.removed, &change.added) {
                    shown.push(show(
                        &event,
                        &environment.name,
                        snapshot.no,
                        seconds(snapshot.at),
                        &links,
                    ));
                }
            }
            shown.drain(..usize::try_from(skip).unwrap_or(usize::MAX).min(shown.len()));
            shown.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
    }

    let origin = call.parts.origin();
    let href = |page| {
        format!(
            "{origin}{}?{}",
            call.parts.path(),
            query_with_page(call.parts.raw_query(), page)
        )
    };
    let mut response = answer::json(StatusCode::OK, &shown)?;
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-total-count", total),
        ("x-per-page", asked.page.per_page),
        ("x-current-page", asked.page.page),
        ("x-total-pages", asked.page.total_pages(total)),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    if let Some(link) = asked.page.link_header(total, href)
        && let Ok(link) = HeaderValue::try_from(link)
    {
        headers.insert(header::LINK, link);
    }
    Ok(response)
}

fn show(
    event: &Annotated<'_>,
    environment: &str,
    snapshot: u64,
    reported_at: f64,
    links: &Links,
) -> Event {
    let identity = &event.running.identity;
    Event {
        environment_name: environment.to_owned(),
        snapshot_index: snapshot,
        artifact_name: identity.name.clone(),
        sha256: identity
            .fingerprint
            .map(|fingerprint| fingerprint.to_hex())
            .unwrap_or_default(),
        description: event.annotation.description(),
        reported_at,
        pipeline: "",
        deployments: [],
        flows: [],
        artifact_compliance: None,
        snapshot_compliance: None,
        kind: event.annotation.kind.as_wire(),
        code_diff: None,
        links: EventLinks {
            artifact: Links {
                this: None,
                html: None,
            },
            snapshot: links.clone(),
        },
    }
}
