//! Difference of two snapshots (`api-environments.md` section 9).

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use runstone_api::diff::{
    ChangedArtifact, ChangedArtifacts, DiffArtifact, EnvironmentDiff, Side, UnchangedArtifacts,
};
use runstone_model::command::Refusal;
use runstone_model::expression::Snappish;
use runstone_model::fact::{Environment, Organization, Running, SnapshotNo};
use runstone_model::history::{Compared, compare};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::role::Right;
use runstone_store::Read;

use super::joined::{Asked, Joining, bounds};
use super::{live_environment, with_times};
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::{ReadCall, reader};
use crate::http::openapi::{Of, Param, Success, docs, shape};
use crate::http::router::{Endpoint, api, read as get};

/// About as many bytes an artifact takes in the answer.
const ARTIFACT_BYTES: usize = 640;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let side = |name| Param {
        name,
        of: Of::Text,
        required: true,
        text: "env, env#N, env~N or env@{…}.",
    };
    vec![get(
        Right::Read,
        api("/env-diff/{org}"),
        docs(
            "diff_snapshots",
            "EnvDiff",
            "Compare two snapshots",
            Success::One(shape::<EnvironmentDiff<'static>>()),
            &[
                (200, "What differs."),
                (400, "An expression is not valid."),
                (404, "There is no such environment or snapshot."),
            ],
        )
        .query([side("snappish1"), side("snappish2")]),
        diff,
    )]
}

async fn diff(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let first = check.required("snappish1", query.one("snappish1"));
    let second = check.required("snappish2", query.one("snappish2"));
    check.finish()?;
    let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
    // Both are read before any is looked up, so that a wrong text is told first.
    let wanted = [first, second].map(|text| {
        Snappish::candidates(text)
            .map(|candidates| (text, candidates))
            .map_err(|error| AppError::bad(error.message()))
    });
    let now = call.parts.app.now();
    let mut sides = Vec::with_capacity(2);
    for wanted in wanted {
        let (text, candidates) = wanted?;
        sides.push(resolve(&mut call.read, &call.organization, text, candidates, now).await?);
    }
    let (Some(second), Some(first)) = (sides.pop(), sides.pop()) else {
        return Err(AppError::Internal("two snapshots are compared".to_owned()));
    };
    let origins = [
        origins(&mut call, &first).await?,
        origins(&mut call, &second).await?,
    ];
    let (first_id, first_running) = (first.id, first.running);
    let (second_id, second_running) = (second.id, second.running);
    let difference = compare(&first_running, &second_running)?;
    let bytes = ARTIFACT_BYTES * (first_running.len().max(second_running.len()));
    answer::json_of(
        StatusCode::OK,
        bytes,
        &EnvironmentDiff {
            snappish1: Side {
                snapshot_id: first_id,
                artifacts: difference
                    .removed
                    .into_iter()
                    .map(|c| show(c, false, &origins))
                    .collect(),
            },
            snappish2: Side {
                snapshot_id: second_id,
                artifacts: difference
                    .added
                    .into_iter()
                    .map(|c| show(c, true, &origins))
                    .collect(),
            },
            changed: ChangedArtifacts {
                artifacts: difference
                    .changed
                    .into_iter()
                    .map(|c| show_changed(c, &origins[1]))
                    .collect(),
            },
            not_changed: UnchangedArtifacts {
                artifacts: difference
                    .same
                    .into_iter()
                    .map(|c| show(c, true, &origins))
                    .collect(),
            },
        },
    )
}

/// The snapshot meant and what runs in it.
async fn resolve(
    read: &mut Read,
    organization: &Organization,
    text: &str,
    candidates: Vec<Snappish>,
    now: Micros,
) -> Result<Resolved, AppError> {
    let mut chosen = None;
    for candidate in candidates {
        let name = candidate.environment.as_str();
        let exists = read
            .environment_named(organization.no, name)
            .await?
            .is_some();
        let snapshot = candidate.snapshot;
        chosen = Some((name.to_owned(), snapshot));
        if exists {
            break;
        }
    }
    let (name, snapshot) = chosen.ok_or_else(|| Refusal::EnvironmentMissing {
        name: text.to_owned(),
        organization: organization.name.clone(),
    })?;
    let environment = live_environment(read, organization, &name).await?;
    let no = with_times(read, &environment, |at_time| {
        snapshot.resolve(now, environment.snapshots, at_time)
    })
    .await?
    .map_err(|error| AppError::missing(error.message(&organization.name, &name, text)))?;
    let running = read.running(organization.no, environment.no, no).await?;
    Ok(Resolved {
        id: format!("{}#{no}", environment.name),
        environment,
        no,
        running,
    })
}

/// A snapshot that is compared.
struct Resolved {
    id: String,
    environment: Environment,
    no: SnapshotNo,
    running: Vec<Running>,
}

/// Primary flow and address of the commit of each artifact in a snapshot that has one.
type Origins = HashMap<Fingerprint, (String, Option<String>)>;

async fn origins(call: &mut ReadCall, side: &Resolved) -> Result<Origins, AppError> {
    let bounds = bounds(&mut call.read, &side.environment, [side.no]).await?;
    let asked: Vec<Asked> = side
        .running
        .iter()
        .filter_map(|running| {
            Some(Asked {
                fingerprint: running.identity.fingerprint?,
                snapshot: side.no,
                below: bounds.get(&side.no).copied(),
            })
        })
        .collect();
    let joining = Joining {
        app: &call.parts.app,
        organization: &call.organization,
        origin: "",
        environment: &side.environment,
        running: HashSet::new(),
        with_history: false,
    };
    let known = joining.of(&mut call.read, &asked).await?;
    Ok(asked
        .iter()
        .zip(known)
        .filter_map(|(asked, known)| {
            let primary = known.into_iter().next()?.entry;
            Some((asked.fingerprint, (primary.flow_name, primary.commit_url)))
        })
        .collect())
}

/// Flow and address of the commit of an artifact; empty and none if unknown.
fn origin(compared: &Compared<'_>, origins: &Origins) -> (String, Option<String>) {
    compared
        .fingerprint
        .and_then(|fingerprint| origins.get(&fingerprint).cloned())
        .unwrap_or_default()
}

fn fingerprint(compared: &Compared<'_>) -> String {
    compared
        .fingerprint
        .map(|fingerprint| fingerprint.to_hex())
        .unwrap_or_default()
}

fn show<'c>(compared: Compared<'c>, second: bool, origins: &[Origins; 2]) -> DiffArtifact<'c> {
    let (flow, commit_url) = origin(&compared, &origins[usize::from(second)]);
    DiffArtifact {
        fingerprint: fingerprint(&compared),
        name: compared.name,
        most_recent_timestamp: compared.latest_start,
        flow,
        commit_url,
        instance_count: if second { compared.now } else { compared.was },
        pods: compared.pods,
    }
}

fn show_changed<'c>(compared: Compared<'c>, origins: &Origins) -> ChangedArtifact<'c> {
    let (flow, commit_url) = origin(&compared, origins);
    ChangedArtifact {
        fingerprint: fingerprint(&compared),
        name: compared.name,
        most_recent_timestamp: compared.latest_start,
        flow,
        commit_url,
        s1_instance_count: compared.was,
        s2_instance_count: compared.now,
        pods: compared.pods,
    }
}
