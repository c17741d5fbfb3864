//! Merkle tree hashing (RFC 6962 section 2.1) and the two right-edge structures of a growing tree.
//!
//! Owns the truth about what the root of a sequence of leaves is. Keeps nothing but hashes: an
//! [`Edge`] is all a writer needs between two appends, a [`Frontier`] all a checker needs.

use crate::TREE_SIZE_MAX;
use crate::tile::{FULL_TILE_BYTES, HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, partial_width};
use sha2::{Digest, Sha256};

/// A SHA-256 hash of a leaf, a node or a tree.
pub type Hash = [u8; 32];

/// Returns the leaf hash of an entry: SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0u8]);
    hasher.update(entry);
    hasher.finalize().into()
}

/// Returns the hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1u8; 1 + 2 * HASH_BYTES];
    input[1..=HASH_BYTES].copy_from_slice(left);
    input[1 + HASH_BYTES..].copy_from_slice(right);
    Sha256::digest(input).into()
}

/// Returns the root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Returns the largest power of two smaller than `n`, where a tree of `n` ≥ 2 leaves is split.
pub(crate) fn split_point(n: u64) -> u64 {
    debug_assert!(n >= 2, "a tree of one leaf is not split");
    1 << (n - 1).ilog2()
}

/// Returns the root over hashes that stand one after the other, for example the bytes of a tile.
///
/// For a full tile of level L this is the hash at its place in the tile above. Returns the empty
/// root for no hashes, and `None` when the length is not a multiple of 32.
pub fn hashes_root(hashes: &[u8]) -> Option<Hash> {
    let (hashes, rest) = hashes.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    Some(match hashes {
        [] => empty_root(),
        hashes => fold(hashes),
    })
}

/// Folds at least one hash to the root over them.
pub(crate) fn fold(hashes: &[Hash]) -> Hash {
    if let [only] = hashes {
        return *only;
    }
    let (left, right) = hashes.split_at(split_point(hashes.len() as u64) as usize);
    node_hash(&fold(left), &fold(right))
}

/// The bytes of a serialised [`Frontier`] or [`Edge`] do not describe one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// Fewer than the 8 bytes of the size.
    #[error("a tree edge needs at least 8 bytes, got {0}")]
    TooShort(usize),
    /// The size is larger than [`TREE_SIZE_MAX`].
    #[error("tree size {0} is too large")]
    SizeTooLarge(u64),
    /// The number of hash bytes does not belong to the size.
    #[error("a tree edge of size {size} needs {expected} hash bytes, got {found}")]
    WrongLength {
        /// The tree size.
        size: u64,
        /// Bytes of hashes that a tree of that size has here.
        expected: usize,
        /// Bytes of hashes that were given.
        found: usize,
    },
}

/// Reads the size in front of a serialised edge and returns it with the rest.
fn split_size(bytes: &[u8]) -> Result<(u64, &[u8]), EdgeError> {
    let (size, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(EdgeError::TooShort(bytes.len()))?;
    let size = u64::from_be_bytes(*size);
    if size > TREE_SIZE_MAX {
        return Err(EdgeError::SizeTooLarge(size));
    }
    Ok((size, rest))
}

/// A compact range of a tree: its size and the roots of its perfect subtrees, at most 63 hashes.
///
/// Enough to append and to know the root at every size; knows no tiles ([`Edge`] does).
#[derive(Clone)]
pub struct Frontier {
    size: u64,
    /// The root of the perfect subtree of height `h` is valid where bit `h` of `size` is set.
    nodes: [Hash; 64],
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Frontier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frontier")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size
            && heights(self.size).all(|h| self.nodes[h as usize] == other.nodes[h as usize])
    }
}

impl Eq for Frontier {}

/// Iterates the heights of the perfect subtrees of a tree, highest first.
fn heights(size: u64) -> impl Iterator<Item = u32> {
    (0..64u32).rev().filter(move |h| size >> h & 1 == 1)
}

impl Frontier {
    /// Returns the frontier of the empty tree.
    pub fn new() -> Self {
        Self {
            size: 0,
            nodes: [[0; HASH_BYTES]; 64],
        }
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash. Costs one node hash on average and allocates nothing.
    pub fn push(&mut self, leaf: Hash) {
        self.push_visiting(leaf, |_, _| {});
    }

    /// Appends a leaf hash and shows every perfect subtree that it completes, by height, leaf first.
    #[inline]
    fn push_visiting(&mut self, leaf: Hash, mut visit: impl FnMut(u32, &Hash)) {
        let mut hash = leaf;
        let mut height = 0;
        visit(height, &hash);
        while self.size >> height & 1 == 1 {
            hash = node_hash(&self.nodes[height as usize], &hash);
            height += 1;
            visit(height, &hash);
        }
        self.nodes[height as usize] = hash;
        self.size += 1;
    }

    /// Returns the root of the tree.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for height in (0..64).filter(|h| self.size >> h & 1 == 1) {
            let node = &self.nodes[height];
            root = Some(match root {
                Some(right) => node_hash(node, &right),
                None => *node,
            });
        }
        root.unwrap_or_else(empty_root)
    }

    /// Serialises: size as 8 bytes big-endian, then the subtree roots, largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = self.size.count_ones() as usize;
        let mut bytes = Vec::with_capacity(8 + count * HASH_BYTES);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for height in heights(self.size) {
            bytes.extend_from_slice(&self.nodes[height as usize]);
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeError> {
        let (size, rest) = split_size(bytes)?;
        let expected = size.count_ones() as usize * HASH_BYTES;
        let (hashes, _) = rest.as_chunks::<HASH_BYTES>();
        if rest.len() != expected {
            return Err(EdgeError::WrongLength {
                size,
                expected,
                found: rest.len(),
            });
        }
        let mut frontier = Self::new();
        frontier.size = size;
        for (height, hash) in heights(size).zip(hashes) {
            frontier.nodes[height as usize] = *hash;
        }
        Ok(frontier)
    }
}

/// A tile that an append completed: 256 hashes, immutable from now on (tlog-tiles).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Level of the tile, 0 for leaf hashes.
    pub level: u8,
    /// Index of the tile within its level.
    pub n: u64,
    /// The 256 hashes one after the other.
    pub hashes: Box<[u8; FULL_TILE_BYTES]>,
}

/// The right edge of a growing tree: the frontier and the partial tile of each level.
///
/// This is all a writer keeps to append leaves, to learn which full tiles became complete, to
/// know the root, and to serve the partial tiles of the current size.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    frontier: Frontier,
    /// Bytes of the partial tile per level, without trailing levels that have never been used.
    levels: Vec<Vec<u8>>,
}

impl PartialEq for Edge {
    fn eq(&self, other: &Self) -> bool {
        let count = self.levels.len().max(other.levels.len()) as u8;
        self.frontier == other.frontier && (0..count).all(|l| self.partial(l) == other.partial(l))
    }
}

impl Eq for Edge {}

impl Edge {
    /// Returns the edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the edge of a tree of `size` leaves from the partial tile of each level.
    ///
    /// `partial` is asked for each level, 0 first, up to the highest that the size reaches, and
    /// must give exactly [`partial_width`] hashes. This is how a store that keeps leaf hashes and
    /// full tiles makes an edge again, and how a verifier makes one from fetched tiles; the
    /// result is worth exactly what its [`Edge::root`] is compared with.
    pub fn from_partials<E: From<EdgeError>>(
        size: u64,
        mut partial: impl FnMut(u8, u8) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        if size > TREE_SIZE_MAX {
            return Err(EdgeError::SizeTooLarge(size).into());
        }
        let mut edge = Self::new();
        edge.frontier.size = size;
        for level in 0..level_count(size) {
            let width = partial_width(level, size);
            let bytes = partial(level, width)?;
            let expected = usize::from(width) * HASH_BYTES;
            if bytes.len() != expected {
                return Err(EdgeError::WrongLength {
                    size,
                    expected,
                    found: bytes.len(),
                }
                .into());
            }
            let (mut hashes, _) = bytes.as_chunks::<HASH_BYTES>();
            for bit in heights(u64::from(width)) {
                let (subtree, rest) = hashes.split_at(1 << bit);
                let height = u32::from(level) * TILE_HEIGHT + bit;
                edge.frontier.nodes[height as usize] = fold(subtree);
                hashes = rest;
            }
            edge.levels.push(bytes);
        }
        Ok(edge)
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Returns the root of the tree; at most 62 node hashes.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Returns the compact range of the tree.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Returns the bytes of the partial tile of a level at the current size, empty if there is
    /// none.
    pub fn partial(&self, level: u8) -> &[u8] {
        self.levels
            .get(usize::from(level))
            .map_or(&[], Vec::as_slice)
    }

    /// Returns the bytes of memory held beside the structure itself, for byte-bounded caches.
    pub fn heap_bytes(&self) -> usize {
        let headers = self.levels.capacity() * size_of::<Vec<u8>>();
        self.levels.iter().map(Vec::capacity).sum::<usize>() + headers
    }

    /// Appends a leaf hash and hands over each tile that it completes, lowest level first.
    ///
    /// Costs one node hash on average; allocates only for a completed tile.
    pub fn push(&mut self, leaf: Hash, emit: &mut impl FnMut(FullTile)) {
        let index = self.frontier.size();
        let levels = &mut self.levels;
        self.frontier.push_visiting(leaf, |height, hash| {
            // Perfect subtrees whose height is a multiple of 8 are the hashes of tiles.
            if height.is_multiple_of(TILE_HEIGHT) {
                let level = (height / TILE_HEIGHT) as usize;
                if levels.len() == level {
                    levels.push(Vec::with_capacity(if level == 0 {
                        FULL_TILE_BYTES
                    } else {
                        0
                    }));
                }
                let tile = &mut levels[level];
                tile.extend_from_slice(hash);
                if tile.len() == FULL_TILE_BYTES {
                    let mut hashes = Box::new([0; FULL_TILE_BYTES]);
                    hashes.copy_from_slice(tile);
                    tile.clear();
                    emit(FullTile {
                        level: level as u8,
                        n: (index / TILE_WIDTH) >> height,
                        hashes,
                    });
                }
            }
        });
    }

    /// Serialises: size as 8 bytes big-endian, then the partial tiles of the levels, 0 first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = self.levels.iter().map(Vec::len).sum::<usize>();
        let mut bytes = Vec::with_capacity(8 + count);
        bytes.extend_from_slice(&self.size().to_be_bytes());
        for level in &self.levels {
            bytes.extend_from_slice(level);
        }
        bytes
    }

    /// Reads what [`Edge::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeError> {
        let (size, rest) = split_size(bytes)?;
        let expected = (0..level_count(size))
            .map(|level| usize::from(partial_width(level, size)) * HASH_BYTES)
            .sum();
        if rest.len() != expected {
            return Err(EdgeError::WrongLength {
                size,
                expected,
                found: rest.len(),
            });
        }
        let mut rest = rest;
        Self::from_partials(size, |_, width| {
            let (tile, after) = rest.split_at(usize::from(width) * HASH_BYTES);
            rest = after;
            Ok(tile.to_vec())
        })
    }
}

/// Returns the number of tile levels that a tree of this size has hashes on.
pub(crate) fn level_count(size: u64) -> u8 {
    (0..8).take_while(|l| size >> (8 * l) > 0).count() as u8
}
