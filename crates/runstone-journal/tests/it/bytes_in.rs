//! No parser panics, whatever bytes it is given, and what it accepts it writes back unchanged.

use crate::log::{Files, TestLog, keys};
use proptest::prelude::*;
use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::{Note, VerifierKey};
use runstone_journal::proof::{
    ProofPlan, Receipt, verify_consistency, verify_inclusion, verify_receipt,
};
use runstone_journal::tile::{TilePath, decode_bundle, encode_bundle};
use runstone_journal::verify::{Mode, Request, verify_log};

/// Text that looks like the formats, cut and joined at random.
fn near_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("— ".to_owned()),
        Just(" ".to_owned()),
        Just("+".to_owned()),
        Just("tile/".to_owned()),
        Just("entries/".to_owned()),
        Just(".p/".to_owned()),
        Just("c2sp.org/tlog-proof@v1\n".to_owned()),
        Just("extra ".to_owned()),
        Just("index ".to_owned()),
        Just("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned()),
        Just("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".to_owned()),
        "x?[0-9]{1,20}/?",
        "[a-zA-Z0-9+/=]{0,12}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Any bytes, or text near the formats, or a real file with one byte changed.
fn near_bytes() -> impl Strategy<Value = Vec<u8>> {
    let mut log = TestLog::new(3);
    let proof = runstone_journal::proof::prove_inclusion(&mut log, 1, 3).unwrap();
    let checkpoint = String::from_utf8(log.files().files["checkpoint"].clone()).unwrap();
    let receipt = Receipt {
        extra: Some(vec![1]),
        index: 1,
        hashes: proof,
        checkpoint,
    };
    let real = receipt.to_string().into_bytes();
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        near_text().prop_map(String::into_bytes),
        (
            any::<prop::sample::Index>(),
            any::<u8>(),
            any::<prop::sample::Index>()
        )
            .prop_map(move |(position, byte, start)| {
                let mut bytes = real.clone();
                bytes[position.index(real.len())] = byte;
                // Starting anywhere makes notes and checkpoints of receipts as well.
                bytes.split_off(start.index(real.len()))
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn notes_checkpoints_and_receipts(bytes in near_bytes()) {
        if let Ok(note) = Note::parse(&bytes) {
            // Formatting gives the bytes back: nothing was skipped or read loosely.
            prop_assert_eq!(note.to_string().into_bytes(), bytes.clone());
            let _ = note.verify(&keys());
        }
        let _ = Checkpoint::open(&bytes, &keys());
        if let Ok(receipt) = Receipt::parse(&bytes) {
            prop_assert_eq!(receipt.to_string().into_bytes(), bytes.clone());
            let _ = verify_receipt(&receipt, b"entry", &keys());
        }
    }

    #[test]
    fn texts(text in near_text()) {
        if let Ok(path) = TilePath::parse(&text) {
            prop_assert_eq!(path.to_string(), text.clone());
            let _ = path.is_within(u64::MAX);
        }
        if let Ok(key) = VerifierKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }

    #[test]
    fn tile_paths(level in 0u8..64, index in 0..=i64::MAX as u64, shift in 0u32..63, width in 0u8..=255, entries: bool) {
        use runstone_journal::tile::TileKind;
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let path = TilePath { kind, index: index >> shift, partial: std::num::NonZeroU8::new(width) };
        prop_assert_eq!(path.to_string().parse::<TilePath>(), Ok(path));
    }

    #[test]
    fn bundles(bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..600), width in 0u16..=260) {
        if let Ok(entries) = decode_bundle(&bytes, width) {
            prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes);
        }
    }

    #[test]
    fn proofs(a in any::<u64>(), b in any::<u64>(), shift in 0u32..64, proof in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let (a, b) = (a >> shift, b >> shift);
        prop_assert!(verify_inclusion(&[0; 32], a, b, &proof, &[1; 32]).is_err());
        prop_assert!(verify_consistency(a, &[0; 32], b, &[1; 32], &proof).is_err());
        for plan in [ProofPlan::inclusion(a, b), ProofPlan::consistency(a, b), ProofPlan::root(a)].into_iter().flatten() {
            prop_assert!(!plan.tiles().iter().any(|tile| tile.level > 7));
            prop_assert!(plan.resolve(|_| Some(&[5; 8_192])).unwrap().len() <= runstone_journal::proof::PROOF_HASHES_MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn served_files(path in any::<prop::sample::Index>(), bytes in near_bytes()) {
        let mut files: Files = TestLog::new(260).files();
        let path = files.files.keys().nth(path.index(files.files.len())).unwrap().clone();
        files.files.insert(path, bytes);
        let keys = keys();
        let old = TestLog::new(10).checkpoint();
        for mode in [Mode::Full, Mode::Incremental] {
            let request = Request { keys: &keys, origin: None, remembered: Some(&old), mode };
            prop_assert!(verify_log(&mut files, &request, &mut |_, _| Ok(())).is_err());
        }
    }
}
