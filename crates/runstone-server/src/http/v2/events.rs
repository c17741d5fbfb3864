//! Events of an environment (`api-environments.md` section 10). Offsets and totals are arithmetic:
//! every snapshot carries the number of events before it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use runstone_api::event::{Event, EventFlow, EventLinks, Links};
use runstone_api::paging::{Page, query_with_page};
use runstone_api::{path, seconds};
use runstone_model::fact::{
    Artifact, EntryIndex, Environment, RecordNo, RepoNo, Snapshot, SnapshotNo,
};
use runstone_model::history::{Annotated, events};
use runstone_model::id::Fingerprint;
use runstone_model::interval::{EventsQuery, Interval};
use runstone_model::name::EnvironmentKind;
use runstone_model::role::Right;
use runstone_store::{Change, Read};

use super::joined::{self, Joining, Known};
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
    let repos = repos_named(&mut call, &query).await?;
    let now = call.parts.app.now();
    let range = with_times(&mut call.read, &environment, |at_time| {
        asked.interval.resolve(now, environment.snapshots, at_time)
    })
    .await?;

    let told = match (range, repos) {
        (None, _) => Told::default(),
        (Some(range), None) => all_events(&mut call.read, &environment, &asked, range).await?,
        (Some(range), Some(repos)) => {
            events_of_repos(&mut call.read, &environment, &asked, range, &repos).await?
        }
    };
    let total = told.total;
    let shown = show_all(&mut call, &environment, &told).await?;

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

/// The repositories that are asked for, if any: each name leads to all that have it.
async fn repos_named(
    call: &mut ReadCall,
    query: &Query,
) -> Result<Option<HashSet<RepoNo>>, AppError> {
    let names: Vec<&str> = query
        .all("repo_name")
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        return Ok(None);
    }
    let known = call.read.repos(call.organization.no).await?;
    let mut found = HashSet::new();
    for name in names {
        let mut named = known.iter().filter(|repo| repo.name == name).peekable();
        if named.peek().is_none() {
            return Err(AppError::missing(format!("Repo '{name}' not found")));
        }
        found.extend(named.map(|repo| repo.no));
    }
    Ok(Some(found))
}

/// Events of a page, by the snapshots that made them, in the order of the answer.
#[derive(Default)]
struct Told {
    /// Of all pages.
    total: u64,
    changes: Vec<(Snapshot, Change)>,
    /// Events of the changes that lie on other pages: these first ones are not shown.
    skip: u64,
    /// So many of the others are.
    length: u64,
    /// Only these artifacts are told of.
    only: Option<HashMap<Fingerprint, Vec<Artifact>>>,
    repos: HashSet<RepoNo>,
}

impl Told {
    /// Events of one change that are told of, in their order; `below` is where the snapshot's
    /// successor was made.
    fn events<'c>(
        &self,
        change: &'c Change,
        below: impl Fn() -> Option<EntryIndex>,
    ) -> Vec<Annotated<'c>> {
        let mut events = events(&change.removed, &change.added);
        if let Some(only) = &self.only {
            let below = below();
            events.retain(|event| {
                let reports = event
                    .running
                    .identity
                    .fingerprint
                    .and_then(|fingerprint| only.get(&fingerprint));
                reports.into_iter().flatten().any(|report| {
                    report.repo.is_some_and(|repo| self.repos.contains(&repo))
                        && below.is_none_or(|below| report.entry < below)
                })
            });
        }
        events
    }
}

/// A page of all events.
async fn all_events(
    read: &mut Read,
    environment: &Environment,
    asked: &Asked,
    range: RangeInclusive<SnapshotNo>,
) -> Result<Told, AppError> {
    let (org, env) = (environment.organization, environment.no);
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
    let mut told = Told {
        total: end - first,
        ..Told::default()
    };
    let (offset, length) = asked.page.window(told.total);
    if length == 0 {
        return Ok(told);
    }
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
    // Events of the first snapshot that lie on the page before. The order within a snapshot is
    // the same in both directions.
    told.skip = changes.first().map_or(0, |(snapshot, _)| {
        if asked.reverse {
            low - snapshot.events_before
        } else {
            snapshot.events_before + u64::from(snapshot.events) - 1 - high
        }
    });
    told.length = length;
    told.changes = changes;
    Ok(told)
}

/// A page of the events of artifacts that come from some repositories. Only snapshots in which
/// something happened to one of these are looked at.
async fn events_of_repos(
    read: &mut Read,
    environment: &Environment,
    asked: &Asked,
    range: RangeInclusive<SnapshotNo>,
    repos: &HashSet<RepoNo>,
) -> Result<Told, AppError> {
    let (org, env) = (environment.organization, environment.no);
    let built = read.artifacts_of_repos(org, repos).await?;
    let built: Vec<Fingerprint> = built.into_iter().collect();
    let records = read.records_of(org, &built).await?;
    let ran: HashSet<Fingerprint> = records
        .iter()
        .filter_map(|record| record.identity.fingerprint)
        .collect();
    let ran: Vec<Fingerprint> = ran.into_iter().collect();
    let mut told = Told {
        only: Some(read.provenance(org, &ran).await?),
        repos: repos.clone(),
        ..Told::default()
    };
    let mut places: BTreeSet<SnapshotNo> = BTreeSet::new();
    if environment.kind == EnvironmentKind::Logical {
        // A logical environment has no runs of its own.
        places.extend(range.clone());
    } else {
        let numbers: Vec<RecordNo> = records.iter().map(|record| record.no).collect();
        for run in read.runs(org, &numbers).await? {
            if run.environment == env {
                places.insert(run.from);
                places.extend(run.to.map(|to| to + 1));
            }
        }
        places.retain(|no| range.contains(no));
    }
    let bounds = joined::bounds(read, environment, places.iter().copied()).await?;
    let mut counted = Vec::with_capacity(places.len());
    for no in places {
        for (snapshot, change) in read.changes(org, env, no, no).await? {
            let events = told.events(&change, || bounds.get(&no).copied()).len() as u64;
            told.total += events;
            if events > 0 {
                counted.push((events, snapshot, change));
            }
        }
    }
    if !asked.reverse {
        counted.reverse();
    }
    let (offset, length) = asked.page.window(told.total);
    told.length = length;
    let mut before = 0;
    for (events, snapshot, change) in counted {
        if before + events > offset && before < offset + length {
            if told.changes.is_empty() {
                told.skip = offset - before;
            }
            told.changes.push((snapshot, change));
        }
        before += events;
    }
    Ok(told)
}

/// What is shown of a page, joined with where its artifacts come from.
async fn show_all(
    call: &mut ReadCall,
    environment: &Environment,
    told: &Told,
) -> Result<Vec<Event>, AppError> {
    let bounds = joined::bounds(
        &mut call.read,
        environment,
        told.changes.iter().map(|(snapshot, _)| snapshot.no),
    )
    .await?;
    let mut page = Vec::new();
    for (snapshot, change) in &told.changes {
        let below = bounds.get(&snapshot.no).copied();
        for event in told.events(change, || below) {
            page.push((snapshot, below, event));
        }
    }
    page.drain(
        ..usize::try_from(told.skip)
            .unwrap_or(usize::MAX)
            .min(page.len()),
    );
    page.truncate(usize::try_from(told.length).unwrap_or(usize::MAX));
    let asked: Vec<joined::Asked> = page
        .iter()
        .filter_map(|(snapshot, below, event)| {
            Some(joined::Asked {
                fingerprint: event.running.identity.fingerprint?,
                snapshot: if event.annotation.kind.is_running() {
                    snapshot.no
                } else {
                    snapshot.no - 1
                },
                below: *below,
            })
        })
        .collect();
    let origin = call.parts.origin();
    let joining = Joining {
        app: &call.parts.app,
        organization: &call.organization,
        origin: &origin,
        environment,
        running: HashSet::new(),
        with_history: true,
    };
    let mut known = joining.of(&mut call.read, &asked).await?.into_iter();
    let org = &call.organization.name;
    Ok(page
        .iter()
        .map(|(snapshot, _, event)| {
            let known = match event.running.identity.fingerprint {
                Some(_) => known.next().unwrap_or_default(),
                None => Vec::new(),
            };
            let links = Links {
                this: Some(path::snapshot_api(
                    &origin,
                    org,
                    &environment.name,
                    snapshot.no,
                )),
                html: Some(path::snapshot_html(
                    &origin,
                    org,
                    &environment.name,
                    snapshot.no,
                )),
            };
            show(event, environment, snapshot, links, (&origin, org), known)
        })
        .collect())
}

fn show(
    event: &Annotated<'_>,
    environment: &Environment,
    snapshot: &Snapshot,
    snapshot_links: Links,
    (origin, org): (&str, &str),
    known: Vec<Known>,
) -> Event {
    let identity = &event.running.identity;
    let sha256 = identity
        .fingerprint
        .map(|fingerprint| fingerprint.to_hex())
        .unwrap_or_default();
    let primary = known.first();
    Event {
        environment_name: environment.name.clone(),
        snapshot_index: snapshot.no,
        artifact_name: identity.name.clone(),
        description: event.annotation.description(),
        reported_at: seconds(snapshot.at),
        pipeline: primary.map_or_else(String::new, |known| known.entry.flow_name.clone()),
        deployments: [],
        artifact_compliance: None,
        snapshot_compliance: None,
        kind: event.annotation.kind.as_wire(),
        code_diff: primary
            .and_then(|known| known.entry.deployment_diff.as_ref())
            .and_then(|diff| diff.diff_url.clone()),
        links: EventLinks {
            artifact: Links {
                this: primary.map(|known| path::artifact_api(origin, org, &known.flow, &sha256)),
                html: primary.map(|known| known.entry.html_url.clone()),
            },
            snapshot: snapshot_links,
        },
        sha256,
        flows: known
            .into_iter()
            .map(|known| EventFlow {
                flow_name: known.entry.flow_name,
                deployments: None,
            })
            .collect(),
    }
}
