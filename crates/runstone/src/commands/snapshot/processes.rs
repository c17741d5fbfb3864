//! `snapshot processes`, which only we have.

use runstone_collect::Artifact;
use runstone_collect::runtime::processes::{Collector, Options, Processes};

use crate::commands::reporting;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "processes"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report every program that runs on this machine.",
    details: "Every process counts as one instance of its executable file, which is named by its path and identified by its SHA-256. Programs whose file may not be read are counted only.",
    flags: &[DRY_RUN],
    check: reporting::check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let environment = context.argument(0);
    reporting::ensure_environment(context, environment, "server")?;
    let processes = Collector::new(Options::default()).collect()?;
    let artifacts = artifacts(&processes);
    let observed = context.now();
    if reporting::send(context, environment, "server", &artifacts, observed)? {
        context.say(format_args!(
            "[{}] processes of {} executables were reported to environment {environment}, {} could not be read",
            artifacts.len(),
            processes.artifacts.len(),
            processes.unreadable
        ));
    }
    Ok(())
}

/// One artifact for each process.
pub fn artifacts(processes: &Processes) -> Vec<Artifact> {
    processes
        .artifacts
        .iter()
        .flat_map(|executable| {
            executable.started_at.iter().map(|started_at| Artifact {
                name: executable.path.clone(),
                fingerprint: Some(executable.fingerprint),
                created_at: *started_at,
            })
        })
        .collect()
}
