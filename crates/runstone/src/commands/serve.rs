//! `serve`: the server proper.

use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::Flag;
use crate::server;

const FLAGS: &[Flag] = &[Flag::text(
    "provision",
    "[optional] A YAML file with organizations, users, service accounts and keys; applied at every start, deletes nothing.",
)];

/// The command.
pub static COMMAND: Command = Command {
    path: &["serve"],
    about: "Run the server.",
    details: server::DETAILS,
    flags: &[
        server::LISTEN,
        server::STORE,
        FLAGS,
        server::EVIDENCE,
        server::LOGS,
    ],
    needs: Needs::Nothing,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    server::start_logs(values)?;
    let options = server::options(values, &context.process)?;
    let provision = values.text("provision");
    // What is wrong with the file is said before anything is opened.
    let plan = match provision {
        "" => None,
        path => Some(server::read_plan(path, &context.process)?),
    };
    server::config(values)?;
    server::runtime()?.block_on(async {
        let stop = server::stop_signal()?;
        let listener = server::listen(values).await?;
        let store = server::open(options).await?;
        if let Some(plan) = plan {
            let applied = plan.apply(&store).await.map_err(|error| {
                anyhow::Error::new(error).context(format!("provision file {provision}"))
            })?;
            tracing::info!(
                provision.created = applied.created,
                provision.changed = applied.changed,
                provision.unchanged = applied.unchanged,
                "the provision file is applied"
            );
        }
        let address = listener.local_addr()?;
        tracing::info!(server.address = %address, "serving");
        context.say(format_args!("listening on {}", server::local_url(address)));
        server::run(context, store, listener, stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}
