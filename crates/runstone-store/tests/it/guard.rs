//! The checkpoint guard: what it lets out, and what it stops (D5, D6).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runstone_model::command::{Action, Caller, Command};
use runstone_model::fact::OrganizationNo;
use runstone_store::{Engine, Options, Store, SubmitError, backup, fsck, restore};

use crate::stories::{options_in, options_of};
use crate::support::{Bench, benches, options, report};

fn guarded(options: Options, guard: &Path) -> Options {
    Options {
        guard: Some(guard.display().to_string()),
        ..options
    }
}

/// A store with a guard, in the folder of a bench that is closed first.
async fn reopen(bench: Bench, guard: &Path) -> Bench {
    bench.store.close().await;
    let store = Store::open(guarded(options_of(&bench), guard))
        .await
        .unwrap();
    Bench { store, ..bench }
}

async fn try_report(store: &Store, byte: u8) -> Result<(), SubmitError> {
    store
        .submit(Command {
            caller: Caller::System("test"),
            organization: "acme".to_owned(),
            action: report("prod", &[("web", byte, &[i64::from(byte)])]),
            salt: store.salt(),
        })
        .await
        .map(|_| ())
}

async fn published(store: &Store, no: OrganizationNo) -> u64 {
    let mut read = store.read().await.unwrap();
    read.log(no, None).await.unwrap().unwrap().size
}

/// Waits until the published log has a size.
async fn until_published(store: &Store, no: OrganizationNo, size: u64) {
    for _ in 0..200 {
        if published(store, no).await == size {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("size {size} was not published in 5 s");
}

async fn until_stopped(store: &Store) -> String {
    for _ in 0..200 {
        if let Some(reason) = store.stopped() {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("writes were not stopped in 5 s");
}

fn refused(result: Result<(), SubmitError>) -> String {
    match result {
        Err(SubmitError::Unavailable { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_served_as_far_as_the_guard_holds_it() {
    for bench in benches(50).await {
        let outside = tempfile::tempdir().unwrap();
        let guard = outside.path().join("guard");
        let bench = reopen(bench, &guard).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        for byte in 1..5 {
            try_report(&bench.store, byte).await.unwrap();
        }
        until_published(&bench.store, acme, 5).await;
        // The guard goes away: what is acknowledged is durable, but not yet published.
        std::fs::rename(&guard, outside.path().join("gone")).unwrap();
        std::fs::write(&guard, "a file where the folder was").unwrap();
        try_report(&bench.store, 9).await.unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(published(&bench.store, acme).await, 5);
        assert_eq!(bench.store.stopped(), None);
        // It comes back, and all goes on without a restart.
        std::fs::remove_file(&guard).unwrap();
        std::fs::rename(outside.path().join("gone"), &guard).unwrap();
        until_published(&bench.store, acme, 6).await;
        let mut read = bench.store.read().await.unwrap();
        assert!(read.receipt(acme, 5).await.unwrap().is_some());
        drop(read);
        bench.store.close().await;
        let report = fsck(&options_of(&bench), &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_never_reached_keeps_writes_off_until_it_is() {
    let bench = benches(51).await.remove(0);
    bench.organization("acme").await;
    bench.environment("acme", "prod", false).await;
    let outside = tempfile::tempdir().unwrap();
    let guard = outside.path().join("guard");
    let bench = reopen(bench, &guard).await;
    bench.store.close().await;
    // A record that cannot be read: a folder in its place.
    let records: Vec<_> = std::fs::read_dir(&guard)
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_none())
        .collect();
    let kept: Vec<_> = records
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    for path in &records {
        std::fs::write(path, "not a checkpoint").unwrap();
    }
    let store = Store::open(guarded(options_of(&bench), &guard))
        .await
        .unwrap();
    let reason = refused(try_report(&store, 1).await);
    assert!(
        reason.starts_with("the checkpoint guard cannot be reached"),
        "{reason}"
    );
    for (path, bytes) in records.iter().zip(&kept) {
        std::fs::write(path, bytes).unwrap();
    }
    for _ in 0..200 {
        if store.stopped().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    try_report(&store, 1).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_writes_again_only_in_a_new_epoch() {
    for bench in benches(52).await {
        let outside = tempfile::tempdir().unwrap();
        let guard = outside.path().join("guard");
        let bench = reopen(bench, &guard).await;
        let acme = bench.organization("acme").await;
        bench.environment("acme", "prod", false).await;
        try_report(&bench.store, 1).await.unwrap();
        let copy = outside.path().join("copy");
        backup(&options_of(&bench), &copy, true, &mut |_| {})
            .await
            .unwrap();
        try_report(&bench.store, 2).await.unwrap();
        try_report(&bench.store, 3).await.unwrap();
        until_published(&bench.store, acme, 4).await;
        bench.store.close().await;

        let target = Arc::new(tempfile::tempdir().unwrap());
        let engine = Engine::Sqlite {
            directory: target.path().join("data"),
        };
        let into = guarded(options_in(&engine, &target), &guard);
        let restored = restore(&copy, &into, &mut |_| {}).await.unwrap();
        assert_eq!(restored.stopped.len(), 1, "{restored:?}");
        assert!(restored.stopped[0].contains("it was rolled back"));

        let store = Store::open(into.clone()).await.unwrap();
        let reason = refused(try_report(&store, 4).await);
        assert!(
            reason.contains("holds size 4") && reason.contains("runstone admin new-epoch --reason"),
            "{reason}"
        );
        // Reads go on.
        let mut read = store.read().await.unwrap();
        assert_eq!(
            read.environments(acme).await.unwrap()[0].snapshots,
            1,
            "what was restored is readable"
        );
        drop(read);
        let begun = store
            .new_epoch(None, "restored from a backup")
            .await
            .unwrap();
        assert_eq!(begun.len(), 1, "only the log that is behind: {begun:?}");
        assert_eq!(begun[0].organization, "acme");
        assert_eq!((begun[0].size, begun[0].signed_size), (2, 4));
        assert_eq!(store.stopped(), None);
        try_report(&store, 4).await.unwrap();
        until_published(&store, acme, 4).await;
        let mut read = store.read().await.unwrap();
        let head = read.log(acme, None).await.unwrap().unwrap();
        assert_eq!(head.origin, begun[0].new_origin);
        assert_eq!(head.epochs.len(), 2);
        let entry = read.entry(acme, 2).await.unwrap().unwrap();
        let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
        assert_eq!(entry["event"], "EpochBegun");
        assert_eq!(entry["data"]["origin"], begun[0].old_origin);
        assert_eq!(entry["data"]["size"], 2);
        assert_eq!(entry["data"]["signed_size"], 4);
        drop(read);
        store.close().await;
        let report = fsck(&into, &mut |_| {}).await.unwrap();
        assert_eq!(report.problems, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_copies_of_a_store_one_is_stopped() {
    let bench = benches(53).await.remove(0);
    let outside = tempfile::tempdir().unwrap();
    let guard = outside.path().join("guard");
    let bench = reopen(bench, &guard).await;
    let acme = bench.organization("acme").await;
    bench.environment("acme", "prod", false).await;
    bench.store.close().await;
    let Engine::Sqlite { directory } = &bench.engine else {
        panic!("the first bench is SQLite");
    };
    let twin = Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir(twin.path().join("data")).unwrap();
    std::fs::copy(
        directory.join("runstone.db"),
        twin.path().join("data/runstone.db"),
    )
    .unwrap();
    std::fs::copy(bench.folder.path().join("keys"), twin.path().join("keys")).unwrap();
    let engine = Engine::Sqlite {
        directory: twin.path().join("data"),
    };
    let other = Store::open(guarded(
        options(&engine, &twin, bench.clock.clone(), 99),
        &guard,
    ))
    .await
    .unwrap();
    let store = Store::open(guarded(options_of(&bench), &guard))
        .await
        .unwrap();
    try_report(&store, 1).await.unwrap();
    until_published(&store, acme, 2).await;
    // The copy does not know yet; it takes one change, which is never published.
    try_report(&other, 2).await.unwrap();
    let reason = until_stopped(&other).await;
    assert!(reason.contains("the log was forked"), "{reason}");
    refused(try_report(&other, 3).await);
    assert_eq!(published(&other, acme).await, 1);
    try_report(&store, 3).await.unwrap();
    until_published(&store, acme, 3).await;
    assert_eq!(store.stopped(), None);
    let begun = other
        .new_epoch(None, "the copy goes its own way")
        .await
        .unwrap();
    assert_eq!(begun.len(), 1);
    try_report(&other, 5).await.unwrap();
    until_published(&other, acme, 4).await;
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_new_epoch_passes_a_stopped_guard() {
    let bench = benches(54).await.remove(0);
    bench.organization("acme").await;
    let refused = bench
        .store
        .new_epoch(Some("nobody"), "no reason")
        .await
        .unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(_)));
    let begun = bench
        .store
        .new_epoch(Some(""), "the server's own log")
        .await
        .unwrap();
    assert_eq!(begun[0].organization, "_server");
    let all = bench.store.new_epoch(None, "moved").await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].old_origin, begun[0].new_origin);
    bench
        .system("acme", Action::NoteClockMovedBack { by: 1 })
        .await
        .unwrap();
    bench.store.close().await;
    let report = fsck(&options_of(&bench), &mut |_| {}).await.unwrap();
    assert_eq!(report.problems, []);
}
