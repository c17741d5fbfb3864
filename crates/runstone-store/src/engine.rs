//! The database behind the store: opening, migrating, connections for reading and writing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runstone_model::id::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blobs::Blobs;
use crate::conn::{Conn, Mode, Postgres};
use crate::dialect::Dialect;
use crate::value::{DbError, Value};

/// Read connections kept open; more readers wait.
const READERS_MAX: usize = 16;

/// Migrations, oldest first. A landed one is never changed: its hash is stored.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_record", include_str!("migrations/0001_record.sql")),
    ("0002_erasure", include_str!("migrations/0002_erasure.sql")),
];

/// Migrations after which the derived tables of a store with entries are written anew, in the
/// same transaction.
const REBUILT: &[&str] = &["0002_erasure"];

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) place: Place,
    pool: Arc<Pool>,
}

/// A file or a server.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Sqlite { file: PathBuf },
    Postgres { url: String },
}

struct Pool {
    idle: Mutex<Vec<Conn>>,
    permits: Arc<Semaphore>,
}

/// A pooled connection inside a read transaction.
pub(crate) struct Reader {
    conn: Option<Conn>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
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
                permits: Arc::new(Semaphore::new(READERS_MAX)),
            }),
        }
    }

    /// A connection for the writer or for administration.
    pub(crate) async fn connect_writer(&self) -> Result<Conn, DbError> {
        match &self.place {
            Place::Sqlite { file } => open_sqlite(file, false).map(Conn::Sqlite),
            Place::Postgres { url } => Postgres::connect(url).await.map(Conn::Postgres),
        }
    }

    /// A connection in a new read transaction.
    pub(crate) async fn read(&self) -> Result<Reader, DbError> {
        let permit = tokio::time::timeout(
            Duration::from_secs(10),
            Arc::clone(&self.pool.permits).acquire_owned(),
        )
        .await
        .map_err(|_| DbError::Unavailable("too many readers".to_owned()))?
        .map_err(|_| DbError::Unavailable("the store is closed".to_owned()))?;
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
                    return Ok(Reader {
                        conn: Some(conn),
                        pool: Arc::clone(&self.pool),
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
            connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                    row.get::<_, i64>(0)
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
