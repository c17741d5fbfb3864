//! The store: journal, bodies and query tables on SQLite or PostgreSQL.
//!
//! Writes go through one [`Store::submit`] and are durable when it returns; reads happen inside
//! one transaction each. All SQL of Runstone is in this crate. It knows nothing of HTTP, wire
//! shapes or flags.

mod admin;
mod attached;
mod backup;
mod blobs;
mod bodies;
mod conn;
mod dialect;
mod engine;
mod erase;
mod fsck;
mod guard;
mod journal;
mod keys;
mod limits;
mod log;
mod pause;
mod queue;
mod read;
mod rebuild;
mod rows;
mod scan;
mod service;
mod table;
mod tls;
mod upload;
mod value;
mod version;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runstone_model::command::{Action, Command, FlowAction, Refusal, Reply};
use runstone_model::event::Attachment;
use runstone_model::fact::{EntryIndex, OrganizationNo};
use runstone_model::id::{Digest, Micros};
use tokio::sync::oneshot;

pub use crate::admin::{AdminError, Counts, EpochBegun, Exported, Progress, rebuild};
pub use crate::attached::AttachedFile;
pub use crate::backup::{BackupDone, Restored, backup, restore};
pub use crate::erase::{Closed, Erasable, ErasureDone, Wanted};
pub use crate::fsck::{Problem, Report, fsck};
pub use crate::limits::{LimitUsed, OrganizationLimits};
pub use crate::read::{
    Admission, AttestationFilter, Before, BuildFilter, Change, Covered, Decision, DecisionFilter,
    JournalBody, JournalEntry, Lineage, LogHead, LogKey, Read, ReadError, Stamp, StartFilter,
    TimelinePage, TimelineWindow, TrailFilter, TrailReports,
};
pub use crate::upload::Upload;
pub use crate::value::DbError;
pub use crate::version::Version;

use crate::admin::Places;
use crate::blobs::Blobs;
use crate::engine::{Database, Pace};
use crate::guard::{Guard, Guarded, Publisher};
use crate::keys::Secrets;
use crate::queue::{Job, Queue};
use crate::writer::{Counts as WriterCounts, Writer};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Micros;
}

/// A source of randomness.
pub trait Random: Send + Sync {
    /// Fills `bytes` with bytes nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Engine {
    /// A folder that one process owns.
    Sqlite {
        /// The folder; made when missing.
        directory: PathBuf,
    },
    /// A PostgreSQL database, shared by any number of servers.
    Postgres {
        /// `postgres://…`
        url: String,
    },
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Database.
    pub engine: Engine,
    /// Folder or service for large bodies; none = beside the SQLite file, which PostgreSQL lacks.
    pub blobs: Option<String>,
    /// Settings of that service and of the guard's (`aws_endpoint_url`, `aws_access_key_id`, …).
    pub blob_options: Vec<(String, String)>,
    /// File with the installation's secrets; none = in the folder of the SQLite file.
    pub key_file: Option<PathBuf>,
    /// Make the key file when it is missing.
    pub create_key_file: bool,
    /// Host name in the origins of new logs.
    pub host: String,
    /// Folder or service outside the data that guards checkpoints.
    pub guard: Option<String>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error("cannot use data directory {path}")]
    Directory {
        /// Folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process owns the folder.
    #[error("data directory {path} is in use by another process")]
    Locked {
        /// Folder.
        path: PathBuf,
    },
    /// The key file cannot be read or made.
    #[error("cannot use key file {path}")]
    KeyFile {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key file is damaged.
    #[error("key file {path} is damaged")]
    DamagedKeyFile {
        /// File.
        path: PathBuf,
    },
    /// The key file belongs to another store.
    #[error("key file {path} is not the one this store was made with")]
    ForeignKeyFile {
        /// File.
        path: PathBuf,
    },
    /// An option is missing.
    #[error("{0}")]
    Missing(&'static str),
    /// The blob store or guard cannot be opened.
    #[error("cannot open {url}: {reason}")]
    Url {
        /// Its URL, without anything secret.
        url: String,
        /// Why.
        reason: String,
    },
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A change that is stored for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Answer.
    pub reply: Reply,
    /// Its entries, none if nothing changed.
    pub entries: Vec<(OrganizationNo, EntryIndex)>,
}

/// A change that was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It is not allowed, or not possible.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much is waiting; try again.
    #[error("too many requests")]
    Busy {
        /// When.
        retry_after_seconds: u64,
    },
    /// Writes are not possible now.
    #[error("writes are not possible now: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
        /// When to try again.
        retry_after_seconds: u64,
    },
}

/// Counters since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct StoreMetrics {
    pub batches: u64,
    pub commands: u64,
    pub refusals: u64,
    pub entries: u64,
    pub retries: u64,
    pub failures: u64,
}

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    secrets: Secrets,
    blobs: Blobs,
    guarded: Arc<Guarded>,
    guard: Option<Guard>,
    publisher: Option<Arc<Publisher>>,
    /// The publisher's task ends with this.
    open: std::sync::Mutex<Option<tokio::sync::watch::Sender<()>>>,
    queue: Arc<Queue>,
    counts: Arc<WriterCounts>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    closed: AtomicBool,
    /// Ends when the writer has ended.
    writer_ended: tokio::sync::watch::Receiver<bool>,
    /// Given up when the store is closed.
    lock: std::sync::Mutex<Option<std::fs::File>>,
}

impl Store {
    /// Opens a store, makes it when it is new, and brings its schema up to date.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let places = Places::of(&options)?;
        let lock = places.folder.as_deref().map(lock_directory).transpose()?;
        let blobs = places.open_blobs(&options)?;
        let Places {
            place,
            folder,
            key_file,
            ..
        } = places;
        let database = Database::new(place);
        database.migrate(Some(&blobs)).await?;
        let secrets = Secrets::load(&key_file, options.create_key_file, &*options.random)?;
        check_secrets(&database, &secrets, &key_file).await?;
        let counts = Arc::new(WriterCounts::default());
        let queue = Arc::new(Queue::default());
        let mut writer = Writer::new(
            database.clone(),
            secrets.clone(),
            Arc::clone(&options.clock),
            Arc::clone(&options.random),
            blobs.clone(),
            options.host.clone(),
            Arc::clone(&counts),
        );
        writer.found().await?;
        // What a crash left of an erasure goes now.
        if let Err(error) = erase::remove_blobs(&database, &blobs).await {
            tracing::warn!(%error, "erased bodies lie in the blob store until the next start");
        }
        database.settle().await;
        let (swept, now) = (blobs.clone(), options.clock.now());
        tokio::spawn(async move {
            if let Err(error) = swept.sweep(now).await {
                tracing::warn!(%error, "unfinished files lie in the blob store until the next start");
            }
        });
        let guarded = Arc::new(Guarded::new(options.guard.is_some()));
        let guard = options
            .guard
            .as_ref()
            .map(|url| {
                Guard::open(url, &options.blob_options).map_err(|reason| OpenError::Url {
                    url: service::shown(url),
                    reason,
                })
            })
            .transpose()?;
        let (ended, writer_ended) = tokio::sync::watch::channel(false);
        let serving = Arc::clone(&queue);
        match options.engine {
            Engine::Sqlite { .. } => {
                let runtime = tokio::runtime::Handle::current();
                std::thread::Builder::new()
                    .name("runstone-writer".to_owned())
                    .spawn(move || {
                        runtime.block_on(writer.run(serving));
                        let _ = ended.send(true);
                    })
                    .map_err(|source| OpenError::Directory {
                        path: folder.unwrap_or_default(),
                        source,
                    })?;
            }
            Engine::Postgres { .. } => {
                tokio::spawn(async move {
                    writer.run(serving).await;
                    let _ = ended.send(true);
                });
            }
        }
        let (open, still_open) = tokio::sync::watch::channel(());
        let publisher = guard.clone().map(|guard| {
            Arc::new(Publisher::new(
                guard,
                Arc::clone(&guarded),
                database.clone(),
            ))
        });
        if let Some(publisher) = &publisher {
            if let Err(reason) = publisher.begin().await {
                queue.close();
                let url = options.guard.as_deref().map(service::shown);
                return Err(OpenError::Url {
                    url: url.unwrap_or_default(),
                    reason,
                });
            }
            tokio::spawn(Arc::clone(publisher).run(still_open));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                secrets,
                blobs,
                guarded,
                guard,
                publisher,
                open: std::sync::Mutex::new(Some(open)),
                queue,
                counts,
                clock: options.clock,
                random: options.random,
                closed: AtomicBool::new(false),
                writer_ended,
                lock: std::sync::Mutex::new(lock),
            }),
        })
    }

    /// Takes a file that an entry is to name, a piece at a time. A file that no entry comes to name
    /// stays there, harmless.
    pub fn upload(&self, organization: &str) -> Upload {
        let mut name = [0; 16];
        self.inner.random.fill(&mut name);
        Upload::new(self.inner.blobs.clone(), organization, name)
    }

    /// The bytes of a file that was uploaded, whole.
    pub async fn uploaded(
        &self,
        organization: &str,
        attachment: &Attachment,
    ) -> Result<Arc<[u8]>, DbError> {
        match &attachment.held {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None => attached::whole(&self.inner.blobs, organization, &attachment.digest).await,
        }
    }

    /// Has a command decided and stored; durable when it returns.
    pub async fn submit(&self, command: Command) -> Result<Done, SubmitError> {
        if let Some(reason) = self.inner.guarded.why_stopped() {
            return Err(SubmitError::Unavailable {
                reason,
                retry_after_seconds: 5,
            });
        }
        self.submit_past_guard(command).await
    }

    /// Why the checkpoint guard lets nothing be written; none if it does.
    pub fn stopped(&self) -> Option<String> {
        self.inner.guarded.why_stopped()
    }

    /// Brings the guard up to date without waiting for its next round.
    pub(crate) async fn guard_now(&self) {
        if let Some(publisher) = &self.inner.publisher {
            publisher.round().await;
        }
    }

    pub(crate) async fn submit_past_guard(&self, command: Command) -> Result<Done, SubmitError> {
        let bytes = weight(&command);
        let (answer, answered) = oneshot::channel();
        self.inner.queue.push(Job {
            command,
            bytes,
            answer,
        })?;
        answered.await.unwrap_or_else(|_| {
            Err(SubmitError::Unavailable {
                reason: "the writer has stopped".to_owned(),
                retry_after_seconds: 5,
            })
        })
    }

    /// A read transaction, which its first question begins.
    pub async fn read(&self) -> Result<Read, ReadError> {
        self.read_at(Pace::Long)
    }

    /// The same for an attempt on a thread that serves others too: where the embedded store
    /// needs more than 2 ms or many rows, it fails with [`DbError::TooLong`] and may be done again
    /// with [`Store::read`] on a thread that may block (D14).
    pub fn read_shortly(&self) -> Result<Read, ReadError> {
        self.read_at(Pace::Short)
    }

    fn read_at(&self, pace: Pace) -> Result<Read, ReadError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(DbError::Unavailable("the store is closed".to_owned()));
        }
        Ok(Read::new(
            self.inner.database.clone(),
            pace,
            self.inner.blobs.clone(),
            Arc::clone(&self.inner.guarded),
        ))
    }

    /// Whether nothing has been committed since a state, see [`Read::version`].
    pub fn is_current(&self, version: Version) -> bool {
        self.inner.database.commits.is_current(version)
    }

    /// What is stored of an API key.
    pub fn verifier(&self, key: &str) -> Digest {
        self.inner.secrets.verifier(key)
    }

    /// The same, from the SHA-256 of the key.
    pub fn verifier_of_sha256(&self, key_sha256: &[u8; 32]) -> Digest {
        self.inner.secrets.verifier_of_sha256(key_sha256)
    }

    /// The store's clock.
    pub fn now(&self) -> Micros {
        self.inner.clock.now()
    }

    /// Fills `bytes` from the store's randomness.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.inner.random.fill(bytes);
    }

    /// Random bytes for a command.
    pub fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        self.inner.random.fill(&mut salt);
        salt
    }

    /// Whether the store can be read and its clock is near the database's; else why not.
    pub async fn ready(&self) -> Result<(), String> {
        let mut read = self.read().await.map_err(|error| error.to_string())?;
        let conn = read.conn().await.map_err(|error| error.to_string())?;
        if matches!(conn, conn::Conn::Postgres(_)) {
            let row = conn
                .query_one(
                    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
                    &[],
                )
                .await
                .map_err(|error| error.to_string())?
                .ok_or("no clock")?;
            let apart = row.int(0).map_err(|error| error.to_string())? - self.now().0;
            if apart.abs() > 5 * Micros::SECOND {
                return Err(format!(
                    "this server's clock is {} s away from the database's",
                    apart / Micros::SECOND
                ));
            }
        }
        conn.query_one("SELECT size FROM heads WHERE organization = 0", &[])
            .await
            .map_err(|error| error.to_string())?
            .ok_or("the store is empty")?;
        Ok(())
    }

    /// Takes no more commands, finishes those that wait, and lets go of everything.
    pub async fn close(&self) {
        self.inner.queue.close();
        let mut ended = self.inner.writer_ended.clone();
        let _ = ended.wait_for(|ended| *ended).await;
        self.inner
            .open
            .lock()
            .expect("nobody panics while holding it")
            .take();
        if tokio::time::timeout(std::time::Duration::from_secs(2), self.guard_now())
            .await
            .is_err()
        {
            tracing::warn!("the checkpoint guard did not take the last checkpoints");
        }
        self.inner.closed.store(true, Ordering::Release);
        self.inner.database.close();
        self.inner.database.settle().await;
        self.inner
            .lock
            .lock()
            .expect("nobody panics while holding it")
            .take();
    }

    /// Counters.
    pub fn metrics(&self) -> StoreMetrics {
        let counts = &self.inner.counts;
        let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        StoreMetrics {
            batches: read(&counts.batches),
            commands: read(&counts.commands),
            refusals: read(&counts.refusals),
            entries: read(&counts.entries),
            retries: read(&counts.retries),
            failures: read(&counts.failures),
        }
    }
}

fn lock_directory(directory: &std::path::Path) -> Result<std::fs::File, OpenError> {
    let fail = |source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    };
    // What is in it is for its owner only: verifiers of keys, and people's texts.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(fail)?;
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))
        .map_err(fail)?;
    match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked {
            path: directory.to_owned(),
        }),
        Err(error) => Err(fail(error.into())),
    }
}

/// The store remembers which key file it was made with.
async fn check_secrets(
    database: &Database,
    secrets: &Secrets,
    path: &std::path::Path,
) -> Result<(), OpenError> {
    let mut conn = database.connect_writer().await?;
    let check = secrets.check_value();
    let known = conn
        .query_one(
            "SELECT value FROM meta WHERE name = $1",
            &["key-check".into()],
        )
        .await?;
    match known {
        Some(row) if *row.blob(0)? == check[..] => Ok(()),
        Some(_) => Err(OpenError::ForeignKeyFile {
            path: path.to_owned(),
        }),
        None => {
            conn.put(&table::META, &[vec!["key-check".into(), check[..].into()]])
                .await?;
            Ok(())
        }
    }
}

/// Bytes a command takes in a batch, roughly.
fn weight(command: &Command) -> usize {
    match &command.action {
        Action::RecordReport(report) => {
            256 + report
                .report
                .artifacts
                .iter()
                .map(|observed| 96 + observed.name.len() + observed.detail.as_bytes().len())
                .sum::<usize>()
        }
        Action::Flow(FlowAction::Attest(attest)) => {
            let held = attest
                .attachment
                .as_ref()
                .and_then(|file| file.held.as_ref());
            512 + attest.content.len() + held.map_or(0, |held| held.len())
        }
        _ => 512,
    }
}
