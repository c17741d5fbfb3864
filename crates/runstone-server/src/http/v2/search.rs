//! Search by fingerprint or commit (`api-environments.md` section 12): what flows know of, and what
//! was only seen running.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axum::http::StatusCode;
use runstone_api::search::{FoundArtifact, HistoryLine, Matches, ResolvedTo, SearchResult};
use runstone_api::{path, seconds};
use runstone_model::fact::Artifact;
use runstone_model::id::Fingerprint;
use runstone_model::role::Right;

use super::artifacts::Around;
use super::lives::{Life, lives};
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, read as get};

/// Fewest digits of a prefix.
const DIGITS_MIN: usize = 5;
/// Most digits of a fingerprint.
const DIGITS_MAX: usize = 64;
/// More records or reports than this are too many to tell.
const FOUND_MAX: usize = 200;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/search/{org}/sha/{search_value}"),
        docs(
            "search_sha",
            "Search",
            "Search artifacts by fingerprint or commit",
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

/// Environments, each once.
fn names(places: &[(String, u64)]) -> Vec<String> {
    let names: BTreeSet<&String> = places.iter().map(|(name, _)| name).collect();
    names.into_iter().cloned().collect()
}

/// Of reports, newest first, the newest of each artifact in each trail.
fn newest(reports: &mut Vec<Artifact>) {
    let mut seen = HashSet::new();
    reports.retain(|report| seen.insert((report.fingerprint, report.trail)));
}

/// An artifact that no flow knows, but that ran.
fn only_seen(call: &ReadCall, fingerprint: Fingerprint, name: &str, life: &Life) -> FoundArtifact {
    let (origin, hex) = (call.parts.origin(), fingerprint.to_hex());
    FoundArtifact {
        name: name.to_owned(),
        has_provenance: false,
        git_commit: None,
        pipeline: String::new(),
        flow: String::new(),
        trail: String::new(),
        template_reference_name: String::new(),
        build_url: String::new(),
        commit_url: None,
        compliance_state: String::new(),
        running_in: names(&life.running),
        exited_from: names(&life.exited),
        html_url: path::search_html(&origin, &call.organization.name, &hex),
        api_url: path::search_api(&origin, &call.organization.name, &hex),
        history: life
            .happened
            .iter()
            .map(|happened| HistoryLine {
                event: happened.text.clone(),
                timestamp: seconds(happened.at),
            })
            .collect(),
        fingerprint: hex,
    }
}

/// A report of an artifact with everything that is known of it.
fn reported(around: &Around<'_>, artifact: &Artifact, life: &Life) -> Option<FoundArtifact> {
    let item = around.item(artifact)?;
    let flow = around.flow_of(artifact)?.name.clone();
    Some(FoundArtifact {
        name: item.filename,
        has_provenance: true,
        git_commit: artifact.commit.map(|commit| commit.to_hex()),
        pipeline: flow.clone(),
        flow,
        trail: item.trail_name.unwrap_or_default(),
        template_reference_name: item.template_reference_name.unwrap_or_default(),
        build_url: item.build_url,
        commit_url: Some(item.commit_url),
        compliance_state: item.state,
        running_in: names(&life.running),
        exited_from: names(&life.exited),
        html_url: item.html_url,
        api_url: item.api_url,
        history: around
            .history(artifact, life)
            .into_iter()
            .map(|line| HistoryLine {
                event: line.event,
                timestamp: line.timestamp,
            })
            .collect(),
        fingerprint: item.fingerprint,
    })
}

async fn search(mut call: ReadCall) -> Answer {
    let parts = std::sync::Arc::clone(&call.parts);
    let value = parts.param("search_value");
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
    let most = FOUND_MAX + 1;
    let records = call.read.records_by_prefix(org, &prefix, most).await?;
    let by_prefix = call.read.artifacts_by_prefix(org, &prefix, most).await?;
    let of_commits = call.read.artifacts_by_commit(org, &prefix, most).await?;
    if records.len() > FOUND_MAX || by_prefix.len() > FOUND_MAX || of_commits.len() > FOUND_MAX {
        return Err(AppError::bad(format!(
            "Search results are too ambiguous: more than {FOUND_MAX} artifacts match '{value}'."
        )));
    }
    let commits: BTreeSet<String> = of_commits
        .iter()
        .filter_map(|report| report.commit)
        .map(|commit| commit.to_hex())
        .collect();
    // One artifact may have a record per count of instances.
    let mut seen: BTreeSet<(Fingerprint, String)> = BTreeSet::new();
    for record in &records {
        if let Some(fingerprint) = record.identity.fingerprint {
            seen.insert((fingerprint, record.identity.name.clone()));
        }
    }
    let matching: BTreeSet<Fingerprint> = by_prefix
        .iter()
        .map(|report| report.fingerprint)
        .chain(seen.iter().map(|(fingerprint, _)| *fingerprint))
        .collect();
    let mut reports: Vec<Artifact> = by_prefix.into_iter().chain(of_commits).collect();
    newest(&mut reports);
    let known: BTreeSet<Fingerprint> = reports.iter().map(|report| report.fingerprint).collect();
    seen.retain(|(fingerprint, _)| !known.contains(fingerprint));
    if reports.is_empty() && seen.is_empty() {
        return Err(no_match());
    }
    let all: BTreeSet<Fingerprint> = matching.union(&known).copied().collect();
    let all: Vec<Fingerprint> = all.into_iter().collect();
    let lives = lives(&mut call.read, org, &all).await?;
    let none = Life::default();
    let life = |fingerprint: &Fingerprint| lives.get(fingerprint).unwrap_or(&none);
    let origin = parts.origin();
    let organization = std::sync::Arc::clone(&call.organization);
    let around = Around::of(&mut call.read, &organization, &origin, &reports).await?;
    let mut by_fingerprint: BTreeMap<Fingerprint, Vec<FoundArtifact>> = BTreeMap::new();
    for report in &reports {
        let found = reported(&around, report, life(&report.fingerprint));
        by_fingerprint
            .entry(report.fingerprint)
            .or_default()
            .extend(found);
    }
    for (fingerprint, name) in &seen {
        let found = only_seen(&call, *fingerprint, name, life(fingerprint));
        by_fingerprint.entry(*fingerprint).or_default().push(found);
    }
    let matches: Vec<String> = matching.iter().map(Fingerprint::to_hex).collect();
    let commits: Vec<String> = commits.into_iter().collect();
    let (kind, full_match) = match (&matches[..], &commits[..]) {
        ([one], []) => ("fingerprint", one.clone()),
        ([], [one]) => ("commit", one.clone()),
        (fingerprints, commits) => {
            let first = fingerprints.first().or(commits.first());
            ("multiple", first.cloned().unwrap_or_default())
        }
    };
    answer::json(
        StatusCode::OK,
        &SearchResult {
            resolved_to: ResolvedTo {
                kind,
                full_match,
                fingerprints: Matches {
                    kind: "fingerprint",
                    count: matches.len() as u64,
                    matches,
                },
                commits: Matches {
                    kind: "commit",
                    count: commits.len() as u64,
                    matches: commits,
                },
            },
            artifacts: by_fingerprint.into_values().flatten().collect(),
        },
    )
}
