//! Search by fingerprint (`api-environments.md` section 12). A prefix may also be that of a
//! commit, once there are flows that know commits; until then commits match nothing.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use runstone_api::search::{FoundArtifact, HistoryLine, Matches, ResolvedTo, SearchResult};
use runstone_api::{path, seconds};
use runstone_model::fact::{Environment, EnvironmentNo, RecordNo, Run, SnapshotNo};
use runstone_model::history::story;
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::role::Right;

use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, read as get};

/// Fewest digits of a prefix.
const DIGITS_MIN: usize = 5;
/// Most digits of a fingerprint.
const DIGITS_MAX: usize = 64;
/// More records than this are too many to tell.
const RECORDS_MAX: usize = 200;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/search/{org}/sha/{search_value}"),
        docs(
            "search_sha",
            "Search",
            "Search artifacts by fingerprint",
            Success::One(shape::<SearchResult>()),
            &[
                (
                    200,
                    "The artifacts, where they run and what happened to them.",
                ),
                (
                    400,
                    "The value is not hexadecimal, too short, or leads to too many artifacts.",
                ),
                (404, "Nothing matches."),
            ],
        ),
        search,
    )]
}

async fn search(mut call: ReadCall) -> Answer {
    let value = call.parts.param("search_value");
    let prefix = value.to_ascii_lowercase();
    if prefix.len() < DIGITS_MIN || !prefix.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(AppError::bad(format!(
            "'{value}' is not a search value: give at least {DIGITS_MIN} hexadecimal digits"
        )));
    }
    let no_match = || AppError::missing(format!("No matches for '{value}'."));
    if prefix.len() > DIGITS_MAX {
        return Err(no_match());
    }
    let org = call.organization.no;
    let read = &mut call.read;
    let records = read
        .records_by_prefix(org, &prefix, RECORDS_MAX + 1)
        .await?;
    if records.len() > RECORDS_MAX {
        return Err(AppError::bad(format!(
            "Search results are too ambiguous: more than {RECORDS_MAX} artifacts match '{value}'."
        )));
    }
    // One artifact may have a record per count of instances.
    let mut counts: HashMap<RecordNo, Option<u32>> = HashMap::new();
    let mut artifacts: BTreeMap<(Fingerprint, String), Vec<RecordNo>> = BTreeMap::new();
    for record in &records {
        if let Some(fingerprint) = record.identity.fingerprint {
            counts.insert(record.no, record.identity.count);
            artifacts
                .entry((fingerprint, record.identity.name.clone()))
                .or_default()
                .push(record.no);
        }
    }
    if artifacts.is_empty() {
        return Err(no_match());
    }
    let numbers: Vec<RecordNo> = counts.keys().copied().collect();
    let mut runs: HashMap<RecordNo, Vec<Run>> = HashMap::new();
    for run in read.runs(org, &numbers).await? {
        runs.entry(run.record).or_default().push(run);
    }
    let mut environments: HashMap<EnvironmentNo, Environment> = HashMap::new();
    let mut times: HashMap<(EnvironmentNo, SnapshotNo), Micros> = HashMap::new();
    let origin = call.parts.origin();
    let mut found = Vec::with_capacity(artifacts.len());
    for ((fingerprint, name), records) in &artifacts {
        let runs: Vec<(Run, Option<u32>)> = records
            .iter()
            .flat_map(|record| {
                let count = counts.get(record).copied().flatten();
                runs.get(record)
                    .into_iter()
                    .flatten()
                    .map(move |run| (*run, count))
            })
            .collect();
        let mut running: BTreeMap<EnvironmentNo, bool> = BTreeMap::new();
        for (run, _) in &runs {
            *running.entry(run.environment).or_default() |= run.to.is_none();
            if !environments.contains_key(&run.environment)
                && let Some(environment) = read.environment(org, run.environment).await?
            {
                environments.insert(run.environment, environment);
            }
        }
        let mut history = Vec::new();
        for step in story(&runs) {
            let Some(environment) = environments.get(&step.environment) else {
                continue;
            };
            let Some(event) = step.annotation.history(&environment.name, step.snapshot) else {
                continue;
            };
            let at = match times.get(&(step.environment, step.snapshot)) {
                Some(at) => *at,
                None => {
                    let at = read
                        .snapshot(org, step.environment, step.snapshot)
                        .await?
                        .map(|snapshot| snapshot.at)
                        .unwrap_or_default();
                    times.insert((step.environment, step.snapshot), at);
                    at
                }
            };
            history.push((at, event));
        }
        history.sort_by_key(|(at, _)| *at);
        let names = |wanted: bool| -> Vec<String> {
            let mut names: Vec<String> = running
                .iter()
                .filter_map(|(no, runs_now)| Some((environments.get(no)?, *runs_now)))
                .filter(|(environment, runs_now)| {
                    (*runs_now && environment.archived_at.is_none()) == wanted
                })
                .map(|(environment, _)| environment.name.clone())
                .collect();
            names.sort();
            names
        };
        let hex = fingerprint.to_hex();
        found.push(FoundArtifact {
            name: name.clone(),
            has_provenance: false,
            git_commit: None,
            pipeline: String::new(),
            flow: String::new(),
            trail: String::new(),
            template_reference_name: String::new(),
            build_url: String::new(),
            commit_url: None,
            compliance_state: String::new(),
            running_in: names(true),
            exited_from: names(false),
            html_url: path::search_html(&origin, &call.organization.name, &hex),
            api_url: path::search_api(&origin, &call.organization.name, &hex),
            history: history
                .into_iter()
                .map(|(at, event)| HistoryLine {
                    event,
                    timestamp: seconds(at),
                })
                .collect(),
            fingerprint: hex,
        });
    }
    let mut matches: Vec<String> = found
        .iter()
        .map(|found| found.fingerprint.clone())
        .collect();
    matches.dedup();
    answer::json(
        StatusCode::OK,
        &SearchResult {
            resolved_to: ResolvedTo {
                kind: if matches.len() == 1 {
                    "fingerprint"
                } else {
                    "multiple"
                },
                full_match: matches.first().cloned().unwrap_or_default(),
                fingerprints: Matches {
                    kind: "fingerprint",
                    count: matches.len() as u64,
                    matches,
                },
                commits: Matches {
                    kind: "commit",
                    count: 0,
                    matches: Vec::new(),
                },
            },
            artifacts: found,
        },
    )
}
