//! Backup and restore, between engines, and the ways they refuse.

use std::sync::Arc;

use runstone_store::{Engine, Options, Store, backup, fsck, restore};

use crate::stories::{dump, live, options_in, options_of};
use crate::support::{benches, new_database, postgres_url};

async fn empty_engines() -> Vec<(Engine, Arc<tempfile::TempDir>)> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let directory = folder.path().join("data");
    let mut engines = vec![(Engine::Sqlite { directory }, folder)];
    if let Some(url) = postgres_url() {
        let url = new_database(&url).await;
        engines.push((
            Engine::Postgres { url },
            Arc::new(tempfile::tempdir().unwrap()),
        ));
    }
    engines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_either_engine_is_restored_into_either() {
    for bench in benches(40).await {
        live(&bench, 40, 300).await;
        bench.store.seal_all().await.unwrap();
        let options = options_of(&bench);
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        // The store stays open: a backup needs no pause.
        let done = backup(&options, &copy, true, &mut |_| {}).await.unwrap();
        assert_eq!(done.logs.len(), 3);
        assert!(done.files >= 5, "{done:?}");
        let before = dump(&options).await;
        for (engine, target) in empty_engines().await {
            let options = options_in(&engine, &target);
            let restored = restore(&copy, &options, &mut |_| {}).await.unwrap();
            assert_eq!(restored.logs, done.logs);
            assert!(restored.stopped.is_empty());
            assert_eq!(dump(&options).await, before);
            let report = fsck(&options, &mut |_| {}).await.unwrap();
            assert_eq!(report.problems, []);
            // Life goes on in it.
            let store = Store::open(options.clone()).await.unwrap();
            assert_eq!(
                store.read().await.unwrap().organizations().await.unwrap(),
                bench
                    .store
                    .read()
                    .await
                    .unwrap()
                    .organizations()
                    .await
                    .unwrap()
            );
            store.rotate_key("acme").await.unwrap();
            store.close().await;
            let refused = restore(&copy, &options, &mut |_| {}).await.unwrap_err();
            assert!(refused.to_string().contains("empty"), "{refused}");
        }
        bench.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_copied_only_when_asked_for() {
    let bench = benches(41).await.remove(0);
    live(&bench, 41, 60).await;
    let options = options_of(&bench);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    backup(&options, &copy, false, &mut |_| {}).await.unwrap();
    let secret = std::fs::read_to_string(bench.folder.path().join("keys")).unwrap();
    let seed = secret.lines().nth(1).unwrap().to_owned();
    assert!(!copy.join("keys").exists());
    let target = Arc::new(tempfile::tempdir().unwrap());
    let engine = Engine::Sqlite {
        directory: target.path().join("data"),
    };
    let into = options_in(&engine, &target);
    let error = restore(&copy, &into, &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("key file"), "{error}");
    // With the key file kept elsewhere it works.
    let kept = Options {
        key_file: Some(bench.folder.path().join("keys")),
        ..into
    };
    restore(&copy, &kept, &mut |_| {}).await.unwrap();
    for path in [copy.join("runstone.db"), copy.join("manifest.json")] {
        let bytes = std::fs::read(&path).unwrap();
        let needle = seed.as_bytes();
        assert!(
            !bytes.windows(needle.len()).any(|window| window == needle),
            "{} holds the seed",
            path.display()
        );
    }
    let again = backup(&options, &copy, false, &mut |_| {})
        .await
        .unwrap_err();
    assert!(again.to_string().ends_with("is not empty"), "{again}");
    bench.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused() {
    let bench = benches(42).await.remove(0);
    live(&bench, 42, 200).await;
    bench.store.close().await;
    let options = options_of(&bench);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    backup(&options, &copy, true, &mut |_| {}).await.unwrap();
    let target = Arc::new(tempfile::tempdir().unwrap());
    let engine = Engine::Sqlite {
        directory: target.path().join("data"),
    };
    let into = options_in(&engine, &target);
    let file = copy.join("runstone.db");
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    let error = restore(&copy, &into, &mut |_| {}).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("runstone.db in the backup is not"),
        "{error}"
    );
    std::fs::write(&file, &good).unwrap();
    let more = copy.join("more");
    std::fs::write(&more, "x").unwrap();
    let error = restore(&copy, &into, &mut |_| {}).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more in the backup is not in its manifest"),
        "{error}"
    );
    std::fs::remove_file(&more).unwrap();
    let key = std::fs::read(copy.join("keys")).unwrap();
    std::fs::remove_file(copy.join("keys")).unwrap();
    let error = restore(&copy, &into, &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("keys is missing"), "{error}");
    std::fs::write(copy.join("keys"), key).unwrap();
    restore(&copy, &into, &mut |_| {}).await.unwrap();
}
