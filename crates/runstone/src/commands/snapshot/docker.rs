//! `snapshot docker`.

use runstone_collect::runtime::docker::Docker;

use crate::commands::artifact::docker_host;
use crate::commands::reporting;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "docker"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report the running containers of a container engine.",
    details: "The engine is the one at DOCKER_HOST, or at unix:///var/run/docker.sock. With DOCKER_TLS_VERIFY it is reached by TLS, with ca.pem, cert.pem and key.pem in the folder DOCKER_CERT_PATH, or in ~/.docker.",
    flags: &[DRY_RUN],
    check: reporting::check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let environment = context.argument(0);
    reporting::ensure_environment(context, environment, "docker")?;
    let running = context.block_on(async {
        Docker::connect(&docker_host(context))
            .await?
            .running()
            .await
    })?;
    reporting::tell(context, &running.notices);
    let observed = context.now();
    if reporting::send(context, environment, "docker", &running.artifacts, observed)? {
        context.say(format_args!(
            "[{}] containers were reported to environment {environment}",
            running.artifacts.len()
        ));
    }
    Ok(())
}
