//! Where artifacts ran, joined by fingerprint alone: the same in the view of an artifact, in the
//! events of a trail and in a search.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use runstone_model::annotation::{Annotation, AnnotationKind};
use runstone_model::fact::{Environment, EnvironmentNo, OrganizationNo, RecordNo, Run, SnapshotNo};
use runstone_model::history::{Step, story};
use runstone_model::id::{Fingerprint, Micros};
use runstone_store::Read;

use crate::app::error::AppError;

/// Something that happened to an artifact in an environment.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    pub(super) at: Micros,
    pub(super) environment: EnvironmentNo,
    pub(super) environment_name: String,
    pub(super) snapshot: SnapshotNo,
    pub(super) annotation: Annotation,
    /// In words.
    pub(super) text: String,
}

/// Where one artifact ran and runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// Oldest first.
    pub(super) happened: Vec<Happened>,
    /// Live environments it runs in, and the snapshot in which it last started there.
    pub(super) running: Vec<(String, SnapshotNo)>,
    /// Environments it ran in, and the snapshot in which it was gone.
    pub(super) exited: Vec<(String, SnapshotNo)>,
}

/// Where artifacts ran: a few set-wise statements, however many there are.
pub(super) async fn lives(
    read: &mut Read,
    organization: OrganizationNo,
    fingerprints: &[Fingerprint],
) -> Result<HashMap<Fingerprint, Life>, AppError> {
    let records = read.records_of(organization, fingerprints).await?;
    let mut whose: HashMap<RecordNo, (Fingerprint, Option<u32>)> = HashMap::new();
    for record in &records {
        if let Some(fingerprint) = record.identity.fingerprint {
            whose.insert(record.no, (fingerprint, record.identity.count));
        }
    }
    let numbers: Vec<RecordNo> = records.iter().map(|record| record.no).collect();
    let mut runs: BTreeMap<Fingerprint, Vec<(Run, Option<u32>)>> = BTreeMap::new();
    for run in read.runs(organization, &numbers).await? {
        if let Some((fingerprint, count)) = whose.get(&run.record) {
            runs.entry(*fingerprint).or_default().push((run, *count));
        }
    }
    let stories: BTreeMap<Fingerprint, Vec<Step>> = runs
        .into_iter()
        .map(|(fingerprint, runs)| (fingerprint, story(&runs)))
        .collect();
    let mut wanted: BTreeMap<EnvironmentNo, BTreeSet<SnapshotNo>> = BTreeMap::new();
    for step in stories.values().flatten() {
        wanted
            .entry(step.environment)
            .or_default()
            .insert(step.snapshot);
    }
    let mut environments: HashMap<EnvironmentNo, Environment> = HashMap::new();
    for no in wanted.keys() {
        if let Some(environment) = read.environment(organization, *no).await? {
            environments.insert(*no, environment);
        }
    }
    let times = read.times(organization, &wanted).await?;
    Ok(stories
        .into_iter()
        .map(|(fingerprint, steps)| (fingerprint, life(&steps, &environments, &times)))
        .collect())
}

fn life(
    steps: &[Step],
    environments: &HashMap<EnvironmentNo, Environment>,
    times: &HashMap<(EnvironmentNo, SnapshotNo), Micros>,
) -> Life {
    let mut life = Life::default();
    let mut last: BTreeMap<EnvironmentNo, (AnnotationKind, SnapshotNo)> = BTreeMap::new();
    for step in steps {
        let Some(environment) = environments.get(&step.environment) else {
            continue;
        };
        let kind = step.annotation.kind;
        if kind != AnnotationKind::Scaled {
            last.insert(step.environment, (kind, step.snapshot));
        }
        if let Some(text) = step.annotation.history(&environment.name, step.snapshot) {
            life.happened.push(Happened {
                at: times
                    .get(&(step.environment, step.snapshot))
                    .copied()
                    .unwrap_or_default(),
                environment: step.environment,
                environment_name: environment.name.clone(),
                snapshot: step.snapshot,
                annotation: step.annotation,
                text,
            });
        }
    }
    life.happened.sort_by_key(|happened| happened.at);
    for (no, (kind, snapshot)) in last {
        let environment = &environments[&no];
        let place = (environment.name.clone(), snapshot);
        if kind.is_running() && environment.archived_at.is_none() {
            life.running.push(place);
        } else {
            life.exited.push(place);
        }
    }
    life.running.sort();
    life.exited.sort();
    life
}
