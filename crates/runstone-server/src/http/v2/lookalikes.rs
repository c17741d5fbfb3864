//! What runs under the name of something known without being it. Names never join anything: they
//! only point out what somebody may take for something else.

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use runstone_api::lookalike::{Lookalike, Lookalikes, Namesake};
use runstone_model::fact::{Artifact, Identity};
use runstone_model::provenance::{label, naming};
use runstone_model::role::Right;

use super::joined::{Asked, Joining, bounds};
use super::snapshots::asked_for;
use crate::http::answer::{self, Answer};
use crate::http::call::ReadCall;
use crate::http::openapi::{Success, docs, shape};
use crate::http::router::{Endpoint, api, read as get};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get(
        Right::Read,
        api("/lookalikes/{org}/{env_name}/{snapshot_expression}"),
        docs(
            "list_lookalikes",
            "Lookalikes",
            "List what runs under the name of a known artifact without being it",
            Success::One(shape::<Lookalikes>()),
            &[
                (200, "The artifacts."),
                (400, "The expression is not valid."),
                (404, "There is no such environment or snapshot."),
            ],
        )
        .about("No flow knows these artifacts. The expression is that of a snapshot."),
        list,
    )]
}

async fn list(mut call: ReadCall) -> Answer {
    let (environment, no) = asked_for(&mut call).await?;
    let org = call.organization.no;
    let running = call.read.running(org, environment.no, no).await?;
    let below = bounds(&mut call.read, &environment, [no])
        .await?
        .remove(&no);
    let mut artifacts: Vec<&Identity> = running.iter().map(|running| &*running.identity).collect();
    artifacts.sort_by_key(|identity| identity.key());
    artifacts.dedup_by_key(|identity| identity.key());
    let (identities, asked): (Vec<&Identity>, Vec<Asked>) = artifacts
        .into_iter()
        .filter_map(|identity| {
            let asked = Asked {
                fingerprint: identity.fingerprint?,
                snapshot: no,
                below,
            };
            Some((identity, asked))
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
    let strangers: Vec<&Identity> = identities
        .into_iter()
        .zip(known)
        .filter(|(_, known)| known.is_empty())
        .map(|(identity, _)| identity)
        .collect();
    let labels: HashSet<&str> = strangers
        .iter()
        .map(|stranger| label(&stranger.name))
        .collect();
    let named = call.read.artifacts_labelled(org, &labels, below).await?;
    let flows = named.iter().map(|artifact| artifact.flow).collect();
    let trails = named.iter().map(|artifact| artifact.trail).collect();
    let namings = call.read.flow_namings(org, &flows).await?;
    let trails = call.read.trail_names(org, &trails).await?;
    let mut by_label: HashMap<&str, Vec<&Artifact>> = HashMap::new();
    for artifact in named.iter().rev() {
        by_label
            .entry(label(&artifact.filename))
            .or_default()
            .push(artifact);
    }
    let namesake = |artifact: &&Artifact| Namesake {
        name: artifact.filename.clone(),
        fingerprint: artifact.fingerprint.to_hex(),
        flow_name: namings
            .get(&artifact.flow)
            .and_then(|names| naming(names, below))
            .map(runstone_model::fact::FlowNaming::shown)
            .unwrap_or_default(),
        trail_name: trails.get(&artifact.trail).cloned().unwrap_or_default(),
        git_commit: artifact.commit.map(|commit| commit.to_hex()),
    };
    let artifacts: Vec<Lookalike> = strangers
        .iter()
        .filter_map(|stranger| {
            let known = by_label.get(label(&stranger.name))?;
            Some(Lookalike {
                name: stranger.name.clone(),
                fingerprint: stranger.fingerprint?.to_hex(),
                known: known.iter().map(namesake).collect(),
            })
        })
        .collect();
    answer::json(
        StatusCode::OK,
        &Lookalikes {
            snapshot_id: format!("{}#{no}", environment.name),
            artifacts,
        },
    )
}
