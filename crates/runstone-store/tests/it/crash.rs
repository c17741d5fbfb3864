//! Killed at random moments: every acknowledged change is there, nothing is half there, and
//! every checkpoint ever seen is consistent with the log that is found (T1).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use runstone_journal::merkle::{Edge, leaf_hash};
use runstone_store::{Engine, Store, fsck};

use crate::support::{TestClock, new_database, options, postgres_url};

/// The victim, built beside this test.
pub fn victim() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push("crash_child");
    path
}

/// Number of runs: short by default, as many as asked for by the test script.
fn runs(short: u64, variable: &str) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test script asks for more runs"
    )]
    std::env::var(variable)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(short)
}

#[derive(Default)]
struct Seen {
    /// Environment to acknowledged (snapshot, round).
    acknowledged: BTreeMap<String, Vec<(u64, u64)>>,
    /// Published sizes and roots.
    checkpoints: BTreeMap<u64, String>,
}

fn strike(arguments: &[String], after: Duration, seen: &mut Seen) {
    let mut child = Command::new(victim())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .collect::<Vec<_>>()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reader.join().unwrap() {
        let words: Vec<&str> = line.split(' ').collect();
        seen.acknowledged
            .entry(words[1].to_owned())
            .or_default()
            .push((words[2].parse().unwrap(), words[3].parse().unwrap()));
        if let [_, _, _, _, size, root] = words[..] {
            seen.checkpoints
                .insert(size.parse().unwrap(), root.to_owned());
        }
    }
}

async fn check(engine: &Engine, folder: &tempfile::TempDir, seed: u64, seen: &Seen) {
    let clock = Arc::new(TestClock::at(4_000_000_000_000_000));
    let options = options(engine, folder, clock, seed);
    let store = Store::open(options.clone()).await.unwrap();
    let mut read = store.read().await.unwrap();
    if let Some(acme) = read.organization_named("acme").await.unwrap() {
        for (name, acknowledged) in &seen.acknowledged {
            let environment = read
                .environment_named(acme.no, name)
                .await
                .unwrap()
                .unwrap();
            for (no, round) in acknowledged {
                let running = read.running(acme.no, environment.no, *no).await.unwrap();
                let found = running
                    .iter()
                    .find(|running| running.identity.name == "changing")
                    .unwrap();
                let bytes = found.identity.fingerprint.unwrap().0;
                assert_eq!(bytes[..8], round.to_be_bytes(), "seed {seed}: {name}#{no}");
            }
        }
        let head = read.log(acme.no, None).await.unwrap().unwrap();
        let mut edge = Edge::new();
        for index in 0..head.size {
            let entry = read.entry(acme.no, index).await.unwrap().unwrap();
            edge.push(leaf_hash(&entry), &mut |_| {});
            if let Some(root) = seen.checkpoints.get(&edge.size()) {
                let note = format!("x\n{}\n{root}\n", edge.size());
                let then = runstone_journal::checkpoint::Checkpoint::parse(&note).unwrap();
                assert_eq!(
                    then.root,
                    edge.root(),
                    "seed {seed}: a published checkpoint"
                );
            }
        }
        if let Some(last) = seen.checkpoints.keys().last() {
            assert!(*last <= head.size, "seed {seed}: the log lost entries");
        }
    } else {
        assert!(seen.acknowledged.is_empty(), "seed {seed}");
    }
    drop(read);
    store.close().await;
    drop(store);
    // Bodies that were erased are not left where no entry can be asked for them: at most the one
    // that was written last is there, and one whose entry never came.
    let mut blobs = 0;
    for log in std::fs::read_dir(folder.path().join("blobs"))
        .into_iter()
        .flatten()
    {
        blobs += std::fs::read_dir(log.unwrap().path()).unwrap().count();
    }
    assert!(blobs <= 2, "seed {seed}: {blobs} blobs");
    let report = fsck(&options, &mut |_| {}).await.unwrap();
    assert!(
        report.problems.is_empty(),
        "seed {seed}: {:?}",
        report.problems
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_sqlite() {
    let count = runs(20, "RUNSTONE_TEST_CRASHES");
    for seed in 0..count {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("data");
        std::fs::create_dir_all(&directory).unwrap();
        let mut engine_options = Seen::default();
        let text = directory.display().to_string();
        // The keys of the victim are those of the checker.
        let arguments = ["sqlite".to_owned(), text, seed.to_string()];
        strike(
            &arguments,
            Duration::from_millis(random.random_range(5..400)),
            &mut engine_options,
        );
        for name in ["keys", "blobs"] {
            let from = directory.join(name);
            if from.exists() {
                std::fs::rename(from, folder.path().join(name)).unwrap();
            }
        }
        check(
            &Engine::Sqlite { directory },
            &folder,
            seed,
            &engine_options,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_on_postgres() {
    let Some(url) = postgres_url() else {
        println!("left out: no PostgreSQL in RUNSTONE_TEST_POSTGRES_URL");
        return;
    };
    let count = runs(4, "RUNSTONE_TEST_CRASHES_POSTGRES");
    for seed in 0..count {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let url = new_database(&url).await;
        let mut seen = Seen::default();
        let arguments = [
            "postgres".to_owned(),
            url.clone(),
            folder.path().display().to_string(),
            seed.to_string(),
        ];
        strike(
            &arguments,
            Duration::from_millis(random.random_range(50..600)),
            &mut seen,
        );
        check(&Engine::Postgres { url }, &folder, seed, &seen).await;
    }
}
