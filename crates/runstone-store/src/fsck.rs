//! Checking a store: everything that follows from something else is derived again and compared.
//!
//! Reads only. Names every record that is damaged or missing: the log, entry and body, or the
//! table, row and column. What stands for itself (operational tables, batch marks) is not judged.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle::{Edge, FullTile, leaf_hash};
use runstone_journal::note::{Signer, VerifierKey, derive_signing_seed};
use runstone_journal::tile::{TILE_WIDTH, full_tile_count};
use runstone_model::event::{Entry, Event};
use runstone_model::fact::{OrganizationNo, SERVER, SERVER_NAME};
use runstone_model::id::{Digest, Micros, encode_hex};

use crate::Options;
use crate::admin::{AdminError, Counts, Places, Progress};
use crate::blobs::Blobs;
use crate::conn::{Conn, Mode};
use crate::dialect::Dialect;
use crate::engine::{MIGRATIONS, Place};
use crate::keys::Secrets;
use crate::rebuild::{Missing, Replay, ReplayError};
use crate::scan;
use crate::table::{self, Class, Table};
use crate::value::{DbError, Record, Value};

/// So many problems are named; a store with more is damaged all over.
const PROBLEMS_MAX: usize = 1_000;
/// Rows read at once.
const PAGE: u64 = 2_000;

/// Something is not as it follows from the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The record: log and entry, body, tile, or table, row and column.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Empty for a store that holds; at most 1,000, in the order found.
    pub problems: Vec<Problem>,
    /// What was checked.
    pub counts: Counts,
}

impl Report {
    fn add(&mut self, place: impl Into<String>, what: impl fmt::Display) {
        match self.problems.len().cmp(&PROBLEMS_MAX) {
            Ordering::Less => self.problems.push(Problem {
                place: place.into(),
                what: what.to_string(),
            }),
            Ordering::Equal => self.problems.push(Problem {
                place: "store".to_owned(),
                what: "there are more problems than are named here".to_owned(),
            }),
            Ordering::Greater => {}
        }
    }

    /// A part that could not be read to its end is damaged; that the database went away is not
    /// the store's fault.
    fn part(&mut self, place: &str, result: Result<(), DbError>) -> Result<(), AdminError> {
        match result {
            Ok(()) => Ok(()),
            Err(error @ (DbError::Lost(_) | DbError::Race(_))) => Err(error.into()),
            Err(error) => {
                self.add(place, error);
                Ok(())
            }
        }
    }
}

/// Checks a store without changing it, also while a server runs on it: all of it is read as it
/// was at one instant.
pub async fn fsck(
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AdminError> {
    let mut report = Report::default();
    let places = Places::of(options)?;
    let secrets = match Secrets::load(&places.key_file, false, &*options.random) {
        Ok(secrets) => Some(secrets),
        Err(error) => {
            report.add("key file", error);
            None
        }
    };
    // Opening a folder of blobs would make it.
    let blobs = if places.blobs.contains("://") || std::path::Path::new(&places.blobs).exists() {
        Some(places.open_blobs(options)?)
    } else {
        None
    };
    let mut conn = match places.connect_reader().await {
        Ok(conn) => conn,
        Err(AdminError::Database(error @ (DbError::Corrupt(_) | DbError::Other(_)))) => {
            report.add("database", error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let whole = check_pages(&places.place);
    if let Err(error) = conn.begin(Mode::Read).await {
        report.part("database", Err(error))?;
        return Ok(report);
    }
    let mut check = Check {
        report,
        secrets,
        blobs,
        progress,
        logs: Vec::new(),
    };
    let result = check.all(&mut conn).await;
    conn.rollback().await;
    result?;
    let mut report = check.report;
    for (place, what) in whole.await.unwrap_or_default() {
        report.add(place, what);
    }
    Ok(report)
}

/// SQLite's own check of its pages and indexes, beside the rest.
fn check_pages(place: &Place) -> tokio::task::JoinHandle<Vec<(String, String)>> {
    let place = place.clone();
    tokio::task::spawn_blocking(move || {
        let Place::Sqlite { file } = place else {
            return Vec::new();
        };
        let check = || -> Result<Vec<String>, DbError> {
            let connection = crate::engine::open_sqlite(&file, true)?;
            let found = connection
                .prepare("PRAGMA integrity_check(100)")
                .and_then(|mut statement| {
                    statement
                        .query_map([], |row| row.get::<_, String>(0))?
                        .collect::<Result<Vec<_>, _>>()
                })
                .map_err(|error| Dialect::sqlite_error(&error))?;
            Ok(found)
        };
        let place = "database file".to_owned();
        match check() {
            Ok(lines) => lines
                .into_iter()
                .filter(|line| line != "ok")
                .map(|line| (place.clone(), line))
                .collect(),
            Err(error) => vec![(place, error.to_string())],
        }
    })
}

/// A log as its head states it.
struct Head {
    organization: OrganizationNo,
    id: String,
    name: String,
    epoch: String,
    origin: String,
    epoch_from: u64,
    size: u64,
    root: [u8; 32],
    note: String,
    last_at: i64,
}

struct Check<'a> {
    report: Report,
    secrets: Option<Secrets>,
    blobs: Option<Blobs>,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    logs: Vec<Head>,
}

impl Check<'_> {
    async fn all(&mut self, conn: &mut Conn) -> Result<(), AdminError> {
        let schema = self.schema(conn).await;
        self.report.part("schema", schema)?;
        let meta = self.meta(conn).await;
        self.report.part("table meta", meta)?;
        let heads = self.heads(conn).await;
        self.report.part("table heads", heads)?;
        let strays = self.strays(conn).await;
        self.report.part("journal", strays)?;
        let mut replayed = Conn::Sqlite(temporary()?);
        let total = self.logs.iter().map(|head| head.size).sum();
        let mut follows = true;
        for head in std::mem::take(&mut self.logs) {
            let place = format!("log {}", head.name);
            let mut follow = false;
            let result = self
                .log(conn, &mut replayed, &head, total, &mut follow)
                .await;
            self.report.part(&place, result)?;
            follows &= follow;
        }
        if !follows {
            self.report.add(
                "derived tables",
                "could not be compared, because not every log could be replayed",
            );
            return Ok(());
        }
        let compared = self.identities(conn, &mut replayed).await;
        self.report.part("table heads", compared)?;
        for table in table::ALL {
            if table.class == Class::Derived {
                let compared = self.compare(conn, &mut replayed, table).await;
                self.report
                    .part(&format!("table {}", table.name), compared)?;
            }
        }
        Ok(())
    }

    /// The schema is the one the migrations make.
    async fn schema(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        let found = conn
            .query("SELECT no, name, digest FROM migrations ORDER BY no", &[])
            .await?;
        let expected: Vec<Record> = MIGRATIONS
            .iter()
            .zip(1u64..)
            .map(|((name, text), no)| {
                Record(vec![
                    no.into(),
                    (*name).into(),
                    Digest::of(text.as_bytes()).0[..].into(),
                ])
            })
            .collect();
        if found != expected {
            self.report.add(
                "table migrations",
                "is not what this version of Runstone writes",
            );
        }
        if let Conn::Sqlite(_) = conn {
            const SCHEMA: &str =
                "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
            let mut fresh = Conn::Sqlite(temporary()?);
            let expected = fresh.query(SCHEMA, &[]).await?;
            let found = conn.query(SCHEMA, &[]).await?;
            for object in &expected {
                if !found.contains(object) {
                    self.report.add(
                        format!("schema of {}", object.text(1)?),
                        "is not what this version of Runstone makes",
                    );
                }
            }
            for object in &found {
                if !expected.contains(object) {
                    self.report.add(
                        format!("schema of {}", object.text(1).unwrap_or("?")),
                        "is unknown to this version of Runstone",
                    );
                }
            }
        }
        Ok(())
    }

    /// The key file is the one the store was made with.
    async fn meta(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        let rows = conn
            .query("SELECT name, value FROM meta ORDER BY name", &[])
            .await?;
        match rows.as_slice() {
            [row] if row.text(0)? == "key-check" => {
                if let Some(secrets) = &self.secrets
                    && *row.blob(1)? != secrets.check_value()[..]
                {
                    self.report.add(
                        "table meta",
                        "the key file is not the one this store was made with",
                    );
                }
            }
            _ => self
                .report
                .add("table meta", "does not hold one row named key-check"),
        }
        Ok(())
    }

    async fn heads(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        for row in conn
            .query(
                "SELECT organization, id, name, epoch, origin, epoch_from, size, root, note, last_at FROM heads ORDER BY organization",
                &[],
            )
            .await?
        {
            self.logs.push(Head {
                organization: OrganizationNo(row.ordinal(0)?),
                id: row.text(1)?.to_owned(),
                name: row.text(2)?.to_owned(),
                epoch: row.text(3)?.to_owned(),
                origin: row.text(4)?.to_owned(),
                epoch_from: row.number(5)?,
                size: row.number(6)?,
                root: row.sha256(7)?,
                note: row.text(8)?.to_owned(),
                last_at: row.int(9)?,
            });
        }
        if self
            .logs
            .first()
            .is_none_or(|head| head.organization != SERVER || head.id != SERVER_NAME)
        {
            self.report
                .add("table heads", "the server's log is missing");
        }
        Ok(())
    }

    /// No journal row or body lies beyond a log.
    async fn strays(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        for (table, column, end) in [
            ("entries", "position", "h.size"),
            ("bodies", "entry", "h.size"),
            ("bundles", "n", "h.size / 256"),
            ("tiles", "n", "h.size"),
            ("epochs", "from_size", "h.size + 1"),
            ("log_keys", "from_size", "h.size + 1"),
        ] {
            for row in conn
                .query(
                    &format!(
                        "SELECT t.organization, t.{column} FROM {table} t LEFT JOIN heads h ON h.organization = t.organization WHERE h.organization IS NULL OR t.{column} < 0 OR t.{column} >= {end} LIMIT 10"
                    ),
                    &[],
                )
                .await?
            {
                self.report.add(
                    format!(
                        "table {table}, organization {}, {column} {}",
                        row.int(0)?,
                        row.int(1)?
                    ),
                    "belongs to no log, or lies beyond its end",
                );
            }
        }
        Ok(())
    }

    /// One log, from its first entry to its head.
    async fn log(
        &mut self,
        conn: &mut Conn,
        replayed: &mut Conn,
        head: &Head,
        total: u64,
        follows: &mut bool,
    ) -> Result<(), DbError> {
        let mut log = Walk::new(head, first_origin(conn, head).await?, self.secrets.as_ref());
        let mut tiles = Tiles::new(head);
        let mut replay = Some(Replay::default());
        let log_name = &head.name;
        for n in 0..head.size.div_ceil(TILE_WIDTH) {
            let chunk = scan::chunk(conn, head.organization, n, head.size).await?;
            if chunk.twice {
                self.report.add(
                    format!("log {log_name}, bundle {n}"),
                    "is there both sealed and as rows",
                );
            }
            for (entry, body) in &chunk.stray {
                self.report.add(
                    format!("log {log_name}, entry {entry}, body {body}"),
                    "is named by no entry",
                );
            }
            let mut entries = Vec::with_capacity(chunk.entries.len());
            for stored in &chunk.entries {
                let opened = scan::open(stored, &head.id, self.blobs.as_ref()).await;
                for (body, what) in &opened.problems {
                    let place = match body {
                        Some(body) => {
                            format!("log {log_name}, entry {}, body {body}", stored.position)
                        }
                        None => format!("log {log_name}, entry {}", stored.position),
                    };
                    self.report.add(place, what);
                }
                self.report.counts.bodies += opened.bodies;
                let place = || format!("log {log_name}, entry {}", stored.position);
                let leaf = leaf_hash(&stored.bytes);
                if stored.leaf.is_some_and(|stored| stored != leaf) {
                    self.report
                        .add(place(), "does not have the leaf hash stored with it");
                }
                match opened.entry {
                    Some(entry) => {
                        log.missing.add(stored.position, &opened.missing);
                        log.entry(&entry, self.secrets.as_ref(), |what| {
                            self.report.add(place(), what);
                        });
                        entries.push((stored.position, entry));
                    }
                    None => replay = None,
                }
                log.edge.push(leaf, &mut |tile| tiles.derived.push(tile));
            }
            tiles.compare(conn, &mut self.report).await?;
            if let Some(under_way) = &mut replay {
                match under_way
                    .entries(replayed, head.organization, &entries)
                    .await
                {
                    Ok(()) => {}
                    Err(ReplayError::Database(error)) => return Err(error),
                    Err(ReplayError::Misfit(what)) => {
                        self.report.add(format!("log {log_name}"), what);
                        replay = None;
                    }
                }
            }
            self.report.counts.entries += chunk.entries.len() as u64;
            (self.progress)(Progress {
                what: "entries",
                done: self.report.counts.entries,
                total,
            });
        }
        tiles.surplus(conn, &mut self.report).await?;
        self.report.counts.tiles += tiles.count;
        for (entry, body) in log.missing.rest() {
            self.report.add(
                format!("log {log_name}, entry {entry}, body {body}"),
                "is missing, and no entry erased it",
            );
        }
        if let Some(mut replay) = replay {
            replay.flush(replayed).await?;
            for (_, index, digest) in &replay.other_states {
                self.report.add(
                    format!("log {log_name}, entry {index}"),
                    format!("does not state the digest of the state after it, {digest}"),
                );
            }
            *follows = true;
        }
        self.report.counts.logs += 1;
        self.head(conn, head, &log).await
    }

    /// Head, epochs and keys of a log are what its entries make.
    async fn head(&mut self, conn: &mut Conn, head: &Head, log: &Walk) -> Result<(), DbError> {
        let place = format!("log {}, head", head.name);
        let mut differs = |column: &str, same: bool| {
            if !same {
                self.report.add(
                    place.clone(),
                    format!("{column} is not what the entries give"),
                );
            }
        };
        differs("root", log.edge.root() == head.root);
        differs("last_at", log.last_at == head.last_at);
        differs("epoch", log.epoch == head.epoch);
        differs("origin", log.origin == head.origin);
        differs("epoch_from", log.epoch_from == head.epoch_from);
        match log.sign(self.secrets.as_ref()) {
            Some(Ok(note)) => differs("note", note == head.note),
            Some(Err(error)) => self.report.add(place.clone(), error),
            None => {
                // Without the key file the stored public keys are all there is.
                let keys: Vec<VerifierKey> = conn
                    .query(
                        "SELECT vkey FROM log_keys WHERE organization = $1 AND to_size IS NULL",
                        &[head.organization.0.into()],
                    )
                    .await?
                    .iter()
                    .filter_map(|row| VerifierKey::parse(row.text(0).ok()?).ok())
                    .collect();
                let stated = Checkpoint::open(head.note.as_bytes(), &keys);
                differs(
                    "note",
                    stated.is_ok_and(|stated| {
                        stated.root == log.edge.root() && stated.size == head.size
                    }),
                );
            }
        }
        let epochs = conn
            .query(
                &format!(
                    "SELECT {} FROM epochs WHERE organization = $1 ORDER BY from_size",
                    table::EPOCHS.column_list()
                ),
                &[head.organization.0.into()],
            )
            .await?;
        let expected: Vec<Record> = log.epochs.values().cloned().map(Record).collect();
        self.same_rows(&head.name, &table::EPOCHS, &epochs, &expected);
        if self.secrets.is_some() {
            let keys = conn
                .query(
                    &format!(
                        "SELECT {} FROM log_keys WHERE organization = $1 ORDER BY from_size, generation",
                        table::LOG_KEYS.column_list()
                    ),
                    &[head.organization.0.into()],
                )
                .await?;
            let expected: Vec<Record> = log.key_rows.values().cloned().map(Record).collect();
            self.same_rows(&head.name, &table::LOG_KEYS, &keys, &expected);
        }
        Ok(())
    }

    fn same_rows(&mut self, log: &str, table: &Table, found: &[Record], expected: &[Record]) {
        let mut differences = Vec::new();
        let mut found = found.iter().peekable();
        let mut expected = expected.iter().peekable();
        while let Some(difference) = next_difference(table, &mut found, &mut expected) {
            differences.push(difference);
        }
        for (row, what) in differences {
            self.report
                .add(format!("log {log}, table {}, {row}", table.name), what);
        }
    }

    /// Ids and names of the heads are those the server's log gave the organizations.
    async fn identities(&mut self, conn: &mut Conn, replayed: &mut Conn) -> Result<(), DbError> {
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
    async fn compare(
        &mut self,
        conn: &mut Conn,
        replayed: &mut Conn,
        table: &'static Table,
    ) -> Result<(), DbError> {
        let mut found = Pages::new(table);
        let mut expected = Pages::new(table);
        loop {
            let (left, right) = (found.peek(conn).await?, expected.peek(replayed).await?);
            let order = match (left, right) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => {
                    if left == right {
                        found.at += 1;
                        expected.at += 1;
                        self.report.counts.rows += 1;
                        continue;
                    }
                    compare_keys(table, left, right)
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

/// A private database with the tables of a new store, gone when it is closed.
fn temporary() -> Result<rusqlite::Connection, DbError> {
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
        Ok(connection)
    };
    make().map_err(|error| Dialect::sqlite_error(&error))
}

/// Origin of a log's first epoch, which stands for itself: its random digits follow from nothing.
async fn first_origin(conn: &mut Conn, head: &Head) -> Result<(String, String), DbError> {
    conn.query_one(
        "SELECT epoch, origin FROM epochs WHERE organization = $1 AND from_size = 0",
        &[head.organization.0.into()],
    )
    .await?
    .map(|row| Ok::<_, DbError>((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
    .transpose()?
    .ok_or_else(|| DbError::Corrupt("the row of its first epoch is missing".to_owned()))
}

/// A key that signs.
struct Key {
    generation: u32,
    from_size: u64,
    until: Option<i64>,
}

/// What the entries of a log make of its head, epochs and keys.
struct Walk {
    organization: OrganizationNo,
    edge: Edge,
    last_at: i64,
    epoch: String,
    origin: String,
    epoch_from: u64,
    keys: Vec<Key>,
    epochs: BTreeMap<u64, Vec<Value>>,
    key_rows: BTreeMap<(u64, u32), Vec<Value>>,
    missing: Missing,
}

impl Walk {
    fn new(head: &Head, (epoch, origin): (String, String), secrets: Option<&Secrets>) -> Self {
        let mut this = Self {
            organization: head.organization,
            edge: Edge::new(),
            last_at: 0,
            epoch,
            origin,
            epoch_from: 0,
            keys: Vec::new(),
            epochs: BTreeMap::new(),
            key_rows: BTreeMap::new(),
            missing: Missing::default(),
        };
        this.open_epoch();
        this.put_keys(secrets, None);
        this
    }

    fn open_epoch(&mut self) {
        self.keys = vec![Key {
            generation: 0,
            from_size: self.epoch_from,
            until: None,
        }];
        self.epochs.insert(
            self.epoch_from,
            vec![
                self.organization.0.into(),
                self.epoch_from.into(),
                self.epoch.as_str().into(),
                self.origin.as_str().into(),
                Value::Null,
                Value::Null,
            ],
        );
    }

    /// The entry at the edge, before it is pushed.
    fn entry(&mut self, entry: &Entry, secrets: Option<&Secrets>, mut problem: impl FnMut(String)) {
        let size = self.edge.size();
        if entry.received.0 <= self.last_at {
            problem("was not received after the entry before it".to_owned());
        }
        self.last_at = entry.received.0;
        for (entry, body) in self.missing.erase(&entry.event) {
            problem(format!(
                "erases body {body} of entry {entry}, which is still there or another"
            ));
        }
        match &entry.event {
            Event::KeyRotated { generation, vkey } => {
                if let Some(secrets) = secrets
                    && crate::log::vkey(secrets, &self.origin, *generation).as_ref() != Ok(vkey)
                {
                    problem("names another key than the one of its generation".to_owned());
                }
                for key in &mut self.keys {
                    key.until
                        .get_or_insert(entry.received.0 + crate::log::KEY_OVERLAP);
                }
                self.put_keys(secrets, None);
                self.keys.push(Key {
                    generation: *generation,
                    from_size: size,
                    until: None,
                });
                self.put_keys(secrets, None);
            }
            Event::EpochBegun {
                epoch,
                origin,
                size: stated,
                root,
                ..
            } if size == 0 => {
                // An epoch of no entries left nothing behind but its name in this entry: the
                // rows are those of the new one already.
                let begins = origin.rsplit_once('/').map(|(prefix, _)| prefix)
                    == self.origin.rsplit_once('/').map(|(prefix, _)| prefix);
                if !begins || *epoch != self.epoch || *stated != 0 || root.0 != self.edge.root() {
                    problem("does not continue from the log before it".to_owned());
                }
            }
            Event::EpochBegun {
                epoch,
                origin,
                size: stated,
                root,
                ..
            } => {
                if *origin != self.origin || *stated != size || root.0 != self.edge.root() {
                    problem("does not continue from the log before it".to_owned());
                }
                let note = self.sign(secrets).and_then(Result::ok);
                self.put_keys(secrets, Some(size));
                if let Some(row) = self.epochs.get_mut(&self.epoch_from) {
                    row[4] = size.into();
                    row[5] = note.into();
                }
                let prefix = self
                    .origin
                    .rsplit_once('/')
                    .map_or(self.origin.as_str(), |(prefix, _)| prefix);
                self.origin = format!("{prefix}/{epoch}");
                epoch.clone_into(&mut self.epoch);
                self.epoch_from = size;
                self.open_epoch();
                self.put_keys(secrets, None);
            }
            _ => {}
        }
        let at = Micros(self.last_at);
        let (ended, keys) = std::mem::take(&mut self.keys)
            .into_iter()
            .partition(|key| key.until.is_some_and(|until| Micros(until) <= at));
        self.keys = ended;
        if !self.keys.is_empty() {
            self.put_keys(secrets, Some(size));
        }
        self.keys = keys;
    }

    fn signer(&self, generation: u32, secrets: &Secrets) -> Result<Signer, String> {
        let seed = derive_signing_seed(&secrets.seed, &self.origin, generation);
        Signer::new(&self.origin, &seed).map_err(|error| error.to_string())
    }

    fn put_keys(&mut self, secrets: Option<&Secrets>, to_size: Option<u64>) {
        for key in &self.keys {
            let vkey = secrets
                .and_then(|secrets| self.signer(key.generation, secrets).ok())
                .map(|signer| signer.verifier_key().to_string());
            self.key_rows.insert(
                (key.from_size, key.generation),
                vec![
                    self.organization.0.into(),
                    key.from_size.into(),
                    key.generation.into(),
                    self.origin.as_str().into(),
                    vkey.into(),
                    to_size.into(),
                    key.until.into(),
                ],
            );
        }
    }

    /// The checkpoint at the edge as the store signs it; none without the key file.
    fn sign(&self, secrets: Option<&Secrets>) -> Option<Result<String, String>> {
        let secrets = secrets?;
        let sign = || {
            let signers = self
                .keys
                .iter()
                .rev()
                .map(|key| self.signer(key.generation, secrets))
                .collect::<Result<Vec<_>, _>>()?;
            Checkpoint {
                origin: self.origin.clone(),
                size: self.edge.size(),
                root: self.edge.root(),
            }
            .sign(&signers.iter().collect::<Vec<_>>())
            .map(|note| note.to_string())
            .map_err(|error| error.to_string())
        };
        Some(sign())
    }
}

/// Full tiles of a log, derived and stored.
struct Tiles<'a> {
    head: &'a Head,
    derived: Vec<FullTile>,
    count: u64,
}

impl<'a> Tiles<'a> {
    fn new(head: &'a Head) -> Self {
        Self {
            head,
            derived: Vec::new(),
            count: 0,
        }
    }

    fn place(&self, level: u8, n: u64) -> String {
        format!("log {}, tile {level}/{n}", self.head.name)
    }

    async fn compare(&mut self, conn: &mut Conn, report: &mut Report) -> Result<(), DbError> {
        for tile in std::mem::take(&mut self.derived) {
            let row = conn
                .query_one(
                    "SELECT bytes FROM tiles WHERE organization = $1 AND level = $2 AND n = $3",
                    &[
                        self.head.organization.0.into(),
                        i64::from(tile.level).into(),
                        tile.n.into(),
                    ],
                )
                .await?;
            match row {
                None => report.add(self.place(tile.level, tile.n), "is missing"),
                Some(row) => {
                    let stored = row.blob(0)?;
                    if stored[..] != tile.hashes[..] {
                        let first = stored
                            .iter()
                            .zip(tile.hashes.iter())
                            .position(|(a, b)| a != b)
                            .map_or_else(
                                || "has another length".to_owned(),
                                |at| format!("hash {} is not what the entries give", at / 32),
                            );
                        report.add(self.place(tile.level, tile.n), first);
                    }
                }
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Tiles that are stored and do not exist in the tree.
    async fn surplus(&self, conn: &mut Conn, report: &mut Report) -> Result<(), DbError> {
        let stored = conn
            .query_one(
                "SELECT count(*) FROM tiles WHERE organization = $1",
                &[self.head.organization.0.into()],
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let expected: u64 = (0..8)
            .map(|level| full_tile_count(level, self.head.size))
            .sum();
        if stored > expected {
            for row in conn
                .query(
                    "SELECT level, n FROM tiles WHERE organization = $1 ORDER BY level, n",
                    &[self.head.organization.0.into()],
                )
                .await?
            {
                let (level, n) = (row.int(0)?, row.int(1)?);
                let exists = u8::try_from(level).is_ok_and(|level| {
                    level < 8
                        && u64::try_from(n)
                            .is_ok_and(|n| n < full_tile_count(level, self.head.size))
                });
                if !exists {
                    report.add(
                        format!("log {}, tile {level}/{n}", self.head.name),
                        "is not in the tree",
                    );
                }
            }
        }
        Ok(())
    }
}

/// A table in key order, a page at a time.
struct Pages {
    table: &'static Table,
    first: String,
    next: String,
    page: Vec<Record>,
    at: usize,
    last: bool,
}

impl Pages {
    fn new(table: &'static Table) -> Self {
        let key: Vec<_> = table.columns[..table.key].iter().map(|c| c.0).collect();
        let key_list = key.join(", ");
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
            last: false,
        }
    }

    /// The row at the place, if there is one.
    async fn peek(&mut self, conn: &mut Conn) -> Result<Option<&Record>, DbError> {
        if self.at >= self.page.len() && !self.last {
            let before = self.page.pop();
            self.page = match &before {
                None => conn.query(&self.first, &[]).await?,
                Some(row) => conn.query(&self.next, &row.0[..self.table.key]).await?,
            };
            self.at = 0;
            self.last = (self.page.len() as u64) < PAGE;
            // A damaged index could go round for ever.
            if let (Some(before), Some(first)) = (&before, self.page.first())
                && compare_keys(self.table, before, first).is_ge()
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

fn compare_keys(table: &Table, a: &Record, b: &Record) -> Ordering {
    a.0.iter()
        .zip(&b.0)
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
        .filter(|(_, (found, expected))| found != expected)
        .map(|((name, _), _)| *name)
        .collect();
    (
        row_name(table, found),
        format!("{} not what the entries give", columns.join(", ") + " is"),
    )
}

/// The next row that two lists in key order do not share.
fn next_difference<'a>(
    table: &Table,
    found: &mut std::iter::Peekable<impl Iterator<Item = &'a Record>>,
    expected: &mut std::iter::Peekable<impl Iterator<Item = &'a Record>>,
) -> Option<(String, String)> {
    loop {
        match (found.peek(), expected.peek()) {
            (None, None) => return None,
            (Some(_), None) => return found.next().map(|row| surplus(table, row)),
            (None, Some(_)) => return expected.next().map(|row| missing(table, row)),
            (Some(left), Some(right)) => match compare_keys(table, left, right) {
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
