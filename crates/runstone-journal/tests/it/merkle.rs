//! Merkle hashing, frontier and edge.

use crate::log::{TestLog, entry, naive_root};
use proptest::prelude::*;
use runstone_journal::merkle::{
    Edge, EdgeError, Frontier, Hash, empty_root, hashes_root, leaf_hash,
};
use runstone_journal::tile::{full_tile_count, partial_width};

/// The published inputs and roots for the sizes 0, 1, 2, 3, 7 and 8.
const INPUTS: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [(u64, &str); 6] = [
    (
        0,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (
        1,
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    ),
    (
        2,
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    ),
    (
        3,
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ),
    (
        7,
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    ),
    (
        8,
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

#[test]
fn roots_equal_the_published_vectors() {
    let mut roots = vec![empty_root()];
    let (mut frontier, mut edge) = (Frontier::new(), Edge::new());
    for input in INPUTS {
        let leaf = leaf_hash(&unhex(input));
        frontier.push(leaf);
        edge.push(leaf, &mut |_| {});
        assert_eq!(frontier.root(), edge.root());
        roots.push(edge.root());
    }
    for (size, root) in ROOTS {
        assert_eq!(roots[size as usize].to_vec(), unhex(root), "size {size}");
    }
}

/// Every tile, partial tile and root of a growing log, against the definition in tlog-tiles.
#[test]
fn tiles_and_roots_equal_their_definition_at_every_size() {
    let mut log = TestLog::new(0);
    let mut leaves: Vec<Hash> = vec![];
    for size in 1..=600u64 {
        log.push(entry(size - 1));
        leaves.push(leaf_hash(&entry(size - 1)));
        assert_eq!(log.edge.root(), naive_root(&leaves), "root at {size}");
        for level in 0..3u8 {
            let span = 256usize.pow(u32::from(level));
            let expected: Vec<u8> = leaves.chunks_exact(span).flat_map(naive_root).collect();
            let full = full_tile_count(level, size);
            let mut found: Vec<u8> = (0..full).flat_map(|n| log.tile(level, n)).collect();
            assert_eq!(
                log.edge.partial(level).len(),
                32 * usize::from(partial_width(level, size))
            );
            found.extend_from_slice(log.edge.partial(level));
            assert_eq!(found, expected, "level {level} at size {size}");
        }
        let frontier = Frontier::from_bytes(&log.edge.frontier().to_bytes()).unwrap();
        assert_eq!(&frontier, log.edge.frontier());
        assert_eq!(frontier.root(), log.edge.root());
    }
}

#[test]
fn an_edge_read_back_at_any_moment_goes_on_alike() {
    let whole = TestLog::new(1_100);
    for start in [0, 1, 255, 256, 257, 511, 512, 600, 1_023, 1_024] {
        let mut log = TestLog::new(start);
        log.edge = Edge::from_bytes(&log.edge.to_bytes()).unwrap();
        let edge = log.edge.clone();
        let again = Edge::from_partials::<EdgeError>(start, |level, width| {
            assert_eq!(edge.partial(level).len(), usize::from(width) * 32);
            Ok(edge.partial(level).to_vec())
        });
        assert_eq!(again.unwrap(), log.edge);
        for index in start..1_100 {
            log.push(entry(index));
        }
        assert_eq!(log.edge, whole.edge);
        assert_eq!(log.full, whole.full);
        assert_eq!(log.roots[start as usize..], whole.roots[start as usize..]);
    }
}

/// The shapes that the contract names, and the jump from two to three levels.
#[test]
fn a_large_tree_has_the_published_shape() {
    let (mut edge, mut frontier) = (Edge::new(), Frontier::new());
    let mut tiles = vec![];
    for index in 0..70_000u64 {
        let leaf = leaf_hash(&index.to_be_bytes());
        edge.push(leaf, &mut |tile| tiles.push(tile));
        frontier.push(leaf);
        if index == 65_536 {
            assert_eq!(edge.partial(0).len(), 32);
            assert_eq!(edge.partial(1).len(), 0);
            assert_eq!(edge.partial(2).len(), 32);
            let top = tiles.iter().find(|tile| tile.level == 1).unwrap();
            assert_eq!(hashes_root(top.hashes.as_slice()).unwrap(), edge.partial(2));
        }
    }
    assert_eq!(edge.partial(0).len(), 112 * 32);
    assert_eq!(edge.partial(1).len(), 17 * 32);
    assert_eq!(edge.partial(2).len(), 32);
    let count = |level| tiles.iter().filter(|tile| tile.level == level).count();
    assert_eq!((count(0), count(1), count(2)), (273, 1, 0));
    let numbers: Vec<_> = tiles.iter().filter(|t| t.level == 0).map(|t| t.n).collect();
    assert_eq!(numbers, (0..273).collect::<Vec<_>>());
    assert_eq!(edge.root(), frontier.root());
    assert_eq!(Edge::from_bytes(&edge.to_bytes()).unwrap(), edge);
    assert!(edge.heap_bytes() >= 130 * 32);
}

#[test]
fn hashes_root_is_the_tree_over_any_number_of_hashes() {
    let leaves: Vec<Hash> = (0..256u64).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    for width in 0..=256 {
        let expected = naive_root(&leaves[..width]);
        assert_eq!(hashes_root(leaves[..width].as_flattened()), Some(expected));
    }
    assert_eq!(hashes_root(&[0; 33]), None);
}

#[test]
fn wrong_edge_bytes_are_refused() {
    assert_eq!(Edge::from_bytes(&[0; 7]), Err(EdgeError::TooShort(7)));
    assert_eq!(
        Frontier::from_bytes(&[0xff; 8]),
        Err(EdgeError::SizeTooLarge(u64::MAX))
    );
    let log = TestLog::new(300);
    for bytes in [log.edge.to_bytes(), log.edge.frontier().to_bytes()] {
        let longer = [bytes.as_slice(), &[0]].concat();
        for wrong in [&bytes[..bytes.len() - 1], &longer] {
            assert!(matches!(
                Edge::from_bytes(wrong),
                Err(EdgeError::WrongLength { .. })
            ));
            assert!(matches!(
                Frontier::from_bytes(wrong),
                Err(EdgeError::WrongLength { .. })
            ));
        }
    }
    let large =
        Edge::from_partials::<EdgeError>(u64::MAX, |_, width| Ok(vec![0; usize::from(width) * 32]));
    assert_eq!(large, Err(EdgeError::SizeTooLarge(u64::MAX)));
    let short = Edge::from_partials::<EdgeError>(5, |_, _| Ok(vec![0; 32]));
    assert!(matches!(short, Err(EdgeError::WrongLength { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// An edge split anywhere by serialisation equals one that never was.
    #[test]
    fn random_sizes(sizes in proptest::collection::vec(0u64..1 << 15, 1..5)) {
        let mut sizes = sizes;
        sizes.sort_unstable();
        let (mut edge, mut frontier) = (Edge::new(), Frontier::new());
        for size in sizes {
            for index in edge.size()..size {
                let leaf = leaf_hash(&index.to_be_bytes());
                edge.push(leaf, &mut |_| {});
                frontier.push(leaf);
            }
            edge = Edge::from_bytes(&edge.to_bytes()).unwrap();
            prop_assert_eq!(edge.frontier(), &frontier);
            prop_assert_eq!(edge.root(), frontier.root());
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0u64..600) {
        let mut sized = size.to_be_bytes().to_vec();
        sized.extend_from_slice(&bytes);
        for bytes in [bytes, sized] {
            if let Ok(edge) = Edge::from_bytes(&bytes) {
                prop_assert_eq!(edge.to_bytes(), bytes.clone());
            }
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
        }
    }
}
