//! Administration: what `runstone admin` does with a store, each a function of the options that
//! open it (D17).
//!
//! Nothing here prints; progress and results are values.

use std::path::{Path, PathBuf};

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::tile::{TILE_WIDTH, TileKind, TilePath, all_tiles};
use runstone_model::command::{Action, Caller, Command};
use runstone_model::fact::SERVER;
use runstone_model::id::{Digest, encode_hex};

use crate::blobs::Blobs;
use crate::conn::Conn;
use crate::engine::{Database, Place, open_sqlite};
use crate::keys::Secrets;
use crate::value::DbError;
use crate::{Done, Engine, OpenError, Options, Store, SubmitError};

/// How far a long task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is counted: `entries`, `rows`, `blobs`, `files`.
    pub what: &'static str,
    /// So many are done.
    pub done: u64,
    /// Of so many; 0 when that is not known.
    pub total: u64,
}

/// What a task went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Logs, the server's included.
    pub logs: u64,
    /// Entries.
    pub entries: u64,
    /// Bodies.
    pub bodies: u64,
    /// Full tiles of hashes.
    pub tiles: u64,
    /// Rows of derived tables.
    pub rows: u64,
}

/// An administrative task failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A service outside says no.
    #[error("{0}")]
    Service(String),
    /// It would destroy or mix something.
    #[error("{0}")]
    Refused(String),
    /// What should be read is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl AdminError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// An epoch that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochBegun {
    /// Name of the organization; `_server` for the server's log.
    pub organization: String,
    /// Origin of the epoch that ended.
    pub old_origin: String,
    /// Origin of the new one.
    pub new_origin: String,
    /// Size continued from.
    pub size: u64,
    /// Size of the highest checkpoint of the old origin known to be signed.
    pub signed_size: u64,
}

/// A log was written to a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its origin.
    pub origin: String,
    /// Its size.
    pub size: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Where things are, by the options.
pub(crate) struct Places {
    pub(crate) place: Place,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) key_file: PathBuf,
    pub(crate) blobs: String,
}

impl Places {
    pub(crate) fn of(options: &Options) -> Result<Self, OpenError> {
        let (place, folder) = match &options.engine {
            Engine::Sqlite { directory } => (
                Place::Sqlite {
                    file: directory.join("runstone.db"),
                },
                Some(directory.clone()),
            ),
            Engine::Postgres { url } => (Place::Postgres { url: url.clone() }, None),
        };
        let key_file = options
            .key_file
            .clone()
            .or_else(|| folder.as_ref().map(|folder| folder.join("keys")))
            .ok_or(OpenError::Missing(
                "PostgreSQL needs --key-file, shared by all servers of the database",
            ))?;
        let blobs = options
            .blobs
            .clone()
            .or_else(|| {
                folder
                    .as_ref()
                    .map(|folder| folder.join("blobs").display().to_string())
            })
            .ok_or(OpenError::Missing(
                "PostgreSQL needs --blobs-url, shared by all servers of the database",
            ))?;
        Ok(Self {
            place,
            folder,
            key_file,
            blobs,
        })
    }

    pub(crate) fn open_blobs(&self, options: &Options) -> Result<Blobs, OpenError> {
        Blobs::open(&self.blobs, &options.blob_options).map_err(|reason| OpenError::Url {
            url: crate::service::shown(&self.blobs),
            reason,
        })
    }

    /// A connection that only reads, without bringing the schema up to date.
    pub(crate) async fn connect_reader(&self) -> Result<Conn, AdminError> {
        match &self.place {
            Place::Sqlite { file } => {
                std::fs::metadata(file).map_err(AdminError::file(file))?;
                Ok(Conn::Sqlite(open_sqlite(file, true)?))
            }
            Place::Postgres { url } => {
                let postgres = crate::conn::Postgres::connect(url).await?;
                postgres.unlimited().await?;
                Ok(Conn::Postgres(postgres))
            }
        }
    }
}

/// Writes the derived tables anew from journal and bodies, in one transaction. No server may run
/// on the data directory; servers on PostgreSQL wait, and must be restarted if the tables were
/// damaged.
pub async fn rebuild(
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Counts, AdminError> {
    let places = Places::of(options)?;
    let _lock = places
        .folder
        .as_deref()
        .map(crate::lock_directory)
        .transpose()?;
    if let Place::Sqlite { file } = &places.place {
        std::fs::metadata(file).map_err(AdminError::file(file))?;
    }
    let blobs = places.open_blobs(options)?;
    let database = Database::new(places.place.clone());
    database.migrate(Some(&blobs)).await?;
    let secrets = Secrets::load(&places.key_file, false, &*options.random)?;
    crate::check_secrets(&database, &secrets, &places.key_file).await?;
    let mut conn = database.connect_writer().await?;
    let counts = crate::rebuild::rebuild(&mut conn, Some(&blobs), progress).await?;
    if let Conn::Sqlite(_) = conn {
        conn.query("PRAGMA wal_checkpoint(TRUNCATE)", &[]).await?;
    }
    Ok(counts)
}

impl Store {
    pub(crate) fn salted(&self, organization: &str, action: Action) -> Command {
        Command {
            caller: Caller::System("admin"),
            organization: organization.to_owned(),
            action,
            salt: self.salt(),
        }
    }

    /// Brings a new signing key of a log into use; the old one signs along for 30 days. The
    /// server's own log has the empty name.
    pub async fn rotate_key(&self, organization: &str) -> Result<Done, SubmitError> {
        let generation = self
            .next_generation(organization)
            .await
            .map_err(unavailable)?;
        self.submit(self.salted(organization, Action::RotateKey { generation }))
            .await
    }

    async fn next_generation(&self, organization: &str) -> Result<u32, DbError> {
        let name = log_name(organization);
        let mut read = self.read().await?;
        let row = read
            .conn()
            .await?
            .query_one(
                "SELECT max(k.generation) FROM log_keys k JOIN heads h ON h.organization = k.organization WHERE h.name = $1 AND k.origin = h.origin",
                &[name.into()],
            )
            .await?;
        // Without a log the command is refused with the right words.
        Ok(row
            .and_then(|row| row.optional_int(0).ok().flatten())
            .map_or(0, |last| last as u32 + 1))
    }

    /// Begins a new epoch (D6): of one log (the server's has the empty name), or of those the
    /// guard stopped, or of all when it stopped none.
    pub async fn new_epoch(
        &self,
        organization: Option<&str>,
        reason: &str,
    ) -> Result<Vec<EpochBegun>, SubmitError> {
        let stopped = self.inner.guarded.stopped_logs();
        let heads = self.heads().await.map_err(unavailable)?;
        let mut begun = Vec::new();
        for (no, name, origin, size) in heads {
            let wanted = match organization {
                Some(asked) => log_name(asked) == name,
                None => stopped.is_empty() || stopped.contains_key(&origin),
            };
            if !wanted {
                continue;
            }
            let mut epoch = [0; 4];
            self.fill_random(&mut epoch);
            let epoch = encode_hex(&epoch);
            let signed_size =
                match &self.inner.guard {
                    Some(guard) => guard.signed_size(&origin).await.map_err(|reason| {
                        SubmitError::Unavailable {
                            reason: format!("the checkpoint guard cannot be reached: {reason}"),
                            retry_after_seconds: 5,
                        }
                    })?,
                    None => 0,
                }
                .max(size);
            self.submit_past_guard(self.salted(
                if no == SERVER { "" } else { &name },
                Action::BeginEpoch {
                    epoch: epoch.clone(),
                    // The writer puts what holds when the entry is placed.
                    origin: origin.clone(),
                    size,
                    root: Digest([0; 32]),
                    signed_size,
                    reason: reason.to_owned(),
                },
            ))
            .await?;
            let prefix = origin
                .rsplit_once('/')
                .map_or(origin.as_str(), |(prefix, _)| prefix);
            begun.push(EpochBegun {
                organization: name,
                new_origin: format!("{prefix}/{epoch}"),
                old_origin: origin,
                size,
                signed_size,
            });
        }
        if begun.is_empty()
            && let Some(name) = organization
        {
            return Err(SubmitError::Refused(
                runstone_model::command::Refusal::OrganizationMissing {
                    name: name.to_owned(),
                },
            ));
        }
        // What stopped writes is past; this clears it without waiting for the next round.
        self.guard_now().await;
        Ok(begun)
    }

    async fn heads(
        &self,
    ) -> Result<Vec<(runstone_model::fact::OrganizationNo, String, String, u64)>, DbError> {
        let mut read = self.read().await?;
        read.conn()
            .await?
            .query(
                "SELECT organization, name, origin, size FROM heads ORDER BY organization",
                &[],
            )
            .await?
            .iter()
            .map(|row| {
                Ok((
                    runstone_model::fact::OrganizationNo(row.ordinal(0)?),
                    row.text(1)?.to_owned(),
                    row.text(2)?.to_owned(),
                    row.number(3)?,
                ))
            })
            .collect()
    }

    /// Replaces the rows of all complete bundles by sealed ones; returns how many were sealed.
    pub async fn seal_all(&self) -> Result<u64, DbError> {
        let mut conn = self.inner.database.connect_writer().await?;
        let mut sealed = 0;
        for (organization, _, _, size) in self.heads().await? {
            for n in 0..size / TILE_WIDTH {
                let rows = conn
                    .query(
                        "SELECT n FROM bundles WHERE organization = $1 AND n = $2",
                        &[organization.0.into(), n.into()],
                    )
                    .await?;
                if rows.is_empty() {
                    crate::writer::seal_bundles(&mut conn, organization, n..n + 1).await?;
                    sealed += 1;
                }
            }
        }
        Ok(sealed)
    }

    /// Writes a log to an empty or new folder for offline verification: `checkpoint`, `keys`
    /// (per line the verifier key, the first size it signs and the last, `-` while it still
    /// signs), `tile/…`, `tile/entries/…`, and `epochs/<digits>/checkpoint` of ended epochs, whose
    /// last partial tiles are there, too. The server's own log is `_server`.
    pub async fn export(
        &self,
        organization: &str,
        directory: &Path,
    ) -> Result<Exported, AdminError> {
        let name = log_name(organization);
        make_empty(directory)?;
        let mut read = self.read().await?;
        let row = read
            .conn()
            .await?
            .query_one(
                "SELECT organization FROM heads WHERE name = $1",
                &[name.into()],
            )
            .await?
            .ok_or_else(|| {
                AdminError::Refused(format!("organization '{organization}' does not exist"))
            })?;
        let no = runstone_model::fact::OrganizationNo(row.ordinal(0)?);
        let missing = || DbError::Corrupt(format!("the log of {name} is missing"));
        let head = read.log(no, None).await?.ok_or_else(missing)?;
        let mut exported = Exported {
            origin: head.origin.clone(),
            size: head.size,
            files: 0,
            bytes: 0,
        };
        let mut write = |path: &str, bytes: &[u8]| -> Result<(), AdminError> {
            write_file(&directory.join(path), bytes)?;
            exported.files += 1;
            exported.bytes += bytes.len() as u64;
            Ok(())
        };
        for tile in all_tiles(head.size) {
            let bytes = read_tile(&mut read, no, head.size, &tile).await?;
            let bytes = bytes.ok_or_else(missing)?;
            write(&TilePath::to_string(&tile), &bytes)?;
        }
        let mut keys = String::new();
        for key in &head.keys {
            let to = key
                .to_size
                .map_or_else(|| "-".to_owned(), |size| size.to_string());
            keys.extend([&key.vkey, " ", &key.from_size.to_string(), " ", &to, "\n"]);
        }
        write("keys", keys.as_bytes())?;
        for (epoch, _, to) in &head.epochs {
            if to.is_some()
                && let Some(ended) = read.log(no, Some(epoch)).await?
            {
                write(&format!("epochs/{epoch}/checkpoint"), ended.note.as_bytes())?;
                // Where the tree has not outgrown a tile, only this tells the tree of then.
                for tile in all_tiles(ended.size) {
                    if tile.partial.is_none() || tile.to_full().is_within(head.size) {
                        continue;
                    }
                    let path = TilePath::to_string(&tile);
                    if directory.join(&path).exists() {
                        continue;
                    }
                    let bytes = read_tile(&mut read, no, head.size, &tile).await?;
                    write(&path, &bytes.ok_or_else(missing)?)?;
                }
            }
        }
        // Last, so that a folder with a checkpoint is whole.
        write("checkpoint", head.note.as_bytes())?;
        Ok(exported)
    }
}

/// The bytes of a tile or bundle of a log of a size.
async fn read_tile(
    read: &mut crate::Read,
    organization: runstone_model::fact::OrganizationNo,
    size: u64,
    tile: &TilePath,
) -> Result<Option<Vec<u8>>, DbError> {
    let width = tile.partial.map(std::num::NonZeroU8::get);
    match tile.kind {
        TileKind::Entries => read.bundle(organization, size, tile.index, width).await,
        TileKind::Hashes(level) => {
            read.tile(organization, size, level, tile.index, width)
                .await
        }
    }
}

pub(crate) fn unavailable(error: DbError) -> SubmitError {
    SubmitError::Unavailable {
        reason: error.to_string(),
        retry_after_seconds: 5,
    }
}

/// Name of the log of an organization: the server's own may be given as the empty name.
fn log_name(organization: &str) -> &str {
    if organization.is_empty() {
        runstone_model::fact::SERVER_NAME
    } else {
        organization
    }
}

/// Origin, size and root of a signed checkpoint, its signatures unchecked.
pub(crate) fn checkpoint_of(note: &str) -> Result<Checkpoint, String> {
    let note =
        runstone_journal::note::Note::parse(note.as_bytes()).map_err(|error| error.to_string())?;
    Checkpoint::parse(note.text()).map_err(|error| error.to_string())
}

/// Makes a folder, or accepts one without content.
pub(crate) fn make_empty(directory: &Path) -> Result<(), AdminError> {
    std::fs::create_dir_all(directory).map_err(AdminError::file(directory))?;
    let mut content = std::fs::read_dir(directory).map_err(AdminError::file(directory))?;
    if content.next().is_some() {
        return Err(AdminError::Refused(format!(
            "{} is not empty",
            directory.display()
        )));
    }
    Ok(())
}

/// Writes a file that is durable when this returns; its folders are made.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), AdminError> {
    use std::io::Write as _;
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(AdminError::file(path))
}
