//! Inclusion and consistency proofs (RFC 6962 section 2.1, RFC 9162 section 2.1) and receipts
//! (C2SP tlog-proof).
//!
//! Owns which hashes prove what and how a receipt is spelled. Reads no tiles itself: a
//! [`ProofPlan`] names all the tiles that it needs at once, so that a store can fetch them by one
//! statement, sync or async, and then makes the proof from them.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{Hash, empty_root, fold, leaf_hash, node_hash, split_point};
use crate::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::tile::{HASH_BYTES, TILE_HEIGHT, TILE_WIDTH};
use crate::{ENTRY_BYTES_MAX, TREE_SIZE_MAX, base64_text, parse_decimal, parse_hash};
use base64::Engine as _;
use std::collections::BTreeMap;
use std::fmt;

/// Most hashes of a proof that a tree of [`TREE_SIZE_MAX`] leaves can need.
pub const PROOF_HASHES_MAX: usize = 64;
/// Largest `extra` of a receipt in bytes.
pub const RECEIPT_EXTRA_BYTES_MAX: usize = 1 << 16;
/// Largest receipt in bytes.
pub const RECEIPT_BYTES_MAX: usize = NOTE_BYTES_MAX + 2 * RECEIPT_EXTRA_BYTES_MAX;
/// First line of a receipt.
pub const RECEIPT_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof cannot be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree is larger than [`TREE_SIZE_MAX`].
    #[error("tree size {0} is too large")]
    SizeTooLarge(u64),
    /// There is no such leaf.
    #[error("entry {index} is not in a tree of size {size}")]
    IndexOutside {
        /// Index of the leaf.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of size {new} cannot extend one of size {old}")]
    SizesReversed {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// A tile that the plan named was not given, or has too few hashes.
    #[error("tile {} of level {} is missing or too short", .0.index, .0.level)]
    TileMissing(TileId),
    /// The number of hashes does not belong to the sizes.
    #[error("the proof has {found} hashes, which does not fit the tree sizes")]
    Length {
        /// Hashes in the proof.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The place of a tile of hashes, full or partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level, 0 for leaf hashes.
    pub level: u8,
    /// Index within the level.
    pub index: u64,
}

/// A perfect subtree: 2^height leaves, the `index`-th of its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subtree {
    height: u32,
    index: u64,
}

impl Subtree {
    /// Returns the tile that holds the hashes below it, and their range in that tile.
    fn place(self) -> (TileId, std::ops::Range<usize>) {
        let inner = self.height % TILE_HEIGHT;
        let first = self.index << inner;
        let start = (first % TILE_WIDTH) as usize;
        let tile = TileId {
            level: (self.height / TILE_HEIGHT) as u8,
            index: first / TILE_WIDTH,
        };
        (tile, start..start + (1 << inner))
    }
}

/// Splits the leaves `start..end` of a tree into perfect subtrees, largest first.
///
/// `start` is where RFC 6962 splits, so it is a multiple of the largest of them.
fn cover(start: u64, end: u64) -> Vec<Subtree> {
    let mut subtrees = Vec::new();
    let mut start = start;
    while start < end {
        let height = (end - start).ilog2();
        subtrees.push(Subtree {
            height,
            index: start >> height,
        });
        start += 1 << height;
    }
    subtrees
}

/// Which subtrees make each hash of a proof, and so which tiles must be read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofPlan {
    /// One element per proof hash: the subtrees that are folded to it.
    hashes: Vec<Vec<Subtree>>,
}

impl ProofPlan {
    /// Plans the inclusion proof of leaf `index` in the tree of `size` leaves.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, ProofError> {
        check_size(size)?;
        if index >= size {
            return Err(ProofError::IndexOutside { index, size });
        }
        let (mut start, mut end) = (0, size);
        let mut hashes = Vec::new();
        while end - start > 1 {
            let middle = start + split_point(end - start);
            if index < middle {
                hashes.push(cover(middle, end));
                end = middle;
            } else {
                hashes.push(cover(start, middle));
                start = middle;
            }
        }
        // Walked from the root down; a proof goes from the leaf up.
        hashes.reverse();
        Ok(Self { hashes })
    }

    /// Plans the proof that the tree of `new` leaves extends the one of `old` leaves.
    pub fn consistency(old: u64, new: u64) -> Result<Self, ProofError> {
        check_size(new)?;
        if old > new {
            return Err(ProofError::SizesReversed { old, new });
        }
        let mut hashes = Vec::new();
        if old == 0 || old == new {
            return Ok(Self { hashes });
        }
        let (mut start, mut end) = (0, new);
        while old < end {
            let middle = start + split_point(end - start);
            if old <= middle {
                hashes.push(cover(middle, end));
                end = middle;
            } else {
                hashes.push(cover(start, middle));
                start = middle;
            }
        }
        // The verifier knows the old root itself; it needs this subtree only if it is not the root.
        if start > 0 {
            hashes.push(cover(start, end));
        }
        hashes.reverse();
        Ok(Self { hashes })
    }

    /// Plans the root of the tree of `size` leaves: a single hash, none for the empty tree.
    pub fn root(size: u64) -> Result<Self, ProofError> {
        check_size(size)?;
        let hashes = if size == 0 {
            vec![]
        } else {
            vec![cover(0, size)]
        };
        Ok(Self { hashes })
    }

    /// Returns the tiles to read, each once, in order. They exist in every tree of the planned size
    /// or larger; the partial tile of the planned size is enough.
    pub fn tiles(&self) -> Vec<TileId> {
        let mut tiles: Vec<_> = self.hashes.iter().flatten().map(|s| s.place().0).collect();
        tiles.sort_unstable();
        tiles.dedup();
        tiles
    }

    /// Makes the hashes of the proof from the bytes of the tiles.
    pub fn resolve<'t>(
        &self,
        tile: impl Fn(TileId) -> Option<&'t [u8]>,
    ) -> Result<Vec<Hash>, ProofError> {
        let subtree_root = |subtree: &Subtree| {
            let (id, range) = subtree.place();
            let hashes = tile(id).map(|bytes| bytes.as_chunks::<HASH_BYTES>().0);
            let below = hashes.and_then(|hashes| hashes.get(range));
            below.map(fold).ok_or(ProofError::TileMissing(id))
        };
        let mut proof = Vec::with_capacity(self.hashes.len());
        for subtrees in &self.hashes {
            let mut roots = subtrees.iter().rev();
            let last = roots.next().expect("a planned range is not empty");
            let mut root = subtree_root(last)?;
            for left in roots {
                root = node_hash(&subtree_root(left)?, &root);
            }
            proof.push(root);
        }
        Ok(proof)
    }
}

fn check_size(size: u64) -> Result<(), ProofError> {
    if size > TREE_SIZE_MAX {
        return Err(ProofError::SizeTooLarge(size));
    }
    Ok(())
}

/// Something that reads tiles of hashes, all that are needed in one call.
pub trait HashReader {
    /// Why reading failed.
    type Error: From<ProofError>;

    /// Returns the bytes of each tile, in the order asked, as they are in the tree of `size`
    /// leaves or later: more hashes than that tree has in a tile do no harm.
    fn read_tiles(&mut self, size: u64, tiles: &[TileId]) -> Result<Vec<Vec<u8>>, Self::Error>;
}

/// Reads what a plan needs and makes its hashes.
fn read<R: HashReader + ?Sized>(
    reader: &mut R,
    size: u64,
    plan: &ProofPlan,
) -> Result<Vec<Hash>, R::Error> {
    let ids = plan.tiles();
    let bytes = if ids.is_empty() {
        Vec::new()
    } else {
        reader.read_tiles(size, &ids)?
    };
    let tiles: BTreeMap<_, _> = ids.into_iter().zip(bytes).collect();
    Ok(plan.resolve(|id| tiles.get(&id).map(Vec::as_slice))?)
}

/// Makes the inclusion proof of leaf `index` in the tree of `size` leaves, leaf sibling first.
pub fn prove_inclusion<R: HashReader + ?Sized>(
    reader: &mut R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, R::Error> {
    read(reader, size, &ProofPlan::inclusion(index, size)?)
}

/// Makes the proof that the tree of `new` leaves extends the one of `old` leaves.
pub fn prove_consistency<R: HashReader + ?Sized>(
    reader: &mut R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, R::Error> {
    read(reader, new, &ProofPlan::consistency(old, new)?)
}

/// Computes the root of the tree of `size` leaves, which may be an earlier one.
pub fn root_at<R: HashReader + ?Sized>(reader: &mut R, size: u64) -> Result<Hash, R::Error> {
    let hashes = read(reader, size, &ProofPlan::root(size)?)?;
    Ok(hashes.first().copied().unwrap_or_else(empty_root))
}

/// Verifies that the leaf is number `index` of the tree (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_size(size)?;
    if index >= size {
        return Err(ProofError::IndexOutside { index, size });
    }
    let length = ProofError::Length { found: proof.len() };
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(length),
    }
}

/// Verifies that the tree of `new` leaves extends the one of `old` leaves (RFC 9162 section
/// 2.1.4.2).
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    check_size(new)?;
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    let length = ProofError::Length { found: proof.len() };
    if old == 0 || old == new {
        let known_root = if old == new { *new_root } else { empty_root() };
        return match (proof.is_empty(), *old_root == known_root) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(length),
        };
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A power of two is a subtree of the new tree, so that its root starts the proof unwritten.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or_else(|| length.clone())?
    };
    let (mut older, mut newer) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            older = node_hash(hash, &older);
            newer = node_hash(hash, &newer);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            newer = node_hash(&newer, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    match (last, older == *old_root && newer == *new_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(length),
    }
}

/// A receipt (`.tlog-proof`): everything needed to show offline that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes for the application. **Not authenticated**: anybody may change them.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion proof, leaf sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

/// A receipt cannot be read or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// More than [`RECEIPT_BYTES_MAX`].
    #[error("the receipt has {0} bytes, more than {RECEIPT_BYTES_MAX}")]
    TooLong(usize),
    /// Not UTF-8, or no blank line in front of the checkpoint.
    #[error("the receipt is not text with a blank line in front of a checkpoint")]
    Shape,
    /// The first line is another one.
    #[error("the receipt does not start with {RECEIPT_HEADER}")]
    Header,
    /// The line is not what must stand there.
    #[error("line {0} of the receipt is malformed")]
    Line(usize),
    /// More than [`PROOF_HASHES_MAX`] hashes.
    #[error("the receipt has more than {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The entry is longer than any entry of a log.
    #[error("the entry has {0} bytes, more than {ENTRY_BYTES_MAX}")]
    EntryTooLong(usize),
    /// The checkpoint is malformed or not signed by a trusted key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not lead from the entry to the checkpoint.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Parses a receipt without verifying it, in exactly the form that is formatted.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ReceiptError::Shape)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ReceiptError::Shape)?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        if lines.next() != Some((1, RECEIPT_HEADER)) {
            return Err(ReceiptError::Header);
        }
        let mut extra = None;
        if let Some((number, line)) = lines.next_if(|(_, line)| line.starts_with("extra ")) {
            extra = Some(parse_extra(line).ok_or(ReceiptError::Line(number))?);
        }
        let index = lines
            .next()
            .and_then(|(_, line)| line.strip_prefix("index "));
        let index_line = if extra.is_some() { 3 } else { 2 };
        let index = index.and_then(parse_decimal);
        let index = index.ok_or(ReceiptError::Line(index_line))?;
        let mut hashes = Vec::new();
        for (number, line) in lines {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(ReceiptError::TooManyHashes);
            }
            hashes.push(parse_hash(line).ok_or(ReceiptError::Line(number))?);
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

fn parse_extra(line: &str) -> Option<Vec<u8>> {
    let encoded = line.strip_prefix("extra ")?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    (bytes.len() <= RECEIPT_EXTRA_BYTES_MAX).then_some(bytes)
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RECEIPT_HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64_text(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", base64_text(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Verifies offline that the entry is in the log whose trusted key signed the receipt's
/// checkpoint, and returns that checkpoint.
pub fn verify_receipt(
    receipt: &Receipt,
    entry: &[u8],
    keys: &[VerifierKey],
) -> Result<Checkpoint, ReceiptError> {
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(ReceiptError::EntryTooLong(entry.len()));
    }
    let checkpoint = Checkpoint::open(receipt.checkpoint.as_bytes(), keys)?;
    verify_inclusion(
        &leaf_hash(entry),
        receipt.index,
        checkpoint.size,
        &receipt.hashes,
        &checkpoint.root,
    )?;
    Ok(checkpoint)
}
