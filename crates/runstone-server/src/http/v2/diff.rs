//! Difference of two snapshots (`api-environments.md` section 9).

use axum::http::StatusCode;
use runstone_api::diff::{
    ChangedArtifact, ChangedArtifacts, DiffArtifact, EnvironmentDiff, Side, UnchangedArtifacts,
};
use runstone_model::command::Refusal;
use runstone_model::expression::Snappish;
use runstone_model::fact::{Organization, Running};
use runstone_model::history::{Compared, compare};
use runstone_model::id::Micros;
use runstone_model::role::Right;
use runstone_store::Read;

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
    let (second_id, second_running) = sides.pop().unwrap_or_default();
    let (first_id, first_running) = sides.pop().unwrap_or_default();
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
                    .map(|c| show(c, false))
                    .collect(),
            },
            snappish2: Side {
                snapshot_id: second_id,
                artifacts: difference
                    .added
                    .into_iter()
                    .map(|c| show(c, true))
                    .collect(),
            },
            changed: ChangedArtifacts {
                artifacts: difference.changed.into_iter().map(show_changed).collect(),
            },
            not_changed: UnchangedArtifacts {
                artifacts: difference.same.into_iter().map(|c| show(c, true)).collect(),
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
) -> Result<(String, Vec<Running>), AppError> {
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
    Ok((format!("{}#{no}", environment.name), running))
}

fn fingerprint(compared: &Compared<'_>) -> String {
    compared
        .fingerprint
        .map(|fingerprint| fingerprint.to_hex())
        .unwrap_or_default()
}

fn show(compared: Compared<'_>, second: bool) -> DiffArtifact<'_> {
    DiffArtifact {
        fingerprint: fingerprint(&compared),
        name: compared.name,
        most_recent_timestamp: compared.latest_start,
        flow: "",
        commit_url: None,
        instance_count: if second { compared.now } else { compared.was },
        pods: compared.pods,
    }
}

fn show_changed(compared: Compared<'_>) -> ChangedArtifact<'_> {
    ChangedArtifact {
        fingerprint: fingerprint(&compared),
        name: compared.name,
        most_recent_timestamp: compared.latest_start,
        flow: "",
        commit_url: None,
        s1_instance_count: compared.was,
        s2_instance_count: compared.now,
        pods: compared.pods,
    }
}
