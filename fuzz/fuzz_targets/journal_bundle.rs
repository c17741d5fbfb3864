//! Entry bundles: what decodes at a width encodes back to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::tile::{decode_bundle, encode_bundle};

fuzz_target!(|input: (u16, &[u8])| {
    let (width, bytes) = input;
    let width = width % 260;
    if let Ok(entries) = decode_bundle(bytes, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_bundle(&entries).as_deref(), Ok(bytes));
    }
});
