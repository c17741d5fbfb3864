//! Durable changed states, one writer: 100 artifacts of which one differs, against recorders
//! that keep one file per artifact in git.

use std::time::Instant;

use anyhow::ensure;
use runstone_model::command::Reply;
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{ReportLimits, read_report};

use super::Bench;
use crate::fleet::Fleet;
use crate::git::{GitCommand, GitLibrary, Promise};
use crate::measure::Best;
use crate::result::{Goal, Row};
use crate::world::{World, report};

const ARTIFACTS: usize = 100;
const ENVIRONMENT: &str = "states";

/// Measures.
pub async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let rounds = bench.by_size(1, 4, 5);
    let states = bench.by_size(8, 600, 1_000);
    let commits = bench.by_size(2, 40, 100);
    let mut fleet = Fleet::new(ARTIFACTS, 1);

    let world = World::open(&bench.path("states")).await?;
    let postgres = match bench.postgres.clone() {
        Some(server) => Some((
            World::on_postgres(&server, &bench.path("states-postgres")).await?,
            server,
        )),
        None => None,
    };
    let durable = GitCommand::new(&bench.path("git-durable"), Promise::Durable)?;
    let default = GitCommand::new(&bench.path("git-default"), Promise::Default)?;
    let mut library = GitLibrary::new(&bench.path("git-library"), Promise::Durable)?;
    let mut unflushed = GitLibrary::new(&bench.path("git-library-default"), Promise::Default)?;

    let all: Vec<_> = (0..ARTIFACTS).map(|number| file(&fleet, number)).collect();
    durable.record(&all)?;
    default.record(&all)?;
    library.record(&all)?;
    unflushed.record(&all)?;
    for world in std::iter::once(&world).chain(postgres.iter().map(|(world, _)| world)) {
        world.environment(ENVIRONMENT, EnvironmentKind::K8s).await?;
        world
            .submit(report(ENVIRONMENT, EnvironmentKind::K8s, fleet.report()))
            .await?;
    }

    let mut rates = [Best::new(); 7];
    for _ in 0..rounds {
        rates[0].see(read_states(&world, &mut fleet, states).await?);
        rates[1].see(git(&mut fleet, commits, |changed| durable.record(changed))?);
        rates[2].see(git(&mut fleet, commits, |changed| default.record(changed))?);
        rates[3].see(git(&mut fleet, commits * 3, |changed| {
            library.record(changed)
        })?);
        rates[4].see(git(&mut fleet, commits * 3, |changed| {
            unflushed.record(changed)
        })?);
        rates[5].see(whole_states(&world, &mut fleet, states).await?);
        if let Some((world, _)) = &postgres {
            rates[6].see(read_states(world, &mut fleet, states).await?);
        }
    }
    let [
        ours,
        durable,
        default,
        library,
        unflushed,
        whole,
        on_postgres,
    ] = rates.map(Best::get);
    let unit = "states/s";
    let name = "states";
    for (peer, value, goal) in [
        ("git, core.fsync=all", durable, Goal::Ratio(40.0)),
        ("git, defaults", default, Goal::Ratio(25.0)),
        ("libgit2, flushed", library, Goal::Ratio(15.0)),
        ("libgit2, not flushed", unflushed, Goal::None),
    ] {
        bench.row(Row::rate(
            name,
            "100 artifacts, one differs, report already read",
            unit,
            ours,
            Some((peer, value)),
            goal,
        ));
    }
    bench.row(Row::rate(
        name,
        "the same from the body of the request",
        unit,
        whole,
        Some(("git, core.fsync=all", durable)),
        Goal::None,
    ));
    if postgres.is_some() {
        bench.row(Row::rate(
            name,
            "the same on PostgreSQL",
            unit,
            on_postgres,
            Some(("git, core.fsync=all", durable)),
            Goal::None,
        ));
    }
    world.end(None).await?;
    if let Some((world, server)) = postgres {
        world.end(Some(&server)).await?;
    }
    Ok(())
}

/// The file a recorder keeps for one pod.
pub fn file(fleet: &Fleet, number: usize) -> (String, &str) {
    (
        format!("service-{number:04}.json"),
        &fleet.pods[number].json,
    )
}

/// Reports that were read before; that is what the recorders are given as well.
async fn read_states(world: &World, fleet: &mut Fleet, count: usize) -> anyhow::Result<f64> {
    let mut reports = Vec::with_capacity(count);
    for _ in 0..count {
        fleet.change(1);
        reports.push(fleet.report());
    }
    let began = Instant::now();
    for next in reports {
        let done = world
            .submit(report(ENVIRONMENT, EnvironmentKind::K8s, next))
            .await?;
        ensure!(
            matches!(done.reply, Reply::Snapshot(_)),
            "a changed state made no snapshot"
        );
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Bodies of requests.
async fn whole_states(world: &World, fleet: &mut Fleet, count: usize) -> anyhow::Result<f64> {
    let mut bodies = Vec::with_capacity(count);
    for _ in 0..count {
        fleet.change(1);
        bodies.push(fleet.body());
    }
    let began = Instant::now();
    for body in bodies {
        let read = read_report(
            EnvironmentKind::K8s,
            body.as_bytes(),
            &ReportLimits::default(),
        )
        .map_err(|errors| anyhow::anyhow!("a generated report is refused: {errors:?}"))?;
        world
            .submit(report(ENVIRONMENT, EnvironmentKind::K8s, read))
            .await?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn git(
    fleet: &mut Fleet,
    count: usize,
    mut record: impl FnMut(&[(String, &str)]) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..count {
        let changed = fleet.change(1);
        let files: Vec<_> = changed.iter().map(|number| file(fleet, *number)).collect();
        record(&files)?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
