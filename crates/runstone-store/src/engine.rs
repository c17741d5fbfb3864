//! The database behind the store: opening, migrating, connections for reading and writing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runstone_model::id::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blobs::Blobs;
use crate::conn::{Conn, Mode, Postgres};
use crate::dialect::Dialect;
use crate::value::{DbError, Value};
use crate::version::{Commits, Version};

/// Short reads at once; more wait.
const SHORT_READERS_MAX: usize = 16;
/// Other reads at once; more wait, and no short read waits for them.
const LONG_READERS_MAX: usize = 8;
/// A short read on SQLite, which holds up the thread it runs on, is given up after this time.
const SHORT_READ: Duration = Duration::from_millis(2);
/// Steps of SQLite's machine between two looks at the clock: some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// Migrations, oldest first. A landed one is never changed: its hash is stored.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_record", include_str!("migrations/0001_record.sql")),
    ("0002_erasure", include_str!("migrations/0002_erasure.sql")),
    ("0003_pages", include_str!("migrations/0003_pages.sql")),
    ("0004_flows", include_str!("migrations/0004_flows.sql")),
    (
        "0005_provenance",
        include_str!("migrations/0005_provenance.sql"),
    ),
    ("0006_starts", include_str!("migrations/0006_starts.sql")),
    ("0007_history", include_str!("migrations/0007_history.sql")),
    ("0008_legacy", include_str!("migrations/0008_legacy.sql")),
    ("0009_labels", include_str!("migrations/0009_labels.sql")),
    (
        "0010_controls",
        include_str!("migrations/0010_controls.sql"),
    ),
];

/// Migrations after which the derived tables of a store with entries are written anew, in the
/// same transaction.
const REBUILT: &[&str] = &[
    "0002_erasure",
    "0003_pages",
    "0005_provenance",
    "0006_starts",
    "0009_labels",
    "0010_controls",
];

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) place: Place,
    /// Of this process's writer.
    pub(crate) commits: Arc<Commits>,
    pool: Arc<Pool>,
}

/// How long a read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So short that it may run on a thread that serves others too; an attempt.
    Short,
    /// As long as it takes.
    Long,
}

/// A file or a server.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Sqlite { file: PathBuf },
    Postgres { url: String },
}

struct Pool {
    idle: Mutex<Vec<Conn>>,
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

/// A pooled connection inside a read transaction.
pub(crate) struct Reader {
    conn: Option<Conn>,
    pool: Arc<Pool>,
    /// When a short read on SQLite is given up.
    end: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// Whether the time of a short read is over.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    pub(crate) fn conn(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("held until dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        match &mut conn {
            Conn::Sqlite(connection) => {
                if self.end.is_some() && hurry(connection, None).is_err() {
                    return;
                }
                if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                    return;
                }
            }
            Conn::Postgres(postgres) => {
                if postgres.is_closed() {
                    return;
                }
                // The transaction is ended by the next user, or by the task below: a dropped
                // reader must not hold its snapshot.
                let pool = Arc::clone(&self.pool);
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        conn.rollback().await;
                        pool.idle
                            .lock()
                            .expect("the pool's lock is never poisoned")
                            .push(conn);
                    });
                }
                return;
            }
        }
        self.pool
            .idle
            .lock()
            .expect("the pool's lock is never poisoned")
            .push(conn);
    }
}

impl Database {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            pool: Arc::new(Pool {
                idle: Mutex::new(Vec::new()),
                short: Arc::new(Semaphore::new(SHORT_READERS_MAX)),
                long: Arc::new(Semaphore::new(LONG_READERS_MAX)),
            }),
            commits: Arc::default(),
        }
    }

    /// A connection for the writer or for administration.
    pub(crate) async fn connect_writer(&self) -> Result<Conn, DbError> {
        match &self.place {
            Place::Sqlite { file } => open_sqlite(file, false).map(Conn::Sqlite),
            Place::Postgres { url } => Postgres::connect(url).await.map(Conn::Postgres),
        }
    }

    /// The state of the store, where this process alone can tell.
    pub(crate) fn version(&self) -> Option<Version> {
        match self.place {
            Place::Sqlite { .. } => self.commits.settled(),
            Place::Postgres { .. } => None,
        }
    }

    /// A connection in a new read transaction.
    pub(crate) async fn read(&self, pace: Pace) -> Result<Reader, DbError> {
        let permits = match pace {
            Pace::Short => &self.pool.short,
            Pace::Long => &self.pool.long,
        };
        let permit = match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                tokio::time::timeout(Duration::from_secs(10), Arc::clone(permits).acquire_owned())
                    .await
                    .map_err(|_| DbError::Unavailable("too many readers".to_owned()))?
                    .map_err(|_| DbError::Unavailable("the store is closed".to_owned()))?
            }
        };
        loop {
            let idle = self
                .pool
                .idle
                .lock()
                .expect("the pool's lock is never poisoned")
                .pop();
            let (mut conn, pooled) = match idle {
                Some(conn) => (conn, true),
                None => (
                    match &self.place {
                        Place::Sqlite { file } => open_sqlite(file, true).map(Conn::Sqlite)?,
                        Place::Postgres { url } => Conn::Postgres(Postgres::connect(url).await?),
                    },
                    false,
                ),
            };
            match conn.begin(Mode::Read).await {
                Ok(()) => {
                    let mut end = None;
                    if let Conn::Sqlite(connection) = &mut conn
                        && pace == Pace::Short
                    {
                        let at = Instant::now() + SHORT_READ;
                        hurry(connection, Some(at))?;
                        end = Some(at);
                    }
                    return Ok(Reader {
                        conn: Some(conn),
                        pool: Arc::clone(&self.pool),
                        end,
                        _permit: permit,
                    });
                }
                // A pooled connection may have died while it was idle.
                Err(_) if pooled => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes idle connections.
    pub(crate) fn close(&self) {
        self.pool
            .idle
            .lock()
            .expect("the pool's lock is never poisoned")
            .clear();
    }

    /// Moves what SQLite wrote beside its file into it, so that a closed store is one file and
    /// nothing erased stays beside it. False if a reader or writer still needs it.
    pub(crate) async fn settle(&self) -> bool {
        let Place::Sqlite { file } = &self.place else {
            return true;
        };
        let settled = open_sqlite(file, false).and_then(|connection| {
            // While it waits for readers, it keeps the writer waiting.
            connection
                .busy_timeout(Duration::from_millis(500))
                .and_then(|()| {
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                        row.get::<_, i64>(0)
                    })
                })
                .map_err(|error| Dialect::sqlite_error(&error))
        });
        match settled {
            Ok(busy) => busy == 0,
            Err(error) => {
                tracing::debug!(%error, "the write-ahead log stays beside the file");
                false
            }
        }
    }

    /// Brings the schema up to date under an exclusive lock, all or nothing. `blobs` are for
    /// writing derived tables anew.
    pub(crate) async fn migrate(&self, blobs: Option<&Blobs>) -> Result<(), DbError> {
        let mut conn = self.connect_writer().await?;
        let dialect = conn.dialect();
        let prepare = migrations_table(dialect);
        if dialect == Dialect::Postgres {
            // Two servers starting at once must not both create; the lock ends with the session.
            conn.batch("SELECT pg_advisory_lock(7166837415027)").await?;
        }
        conn.batch(&prepare).await?;
        let done = conn
            .query("SELECT no, name, digest FROM migrations ORDER BY no", &[])
            .await?;
        if done.len() > MIGRATIONS.len() {
            return Err(DbError::Other(
                "the store was written by a newer version of Runstone".to_owned(),
            ));
        }
        for (row, (name, text)) in done.iter().zip(MIGRATIONS) {
            if row.text(1)? != *name || row.sha256(2)? != Digest::of(text.as_bytes()).0 {
                return Err(DbError::Other(format!(
                    "migration {} of the store is not the one this version knows",
                    row.text(1)?
                )));
            }
        }
        if done.len() < MIGRATIONS.len() {
            conn.begin(Mode::Write).await?;
            match apply(&mut conn, done.len(), blobs).await {
                Ok(()) => conn.commit().await?,
                Err(error) => {
                    conn.rollback().await;
                    return Err(error);
                }
            }
        }
        if dialect == Dialect::Postgres {
            conn.batch("SELECT pg_advisory_unlock(7166837415027)")
                .await?;
        }
        Ok(())
    }
}

/// Applies the migrations after the first `done`, in the transaction under way.
async fn apply(conn: &mut Conn, done: usize, blobs: Option<&Blobs>) -> Result<(), DbError> {
    let dialect = conn.dialect();
    let mut is_rebuilt = false;
    for (position, (name, text)) in MIGRATIONS.iter().enumerate().skip(done) {
        conn.batch(&dialect.migration(text)).await?;
        conn.execute(
            "INSERT INTO migrations (no, name, digest) VALUES ($1, $2, $3)",
            &[
                (position as u64 + 1).into(),
                Value::from(*name),
                Digest::of(text.as_bytes()).0[..].into(),
            ],
        )
        .await?;
        is_rebuilt |= REBUILT.contains(name);
    }
    // A new store has nothing to write anew.
    if is_rebuilt && done > 0 {
        if let Conn::Postgres(postgres) = conn {
            postgres.unlimited().await?;
        }
        tracing::info!("the store is brought up to date: its derived tables are written anew");
        crate::rebuild::replay_all(conn, blobs, &mut |_| {})
            .await
            .map_err(|error| match error {
                crate::admin::AdminError::Database(error) => error,
                other => DbError::Corrupt(other.to_string()),
            })?;
    }
    Ok(())
}

/// Has statements that run beyond `end` given up; without it they may take their time.
fn hurry(connection: &mut rusqlite::Connection, end: Option<Instant>) -> Result<(), DbError> {
    connection
        .progress_handler(
            STEPS_BETWEEN_LOOKS,
            end.map(|end| move || Instant::now() >= end),
        )
        .map_err(|error| Dialect::sqlite_error(&error))
}

/// The statement that makes the table of migrations.
pub(crate) fn migrations_table(dialect: Dialect) -> String {
    dialect.migration(
        "CREATE TABLE IF NOT EXISTS migrations (no {int} NOT NULL PRIMARY KEY, name {text} NOT NULL, digest {blob} NOT NULL){strict}",
    )
}

/// Opens the file with the pragmas all connections share.
pub(crate) fn open_sqlite(file: &Path, read_only: bool) -> Result<rusqlite::Connection, DbError> {
    use rusqlite::OpenFlags;
    let flags = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    let open = || -> rusqlite::Result<rusqlite::Connection> {
        let connection = rusqlite::Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(128);
        if !read_only {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "secure_delete", true)?;
        }
        // Plans never depend on bound values: no statement is prepared twice.
        connection.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
            true,
        )?;
        connection.pragma_update(None, "cache_size", -16_000)?;
        Ok(connection)
    };
    open().map_err(|error| Dialect::sqlite_error(&error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    const COUNT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT max(i) FROM n";

    #[tokio::test]
    async fn a_short_read_is_given_up_and_its_connection_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(Place::Sqlite {
            file: folder.path().join("db"),
        });
        database.migrate(None).await.unwrap();
        let ask = async |reader: &mut Reader, most: u64| {
            let row = reader.conn().query_one(COUNT, &[most.into()]).await?;
            row.unwrap().number(0)
        };
        for _ in 0..3 {
            let mut reader = database.read(Pace::Short).await.unwrap();
            assert_eq!(ask(&mut reader, 10).await, Ok(10));
            assert_eq!(ask(&mut reader, 1 << 40).await, Err(DbError::TooLong));
            assert!(reader.is_over());
            drop(reader);
            let mut reader = database.read(Pace::Long).await.unwrap();
            assert!(!reader.is_over());
            assert_eq!(ask(&mut reader, 100_000).await, Ok(100_000));
        }
        assert_eq!(database.pool.idle.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn short_reads_do_not_wait_for_long_ones() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(Place::Sqlite {
            file: folder.path().join("db"),
        });
        database.migrate(None).await.unwrap();
        let mut long = Vec::new();
        for _ in 0..LONG_READERS_MAX {
            long.push(database.read(Pace::Long).await.unwrap());
        }
        database.read(Pace::Short).await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(50), database.read(Pace::Long))
                .await
                .is_err()
        );
        long.pop();
        database.read(Pace::Long).await.unwrap();
    }
}
