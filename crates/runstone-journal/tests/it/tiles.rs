//! Tile paths, widths and entry bundles.

use runstone_journal::tile::{
    BundleError, TileKind, TilePath, all_tiles, decode_bundle, encode_bundle, full_tile_count,
    partial_tiles, partial_width,
};

fn check_path(path: &str, kind: TileKind, index: u64, width: u16) {
    let parsed: TilePath = path.parse().unwrap();
    assert_eq!(
        (parsed.kind, parsed.index, parsed.width()),
        (kind, index, width)
    );
    assert_eq!(parsed.to_string(), path);
}

#[test]
fn paths_are_spelled_as_published() {
    check_path("tile/0/000", TileKind::Hashes(0), 0, 256);
    check_path("tile/0/999", TileKind::Hashes(0), 999, 256);
    check_path("tile/1/x001/000", TileKind::Hashes(1), 1_000, 256);
    check_path(
        "tile/63/x001/x234/067",
        TileKind::Hashes(63),
        1_234_067,
        256,
    );
    check_path(
        "tile/0/x001/x234/067.p/1",
        TileKind::Hashes(0),
        1_234_067,
        1,
    );
    check_path(
        "tile/entries/x123/456.p/255",
        TileKind::Entries,
        123_456,
        255,
    );
    let last = "tile/entries/x009/x223/x372/x036/x854/x775/807.p/255";
    check_path(last, TileKind::Entries, i64::MAX as u64, 255);
}

#[test]
fn every_other_spelling_is_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/+0/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/256/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/x000/x001/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/0/xx01/002",
        "tile/0/+01",
        "tile/0/X001/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/x001.p/000",
        "tile/0/٠٠٠",
        "tile/0/000?x",
        "tile/0/000\n",
        "tile/8/0/000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<TilePath>().is_err(), "{path}");
    }
}

#[test]
fn widths_at_published_sizes() {
    for (size, level, full, width) in [
        (70_000, 0, 273, 112),
        (70_000, 1, 1, 17),
        (70_000, 2, 0, 1),
        (70_000, 3, 0, 0),
        (256, 0, 1, 0),
        (256, 1, 0, 1),
        (65_537, 0, 256, 1),
        (65_537, 1, 1, 0),
        (65_537, 2, 0, 1),
        (u64::MAX, 8, 0, 0),
        (u64::MAX, 63, 0, 0),
    ] {
        assert_eq!(
            full_tile_count(level, size),
            full,
            "level {level} of {size}"
        );
        assert_eq!(partial_width(level, size), width, "level {level} of {size}");
    }
    let paths = |size| {
        partial_tiles(size)
            .map(|p| p.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(0), [""; 0]);
    assert_eq!(paths(256), ["tile/1/000.p/1"]);
    assert_eq!(
        paths(70_000),
        ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    );
    assert_eq!(all_tiles(70_000).count(), 274 + 274 + 2 + 1);
}

#[test]
fn a_log_answers_for_exactly_its_tiles_and_their_prefixes() {
    let size = 600;
    let within = |path: &str| path.parse::<TilePath>().unwrap().is_within(size);
    for path in [
        "tile/0/000",
        "tile/0/001",
        "tile/0/001.p/7",
        "tile/0/002.p/88",
        "tile/0/002.p/1",
        "tile/entries/002.p/88",
        "tile/1/000.p/2",
    ] {
        assert!(within(path), "{path}");
    }
    for path in [
        "tile/0/002",
        "tile/0/002.p/89",
        "tile/0/003.p/1",
        "tile/1/000.p/3",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/entries/002",
        "tile/63/000.p/1",
    ] {
        assert!(!within(path), "{path}");
    }
    assert_eq!(TilePath::at_size(TileKind::Entries, 3, size), None);
    assert_eq!(TilePath::at_size(TileKind::Entries, 2, 512), None);
}

#[test]
fn bundles_of_every_width_are_read_back() {
    let entries: Vec<Vec<u8>> = (0..256).map(crate::log::entry).collect();
    for width in 0..=256u16 {
        let entries = &entries[..usize::from(width)];
        let bytes = encode_bundle(entries).unwrap();
        assert_eq!(decode_bundle(&bytes, width).unwrap(), entries);
        for other in [width.wrapping_sub(1), width + 1] {
            assert!(
                decode_bundle(&bytes, other).is_err(),
                "width {width} read as {other}"
            );
        }
        if let Some(shorter) = bytes.len().checked_sub(1) {
            assert!(decode_bundle(&bytes[..shorter], width).is_err());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(decode_bundle(&longer, width).is_err());
    }
}

#[test]
fn bundle_bytes_and_limits() {
    assert_eq!(
        encode_bundle(&["a", "", "bcd"]).unwrap(),
        b"\0\x01a\0\0\0\x03bcd"
    );
    let longest = vec![9; 65_535];
    let bytes = encode_bundle(&[&longest]).unwrap();
    assert_eq!(bytes[..2], [0xff, 0xff]);
    assert_eq!(decode_bundle(&bytes, 1).unwrap(), [&longest]);
    assert_eq!(
        encode_bundle(&[vec![], vec![9; 65_536]]),
        Err(BundleError::EntryTooLong {
            position: 1,
            bytes: 65_536
        })
    );
    assert_eq!(
        encode_bundle(&[""; 257]),
        Err(BundleError::TooManyEntries(257))
    );
    assert_eq!(
        decode_bundle(&[0; 514], 257),
        Err(BundleError::TooManyEntries(257))
    );
}
