//! A whole log in memory, made by the crate under test, and the naive tree it is compared with.

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle::{Edge, Hash, leaf_hash, node_hash};
use runstone_journal::note::{Signer, VerifierKey};
use runstone_journal::proof::{HashReader, ProofError, TileId};
use runstone_journal::tile::{TileKind, TilePath, all_tiles, encode_bundle};
use runstone_journal::verify::{Fetch, FetchError};
use std::collections::BTreeMap;

pub const ORIGIN: &str = "journal.example/log/acme/0123abcd";

pub fn signer() -> Signer {
    Signer::new(ORIGIN, &[7; 32]).unwrap()
}

pub fn keys() -> Vec<VerifierKey> {
    vec![signer().verifier_key().clone()]
}

/// Returns entry `index`: different lengths, empty ones among them.
pub fn entry(index: u64) -> Vec<u8> {
    let text = format!("{{\"entry\":{index}}}");
    text.as_bytes()[..text.len().min((index * 5 % 23) as usize)].to_vec()
}

/// RFC 6962 section 2.1 read aloud; slow and obviously right.
pub fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => runstone_journal::merkle::empty_root(),
        1 => leaves[0],
        n => {
            let mut split = 1;
            while split * 2 < n {
                split *= 2;
            }
            node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

/// A log that has grown one entry at a time.
#[derive(Default, Clone)]
pub struct TestLog {
    pub entries: Vec<Vec<u8>>,
    pub edge: Edge,
    /// Hashes of each level as they were emitted, full tiles only.
    pub full: BTreeMap<(u8, u64), Vec<u8>>,
    pub roots: Vec<Hash>,
}

impl TestLog {
    pub fn new(size: u64) -> Self {
        let mut log = Self {
            roots: vec![Edge::new().root()],
            ..Self::default()
        };
        for index in 0..size {
            log.push(entry(index));
        }
        log
    }

    pub fn push(&mut self, entry: Vec<u8>) {
        let full = &mut self.full;
        self.edge.push(leaf_hash(&entry), &mut |tile| {
            let old = full.insert((tile.level, tile.n), tile.hashes.to_vec());
            assert!(old.is_none(), "a tile is emitted once");
        });
        self.entries.push(entry);
        self.roots.push(self.edge.root());
    }

    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            origin: ORIGIN.to_owned(),
            size: self.size(),
            root: self.edge.root(),
        }
    }

    /// Returns the hashes of a tile as known now.
    pub fn tile(&self, level: u8, index: u64) -> Vec<u8> {
        match self.full.get(&(level, index)) {
            Some(hashes) => hashes.clone(),
            None => self.edge.partial(level).to_vec(),
        }
    }

    /// Returns every file that the log serves at its size.
    pub fn files(&self) -> Files {
        let mut files = BTreeMap::new();
        for path in all_tiles(self.size()) {
            let bytes = match path.kind {
                TileKind::Hashes(level) => self.tile(level, path.index),
                TileKind::Entries => {
                    let first = path.index as usize * 256;
                    encode_bundle(&self.entries[first..first + usize::from(path.width())]).unwrap()
                }
            };
            files.insert(path.to_string(), bytes);
        }
        let note = self.checkpoint().sign(&[&signer()]).unwrap();
        files.insert("checkpoint".to_owned(), note.to_string().into_bytes());
        Files {
            files,
            asked: vec![],
        }
    }
}

impl HashReader for TestLog {
    type Error = ProofError;

    fn read_tiles(&mut self, size: u64, tiles: &[TileId]) -> Result<Vec<Vec<u8>>, ProofError> {
        assert!(tiles.is_sorted(), "tiles are asked in order");
        let read = |id: &TileId| {
            // Exactly as wide as the tree of that size has it: no later hash may be needed.
            let path = TilePath::at_size(TileKind::Hashes(id.level), id.index, size);
            let path = path.ok_or(ProofError::TileMissing(*id))?;
            let mut bytes = self.tile(id.level, id.index);
            bytes.truncate(usize::from(path.width()) * 32);
            Ok(bytes)
        };
        tiles.iter().map(read).collect()
    }
}

/// The files of a log by path.
#[derive(Clone)]
pub struct Files {
    pub files: BTreeMap<String, Vec<u8>>,
    pub asked: Vec<String>,
}

impl Fetch for Files {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        self.asked.push(path.to_owned());
        Ok(self.files.get(path).cloned())
    }
}
