//! What started when in one environment, and what ran there before it from the same origin: the
//! same flow and name in its template.
//!
//! No table says so, because either side may come first: an artifact may be reported long after it
//! started. A [`Lineage`] is read from the steps of all snapshots once and then follows them and
//! the reports of artifacts; what follows from it is always of the reader's transaction, because
//! the reader says up to which snapshot and below which entry it asks.

use std::collections::{BTreeSet, HashMap, HashSet};

use runstone_model::fact::{
    EntryIndex, EnvironmentNo, FlowNo, OrganizationNo, RecordNo, SnapshotNo,
};
use runstone_model::id::Fingerprint;
use runstone_model::report::DetailView;
use runstone_model::state::Step;

use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Value};

/// Snapshots read by one statement.
const STEPS_MAX: u64 = 2_000;
/// Numbers in one statement.
const NUMBERS_MAX: usize = 5_000;
/// So many new reports are read through at least before it pays to look for known artifacts among
/// them one by one.
const REPORTS_MIN: u32 = 1_000;

/// The first eight bytes of a fingerprint as the tables hold them. What a lineage answers is
/// checked against whole fingerprints by who asked.
type Prefix = i64;

/// A flow and a name in its template.
type Origin = (FlowNo, Option<String>);

/// Something came to run that did not run in the snapshot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    snapshot: SnapshotNo,
    record: RecordNo,
}

/// The start of an artifact that was reported from an origin.
#[derive(Debug, Clone, Copy)]
struct FromOrigin {
    start: Start,
    prefix: Prefix,
    /// The first report of it from there.
    entry: EntryIndex,
}

/// What ran before something, as it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// The record that started.
    pub record: RecordNo,
    /// With which snapshot.
    pub snapshot: SnapshotNo,
}

/// See the module.
#[derive(Debug)]
pub struct Lineage {
    organization: OrganizationNo,
    environment: EnvironmentNo,
    /// Steps are read up to here.
    snapshots: SnapshotNo,
    /// Reports are read up to here.
    artifacts: u32,
    /// What runs in the last snapshot read.
    running: HashMap<RecordNo, Prefix>,
    /// How many records of an artifact do.
    records: HashMap<Prefix, u32>,
    /// Ascending.
    starts: HashMap<Prefix, Vec<Start>>,
    origins: HashMap<Prefix, Vec<(Origin, EntryIndex)>>,
    /// Ascending by snapshot.
    by_origin: HashMap<Origin, Vec<FromOrigin>>,
    /// Unix seconds in which the first instance of an artifact started here, as far as asked for.
    first_started: HashMap<Prefix, i64>,
}

impl Lineage {
    /// Of an environment of which nothing was read yet.
    pub fn new(organization: OrganizationNo, environment: EnvironmentNo) -> Self {
        Self {
            organization,
            environment,
            snapshots: 0,
            artifacts: 0,
            running: HashMap::new(),
            records: HashMap::new(),
            starts: HashMap::new(),
            origins: HashMap::new(),
            by_origin: HashMap::new(),
            first_started: HashMap::new(),
        }
    }

    /// About as many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let starts: usize = self.starts.values().map(Vec::len).sum();
        let origins: usize = self.by_origin.values().map(Vec::len).sum();
        (self.running.len() + self.records.len() + self.first_started.len()) * 32
            + self.starts.len() * 64
            + starts * 16
            + self.origins.len() * 160
            + self.by_origin.len() * 96
            + origins * 40
    }

    /// The snapshot with which an artifact that ran in `no` had come to run.
    pub fn start(&self, fingerprint: &Fingerprint, no: SnapshotNo) -> Option<SnapshotNo> {
        let starts = self.starts.get(&rows::prefix(fingerprint))?;
        let after = starts.partition_point(|start| start.snapshot <= no);
        Some(starts[after.checked_sub(1)?].snapshot)
    }

    /// Unix seconds in which the first instance of an artifact started here. Known of those that
    /// [`Read::first_started`] was asked for.
    pub fn first_started(&self, fingerprint: &Fingerprint) -> Option<i64> {
        self.first_started.get(&rows::prefix(fingerprint)).copied()
    }

    /// Which other artifact from an origin had come to run last before the snapshot `start`. Only
    /// what was reported from there below the bound is from there.
    pub fn before(
        &self,
        flow: FlowNo,
        name: Option<&str>,
        fingerprint: &Fingerprint,
        start: SnapshotNo,
        below: Option<EntryIndex>,
    ) -> Option<Before> {
        let own = rows::prefix(fingerprint);
        let list = self.by_origin.get(&(flow, name.map(ToOwned::to_owned)))?;
        let end = list.partition_point(|from| from.start.snapshot < start);
        list[..end]
            .iter()
            .rev()
            .find(|from| from.prefix != own && below.is_none_or(|below| from.entry < below))
            .map(|from| Before {
                record: from.start.record,
                snapshot: from.start.snapshot,
            })
    }

    /// Follows one snapshot. `prefixes` has those of all records that come.
    fn follow(&mut self, no: SnapshotNo, step: &Step, prefixes: &HashMap<RecordNo, Prefix>) {
        let left: Vec<RecordNo> = if step.whole {
            let stays: HashSet<RecordNo> = step.added.iter().map(|(record, _)| *record).collect();
            let left = self.running.keys().filter(|record| !stays.contains(record));
            left.copied().collect()
        } else {
            step.removed.clone()
        };
        // An artifact whose last record left runs on if another of its records comes.
        let mut gone: HashSet<Prefix> = HashSet::new();
        for record in &left {
            let Some(prefix) = self.running.remove(record) else {
                continue;
            };
            if let Some(count) = self.records.get_mut(&prefix) {
                *count -= 1;
                if *count == 0 {
                    self.records.remove(&prefix);
                    gone.insert(prefix);
                }
            }
        }
        for (record, _) in &step.added {
            if self.running.contains_key(record) {
                continue;
            }
            let Some(prefix) = prefixes.get(record).copied() else {
                continue;
            };
            self.running.insert(*record, prefix);
            let count = self.records.entry(prefix).or_insert(0);
            *count += 1;
            if *count == 1 && !gone.contains(&prefix) {
                self.started(
                    prefix,
                    Start {
                        snapshot: no,
                        record: *record,
                    },
                );
            }
        }
        self.snapshots = no;
    }

    fn started(&mut self, prefix: Prefix, start: Start) {
        self.starts.entry(prefix).or_default().push(start);
        for (origin, entry) in self.origins.get(&prefix).into_iter().flatten() {
            self.by_origin
                .entry(origin.clone())
                .or_default()
                .push(FromOrigin {
                    start,
                    prefix,
                    entry: *entry,
                });
        }
    }

    fn reported(&mut self, prefix: Prefix, origin: Origin, entry: EntryIndex) {
        let Some(starts) = self.starts.get(&prefix) else {
            return;
        };
        let known = self.origins.entry(prefix).or_default();
        if known.iter().any(|(other, _)| *other == origin) {
            return;
        }
        known.push((origin.clone(), entry));
        let list = self.by_origin.entry(origin).or_default();
        for start in starts {
            let at = list.partition_point(|from| from.start.snapshot <= start.snapshot);
            list.insert(
                at,
                FromOrigin {
                    start: *start,
                    prefix,
                    entry,
                },
            );
        }
    }
}

impl Read {
    /// Has a lineage follow everything up to the snapshot `to`, and all reports. It stays as it
    /// was if that fails.
    pub async fn follow(&mut self, lineage: &mut Lineage, to: SnapshotNo) -> Result<(), ReadError> {
        let organization = lineage.organization;
        let behind = to.saturating_sub(lineage.snapshots);
        self.bound(usize::try_from(behind).unwrap_or(usize::MAX))?;
        let mut steps: Vec<(SnapshotNo, Step)> = Vec::new();
        let mut last = lineage.snapshots;
        while last < to {
            let end = to.min(last + STEPS_MAX);
            let found = self
                .conn()
                .await?
                .query(
                    "SELECT no, step FROM snapshots WHERE organization = $1 AND environment = $2 AND no > $3 AND no <= $4 ORDER BY no",
                    &[
                        organization.0.into(),
                        lineage.environment.0.into(),
                        last.into(),
                        end.into(),
                    ],
                )
                .await?;
            for row in &found {
                let step = Step::from_bytes(&row.blob(1)?)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?;
                steps.push((row.number(0)?, step));
            }
            last = end;
        }
        let come: BTreeSet<RecordNo> = steps
            .iter()
            .flat_map(|(_, step)| step.added.iter().map(|(record, _)| *record))
            .filter(|record| !lineage.running.contains_key(record))
            .collect();
        let come: Vec<i64> = come.iter().map(|record| i64::from(record.0)).collect();
        let prefixes = self.prefixes(organization, &come).await?;
        let artifacts = self
            .conn()
            .await?
            .query_one(
                "SELECT no FROM artifacts WHERE organization = $1 ORDER BY no DESC LIMIT 1",
                &[organization.0.into()],
            )
            .await?
            .map_or(Ok(0), |row| row.ordinal(0))?;
        let fresh: BTreeSet<Prefix> = prefixes
            .values()
            .filter(|prefix| !lineage.starts.contains_key(prefix))
            .copied()
            .collect();
        let fresh: Vec<Prefix> = fresh.into_iter().collect();
        let mut reports = self.origins(organization, &fresh, (0, artifacts)).await?;
        let since = lineage.artifacts;
        if artifacts > since && !lineage.starts.is_empty() {
            let known = lineage.starts.len();
            reports.extend(
                if usize::try_from(artifacts - since).unwrap_or(usize::MAX)
                    <= known.max(REPORTS_MIN as usize)
                {
                    self.origins_since(organization, (since, artifacts)).await?
                } else {
                    let known: Vec<Prefix> = lineage.starts.keys().copied().collect();
                    self.origins(organization, &known, (since, artifacts))
                        .await?
                },
            );
        }
        for (no, step) in &steps {
            lineage.follow(*no, step, &prefixes);
        }
        for (prefix, origin, entry) in reports {
            lineage.reported(prefix, origin, entry);
        }
        lineage.artifacts = since.max(artifacts);
        Ok(())
    }

    async fn prefixes(
        &mut self,
        organization: OrganizationNo,
        records: &[i64],
    ) -> Result<HashMap<RecordNo, Prefix>, ReadError> {
        let mut prefixes = HashMap::with_capacity(records.len());
        for chunk in records.chunks(NUMBERS_MAX) {
            let found = self
                .conn()
                .await?
                .query(
                    "SELECT r.no, r.prefix FROM ID_TABLE($1) CROSS JOIN records r WHERE r.organization = $2 AND r.no = i.value",
                    &[Value::Ints(chunk.to_vec()), organization.0.into()],
                )
                .await?;
            self.bound(found.len())?;
            for row in &found {
                prefixes.insert(RecordNo(row.ordinal(0)?), row.int(1)?);
            }
        }
        Ok(prefixes)
    }

    /// From where artifacts were reported, by reports after and up to a number: the first entry
    /// of each, in the order of these.
    async fn origins(
        &mut self,
        organization: OrganizationNo,
        prefixes: &[Prefix],
        (after, to): (u32, u32),
    ) -> Result<Vec<(Prefix, Origin, EntryIndex)>, ReadError> {
        let mut origins = Vec::new();
        for chunk in prefixes.chunks(NUMBERS_MAX) {
            let found = self
                .conn()
                .await?
                .query(
                    "SELECT a.prefix, a.flow, a.name, min(a.entry) FROM ID_TABLE($1) CROSS JOIN artifacts a WHERE a.organization = $2 AND a.prefix >= i.value AND a.prefix <= i.value AND a.no > $3 AND a.no <= $4 GROUP BY a.prefix, a.flow, a.name ORDER BY 4",
                    &[
                        Value::Ints(chunk.to_vec()),
                        organization.0.into(),
                        after.into(),
                        to.into(),
                    ],
                )
                .await?;
            self.bound(found.len())?;
            for row in &found {
                origins.push(origin(row)?);
            }
        }
        Ok(origins)
    }

    /// The same of all artifacts.
    async fn origins_since(
        &mut self,
        organization: OrganizationNo,
        (after, to): (u32, u32),
    ) -> Result<Vec<(Prefix, Origin, EntryIndex)>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                "SELECT prefix, flow, name, entry FROM artifacts WHERE organization = $1 AND no > $2 AND no <= $3 ORDER BY no",
                &[organization.0.into(), after.into(), to.into()],
            )
            .await?;
        self.bound(found.len())?;
        found.iter().map(origin).collect()
    }

    /// Has a lineage know when the first instances of artifacts started.
    pub async fn first_started(
        &mut self,
        lineage: &mut Lineage,
        fingerprints: &[Fingerprint],
    ) -> Result<(), ReadError> {
        let mut wanted: HashMap<RecordNo, (Prefix, SnapshotNo)> = HashMap::new();
        for fingerprint in fingerprints {
            let prefix = rows::prefix(fingerprint);
            if !lineage.first_started.contains_key(&prefix)
                && let Some(first) = lineage.starts.get(&prefix).and_then(|list| list.first())
            {
                wanted.insert(first.record, (prefix, first.snapshot));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.bound(wanted.len())?;
        let (organization, environment) = (lineage.organization, lineage.environment);
        let numbers: Vec<RecordNo> = wanted.keys().copied().collect();
        let bytes_max = self.bodies_bytes_max();
        let details = rows::first_details(
            self.conn().await?,
            organization,
            environment,
            &numbers,
            bytes_max,
        )
        .await?;
        let mut others: BTreeSet<SnapshotNo> = BTreeSet::new();
        let mut known = Vec::with_capacity(wanted.len());
        for (record, (prefix, snapshot)) in &wanted {
            let started = match details.get(record) {
                Some(detail) => DetailView::parse(detail)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?
                    .timestamps
                    .first()
                    .copied(),
                None => None,
            };
            match started {
                Some(started) => known.push((*prefix, started)),
                // Logical environments have no instances of their own, and a report may tell of
                // none: then it is the snapshot's time.
                None => {
                    others.insert(*snapshot);
                }
            }
        }
        if !others.is_empty() {
            let times = self
                .times(organization, &[(environment, others)].into())
                .await?;
            for (prefix, snapshot) in wanted.values() {
                if !known.iter().any(|(other, _)| other == prefix)
                    && let Some(at) = times.get(&(environment, *snapshot))
                {
                    known.push((*prefix, at.0.div_euclid(1_000_000)));
                }
            }
        }
        lineage.first_started.extend(known);
        Ok(())
    }
}

fn origin(row: &crate::value::Record) -> Result<(Prefix, Origin, EntryIndex), DbError> {
    let name = if row.is_null(2) {
        None
    } else {
        Some(row.text(2)?.to_owned())
    };
    Ok((row.int(0)?, (FlowNo(row.ordinal(1)?), name), row.number(3)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstone_model::fact::JudgementNo;

    fn fingerprint(byte: u8) -> Fingerprint {
        Fingerprint([byte; 32])
    }

    fn step(whole: bool, removed: &[u32], added: &[u32]) -> Step {
        Step {
            whole,
            removed: removed.iter().map(|no| RecordNo(*no)).collect(),
            added: added
                .iter()
                .map(|no| (RecordNo(*no), JudgementNo(0)))
                .collect(),
        }
    }

    /// Record 10·n+k is of the artifact n.
    fn followed(steps: &[Step]) -> Lineage {
        let prefixes: HashMap<RecordNo, Prefix> = (10..100)
            .map(|no: u32| (RecordNo(no), rows::prefix(&fingerprint((no / 10) as u8))))
            .collect();
        let mut lineage = Lineage::new(OrganizationNo(1), EnvironmentNo(1));
        for (index, step) in steps.iter().enumerate() {
            lineage.follow(index as u64 + 1, step, &prefixes);
        }
        lineage
    }

    #[test]
    fn what_ran_before_from_the_same_origin() {
        let mut lineage = followed(&[
            step(true, &[], &[10]),
            // The same artifact with another count, and a second one beside it.
            step(false, &[10], &[11, 20]),
            step(true, &[], &[20]),
            // The first comes back.
            step(false, &[], &[12]),
            step(false, &[12], &[30]),
        ]);
        let origin = (FlowNo(1), Some("runner".to_owned()));
        for (artifact, entry) in [(1, 100), (2, 200), (3, 300)] {
            lineage.reported(rows::prefix(&fingerprint(artifact)), origin.clone(), entry);
            lineage.reported(rows::prefix(&fingerprint(artifact)), origin.clone(), 999);
        }
        assert_eq!(lineage.start(&fingerprint(1), 3), Some(1), "not again at 2");
        assert_eq!(lineage.start(&fingerprint(1), 4), Some(4));
        assert_eq!(lineage.start(&fingerprint(2), 1), None);
        let before = |artifact, start, below| {
            lineage
                .before(
                    FlowNo(1),
                    Some("runner"),
                    &fingerprint(artifact),
                    start,
                    below,
                )
                .map(|before| (before.record.0, before.snapshot))
        };
        assert_eq!(before(1, 1, None), None);
        assert_eq!(before(2, 2, None), Some((10, 1)));
        assert_eq!(before(1, 4, None), Some((20, 2)), "a rollback");
        assert_eq!(before(3, 5, None), Some((12, 4)));
        assert_eq!(before(3, 5, Some(100)), None, "reported later");
        assert_eq!(before(2, 4, None), Some((10, 1)), "never itself");
        assert_eq!(
            lineage.before(FlowNo(1), None, &fingerprint(2), 2, None),
            None,
            "of another name"
        );
    }

    #[test]
    fn it_is_the_same_whichever_comes_first() {
        let steps = [
            step(true, &[], &[10]),
            step(false, &[10], &[20]),
            step(false, &[20], &[30]),
        ];
        let origin = (FlowNo(1), None);
        let mut late = followed(&steps);
        let mut early = followed(&steps[..1]);
        early.reported(rows::prefix(&fingerprint(1)), origin.clone(), 1);
        let prefixes = [(RecordNo(20), 2), (RecordNo(30), 3)]
            .map(|(no, artifact)| (no, rows::prefix(&fingerprint(artifact))))
            .into();
        early.follow(2, &steps[1], &prefixes);
        early.reported(rows::prefix(&fingerprint(2)), origin.clone(), 2);
        early.follow(3, &steps[2], &prefixes);
        early.reported(rows::prefix(&fingerprint(3)), origin.clone(), 3);
        for (artifact, entry) in [(3, 3), (1, 1), (2, 2)] {
            late.reported(rows::prefix(&fingerprint(artifact)), origin.clone(), entry);
        }
        for (artifact, start) in [(1, 1), (2, 2), (3, 3)] {
            for below in [None, Some(2)] {
                let of = |lineage: &Lineage| {
                    lineage.before(FlowNo(1), None, &fingerprint(artifact), start, below)
                };
                assert_eq!(of(&late), of(&early), "{artifact} {below:?}");
            }
        }
    }
}
