//! Verification of a whole log from what it serves, with nothing but its public keys.
//!
//! Owns the verdict "this log is what its signed checkpoint says, and extends what was seen
//! before". Everything is derived again: the leaf hash of each entry, each tile of each level,
//! the root. Memory is bounded by one bundle and the right edge of the tree, whatever the size of
//! the log. Where the bytes come from (HTTP, a folder) is the caller's [`Fetch`]; what an entry
//! means, and how epochs follow each other, is the caller's to check.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{Edge, EdgeError, FullTile, Hash, leaf_hash, level_count};
use crate::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::tile::{
    BUNDLE_BYTES_MAX, BundleError, FULL_TILE_BYTES, HASH_BYTES, TILE_WIDTH, TileKind, TilePath,
    decode_bundle, full_tile_count, partial_tiles, partial_width,
};
use std::error::Error;

/// Path of the checkpoint below the prefix of a log.
pub const CHECKPOINT_PATH: &str = "checkpoint";
/// Largest answer that any path of a log can have; a [`Fetch`] may stop reading there.
pub const FETCH_BYTES_MAX: usize = BUNDLE_BYTES_MAX;

/// Reading a path of a log failed for a reason other than that it is not there.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FetchError(Box<dyn Error + Send + Sync>);

impl FetchError {
    /// Wraps the cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Reads the files of a log.
pub trait Fetch {
    /// Returns the bytes at a path relative to the prefix of the log, such as `checkpoint`,
    /// `tile/0/000` or `tile/entries/000.p/5`, or `None` when there is nothing.
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError>;
}

/// How much of a log is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Every entry and every tile.
    #[default]
    Full,
    /// Consistency with the remembered checkpoint, and the entries and tiles after it.
    Incremental,
}

/// What to verify a log against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The trusted keys of the log. A key counts if it is named like the origin.
    pub keys: &'a [VerifierKey],
    /// The origin that the log must have; absent if any origin that a key is named like will do.
    pub origin: Option<&'a str>,
    /// The checkpoint that an earlier verification ended with.
    pub remembered: Option<&'a Checkpoint>,
    /// How much to verify. [`Mode::Incremental`] without a remembered checkpoint is full.
    pub mode: Mode,
}

/// A log that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The checkpoint that everything was verified against: remember it for the next time.
    pub checkpoint: Checkpoint,
    /// The signed checkpoint, verbatim.
    pub note: Vec<u8>,
    /// Number of entries whose bytes were verified and shown to the caller.
    pub entries: u64,
    /// Number of tiles of hashes that were derived again and compared.
    pub tiles: u64,
}

/// A log does not hold, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Reading failed; this says nothing about the log.
    #[error("failed to read {path}")]
    Fetch {
        /// What was read.
        path: String,
        /// Why it failed.
        #[source]
        source: FetchError,
    },
    /// A file that the checkpoint promises is not there.
    #[error("{path} is missing")]
    Missing {
        /// What was asked for.
        path: String,
    },
    /// The checkpoint is malformed or not signed by a trusted key.
    #[error("the checkpoint is not valid: {0}")]
    Checkpoint(CheckpointError),
    /// The log is another one.
    #[error("the log has origin {found}, expected {expected}")]
    Origin {
        /// The origin that was asked for or remembered.
        expected: String,
        /// The origin of the checkpoint.
        found: String,
    },
    /// The log is shorter than it was: entries that were seen are gone.
    #[error("the log was rolled back: it had {remembered} entries and now has {found}")]
    RolledBack {
        /// Size remembered.
        remembered: u64,
        /// Size now.
        found: u64,
    },
    /// The log does not extend the remembered checkpoint: what was seen was changed.
    #[error("the log does not extend the remembered checkpoint of size {size}")]
    Inconsistent {
        /// Size of the remembered checkpoint.
        size: u64,
    },
    /// A tile has another length than its width asks for, or a file is larger than any of its kind.
    #[error("{path} has {found} bytes, expected {expected}")]
    Length {
        /// What was read.
        path: String,
        /// Bytes that it must have, at most for a file of variable length.
        expected: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// A bundle cannot be split into its entries.
    #[error("{path} is malformed: {source}")]
    Bundle {
        /// The bundle that was read.
        path: String,
        /// What is wrong with it.
        source: BundleError,
    },
    /// The bytes of an entry do not have the leaf hash that the tile of level 0 gives.
    #[error("entry {index} in {bundle} does not have the hash given in {tile}")]
    EntryDiffers {
        /// Index of the entry.
        index: u64,
        /// The bundle with the entry.
        bundle: String,
        /// The tile with its leaf hash.
        tile: String,
    },
    /// A tile does not hold what the tiles below it, or the trusted edge, give.
    #[error("hash {position} of {path} differs from what the entries give")]
    TileDiffers {
        /// The tile that was read.
        path: String,
        /// Place of the first differing hash within the tile.
        position: u64,
    },
    /// Entries and tiles agree with each other, but not with the signed root.
    #[error("the {size} entries do not have the root that the checkpoint states")]
    RootDiffers {
        /// Size of the checkpoint.
        size: u64,
    },
    /// The caller refused the content of an entry.
    #[error("entry {index} was refused: {reason}")]
    EntryRefused {
        /// Index of the entry.
        index: u64,
        /// The caller's reason.
        reason: String,
    },
}

/// Looks at an entry: its index and bytes. A refusal, with the reason, ends the verification.
pub type OnEntry<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// Verifies a log, and shows each verified entry, in order, to `on_entry`.
///
/// What `on_entry` sees matches the tiles of the log, but stands under the signed root only when
/// this function has returned `Ok`: collect there, conclude afterwards.
pub fn verify_log<F: Fetch + ?Sized>(
    fetch: &mut F,
    request: &Request<'_>,
    on_entry: &mut OnEntry<'_>,
) -> Result<Verified, VerifyError> {
    let note = get(fetch, CHECKPOINT_PATH)?.ok_or_else(|| missing(CHECKPOINT_PATH))?;
    verify_at(fetch, note, request, on_entry)
}

/// Verifies a log against a signed checkpoint that the caller brings, for example from a witness,
/// instead of the one that the log serves.
pub fn verify_at<F: Fetch + ?Sized>(
    fetch: &mut F,
    note: Vec<u8>,
    request: &Request<'_>,
    on_entry: &mut OnEntry<'_>,
) -> Result<Verified, VerifyError> {
    let checkpoint = Checkpoint::open(&note, request.keys).map_err(VerifyError::Checkpoint)?;
    check_history(&checkpoint, request)?;
    let mut walk = Walk {
        fetch,
        size: checkpoint.size,
        edge: Edge::new(),
        tiles: 0,
        entries: 0,
    };
    let mut pending = request.remembered;
    if let (Mode::Incremental, Some(trusted)) = (request.mode, request.remembered) {
        walk.edge = walk.trusted_edge(trusted)?;
        pending = None;
    }
    walk.check_remembered(&mut pending)?;
    for n in walk.edge.size() / TILE_WIDTH..checkpoint.size.div_ceil(TILE_WIDTH) {
        walk.bundle(n, &mut pending, on_entry)?;
    }
    walk.partial_tiles()?;
    if walk.edge.root() != checkpoint.root {
        return Err(VerifyError::RootDiffers {
            size: checkpoint.size,
        });
    }
    Ok(Verified {
        entries: walk.entries,
        tiles: walk.tiles,
        checkpoint,
        note,
    })
}

/// Checks what two checkpoints show by themselves.
fn check_history(checkpoint: &Checkpoint, request: &Request<'_>) -> Result<(), VerifyError> {
    let remembered = request.remembered;
    let origins = request.origin.into_iter();
    for expected in origins.chain(remembered.map(|r| r.origin.as_str())) {
        if checkpoint.origin != expected {
            return Err(VerifyError::Origin {
                expected: expected.to_owned(),
                found: checkpoint.origin.clone(),
            });
        }
    }
    match remembered {
        Some(old) if old.size > checkpoint.size => Err(VerifyError::RolledBack {
            remembered: old.size,
            found: checkpoint.size,
        }),
        Some(old) if old.size == checkpoint.size && old.root != checkpoint.root => {
            Err(VerifyError::Inconsistent { size: old.size })
        }
        _ => Ok(()),
    }
}

/// A walk over a log of a given size, from an edge onward.
struct Walk<'f, F: ?Sized> {
    fetch: &'f mut F,
    /// Size of the checkpoint that is being verified.
    size: u64,
    /// The tree as derived so far.
    edge: Edge,
    tiles: u64,
    entries: u64,
}

impl<F: Fetch + ?Sized> Walk<'_, F> {
    /// Makes the edge of the remembered tree from the tiles of the log. Its root is compared with
    /// the remembered one, so that every hash of it is as trusted as that.
    fn trusted_edge(&mut self, trusted: &Checkpoint) -> Result<Edge, VerifyError> {
        let mut partials = Vec::new();
        for level in 0..level_count(trusted.size) {
            let width = partial_width(level, trusted.size);
            let mut hashes = Vec::new();
            if width > 0 {
                hashes = self.hashes(level, full_tile_count(level, trusted.size))?.1;
                hashes.truncate(usize::from(width) * HASH_BYTES);
            }
            partials.push(hashes);
        }
        let edge = Edge::from_partials::<EdgeError>(trusted.size, |level, _| {
            Ok(std::mem::take(&mut partials[usize::from(level)]))
        })
        .expect("the tiles of a larger tree hold those of a smaller one");
        if edge.root() != trusted.root {
            return Err(VerifyError::Inconsistent { size: trusted.size });
        }
        Ok(edge)
    }

    /// Compares the derived root with the remembered one when the derived tree has its size.
    fn check_remembered(&self, pending: &mut Option<&Checkpoint>) -> Result<(), VerifyError> {
        match *pending {
            Some(old) if old.size == self.edge.size() => {
                *pending = None;
                if self.edge.root() == old.root {
                    Ok(())
                } else {
                    Err(VerifyError::Inconsistent { size: old.size })
                }
            }
            _ => Ok(()),
        }
    }

    /// Verifies bundle `n`, the tile of level 0 with its leaf hashes, and every tile of a higher
    /// level that it completes.
    fn bundle(
        &mut self,
        n: u64,
        pending: &mut Option<&Checkpoint>,
        on_entry: &mut OnEntry<'_>,
    ) -> Result<(), VerifyError> {
        let (tile_path, hashes) = self.hashes(0, n)?;
        let (hashes, _) = hashes.as_chunks::<HASH_BYTES>();
        let (path, bytes, width) = self.tile(TileKind::Entries, n)?;
        let malformed = |source| VerifyError::Bundle {
            path: path.to_string(),
            source,
        };
        // The full bundle may have answered for a partial one; then its first entries count.
        let entries = decode_bundle(&bytes, path.width()).map_err(malformed)?;
        self.check_overlap(&tile_path, hashes)?;
        let mut completed = Vec::new();
        let first = n * TILE_WIDTH;
        for (index, (entry, hash)) in (first..).zip(entries.iter().zip(hashes).take(width)) {
            let leaf: Hash = leaf_hash(entry);
            if leaf != *hash {
                return Err(VerifyError::EntryDiffers {
                    index,
                    bundle: path.to_string(),
                    tile: tile_path,
                });
            }
            if index < self.edge.size() {
                continue;
            }
            on_entry(index, entry).map_err(|reason| VerifyError::EntryRefused { index, reason })?;
            self.entries += 1;
            self.edge.push(leaf, &mut |tile| completed.push(tile));
            self.check_remembered(pending)?;
        }
        self.tiles += 1;
        for tile in completed.iter().filter(|tile| tile.level > 0) {
            self.compare_full(tile)?;
        }
        Ok(())
    }

    /// Compares the leaf hashes that the walk starts with, which the remembered root vouches for,
    /// with the tile that was read.
    fn check_overlap(&self, path: &str, hashes: &[Hash]) -> Result<(), VerifyError> {
        let (trusted, _) = self.edge.partial(0).as_chunks::<HASH_BYTES>();
        match trusted.iter().zip(hashes).position(|(a, b)| a != b) {
            Some(position) => Err(VerifyError::TileDiffers {
                path: path.to_owned(),
                position: position as u64,
            }),
            None => Ok(()),
        }
    }

    fn compare_full(&mut self, tile: &FullTile) -> Result<(), VerifyError> {
        let (path, found) = self.hashes(tile.level, tile.n)?;
        self.tiles += 1;
        compare(path, &found, tile.hashes.as_slice())
    }

    /// Compares the partial tiles above level 0; that of level 0 was compared with its bundle.
    fn partial_tiles(&mut self) -> Result<(), VerifyError> {
        for tile in partial_tiles(self.size) {
            let TileKind::Hashes(level @ 1..) = tile.kind else {
                continue;
            };
            let (path, found) = self.hashes(level, tile.index)?;
            self.tiles += 1;
            compare(path, &found, self.edge.partial(level))?;
        }
        Ok(())
    }

    /// Reads a tile of hashes as it is at the verified size; exactly its width.
    fn hashes(&mut self, level: u8, n: u64) -> Result<(String, Vec<u8>), VerifyError> {
        let (path, mut bytes, width) = self.tile(TileKind::Hashes(level), n)?;
        let expected = usize::from(path.width()) * HASH_BYTES;
        if bytes.len() != expected {
            return Err(VerifyError::Length {
                path: path.to_string(),
                expected,
                found: bytes.len(),
            });
        }
        bytes.truncate(width * HASH_BYTES);
        Ok((path.to_string(), bytes))
    }

    /// Reads a tile or bundle as it is at the verified size, or else the full one. Returns what
    /// was read, and how many hashes or entries of it count.
    fn tile(&mut self, kind: TileKind, n: u64) -> Result<(TilePath, Vec<u8>, usize), VerifyError> {
        let path = TilePath::at_size(kind, n, self.size)
            .expect("the walk asks only for tiles of the tree it verifies");
        let width = usize::from(path.width());
        for candidate in [path, path.to_full()] {
            if let Some(bytes) = get(self.fetch, &candidate.to_string())? {
                return Ok((candidate, bytes, width));
            }
            if candidate.partial.is_none() {
                break;
            }
        }
        Err(missing(&path.to_string()))
    }
}

fn missing(path: &str) -> VerifyError {
    VerifyError::Missing {
        path: path.to_owned(),
    }
}

/// Reads a path and refuses an answer that no log can give.
fn get<F: Fetch + ?Sized>(fetch: &mut F, path: &str) -> Result<Option<Vec<u8>>, VerifyError> {
    let failed = |source| VerifyError::Fetch {
        path: path.to_owned(),
        source,
    };
    let bytes = fetch.fetch(path).map_err(failed)?;
    let limit = match path {
        CHECKPOINT_PATH => NOTE_BYTES_MAX,
        path if path.starts_with("tile/entries/") => BUNDLE_BYTES_MAX,
        _ => FULL_TILE_BYTES,
    };
    match bytes {
        Some(bytes) if bytes.len() > limit => Err(VerifyError::Length {
            path: path.to_owned(),
            expected: limit,
            found: bytes.len(),
        }),
        bytes => Ok(bytes),
    }
}

/// Compares two runs of hashes of equal length.
fn compare(path: String, found: &[u8], derived: &[u8]) -> Result<(), VerifyError> {
    let (found, _) = found.as_chunks::<HASH_BYTES>();
    let (derived, _) = derived.as_chunks::<HASH_BYTES>();
    match found.iter().zip(derived).position(|(a, b)| a != b) {
        Some(position) => Err(VerifyError::TileDiffers {
            path,
            position: position as u64,
        }),
        None => Ok(()),
    }
}
