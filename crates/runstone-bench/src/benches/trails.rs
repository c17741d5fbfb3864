//! Attesting, and the trails that follow: the status in the model, attestations over HTTP, and a
//! trail of a flow with very many.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use runstone_model::command::{Action, Attest, FlowAction, GivenTemplate, PutFlow};
use runstone_model::compliance::{
    ArtifactReport, AttestationReport, Binding, TrailFact, TrailState,
};
use runstone_model::event::TemplateText;
use runstone_model::id::{Commit, Fingerprint, Micros};
use runstone_model::template::Template;
use serde_json::json;

use super::Bench;
use super::http::{Serving, latencies};
use crate::chance::Chance;
use crate::load::{Asked, Make, connect, get, load, request};
use crate::measure::Best;
use crate::result::{Goal, Row};
use crate::world::{ORGANIZATION, World, command};

const NAME: &str = "trails";
const FLOW: &str = "runner";
const CONNECTIONS: usize = 64;
/// What the status is counted of.
const ARTIFACTS: u32 = 20;
const ATTESTATIONS: u32 = 50;
/// A trail of the load is attested so often.
const OF_A_TRAIL: u64 = 50;
/// Commands in flight while a store is filled.
const IN_FLIGHT: usize = 512;

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    status(bench);
    let world = World::open(&bench.path("attesting")).await?;
    attesting(bench, &world, "SQLite").await?;
    world.end(None).await?;
    if let Some(server) = bench.postgres.clone() {
        let world = World::on_postgres(&server, &bench.path("attesting-postgres")).await?;
        attesting(bench, &world, "PostgreSQL").await?;
        world.end(Some(&server)).await?;
    }
    one_of_many(bench).await
}

/// A template that promises two things of each artifact, and ten of the trail.
fn template() -> String {
    let slots = |of: &str, count: u32| -> Vec<_> {
        (0..count)
            .map(|slot| json!({"name": format!("of-{of}-{slot}"), "type": "generic"}))
            .collect()
    };
    let artifacts: Vec<_> = (0..ARTIFACTS)
        .map(|no| json!({"name": format!("artifact-{no}"), "attestations": slots("artifact", 2)}))
        .collect();
    // JSON is YAML.
    json!({"version": 1, "trail": {"attestations": slots("trail", 10), "artifacts": artifacts}})
        .to_string()
}

fn facts() -> Vec<TrailFact> {
    let fingerprint = |artifact: u32| Fingerprint([artifact as u8 + 1; 32]);
    let artifacts = (0..ARTIFACTS).map(|artifact| {
        TrailFact::Artifact(ArtifactReport {
            no: artifact + 1,
            name: Some(format!("artifact-{artifact}")),
            fingerprint: fingerprint(artifact),
            commit: Some([7; 20]),
            at: Micros(1),
        })
    });
    let attestations = (0..ATTESTATIONS).map(|no| {
        let (name, binding) = if no < 10 {
            (format!("of-trail-{no}"), Binding::Trail)
        } else {
            let (artifact, slot) = ((no - 10) / 2, no % 2);
            (
                format!("of-artifact-{slot}"),
                Binding::Artifact(fingerprint(artifact)),
            )
        };
        TrailFact::Attestation(AttestationReport {
            no: no + 1,
            name,
            kind: "generic".to_owned(),
            compliant: true,
            overrides: false,
            binding,
            at: Micros(2),
        })
    });
    artifacts.chain(attestations).collect()
}

fn status(bench: &mut Bench) {
    let template = Arc::new(Template::read(template().as_bytes()).expect("the template is valid"));
    let facts = facts();
    let rounds = bench.by_size(2, 200, 1_000);
    let (mut replay, mut again) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        let began = Instant::now();
        let mut state = TrailState::new(1, Arc::clone(&template), Micros(0));
        for fact in &facts {
            state.apply(fact.clone());
        }
        black_box(state.status());
        replay = replay.min(began.elapsed().as_secs_f64());
        let began = Instant::now();
        black_box(state.status());
        again = again.min(began.elapsed().as_secs_f64());
    }
    bench.row(Row::cost(
        NAME,
        format!(
            "status of {ATTESTATIONS} attestations on {ARTIFACTS} artifacts, from the facts (kept: {:.0} µs)",
            again * 1e6
        ),
        "µs",
        replay * 1e6,
        None,
        Goal::AtMost(1_000.0),
    ));
}

fn attest(trail: &str, name: &str) -> Asked {
    let data = json!({"attestation_name": name, "is_compliant": true});
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"data_json\"\r\n\r\n{data}\r\n--b--\r\n"
    );
    let path = format!("/api/v2/attestations/{ORGANIZATION}/{FLOW}/trail/{trail}/generic");
    let mut request = request(Method::POST, &path, body);
    request.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("multipart/form-data; boundary=b"),
    );
    request
}

async fn attesting(bench: &mut Bench, world: &World, engine: &str) -> anyhow::Result<()> {
    let serving = Serving::start(world).await?;
    put_flow(world).await?;
    let time = Duration::from_millis(bench.by_size(40, 1_500, 4_000));
    let trivial: Make = Arc::new(|_, _| get("/live"));
    let (mut best, mut hello) = (Best::new(), Best::new());
    let mut tail = f64::INFINITY;
    for round in 0..bench.by_size(1, 4, 5) {
        let attest: Make = Arc::new(move |connection, n| {
            let trail = format!("trail-{round}-{connection}-{}", n / OF_A_TRAIL);
            attest(&trail, &format!("check-{}", n % OF_A_TRAIL))
        });
        let found = load(serving.address, CONNECTIONS, time, u64::MAX, attest).await?;
        best.see(found.rate);
        tail = tail.min(found.latencies.at(0.99));
        let found = load(
            serving.address,
            CONNECTIONS,
            time,
            u64::MAX,
            Arc::clone(&trivial),
        )
        .await?;
        hello.see(found.rate);
    }
    bench.row(Row::rate(
        NAME,
        format!(
            "attest generic, durable, {CONNECTIONS} connections, {OF_A_TRAIL} a trail, {engine} (p99 {:.1} ms)",
            tail * 1e3
        ),
        "1/s",
        best.get(),
        Some(("GET /live", hello.get())),
        Goal::AtLeast(8_000.0),
    ));
    serving.end().await
}

async fn put_flow(world: &World) -> anyhow::Result<()> {
    let text = template();
    world
        .submit(Action::Flow(FlowAction::Put(PutFlow {
            name: FLOW.to_owned(),
            visibility: None,
            description: String::new(),
            template: Some(GivenTemplate {
                template: Template::read(text.as_bytes())
                    .expect("the template is valid")
                    .into(),
                text: TemplateText::Yaml(text),
            }),
        })))
        .await?;
    Ok(())
}

fn attested(trail: u64, name: u64) -> Action {
    let mut commit = [0; 20];
    commit[..8].copy_from_slice(&trail.to_be_bytes());
    Action::Flow(FlowAction::Attest(Box::new(Attest {
        flow: FLOW.to_owned(),
        trail: format!("trail-{trail}"),
        name: format!("of-trail-{name}"),
        kind: "generic".to_owned(),
        is_compliant: true,
        fingerprint: None,
        targets: Vec::new(),
        commit: Some(Commit(commit)),
        repo: None,
        original_kind: None,
        version: None,
        control: None,
        content: "{\"payload\":{\"is_compliant\":true}}".into(),
        attachment: None,
    })))
}

/// Any trail of a flow with many, each with ten attestations, and pages of the flow's list.
async fn one_of_many(bench: &mut Bench) -> anyhow::Result<()> {
    const EACH: u64 = 10;
    let trails = bench.by_size(100, 10_000, 100_000);
    let folder = bench.path("trails");
    let world = World::open(&folder).await?;
    put_flow(&world).await?;
    let mut flight = tokio::task::JoinSet::new();
    for no in 0..trails * EACH {
        // One trail's follow each other far apart, so that they do not wait for each other.
        let action = attested(no % trails, no / trails);
        let command = command(&world.store, ORGANIZATION, action);
        let store = world.store.clone();
        flight.spawn(async move { store.submit(command).await.map(|_| ()) });
        if flight.len() >= IN_FLIGHT
            && let Some(done) = flight.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = flight.join_next().await {
        done??;
    }
    // The server must be able to answer for what it holds.
    let serving = Serving::start(&world).await?;
    let mut sender = connect(serving.address).await?;
    let path = format!("/api/v2/trails/{ORGANIZATION}/{FLOW}/trail-{}", trails - 1);
    let answer = crate::load::ask(&mut sender, get(&path)).await?;
    let trail: serde_json::Value = serde_json::from_slice(&answer)?;
    ensure!(
        trail["events"]
            .as_array()
            .is_some_and(|events| events.len() as u64 > EACH),
        "a trail has all that was attested"
    );
    drop(sender);
    serving.end().await?;
    drop(world);
    let calls = bench.by_size(20, 2_000, 5_000);
    latencies(
        bench,
        NAME,
        &folder,
        calls,
        10.0,
        &[
            (
                format!("any of {trails} trails with {EACH} attestations over HTTP, p99"),
                Arc::new(move |_, n| {
                    let no = Chance::new(n).below(trails);
                    get(&format!("/api/v2/trails/{ORGANIZATION}/{FLOW}/trail-{no}"))
                }),
            ),
            (
                format!("any page of 20 of {trails} trails over HTTP, p99"),
                Arc::new(move |_, n| {
                    let page = 1 + Chance::new(n).below(trails / 20);
                    get(&format!(
                        "/api/v2/trails/{ORGANIZATION}/{FLOW}?per_page=20&page={page}"
                    ))
                }),
            ),
        ],
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_trail_is_compliant_and_complete() {
        let template = Template::read(template().as_bytes()).expect("the template is valid");
        let mut state = TrailState::new(1, template.into(), Micros(0));
        for fact in facts() {
            state.apply(fact);
        }
        assert_eq!(state.state().as_wire(), "COMPLIANT");
    }
}
