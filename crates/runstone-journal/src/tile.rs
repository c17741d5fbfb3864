//! Tiles and entry bundles (tlog-tiles): paths, widths, and the bundle encoding.
//!
//! Owns the truth about which tiles a tree of a given size has and how they are spelled. Holds no
//! hashes and does no hashing ([`crate::merkle`] does).

use crate::{ENTRY_BYTES_MAX, TREE_SIZE_MAX};
use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Bytes of a full tile.
pub const FULL_TILE_BYTES: usize = 8_192;
/// Highest level a tile path may name (tlog-tiles: 0 to 63).
pub const TILE_LEVEL_MAX: u8 = 63;
/// Longest tile path in bytes that can be canonical: entries, seven groups, a partial width.
pub const TILE_PATH_BYTES_MAX: usize = 64;
/// Largest entry bundle in bytes: 256 entries of the largest size with their lengths.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of this level; level 0 holds leaf hashes.
    Hashes(u8),
    /// Entries: the bundle that belongs to the tile of level 0 with the same index.
    Entries,
}

/// The place of a tile or bundle below the prefix of a log, such as `tile/0/x001/234.p/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    /// What it holds.
    pub kind: TileKind,
    /// Index within its level, at most [`TREE_SIZE_MAX`].
    pub index: u64,
    /// Number of hashes or entries of a partial tile; absent for a full one.
    pub partial: Option<NonZeroU8>,
}

/// A text is not a tile path in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a tile path")]
pub struct TilePathError(pub String);

impl TilePath {
    /// Returns the path of a full tile or bundle.
    pub fn full(kind: TileKind, index: u64) -> Self {
        Self {
            kind,
            index,
            partial: None,
        }
    }

    /// Returns the path of a tile or bundle as it is at a tree size: full, partial, or `None` when
    /// a tree of that size has none there.
    pub fn at_size(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let full = full_tile_count(level, size);
        let partial = NonZeroU8::new(partial_width(level, size));
        match index {
            i if i < full => Some(Self::full(kind, index)),
            i if i == full && partial.is_some() => Some(Self {
                kind,
                index,
                partial,
            }),
            _ => None,
        }
    }

    /// Returns the number of hashes or entries, 1 to 256.
    pub fn width(&self) -> u16 {
        self.partial
            .map_or(TILE_WIDTH as u16, |w| u16::from(w.get()))
    }

    /// Returns the path of the full tile at this place, the fallback for a partial one.
    pub fn to_full(self) -> Self {
        Self {
            partial: None,
            ..self
        }
    }

    /// Returns whether a log of this size can answer for this path: a partial tile also stays
    /// answerable, as a prefix, after the tree has outgrown it.
    pub fn is_within(&self, size: u64) -> bool {
        let level = match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let full = full_tile_count(level, size);
        self.index < full
            || (self.index == full && self.width() <= u16::from(partial_width(level, size)))
    }

    /// Parses a path relative to the prefix of the log, in exactly the form that is formatted.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        Self::parse_any(path)
            // One value has one spelling: whatever reads as a path but formats differently (leading
            // zeros, a group `x000` in front) is refused.
            .filter(|parsed| parsed.to_string() == path)
            .ok_or_else(|| TilePathError(path.chars().take(TILE_PATH_BYTES_MAX).collect()))
    }

    fn parse_any(path: &str) -> Option<Self> {
        if path.len() > TILE_PATH_BYTES_MAX {
            return None;
        }
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = if level == "entries" {
            TileKind::Entries
        } else {
            let level = u8::from_str(level).ok()?;
            (level <= TILE_LEVEL_MAX).then_some(TileKind::Hashes(level))?
        };
        let (groups, partial) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, Some(NonZeroU8::from_str(width).ok()?)),
            None => (rest, None),
        };
        let mut index = 0u64;
        let mut groups = groups.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = match groups.peek() {
                Some(_) => group.strip_prefix('x')?,
                None => group,
            };
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            index = index
                .checked_mul(1000)?
                .checked_add(u64::from_str(digits).ok()?)?;
        }
        (index <= TREE_SIZE_MAX).then_some(Self {
            kind,
            index,
            partial,
        })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        match self.partial {
            Some(width) => write!(f, ".p/{width}"),
            None => Ok(()),
        }
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::parse(path)
    }
}

/// Returns the number of hashes that a level has in a tree of this size.
fn hash_count(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * TILE_HEIGHT)
        .unwrap_or(0)
}

/// Returns the number of full tiles of a level in a tree of this size.
pub fn full_tile_count(level: u8, size: u64) -> u64 {
    hash_count(level, size) / TILE_WIDTH
}

/// Returns the width of the partial tile of a level in a tree of this size, 0 for none.
pub fn partial_width(level: u8, size: u64) -> u8 {
    (hash_count(level, size) % TILE_WIDTH) as u8
}

/// Iterates the partial tiles of hashes that must exist at this size, level 0 first.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = TilePath> {
    (0..crate::merkle::level_count(size)).filter_map(move |level| {
        Some(TilePath {
            kind: TileKind::Hashes(level),
            index: full_tile_count(level, size),
            partial: Some(NonZeroU8::new(partial_width(level, size))?),
        })
    })
}

/// Iterates every tile and bundle of a tree of this size: bundles, then tiles, level 0 first.
pub fn all_tiles(size: u64) -> impl Iterator<Item = TilePath> {
    std::iter::once(TileKind::Entries)
        .chain((0..crate::merkle::level_count(size)).map(TileKind::Hashes))
        .flat_map(move |kind| (0..).map_while(move |n| TilePath::at_size(kind, n, size)))
}

/// An entry bundle cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than [`ENTRY_BYTES_MAX`].
    #[error("entry {position} of the bundle has {bytes} bytes, more than {ENTRY_BYTES_MAX}")]
    EntryTooLong {
        /// Place within the bundle.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// More than 256 entries.
    #[error("a bundle holds at most {TILE_WIDTH} entries, not {0}")]
    TooManyEntries(usize),
    /// The bytes end within an entry.
    #[error("the bundle ends within entry {position} of {width}")]
    Truncated {
        /// Place within the bundle.
        position: usize,
        /// Entries that were expected.
        width: usize,
    },
    /// There are bytes after the last entry.
    #[error("the bundle has {bytes} bytes after its {width} entries")]
    TrailingBytes {
        /// Bytes too many.
        bytes: usize,
        /// Entries that were expected.
        width: usize,
    },
}

/// Encodes at most 256 entries as an entry bundle: for each a big-endian 16-bit length, then the
/// bytes.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    if entries.len() > TILE_WIDTH as usize {
        return Err(BundleError::TooManyEntries(entries.len()));
    }
    let total = entries.iter().map(|e| 2 + e.as_ref().len()).sum();
    let mut bytes = Vec::with_capacity(total);
    for (position, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong {
            position,
            bytes: entry.len(),
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Splits the bytes of an entry bundle into exactly `width` (at most 256) entries.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let width = usize::from(width);
    if width > TILE_WIDTH as usize {
        return Err(BundleError::TooManyEntries(width));
    }
    let mut entries = Vec::with_capacity(width);
    let mut rest = bytes;
    for position in 0..width {
        let truncated = BundleError::Truncated { position, width };
        let Some((length, after)) = rest.split_first_chunk::<2>() else {
            return Err(truncated);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, after)) = after.split_at_checked(length) else {
            return Err(truncated);
        };
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(BundleError::TrailingBytes {
            bytes: rest.len(),
            width,
        })
    }
}
