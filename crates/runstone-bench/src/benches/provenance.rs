//! Snapshots joined with where their artifacts come from, and searches by commit, beside many
//! artifacts and attestations.

use std::path::Path;
use std::sync::Arc;

use hyper::Method;
use runstone_model::command::{Action, Attest, FlowAction, ReportArtifact};
use runstone_model::id::{Commit, Fingerprint};
use runstone_model::name::EnvironmentKind;
use runstone_store::Store;
use serde_json::json;

use super::Bench;
use super::http::{Serving, latencies};
use crate::chance::Chance;
use crate::load::{ask, connect, get, request};
use crate::world::{ORGANIZATION, World, command};

const ENVIRONMENT: &str = "prod";
/// Services of a flow.
const FLOW_SERVICES: u64 = 100;
/// Services that one trail builds.
const TRAIL_SERVICES: u64 = 10;
const CLIENTS: u64 = 128;
/// Snapshots; each replaces as many artifacts.
const SNAPSHOTS: u64 = 20;

/// How much there is.
#[derive(Clone, Copy)]
struct Amount {
    services: u64,
    /// Builds of each service.
    builds: u64,
    /// Attestations of each build.
    attestations: u64,
}

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let amount = Amount {
        services: bench.by_size(40, 1_000, 1_000),
        builds: bench.by_size(SNAPSHOTS + 2, 100, 1_000),
        attestations: 1,
    };
    let folder = bench.path("provenance");
    fill(&folder, amount).await?;
    let (services, builds) = (amount.services, amount.builds * amount.services);
    let attestations = builds * amount.attestations;
    let calls = bench.by_size(10, 200, 500);
    latencies(
        bench,
        "provenance",
        &folder,
        calls,
        50.0,
        &[(
            format!("snapshot of {services} artifacts with provenance and what ran before, {attestations} attestations, p99"),
            // None but the latest is remembered.
            Arc::new(|_, n| {
                let no = 1 + Chance::new(n).below(SNAPSHOTS - 1);
                get(&format!("/api/v2/snapshots/{ORGANIZATION}/{ENVIRONMENT}/{no}"))
            }),
        )],
    )
    .await?;
    let calls = bench.by_size(10, 500, 2_000);
    latencies(
        bench,
        "provenance",
        &folder,
        calls,
        10.0,
        &[(
            format!("search by 7 digits of a commit in {builds} artifacts, p99"),
            Arc::new(move |_, n| {
                let commit = commit(Chance::new(n).below(builds)).to_hex();
                get(&format!(
                    "/api/v2/search/{ORGANIZATION}/sha/{}",
                    &commit[..7]
                ))
            }),
        )],
    )
    .await
}

fn fingerprint(build: u64) -> Fingerprint {
    Fingerprint(Chance::new(build * 2 + 1).hash())
}

fn commit(build: u64) -> Commit {
    let hash = Chance::new(build * 2 + 2).hash();
    let mut sha1 = [0; 20];
    sha1.copy_from_slice(&hash[..20]);
    Commit(sha1)
}

fn flow(service: u64) -> String {
    format!("flow-{:02}", service / FLOW_SERVICES)
}

/// One trail: some services are built and attested.
async fn trail(store: &Store, amount: Amount, build: u64, first: u64) -> anyhow::Result<()> {
    let name = format!("build-{build:04}-{first:04}");
    let submit = async |action: FlowAction| {
        store
            .submit(command(store, ORGANIZATION, Action::Flow(action)))
            .await
    };
    for service in first..first + TRAIL_SERVICES {
        let build = build * amount.services + service;
        let commit = commit(build);
        let sha1 = commit.to_hex();
        let content = json!({
            "build_url": format!("https://ci.example.com/runs/{build}"),
            "commit_url": format!("https://github.com/bench/mono/commit/{sha1}"),
            "repo_url": "https://github.com/bench/mono",
            "git_commit_info": {"sha1": sha1, "message": "Change what is built",
                "author": "Jo <jo@example.com>", "branch": "main", "timestamp": 1_790_000_000,
                "url": format!("https://github.com/bench/mono/commit/{sha1}")},
        });
        submit(FlowAction::ReportArtifact(ReportArtifact {
            flow: flow(service),
            trail: Some(name.clone()),
            name: Some(format!("service-{service:04}")),
            fingerprint: fingerprint(build),
            filename: format!("registry.example.com/service-{service:04}:{build}"),
            commit: Some(commit),
            repo: None,
            content: content.to_string().into(),
        }))
        .await?;
        for n in 0..amount.attestations {
            submit(FlowAction::Attest(Box::new(Attest {
                flow: flow(service),
                trail: name.clone(),
                name: format!("check-{n}"),
                kind: "generic".to_owned(),
                is_compliant: true,
                fingerprint: Some(fingerprint(build)),
                targets: Vec::new(),
                commit: None,
                repo: None,
                original_kind: None,
                version: None,
                control: None,
                content: "{\"payload\":{}}".into(),
                attachment: None,
            })))
            .await?;
        }
    }
    Ok(())
}

/// Builds everything, then has the last builds run one after another.
async fn fill(folder: &Path, amount: Amount) -> anyhow::Result<()> {
    let world = World::open(folder).await?;
    world
        .environment(ENVIRONMENT, EnvironmentKind::Server)
        .await?;
    let blocks = amount.services / TRAIL_SERVICES;
    let trails = amount.builds * blocks;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let store = world.store.clone();
            tokio::spawn(async move {
                for n in (client..trails).step_by(CLIENTS as usize) {
                    trail(&store, amount, n / blocks, n % blocks * TRAIL_SERVICES).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let serving = Serving::start(&world).await?;
    let mut sender = connect(serving.address).await?;
    let path = format!("/api/v2/environments/{ORGANIZATION}/{ENVIRONMENT}/report/server");
    let mut running: Vec<u64> = vec![amount.builds - SNAPSHOTS - 1; amount.services as usize];
    for snapshot in 0..SNAPSHOTS {
        let artifacts: Vec<_> = running
            .iter_mut()
            .enumerate()
            .map(|(service, build)| {
                if service as u64 % SNAPSHOTS == snapshot {
                    *build += snapshot;
                }
                let fingerprint = fingerprint(*build * amount.services + service as u64);
                let name = format!("registry.example.com/service-{service:04}:{build}");
                json!({"digests": {name: fingerprint.to_hex()},
                    "creationTimestamp": 1_790_000_100 + snapshot})
            })
            .collect();
        let body = json!({"artifacts": artifacts}).to_string();
        ask(&mut sender, request(Method::PUT, &path, body)).await?;
    }
    drop(sender);
    serving.end().await
}
