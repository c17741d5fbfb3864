//! The entries of the journal on which it rests what a snapshot shows: its own, those its artifacts
//! came with, and the reports that say from which commits they are. Ours.

use std::collections::{BTreeSet, HashSet};

use axum::http::StatusCode;
use runstone_api::journal::{ArtifactEntries, SnapshotEntries};
use runstone_model::fact::Running;
use runstone_model::role::Right;

use super::joined::{Asked, Joining, bounds};
use super::snapshots::asked_for;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, read as get};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/journal/{org}/snapshots/{env_name}/{snapshot_expression}"),
        docs(
            "get_journal_entries_of_snapshot",
            "Journal",
            "List the entries on which it rests what a snapshot shows",
            Success::One(shape::<SnapshotEntries>()),
            &[
                (200, "The entries."),
                (400, "The expression is not valid."),
                (404, "There is no such environment or snapshot."),
            ],
        )
        .about("The expression is that of a snapshot."),
        list,
    )]
}

async fn list(mut call: ReadCall) -> Answer {
    let (environment, no) = asked_for(&mut call).await?;
    let (org, env) = (call.organization.no, environment.no);
    let made_by = call
        .read
        .snapshot(org, env, no)
        .await?
        .ok_or_else(|| AppError::Internal(format!("snapshot {no} is missing")))?
        .entry;
    let below = bounds(&mut call.read, &environment, [no])
        .await?
        .remove(&no);
    let running = call.read.running(org, env, no).await?;
    let (running, asked): (Vec<&Running>, Vec<Asked>) = running
        .iter()
        .filter_map(|running| {
            let asked = Asked {
                fingerprint: running.identity.fingerprint?,
                snapshot: no,
                below,
            };
            Some((running, asked))
        })
        .unzip();
    let joining = Joining {
        app: &call.parts.app,
        organization: &call.organization,
        origin: "",
        environment: &environment,
        running: HashSet::new(),
        with_history: false,
    };
    let known = joining.of(&mut call.read, &asked).await?;
    let starts: Vec<Option<u64>> = {
        let lineage = call.parts.app.lineages.of(org, env);
        let mut lineage = lineage.lock().await;
        call.read
            .follow(&mut lineage, environment.snapshots)
            .await?;
        let start = |asked: &Asked| lineage.start(&asked.fingerprint, no);
        asked.iter().map(start).collect()
    };
    // The snapshot before one has it as its successor.
    let before = starts.iter().flatten().map(|start| start - 1);
    let made = bounds(&mut call.read, &environment, before).await?;
    let artifacts: Vec<ArtifactEntries> = running
        .iter()
        .zip(&asked)
        .zip(known.iter().zip(&starts))
        .map(|((running, asked), (known, start))| ArtifactEntries {
            name: running.identity.name.clone(),
            fingerprint: asked.fingerprint.to_hex(),
            started_by: start.and_then(|start| made.get(&(start - 1)).copied()),
            reported_by: known.iter().map(|known| known.told_by).collect(),
        })
        .collect();
    let entries: BTreeSet<u64> = artifacts
        .iter()
        .flat_map(|artifact| artifact.reported_by.iter().chain(&artifact.started_by))
        .copied()
        .chain([made_by])
        .collect();
    answer::json(
        StatusCode::OK,
        &SnapshotEntries {
            snapshot_id: format!("{}#{no}", environment.name),
            entries: entries.into_iter().collect(),
            made_by,
            artifacts,
        },
    )
}
