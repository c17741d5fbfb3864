//! Inclusion and consistency proofs, and receipts.

use crate::log::{ORIGIN, TestLog, keys, signer};
use proptest::prelude::*;
use runstone_journal::checkpoint::CheckpointError;
use runstone_journal::merkle::{Edge, Hash, leaf_hash, node_hash};
use runstone_journal::note::{NoteError, Signer};
use runstone_journal::proof::{
    HashReader, PROOF_HASHES_MAX, ProofError, ProofPlan, RECEIPT_BYTES_MAX,
    RECEIPT_EXTRA_BYTES_MAX, Receipt, ReceiptError, TileId, prove_consistency, prove_inclusion,
    root_at, verify_consistency, verify_inclusion, verify_receipt,
};

#[test]
fn every_pair_of_sizes_is_proven() {
    let mut log = TestLog::new(131);
    let roots = log.roots.clone();
    for size in 0..=131u64 {
        assert_eq!(root_at(&mut log, size).unwrap(), roots[size as usize]);
        for index in 0..size {
            let proof = prove_inclusion(&mut log, index, size).unwrap();
            let leaf = leaf_hash(&log.entries[index as usize]);
            verify_inclusion(&leaf, index, size, &proof, &roots[size as usize]).unwrap();
        }
        for old in 0..=size {
            let proof = prove_consistency(&mut log, old, size).unwrap();
            let (old_root, root) = (&roots[old as usize], &roots[size as usize]);
            verify_consistency(old, old_root, size, root, &proof).unwrap();
        }
    }
}

#[test]
fn sizes_around_tiles_are_proven() {
    let mut log = TestLog::new(1_030);
    let roots = log.roots.clone();
    let sizes = [
        1, 255, 256, 257, 511, 512, 513, 600, 768, 1_023, 1_024, 1_025, 1_030u64,
    ];
    for size in sizes {
        for index in sizes.iter().map(|s| s - 1).filter(|i| *i < size) {
            let proof = prove_inclusion(&mut log, index, size).unwrap();
            let leaf = leaf_hash(&log.entries[index as usize]);
            verify_inclusion(&leaf, index, size, &proof, &roots[size as usize]).unwrap();
        }
        for old in sizes.into_iter().filter(|old| *old <= size) {
            let proof = prove_consistency(&mut log, old, size).unwrap();
            let (old_root, root) = (&roots[old as usize], &roots[size as usize]);
            verify_consistency(old, old_root, size, root, &proof).unwrap();
        }
    }
}

/// Changes one bit of one input of a proof, or its length: none of it may verify.
fn check_tampered(proof: &[Hash], verifies: impl Fn(&[Hash]) -> bool) {
    assert!(verifies(proof));
    for position in 0..proof.len() * 32 {
        let mut tampered = proof.to_vec();
        tampered.as_flattened_mut()[position] ^= 1 << (position % 8);
        assert!(!verifies(&tampered), "bit in byte {position}");
    }
    assert!(!verifies(&[proof, &[[0; 32]]].concat()));
    if let Some((_, rest)) = proof.split_first() {
        assert!(!verifies(rest));
        assert!(!verifies(&proof[..proof.len() - 1]));
    }
}

#[test]
fn tampered_proofs_are_refused() {
    let mut log = TestLog::new(300);
    let roots = log.roots.clone();
    for (index, size) in [
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 3),
        (77, 300),
        (299, 300),
        (255, 256),
    ] {
        let root = roots[size as usize];
        let leaf = leaf_hash(&log.entries[index as usize]);
        let proof = prove_inclusion(&mut log, index, size).unwrap();
        check_tampered(&proof, |p| {
            verify_inclusion(&leaf, index, size, p, &root).is_ok()
        });
        let other = leaf_hash(b"another entry");
        assert!(verify_inclusion(&other, index, size, &proof, &root).is_err());
        assert!(verify_inclusion(&leaf, index + 1, size, &proof, &root).is_err());
        assert!(verify_inclusion(&leaf, index, size, &proof, &other).is_err());
    }
    for (old, new) in [
        (0, 5),
        (5, 5),
        (1, 2),
        (3, 7),
        (4, 7),
        (6, 7),
        (255, 300),
        (256, 300),
        (299, 300),
    ] {
        let (old_root, root) = (roots[old as usize], roots[new as usize]);
        let proof = prove_consistency(&mut log, old, new).unwrap();
        check_tampered(&proof, |p| {
            verify_consistency(old, &old_root, new, &root, p).is_ok()
        });
        let other = leaf_hash(b"another root");
        assert!(verify_consistency(old, &other, new, &root, &proof).is_err());
        if old > 0 {
            // The empty tree is a prefix of any tree, so that only there the new root is free.
            assert!(verify_consistency(old, &old_root, new, &other, &proof).is_err());
        }
        assert!(verify_consistency(new + 1, &root, new, &root, &proof).is_err());
    }
}

/// Hashes beyond the height of the tree would let a proof for another shape pass as one for this.
#[test]
fn a_proof_longer_than_the_tree_is_high_is_refused() {
    let mut log = TestLog::new(7);
    let roots = log.roots.clone();
    let above = leaf_hash(b"above the root");
    let raised = |size: usize| node_hash(&above, &roots[size]);
    for (old, new) in [(3, 4), (3, 7), (5, 7), (6, 7)] {
        let mut proof = prove_consistency(&mut log, old, new).unwrap();
        proof.push(above);
        let (old_root, root) = (raised(old as usize), raised(new as usize));
        let refused = verify_consistency(old, &old_root, new, &root, &proof);
        assert_eq!(refused, Err(ProofError::Length { found: proof.len() }));
    }
    for index in 0..7 {
        let mut proof = prove_inclusion(&mut log, index, 7).unwrap();
        proof.push(above);
        let leaf = leaf_hash(&log.entries[index as usize]);
        let refused = verify_inclusion(&leaf, index, 7, &proof, &raised(7));
        assert_eq!(refused, Err(ProofError::Length { found: proof.len() }));
    }
}

/// A proof that stops early ends at an inner node, which must not pass for a root.
#[test]
fn a_proof_shorter_than_the_tree_is_high_is_refused() {
    let mut log = TestLog::new(7);
    let leaf = leaf_hash(&log.entries[0]);
    let short = Err(ProofError::Length { found: 0 });
    assert_eq!(verify_inclusion(&leaf, 0, 7, &[], &leaf), short);
    assert_eq!(verify_consistency(2, &leaf, 7, &leaf, &[]), short);
    assert_eq!(verify_consistency(3, &leaf, 7, &leaf, &[]), short);
    let proof = prove_inclusion(&mut log, 0, 7).unwrap();
    let inner = node_hash(&leaf, &proof[0]);
    let short = Err(ProofError::Length { found: 1 });
    assert_eq!(verify_inclusion(&leaf, 0, 7, &proof[..1], &inner), short);
}

#[test]
fn what_is_outside_the_tree_is_refused() {
    let outside = ProofError::IndexOutside { index: 5, size: 5 };
    assert_eq!(ProofPlan::inclusion(5, 5), Err(outside.clone()));
    assert_eq!(
        verify_inclusion(&[0; 32], 5, 5, &[], &[0; 32]),
        Err(outside)
    );
    let reversed = ProofError::SizesReversed { old: 6, new: 5 };
    assert_eq!(ProofPlan::consistency(6, 5), Err(reversed));
    let large = ProofError::SizeTooLarge(u64::MAX);
    assert_eq!(ProofPlan::inclusion(0, u64::MAX), Err(large.clone()));
    assert_eq!(ProofPlan::root(u64::MAX), Err(large));
    // The longest possible proofs keep the limit of every parser.
    let size = i64::MAX as u64;
    assert!(ProofPlan::inclusion(0, size).unwrap().tiles().len() <= PROOF_HASHES_MAX * 8);
    let plan = ProofPlan::inclusion(3, 5).unwrap();
    let missing = plan.resolve(|_| None);
    assert_eq!(
        missing,
        Err(ProofError::TileMissing(TileId { level: 0, index: 0 }))
    );
    assert!(
        plan.resolve(|_| Some(&[0; 4 * 32])).is_err(),
        "too few hashes"
    );
}

/// A log of leaves only, large enough for three levels.
struct Leaves {
    tiles: std::collections::BTreeMap<(u8, u64), Vec<u8>>,
    edge: Edge,
    /// How often tiles were read for one proof.
    reads: u32,
}

impl HashReader for Leaves {
    type Error = ProofError;

    fn read_tiles(&mut self, _: u64, tiles: &[TileId]) -> Result<Vec<Vec<u8>>, ProofError> {
        self.reads += 1;
        let read = |id: &TileId| match self.tiles.get(&(id.level, id.index)) {
            Some(hashes) => hashes.clone(),
            None => self.edge.partial(id.level).to_vec(),
        };
        Ok(tiles.iter().map(read).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn random_pairs_in_large_trees(size in 1u64..1 << 17, picks in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 40)) {
        let mut log = Leaves { tiles: std::collections::BTreeMap::new(), edge: Edge::new(), reads: 0 };
        let mut roots = vec![log.edge.root()];
        for index in 0..size {
            let tiles = &mut log.tiles;
            log.edge.push(leaf_hash(&index.to_be_bytes()), &mut |tile| {
                tiles.insert((tile.level, tile.n), tile.hashes.to_vec());
            });
            roots.push(log.edge.root());
        }
        for (a, b) in picks {
            let new = 1 + (a * size as f64) as u64;
            let old = (b * new as f64) as u64;
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            log.reads = 0;
            let proof = prove_consistency(&mut log, old, new)?;
            prop_assert!(log.reads <= 1, "all tiles are read at once");
            verify_consistency(old, old_root, new, new_root, &proof)?;
            let proof = prove_inclusion(&mut log, old, new)?;
            prop_assert!(proof.len() <= PROOF_HASHES_MAX);
            verify_inclusion(&leaf_hash(&old.to_be_bytes()), old, new, &proof, new_root)?;
            prop_assert_eq!(&root_at(&mut log, new)?, new_root);
        }
    }
}

fn receipt(log: &mut TestLog, index: u64, extra: Option<Vec<u8>>) -> Receipt {
    let size = log.size();
    Receipt {
        extra,
        index,
        hashes: prove_inclusion(log, index, size).unwrap(),
        checkpoint: log.checkpoint().sign(&[&signer()]).unwrap().to_string(),
    }
}

#[test]
fn a_receipt_proves_its_entry_offline() {
    let mut log = TestLog::new(300);
    for (index, extra) in [
        (0, None),
        (255, Some(vec![])),
        (299, Some(b"\0any bytes".to_vec())),
    ] {
        let made = receipt(&mut log, index, extra);
        let text = made.to_string();
        let parsed = Receipt::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed, made);
        assert_eq!(parsed.to_string(), text);
        let entry = &log.entries[index as usize];
        assert_eq!(
            verify_receipt(&parsed, entry, &keys()).unwrap(),
            log.checkpoint()
        );
        assert_eq!(
            verify_receipt(&parsed, b"another entry", &keys()),
            Err(ReceiptError::Proof(ProofError::Root))
        );
    }
    let lone = receipt(&mut TestLog::new(1), 0, None);
    assert!(
        lone.to_string()
            .starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\njournal.example/")
    );
    verify_receipt(&lone, &log.entries[0], &keys()).unwrap();
}

#[test]
fn every_changed_byte_of_a_receipt_but_extra_is_refused() {
    let mut log = TestLog::new(11);
    let text = receipt(&mut log, 6, None).to_string();
    for position in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[position] ^= 1;
        let verified =
            Receipt::parse(&bytes).and_then(|r| verify_receipt(&r, &log.entries[6], &keys()));
        assert!(verified.is_err(), "byte {position}");
    }
}

#[test]
fn a_receipt_of_another_signer_is_refused() {
    let mut log = TestLog::new(11);
    let receipt = receipt(&mut log, 6, None);
    let other = Signer::new(ORIGIN, &[8; 32]).unwrap();
    assert_eq!(
        verify_receipt(&receipt, &log.entries[6], &[other.verifier_key().clone()]),
        Err(ReceiptError::Checkpoint(CheckpointError::Note(
            NoteError::NoTrustedSignature
        )))
    );
    let long = vec![0; 65_536];
    assert_eq!(
        verify_receipt(&receipt, &long, &keys()),
        Err(ReceiptError::EntryTooLong(65_536))
    );
}

#[test]
fn malformed_receipts_are_refused() {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let parse = |head: &str| Receipt::parse(format!("{head}\n\ncheckpoint").as_bytes());
    assert!(
        parse(&format!(
            "c2sp.org/tlog-proof@v1\nextra aGk=\nindex 1\n{hash}"
        ))
        .is_ok()
    );
    for (head, line) in [
        ("c2sp.org/tlog-proof@v1", 2),
        ("c2sp.org/tlog-proof@v1\nindex 01", 2),
        ("c2sp.org/tlog-proof@v1\nindex  1", 2),
        ("c2sp.org/tlog-proof@v1\nindex 9223372036854775808", 2),
        ("c2sp.org/tlog-proof@v1\nextra aGk\nindex 1", 2),
        ("c2sp.org/tlog-proof@v1\nextra\nindex 1", 2),
        ("c2sp.org/tlog-proof@v1\nextra aGk=", 3),
        ("c2sp.org/tlog-proof@v1\nextra aGk=\nextra aGk=\nindex 1", 3),
        ("c2sp.org/tlog-proof@v1\nindex 1\nindex 1", 3),
        ("c2sp.org/tlog-proof@v1\nindex 1\naGk=", 3),
        ("c2sp.org/tlog-proof@v1\nindex 1\r", 2),
    ] {
        assert_eq!(parse(head), Err(ReceiptError::Line(line)), "{head:?}");
    }
    assert_eq!(
        parse("c2sp.org/tlog-proof@v2\nindex 1"),
        Err(ReceiptError::Header)
    );
    assert_eq!(
        Receipt::parse(b"c2sp.org/tlog-proof@v1\nindex 1\n"),
        Err(ReceiptError::Shape)
    );
    assert_eq!(Receipt::parse(b"\xff"), Err(ReceiptError::Shape));
    let with_extra = |bytes: usize| Receipt {
        extra: Some(vec![0; bytes]),
        index: 0,
        hashes: vec![],
        checkpoint: String::new(),
    };
    let largest = with_extra(RECEIPT_EXTRA_BYTES_MAX);
    assert_eq!(Receipt::parse(largest.to_string().as_bytes()), Ok(largest));
    let larger = with_extra(RECEIPT_EXTRA_BYTES_MAX + 1).to_string();
    assert_eq!(
        Receipt::parse(larger.as_bytes()),
        Err(ReceiptError::Line(2))
    );
    let long = vec![b'a'; RECEIPT_BYTES_MAX + 1];
    assert_eq!(
        Receipt::parse(&long),
        Err(ReceiptError::TooLong(long.len()))
    );
    let many = format!(
        "c2sp.org/tlog-proof@v1\nindex 1{}",
        format!("\n{hash}").repeat(65)
    );
    assert_eq!(parse(&many), Err(ReceiptError::TooManyHashes));
}
