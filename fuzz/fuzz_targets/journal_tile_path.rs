//! Tile paths: one value has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_journal::tile::TilePath;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(path) = TilePath::parse(text) {
        assert_eq!(path.to_string(), text);
        assert!((1..=256).contains(&path.width()));
        let _ = path.is_within(u64::MAX);
    }
});
