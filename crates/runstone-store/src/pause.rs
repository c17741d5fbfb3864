//! Backups and erasing keep out of each other's way (D17): what a backup has copied the name of is
//! not erased before it has copied the rest.
//!
//! A lock that ends with who holds it, so that a crash leaves nothing behind: of a file beside the
//! embedded store, of the session on PostgreSQL. Nothing else rests on it: a backup that misses a
//! body fails.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::admin::{AdminError, Places};
use crate::conn::{Conn, Postgres};
use crate::engine::Place;
use crate::value::DbError;

/// Number of the lock on PostgreSQL; any will do that nobody else takes.
const LOCK: &str = "7166837415028";
/// How long a backup waits for an erasure that is being committed, or for another backup.
const PATIENCE: Duration = Duration::from_secs(10);

fn open(database: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(database.with_extension("erasing"))
}

fn try_lock(file: &File, operation: FlockOperation) -> std::io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// While this is held, nothing is erased.
pub(crate) enum Pause {
    File { _lock: File },
    Session { _postgres: Box<Postgres> },
}

impl Pause {
    /// Waits for what is being erased just now.
    pub(crate) async fn begin(places: &Places) -> Result<Self, AdminError> {
        let end = Instant::now() + PATIENCE;
        match &places.place {
            Place::Sqlite { file } => {
                let lock = open(file).map_err(AdminError::file(file))?;
                while !try_lock(&lock, FlockOperation::NonBlockingLockExclusive)
                    .map_err(AdminError::file(file))?
                {
                    wait(end).await?;
                }
                Ok(Self::File { _lock: lock })
            }
            Place::Postgres { url } => {
                let postgres = Postgres::connect(url).await?;
                postgres.unlimited().await?;
                let mut conn = Conn::Postgres(postgres);
                while !ask(&mut conn, "pg_try_advisory_lock").await? {
                    wait(end).await?;
                }
                let Conn::Postgres(postgres) = conn else {
                    unreachable!("made above");
                };
                Ok(Self::Session {
                    _postgres: Box::new(postgres),
                })
            }
        }
    }
}

async fn wait(end: Instant) -> Result<(), AdminError> {
    if Instant::now() >= end {
        return Err(AdminError::Refused(
            "another backup of this store is being made".to_owned(),
        ));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(())
}

/// Calls a function of the lock that says yes or no.
async fn ask(conn: &mut Conn, function: &str) -> Result<bool, DbError> {
    conn.query_one(&format!("SELECT {function}({LOCK})::int::bigint"), &[])
        .await?
        .ok_or_else(|| DbError::Other(format!("{function} answers nothing")))?
        .flag(0)
}

/// While this is held, no backup begins.
pub(crate) enum Erasing {
    File { _lock: File },
    Session,
}

impl Erasing {
    /// None while a backup is being made.
    pub(crate) async fn begin(place: &Place, conn: &mut Conn) -> Result<Option<Self>, DbError> {
        match place {
            Place::Sqlite { file } => {
                let lock = open(file)
                    .and_then(|lock| {
                        let is_free = try_lock(&lock, FlockOperation::NonBlockingLockShared)?;
                        Ok(is_free.then_some(lock))
                    })
                    .map_err(|error| DbError::Other(format!("{}: {error}", file.display())))?;
                Ok(lock.map(|lock| Self::File { _lock: lock }))
            }
            Place::Postgres { .. } => {
                let is_free = ask(conn, "pg_try_advisory_lock_shared").await?;
                Ok(is_free.then_some(Self::Session))
            }
        }
    }

    /// The batch has ended.
    pub(crate) async fn end(self, conn: &mut Conn) -> Result<(), DbError> {
        match self {
            Self::File { .. } => Ok(()),
            // Also one that an earlier attempt at the batch took.
            Self::Session => conn.batch("SELECT pg_advisory_unlock_all()").await,
        }
    }
}
