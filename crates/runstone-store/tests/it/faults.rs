//! A full disk, a read-only one, a second server on one folder: clear errors, no damage, and
//! recovery without a restart where that is possible.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use runstone_model::command::Reply;
use runstone_model::fact::EnvironmentNo;
use runstone_store::{Engine, OpenError, Store, SubmitError};

use crate::support::{Bench, TestClock, open, options, report};

/// A file system of its own, unmounted when dropped; none where mounting is not allowed.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .status();
        if status.is_ok_and(|status| status.success()) {
            Some(Self(path))
        } else {
            println!("left out: mounting a small file system is not allowed here");
            None
        }
    }

    fn read_only(&self) {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.0)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

async fn fresh(folder: &Arc<tempfile::TempDir>, data: &Path) -> Bench {
    let bench = open(
        Engine::Sqlite {
            directory: data.to_owned(),
        },
        Arc::clone(folder),
        5,
    )
    .await;
    bench.organization("acme").await;
    bench.environment("acme", "prod", false).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let Some(_disk) = Disk::mount(&data, "8m") else {
        return;
    };
    let bench = fresh(&folder, &data).await;
    // Fill what is left.
    let filler = data.join("filler");
    let mut size = 8 * 1024 * 1024;
    while size > 1024 {
        let mut bytes = std::fs::read(&filler).unwrap_or_default();
        bytes.resize(bytes.len() + size, 0);
        if std::fs::write(&filler, &bytes).is_err() {
            bytes.truncate(bytes.len() - size);
            std::fs::write(&filler, &bytes).unwrap();
            size /= 2;
        }
    }
    let names: Vec<String> = (0..200)
        .map(|number| format!("artifact-{number}"))
        .collect();
    let mut acknowledged = Vec::new();
    let mut refused = false;
    for round in 1..200u8 {
        let artifacts: Vec<(&str, u8, &[i64])> = names
            .iter()
            .map(|name| (name.as_str(), round, &[1i64][..]))
            .collect();
        match bench.system("acme", report("prod", &artifacts)).await {
            Ok(done) => {
                let Reply::Snapshot(no) = done.reply else {
                    panic!("each report differs");
                };
                acknowledged.push((no, round));
            }
            Err(SubmitError::Unavailable { reason, .. }) => {
                assert!(!reason.is_empty());
                refused = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused, "the disk never got full");
    let mut read = bench.store.read().await.unwrap();
    let acme = read.organization_named("acme").await.unwrap().unwrap().no;
    for (no, round) in &acknowledged {
        let running = read.running(acme, EnvironmentNo(1), *no).await.unwrap();
        assert_eq!(running[0].identity.fingerprint.unwrap().0[0], *round);
    }
    drop(read);
    std::fs::remove_file(&filler).unwrap();
    let done = bench
        .system("acme", report("prod", &[("web", 250, &[1])]))
        .await
        .expect("it works again without a restart");
    assert_eq!(done.reply, Reply::Snapshot(acknowledged.len() as u64 + 1));
    bench.store.close().await;
    let problems = runstone_store::fsck(
        &options(&bench.engine, &folder, bench.clock.clone(), 5),
        &mut |_| {},
    )
    .await
    .unwrap()
    .problems;
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_is_said_to_be_one() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let Some(disk) = Disk::mount(&data, "8m") else {
        return;
    };
    let bench = fresh(&folder, &data).await;
    bench.store.close().await;
    let engine = bench.engine.clone();
    drop(bench);
    disk.read_only();
    let clock = Arc::new(TestClock::at(1_790_000_001_000_000));
    let error = Store::open(options(&engine, &folder, clock, 6))
        .await
        .err()
        .expect("a read-only folder cannot be opened");
    assert!(
        matches!(error, OpenError::Directory { .. }),
        "unexpected: {error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_folder_is_refused() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let bench = fresh(&folder, &data).await;
    let clock = Arc::new(TestClock::at(1_790_000_001_000_000));
    let error = Store::open(options(&bench.engine, &folder, clock, 6))
        .await
        .err()
        .expect("one process owns the folder");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    bench.report("acme", "prod", &[("web", 1, &[1])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reporters_with_many_artifacts_lose_and_double_nothing() {
    for bench in crate::support::benches(7).await {
        bench.organization("acme").await;
        let names: Arc<Vec<String>> = Arc::new((0..800).map(|n| format!("artifact-{n}")).collect());
        let mut reporters = Vec::new();
        for reporter in 0..20u8 {
            let environment = format!("env-{reporter}");
            bench
                .environment("acme", &environment, reporter % 2 == 0)
                .await;
            let store = bench.store.clone();
            let names = Arc::clone(&names);
            reporters.push(tokio::spawn(async move {
                for round in 1..4u8 {
                    let artifacts: Vec<(&str, u8, &[i64])> = names
                        .iter()
                        .enumerate()
                        .map(|(number, name)| {
                            let byte = if number % 10 == 0 { round } else { 200 };
                            (name.as_str(), byte, &[1i64][..])
                        })
                        .collect();
                    let done = store
                        .submit(runstone_model::command::Command {
                            caller: runstone_model::command::Caller::System("provision"),
                            organization: "acme".to_owned(),
                            action: report(&environment, &artifacts),
                            salt: store.salt(),
                        })
                        .await
                        .unwrap();
                    assert_eq!(done.reply, Reply::Snapshot(u64::from(round)));
                }
            }));
        }
        for reporter in reporters {
            reporter.await.unwrap();
        }
        let mut read = bench.store.read().await.unwrap();
        let acme = read.organization_named("acme").await.unwrap().unwrap().no;
        for environment in read.environments(acme).await.unwrap() {
            assert_eq!(environment.snapshots, 3);
            for no in 1..4 {
                let running = read.running(acme, environment.no, no).await.unwrap();
                assert_eq!(running.len(), 800);
            }
        }
        drop(read);
        bench.store.close().await;
    }
}
