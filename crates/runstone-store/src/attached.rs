//! Files on their way out of the store, a piece at a time.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use object_store::ObjectStoreExt as _;
use runstone_model::event::{ATTACHMENT_HELD_BYTES_MAX, Entry};
use runstone_model::fact::{EntryIndex, OrganizationNo};
use runstone_model::id::Digest;
use sha2::{Digest as _, Sha256};

use crate::blobs::Blobs;
use crate::read::{Read, ReadError};
use crate::service::Service;
use crate::value::DbError;

/// So many bytes are read at once.
const PIECE: u64 = 1 << 20;

/// A file that an entry names.
#[derive(Clone)]
pub struct AttachedFile {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u64,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Here(Bytes),
    Outside {
        blobs: Blobs,
        path: object_store::path::Path,
    },
}

impl Read {
    /// The file at a position of an entry's bodies; none if it was erased.
    pub async fn attached(
        &mut self,
        organization: OrganizationNo,
        entry: EntryIndex,
        position: u32,
    ) -> Result<Option<AttachedFile>, ReadError> {
        let Some(bytes) = self.entry(organization, entry).await? else {
            return Ok(None);
        };
        let digests =
            Entry::body_digests(&bytes).map_err(|error| DbError::Corrupt(error.to_string()))?;
        let Some(digest) = digests.get(position as usize).copied() else {
            return Ok(None);
        };
        let conn = self.conn().await?;
        let Some(row) = conn
            .query_one(
                "SELECT b.bytes_total, h.id FROM bodies b JOIN heads h ON h.organization = b.organization WHERE b.organization = $1 AND b.entry = $2 AND b.position = $3",
                &[organization.0.into(), entry.into(), position.into()],
            )
            .await?
        else {
            return Ok(None);
        };
        let (bytes, id) = (row.number(0)?, row.text(1)?.to_owned());
        if bytes > ATTACHMENT_HELD_BYTES_MAX {
            let path = self.blobs.path(&id, &digest);
            let service = &self.blobs.service;
            match service.store.head(&path).await {
                Ok(found) if found.size == bytes => {
                    let file = AttachedFile::outside(&self.blobs, &id, digest, bytes);
                    return Ok(Some(file));
                }
                // Erased meanwhile, or damaged: reading it whole tells.
                Ok(_) => {}
                Err(error) if Service::is_missing(&error) => {}
                Err(error) => {
                    return Err(DbError::Blobs(format!(
                        "cannot read a file: {}",
                        service.told(&error)
                    )));
                }
            }
        }
        let found = self.body(organization, entry, position).await?;
        Ok(found.map(|found| AttachedFile::here(digest, found.into())))
    }
}

impl AttachedFile {
    /// Bytes in hand that have this digest.
    pub(crate) fn here(digest: Digest, bytes: Bytes) -> Self {
        Self {
            digest,
            bytes: bytes.len() as u64,
            source: Source::Here(bytes),
        }
    }

    /// So many bytes in the blob store, as they were uploaded.
    pub(crate) fn outside(blobs: &Blobs, id: &str, digest: Digest, bytes: u64) -> Self {
        Self {
            digest,
            bytes,
            source: Source::Outside {
                path: blobs.path(id, &digest),
                blobs: blobs.clone(),
            },
        }
    }

    /// The bytes, if they are in hand.
    pub fn in_hand(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Here(bytes) => Some(bytes),
            Source::Outside { .. } => None,
        }
    }

    /// Its bytes, or a part of them. Of the whole, the last piece comes only if all of it has the
    /// digest that the entry names.
    pub fn pieces(
        self,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, DbError>> + Send + 'static {
        let hash = (range == (0..self.bytes)).then(Sha256::new);
        stream::try_unfold((self, range, hash), |(file, range, mut hash)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + PIECE);
            let piece = file.piece(range.start..end).await?;
            if let Some(hash) = &mut hash {
                hash.update(&piece);
                if end == file.bytes && Digest(hash.clone().finalize().into()) != file.digest {
                    return Err(DbError::Corrupt(
                        "a file is not the one its entry names".to_owned(),
                    ));
                }
            }
            Ok(Some((piece, (file, end..range.end, hash))))
        })
    }

    async fn piece(&self, range: Range<u64>) -> Result<Bytes, DbError> {
        let wanted = range.end - range.start;
        let piece = match &self.source {
            Source::Here(bytes) => {
                let end = bytes.len().min(range.end as usize);
                bytes.slice(end.min(range.start as usize)..end)
            }
            Source::Outside { blobs, path } => {
                let service = &blobs.service;
                let found = service.store.get_range(path, range).await;
                found.map_err(|error| {
                    DbError::Blobs(format!("cannot read a file: {}", service.told(&error)))
                })?
            }
        };
        if piece.len() as u64 == wanted {
            Ok(piece)
        } else {
            Err(DbError::Corrupt(
                "a file is shorter than its entry says".to_owned(),
            ))
        }
    }
}

/// A file in hand or outside, whole.
pub(crate) async fn whole(
    blobs: &Blobs,
    organization: &str,
    digest: &Digest,
) -> Result<Arc<[u8]>, DbError> {
    let found = blobs.get(organization, digest).await;
    match found.map_err(DbError::Blobs)? {
        Some(bytes) if Digest::of(&bytes) == *digest => Ok(bytes.into()),
        _ => Err(DbError::Corrupt(format!(
            "file {digest} is not in the blob store"
        ))),
    }
}
