//! Any bytes as a file of evidence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::evidence::recognise;

fuzz_target!(|data: &[u8]| {
    if let Some(evidence) = recognise(data) {
        assert!(evidence.summary.is_object());
    }
});
