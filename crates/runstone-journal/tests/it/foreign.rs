//! Two foreign crates as judges: `signed_note` and `tlog_tiles` must accept what we write, and we
//! what they write.

use crate::log::{ORIGIN, TestLog, keys, naive_root, signer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::merkle::{Hash, leaf_hash};
use runstone_journal::note::Note;
use runstone_journal::proof::{
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
use runstone_journal::tile::TilePath;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, Tile, TileReader};

/// Every hash of a log in the foreign crate's own order.
struct Stored(Vec<tlog_tiles::Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
    }
}

fn stored(entries: &[Vec<u8>]) -> Stored {
    let mut stored = Stored(vec![]);
    for (n, entry) in (0..).zip(entries) {
        let hashes = tlog_tiles::stored_hashes(n, entry, &stored).unwrap();
        stored.0.extend(hashes);
    }
    stored
}

fn ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| hash.0).collect()
}

fn theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(*hash)).collect()
}

/// Returns our path for a foreign tile, whose path names the height as well.
fn path_of(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

#[test]
fn tiles_and_roots_are_equal_at_every_size() {
    let entries: Vec<_> = (0..600).map(crate::log::entry).collect();
    let stored = stored(&entries);
    let mut log = TestLog::new(0);
    for size in 1..=600u64 {
        log.push(entries[size as usize - 1].clone());
        let root = tlog_tiles::tree_hash(size, &stored).unwrap();
        assert_eq!(root.0, log.edge.root());
        // What is new at this size in their eyes is what we emit or hold at the edge.
        for tile in Tile::new_tiles(8, size - 1, size) {
            let path: TilePath = path_of(&tile).parse().unwrap();
            assert_eq!(path.to_string(), path_of(&tile));
            assert_eq!(u32::from(path.width()), tile.width());
            let data = tile.read_data(&stored).unwrap();
            assert_eq!(log.tile(tile.level(), tile.level_index()), data, "{path}");
        }
    }
    let theirs: Vec<_> = Tile::new_tiles(8, 0, 600).iter().map(path_of).collect();
    let files = log.files().files;
    let ours = files
        .keys()
        .filter(|p| p.starts_with("tile/") && !p.contains("entries"));
    assert!(ours.eq(theirs.iter()));
}

#[test]
fn proofs_are_equal_and_accepted_both_ways() {
    let mut log = TestLog::new(600);
    let stored = stored(&log.entries);
    for size in [1, 2, 3, 8, 100, 255, 256, 257, 300, 511, 512, 513, 600u64] {
        let root = log.roots[size as usize];
        for index in (0..size).step_by(7) {
            let proof = prove_inclusion(&mut log, index, size).unwrap();
            let foreign = tlog_tiles::prove_record(size, index, &stored).unwrap();
            assert_eq!(ours(&foreign), proof);
            let leaf = leaf_hash(&log.entries[index as usize]);
            let (t, h) = (tlog_tiles::Hash(root), tlog_tiles::Hash(leaf));
            tlog_tiles::check_record(&theirs(&proof), size, t, index, h).unwrap();
            verify_inclusion(&leaf, index, size, &ours(&foreign), &root).unwrap();
        }
        for old in (1..=size).step_by(5) {
            let proof = prove_consistency(&mut log, old, size).unwrap();
            let foreign = tlog_tiles::prove_tree(size, old, &stored).unwrap();
            assert_eq!(ours(&foreign), proof);
            let old_root = log.roots[old as usize];
            let (t, h) = (tlog_tiles::Hash(root), tlog_tiles::Hash(old_root));
            tlog_tiles::check_tree(&theirs(&proof), size, t, old, h).unwrap();
            verify_consistency(old, &old_root, size, &root, &ours(&foreign)).unwrap();
        }
    }
}

/// Our files as a tile server for the foreign reader, which checks each tile against the root.
struct Served(std::collections::BTreeMap<String, Vec<u8>>);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles
            .iter()
            .map(|tile| self.0[&path_of(tile)].clone())
            .collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn the_foreign_reader_authenticates_our_tiles() {
    for size in [1, 5, 256, 257, 600u64] {
        let log = TestLog::new(size);
        let served = Served(log.files().files);
        let root = tlog_tiles::Hash(log.edge.root());
        let reader = tlog_tiles::TileHashReader::new(size, root, &served);
        let indexes: Vec<u64> = (0..size)
            .map(|n| tlog_tiles::stored_hash_index(0, n))
            .collect();
        let leaves = ours(&reader.read_hashes(&indexes).unwrap());
        assert_eq!(naive_root(&leaves), log.edge.root());
    }
}

#[test]
fn notes_are_accepted_both_ways() {
    let signer = signer();
    let checkpoint = TestLog::new(300).checkpoint();
    let text = checkpoint.to_string();
    let note = checkpoint.sign(&[&signer]).unwrap().to_string();

    let verifier = StandardVerifier::new(&signer.verifier_key().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let foreign = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(foreign.verify(&known).unwrap().0.len(), 1);
    let parsed = tlog_tiles::Checkpoint::from_bytes(foreign.text()).unwrap();
    assert_eq!((parsed.origin(), parsed.size()), (ORIGIN, 300));
    assert_eq!(parsed.hash().0, checkpoint.root);

    let private = STANDARD.encode([&[1u8][..], &[7; 32]].concat());
    let id = signer.verifier_key().key_id();
    let foreign_signer =
        StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{private}")).unwrap();
    let hash = tlog_tiles::Hash(checkpoint.root);
    let foreign = tlog_tiles::Checkpoint::new(ORIGIN, 300, hash, "").unwrap();
    assert_eq!(foreign.to_bytes(), text.as_bytes());
    let mut foreign = signed_note::Note::new(&foreign.to_bytes(), &[]).unwrap();
    foreign.add_sigs(&[&foreign_signer]).unwrap();
    let bytes = foreign.to_bytes();
    assert_eq!(bytes, note.as_bytes(), "Ed25519 is deterministic");
    assert_eq!(Checkpoint::open(&bytes, &keys()).unwrap(), checkpoint);
    assert_eq!(Note::parse(&bytes).unwrap().to_string().into_bytes(), bytes);
}
