//! Durable appends in process at the work level "journal row, index by environment, head of the
//! environment": an `ObservationRecorded` entry of its own per command. Included are the decision
//! on loaded facts, canonical JSON, leaf hash and tree, the signed checkpoint of each batch, the
//! entry's row, the row that leads to the environment's previous entry, the row with the time it
//! was last seen, the row of the log's head, and the flush. Heavier commands stand beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use runstone_model::command::Action;
use runstone_model::fact::{EnvironmentNo, Seen};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Detail, Observed, Report};
use runstone_store::Store;

use super::Bench;
use crate::machine::append_rate;
use crate::measure::{Best, Latencies};
use crate::result::{Goal, Row};
use crate::world::{ORGANIZATION, World, command, patch, report};

/// Clients at most; each has an environment.
const CLIENTS_MAX: usize = 256;

/// What a client asks again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Observation,
    Setting,
    Tag,
    Report,
}

impl Work {
    fn title(self) -> &'static str {
        match self {
            Self::Observation => "appends (journal, index, head)",
            Self::Setting => "appends that change a setting (one private body)",
            Self::Tag => "appends that set a tag (one private body)",
            Self::Report => "appends of a snapshot of one artifact",
        }
    }

    fn action(self, client: usize, n: u64, now: Micros) -> Action {
        let name = environment(client);
        match self {
            Self::Observation => Action::RecordObservation {
                environment: EnvironmentNo(client as u32 + 1),
                unshared: Some(Seen {
                    from: now,
                    to: now,
                    reports: 1,
                    longest_gap: 0,
                    reporter: String::new(),
                }),
            },
            Self::Setting => patch(&name, n.is_multiple_of(2)),
            Self::Tag => Action::TagEnvironment {
                environment: name,
                set: BTreeMap::from([("build".to_owned(), n.to_string())]),
                remove: Vec::new(),
            },
            Self::Report => {
                let mut fingerprint = [0; 32];
                fingerprint[..8].copy_from_slice(&n.to_be_bytes());
                fingerprint[8] = client as u8;
                let artifact = Observed {
                    name: "web".to_owned(),
                    fingerprint: Some(Fingerprint(fingerprint)),
                    detail: Detail::from_canonical(&b"{\"t\":[1790000000]}"[..]),
                };
                let artifacts = vec![artifact];
                report(&name, EnvironmentKind::Server, Report { artifacts })
            }
        }
    }
}

fn environment(client: usize) -> String {
    format!("client-{client:03}")
}

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let world = World::open(&bench.path("appends")).await?;
    engine(bench, &world, "SQLite").await?;
    world.end(None).await?;
    match bench.postgres.clone() {
        Some(server) => {
            let world = World::on_postgres(&server, &bench.path("appends-postgres")).await?;
            engine(bench, &world, "PostgreSQL").await?;
            world.end(Some(&server)).await?;
        }
        None => bench.leave_out("appends on PostgreSQL: RUNSTONE_TEST_POSTGRES_URL is not set"),
    }
    Ok(())
}

async fn engine(bench: &mut Bench, world: &World, engine: &str) -> anyhow::Result<()> {
    for client in 0..CLIENTS_MAX {
        world
            .environment(&environment(client), EnvironmentKind::Server)
            .await?;
    }
    let time = Duration::from_millis(bench.by_size(30, 1_000, 2_000));
    let rounds = bench.by_size(1, 4, 5);
    let works = [Work::Observation, Work::Setting, Work::Tag, Work::Report];
    let mut raw = Best::new();
    let mut cells = [[Best::new(); 3]; 4];
    let mut slow = [0.0; 4];
    // Commands must differ from round to round, or they would change nothing.
    let count = Arc::new(AtomicU64::new(1));
    for _ in 0..rounds {
        for (position, work) in works.into_iter().enumerate() {
            raw.see(append_rate(bench.folder.path(), time / 2)?);
            for (cell, clients) in [1, 64, CLIENTS_MAX].into_iter().enumerate() {
                let (rate, latencies) =
                    clients_rate(&world.store, work, clients, time, &count).await?;
                cells[position][cell].see(rate);
                slow[position] = latencies.at(0.99) * 1e3;
            }
        }
    }
    for (position, work) in works.into_iter().enumerate() {
        let [one, some, many] = cells[position].map(Best::get);
        let is_target = work == Work::Observation;
        let title = format!("{} on {engine}", work.title());
        bench.row(Row::rate(
            "appends",
            format!("{title}, 1 client"),
            "appends/s",
            one,
            Some(("append + fdatasync of 400 B", raw.get())),
            if is_target {
                Goal::Ratio(0.8)
            } else {
                Goal::None
            },
        ));
        bench.row(Row::rate(
            "appends",
            format!("{title}, 64 clients"),
            "appends/s",
            some,
            Some(("1 client", one)),
            Goal::None,
        ));
        bench.row(Row::rate(
            "appends",
            format!("{title}, 256 clients (p99 {:.1} ms)", slow[position]),
            "appends/s",
            many,
            Some(("1 client", one)),
            if is_target {
                Goal::Ratio(10.0)
            } else {
                Goal::None
            },
        ));
    }
    Ok(())
}

async fn clients_rate(
    store: &Store,
    work: Work,
    clients: usize,
    time: Duration,
    count: &Arc<AtomicU64>,
) -> anyhow::Result<(f64, Latencies)> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let store = store.clone();
            let count = Arc::clone(count);
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                // Settings alternate per environment, whatever the other clients do.
                let mut own = 0u64;
                while began.elapsed() < time {
                    own += 1;
                    let n = match work {
                        Work::Setting => own,
                        _ => count.fetch_add(1, Ordering::Relaxed),
                    };
                    let action = work.action(client, n, store.now());
                    let started = Instant::now();
                    let done = store.submit(command(&store, ORGANIZATION, action)).await?;
                    latencies.push(started.elapsed());
                    // The first setting of a round may be the last one of the round before.
                    ensure!(
                        !done.entries.is_empty() || (work == Work::Setting && own == 1),
                        "a command made no entry"
                    );
                }
                Ok::<_, anyhow::Error>(latencies)
            })
        })
        .collect();
    let mut all = Latencies::default();
    for task in tasks {
        all.append(task.await??);
    }
    Ok((all.len() as f64 / began.elapsed().as_secs_f64(), all))
}
