//! The derived tables: replayed into a copy, and compared with those that are there.

use std::cmp::Ordering;

use runstone_model::event::Entry;
use runstone_model::fact::{OrganizationNo, SERVER_NAME};
use runstone_model::id::encode_hex;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Check;
use crate::admin::Progress;
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::engine::MIGRATIONS;
use crate::rebuild::{Replay, ReplayError};
use crate::table::{self, Table};
use crate::value::{DbError, Record, Value};

/// Rows read at once.
const PAGE: u64 = 2_000;
/// So many bundles of entries wait for the replay at most.
const WAITING_MAX: usize = 2;

/// What the replay is told.
enum Work {
    /// Another log begins: its organization and name.
    Begin(OrganizationNo, String),
    /// Its next entries, and rows of the bodies that are read for their elements.
    Entries(Vec<(u64, Entry)>, Vec<Vec<Value>>),
}

/// A copy of the derived tables, made from the entries it is given on a thread of its own.
pub(super) struct Replica {
    work: mpsc::Sender<Work>,
    task: JoinHandle<Replayed>,
}

/// What a replay ends with.
pub(super) struct Replayed {
    /// The copy; none if a log could not be replayed.
    pub(super) tables: Option<Conn>,
    /// Place and what is wrong there.
    pub(super) findings: Vec<(String, String)>,
}

impl Replica {
    pub(super) fn start() -> Result<Self, DbError> {
        let target = Conn::Sqlite(temporary()?);
        let (work, waiting) = mpsc::channel(WAITING_MAX);
        let runtime = tokio::runtime::Handle::current();
        let task =
            tokio::task::spawn_blocking(move || runtime.block_on(replay_all(target, waiting)));
        Ok(Self { work, task })
    }

    pub(super) async fn begin(&mut self, organization: OrganizationNo, log: &str) {
        self.send(Work::Begin(organization, log.to_owned())).await;
    }

    pub(super) async fn entries(&mut self, entries: Vec<(u64, Entry)>, bodies: Vec<Vec<Value>>) {
        self.send(Work::Entries(entries, bodies)).await;
    }

    async fn send(&mut self, work: Work) {
        // A replay that has ended early says why at the end.
        let _ = self.work.send(work).await;
    }

    pub(super) async fn finish(self) -> Replayed {
        drop(self.work);
        self.task.await.unwrap_or_else(|error| Replayed {
            tables: None,
            findings: vec![("derived tables".to_owned(), error.to_string())],
        })
    }
}

/// Replays log after log until there is no more work.
async fn replay_all(mut target: Conn, mut waiting: mpsc::Receiver<Work>) -> Replayed {
    let mut findings = Vec::new();
    let mut whole = true;
    let mut log: Option<(OrganizationNo, String, Replay)> = None;
    loop {
        let work = waiting.recv().await;
        let step = match (&work, &mut log) {
            (Some(Work::Entries(entries, bodies)), Some((organization, _, replay))) => {
                match target.put(&table::BODIES, bodies).await {
                    Ok(()) => replay.entries(&mut target, *organization, entries).await,
                    Err(error) => Err(error.into()),
                }
            }
            // A log that could not be replayed is left out.
            (Some(Work::Entries(..)), None) => Ok(()),
            (Some(Work::Begin(..)) | None, ended) => match ended {
                Some((_, _, replay)) => replay.flush(&mut target).await.map_err(Into::into),
                None => Ok(()),
            },
        };
        let going_on = matches!(work, Some(Work::Entries(..)));
        if let Err(error) = &step {
            whole = false;
            let name = log.as_ref().map_or("", |(_, name, _)| name);
            findings.push((
                format!("log {name}"),
                match error {
                    ReplayError::Database(error) => error.to_string(),
                    ReplayError::Misfit(what) => what.clone(),
                },
            ));
        }
        if (step.is_err() || !going_on)
            && let Some((_, name, replay)) = log.take()
        {
            for (_, index, digest) in &replay.other_states {
                findings.push((
                    format!("log {name}, entry {index}"),
                    format!("does not state the digest of the state after it, {digest}"),
                ));
            }
        }
        match work {
            Some(Work::Begin(organization, name)) => {
                log = Some((organization, name, Replay::default()));
            }
            Some(Work::Entries(..)) => {}
            None => break,
        }
    }
    Replayed {
        tables: whole.then_some(target),
        findings,
    }
}

/// A private database with the tables of a new store, gone when it is closed.
pub(super) fn temporary() -> Result<rusqlite::Connection, DbError> {
    let make = || -> rusqlite::Result<rusqlite::Connection> {
        // The empty name is a file of SQLite's own that it deletes.
        let connection = rusqlite::Connection::open("")?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000; PRAGMA locking_mode = EXCLUSIVE;",
        )?;
        connection.execute_batch(&crate::engine::migrations_table(Dialect::Sqlite))?;
        for (_, text) in MIGRATIONS {
            connection.execute_batch(&Dialect::Sqlite.migration(text))?;
        }
        // One transaction for good: each commit would go through all pages held.
        connection.execute_batch("BEGIN")?;
        Ok(connection)
    };
    make().map_err(|error| Dialect::sqlite_error(&error))
}

impl Check<'_> {
    /// Ids and names of the heads are those the server's log gave the organizations.
    pub(super) async fn identities(
        &mut self,
        conn: &mut Conn,
        replayed: &mut Conn,
    ) -> Result<(), DbError> {
        let found = conn
            .query(
                "SELECT organization, id, name FROM heads WHERE organization > 0 ORDER BY organization",
                &[],
            )
            .await?;
        let expected = replayed
            .query("SELECT no, id, name FROM organizations ORDER BY no", &[])
            .await?;
        for row in &found {
            if !expected.contains(row) {
                self.report.add(
                    format!("table heads, organization {}", row.int(0)?),
                    "the server's log has no organization with this number, id and name",
                );
            }
        }
        for row in &expected {
            if !found.contains(row) {
                self.report.add(
                    format!("table heads, organization {}", row.int(0)?),
                    "the log of this organization is missing",
                );
            }
        }
        let server = conn
            .query("SELECT id, name FROM heads WHERE organization = 0", &[])
            .await?;
        if server != [Record(vec![SERVER_NAME.into(), SERVER_NAME.into()])] {
            self.report
                .add("table heads, organization 0", "is not the server's log");
        }
        Ok(())
    }

    /// A derived table holds the rows that follow from the logs, and no others.
    pub(super) async fn compare(
        &mut self,
        conn: &mut Conn,
        replayed: &mut Conn,
        table: &'static Table,
    ) -> Result<(), DbError> {
        let mut after = None;
        if let (Conn::Sqlite(left), Conn::Sqlite(right)) = (&*conn, &*replayed) {
            // What it cannot read is found again below, and named.
            if let Ok((same, last)) = same_rows(table, left, right) {
                self.report.counts.rows += same;
                after = last;
            }
        }
        let mut found = Pages::new(table, after.clone());
        let mut expected = Pages::new(table, after);
        loop {
            let (left, right) = (found.peek(conn).await?, expected.peek(replayed).await?);
            let order = match (left, right) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => {
                    if same_row(table, left, right) {
                        found.at += 1;
                        expected.at += 1;
                        self.report.counts.rows += 1;
                        continue;
                    }
                    compare_keys(table, &left.0, &right.0)
                }
            };
            let (row, what) = match order {
                Ordering::Less => surplus(table, left.expect("it sorts first")),
                Ordering::Greater => missing(table, right.expect("it sorts first")),
                Ordering::Equal => different(
                    table,
                    left.expect("both are there"),
                    right.expect("both are there"),
                ),
            };
            self.report
                .add(format!("table {}, {row}", table.name), what);
            found.at += usize::from(order.is_le());
            expected.at += usize::from(order.is_ge());
        }
        (self.progress)(Progress {
            what: "rows",
            done: self.report.counts.rows,
            total: 0,
        });
        Ok(())
    }
}

/// Columns of a derived table whose stored bytes may differ while they say the same: squeezed
/// ones, by another version of the compression.
fn is_squeezed(table: &Table, column: usize) -> bool {
    table.name == table::SPANS.name && table.columns[column].0 == "detail"
}

/// Whether two values of a column say the same.
fn same_value(table: &Table, column: usize, found: &Value, expected: &Value) -> bool {
    found == expected
        || match (found, expected) {
            (Value::Blob(found), Value::Blob(expected)) if is_squeezed(table, column) => {
                same_text(found, expected)
            }
            _ => false,
        }
}

fn same_text(found: &[u8], expected: &[u8]) -> bool {
    let found = crate::bodies::unsqueeze(found);
    found.is_ok() && found == crate::bodies::unsqueeze(expected)
}

fn same_row(table: &Table, found: &Record, expected: &Record) -> bool {
    found
        .0
        .iter()
        .zip(&expected.0)
        .enumerate()
        .all(|(column, (found, expected))| same_value(table, column, found, expected))
}

/// How many rows are the same from the first on, and the key of the last of them. Nothing is
/// allocated per row: a store that holds is compared at the pace of reading it.
fn same_rows(
    table: &'static Table,
    found: &rusqlite::Connection,
    expected: &rusqlite::Connection,
) -> rusqlite::Result<(u64, Option<Vec<Value>>)> {
    let text = format!(
        "SELECT {} FROM {} ORDER BY {}",
        table.column_list(),
        table.name,
        key_list(table)
    );
    let (mut found, mut expected) = (found.prepare(&text)?, expected.prepare(&text)?);
    let (mut found, mut expected) = (found.query([])?, expected.query([])?);
    let mut same = 0;
    let mut key = vec![Value::Null; table.key];
    'rows: while let (Some(found), Some(expected)) = (found.next()?, expected.next()?) {
        for column in 0..table.columns.len() {
            let (left, right) = (found.get_ref(column)?, expected.get_ref(column)?);
            let equal = left == right
                || match (left, right) {
                    (ValueRef::Blob(left), ValueRef::Blob(right)) => {
                        is_squeezed(table, column) && same_text(left, right)
                    }
                    _ => false,
                };
            if !equal {
                break 'rows;
            }
        }
        for (column, value) in key.iter_mut().enumerate() {
            remember(value, found.get_ref(column)?);
        }
        same += 1;
    }
    Ok((same, (same > 0).then_some(key)))
}

/// Puts what was read into a value, in the room it has.
fn remember(value: &mut Value, read: ValueRef<'_>) {
    match (&mut *value, read) {
        (Value::Text(known), ValueRef::Text(text)) => {
            known.clear();
            known.push_str(&String::from_utf8_lossy(text));
        }
        (_, ValueRef::Text(text)) => {
            *value = Value::Text(String::from_utf8_lossy(text).into_owned());
        }
        (_, ValueRef::Integer(int)) => *value = Value::Int(int),
        (_, ValueRef::Blob(blob)) => *value = blob.into(),
        (_, ValueRef::Null | ValueRef::Real(_)) => *value = Value::Null,
    }
}

fn key_list(table: &Table) -> String {
    let key: Vec<_> = table.columns[..table.key].iter().map(|c| c.0).collect();
    key.join(", ")
}

/// A table in key order, a page at a time.
struct Pages {
    table: &'static Table,
    first: String,
    next: String,
    page: Vec<Record>,
    at: usize,
    /// Key of the row before the page; none before the first.
    after: Option<Vec<Value>>,
    last: bool,
}

impl Pages {
    /// The rows after a key.
    fn new(table: &'static Table, after: Option<Vec<Value>>) -> Self {
        let key_list = key_list(table);
        let columns = table.column_list();
        let parameters: Vec<_> = (1..=table.key).map(|n| format!("${n}")).collect();
        Self {
            table,
            first: format!(
                "SELECT {columns} FROM {} ORDER BY {key_list} LIMIT {PAGE}",
                table.name
            ),
            next: format!(
                "SELECT {columns} FROM {} WHERE ({key_list}) > ({}) ORDER BY {key_list} LIMIT {PAGE}",
                table.name,
                parameters.join(", ")
            ),
            page: Vec::new(),
            at: 0,
            after,
            last: false,
        }
    }

    /// The row at the place, if there is one.
    async fn peek(&mut self, conn: &mut Conn) -> Result<Option<&Record>, DbError> {
        if self.at >= self.page.len() && !self.last {
            if let Some(row) = self.page.pop() {
                self.after = Some(row.0[..self.table.key].to_vec());
            }
            self.page = match &self.after {
                None => conn.query(&self.first, &[]).await?,
                Some(key) => conn.query(&self.next, key).await?,
            };
            self.at = 0;
            self.last = (self.page.len() as u64) < PAGE;
            // A damaged index could go round for ever.
            if let (Some(before), Some(first)) = (&self.after, self.page.first())
                && compare_keys(self.table, before, &first.0).is_ge()
            {
                return Err(DbError::Corrupt("rows are out of order".to_owned()));
            }
        }
        Ok(self.page.get(self.at))
    }
}

fn compare_values(a: &Value, b: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Null => 0,
            Value::Int(_) => 1,
            Value::Text(_) => 2,
            Value::Blob(_) => 3,
            Value::Ints(_) => 4,
        }
    }
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_keys(table: &Table, a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .take(table.key)
        .map(|(a, b)| compare_values(a, b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The key of a row in words.
fn row_name(table: &Table, row: &Record) -> String {
    table.columns[..table.key]
        .iter()
        .zip(&row.0)
        .map(|((name, _), value)| format!("{name} {}", show(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(int) => int.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(blob) if blob.len() > 40 => format!("{} bytes", blob.len()),
        Value::Blob(blob) => encode_hex(blob),
        Value::Ints(ints) => format!("{ints:?}"),
    }
}

fn surplus(table: &Table, row: &Record) -> (String, String) {
    (
        row_name(table, row),
        "the row follows from no entry".to_owned(),
    )
}

fn missing(table: &Table, row: &Record) -> (String, String) {
    (row_name(table, row), "the row is missing".to_owned())
}

/// Columns that differ, by name only: free text and addresses are not for reports.
fn different(table: &Table, found: &Record, expected: &Record) -> (String, String) {
    let columns: Vec<_> = table
        .columns
        .iter()
        .zip(found.0.iter().zip(&expected.0))
        .enumerate()
        .filter(|(column, (_, (found, expected)))| !same_value(table, *column, found, expected))
        .map(|(_, ((name, _), _))| *name)
        .collect();
    (
        row_name(table, found),
        format!("{} not what the entries give", columns.join(", ") + " is"),
    )
}

/// The next row that two lists in key order do not share.
pub(super) fn next_difference<'a>(
    table: &Table,
    found: &mut std::iter::Peekable<impl Iterator<Item = &'a Record>>,
    expected: &mut std::iter::Peekable<impl Iterator<Item = &'a Record>>,
) -> Option<(String, String)> {
    loop {
        match (found.peek(), expected.peek()) {
            (None, None) => return None,
            (Some(_), None) => return found.next().map(|row| surplus(table, row)),
            (None, Some(_)) => return expected.next().map(|row| missing(table, row)),
            (Some(left), Some(right)) => match compare_keys(table, &left.0, &right.0) {
                Ordering::Less => return found.next().map(|row| surplus(table, row)),
                Ordering::Greater => return expected.next().map(|row| missing(table, row)),
                Ordering::Equal => {
                    let (left, right) = (found.next()?, expected.next()?);
                    if left != right {
                        return Some(different(table, left, right));
                    }
                }
            },
        }
    }
}
