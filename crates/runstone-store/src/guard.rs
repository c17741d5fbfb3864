//! The checkpoint guard: a record outside the data of how far each log was signed (D5, D6).
//!
//! A folder or object store that a restored backup does not bring back. It is advanced by
//! compare-and-swap; a log serves only what it holds. A guard ahead of or beside a log stops
//! writes until a new epoch says why.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use object_store::{
    ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion, path::Path,
};
use runstone_journal::note::Note;
use runstone_journal::proof::ProofPlan;
use runstone_journal::tile::TILE_WIDTH;
use runstone_model::fact::OrganizationNo;
use runstone_model::id::Digest;

use crate::engine::{Database, Pace};
use crate::service::Service;
use crate::value::DbError;

/// How often the guard is brought up to date; design D5 asks for at least every 500 ms.
const ROUND: Duration = Duration::from_millis(250);
/// How long opening a store waits for the guard.
const OPENING: Duration = Duration::from_secs(5);
/// How often an advance is tried against other servers in one round.
const RACES_MAX: u32 = 8;

/// Sizes and notes the guard is known to hold, by origin. Without a guard everything counts as
/// held.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    configured: bool,
    held: RwLock<HashMap<String, (u64, String)>>,
    /// Logs, by origin, that the guard is ahead of or beside, and how.
    stopped: RwLock<BTreeMap<String, String>>,
    /// Why the guard was never reached; none once every log was compared with it.
    unknown: RwLock<Option<String>>,
}

impl Guarded {
    pub(crate) fn new(configured: bool) -> Self {
        Self {
            configured,
            held: RwLock::default(),
            stopped: RwLock::default(),
            unknown: RwLock::new(configured.then(|| "it was not asked yet".to_owned())),
        }
    }

    /// Why nothing may be written; none if it may.
    pub(crate) fn why_stopped(&self) -> Option<String> {
        if !self.configured {
            return None;
        }
        let stopped = self
            .stopped
            .read()
            .expect("the guard's lock is never poisoned");
        if !stopped.is_empty() {
            let logs: Vec<&str> = stopped.values().map(String::as_str).collect();
            return Some(format!(
                "{}; to go on from what is here run `runstone admin new-epoch --reason TEXT`",
                logs.join("; ")
            ));
        }
        self.unknown
            .read()
            .expect("the guard's lock is never poisoned")
            .as_ref()
            .map(|reason| format!("the checkpoint guard cannot be reached: {reason}"))
    }

    /// Origins of the logs that the guard is ahead of or beside, and how.
    pub(crate) fn stopped_logs(&self) -> BTreeMap<String, String> {
        self.stopped
            .read()
            .expect("the guard's lock is never poisoned")
            .clone()
    }

    /// What the guard holds of a log: none without a guard, size 0 before the first time.
    pub(crate) fn of(&self, origin: &str) -> Option<(u64, String)> {
        if !self.configured {
            return None;
        }
        Some(
            self.held
                .read()
                .expect("the guard's lock is never poisoned")
                .get(origin)
                .cloned()
                .unwrap_or_default(),
        )
    }

    pub(crate) fn hold(&self, origin: &str, size: u64, note: String) {
        self.held
            .write()
            .expect("the guard's lock is never poisoned")
            .insert(origin.to_owned(), (size, note));
    }
}

/// The guard's store. Folders have no conditional update: a lock file stands in for it.
#[derive(Clone)]
pub(crate) struct Guard {
    service: Service,
}

/// What the guard says of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is held yet.
    New,
    /// This size and root are held.
    Held {
        size: u64,
        root: [u8; 32],
        note: String,
        version: Option<String>,
    },
}

impl Guard {
    /// Opens a folder or a service with its settings.
    pub(crate) fn open(url: &str, options: &[(String, String)]) -> Result<Self, String> {
        Service::open(url, options).map(|service| Self { service })
    }

    /// One record per origin, named by its hash, as witnesses do.
    fn path(&self, origin: &str) -> Path {
        self.service
            .prefix
            .clone()
            .join(Digest::of(origin.as_bytes()).to_hex().as_str())
    }

    /// What is held of a log.
    pub(crate) async fn standing(&self, origin: &str) -> Result<Standing, String> {
        match self.service.store.get(&self.path(origin)).await {
            Ok(found) => {
                let version = found.meta.e_tag.clone();
                let bytes = found
                    .bytes()
                    .await
                    .map_err(|error| self.service.told(&error))?;
                let damaged = |error: String| format!("the guard's record of {origin}: {error}");
                let note = Note::parse(&bytes).map_err(|error| damaged(error.to_string()))?;
                let checkpoint = runstone_journal::checkpoint::Checkpoint::parse(note.text())
                    .map_err(|error| damaged(error.to_string()))?;
                Ok(Standing::Held {
                    size: checkpoint.size,
                    root: checkpoint.root,
                    note: String::from_utf8_lossy(&bytes).into_owned(),
                    version,
                })
            }
            Err(error) if Service::is_missing(&error) => Ok(Standing::New),
            Err(error) => Err(self.service.told(&error)),
        }
    }

    /// Size of the checkpoint held of a log; 0 if none is.
    pub(crate) async fn signed_size(&self, origin: &str) -> Result<u64, String> {
        Ok(match self.standing(origin).await? {
            Standing::New => 0,
            Standing::Held { size, .. } => size,
        })
    }

    /// Moves the record from `standing` to `note`; false when another was faster.
    pub(crate) async fn advance(
        &self,
        origin: &str,
        standing: &Standing,
        note: &str,
    ) -> Result<bool, String> {
        let path = self.path(origin);
        if let Some(folder) = &self.service.folder {
            return advance_file(&folder.join(path.as_ref()), standing, note)
                .map_err(|error| error.to_string());
        }
        let mode = match standing {
            Standing::New => PutMode::Create,
            Standing::Held { version, .. } => PutMode::Update(UpdateVersion {
                e_tag: version.clone(),
                version: None,
            }),
        };
        match self
            .service
            .store
            .put_opts(
                &path,
                PutPayload::from(note.as_bytes().to_vec()),
                PutOptions::from(mode),
            )
            .await
        {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(self.service.told(&error)),
        }
    }
}

/// Name of the record that only shows whether conditional writes are honoured.
const CONDITIONS: &str = "conditions";

/// What can be said of a service's conditional writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// They are honoured.
    Honoured,
    /// They are not, and which: two servers, or an older copy of this one, could overwrite what
    /// the guard holds.
    Ignored(&'static str),
}

impl Guard {
    /// Whether what should be refused is refused: without that a guard guards nothing. Leaves a
    /// small object beside the records.
    pub(crate) async fn conditions(&self) -> Result<Conditions, String> {
        if self.service.folder.is_some() {
            return Ok(Conditions::Honoured);
        }
        let path = self.service.prefix.clone().join(CONDITIONS);
        let put = async |mode: PutMode| {
            let text = "Runstone writes here to see whether conditional writes are honoured.\n";
            let options = PutOptions::from(mode);
            match self
                .service
                .store
                .put_opts(&path, PutPayload::from_static(text.as_bytes()), options)
                .await
            {
                Ok(_) => Ok(true),
                Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) => Ok(false),
                Err(error) => Err(self.service.told(&error)),
            }
        };
        // After this it is there, made now or before.
        put(PutMode::Create).await?;
        if put(PutMode::Create).await? {
            return Ok(Conditions::Ignored("If-None-Match"));
        }
        let nobodys = UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: None,
        };
        if put(PutMode::Update(nobodys)).await? {
            return Ok(Conditions::Ignored("If-Match"));
        }
        Ok(Conditions::Honoured)
    }
}

/// A head as it is published.
struct Published {
    organization: OrganizationNo,
    origin: String,
    size: u64,
    root: [u8; 32],
    note: String,
}

/// Brings the guard up to date with what was committed, and stops writes where they contradict.
pub(crate) struct Publisher {
    guard: Guard,
    guarded: Arc<Guarded>,
    database: Database,
    /// One round at a time; true once the service was seen to honour conditional writes.
    turn: tokio::sync::Mutex<bool>,
}

impl Publisher {
    pub(crate) fn new(guard: Guard, guarded: Arc<Guarded>, database: Database) -> Self {
        Self {
            guard,
            guarded,
            database,
            turn: tokio::sync::Mutex::new(false),
        }
    }

    /// The first round: a guard that does not answer keeps writes off until it does. Says why, if
    /// the service can be no guard at all.
    pub(crate) async fn begin(&self) -> Result<(), String> {
        let first = async {
            match self.guard.conditions().await {
                Ok(Conditions::Honoured) => self.round().await,
                Ok(Conditions::Ignored(condition)) => return Err(unfit(condition)),
                Err(reason) => {
                    tracing::warn!(%reason, "the checkpoint guard could not be asked");
                    self.note_unknown(reason);
                }
            }
            Ok(())
        };
        if let Ok(begun) = tokio::time::timeout(OPENING, first).await {
            return begun;
        }
        self.note_unknown("it does not answer".to_owned());
        Ok(())
    }

    /// Goes round until `open` is gone.
    pub(crate) async fn run(self: Arc<Self>, mut open: tokio::sync::watch::Receiver<()>) {
        loop {
            tokio::select! {
                changed = open.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(ROUND) => self.round().await,
            }
        }
    }

    fn note_unknown(&self, reason: String) {
        let mut unknown = self
            .guarded
            .unknown
            .write()
            .expect("the guard's lock is never poisoned");
        // Once compared, an absent guard only holds back what is served.
        if unknown.is_some() {
            *unknown = Some(reason);
        }
    }

    /// Compares every log that moved with the guard and advances it.
    pub(crate) async fn round(&self) {
        let mut is_fit = self.turn.lock().await;
        let compared = async {
            if !*is_fit {
                // One that did not answer when the store was opened was not asked yet.
                if let Conditions::Ignored(condition) = self.guard.conditions().await? {
                    return Err(unfit(condition));
                }
                *is_fit = true;
            }
            self.compare_all().await
        };
        match compared.await {
            Ok(()) => {
                *self
                    .guarded
                    .unknown
                    .write()
                    .expect("the guard's lock is never poisoned") = None;
            }
            Err(reason) => {
                tracing::warn!(%reason, "the checkpoint guard could not be advanced");
                self.note_unknown(reason);
            }
        }
    }

    async fn compare_all(&self) -> Result<(), String> {
        let (heads, ended) = self.published().await.map_err(|error| error.to_string())?;
        let stopped = self.guarded.stopped_logs();
        for head in &heads {
            let held = self.guarded.of(&head.origin).unwrap_or_default();
            if held.1 != head.note || held.0 != head.size || stopped.contains_key(&head.origin) {
                self.advance(head.organization, &head.origin).await?;
            }
        }
        for epoch in &ended {
            if self.guarded.of(&epoch.origin).unwrap_or_default().1 != epoch.note {
                self.settle(epoch).await?;
            }
        }
        // A log that began a new epoch is no longer stopped by what was signed in the old one.
        self.guarded
            .stopped
            .write()
            .expect("the guard's lock is never poisoned")
            .retain(|origin, _| heads.iter().any(|head| head.origin == *origin));
        Ok(())
    }

    /// All heads, and the last checkpoints of ended epochs.
    async fn published(&self) -> Result<(Vec<Published>, Vec<Published>), DbError> {
        let mut reader = self.database.read(Pace::Long).await?;
        let conn = reader.conn();
        let mut heads = Vec::new();
        for row in conn
            .query(
                "SELECT organization, origin, size, root, note FROM heads ORDER BY organization",
                &[],
            )
            .await?
        {
            heads.push(Published {
                organization: OrganizationNo(row.ordinal(0)?),
                origin: row.text(1)?.to_owned(),
                size: row.number(2)?,
                root: row.sha256(3)?,
                note: row.text(4)?.to_owned(),
            });
        }
        let mut ended = Vec::new();
        for row in conn
            .query(
                "SELECT organization, origin, to_size, note FROM epochs WHERE to_size IS NOT NULL ORDER BY organization, from_size",
                &[],
            )
            .await?
        {
            let checkpoint =
                crate::admin::checkpoint_of(row.text(3)?).map_err(DbError::Corrupt)?;
            ended.push(Published {
                organization: OrganizationNo(row.ordinal(0)?),
                origin: row.text(1)?.to_owned(),
                size: row.number(2)?,
                root: checkpoint.root,
                note: row.text(3)?.to_owned(),
            });
        }
        Ok((heads, ended))
    }

    /// Compares a log with the guard, then advances the guard to it.
    async fn advance(&self, organization: OrganizationNo, origin: &str) -> Result<(), String> {
        for _ in 0..RACES_MAX {
            // The guard first: what it holds was committed, so that a head read after it is at
            // least as large, unless the log was rolled back.
            let standing = self.guard.standing(origin).await?;
            let mut reader = self
                .database
                .read(Pace::Long)
                .await
                .map_err(|error| error.to_string())?;
            let conn = reader.conn();
            let row = conn
                .query_one(
                    "SELECT origin, size, root, note FROM heads WHERE organization = $1",
                    &[organization.0.into()],
                )
                .await
                .map_err(|error| error.to_string())?
                .ok_or("a log is missing")?;
            let ours = (|| {
                Ok::<_, DbError>(Published {
                    organization,
                    origin: row.text(0)?.to_owned(),
                    size: row.number(1)?,
                    root: row.sha256(2)?,
                    note: row.text(3)?.to_owned(),
                })
            })()
            .map_err(|error| error.to_string())?;
            if ours.origin != origin {
                return Ok(());
            }
            if let Standing::Held { size, root, .. } = &standing {
                if *size > ours.size {
                    self.stop(
                        origin,
                        format!(
                            "the checkpoint guard holds size {size} of {origin}, and this store has {} entries: it was rolled back",
                            ours.size
                        ),
                    );
                    return Ok(());
                }
                let same = if *size == ours.size {
                    ours.root
                } else {
                    root_at(conn, organization, *size, ours.size)
                        .await
                        .map_err(|error| error.to_string())?
                };
                if same != *root {
                    self.stop(
                        origin,
                        format!(
                            "the checkpoint guard holds another history of {origin} at size {size}: the log was forked"
                        ),
                    );
                    return Ok(());
                }
            }
            drop(reader);
            self.guarded
                .stopped
                .write()
                .expect("the guard's lock is never poisoned")
                .remove(origin);
            let there = matches!(&standing, Standing::Held { size, .. } if *size == ours.size);
            if there || self.guard.advance(origin, &standing, &ours.note).await? {
                self.guarded.hold(origin, ours.size, ours.note);
                return Ok(());
            }
        }
        // Other servers were faster each time; the next round sees what they made.
        Ok(())
    }

    /// An ended epoch is served to its end; the guard follows where it is behind.
    async fn settle(&self, epoch: &Published) -> Result<(), String> {
        let standing = self.guard.standing(&epoch.origin).await?;
        let behind = match &standing {
            Standing::New => true,
            Standing::Held { size, .. } => *size < epoch.size,
        };
        if !behind
            || self
                .guard
                .advance(&epoch.origin, &standing, &epoch.note)
                .await?
        {
            self.guarded
                .hold(&epoch.origin, epoch.size, epoch.note.clone());
        }
        Ok(())
    }

    fn stop(&self, origin: &str, reason: String) {
        let mut stopped = self
            .guarded
            .stopped
            .write()
            .expect("the guard's lock is never poisoned");
        if stopped.insert(origin.to_owned(), reason.clone()).is_none() {
            tracing::error!(%reason, "writes are stopped");
        }
    }
}

fn unfit(condition: &str) -> String {
    format!(
        "the service ignores {condition} on writes and cannot be a checkpoint guard: take one that honours it, or a folder"
    )
}

/// Root of the first `size` leaves of a log that has `now`, from its tiles.
pub(crate) async fn root_at(
    conn: &mut crate::conn::Conn,
    organization: OrganizationNo,
    size: u64,
    now: u64,
) -> Result<[u8; 32], DbError> {
    let corrupt = |error: runstone_journal::proof::ProofError| DbError::Corrupt(error.to_string());
    let plan = ProofPlan::root(size).map_err(corrupt)?;
    let mut tiles = HashMap::new();
    for id in plan.tiles() {
        let complete = now >> (8 * u32::from(id.level));
        let width = (complete - id.index * TILE_WIDTH).min(TILE_WIDTH);
        tiles.insert(
            id,
            crate::log::partial_tile(conn, organization, id.level, id.index, width as u16).await?,
        );
    }
    let roots = plan
        .resolve(|id| tiles.get(&id).map(Vec::as_slice))
        .map_err(corrupt)?;
    Ok(roots
        .first()
        .copied()
        .unwrap_or_else(runstone_journal::merkle::empty_root))
}

/// Compare and swap of a file under an exclusive lock, durable when it returns.
fn advance_file(file: &std::path::Path, standing: &Standing, note: &str) -> std::io::Result<bool> {
    use std::io::{Read as _, Write as _};
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(file.with_extension("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    let mut held = String::new();
    match std::fs::File::open(file) {
        Ok(mut open) => {
            open.read_to_string(&mut held)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let expected = match standing {
        Standing::New => "",
        Standing::Held { note, .. } => note,
    };
    if held != expected {
        return Ok(false);
    }
    let next = file.with_extension("next");
    let mut open = std::fs::File::create(&next)?;
    open.write_all(note.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(&next, file)?;
    if let Some(folder) = file.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(true)
}
