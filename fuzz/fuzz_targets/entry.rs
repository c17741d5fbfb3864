//! Stored entries and bodies: any bytes are read or refused, and what reads writes back the same.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use runstone_model::event::{Effects, Entry};
use runstone_model::state::Step;

fuzz_target!(|input: (&[u8], &[u8], bool)| {
    let (entry, body, erased) = input;
    if let Ok(effects) = Effects::from_json(body) {
        let written = effects.to_json();
        assert_eq!(Effects::from_json(&written), Ok(effects));
    }
    if let Ok(step) = Step::from_bytes(body) {
        assert_eq!(Step::from_bytes(&step.to_bytes()), Ok(step));
    }
    let _ = Entry::body_digests(entry);
    let bodies = [(!erased).then(|| Arc::from(body))];
    // Room for the digests that writing adds.
    if entry.len() < 3_000
        && let Ok(read) = Entry::decode(entry, &bodies)
    {
        let (bytes, written) = read.encode();
        let bodies: Vec<_> = written.iter().map(|body| body.in_hand().cloned()).collect();
        assert_eq!(Entry::decode(&bytes, &bodies), Ok(read));
    }
});
