//! Exported logs, rotated keys and epochs as a verifier sees them who has only public keys.

use std::path::{Path, PathBuf};

use runstone_journal::checkpoint::Checkpoint;
use runstone_journal::note::VerifierKey;
use runstone_journal::verify::{
    Fetch, FetchError, Mode, Request, Verified, VerifyError, verify_at,
};
use runstone_store::fsck;

use crate::stories::options_of;
use crate::support::{Bench, benches, report};

struct Folder(PathBuf);

impl Fetch for Folder {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FetchError::new(error)),
        }
    }
}

fn keys(folder: &Path) -> Vec<VerifierKey> {
    std::fs::read_to_string(folder.join("keys"))
        .unwrap()
        .lines()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

fn verify(
    folder: &Path,
    checkpoint: &str,
    keys: &[VerifierKey],
    remembered: Option<&Checkpoint>,
    mode: Mode,
) -> Result<Verified, VerifyError> {
    let note = std::fs::read(folder.join(checkpoint)).unwrap();
    verify_at(
        &mut Folder(folder.to_owned()),
        note,
        &Request {
            keys,
            origin: None,
            remembered,
            mode,
        },
        &mut |_, _| Ok(()),
    )
}

/// Appends to the log of `acme` until it has `size` entries, many in a batch.
async fn grow(bench: &Bench, from: u64, size: u64) {
    let mut next = from;
    while next < size {
        let end = size.min(next + 500);
        let commands = (next..end).map(|index| {
            bench.system(
                "acme",
                runstone_model::command::Action::NoteClockMovedBack { by: index as i64 },
            )
        });
        for result in futures_util::future::join_all(commands).await {
            result.unwrap();
        }
        next = end;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_logs_verify_at_all_kinds_of_sizes() {
    for bench in benches(60).await {
        bench.organization("acme").await;
        let mut size = 0;
        let mut remembered: Option<Checkpoint> = None;
        for next in [0, 1, 255, 256, 257, 600, 1_025] {
            grow(&bench, size, next).await;
            size = next;
            if next == 600 {
                bench.store.seal_all().await.unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            let exported = bench.store.export("acme", folder.path()).await.unwrap();
            assert_eq!(exported.size, size);
            let keys = keys(folder.path());
            for mode in [Mode::Full, Mode::Incremental] {
                let verified = verify(
                    folder.path(),
                    "checkpoint",
                    &keys,
                    remembered.as_ref(),
                    mode,
                )
                .unwrap();
                assert_eq!(verified.checkpoint.size, size);
                if mode == Mode::Incremental {
                    remembered = Some(verified.checkpoint);
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        bench.store.export("_server", folder.path()).await.unwrap();
        verify(
            folder.path(),
            "checkpoint",
            &keys(folder.path()),
            None,
            Mode::Full,
        )
        .unwrap();
        let error = bench.store.export("nobody", &folder.path().join("x")).await;
        assert!(error.unwrap_err().to_string().contains("does not exist"));
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_larger_than_a_tile_of_tiles_verifies() {
    let bench = benches(61).await.remove(0);
    bench.organization("acme").await;
    grow(&bench, 0, 65_536 + 300).await;
    bench.store.seal_all().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    bench.store.export("acme", folder.path()).await.unwrap();
    let verified = verify(
        folder.path(),
        "checkpoint",
        &keys(folder.path()),
        None,
        Mode::Full,
    )
    .unwrap();
    assert_eq!(verified.entries, 65_836);
    bench.store.close().await;
    let report = fsck(&options_of(&bench), &mut |_| {}).await.unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.counts.tiles, 257 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_signs_beside_the_new_one_for_a_while() {
    let bench = benches(62).await.remove(0);
    bench.organization("acme").await;
    bench.environment("acme", "prod", false).await;
    let exported = |name: &'static str| {
        let store = bench.store.clone();
        async move {
            let folder = tempfile::tempdir().unwrap();
            store.export(name, folder.path()).await.unwrap();
            folder
        }
    };
    let before = exported("acme").await;
    let old = keys(before.path());
    assert_eq!(old.len(), 1);
    let remembered = verify(before.path(), "checkpoint", &old, None, Mode::Full)
        .unwrap()
        .checkpoint;
    bench.store.rotate_key("acme").await.unwrap();
    bench
        .system("acme", report("prod", &[("web", 1, &[1])]))
        .await
        .unwrap();
    let during = exported("acme").await;
    let both = keys(during.path());
    assert_eq!(both.len(), 2);
    // Who knows only the old key can follow, and so can who knows only the new one.
    for known in [&both[..1], &both[1..], &both[..]] {
        verify(
            during.path(),
            "checkpoint",
            known,
            Some(&remembered),
            Mode::Full,
        )
        .unwrap();
    }
    bench.clock.advance(31 * 24 * 3_600 * 1_000_000);
    bench
        .system("acme", report("prod", &[("web", 2, &[1])]))
        .await
        .unwrap();
    let after = exported("acme").await;
    verify(
        after.path(),
        "checkpoint",
        &both[1..],
        Some(&remembered),
        Mode::Full,
    )
    .unwrap();
    verify(
        after.path(),
        "checkpoint",
        &both[..1],
        Some(&remembered),
        Mode::Full,
    )
    .unwrap_err();
    let lines = std::fs::read_to_string(after.path().join("keys")).unwrap();
    let ends: Vec<_> = lines
        .lines()
        .map(|line| line.split(' ').skip(1).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(ends, ["0 3", "1 -"]);
    bench.store.close().await;
    let report = fsck(&options_of(&bench), &mut |_| {}).await.unwrap();
    assert_eq!(report.problems, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_epoch_verifies_with_its_own_key() {
    for bench in benches(63).await {
        bench.organization("acme").await;
        grow(&bench, 0, 300).await;
        bench.store.rotate_key("acme").await.unwrap();
        // Others write while the epoch changes.
        let (begun, ()) = tokio::join!(
            bench.store.new_epoch(Some("acme"), "a test"),
            grow(&bench, 301, 500)
        );
        let begun = begun.unwrap();
        grow(&bench, 0, 100).await;
        let folder = tempfile::tempdir().unwrap();
        let exported = bench.store.export("acme", folder.path()).await.unwrap();
        assert_eq!(exported.origin, begun[0].new_origin);
        assert_eq!(exported.size, 300 + 1 + 199 + 1 + 100);
        let keys = keys(folder.path());
        assert_eq!(keys.len(), 3);
        let new = verify(folder.path(), "checkpoint", &keys, None, Mode::Full).unwrap();
        let epoch = begun[0].old_origin.rsplit('/').next().unwrap();
        let old = verify(
            folder.path(),
            &format!("epochs/{epoch}/checkpoint"),
            &keys,
            None,
            Mode::Full,
        )
        .unwrap();
        // The tree has grown since, within some of its tiles and beyond others.
        assert!(old.checkpoint.size < new.checkpoint.size);
        let mut read = bench.store.read().await.unwrap();
        let acme = read.organization_named("acme").await.unwrap().unwrap().no;
        let ended = read.log(acme, Some(epoch)).await.unwrap().unwrap();
        let checkpoint = Checkpoint::open(ended.note.as_bytes(), &keys).unwrap();
        assert_eq!(
            checkpoint.size, ended.size,
            "the last checkpoint covers the epoch"
        );
        assert_eq!(checkpoint.origin, begun[0].old_origin);
        let first = read.entry(acme, ended.size).await.unwrap().unwrap();
        let first: serde_json::Value = serde_json::from_slice(&first).unwrap();
        assert_eq!(first["event"], "EpochBegun");
        assert_eq!(first["data"]["size"], ended.size);
        assert_eq!(
            first["data"]["root"],
            runstone_model::id::encode_hex(&checkpoint.root)
        );
        drop(read);
        bench.store.close().await;
        let report = fsck(&options_of(&bench), &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
    }
}
