//! Snapshots: which there are, what ran in them and what they changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use runstone_model::fact::{
    EnvironmentNo, Identity, JudgementNo, OrganizationNo, RecordNo, Running, Snapshot, SnapshotNo,
};
use runstone_model::id::Micros;
use runstone_model::name::EnvironmentKind;
use runstone_model::report::Detail;
use runstone_model::state::Step;

use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Value};

/// What one snapshot changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Records that left, with the details they had.
    pub removed: Vec<Running>,
    /// Records that came.
    pub added: Vec<Running>,
}

/// Records with their judgements.
type Pairs = Vec<(RecordNo, JudgementNo)>;

const SELECT_STATE: &str = "SELECT no, at, events_before FROM snapshots";

impl Read {
    /// A snapshot.
    pub async fn snapshot(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        no: SnapshotNo,
    ) -> Result<Option<Snapshot>, ReadError> {
        Ok(self
            .snapshots(organization, environment, no, no)
            .await?
            .pop())
    }

    /// Times of snapshots, set-wise for each environment.
    pub async fn times(
        &mut self,
        organization: OrganizationNo,
        wanted: &BTreeMap<EnvironmentNo, BTreeSet<SnapshotNo>>,
    ) -> Result<HashMap<(EnvironmentNo, SnapshotNo), Micros>, ReadError> {
        let mut times = HashMap::new();
        for (environment, numbers) in wanted {
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT s.no, s.at FROM ID_TABLE($1) CROSS JOIN snapshots s WHERE s.organization = $2 AND s.environment = $3 AND s.no = i.value",
                    &[
                        Value::Ints(numbers.iter().map(|no| *no as i64).collect()),
                        organization.0.into(),
                        environment.0.into(),
                    ],
                )
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                times.insert((*environment, row.number(0)?), Micros(row.int(1)?));
            }
        }
        Ok(times)
    }

    /// Snapshots `from` to `to`, both included, ascending.
    pub async fn snapshots(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        from: SnapshotNo,
        to: SnapshotNo,
    ) -> Result<Vec<Snapshot>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 AND environment = $2 AND no >= $3 AND no <= $4 ORDER BY no",
                    rows::SELECT_SNAPSHOT
                ),
                &[
                    organization.0.into(),
                    environment.0.into(),
                    from.into(),
                    to.into(),
                ],
            )
            .await?;
        self.bound(found.len())?;
        found.iter().map(rows::snapshot).collect()
    }

    /// The last snapshot for which `before` holds; 0 if for none. Snapshots for which it holds
    /// come first, so that a binary search over the primary key finds it.
    async fn last_snapshot(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        before: impl Fn(Micros, u64) -> bool,
    ) -> Result<SnapshotNo, ReadError> {
        let Some(known) = self.environment(organization, environment).await? else {
            return Ok(0);
        };
        let (mut low, mut high) = (0, known.snapshots);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let row = self
                .conn()
                .await?
                .query_one(
                    &format!(
                        "{SELECT_STATE} WHERE organization = $1 AND environment = $2 AND no = $3"
                    ),
                    &[organization.0.into(), environment.0.into(), middle.into()],
                )
                .await?
                .ok_or_else(|| DbError::Corrupt(format!("snapshot {middle} is missing")))?;
            if before(Micros(row.int(1)?), row.number(2)?) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }

    /// The snapshot current at `at`: the last made then or before; 0 if none was.
    pub async fn snapshot_at(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        at: Micros,
    ) -> Result<SnapshotNo, ReadError> {
        self.last_snapshot(organization, environment, |made, _| made <= at)
            .await
    }

    /// The snapshot that holds the event at `offset`, counted from 0 over all snapshots.
    pub async fn snapshot_of_event(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        offset: u64,
    ) -> Result<SnapshotNo, ReadError> {
        self.last_snapshot(organization, environment, |_, events_before| {
            events_before <= offset
        })
        .await
    }

    /// What ran in a snapshot, by record; empty for 0.
    pub async fn running(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        no: SnapshotNo,
    ) -> Result<Vec<Running>, ReadError> {
        let Some((snapshot, state, _)) =
            rows::state_at(self.conn().await?, organization, environment, no).await?
        else {
            return Ok(Vec::new());
        };
        self.with_details(&snapshot, &state).await
    }

    /// Records and judgements of a snapshot, without reading records or details.
    pub async fn state(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        no: SnapshotNo,
    ) -> Result<Vec<(RecordNo, JudgementNo)>, ReadError> {
        Ok(
            rows::state_at(self.conn().await?, organization, environment, no)
                .await?
                .map(|(_, state, _)| state)
                .unwrap_or_default(),
        )
    }

    async fn with_details(
        &mut self,
        snapshot: &Snapshot,
        state: &[(RecordNo, JudgementNo)],
    ) -> Result<Vec<Running>, ReadError> {
        self.bound(state.len())?;
        let organization = snapshot.organization;
        let numbers: Vec<RecordNo> = state.iter().map(|(record, _)| *record).collect();
        let bytes_max = self.bodies_bytes_max();
        let kind = self
            .environment(organization, snapshot.environment)
            .await?
            .map(|environment| environment.kind);
        let mut found: HashMap<RecordNo, (Arc<Identity>, Arc<[u8]>)> =
            if kind == Some(EnvironmentKind::Logical) {
                let conn = self.conn().await?;
                let records = rows::identities(conn, organization, &numbers, bytes_max).await?;
                let mut details = self.member_details(snapshot, &records).await?;
                records
                    .into_iter()
                    .filter_map(|(no, identity)| Some((no, (identity, details.remove(&no)?))))
                    .collect()
            } else {
                rows::stays(
                    self.conn().await?,
                    organization,
                    snapshot.environment,
                    snapshot.no,
                    &numbers,
                    bytes_max,
                )
                .await?
                .into_iter()
                .map(|(no, stay)| (no, (stay.identity, stay.detail)))
                .collect()
            };
        state
            .iter()
            .map(|(number, judgement)| {
                let (identity, detail) = found.remove(number).ok_or_else(|| {
                    DbError::Corrupt(format!("record {} or its span is missing", number.0))
                })?;
                Ok(Running {
                    record: *number,
                    judgement: *judgement,
                    identity,
                    detail,
                })
            })
            .collect()
    }

    /// Details of a logical snapshot: those of its members', joined by fingerprint and name.
    async fn member_details(
        &mut self,
        snapshot: &Snapshot,
        records: &HashMap<RecordNo, Arc<Identity>>,
    ) -> Result<HashMap<RecordNo, Arc<[u8]>>, ReadError> {
        let mut found: BTreeMap<_, Vec<Detail>> = BTreeMap::new();
        for (member, no) in &snapshot.members {
            let running = Box::pin(self.running(snapshot.organization, *member, *no)).await?;
            for running in running {
                found
                    .entry((running.identity.fingerprint, running.identity.name.clone()))
                    .or_default()
                    .push(Detail::from_canonical(running.detail.to_vec()));
            }
        }
        let mut details = HashMap::with_capacity(records.len());
        for (no, identity) in records {
            let key = (identity.fingerprint, identity.name.clone());
            let detail = match found.remove(&key) {
                Some(parts) if parts.len() == 1 => parts[0].as_bytes().into(),
                Some(parts) => Detail::join(&parts)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?
                    .as_bytes()
                    .into(),
                None => Arc::from(&b"{\"t\":[]}"[..]),
            };
            details.insert(*no, detail);
        }
        Ok(details)
    }

    /// What each of the snapshots `from` to `to` changed, ascending. A logical snapshot made by a
    /// member's snapshot changed what that one did.
    pub async fn changes(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        from: SnapshotNo,
        to: SnapshotNo,
    ) -> Result<Vec<(Snapshot, Change)>, ReadError> {
        let snapshots = self.snapshots(organization, environment, from, to).await?;
        let mut changes = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let change = self.change(&snapshot).await?;
            changes.push((snapshot, change));
        }
        Ok(changes)
    }

    async fn change(&mut self, snapshot: &Snapshot) -> Result<Change, ReadError> {
        if !snapshot.members.is_empty()
            && let Some(cause) = self.cause(snapshot).await?
        {
            return Box::pin(self.change(&cause)).await;
        }
        let step = Step::from_bytes(&snapshot.step)
            .map_err(|error| DbError::Corrupt(error.to_string()))?;
        let (removed, added) = self
            .step_changes(
                snapshot.organization,
                snapshot.environment,
                snapshot.no,
                step,
            )
            .await?;
        let added = self.with_details(snapshot, &added).await?;
        let removed = if removed.is_empty() {
            Vec::new()
        } else {
            let before = self
                .snapshot(snapshot.organization, snapshot.environment, snapshot.no - 1)
                .await?
                .ok_or_else(|| DbError::Corrupt("a snapshot is missing".to_owned()))?;
            self.with_details(&before, &removed).await?
        };
        Ok(Change { removed, added })
    }

    /// Records that left and that came with a snapshot of this step.
    pub(super) async fn step_changes(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        no: SnapshotNo,
        step: Step,
    ) -> Result<(Pairs, Pairs), ReadError> {
        if !step.whole {
            let removed = step.removed.into_iter();
            let removed = removed.map(|record| (record, JudgementNo(0))).collect();
            return Ok((removed, step.added));
        }
        // A keyframe does not tell what it changed.
        let before = self
            .state(organization, environment, no.saturating_sub(1))
            .await?;
        let without = |these: &[(RecordNo, JudgementNo)], those: &[(RecordNo, JudgementNo)]| {
            these
                .iter()
                .filter(|(record, _)| those.binary_search_by_key(record, |pair| pair.0).is_err())
                .copied()
                .collect()
        };
        Ok((without(&before, &step.added), without(&step.added, &before)))
    }

    /// The member's snapshot that made a logical one: the same entry made both.
    async fn cause(&mut self, logical: &Snapshot) -> Result<Option<Snapshot>, ReadError> {
        for (member, no) in &logical.members {
            if let Some(snapshot) = self.snapshot(logical.organization, *member, *no).await?
                && snapshot.entry == logical.entry
            {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }
}
