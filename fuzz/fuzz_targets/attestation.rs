//! Any bytes as the body of an attestation of any kind, a flow, a trail or an artifact.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::attestation::KINDS;
use runstone_model::provenance;

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    match kind.read(body) {
        Ok(attestation) => assert!(!attestation.kind_in_statuses().is_empty()),
        Err(errors) => assert!(errors.0.values().all(|text| text.contains(" [input: "))),
    }
    let _ = provenance::create_flow(body);
    let _ = provenance::create_legacy_flow(body);
    let _ = provenance::rename_flow(body);
    let _ = provenance::create_trail(body);
    let _ = provenance::create_artifact(body);
});
