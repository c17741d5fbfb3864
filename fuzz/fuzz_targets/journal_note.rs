//! Signed notes and verifier keys: what parses formats back to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::note::{Note, VerifierKey};

fuzz_target!(|data: &[u8]| {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let keys = [VerifierKey::parse(vkey).expect("the key is valid")];
        if note.verify(&keys).is_ok() {
            // Nobody here holds the private key: only the one published text can verify.
            assert_eq!(note.text(), "This is an example message.\n");
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(key) = VerifierKey::parse(text)
    {
        assert_eq!(key.to_string(), text);
    }
});
