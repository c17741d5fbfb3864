//! Snapshots (`api-environments.md` section 8).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use runstone_api::snapshot::{
    Annotation, Artifact, AzureContext, CloudRunContext, ComplianceCount, EcsContext, FlowEntry,
    Owner, Pod, Snapshot, SnapshotListItem,
};
use runstone_api::{path, seconds};
use runstone_model::expression::SnapshotRef;
use runstone_model::fact::{Environment, SnapshotNo};
use runstone_model::history::{Annotated, annotate};
use runstone_model::id::Fingerprint;
use runstone_model::interval::Interval;
use runstone_model::report::DetailView;
use runstone_model::role::Right;
use runstone_store::{Read, Stamp};

use super::joined::{Asked, Joining, Known};
use super::{live_environment, with_times};
use crate::app::cache::SnapshotKey;
use crate::app::error::AppError;
use crate::http::answer::{self, Answer, COMPRESSED_BYTES_MIN, JSON};
use crate::http::call::{ReadCall, reader};
use crate::http::openapi::{Of, Success, docs, param, shape};
use crate::http::router::{Endpoint, api, read as get};

const PER_PAGE: u64 = 15;
/// A larger wish is taken as this.
const PER_PAGE_MAX: u64 = 500;
/// About as many bytes an artifact takes in a snapshot beside its detail.
const ARTIFACT_BYTES: usize = 448;
/// About as many it takes for each flow that knows it.
const FLOW_BYTES: usize = 1_536;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get(
            Right::Read,
            api("/snapshots/{org}/{env_name}"),
            docs(
                "list_snapshots",
                "Snapshots",
                "List snapshots of an environment",
                Success::Many(shape::<SnapshotListItem>()),
                &[
                    (200, "The snapshots, newest first."),
                    (400, "The request is not valid."),
                    (
                        404,
                        "There is no such environment, or it has been archived.",
                    ),
                ],
            )
            .query([
                param("page", Of::Integer, "Page, from 1."),
                param("per_page", Of::Integer, "Snapshots of a page."),
                param("interval", Of::Text, "Such as 1..NOW, ~3..NOW or 7."),
                param("reverse", Of::Boolean, "Oldest first."),
            ]),
            list,
        ),
        get(
            Right::Read,
            api("/snapshots/{org}/{env_name}/{snapshot_expression}"),
            docs(
                "get_snapshot",
                "Snapshots",
                "Get a snapshot of an environment",
                Success::One(shape::<Snapshot<'static>>()),
                &[
                    (200, "The snapshot."),
                    (400, "The expression is not valid."),
                    (404, "There is no such environment or snapshot."),
                ],
            )
            .about("The expression is N, -N, ~N, @{YYYY-MM-DDTHH:MM:SS}, @{N.days.ago} or @{now}."),
            get_one,
        ),
    ]
}

async fn list(mut call: ReadCall) -> Answer {
    let query = call.parts.query();
    let mut check = reader();
    let page = check
        .integer("page", query.filled("page"), 1, None)
        .unwrap_or(1);
    let per_page = check
        .integer("per_page", query.filled("per_page"), 1, None)
        .unwrap_or(PER_PAGE)
        .min(PER_PAGE_MAX);
    let reverse = check
        .boolean("reverse", query.filled("reverse"))
        .unwrap_or(false);
    check.finish()?;
    let interval = Interval::parse(query.one("interval").unwrap_or_default())
        .map_err(|error| AppError::bad(error.message()))?;
    let name = call.parts.param("env_name");
    let environment = live_environment(&mut call.read, &call.organization, name).await?;
    let now = call.parts.app.now();
    let range = with_times(&mut call.read, &environment, |at_time| {
        interval.resolve(now, environment.snapshots, at_time)
    })
    .await?;
    let empty: [SnapshotListItem; 0] = [];
    let Some(range) = range else {
        return answer::json(StatusCode::OK, &empty);
    };
    let (first, last) = (*range.start(), *range.end());
    let offset = (page - 1).saturating_mul(per_page);
    let count = last - first + 1;
    if offset >= count {
        return answer::json(StatusCode::OK, &empty);
    }
    let length = per_page.min(count - offset);
    let (from, to) = if reverse {
        (first + offset, first + offset + length - 1)
    } else {
        (last - offset - length + 1, last - offset)
    };
    let snapshots = call
        .read
        .snapshots(call.organization.no, environment.no, from, to + 1)
        .await?;
    let mut items: Vec<SnapshotListItem> = snapshots
        .iter()
        .enumerate()
        .filter(|(_, snapshot)| snapshot.no <= to)
        .map(|(index, snapshot)| {
            let next = snapshots.get(index + 1).map(|next| next.at);
            let until = next.unwrap_or(now.max(snapshot.at));
            SnapshotListItem {
                index: snapshot.no,
                from: seconds(snapshot.at),
                to: next.map_or(0.0, seconds),
                compliant: false,
                duration: (until.0 - snapshot.at.0) as f64 / 1e6,
            }
        })
        .collect();
    if !reverse {
        items.reverse();
    }
    answer::json(StatusCode::OK, &items)
}

async fn get_one(mut call: ReadCall) -> Answer {
    let parts = Arc::clone(&call.parts);
    let name = parts.param("env_name");
    let expression = SnapshotRef::parse(parts.param("snapshot_expression"))
        .map_err(|error| AppError::bad(error.message()))?;
    if let Some(response) = known_latest(&call, name, &expression)? {
        return Ok(response);
    }
    let (environment, no) = asked_for(&mut call).await?;
    let environment = Arc::new(environment);
    let app = Arc::clone(&call.parts.app);
    if let Some(version) = call.read.version() {
        app.known.keep_environment(name, version, &environment);
    }
    let is_latest = no == environment.snapshots;
    let stamp = if is_latest {
        let stamp = call.read.provenance_stamp(call.organization.no).await?;
        if let Some(version) = call.read.version() {
            app.known
                .keep_provenance(call.organization.no, version, stamp);
        }
        stamp
    } else {
        Stamp::default()
    };
    let key = key(&call, &environment, no, stamp);
    if is_latest && let Some(response) = rendered(&call, key.clone())? {
        return Ok(response);
    }
    let origin = call.parts.origin();
    let joining = Joining {
        app: &app,
        organization: &call.organization,
        origin: &origin,
        environment: &environment,
        running: HashSet::new(),
        with_history: true,
    };
    let bytes = render(&mut call.read, joining, no, key.html_url.clone()).await?;
    if is_latest {
        app.snapshots.put(key.clone(), bytes.clone());
        if let Some(response) = rendered(&call, key)? {
            return Ok(response);
        }
    }
    Ok(answer::body(StatusCode::OK, JSON, bytes))
}

fn key(
    call: &ReadCall,
    environment: &Environment,
    no: SnapshotNo,
    provenance: Stamp,
) -> SnapshotKey {
    SnapshotKey {
        organization: call.organization.no,
        environment: environment.no,
        snapshot: no,
        provenance,
        html_url: path::snapshot_html(
            &call.parts.origin(),
            &call.organization.name,
            &environment.name,
            no,
        ),
        gzip: false,
    }
}

/// The environment and the snapshot that the path of a call names.
pub(super) async fn asked_for(call: &mut ReadCall) -> Result<(Environment, SnapshotNo), AppError> {
    let parts = Arc::clone(&call.parts);
    let text = parts.param("snapshot_expression");
    let name = parts.param("env_name");
    let expression = SnapshotRef::parse(text).map_err(|error| AppError::bad(error.message()))?;
    let environment = live_environment(&mut call.read, &call.organization, name).await?;
    let now = parts.app.now();
    let no = with_times(&mut call.read, &environment, |at_time| {
        expression.resolve(now, environment.snapshots, at_time)
    })
    .await?
    .map_err(|error| {
        let quoted = SnapshotRef::quoted(name, text);
        AppError::missing(error.message(&call.organization.name, name, &quoted))
    })?;
    Ok((environment, no))
}

/// The latest snapshot, where nothing has changed since it was last asked for.
fn known_latest(
    call: &ReadCall,
    name: &str,
    expression: &SnapshotRef,
) -> Result<Option<Response<Body>>, AppError> {
    let app = &call.parts.app;
    let Some((_, environment)) = app
        .known
        .environment(call.organization.no, name)
        .filter(|(version, _)| app.store.is_current(*version))
    else {
        return Ok(None);
    };
    let Some((_, stamp)) = app
        .known
        .provenance(call.organization.no)
        .filter(|(version, _)| app.store.is_current(*version))
    else {
        return Ok(None);
    };
    let latest = environment.snapshots;
    let asks_for_time = std::cell::Cell::new(false);
    let no = expression.resolve(app.now(), latest, |_| {
        asks_for_time.set(true);
        0
    });
    if asks_for_time.get() || !no.is_ok_and(|no| no == latest) {
        return Ok(None);
    }
    rendered(call, key(call, &environment, latest, stamp))
}

/// A latest snapshot as it was rendered before, compressed once for all who ask for that.
fn rendered(call: &ReadCall, plain: SnapshotKey) -> Result<Option<Response<Body>>, AppError> {
    let cache = &call.parts.app.snapshots;
    let Some(bytes) = cache.get(&plain) else {
        return Ok(None);
    };
    if bytes.len() <= COMPRESSED_BYTES_MIN || !answer::accepts_gzip(&call.parts.headers) {
        return Ok(Some(answer::body(StatusCode::OK, JSON, bytes)));
    }
    let compressed = SnapshotKey {
        gzip: true,
        ..plain
    };
    let bytes = match cache.get(&compressed) {
        Some(bytes) => bytes,
        None => {
            call.read.bound_bytes(bytes.len())?;
            let bytes = answer::gzip(&bytes);
            cache.put(compressed, bytes.clone());
            bytes
        }
    };
    let response = answer::body(StatusCode::OK, JSON, bytes);
    Ok(Some(answer::gzipped(response)))
}

/// The JSON of a snapshot.
async fn render(
    read: &mut Read,
    mut joining: Joining<'_>,
    no: SnapshotNo,
    html_url: String,
) -> Result<bytes::Bytes, AppError> {
    let (organization, environment) = (joining.organization, joining.environment);
    let rows = read
        .snapshots(organization.no, environment.no, no, no + 1)
        .await?;
    let snapshot = rows
        .first()
        .filter(|snapshot| snapshot.no == no)
        .ok_or_else(|| AppError::Internal(format!("snapshot {no} is missing")))?;
    let next = rows.get(1).map(|next| next.at);
    let after = read.running(organization.no, environment.no, no).await?;
    let before = if no > 1 {
        read.running(organization.no, environment.no, no - 1)
            .await?
    } else {
        Vec::new()
    };
    let annotated = annotate(&before, &after);
    // As it stood just before the next snapshot was made.
    let below = rows.get(1).map(|next| next.entry);
    let asked: Vec<Asked> = annotated
        .iter()
        .filter_map(|artifact| {
            let fingerprint = artifact.running.identity.fingerprint?;
            Some(Asked {
                fingerprint,
                snapshot: if artifact.annotation.kind.is_running() {
                    no
                } else {
                    no - 1
                },
                below,
            })
        })
        .collect();
    joining.running = after
        .iter()
        .filter_map(|running| running.identity.fingerprint)
        .collect();
    let mut known = joining.of(read, &asked).await?.into_iter();
    let fingerprints: Vec<Fingerprint> = asked.iter().map(|asked| asked.fingerprint).collect();
    let announced = read.deployments_of(organization.no, &fingerprints).await?;
    let mut artifacts = Vec::with_capacity(annotated.len());
    let mut count = ComplianceCount {
        compliant: 0,
        non_compliant: 0,
        unknown: 0,
    };
    for artifact in &annotated {
        if artifact.annotation.kind.is_running() {
            count.unknown += 1;
        }
        let detail = DetailView::parse(&artifact.running.detail)?;
        let flows = match artifact.running.identity.fingerprint {
            Some(_) => known.next().unwrap_or_default(),
            None => Vec::new(),
        };
        let deployments = artifact
            .running
            .identity
            .fingerprint
            .and_then(|fingerprint| announced.get(&fingerprint))
            .into_iter()
            .flatten()
            .filter(|deployment| {
                deployment.environment == environment.no
                    && below.is_none_or(|below| deployment.entry < below)
            })
            .map(|deployment| deployment.no.0.into())
            .collect();
        artifacts.push(show(artifact, detail, flows, deployments));
    }
    let bytes = annotated
        .iter()
        .map(|artifact| ARTIFACT_BYTES + artifact.running.detail.len() * 3 / 2)
        .sum::<usize>()
        + artifacts
            .iter()
            .map(|artifact| FLOW_BYTES * artifact.flows.len())
            .sum::<usize>();
    answer::json_bytes_of(
        bytes,
        &Snapshot {
            index: no,
            is_latest: next.is_none(),
            next_snapshot_timestamp: next.map(seconds),
            artifact_compliance_count: count,
            timestamp: seconds(snapshot.at),
            kind: environment.kind.as_wire(),
            // Unknown shows as false.
            compliant: false,
            html_url,
            artifacts,
            applied_policies: [],
        },
    )
}

fn show<'a>(
    artifact: &Annotated<'a>,
    detail: DetailView<'a>,
    known: Vec<Known>,
    deployments: Vec<u64>,
) -> Artifact<'a> {
    let flows: Vec<FlowEntry> = known.into_iter().map(|known| known.entry).collect();
    let primary = flows.first();
    let identity = &artifact.running.identity;
    let pods = detail.pods.map(|pods| {
        pods.into_iter()
            .map(|(name, pod)| (name, show_pod(pod)))
            .collect::<BTreeMap<Cow<'a, str>, Pod<'a>>>()
    });
    Artifact {
        name: &identity.name,
        compliant: None,
        deployments,
        policy_decisions: [],
        reasons_for_incompliance: [],
        fingerprint: identity
            .fingerprint
            .map(|fingerprint| fingerprint.to_hex())
            .unwrap_or_default(),
        creation_timestamps: detail.timestamps,
        pods,
        annotation: Annotation {
            kind: artifact.annotation.kind.as_wire(),
            was: artifact.annotation.was,
            now: artifact.annotation.now,
        },
        flow_name: primary.map_or_else(String::new, |flow| flow.flow_name.clone()),
        git_commit: primary.and_then(|flow| flow.git_commit.clone()),
        commit_url: primary.and_then(|flow| flow.commit_url.clone()),
        html_url: primary.map(|flow| flow.html_url.clone()),
        flow_html_url: primary.map(|flow| flow.flow_html_url.clone()),
        deployment_diff: primary.and_then(|flow| flow.deployment_diff.clone()),
        commit_lead_time: primary.and_then(|flow| flow.commit_lead_time),
        flows,
        ecs_context: detail.ecs.map(|ecs| EcsContext {
            task_arn: ecs.task_arn,
            cluster_name: ecs.cluster_name,
            service_name: ecs.service_name,
        }),
        azure_context: detail.azure.map(|azure| AzureContext {
            app_name: azure.app_name,
            app_kind: azure.app_kind,
            digests_source: azure.digests_source,
        }),
        cloud_run_context: detail.cloud_run.map(|cloud_run| CloudRunContext {
            kind: cloud_run.kind,
            service_name: cloud_run.service_name,
            revision_name: cloud_run.revision_name,
            job_name: cloud_run.job_name,
        }),
    }
}

fn show_pod(pod: runstone_model::report::Pod<'_>) -> Pod<'_> {
    Pod {
        namespace: pod.namespace,
        creation_timestamp: pod.created_at_seconds,
        owners: pod.owners.map(|owners| {
            owners
                .into_iter()
                .map(|owner| Owner {
                    api_version: owner.api_version,
                    kind: owner.kind,
                    name: owner.name,
                    uid: owner.uid,
                    controller: owner.controller,
                    block_owner_deletion: owner.block_owner_deletion,
                })
                .collect()
        }),
    }
}
