//! Checkpoints: what parses formats back to the same text, and can be signed and opened.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::Signer;

fuzz_target!(|data: &[u8]| {
    let _ = Checkpoint::open(data, &[]);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(checkpoint) = Checkpoint::parse(text) else {
        return;
    };
    assert_eq!(checkpoint.to_string(), text);
    let signer = Signer::new(&checkpoint.origin, &[1; 32]).expect("an origin can name a key");
    let note = checkpoint
        .sign(&[&signer])
        .expect("what parses can be signed");
    let keys = [signer.verifier_key().clone()];
    let opened = Checkpoint::open(note.to_string().as_bytes(), &keys);
    assert_eq!(opened, Ok(checkpoint));
});
