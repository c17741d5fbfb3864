//! The checkpoint guard: a record outside the data of how far each log was signed (D5, D6).
//!
//! A folder or object store that a restored backup does not bring back. It is advanced by
//! compare-and-swap; a log serves only what it holds. A guard ahead of or beside a log stops
//! writes until a new epoch says why.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use object_store::{
    ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion, path::Path,
};
use runstone_journal::note::Note;
use runstone_model::id::Digest;

/// Sizes and notes the guard is known to hold, by origin. Without a guard everything counts as
/// held.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    configured: bool,
    held: RwLock<HashMap<String, (u64, String)>>,
}

impl Guarded {
    pub(crate) fn new(configured: bool) -> Self {
        Self {
            configured,
            held: RwLock::default(),
        }
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

/// The guard's store.
#[derive(Clone)]
pub(crate) struct Guard {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Folders have no conditional update: one writer per folder is told apart by a lock file.
    folder: Option<std::path::PathBuf>,
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
    /// Opens a folder or a service.
    pub(crate) fn open(url: &str) -> Result<Self, String> {
        if let Some(folder) = url
            .strip_prefix("file://")
            .or_else(|| (!url.contains("://")).then_some(url))
        {
            let folder = std::path::PathBuf::from(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("cannot make folder {}: {error}", folder.display()))?;
            return Ok(Self {
                store: Arc::new(
                    object_store::local::LocalFileSystem::new_with_prefix(&folder)
                        .map_err(|error| error.to_string())?,
                ),
                prefix: Path::default(),
                folder: Some(folder),
            });
        }
        let parsed = url::Url::parse(url).map_err(|error| format!("'{url}': {error}"))?;
        let (store, prefix) =
            object_store::parse_url(&parsed).map_err(|error| error.to_string())?;
        Ok(Self {
            store: Arc::from(store),
            prefix,
            folder: None,
        })
    }

    /// One record per origin, named by its hash, as witnesses do.
    fn path(&self, origin: &str) -> Path {
        self.prefix
            .clone()
            .join(Digest::of(origin.as_bytes()).to_hex().as_str())
    }

    /// What is held of a log.
    pub(crate) async fn standing(&self, origin: &str) -> Result<Standing, String> {
        match self.store.get(&self.path(origin)).await {
            Ok(found) => {
                let version = found.meta.e_tag.clone();
                let bytes = found.bytes().await.map_err(|error| error.to_string())?;
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
            Err(object_store::Error::NotFound { .. }) => Ok(Standing::New),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Moves the record from `standing` to `note`; false when another was faster.
    pub(crate) async fn advance(
        &self,
        origin: &str,
        standing: &Standing,
        note: &str,
    ) -> Result<bool, String> {
        let path = self.path(origin);
        if let Some(folder) = &self.folder {
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
                object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
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
