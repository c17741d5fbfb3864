//! What changed in several environments, the oldest first.

use std::collections::{BTreeMap, HashMap};

use runstone_model::fact::{
    EntryIndex, Environment, EnvironmentNo, OrganizationNo, RecordNo, Running, Snapshot, SnapshotNo,
};
use runstone_model::id::Micros;
use runstone_model::state::Step;

use super::{Change, Read, ReadError};
use crate::rows;
use crate::value::{DbError, Value};

/// Which part of the history of environments is asked for.
#[derive(Debug, Clone, Copy)]
pub struct TimelineWindow {
    /// At this time or later.
    pub from: Micros,
    /// Before this time.
    pub until: Micros,
    /// Of entries before this one.
    pub below: EntryIndex,
}

/// What of an environment lies in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The first snapshot: number and entry.
    pub first: (SnapshotNo, EntryIndex),
    /// The last one.
    pub last: (SnapshotNo, EntryIndex),
    /// Number of events in all of them.
    pub events: u64,
}

/// Snapshots with what each changed.
#[derive(Debug, Clone, Default)]
pub struct TimelinePage {
    /// By time and entry.
    pub snapshots: Vec<(Snapshot, Change)>,
    /// There are more after them.
    pub more: bool,
}

/// Snapshots before a place: an earlier time, or the same time and an earlier entry.
const BEFORE_PLACE: &str = "s.at < $3 OR (s.at = $3 AND s.entry < $4)";
/// Snapshots of earlier entries.
const BEFORE_ENTRY: &str = "s.entry < $3";

/// The last snapshot of each environment before a bound, as `b` where `low = high`: a binary
/// search for all of them in one statement. `$1` environments, `$2` organization, then what the
/// bound has. Time and entry both grow with the number of a snapshot.
fn last_before(bound: &str) -> String {
    format!(
        "WITH RECURSIVE b(environment, low, high) AS (SELECT e.no, CAST(0 AS BIGINT), e.snapshots FROM ID_TABLE($1) CROSS JOIN environments e WHERE e.organization = $2 AND e.no = i.value UNION ALL SELECT b.environment, CASE WHEN {bound} THEN s.no ELSE b.low END, CASE WHEN {bound} THEN b.high ELSE s.no - 1 END FROM b CROSS JOIN snapshots s WHERE b.low < b.high AND s.organization = $2 AND s.environment = b.environment AND s.no = (b.low + b.high + 1) / 2)"
    )
}

impl Read {
    /// All environments there ever were, the oldest first.
    pub async fn environments_of_all_times(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Vec<Environment>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 ORDER BY no",
                    rows::SELECT_ENVIRONMENT
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        found.iter().map(rows::environment).collect()
    }

    /// What of each environment lies in the window; nothing of those in which nothing does.
    pub async fn covered(
        &mut self,
        organization: OrganizationNo,
        environments: &[EnvironmentNo],
        window: &TimelineWindow,
    ) -> Result<BTreeMap<EnvironmentNo, Covered>, ReadError> {
        let numbers = || Value::Ints(environments.iter().map(|no| i64::from(no.0)).collect());
        // Before the window, and before its end: the smaller of the two ends counts.
        let mut ends = Vec::new();
        for (bound, values) in [
            (BEFORE_PLACE, vec![window.from.0.into(), 0u64.into()]),
            (BEFORE_PLACE, vec![window.until.0.into(), 0u64.into()]),
            (BEFORE_ENTRY, vec![window.below.into()]),
        ] {
            let mut parameters = vec![numbers(), organization.0.into()];
            parameters.extend(values);
            let rows = self
                .conn()
                .await?
                .query(
                    &format!(
                        "{} SELECT environment, low FROM b WHERE low = high",
                        last_before(bound)
                    ),
                    &parameters,
                )
                .await?;
            let mut last: HashMap<EnvironmentNo, SnapshotNo> = HashMap::new();
            for row in &rows {
                last.insert(EnvironmentNo(row.ordinal(0)?), row.number(1)?);
            }
            ends.push(last);
        }
        let mut edges: BTreeMap<EnvironmentNo, (SnapshotNo, SnapshotNo)> = BTreeMap::new();
        for environment in environments {
            let of = |end: usize| ends[end].get(environment).copied().unwrap_or_default();
            let (before, last) = (of(0), of(1).min(of(2)));
            if before < last {
                edges.insert(*environment, (before + 1, last));
            }
        }
        let mut covered = BTreeMap::new();
        for (environment, (first, last)) in edges {
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT no, entry, events_before, events FROM snapshots WHERE organization = $1 AND environment = $2 AND (no = $3 OR no = $4) ORDER BY no",
                    &[
                        organization.0.into(),
                        environment.0.into(),
                        first.into(),
                        last.into(),
                    ],
                )
                .await?;
            let (Some(oldest), Some(newest)) = (rows.first(), rows.last()) else {
                return Err(DbError::Corrupt("a snapshot is missing".to_owned()));
            };
            let events = newest.number(2)? + newest.number(3)? - oldest.number(2)?;
            covered.insert(
                environment,
                Covered {
                    first: (first, oldest.number(1)?),
                    last: (last, newest.number(1)?),
                    events,
                },
            );
        }
        Ok(covered)
    }

    /// Snapshots of physical environments in a window with what they changed, by time and entry,
    /// from the place `first` on: at most `snapshots_max`, and as many as have `events_max` events,
    /// but at least one.
    pub async fn timeline(
        &mut self,
        organization: OrganizationNo,
        environments: &[EnvironmentNo],
        window: &TimelineWindow,
        first: (Micros, EntryIndex),
        (snapshots_max, events_max): (u64, u64),
    ) -> Result<TimelinePage, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                // Of each environment at most so many as are wanted of all.
                &format!(
                    "{} SELECT s.environment, s.no, s.events FROM b CROSS JOIN snapshots s WHERE b.low = b.high AND s.organization = $2 AND s.environment = b.environment AND s.no > b.low AND s.no <= b.low + $5 AND s.at < $6 AND s.entry < $7 ORDER BY s.at, s.entry, s.environment LIMIT $5",
                    last_before(BEFORE_PLACE)
                ),
                &[
                    Value::Ints(environments.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                    first.0.0.into(),
                    first.1.into(),
                    (snapshots_max + 1).into(),
                    window.until.0.into(),
                    window.below.into(),
                ],
            )
            .await?;
        let (mut wanted, mut events, mut more) = (Vec::new(), 0, false);
        for row in &rows {
            events += row.number(2)?;
            if wanted.len() as u64 == snapshots_max || (!wanted.is_empty() && events > events_max) {
                more = true;
                break;
            }
            wanted.push((EnvironmentNo(row.ordinal(0)?), row.number(1)?));
        }
        self.bound(wanted.len())?;
        let mut by_environment: BTreeMap<EnvironmentNo, Vec<i64>> = BTreeMap::new();
        for (environment, no) in &wanted {
            by_environment
                .entry(*environment)
                .or_default()
                .push(*no as i64);
        }
        let mut snapshots = Vec::with_capacity(wanted.len());
        for (environment, numbers) in by_environment {
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT s.organization, s.environment, s.no, s.entry, s.at, s.events_before, s.events, s.keyframe, s.running, s.step, s.members FROM ID_TABLE($1) CROSS JOIN snapshots s WHERE s.organization = $2 AND s.environment = $3 AND s.no = i.value ORDER BY s.no",
                    &[
                        Value::Ints(numbers),
                        organization.0.into(),
                        environment.0.into(),
                    ],
                )
                .await?;
            let of_one = rows
                .iter()
                .map(rows::snapshot)
                .collect::<Result<Vec<_>, _>>()?;
            snapshots.extend(self.changes_in(organization, environment, of_one).await?);
        }
        snapshots.sort_by_key(|(snapshot, _)| (snapshot.at, snapshot.entry, snapshot.environment));
        Ok(TimelinePage { snapshots, more })
    }

    /// What snapshots of one physical environment changed: set-wise but for keyframes, which do
    /// not tell it by themselves.
    async fn changes_in(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        snapshots: Vec<Snapshot>,
    ) -> Result<Vec<(Snapshot, Change)>, ReadError> {
        let mut steps = Vec::with_capacity(snapshots.len());
        let mut wanted: Vec<(RecordNo, SnapshotNo)> = Vec::new();
        for snapshot in &snapshots {
            let step = Step::from_bytes(&snapshot.step)
                .map_err(|error| DbError::Corrupt(error.to_string()))?;
            let (removed, added) = self
                .step_changes(organization, environment, snapshot.no, step)
                .await?;
            // What left is told of as it last ran.
            wanted.extend(removed.iter().map(|(no, _)| (*no, snapshot.no - 1)));
            wanted.extend(added.iter().map(|(no, _)| (*no, snapshot.no)));
            steps.push((removed, added));
        }
        self.bound(wanted.len())?;
        let bytes_max = self.bodies_bytes_max();
        let conn = self.conn().await?;
        let stays = rows::stays_at(conn, organization, environment, &wanted, bytes_max).await?;
        let running = |(record, judgement): &(RecordNo, _), no: SnapshotNo| {
            let stay = stays.get(&(*record, no)).ok_or_else(|| {
                DbError::Corrupt(format!("record {} or its span is missing", record.0))
            })?;
            Ok::<_, DbError>(Running {
                record: *record,
                judgement: *judgement,
                identity: std::sync::Arc::clone(&stay.identity),
                detail: std::sync::Arc::clone(&stay.detail),
            })
        };
        snapshots
            .into_iter()
            .zip(steps)
            .map(|(snapshot, (removed, added))| {
                let of = |pairs: &[_], no| {
                    pairs
                        .iter()
                        .map(|pair| running(pair, no))
                        .collect::<Result<_, _>>()
                };
                let change = Change {
                    removed: of(&removed, snapshot.no - 1)?,
                    added: of(&added, snapshot.no)?,
                };
                Ok((snapshot, change))
            })
            .collect()
    }
}
