//! Reading: every question the use cases ask, each inside one read transaction (D14).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use runstone_journal::proof::{ProofPlan, Receipt, TileId};
use runstone_journal::tile::{TILE_WIDTH, decode_bundle, encode_bundle};
use runstone_model::event::Entry;
use runstone_model::fact::{
    ApiKey, EntryIndex, Environment, EnvironmentNo, JudgementNo, Organization, OrganizationNo,
    Principal, Record, RecordNo, Run, Running, Seen, Snapshot, SnapshotNo,
};
use runstone_model::id::{Digest, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::Detail;
use runstone_model::role::Role;
use runstone_model::state::Step;

use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::engine::{Database, Pace, Reader};
use crate::rows;
use crate::value::{DbError, Record as Row, Value};
use crate::version::Version;

/// Why reading failed.
pub type ReadError = DbError;

/// Rows that an attempt at a short read may give back at once.
const SHORT_ROWS_MAX: usize = 256;
/// Bytes that may be worked over during one.
const SHORT_BYTES_MAX: usize = 128 << 10;

/// One read transaction: everything it answers is of one instant.
pub struct Read {
    database: Database,
    pace: Pace,
    /// None until the first question.
    reader: Option<Reader>,
    /// What the store's state was just before the transaction began, if that can be told.
    began_at: Option<Version>,
    pub(crate) blobs: Blobs,
    /// Logs serve only up to the guarded size, where a guard is configured.
    guarded: Arc<crate::guard::Guarded>,
}

/// What one snapshot changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Records that left, with the details they had.
    pub removed: Vec<Running>,
    /// Records that came.
    pub added: Vec<Running>,
}

/// A log as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Organization.
    pub organization: OrganizationNo,
    /// Origin of the epoch asked for.
    pub origin: String,
    /// Its eight digits.
    pub epoch: String,
    /// Published size.
    pub size: u64,
    /// Signed checkpoint.
    pub note: String,
    /// Public keys of all epochs, oldest first.
    pub keys: Vec<LogKey>,
    /// All epochs, oldest first: digits, first size, last size.
    pub epochs: Vec<(String, u64, Option<u64>)>,
}

/// A public key and the sizes it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// In the form of the signed-note specification.
    pub vkey: String,
    /// First size.
    pub from_size: u64,
    /// Last size; none = still in use.
    pub to_size: Option<u64>,
}

/// Who a key belongs to, and what that principal may do in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The key, usable or not.
    pub key: ApiKey,
    /// The organization.
    pub organization: Arc<Organization>,
    /// None: no part of it.
    pub role: Option<Role>,
}

const SELECT_ADMISSION: &str = "SELECT m.role, a.role, k.verifier, k.id, k.usr, k.organization, k.account, k.description, k.created_at, k.expires_at, k.revoked_at, o.no, o.id, o.name, o.kind, o.public, o.description, o.created_at, o.modified_at, o.closed_at, o.limits FROM api_keys k CROSS JOIN organizations o LEFT JOIN memberships m ON m.organization = o.no AND m.usr = k.usr LEFT JOIN accounts a ON a.organization = o.no AND a.organization = k.organization AND a.no = k.account WHERE k.verifier = $1 AND o.name = $2";

const SELECT_ENVIRONMENT_NAMED: &str = "SELECT e.organization, e.no, e.name, e.kind, e.description, e.include_scaling, e.require_provenance, e.members, e.tags, e.created_at, e.modified_at, e.archived_at, e.snapshots, e.changed_at FROM environment_names n CROSS JOIN environments e WHERE n.organization = $1 AND n.name = $2 AND e.organization = n.organization AND e.no = n.environment";

const SELECT_STATE: &str = "SELECT no, at, events_before FROM snapshots";

impl Read {
    pub(crate) fn new(
        database: Database,
        pace: Pace,
        blobs: Blobs,
        guarded: Arc<crate::guard::Guarded>,
    ) -> Self {
        Self {
            database,
            pace,
            reader: None,
            began_at: None,
            blobs,
            guarded,
        }
    }

    /// The connection, in the transaction that the first call begins.
    pub(crate) async fn conn(&mut self) -> Result<&mut Conn, ReadError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            begun => {
                // Before the transaction: what it sees is of this state or a later one.
                self.began_at = self.database.version();
                begun.insert(self.database.read(self.pace).await?)
            }
        };
        if reader.is_over() {
            return Err(DbError::TooLong);
        }
        Ok(reader.conn())
    }

    /// The state of the store that everything read so far is of, where this process alone can
    /// tell: on the embedded store, unless something was being committed meanwhile.
    pub fn version(&self) -> Option<Version> {
        self.began_at
            .filter(|version| self.database.commits.is_current(*version))
    }

    /// Gives an attempt at a short read up where there are many rows: what follows for each of
    /// them takes its time as well.
    fn bound(&self, rows: usize) -> Result<(), ReadError> {
        if rows > SHORT_ROWS_MAX && self.pace == Pace::Short {
            return Err(DbError::TooLong);
        }
        Ok(())
    }

    /// Gives an attempt at a short read up before work on so many bytes.
    pub fn bound_bytes(&self, bytes: usize) -> Result<(), ReadError> {
        if bytes > SHORT_BYTES_MAX && self.pace == Pace::Short {
            return Err(DbError::TooLong);
        }
        Ok(())
    }

    /// A key by verifier, an organization by name and the role of the one in the other, by one
    /// statement; none unless there are both.
    pub async fn admission(
        &mut self,
        verifier: Digest,
        organization: &str,
    ) -> Result<Option<Admission>, ReadError> {
        let row = self
            .conn()
            .await?
            .query_one(
                SELECT_ADMISSION,
                &[verifier.as_bytes()[..].into(), organization.into()],
            )
            .await?;
        let Some(mut role) = row else {
            return Ok(None);
        };
        let mut key = Row(role.0.split_off(2));
        let organization = Row(key.0.split_off(9));
        let role = role.0.iter().find_map(|role| match role {
            Value::Text(role) => Some(parse_role(role)),
            _ => None,
        });
        Ok(Some(Admission {
            key: rows::api_key(&key)?,
            organization: Arc::new(rows::organization(&organization)?),
            role: role.transpose()?,
        }))
    }

    /// An organization by name.
    pub async fn organization_named(
        &mut self,
        name: &str,
    ) -> Result<Option<Arc<Organization>>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE name = $1", rows::SELECT_ORGANIZATION),
                &[name.into()],
            )
            .await?
            .map(|row| rows::organization(&row).map(Arc::new))
            .transpose()
    }

    /// An organization by number.
    pub async fn organization(
        &mut self,
        no: OrganizationNo,
    ) -> Result<Option<Organization>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE no = $1", rows::SELECT_ORGANIZATION),
                &[no.0.into()],
            )
            .await?
            .map(|row| rows::organization(&row))
            .transpose()
    }

    /// All organizations, by number.
    pub async fn organizations(&mut self) -> Result<Vec<Organization>, ReadError> {
        self.conn()
            .await?
            .query(&format!("{} ORDER BY no", rows::SELECT_ORGANIZATION), &[])
            .await?
            .iter()
            .map(rows::organization)
            .collect()
    }

    /// A key by verifier.
    pub async fn key(&mut self, verifier: Digest) -> Result<Option<ApiKey>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE verifier = $1", rows::SELECT_API_KEY),
                &[verifier.as_bytes()[..].into()],
            )
            .await?
            .map(|row| rows::api_key(&row))
            .transpose()
    }

    /// The role of a principal in an organization.
    pub async fn role(
        &mut self,
        organization: OrganizationNo,
        principal: Principal,
    ) -> Result<Option<Role>, ReadError> {
        let row = match principal {
            Principal::User(user) => {
                self.conn()
                    .await?
                    .query_one(
                        "SELECT role FROM memberships WHERE organization = $1 AND usr = $2",
                        &[organization.0.into(), user.0.into()],
                    )
                    .await?
            }
            Principal::Account(home, account) if home == organization => {
                self.conn()
                    .await?
                    .query_one(
                        "SELECT role FROM accounts WHERE organization = $1 AND no = $2",
                        &[organization.0.into(), account.0.into()],
                    )
                    .await?
            }
            Principal::Account(..) => None,
        };
        row.map(|row| parse_role(row.text(0)?)).transpose()
    }

    /// The environment a name leads to: the one that has it, else the last that had, archived
    /// ones included.
    pub async fn environment_named(
        &mut self,
        organization: OrganizationNo,
        name: &str,
    ) -> Result<Option<Environment>, ReadError> {
        self.conn()
            .await?
            .query_one(
                SELECT_ENVIRONMENT_NAMED,
                &[organization.0.into(), name.into()],
            )
            .await?
            .map(|row| rows::environment(&row))
            .transpose()
    }

    /// An environment by number.
    pub async fn environment(
        &mut self,
        organization: OrganizationNo,
        no: EnvironmentNo,
    ) -> Result<Option<Environment>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND no = $2",
                    rows::SELECT_ENVIRONMENT
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::environment(&row))
            .transpose()
    }

    /// Live environments, by name.
    pub async fn environments(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Vec<Environment>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 AND archived_at IS NULL ORDER BY no",
                    rows::SELECT_ENVIRONMENT
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        let mut found = found
            .iter()
            .map(rows::environment)
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// When environments were last seen.
    pub async fn seen(
        &mut self,
        organization: OrganizationNo,
        environments: &[EnvironmentNo],
    ) -> Result<HashMap<EnvironmentNo, Seen>, ReadError> {
        self.conn()
            .await?
            .query(
                "SELECT s.organization, s.environment, s.from_at, s.to_at, s.reports, s.longest_gap, s.reporter FROM ID_TABLE($1) CROSS JOIN seen s WHERE s.organization = $2 AND s.environment = i.value",
                &[
                    Value::Ints(environments.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                ],
            )
            .await?
            .iter()
            .map(rows::seen)
            .collect()
    }

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
        let records = rows::records(self.conn().await?, organization, &numbers).await?;
        let kind = self
            .environment(organization, snapshot.environment)
            .await?
            .map(|environment| environment.kind);
        let mut details = if kind == Some(EnvironmentKind::Logical) {
            self.member_details(snapshot, &records).await?
        } else {
            rows::details_at(
                self.conn().await?,
                organization,
                snapshot.environment,
                snapshot.no,
                &numbers,
            )
            .await?
            .into_iter()
            .map(|(record, (_, detail))| (record, detail))
            .collect()
        };
        state
            .iter()
            .map(|(number, judgement)| {
                let record = records
                    .get(number)
                    .ok_or_else(|| DbError::Corrupt(format!("record {} is missing", number.0)))?;
                let detail = details.remove(number).ok_or_else(|| {
                    DbError::Corrupt(format!("the span of record {} is missing", number.0))
                })?;
                Ok(Running {
                    record: *number,
                    judgement: *judgement,
                    identity: Arc::clone(&record.identity),
                    detail,
                })
            })
            .collect()
    }

    /// Details of a logical snapshot: those of its members', joined by fingerprint and name.
    async fn member_details(
        &mut self,
        snapshot: &Snapshot,
        records: &HashMap<RecordNo, Arc<Record>>,
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
        for record in records.values() {
            let key = (record.identity.fingerprint, record.identity.name.clone());
            let detail = match found.remove(&key) {
                Some(parts) if parts.len() == 1 => parts[0].as_bytes().into(),
                Some(parts) => Detail::join(&parts)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?
                    .as_bytes()
                    .into(),
                None => Arc::from(&b"{\"t\":[]}"[..]),
            };
            details.insert(record.no, detail);
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
        let (removed, added) = if step.whole {
            let before = self
                .state(
                    snapshot.organization,
                    snapshot.environment,
                    snapshot.no.saturating_sub(1),
                )
                .await?;
            let contains = |state: &[(RecordNo, JudgementNo)], record: RecordNo| {
                state.binary_search_by_key(&record, |pair| pair.0).is_ok()
            };
            (
                before
                    .iter()
                    .filter(|(record, _)| !contains(&step.added, *record))
                    .copied()
                    .collect(),
                step.added
                    .iter()
                    .filter(|(record, _)| !contains(&before, *record))
                    .copied()
                    .collect(),
            )
        } else {
            (
                step.removed
                    .iter()
                    .map(|record| (*record, JudgementNo(0)))
                    .collect::<Vec<_>>(),
                step.added.clone(),
            )
        };
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

    /// Records whose fingerprint starts with the hexadecimal digits, at most `limit`.
    pub async fn records_by_prefix(
        &mut self,
        organization: OrganizationNo,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        if digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        let digits = digits.to_ascii_lowercase();
        let bound = |fill: char| {
            let mut text = digits.clone();
            while text.len() < 64 {
                text.push(fill);
            }
            text.parse::<runstone_model::id::Fingerprint>()
                .map(|fingerprint| rows::prefix(&fingerprint))
                .map_err(|error| DbError::Other(error.to_string()))
        };
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 AND prefix >= $2 AND prefix <= $3 AND fingerprint IS NOT NULL ORDER BY prefix, no LIMIT $4",
                    rows::SELECT_RECORD
                ),
                &[
                    organization.0.into(),
                    bound('0')?.into(),
                    bound('f')?.into(),
                    (limit as u64).into(),
                ],
            )
            .await?;
        let mut records = Vec::with_capacity(found.len());
        for row in &found {
            let record = rows::record(row)?;
            if record
                .identity
                .fingerprint
                .is_some_and(|fingerprint| fingerprint.to_hex().starts_with(&digits))
            {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// When and where records ran: unbroken runs in physical environments, oldest first.
    pub async fn runs(
        &mut self,
        organization: OrganizationNo,
        records: &[RecordNo],
    ) -> Result<Vec<Run>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT s.record, s.environment, s.from_no, s.to_no FROM ID_TABLE($1) CROSS JOIN spans s WHERE s.organization = $2 AND s.record = i.value ORDER BY s.record, s.environment, s.from_no",
                &[
                    Value::Ints(records.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                ],
            )
            .await?;
        self.bound(rows.len())?;
        let mut runs: Vec<Run> = Vec::new();
        for row in &rows {
            let run = Run {
                record: RecordNo(row.ordinal(0)?),
                environment: EnvironmentNo(row.ordinal(1)?),
                from: row.number(2)?,
                to: row.optional_int(3)?.map(|to| to as u64),
            };
            match runs.last_mut() {
                // Spans that touch are one run with changed details.
                Some(last)
                    if last.record == run.record
                        && last.environment == run.environment
                        && last.to.is_some_and(|to| to + 1 == run.from) =>
                {
                    last.to = run.to;
                }
                _ => runs.push(run),
            }
        }
        Ok(runs)
    }

    /// A log: its current epoch, or one by its digits.
    pub async fn log(
        &mut self,
        organization: OrganizationNo,
        epoch: Option<&str>,
    ) -> Result<Option<LogHead>, ReadError> {
        let conn = self.conn().await?;
        let Some(head) = conn
            .query_one(
                "SELECT origin, epoch, size, note FROM heads WHERE organization = $1",
                &[organization.0.into()],
            )
            .await?
        else {
            return Ok(None);
        };
        let mut keys = Vec::new();
        for row in conn
            .query(
                "SELECT vkey, from_size, to_size FROM log_keys WHERE organization = $1 ORDER BY from_size, generation",
                &[organization.0.into()],
            )
            .await?
        {
            keys.push(LogKey {
                vkey: row.text(0)?.to_owned(),
                from_size: row.number(1)?,
                to_size: row.optional_int(2)?.map(|size| size as u64),
            });
        }
        let mut epochs = Vec::new();
        let mut found = None;
        for row in conn
            .query(
                "SELECT epoch, from_size, to_size, origin, note FROM epochs WHERE organization = $1 ORDER BY from_size",
                &[organization.0.into()],
            )
            .await?
        {
            let to = row.optional_int(2)?.map(|size| size as u64);
            if Some(row.text(0)?) == epoch
                && let Some(size) = to
            {
                found = Some((row.text(3)?.to_owned(), size, row.text(4)?.to_owned()));
            }
            epochs.push((row.text(0)?.to_owned(), row.number(1)?, to));
        }
        let (mut origin, mut size, mut note) = (
            head.text(0)?.to_owned(),
            head.number(2)?,
            head.text(3)?.to_owned(),
        );
        let mut name = head.text(1)?.to_owned();
        match (epoch, found) {
            (None, _) => {}
            (Some(asked), _) if asked == name => {}
            (Some(asked), Some((old_origin, old_size, old_note))) => {
                origin = old_origin;
                size = old_size;
                note = old_note;
                asked.clone_into(&mut name);
            }
            (Some(_), None) => return Ok(None),
        }
        // What the guard has not seen yet is not published.
        if let Some((guarded_size, guarded_note)) = self.guarded.of(&origin)
            && guarded_size < size
        {
            size = guarded_size;
            note = guarded_note;
        }
        Ok(Some(LogHead {
            organization,
            origin,
            epoch: name,
            size,
            note,
            keys,
            epochs,
        }))
    }

    /// Hashes of a tile as it is in the tree of `size` leaves; none if it is not in it.
    pub async fn tile(
        &mut self,
        organization: OrganizationNo,
        size: u64,
        level: u8,
        n: u64,
        width: Option<u8>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let width = width.map_or(TILE_WIDTH, u64::from);
        if !is_within(size, level, n, width) {
            return Ok(None);
        }
        crate::log::partial_tile(self.conn().await?, organization, level, n, width as u16)
            .await
            .map(Some)
    }

    /// An entry bundle as it is in the tree of `size` leaves; none if it is not in it.
    pub async fn bundle(
        &mut self,
        organization: OrganizationNo,
        size: u64,
        n: u64,
        width: Option<u8>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let width = width.map_or(TILE_WIDTH, u64::from);
        if !is_within(size, 0, n, width) {
            return Ok(None);
        }
        let entries = self.entries(organization, n * TILE_WIDTH, width).await?;
        if entries.len() as u64 != width {
            return Err(DbError::Corrupt(format!(
                "entries of bundle {n} are missing"
            )));
        }
        encode_bundle(&entries)
            .map(Some)
            .map_err(|error| DbError::Corrupt(error.to_string()))
    }

    /// Entries from `first` on, at most `count` and not beyond their bundle.
    pub(crate) async fn entries(
        &mut self,
        organization: OrganizationNo,
        first: u64,
        count: u64,
    ) -> Result<Vec<Arc<[u8]>>, ReadError> {
        crate::journal::entries(self.conn().await?, organization, first, count).await
    }

    /// Bytes of an entry.
    pub async fn entry(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self
            .entries(organization, index, 1)
            .await?
            .first()
            .map(|bytes| bytes.to_vec()))
    }

    /// Bytes of a body an entry names.
    pub async fn body(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
        position: u32,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(entry) = self.entry(organization, index).await? else {
            return Ok(None);
        };
        let digests =
            Entry::body_digests(&entry).map_err(|error| DbError::Corrupt(error.to_string()))?;
        let Some(digest) = digests.get(position as usize) else {
            return Ok(None);
        };
        let blobs = self.blobs.clone();
        crate::journal::body(
            self.conn().await?,
            &blobs,
            organization,
            index,
            position,
            digest,
        )
        .await
        .map(|body| body.map(|bytes| bytes.to_vec()))
    }

    /// The receipt of an entry: a `.tlog-proof` against the published checkpoint; none while no
    /// published checkpoint covers it.
    pub async fn receipt(
        &mut self,
        organization: OrganizationNo,
        index: EntryIndex,
    ) -> Result<Option<String>, ReadError> {
        let Some(head) = self.log(organization, None).await? else {
            return Ok(None);
        };
        if index >= head.size {
            return Ok(None);
        }
        let corrupt =
            |error: runstone_journal::proof::ProofError| DbError::Corrupt(error.to_string());
        let plan = ProofPlan::inclusion(index, head.size).map_err(corrupt)?;
        let mut tiles: HashMap<TileId, Vec<u8>> = HashMap::new();
        for id in plan.tiles() {
            let complete = head.size >> (8 * (u32::from(id.level)));
            let width = (complete - id.index * TILE_WIDTH).min(TILE_WIDTH);
            let bytes = crate::log::partial_tile(
                self.conn().await?,
                organization,
                id.level,
                id.index,
                width as u16,
            )
            .await?;
            tiles.insert(id, bytes);
        }
        let hashes = plan
            .resolve(|id| tiles.get(&id).map(Vec::as_slice))
            .map_err(corrupt)?;
        Ok(Some(
            Receipt {
                extra: None,
                index,
                hashes,
                checkpoint: head.note,
            }
            .to_string(),
        ))
    }
}

fn parse_role(text: &str) -> Result<Role, DbError> {
    text.parse()
        .map_err(|_| DbError::Corrupt("a role".to_owned()))
}

/// Whether the first `width` hashes of a tile exist in a tree of `size` leaves.
fn is_within(size: u64, level: u8, n: u64, width: u64) -> bool {
    if level > 7 || width == 0 || width > TILE_WIDTH {
        return false;
    }
    let complete = size >> (8 * u32::from(level));
    n.checked_mul(TILE_WIDTH)
        .and_then(|first| first.checked_add(width))
        .is_some_and(|end| end <= complete)
}

/// Bundle bytes split into entries.
pub(crate) fn split_bundle(bytes: &[u8]) -> Result<Vec<Arc<[u8]>>, DbError> {
    Ok(decode_bundle(bytes, TILE_WIDTH as u16)
        .map_err(|error| DbError::Corrupt(error.to_string()))?
        .into_iter()
        .map(Arc::from)
        .collect())
}
