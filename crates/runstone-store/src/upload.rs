//! Files on their way into the store, never whole in memory (D2).
//!
//! A small file stays in hand and becomes a body like any other. A larger one is written beside the
//! bodies as it comes, because its digest, which is its name there, is known only at the end. What
//! is given up half-way goes at once; what a crash leaves goes at a later start.

use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use runstone_model::event::{ATTACHMENT_HELD_BYTES_MAX, Attachment};
use runstone_model::id::{Digest, Micros, encode_hex};
use sha2::{Digest as _, Sha256};

use crate::blobs::Blobs;
use crate::value::DbError;

/// Where unfinished files lie, beside the folders of the organizations.
const INCOMING: &str = "incoming";
/// So many bytes are gathered before they are written to a folder.
const FOLDER_PIECE: usize = 1 << 20;
/// So many are sent to a service at once; S3 wants 5 MiB at least.
const SERVICE_PIECE: usize = 5 << 20;
/// So many pieces may still be on their way to a service when the next is gathered.
const SERVICE_PIECES_MAX: usize = 1;
/// What was begun so long ago was left by a crash.
const LEFT_BEHIND: i64 = 24 * 3_600 * Micros::SECOND;

/// A file on its way in. Dropped before its end, it leaves nothing.
pub struct Upload {
    blobs: Blobs,
    organization: String,
    /// Nobody else uses this name.
    name: String,
    hash: Sha256,
    bytes: u64,
    /// What is not written yet.
    waiting: Vec<u8>,
    sink: Option<Sink>,
}

/// Where a file that is not small is written to.
enum Sink {
    Folder {
        file: Option<std::fs::File>,
        path: PathBuf,
    },
    Service {
        upload: Option<WriteMultipart>,
        path: Path,
    },
}

impl Drop for Sink {
    fn drop(&mut self) {
        match self {
            Self::Folder { path, .. } => {
                // Once it is complete, it is elsewhere.
                let _ = std::fs::remove_file(path);
            }
            Self::Service { upload, .. } => {
                if let (Some(upload), Ok(runtime)) =
                    (upload.take(), tokio::runtime::Handle::try_current())
                {
                    runtime.spawn(upload.abort());
                }
            }
        }
    }
}

impl Upload {
    /// `name` is random.
    pub(crate) fn new(blobs: Blobs, organization: &str, name: [u8; 16]) -> Self {
        Self {
            blobs,
            organization: organization.to_owned(),
            name: encode_hex(&name),
            hash: Sha256::new(),
            bytes: 0,
            waiting: Vec::new(),
            sink: None,
        }
    }

    /// How many bytes came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), DbError> {
        let piece = match self.blobs.service.folder {
            Some(_) => FOLDER_PIECE,
            None => SERVICE_PIECE,
        };
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(piece - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            if self.waiting.len() == piece {
                self.flush().await?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Hashes what waits and writes it out.
    async fn flush(&mut self) -> Result<(), DbError> {
        if self.sink.is_none() {
            self.sink = Some(self.blobs.open_sink(&self.name).await?);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut hash = std::mem::take(&mut self.hash);
        let mut file = match &mut self.sink {
            Some(Sink::Folder { file, .. }) => file.take(),
            _ => None,
        };
        let (hash, file, mut waiting, written) = blocking(move || {
            hash.update(&waiting);
            let written = match &mut file {
                Some(file) => file.write_all(&waiting),
                None => Ok(()),
            };
            (hash, file, waiting, written)
        })
        .await?;
        written.map_err(|error| DbError::Blobs(format!("cannot store a file: {error}")))?;
        self.hash = hash;
        match self.sink.as_mut().expect("opened above") {
            Sink::Folder { file: kept, .. } => {
                *kept = file;
                waiting.clear();
                self.waiting = waiting;
            }
            Sink::Service { upload, .. } => {
                let upload = upload.as_mut().expect("it goes with the last piece");
                upload.put(Bytes::from(waiting));
                upload
                    .wait_for_capacity(SERVICE_PIECES_MAX)
                    .await
                    .map_err(|error| self.blobs.told(&error))?;
            }
        }
        Ok(())
    }

    /// The file is complete; it is durable when this returns, unless it is small and in hand.
    pub async fn finish(mut self) -> Result<Attachment, DbError> {
        if self.bytes <= ATTACHMENT_HELD_BYTES_MAX {
            let held = std::mem::take(&mut self.waiting);
            return Ok(Attachment {
                digest: Digest::of(&held),
                bytes: self.bytes,
                held: Some(held.into()),
            });
        }
        if self.sink.is_none() && self.blobs.service.folder.is_none() {
            // All of it fits into one piece.
            let bytes = std::mem::take(&mut self.waiting);
            let (digest, bytes) = blocking(move || (Digest::of(&bytes), bytes)).await?;
            self.blobs
                .put(&self.organization, &digest, bytes)
                .await
                .map_err(DbError::Blobs)?;
            return Ok(Attachment {
                digest,
                bytes: self.bytes,
                held: None,
            });
        }
        if !self.waiting.is_empty() {
            self.flush().await?;
        }
        let digest = Digest(std::mem::take(&mut self.hash).finalize().into());
        let to = self.blobs.path(&self.organization, &digest);
        match self.sink.as_mut().expect("more than one piece was written") {
            Sink::Folder { file, path } => {
                let (file, from) = (file.take(), path.clone());
                let folder = self.blobs.service.folder.clone().unwrap_or_default();
                let moved = blocking(move || -> std::io::Result<()> {
                    if let Some(file) = file {
                        file.sync_all()?;
                    }
                    let to = folder.join(to.as_ref());
                    let parent = to.parent().unwrap_or(&folder);
                    std::fs::create_dir_all(parent)?;
                    std::fs::rename(from, &to)?;
                    std::fs::File::open(parent)?.sync_all()?;
                    std::fs::File::open(&folder)?.sync_all()
                });
                moved
                    .await?
                    .map_err(|error| DbError::Blobs(format!("cannot store a file: {error}")))?;
            }
            Sink::Service { upload, path } => {
                let service = &self.blobs.service;
                let told = |error: object_store::Error| self.blobs.told(&error);
                let upload = upload.take().expect("it goes here");
                upload.finish().await.map_err(told)?;
                service.store.copy(path, &to).await.map_err(told)?;
                if let Err(error) = service.store.delete(path).await {
                    tracing::warn!(
                        "an unfinished file lies in the blob store: {}",
                        service.told(&error)
                    );
                }
            }
        }
        Ok(Attachment {
            digest,
            bytes: self.bytes,
            held: None,
        })
    }
}

impl Blobs {
    /// Begins to write beside the bodies.
    async fn open_sink(&self, name: &str) -> Result<Sink, DbError> {
        if let Some(folder) = &self.service.folder {
            let folder = folder.join(INCOMING);
            let path = folder.join(name);
            let make = || {
                std::fs::create_dir_all(&folder)?;
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create_new(true).open(&path)
            };
            let file =
                make().map_err(|error| DbError::Blobs(format!("cannot store a file: {error}")))?;
            return Ok(Sink::Folder {
                file: Some(file),
                path,
            });
        }
        let service = &self.service;
        let path = service.prefix.clone().join(INCOMING).join(name);
        let upload = service
            .store
            .put_multipart(&path)
            .await
            .map_err(|error| self.told(&error))?;
        Ok(Sink::Service {
            upload: Some(WriteMultipart::new_with_chunk_size(upload, SERVICE_PIECE)),
            path,
        })
    }

    fn told(&self, error: &object_store::Error) -> DbError {
        DbError::Blobs(format!("cannot store a file: {}", self.service.told(error)))
    }

    /// Removes what was left half-way a day ago or earlier.
    pub(crate) async fn sweep(&self, now: Micros) -> Result<(), String> {
        let before = now.0 - LEFT_BEHIND;
        if let Some(folder) = &self.service.folder {
            let folder = folder.join(INCOMING);
            let sweep = move || -> std::io::Result<()> {
                for entry in std::fs::read_dir(folder)? {
                    let entry = entry?;
                    let changed = entry.metadata()?.modified()?;
                    let at = changed
                        .duration_since(std::time::UNIX_EPOCH)
                        .map_or(0, |since| since.as_micros() as i64);
                    if at < before {
                        std::fs::remove_file(entry.path())?;
                    }
                }
                Ok(())
            };
            return match tokio::task::spawn_blocking(sweep).await {
                Ok(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error.to_string())
                }
                _ => Ok(()),
            };
        }
        let told = |error: object_store::Error| self.service.told(&error);
        let prefix = self.service.prefix.clone().join(INCOMING);
        let store = &self.service.store;
        let found = store.list_with_delimiter(Some(&prefix)).await;
        for object in found.map_err(told)?.objects {
            if object.last_modified.timestamp_micros() < before {
                store.delete(&object.location).await.map_err(told)?;
            }
        }
        Ok(())
    }
}

/// Does what may take its time elsewhere.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DbError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DbError::Blobs(format!("a file was given up: {error}")))
}
