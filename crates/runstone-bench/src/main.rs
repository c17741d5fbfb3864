//! Measures Runstone against its peers and against the machine, interleaved in one run.
//!
//! `docs/benchmarks.md` says what is measured and how to read it. This crate may look into every
//! room and use what the product does not: it ships to nobody. It must not judge ratios in its
//! short form, which only shows that every benchmark still runs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the terminal"
)]

mod benches;
mod chance;
mod clock;
mod fleet;
mod git;
mod load;
mod machine;
mod measure;
mod result;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use benches::{Bench, Size};

/// As the product has it (decision 0012).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Usage: cargo xtask bench [--short | --full] [--json] [--list] [--dir FOLDER] [NAME…]

  --short   everything as small as possible, in the dev profile; judges nothing
  --full    the sizes the targets are stated for; takes long
  --json    prints the result as JSON
  --list    names the benchmarks
  --dir     where to write (default: the folder for temporary files); must be on the disk that
            is to be measured

Environment: RUNSTONE_TEST_POSTGRES_URL (a server on which databases may be created),
RUNSTONE_TEST_KOSLI (the published client).";

/// What the command line asks.
struct Arguments {
    size: Size,
    json: bool,
    folder: Option<std::path::PathBuf>,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments {
        size: Size::Usual,
        json: false,
        folder: None,
        names: Vec::new(),
    };
    let mut given = std::env::args().skip(1).peekable();
    if given
        .next_if(|first| first == benches::age::CHILD)
        .is_some()
    {
        return match given
            .next()
            .map(|folder| on_runtime(benches::age::child(folder.into())))
        {
            Some(Ok(())) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--short" => arguments.size = Size::Short,
            "--full" => arguments.size = Size::Full,
            "--json" => arguments.json = true,
            "--dir" => arguments.folder = given.next().map(Into::into),
            "--list" => {
                for (name, what) in benches::ALL {
                    println!("{name:14} {what}");
                }
                return ExitCode::SUCCESS;
            }
            "help" | "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            name if benches::ALL.iter().any(|(known, _)| *known == name) => {
                arguments.names.push(name.to_owned());
            }
            _ => {
                eprintln!("bench: unknown argument {argument}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match on_runtime(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}

#[expect(
    clippy::disallowed_methods,
    reason = "benchmarks are told of real services the way tests are"
)]
fn service(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("runstone-bench-");
    let folder = match &arguments.folder {
        Some(folder) => builder.tempdir_in(folder),
        None => builder.tempdir(),
    }
    .context("cannot make a folder to write to")?;
    let mut bench = Bench {
        size: arguments.size,
        folder,
        postgres: service("RUNSTONE_TEST_POSTGRES_URL"),
        client: service("RUNSTONE_TEST_KOSLI").map(Into::into),
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    let calibration = Duration::from_millis(bench.by_size(50, 1_000, 1_000));
    let mut machines = Vec::new();
    for (name, what) in benches::ALL {
        if !arguments.names.is_empty() && !arguments.names.iter().any(|given| given == name) {
            continue;
        }
        let appends = machine::append_rate(bench.folder.path(), calibration)?;
        let gigabytes = machine::sha256_rate(1, calibration) / 1e9;
        let load = machine::load();
        eprintln!(
            "== {name}: {what}\n   {cores} cores, load {load}, append + fdatasync {appends}/s, SHA-256 {gigabytes:.2} GB/s",
            cores = machine::cores(),
            appends = result::number(appends),
        );
        machines.push(json!({
            "before": name,
            "cores": machine::cores(),
            "load": load,
            "appends_per_second": appends,
            "sha256_gigabytes_per_second": gigabytes,
        }));
        benches::run(name, &mut bench)
            .await
            .with_context(|| format!("benchmark {name}"))?;
    }
    if machines.is_empty() {
        bail!("nothing was measured");
    }
    if arguments.json {
        let rows: Vec<_> = bench.rows.iter().map(result::Row::to_json).collect();
        let result = json!({
            "size": format!("{:?}", bench.size).to_lowercase(),
            "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
            "machine": machines,
            "rows": rows,
            "left_out": bench.left_out,
        });
        println!("{result:#}");
    } else {
        println!("{}", result::table(&bench.rows));
        for what in &bench.left_out {
            println!("left out: {what}");
        }
        if cfg!(debug_assertions) {
            println!("(built without optimisation: the figures say nothing)");
        }
    }
    Ok(())
}
