//! A long journal: pages of events and searches over HTTP, the check of everything, the start
//! with it, and the memory of a server that does nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use runstone_model::id::Fingerprint;
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_store::{Engine, fsck};

use super::Bench;
use super::http::{Serving, latencies};
use crate::chance::Chance;
use crate::load::{ask, connect, get};
use crate::machine::resident_bytes;
use crate::measure::seconds;
use crate::result::{Goal, Row};
use crate::world::{ORGANIZATION, World, command, options, report};

/// First argument of the process that is only started to be measured.
pub const CHILD: &str = "--start-only";
/// Environments the entries are of.
const ENVIRONMENTS: u64 = 256;

fn name(environment: u64) -> String {
    format!("age-{environment:03}")
}

/// What ran first in an environment's n-th snapshot.
fn fingerprint(environment: u64, n: u64) -> Fingerprint {
    Fingerprint(Chance::new(environment << 32 | n).hash())
}

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let entries: u64 = bench.by_size(1_024, 100_000, 1_000_000);
    let each = entries / ENVIRONMENTS;
    let folder = bench.path("age");
    let began = Instant::now();
    let entries = fill(&folder, each).await?;
    bench.row(Row::rate(
        "age",
        format!("snapshots of one artifact while the journal of {entries} entries is made"),
        "1/s",
        (each * ENVIRONMENTS) as f64 / began.elapsed().as_secs_f64(),
        None,
        Goal::None,
    ));
    let calls = bench.by_size(20, 1_000, 2_000);
    latencies(
        bench,
        "age",
        &folder,
        calls,
        10.0,
        &[
            (
                format!("page of 15 events anywhere in {entries} entries, p99"),
                Arc::new(move |_, n| {
                    let mut chance = Chance::new(n);
                    let environment = name(chance.below(ENVIRONMENTS));
                    let first = 1 + chance.below(each);
                    let last = (first + chance.below(each)).min(each);
                    let page = 1 + chance.below(3.min((last - first + 1) / 15 + 1));
                    get(&format!(
                        "/api/v2/environments/{ORGANIZATION}/{environment}/events?start={first}&end={last}&page={page}"
                    ))
                }),
            ),
            (
                format!("search by 12 digits of a fingerprint in {entries} entries, p99"),
                Arc::new(move |_, n| {
                    let mut chance = Chance::new(n);
                    let wanted = fingerprint(chance.below(ENVIRONMENTS), 1 + chance.below(each));
                    let digits = &wanted.to_hex()[..12];
                    get(&format!("/api/v2/search/{ORGANIZATION}/sha/{digits}"))
                }),
            ),
        ],
    )
    .await?;

    let engine = Engine::Sqlite {
        directory: folder.clone(),
    };
    let began = Instant::now();
    let found = fsck(&options(engine, &folder), &mut |_| {}).await?;
    let time = began.elapsed().as_secs_f64();
    if let Some(problem) = found.problems.first() {
        bail!("the store that was measured is damaged: {problem}");
    }
    ensure!(
        found.counts.entries >= entries,
        "the check did not see every entry"
    );
    bench.row(Row::cost(
        "age",
        format!("fsck of {entries} entries with their bodies"),
        "s",
        time,
        None,
        Goal::AtMost(30.0 * entries as f64 / 1e6),
    ));

    let mut best: Option<(f64, f64)> = None;
    for _ in 0..bench.by_size(1, 3, 3) {
        let (start, memory) = start(&folder)?;
        let known = best.unwrap_or((f64::MAX, f64::MAX));
        best = Some((known.0.min(start), known.1.min(memory)));
    }
    let (start, memory) = best.context("there is at least one round")?;
    bench.row(Row::cost(
        "age",
        format!("start with {entries} entries until the first answer"),
        "s",
        start,
        None,
        Goal::AtMost(1.0),
    ));
    bench.row(Row::cost(
        "age",
        format!("resident memory of an idle server with {entries} entries"),
        "MB",
        memory,
        None,
        Goal::AtMost(100.0),
    ));
    Ok(())
}

/// Makes the journal; gives the size of the log.
async fn fill(folder: &Path, each: u64) -> anyhow::Result<u64> {
    let world = World::open(folder).await?;
    for environment in 0..ENVIRONMENTS {
        world
            .environment(&name(environment), EnvironmentKind::Server)
            .await?;
    }
    let tasks: Vec<_> = (0..ENVIRONMENTS)
        .map(|environment| {
            let store = world.store.clone();
            tokio::spawn(async move {
                for n in 1..=each {
                    let artifacts = vec![Observed {
                        name: "registry.example.com/shop/web".to_owned(),
                        fingerprint: Some(fingerprint(environment, n)),
                        detail: Detail::from_canonical(&b"{\"t\":[1790000000]}"[..]),
                    }];
                    let action = report(
                        &name(environment),
                        EnvironmentKind::Server,
                        Report { artifacts },
                    );
                    store.submit(command(&store, ORGANIZATION, action)).await?;
                }
                Ok::<_, anyhow::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let entries = world.log_size().await?;
    world.store.seal_all().await?;
    world.end(None).await?;
    Ok(entries)
}

/// Seconds until a new process has answered a request about the store, and megabytes it holds
/// when it has nothing more to do.
fn start(folder: &Path) -> anyhow::Result<(f64, f64)> {
    let (output, _) = seconds(|| {
        std::process::Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .arg(folder)
            .output()
            .context("cannot start this program again")
    })?;
    if !output.status.success() {
        bail!(
            "the server did not start: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(start)), Some(Ok(memory))) => Ok((start, memory)),
        _ => bail!("the server that was started said {text:?}"),
    }
}

/// The process that is measured by [`start`].
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub async fn child(folder: PathBuf) -> anyhow::Result<()> {
    let began = Instant::now();
    let world = World::open(&folder).await?;
    let serving = Serving::start(&world).await?;
    let mut sender = connect(serving.address).await?;
    ask(
        &mut sender,
        get(&format!("/api/v2/snapshots/{ORGANIZATION}/{}/-1", name(0))),
    )
    .await?;
    let start = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("{start} {}", resident_bytes()? as f64 / 1e6);
    drop(sender);
    serving.end().await
}
