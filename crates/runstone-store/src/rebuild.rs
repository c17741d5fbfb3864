//! Rebuilding: the derived tables follow from the logs and the bodies alone (D16).
//!
//! Owns the replay of a journal into tables, for `rebuild` into the store itself, for `fsck` into
//! a copy. It judges nothing: the projection of the model says which rows follow. It writes
//! derived tables only.

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_journal::merkle::{Frontier, Hash, leaf_hash};
use runstone_journal::tile::TILE_WIDTH;
use runstone_model::event::{Entry, Event, Subject};
use runstone_model::fact::{EnvironmentNo, OrganizationNo, RecordNo, SnapshotNo};
use runstone_model::id::Digest;
use runstone_model::project::{Misfit, needs, project};
use runstone_model::view::{Fact, FactKey, Row, View};

use crate::admin::{AdminError, Counts, Progress};
use crate::blobs::Blobs;
use crate::conn::{Conn, Mode};
use crate::rows::{self, Pending};
use crate::scan;
use crate::table::{self, Class};
use crate::value::DbError;

/// Rows waiting that are written at once.
const ROWS_MAX: usize = 16_000;
/// The view is dropped when it holds more facts.
const FACTS_MAX: usize = 100_000;
/// Or when the heads in it weigh more.
const HEADS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A projection that still asks for facts after so many rounds never ends.
const ROUNDS_MAX: usize = 100_000;

/// A replay cannot go on.
#[derive(Debug)]
pub(crate) enum ReplayError {
    Database(DbError),
    /// The entry does not follow from those before it.
    Misfit(String),
}

impl From<DbError> for ReplayError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// A replay under way: what it knows, and rows not yet written.
#[derive(Default)]
pub(crate) struct Replay {
    view: View,
    pending: Pending,
    /// Rows that later entries write anew, of which only the last is worth the form it is stored
    /// in, and rows that come out of the order of their keys, which costs a table more.
    latest: BTreeMap<RowKey, Row>,
    chunks: u64,
    /// Entries whose state is not the one they state: index and state computed.
    pub(crate) other_states: Vec<(OrganizationNo, u64, Digest)>,
}

/// Which row it is, in the order of the table's key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum RowKey {
    Counters(OrganizationNo),
    Environment(OrganizationNo, EnvironmentNo),
    Subject(OrganizationNo, Subject),
    Snapshot(OrganizationNo, EnvironmentNo, SnapshotNo),
    Span(OrganizationNo, RecordNo, EnvironmentNo, SnapshotNo),
}

impl RowKey {
    fn of(row: &Row) -> Option<Self> {
        match row {
            Row::Counters(organization, _) => Some(Self::Counters(*organization)),
            Row::Environment(environment) => {
                Some(Self::Environment(environment.organization, environment.no))
            }
            Row::Subject(organization, subject, _) => Some(Self::Subject(*organization, *subject)),
            Row::Snapshot(snapshot) => Some(Self::Snapshot(
                snapshot.organization,
                snapshot.environment,
                snapshot.no,
            )),
            Row::Span(span) => Some(Self::Span(
                span.organization,
                span.record,
                span.environment,
                span.from,
            )),
            _ => None,
        }
    }
}

impl Replay {
    /// Projects some entries of a log, those before them done.
    pub(crate) async fn entries(
        &mut self,
        target: &mut Conn,
        organization: OrganizationNo,
        entries: &[(u64, Entry)],
    ) -> Result<(), ReplayError> {
        let mut keys: Vec<FactKey> = entries
            .iter()
            .flat_map(|(_, entry)| needs(organization, entry))
            .filter(|key| !self.view.knows(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.iter().any(reads_unwritten) {
            self.flush(target).await?;
        }
        rows::load(target, keys, &mut self.view).await?;
        for (index, entry) in entries {
            self.entry(target, organization, *index, entry).await?;
        }
        if self.pending.len() + self.latest.len() > ROWS_MAX {
            self.flush(target).await?;
        }
        self.chunks += 1;
        if self.view.len() > FACTS_MAX {
            self.flush(target).await?;
            self.view = View::default();
        } else if self.chunks.is_multiple_of(16) {
            self.flush(target).await?;
            let mut weight = 0;
            self.view.retain(|_, fact| match fact {
                Fact::Head(head) => {
                    weight += head.weight();
                    weight <= HEADS_BYTES_MAX
                }
                // Most come once; those that come again are found again, many at a time.
                Fact::Record(_) => false,
                _ => true,
            });
        }
        Ok(())
    }

    async fn entry(
        &mut self,
        target: &mut Conn,
        organization: OrganizationNo,
        index: u64,
        entry: &Entry,
    ) -> Result<(), ReplayError> {
        for _ in 0..ROUNDS_MAX {
            match project(organization, index, entry, &mut self.view) {
                Ok(rows) => {
                    for row in rows {
                        self.put(row);
                    }
                    self.check_state(organization, index, entry);
                    return Ok(());
                }
                Err(Misfit::Need(key)) => {
                    if reads_unwritten(&key) {
                        self.flush(target).await?;
                    }
                    rows::load(target, vec![key], &mut self.view).await?;
                }
                Err(misfit) => return Err(ReplayError::Misfit(misfit.to_string())),
            }
        }
        Err(ReplayError::Misfit(format!(
            "entry {index} asks for facts without end"
        )))
    }

    fn put(&mut self, row: Row) {
        if let Row::SpanEnded {
            organization,
            record,
            environment,
            from,
            to,
        } = row
        {
            let key = RowKey::Span(organization, record, environment, from);
            // Of a span written before only the end is.
            match self.latest.get_mut(&key) {
                Some(Row::Span(span)) => span.to = Some(to),
                _ => self.pending.put_row(&row),
            }
            return;
        }
        if let Row::EnvironmentEntry(organization, no, entry) = row {
            match self.latest.get_mut(&RowKey::Environment(organization, no)) {
                Some(Row::Environment(environment)) => {
                    Arc::make_mut(environment).last_entry = entry;
                }
                _ => self.pending.put_row(&row),
            }
            return;
        }
        match RowKey::of(&row) {
            Some(key) => {
                self.latest.insert(key, row);
            }
            None => self.pending.put_row(&row),
        }
    }

    fn check_state(&mut self, organization: OrganizationNo, index: u64, entry: &Entry) {
        let Event::SnapshotRecorded { environment, .. } = &entry.event else {
            return;
        };
        if let Ok(Some(head)) = self.view.head(organization, *environment) {
            let digest = head.digest();
            if entry.state != Some(digest) {
                self.other_states.push((organization, index, digest));
            }
        }
    }

    /// Writes the rows that wait.
    pub(crate) async fn flush(&mut self, target: &mut Conn) -> Result<(), DbError> {
        for row in std::mem::take(&mut self.latest).into_values() {
            self.pending.put_row(&row);
        }
        self.pending.write(target, None).await.map(drop)
    }
}

/// Whether a fact is read from rows other than its own, which may still wait to be written.
fn reads_unwritten(key: &FactKey) -> bool {
    matches!(key, FactKey::LogicalsOf(..) | FactKey::Counters(_))
}

/// Bodies that are missing while a log is read: an erasure after them may say why.
#[derive(Default)]
pub(crate) struct Missing {
    bodies: BTreeMap<(u64, u32), Digest>,
}

impl Missing {
    pub(crate) fn add(&mut self, entry: u64, missing: &[(u32, Digest)]) {
        for (position, digest) in missing {
            self.bodies.insert((entry, *position), *digest);
        }
    }

    /// Takes out what an entry says was erased; what it names and is still there, or is another
    /// body, is given back.
    pub(crate) fn erase(&mut self, event: &Event) -> Vec<(u64, u32)> {
        let Event::BodiesErased { bodies, .. } = event else {
            return Vec::new();
        };
        bodies
            .iter()
            .filter(
                |(entry, position, digest)| match self.bodies.get(&(*entry, *position)) {
                    Some(missing) if missing == digest => {
                        self.bodies.remove(&(*entry, *position));
                        false
                    }
                    _ => true,
                },
            )
            .map(|(entry, position, _)| (*entry, *position))
            .collect()
    }

    /// What no entry erased.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.bodies.keys().copied()
    }
}

/// All logs: number, id, size, root; the server's first.
pub(crate) async fn logs(
    conn: &mut Conn,
    lock: bool,
) -> Result<Vec<(OrganizationNo, String, u64, Hash)>, DbError> {
    let sql = "SELECT organization, id, size, root FROM heads ORDER BY organization";
    let sql = if lock && matches!(conn, Conn::Postgres(_)) {
        format!("{sql} FOR UPDATE")
    } else {
        sql.to_owned()
    };
    conn.query(&sql, &[])
        .await?
        .iter()
        .map(|row| {
            Ok((
                OrganizationNo(row.ordinal(0)?),
                row.text(1)?.to_owned(),
                row.number(2)?,
                row.sha256(3)?,
            ))
        })
        .collect()
}

/// Writes the derived tables anew, in one transaction.
pub(crate) async fn rebuild(
    conn: &mut Conn,
    blobs: Option<&Blobs>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Counts, AdminError> {
    if let Conn::Postgres(postgres) = conn {
        postgres.unlimited().await?;
    }
    conn.begin(Mode::Write).await?;
    match replay_all(conn, blobs, progress).await {
        Ok(counts) => {
            conn.commit().await?;
            Ok(counts)
        }
        Err(error) => {
            conn.rollback().await;
            Err(error)
        }
    }
}

/// The same in the transaction under way.
pub(crate) async fn replay_all(
    conn: &mut Conn,
    blobs: Option<&Blobs>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Counts, AdminError> {
    let logs = logs(conn, true).await?;
    for table in table::ALL {
        if table.class == Class::Derived {
            conn.execute(&format!("DELETE FROM {}", table.name), &[])
                .await?;
        }
    }
    let total = logs.iter().map(|(_, _, size, _)| size).sum();
    let mut counts = Counts::default();
    for (organization, id, size, root) in logs {
        let mut replay = Replay::default();
        let mut missing = Missing::default();
        let mut tree = Frontier::new();
        let damaged = |index: u64, what: &dyn std::fmt::Display| {
            AdminError::Damaged(format!("log {id}, entry {index}: {what}"))
        };
        for n in 0..size.div_ceil(TILE_WIDTH) {
            let chunk = scan::chunk(conn, organization, n, size)
                .await
                .map_err(|error| AdminError::Damaged(format!("log {id}: {error}")))?;
            let mut entries = Vec::with_capacity(chunk.entries.len());
            for stored in &chunk.entries {
                let opened = scan::open(stored, &id, blobs).await?;
                if let Some((body, what)) = opened.problems.first() {
                    let body = body.map_or_else(String::new, |body| format!("body {body} "));
                    return Err(damaged(stored.position, &format!("{body}{what}")));
                }
                let Some(entry) = opened.entry else {
                    return Err(damaged(stored.position, &"cannot be read"));
                };
                tree.push(leaf_hash(&stored.bytes));
                counts.bodies += opened.bodies;
                missing.add(stored.position, &opened.missing);
                missing.erase(&entry.event);
                entries.push((stored.position, entry));
            }
            match replay.entries(conn, organization, &entries).await {
                Ok(()) => {}
                Err(ReplayError::Database(error)) => return Err(error.into()),
                Err(ReplayError::Misfit(what)) => {
                    return Err(AdminError::Damaged(format!("log {id}: {what}")));
                }
            }
            counts.entries += entries.len() as u64;
            progress(Progress {
                what: "entries",
                done: counts.entries,
                total,
            });
        }
        replay.flush(conn).await?;
        if tree.root() != root {
            return Err(AdminError::Damaged(format!(
                "the entries of log {id} do not give the root of its head"
            )));
        }
        if let Some((entry, body)) = missing.rest().next() {
            return Err(damaged(
                entry,
                &format!("body {body} is missing, and no entry erased it"),
            ));
        }
        if let Some((_, index, _)) = replay.other_states.first() {
            return Err(damaged(
                *index,
                &"the state after it is not the one it states",
            ));
        }
        counts.logs += 1;
    }
    for table in table::ALL {
        if table.class == Class::Derived
            && let Some(row) = conn
                .query_one(&format!("SELECT count(*) FROM {}", table.name), &[])
                .await?
        {
            counts.rows += row.number(0)?;
        }
    }
    Ok(counts)
}
