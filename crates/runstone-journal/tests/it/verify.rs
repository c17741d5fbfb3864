//! Verification of whole logs: what holds, and everything that must be found.

use crate::log::{Files, ORIGIN, TestLog, entry, keys, signer};
use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::Signer;
use runstone_journal::verify::{
    Fetch, FetchError, Mode, Request, Verified, VerifyError, verify_at, verify_log,
};

fn run(
    files: &mut Files,
    remembered: Option<&Checkpoint>,
    mode: Mode,
) -> Result<Verified, VerifyError> {
    let keys = keys();
    let request = Request {
        keys: &keys,
        origin: Some(ORIGIN),
        remembered,
        mode,
    };
    verify_log(files, &request, &mut |_, _| Ok(()))
}

fn full(files: &mut Files) -> Result<Verified, VerifyError> {
    run(files, None, Mode::Full)
}

/// Returns the log with another entry at `index`, everything above it hashed again and signed:
/// what a log that rewrites history would serve.
fn rewritten(size: u64, index: u64) -> TestLog {
    let mut log = TestLog::new(0);
    for i in 0..size {
        log.push(if i == index {
            b"rewritten".to_vec()
        } else {
            entry(i)
        });
    }
    log
}

#[test]
fn honest_logs_hold_and_show_each_entry_once() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513, 600] {
        let log = TestLog::new(size);
        let mut files = log.files();
        let keys = keys();
        let request = Request {
            keys: &keys,
            ..Request::default()
        };
        let mut seen = vec![];
        let verified = verify_log(&mut files, &request, &mut |index, entry| {
            assert_eq!(index, seen.len() as u64);
            seen.push(entry.to_vec());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, log.entries);
        assert_eq!(verified.checkpoint, log.checkpoint());
        assert_eq!(verified.entries, size);
        assert_eq!(verified.note, files.files["checkpoint"]);
        // Everything that the log serves was read, and each file once.
        files.asked.sort();
        let mut all: Vec<_> = files.files.keys().cloned().collect();
        all.sort();
        assert_eq!(files.asked, all);
        let tiles = all
            .iter()
            .filter(|p| p.starts_with("tile/") && !p.contains("entries"));
        assert_eq!(verified.tiles, tiles.count() as u64);
    }
}

#[test]
fn logs_with_three_levels_hold() {
    let log = TestLog::new(65_537);
    let mut files = log.files();
    assert_eq!(full(&mut files).unwrap().tiles, 256 + 1 + 1 + 1);
    let mut old = TestLog::new(65_500).checkpoint();
    files.asked.clear();
    let verified = run(&mut files, Some(&old), Mode::Incremental).unwrap();
    assert_eq!(verified.entries, 37);
    assert!(files.asked.len() <= 10, "{:?}", files.asked);
    old.root[0] ^= 1;
    let refused = run(&mut files, Some(&old), Mode::Incremental);
    assert!(matches!(
        refused,
        Err(VerifyError::Inconsistent { size: 65_500 })
    ));
    let path = "tile/1/000";
    let mut tampered = log.files();
    tampered.files.get_mut(path).unwrap()[32 * 200] ^= 1;
    let refused = full(&mut tampered);
    assert!(
        matches!(&refused, Err(VerifyError::TileDiffers { path: p, position: 200 }) if p == path)
    );
}

/// Flips each bit (of the first bytes of) of each file: the file is named, or its entry.
#[test]
fn every_flipped_byte_is_found() {
    for size in [1, 3, 257, 300] {
        let honest = TestLog::new(size).files();
        full(&mut honest.clone()).unwrap();
        for (path, bytes) in &honest.files {
            let step = (bytes.len() / 97).max(1);
            for position in (0..bytes.len()).step_by(step) {
                let mut files = honest.clone();
                files.files.get_mut(path).unwrap()[position] ^= 1 << (position % 8);
                let error = full(&mut files).unwrap_err();
                let shown = error.to_string();
                let named = shown.contains(path.as_str());
                assert!(named, "byte {position} of {path} of {size}: {shown}");
            }
            let mut files = honest.clone();
            files.files.get_mut(path).unwrap().push(b'x');
            assert!(full(&mut files).is_err(), "{path} made longer");
            let mut files = honest.clone();
            files.files.get_mut(path).unwrap().pop();
            assert!(full(&mut files).is_err(), "{path} made shorter");
            let mut files = honest.clone();
            files.files.remove(path);
            let error = full(&mut files).unwrap_err();
            assert!(matches!(&error, VerifyError::Missing { path: p } if p == path));
        }
    }
}

#[test]
fn the_error_names_entry_tile_and_place() {
    let mut files = TestLog::new(600).files();
    let bundle = files.files.get_mut("tile/entries/001").unwrap();
    let last = bundle.len() - 1;
    bundle[last] ^= 1;
    match full(&mut files).unwrap_err() {
        VerifyError::EntryDiffers {
            index,
            bundle,
            tile,
        } => {
            let last = (256..512).rfind(|i| !entry(*i).is_empty()).unwrap();
            assert_eq!(index, last);
            assert_eq!(
                (bundle.as_str(), tile.as_str()),
                ("tile/entries/001", "tile/0/001")
            );
        }
        other => panic!("{other}"),
    }
    let mut files = TestLog::new(600).files();
    files.files.get_mut("tile/1/000.p/2").unwrap()[40] ^= 1;
    match full(&mut files).unwrap_err() {
        VerifyError::TileDiffers { path, position } => {
            assert_eq!((path.as_str(), position), ("tile/1/000.p/2", 1));
        }
        other => panic!("{other}"),
    }
    // Entry and tile changed together: only the root tells.
    let mut files = rewritten(600, 300).files();
    files.files.insert(
        "checkpoint".to_owned(),
        TestLog::new(600).files().files["checkpoint"].clone(),
    );
    assert!(matches!(
        full(&mut files),
        Err(VerifyError::RootDiffers { size: 600 })
    ));
}

/// What grew, changed, shrank or forked since a remembered checkpoint, in both modes.
#[test]
fn history_is_compared_with_the_remembered_checkpoint() {
    let sizes = [0, 1, 200, 255, 256, 257, 300, 511, 512, 600u64];
    for old in sizes {
        let remembered = TestLog::new(old).checkpoint();
        for new in sizes {
            for mode in [Mode::Full, Mode::Incremental] {
                let honest = run(&mut TestLog::new(new).files(), Some(&remembered), mode);
                if new < old {
                    assert!(matches!(honest, Err(VerifyError::RolledBack { .. })));
                    continue;
                }
                let verified = honest.unwrap();
                let expected = if mode == Mode::Full { new } else { new - old };
                assert_eq!(verified.entries, expected, "{old} to {new}");
                // Rewriting any old entry is found even though everything is signed and hashed.
                for index in [0, old / 2, old.saturating_sub(1)] {
                    let forked = run(&mut rewritten(new, index).files(), Some(&remembered), mode);
                    if index < old {
                        assert!(
                            matches!(forked, Err(VerifyError::Inconsistent { size }) if size == old),
                            "{old} to {new}, entry {index}"
                        );
                    } else {
                        forked.unwrap();
                    }
                }
            }
        }
    }
}

#[test]
fn a_remembered_empty_log_has_the_empty_root() {
    let mut remembered = TestLog::new(0).checkpoint();
    remembered.root[0] ^= 1;
    for mode in [Mode::Full, Mode::Incremental] {
        let refused = run(&mut TestLog::new(5).files(), Some(&remembered), mode);
        assert!(matches!(
            refused,
            Err(VerifyError::Inconsistent { size: 0 })
        ));
    }
}

#[test]
fn incremental_verification_finds_damage_after_the_remembered_size() {
    let remembered = TestLog::new(300).checkpoint();
    let honest = TestLog::new(600).files();
    for path in [
        "tile/0/001",
        "tile/entries/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ] {
        let mut files = honest.clone();
        let bytes = files.files.get_mut(path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let error = run(&mut files, Some(&remembered), Mode::Incremental).unwrap_err();
        assert!(error.to_string().contains(path), "{path}: {error}");
    }
    // Nothing of what is older is read, apart from the edge.
    let mut files = honest.clone();
    run(&mut files, Some(&remembered), Mode::Incremental).unwrap();
    assert!(!files.asked.contains(&"tile/entries/000".to_owned()));
}

#[test]
fn full_tiles_answer_for_deleted_partial_ones() {
    // The log grew on and pruned its partial tiles after the checkpoint was taken.
    let old = TestLog::new(300);
    let note = old.files().files["checkpoint"].clone();
    let mut files = TestLog::new(600).files();
    // The partial tile of level 1 has no full one yet, and must still be there.
    files
        .files
        .insert("tile/1/000.p/1".to_owned(), old.tile(1, 0));
    let keys = keys();
    let request = Request {
        keys: &keys,
        ..Request::default()
    };
    let mut count = 0;
    let verified = verify_at(&mut files, note, &request, &mut |_, _| {
        count += 1;
        Ok(())
    });
    assert_eq!(verified.unwrap().checkpoint, old.checkpoint());
    assert_eq!(count, 300);
    assert!(files.asked.contains(&"tile/0/001.p/44".to_owned()));
    assert!(files.asked.contains(&"tile/0/001".to_owned()));
}

#[test]
fn another_log_or_signer_is_refused() {
    let mut files = TestLog::new(5).files();
    let keys = keys();
    let request = Request {
        keys: &keys,
        origin: Some("other.example/log"),
        ..Request::default()
    };
    let error = verify_log(&mut files, &request, &mut |_, _| Ok(())).unwrap_err();
    assert!(matches!(error, VerifyError::Origin { .. }));
    let other = Signer::new(ORIGIN, &[1; 32]).unwrap();
    let note = TestLog::new(5).checkpoint().sign(&[&other]).unwrap();
    files
        .files
        .insert("checkpoint".to_owned(), note.to_string().into_bytes());
    assert!(matches!(full(&mut files), Err(VerifyError::Checkpoint(_))));
    // Both keys sign while one replaces the other: either is enough.
    let note = TestLog::new(5)
        .checkpoint()
        .sign(&[&other, &signer()])
        .unwrap();
    files
        .files
        .insert("checkpoint".to_owned(), note.to_string().into_bytes());
    full(&mut files).unwrap();
}

#[test]
fn a_refused_entry_and_a_failed_read_are_told_apart() {
    let keys = keys();
    let request = Request {
        keys: &keys,
        ..Request::default()
    };
    let refused = verify_log(&mut TestLog::new(5).files(), &request, &mut |index, _| {
        if index == 3 {
            Err("not canonical".to_owned())
        } else {
            Ok(())
        }
    });
    let shown = refused.unwrap_err().to_string();
    assert_eq!(shown, "entry 3 was refused: not canonical");

    struct Offline;
    impl Fetch for Offline {
        fn fetch(&mut self, _: &str) -> Result<Option<Vec<u8>>, FetchError> {
            Err(FetchError::new("connection refused"))
        }
    }
    let failed = verify_log(&mut Offline, &request, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(failed.to_string(), "failed to read checkpoint");
    let source = std::error::Error::source(&failed).unwrap();
    assert_eq!(source.to_string(), "connection refused");
}

#[test]
fn answers_larger_than_any_log_gives_are_refused() {
    for path in ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5"] {
        let mut files = TestLog::new(5).files();
        files.files.insert(path.to_owned(), vec![0; 17_000_000]);
        assert!(
            matches!(full(&mut files), Err(VerifyError::Length { .. })),
            "{path}"
        );
    }
}

/// A server that gives a tile honestly at first and another one when it is asked again.
struct TwoFaced(Files);

impl Fetch for TwoFaced {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let asked_before = self.0.asked.iter().any(|asked| asked == path);
        let mut answer = self.0.fetch(path)?;
        if asked_before && let Some(bytes) = &mut answer {
            bytes[0] ^= 1;
        }
        Ok(answer)
    }
}

#[test]
fn a_server_that_changes_its_answer_is_found() {
    let remembered = TestLog::new(300).checkpoint();
    let mut server = TwoFaced(TestLog::new(600).files());
    let keys = keys();
    let request = Request {
        keys: &keys,
        origin: None,
        remembered: Some(&remembered),
        mode: Mode::Incremental,
    };
    let error = verify_log(&mut server, &request, &mut |_, _| Ok(())).unwrap_err();
    assert!(
        matches!(&error, VerifyError::TileDiffers { path, position: 0 } if path == "tile/0/001"),
        "{error}"
    );
}
