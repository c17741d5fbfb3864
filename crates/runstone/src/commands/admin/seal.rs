//! `admin seal`.

use runstone_server::admin_socket::SealAnswer;
use serde_json::json;

use super::{Reached, check_output, count, existing, reach, tell};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "seal"],
    about: "Pack every complete bundle of entries now instead of in the background.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let sealed: SealAnswer = server::runtime()?.block_on(async {
        match reach(options).await? {
            Reached::Store(store) => {
                let bundles = store.seal_all().await;
                store.close().await;
                Ok::<_, anyhow::Error>(SealAnswer { bundles: bundles? })
            }
            Reached::Server(socket) => socket.post("seal", &()).await,
        }
    })?;
    tell(
        context,
        &format!("{} packed", count(sealed.bundles, "bundle")),
        &json!(sealed),
    )
}
