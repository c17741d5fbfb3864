//! Requests over HTTP against the same server's trivial GET: server, client and database share
//! the cores, so only ratios of one run mean anything.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hyper::Method;
use runstone_model::name::EnvironmentKind;
use runstone_server::{Config, Server};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Bench;
use super::history::{self, ENVIRONMENT};
use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::load::{Found, Make, ask, connect, fixed, get, load, request};
use crate::measure::Best;
use crate::result::{Goal, Row};
use crate::world::{ORGANIZATION, World};

const CONNECTIONS: usize = 64;

/// A server in this process.
pub struct Serving {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), runstone_server::ServeError>>,
}

impl Serving {
    /// Serves a store on a free port.
    pub async fn start(world: &World) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::new(Config::default(), world.store.clone());
        let ended = tokio::spawn(server.run(listener, async move {
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            stop,
            ended,
        })
    }

    /// Stops, which also closes the store.
    pub async fn end(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        Ok(self.ended.await??)
    }
}

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let world = World::open(&bench.path("http")).await?;
    rates(bench, &world, "SQLite").await?;
    world.end(None).await?;
    if let Some(server) = bench.postgres.clone() {
        let world = World::on_postgres(&server, &bench.path("http-postgres")).await?;
        rates(bench, &world, "PostgreSQL").await?;
        world.end(Some(&server)).await?;
    }
    any_age(bench).await
}

fn name(connection: usize) -> String {
    format!("http-{connection:02}")
}

fn one_artifact(n: u64) -> String {
    json!({"artifacts": [{
        "digests": {"web": format!("{n:064x}")},
        "creationTimestamp": 1_790_000_000,
    }]})
    .to_string()
}

async fn rates(bench: &mut Bench, world: &World, engine: &str) -> anyhow::Result<()> {
    let serving = Serving::start(world).await?;
    let mut sender = connect(serving.address).await?;
    let fleet = Fleet::new(100, 3);
    let body = fleet.body();
    for connection in 0..CONNECTIONS {
        let name = name(connection);
        for (name, kind) in [
            (name.clone(), EnvironmentKind::K8s),
            (format!("{name}-small"), EnvironmentKind::Server),
        ] {
            world.environment(&name, kind).await?;
        }
        let path = format!("/api/v2/environments/{ORGANIZATION}/{name}/report/K8S");
        ask(&mut sender, request(Method::PUT, &path, body.clone())).await?;
        let path = format!("/api/v2/environments/{ORGANIZATION}/{name}-small/report/server");
        ask(&mut sender, request(Method::PUT, &path, one_artifact(1))).await?;
    }
    let size_before = world.log_size().await?;

    let mut chance = Chance::new(9);
    let bodies: Vec<bytes::Bytes> = (0..32)
        .map(|_| fleet.shuffled_body(&mut chance).into())
        .collect();
    let same_bytes = fixed(body.clone().into()).await?;
    let count = Arc::new(AtomicU64::new(2));
    let counted = |of: &Arc<AtomicU64>| {
        let of = Arc::clone(of);
        move || of.fetch_add(1, Ordering::Relaxed)
    };
    let trivial: Make = Arc::new(|_, _| get("/live"));
    let unchanged: Make = Arc::new(move |connection, n| {
        let path = format!(
            "/api/v2/environments/{ORGANIZATION}/{}/report/K8S",
            name(connection)
        );
        let body = bodies[(n as usize + connection) % bodies.len()].clone();
        request(Method::PUT, &path, body)
    });
    let latest: Make = Arc::new(|connection, _| {
        get(&format!(
            "/api/v2/snapshots/{ORGANIZATION}/{}/-1",
            name(connection)
        ))
    });
    let latest_small: Make = Arc::new(|connection, _| {
        get(&format!(
            "/api/v2/snapshots/{ORGANIZATION}/{}-small/-1",
            name(connection)
        ))
    });
    let next = counted(&count);
    let tag: Make = Arc::new(move |connection, _| {
        request(
            Method::PATCH,
            &format!(
                "/api/v2/tags/{ORGANIZATION}/environment/{}",
                name(connection)
            ),
            json!({"set_tags": {"build": next().to_string()}, "remove_tags": []}).to_string(),
        )
    });
    let next = counted(&count);
    let changed: Make = Arc::new(move |connection, _| {
        request(
            Method::PUT,
            &format!(
                "/api/v2/environments/{ORGANIZATION}/{}-small/report/server",
                name(connection)
            ),
            one_artifact(next()),
        )
    });

    let time = Duration::from_millis(bench.by_size(40, 1_000, 2_000));
    let rounds = bench.by_size(1, 4, 5);
    let mut best = [Best::new(); 7];
    let mut bytes = [0; 7];
    let mut slow = [0.0f64; 7];
    let mut work = [f64::INFINITY; 7];
    for round in 0..rounds {
        let works = [
            &trivial,
            &trivial,
            &unchanged,
            &latest_small,
            &latest,
            &tag,
            &changed,
        ];
        for (position, make) in works.into_iter().enumerate() {
            let address = if position == 1 {
                same_bytes
            } else {
                serving.address
            };
            let found: Found = load(address, CONNECTIONS, time, u64::MAX, Arc::clone(make)).await?;
            best[position].see(found.rate);
            bytes[position] = found.body_bytes;
            slow[position] = found.latencies.at(0.99) * 1e3;
            work[position] = work[position].min(found.work);
            if round == 0 && position == 2 {
                ensure!(
                    world.log_size().await? == size_before,
                    "an unchanged report made an entry"
                );
            }
        }
    }
    let [trivial, same, unchanged, latest_small, latest, tag, changed] = best.map(Best::get);
    let mut show = |measure: String, ours: f64, peer: (&str, f64), goal: Goal| {
        bench.row(Row::rate("http", measure, "1/s", ours, Some(peer), goal));
    };
    let hello = ("GET /live", trivial);
    // On a machine that others use, the time of the processors says more than that of the clock.
    let share = |ours: usize, peer: usize| {
        format!(
            "{:.0} µs of processor, {:.2}x",
            work[ours] * 1e6,
            work[peer] / work[ours]
        )
    };
    show(
        format!(
            "tag set, durable, 64 connections, {engine} (p99 {:.1} ms; {})",
            slow[5],
            share(5, 0)
        ),
        tag,
        hello,
        Goal::Ratio(0.35),
    );
    show(
        format!(
            "snapshot of one artifact, durable, 64 connections, {engine} (p99 {:.1} ms; {})",
            slow[6],
            share(6, 0)
        ),
        changed,
        hello,
        Goal::None,
    );
    show(
        format!(
            "unchanged report of 100 pods, shuffled, {} B, {engine} ({})",
            body.len(),
            share(2, 1)
        ),
        unchanged,
        ("GET of the same bytes, bare library", same),
        Goal::Ratio(0.3),
    );
    show(
        format!(
            "latest snapshot, 1 artifact, {} B, {engine} ({})",
            bytes[3],
            share(3, 0)
        ),
        latest_small,
        hello,
        Goal::Ratio(0.45),
    );
    show(
        format!(
            "latest snapshot, 100 pods, {} B, {engine} ({})",
            bytes[4],
            share(4, 0)
        ),
        latest,
        hello,
        Goal::Ratio(0.45),
    );
    drop(sender);
    serving.end().await
}

/// Any snapshot and any two of a long history.
async fn any_age(bench: &mut Bench) -> anyhow::Result<()> {
    let artifacts = bench.by_size(60, 1_000, 1_000);
    let snapshots = bench.by_size(300, 5_000, 100_000);
    let folder = bench.path("history");
    let snapshots = if folder.exists() {
        // The benchmark `history` ran before.
        let world = World::open(&folder).await?;
        let environment = world.number(ENVIRONMENT).await?;
        let mut read = world.store.read().await?;
        let made = read
            .environment(world.organization, environment)
            .await?
            .context("the history has an environment")?
            .snapshots;
        drop(read);
        world.end(None).await?;
        made
    } else {
        history::make(folder.clone(), artifacts, snapshots, |_, _| Ok(())).await?;
        snapshots
    };
    let calls = bench.by_size(20, 500, 2_000);
    latencies(
        bench,
        "http",
        &folder,
        calls,
        10.0,
        &[
            (
                format!("any snapshot of {artifacts} artifacts over HTTP, p99"),
                Arc::new(move |_, n| {
                    let no = 1 + Chance::new(n).below(snapshots);
                    get(&format!("/api/v2/snapshots/{ORGANIZATION}/{ENVIRONMENT}/{no}"))
                }),
            ),
            (
                format!("any two of {artifacts} artifacts over HTTP, p99"),
                Arc::new(move |_, n| {
                    let mut chance = Chance::new(n);
                    let (first, second) = (
                        1 + chance.below(snapshots),
                        1 + chance.below(snapshots),
                    );
                    get(&format!(
                        "/api/v2/env-diff/{ORGANIZATION}?snappish1={ENVIRONMENT}%23{first}&snappish2={ENVIRONMENT}%23{second}"
                    ))
                }),
            ),
        ],
    )
    .await
}

/// The slowest of many answers on one connection; each must come within so many milliseconds.
pub async fn latencies(
    bench: &mut Bench,
    name: &'static str,
    folder: &Path,
    calls: u64,
    most: f64,
    works: &[(String, Make)],
) -> anyhow::Result<()> {
    let world = World::open(folder).await?;
    let serving = Serving::start(&world).await?;
    let hour = Duration::from_hours(1);
    for (measure, make) in works {
        // On a machine that others use the tail is theirs; the best of a few rounds says more.
        let mut best: Option<(f64, f64, usize)> = None;
        for _ in 0..bench.by_size(1, 3, 3) {
            let began = Instant::now();
            let found = load(serving.address, 1, hour, calls, Arc::clone(make)).await?;
            ensure!(began.elapsed() < hour, "the requests took too long");
            let (tail, median) = (found.latencies.at(0.99), found.latencies.at(0.5));
            if best.is_none_or(|(before, _, _)| tail < before) {
                best = Some((tail, median, found.body_bytes));
            }
        }
        let (tail, median, bytes) = best.context("there is at least one round")?;
        bench.row(Row::cost(
            name,
            format!("{measure} (median {:.2} ms, {bytes} B)", median * 1e3),
            "ms",
            tail * 1e3,
            None,
            Goal::AtMost(most),
        ));
    }
    serving.end().await
}
