//! Serialised edges of a tree: what reads writes back the same bytes and can go on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::TREE_SIZE_MAX;
use runstone_journal::merkle::{Edge, Frontier, leaf_hash};

fuzz_target!(|data: &[u8]| {
    if let Ok(frontier) = Frontier::from_bytes(data) {
        assert_eq!(frontier.to_bytes(), data);
    }
    let Ok(mut edge) = Edge::from_bytes(data) else {
        return;
    };
    assert_eq!(edge.to_bytes(), data);
    if edge.size() > TREE_SIZE_MAX - 300 {
        return;
    }
    for n in 0..300u64 {
        edge.push(leaf_hash(&n.to_be_bytes()), &mut |_| {});
    }
    assert_eq!(edge.root(), edge.frontier().root());
    assert_eq!(Edge::from_bytes(&edge.to_bytes()), Ok(edge));
});
