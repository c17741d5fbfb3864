//! Where what runs comes from, joined by fingerprint alone (`api-environments.md` sections 6.1 and
//! 6.2): the same in a snapshot, in events and in the difference of two snapshots.
//!
//! Everything is as it stood just before the next snapshot was made (decision 0016): whoever asks
//! says below which entry. Nothing is judged here.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use runstone_api::path;
use runstone_api::snapshot::{CommitInfo, DeploymentDiff, FlowEntry};
use runstone_model::compliance::State;
use runstone_model::event::Content;
use runstone_model::fact::{
    Artifact, EntryIndex, Environment, FlowNaming, FlowNo, Identity, Organization, RecordNo,
    SnapshotNo, TrailNo,
};
use runstone_model::id::{Fingerprint, Named, wire_id};
use runstone_model::provenance::{CommitPage, comparison, entries, naming};
use runstone_store::{Before, Read};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::App;
use crate::app::error::AppError;

/// An artifact that ran in a snapshot of an environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) fingerprint: Fingerprint,
    /// A snapshot it ran in.
    pub(super) snapshot: SnapshotNo,
    /// Only what was told by entries below this one counts.
    pub(super) below: Option<EntryIndex>,
}

/// What one flow knows of an artifact.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The flow's own name, for links.
    pub(super) flow: String,
    /// The entry of the report.
    pub(super) told_by: EntryIndex,
    pub(super) entry: FlowEntry,
}

/// What artifacts that run are joined with.
pub(super) struct Joining<'a> {
    pub(super) app: &'a App,
    pub(super) organization: &'a Organization,
    pub(super) origin: &'a str,
    pub(super) environment: &'a Environment,
    /// Artifacts that run in the snapshot that is shown; of events, which do not tell, none.
    pub(super) running: HashSet<Fingerprint>,
    /// Whether it is asked what ran before, and since when it runs.
    pub(super) with_history: bool,
}

/// What was told with a report, of which only this is shown.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    commit_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    git_commit_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToldCommit<'a> {
    #[serde(borrow, default)]
    sha1: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    author: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    branch: Option<Cow<'a, str>>,
    #[serde(default)]
    timestamp: Option<serde_json::Number>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
}

/// The commit of a report, as it is shown. What was erased, or cannot be shown, is missing.
fn commit_of(content: Option<&Content>) -> (Option<String>, Option<CommitInfo>) {
    let told: Option<Told<'_>> = content
        .and_then(|content| content.json.as_deref())
        .and_then(|json| serde_json::from_str(json).ok());
    let Some(told) = told else {
        return (None, None);
    };
    let info = told
        .git_commit_info
        .and_then(|raw| serde_json::from_str::<Option<ToldCommit<'_>>>(raw.get()).ok())
        .flatten()
        .map(|commit| {
            let text = |told: Option<Cow<'_, str>>| told.map_or_else(String::new, Cow::into_owned);
            CommitInfo {
                sha1: text(commit.sha1),
                message: text(commit.message),
                author: text(commit.author),
                branch: text(commit.branch),
                timestamp: commit.timestamp.unwrap_or_else(|| 0.into()),
                url: text(commit.url),
            }
        });
    let url = told.commit_url.filter(|url| !url.is_empty());
    (url.map(Cow::into_owned), info)
}

/// What was read for all artifacts together.
struct Parts {
    namings: HashMap<FlowNo, Vec<FlowNaming>>,
    trails: HashMap<TrailNo, String>,
    contents: HashMap<(EntryIndex, u32), Content>,
    /// Of what ran before.
    identities: HashMap<RecordNo, std::sync::Arc<Identity>>,
    before: HashMap<Fingerprint, Vec<Artifact>>,
}

/// What is known of the life of one artifact of one flow.
#[derive(Default, Clone, Copy)]
struct Past {
    before: Option<Before>,
    /// Unix seconds.
    first_started: Option<i64>,
}

impl Joining<'_> {
    /// What flows know of artifacts, the primary one first, in the order asked: a few set-wise
    /// statements, however many there are.
    pub(super) async fn of(
        &self,
        read: &mut Read,
        asked: &[Asked],
    ) -> Result<Vec<Vec<Known>>, AppError> {
        let fingerprints: HashSet<Fingerprint> =
            asked.iter().map(|asked| asked.fingerprint).collect();
        let fingerprints: Vec<Fingerprint> = fingerprints.into_iter().collect();
        let reports = self.reports(read, &fingerprints, asked).await?;
        let chosen: Vec<Vec<&Artifact>> = asked
            .iter()
            .map(|asked| {
                let reports = reports.get(&asked.fingerprint);
                entries(reports.into_iter().flatten(), asked.below)
            })
            .collect();
        if chosen.iter().all(Vec::is_empty) {
            return Ok(vec![Vec::new(); asked.len()]);
        }
        let pasts = self.pasts(read, asked, &chosen).await?;
        let org = self.organization.no;
        let records: HashSet<RecordNo> = pasts
            .iter()
            .flatten()
            .filter_map(|past| past.before.map(|before| before.record))
            .collect();
        let records: Vec<RecordNo> = records.into_iter().collect();
        let mut identities = HashMap::new();
        let mut before = HashMap::new();
        if !records.is_empty() {
            identities = read.identities(org, &records).await?;
            let others: HashSet<Fingerprint> = identities
                .values()
                .filter_map(|identity| identity.fingerprint)
                .collect();
            let others: Vec<Fingerprint> = others.into_iter().collect();
            before = self.reports(read, &others, asked).await?;
        }
        let shown = || {
            let own = chosen.iter().flatten().copied();
            own.chain(before.values().flatten())
        };
        let places: Vec<(EntryIndex, u32)> = shown().map(|report| (report.entry, 0)).collect();
        let flows = shown().map(|report| report.flow).collect();
        let trails = shown().map(|report| report.trail).collect();
        let parts = Parts {
            namings: read.flow_namings(org, &flows).await?,
            trails: read.trail_names(org, &trails).await?,
            contents: read.contents(org, &places).await?,
            identities,
            before,
        };
        let known = asked
            .iter()
            .zip(&chosen)
            .zip(&pasts)
            .map(|((asked, reports), pasts)| {
                reports
                    .iter()
                    .zip(pasts)
                    .filter_map(|(report, past)| self.known(&parts, asked, report, past))
                    .collect()
            })
            .collect();
        Ok(known)
    }

    /// Reports of artifacts: where all are asked for below one entry only those that count there.
    async fn reports(
        &self,
        read: &mut Read,
        fingerprints: &[Fingerprint],
        asked: &[Asked],
    ) -> Result<HashMap<Fingerprint, Vec<Artifact>>, AppError> {
        let org = self.organization.no;
        let below = asked.first().and_then(|asked| asked.below);
        Ok(if asked.iter().all(|other| other.below == below) {
            read.provenance_below(org, fingerprints, below).await?
        } else {
            read.provenance(org, fingerprints).await?
        })
    }

    async fn pasts(
        &self,
        read: &mut Read,
        asked: &[Asked],
        chosen: &[Vec<&Artifact>],
    ) -> Result<Vec<Vec<Past>>, AppError> {
        if !self.with_history {
            return Ok(chosen
                .iter()
                .map(|reports| vec![Past::default(); reports.len()])
                .collect());
        }
        let (org, env) = (self.organization.no, self.environment.no);
        let lineage = self.app.lineages.of(org, env);
        let mut lineage = lineage.lock().await;
        read.follow(&mut lineage, self.environment.snapshots)
            .await?;
        let known: Vec<Fingerprint> = asked
            .iter()
            .zip(chosen)
            .filter(|(_, reports)| !reports.is_empty())
            .map(|(asked, _)| asked.fingerprint)
            .collect();
        read.first_started(&mut lineage, &known).await?;
        self.app.lineages.weighs(org, env, lineage.weight());
        Ok(asked
            .iter()
            .zip(chosen)
            .map(|(asked, reports)| {
                let start = lineage.start(&asked.fingerprint, asked.snapshot);
                let first_started = lineage.first_started(&asked.fingerprint);
                reports
                    .iter()
                    .map(|report| Past {
                        before: start.and_then(|start| {
                            lineage.before(
                                report.flow,
                                report.name.as_deref(),
                                &asked.fingerprint,
                                start,
                                asked.below,
                            )
                        }),
                        first_started,
                    })
                    .collect()
            })
            .collect())
    }

    fn known(&self, parts: &Parts, asked: &Asked, report: &Artifact, past: &Past) -> Option<Known> {
        let called = naming(parts.namings.get(&report.flow)?, asked.below)?;
        let (organization, flow) = (self.organization, called.name.as_str());
        let (commit_url, git_commit_info) = commit_of(parts.contents.get(&(report.entry, 0)));
        let git_commit = report.commit.map(|commit| commit.to_hex());
        let committed_at = git_commit_info
            .as_ref()
            .and_then(|info| info.timestamp.as_f64())
            .filter(|at| *at > 0.0);
        let id = wire_id(Named::Artifact, &organization.id, report.no.0);
        let hex = report.fingerprint.to_hex();
        let deployment_diff = past.before.and_then(|before| {
            let page = CommitPage {
                sha1: git_commit.as_deref().unwrap_or_default(),
                url: commit_url.as_deref().unwrap_or_default(),
            };
            self.deployment_diff(parts, asked, report, before, page)
        });
        let entry = FlowEntry {
            flow_name: called.shown(),
            trail_name: parts.trails.get(&report.trail).cloned().unwrap_or_default(),
            template_reference_name: report.name.clone().unwrap_or_default(),
            html_url: path::artifact_html(self.origin, &organization.name, flow, &hex, &id),
            flow_html_url: path::flow_html(self.origin, &organization.name, flow),
            deployment_diff,
            commit_lead_time: committed_at
                .and_then(|at| past.first_started.map(|first| first as f64 - at)),
            artifact_compliance_in_flow: Some(report.state == State::Compliant),
            flow_reasons_for_non_compliance: [],
            git_commit,
            commit_url,
            git_commit_info,
        };
        Some(Known {
            flow: called.name.clone(),
            told_by: report.entry,
            entry,
        })
    }

    fn deployment_diff(
        &self,
        parts: &Parts,
        asked: &Asked,
        report: &Artifact,
        before: Before,
        this: CommitPage<'_>,
    ) -> Option<DeploymentDiff> {
        let identity = parts.identities.get(&before.record)?;
        let fingerprint = identity.fingerprint?;
        let reports = parts.before.get(&fingerprint)?;
        let previous = entries(reports, asked.below)
            .into_iter()
            .find(|previous| previous.flow == report.flow)?;
        let (url, _) = commit_of(parts.contents.get(&(previous.entry, 0)));
        let commit = previous.commit.map(|commit| commit.to_hex());
        let page = CommitPage {
            sha1: commit.as_deref().unwrap_or_default(),
            url: url.as_deref().unwrap_or_default(),
        };
        let is_told = !page.sha1.is_empty() && !this.sha1.is_empty();
        Some(DeploymentDiff {
            diff_url: is_told.then(|| comparison(page, this)).flatten(),
            previous_fingerprint: fingerprint.to_hex(),
            previous_artifact_name: identity.name.clone(),
            previous_artifact_compliance_state: previous.state.as_wire().to_owned(),
            previous_running: self.running.contains(&fingerprint),
            previous_trail_name: parts
                .trails
                .get(&previous.trail)
                .cloned()
                .unwrap_or_default(),
            previous_template_reference_name: previous.name.clone().unwrap_or_default(),
            previous_git_commit: commit,
            previous_git_commit_url: url,
        })
    }
}

/// Below which entry each of these snapshots is told of: that of the snapshot after it.
pub(super) async fn bounds(
    read: &mut Read,
    environment: &Environment,
    snapshots: impl IntoIterator<Item = SnapshotNo>,
) -> Result<HashMap<SnapshotNo, EntryIndex>, AppError> {
    let snapshots: HashSet<SnapshotNo> = snapshots.into_iter().collect();
    Ok(read
        .successors(environment.organization, environment.no, &snapshots)
        .await?)
}
