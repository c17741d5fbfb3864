//! Receipts and proofs: nothing panics, and no proof verifies for roots nobody computed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::proof::{
    PROOF_HASHES_MAX, ProofPlan, Receipt, verify_consistency, verify_inclusion, verify_receipt,
};

fuzz_target!(|input: (u64, u64, &[u8])| {
    let (a, b, bytes) = input;
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.to_string().as_bytes(), bytes);
        assert!(verify_receipt(&receipt, b"entry", &[]).is_err());
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    assert!(verify_inclusion(&[1; 32], a, b, hashes, &[2; 32]).is_err());
    assert!(verify_consistency(a, &[1; 32], b, &[2; 32], hashes).is_err());
    for plan in [ProofPlan::inclusion(a, b), ProofPlan::consistency(a, b)] {
        let Ok(plan) = plan else { continue };
        let proof = plan
            .resolve(|_| Some(&[3; 8_192]))
            .expect("every tile is there");
        assert!(proof.len() <= PROOF_HASHES_MAX);
    }
});
