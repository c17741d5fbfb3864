//! `admin rotate-key`.

use runstone_server::admin_socket::{RotateAnswer, RotateRequest};
use serde_json::json;

use super::{Reached, check_output, existing, reach, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "rotate-key"],
    usage: "ORGANIZATION",
    arguments: Arguments::Exactly(1),
    about: "Bring a new signing key of a log into use; the old one signs along for 30 days.",
    details: "_server is the server's own log.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let organization = match context.argument(0) {
        "_server" => String::new(),
        name => name.to_owned(),
    };
    let rotated: RotateAnswer = server::runtime()?.block_on(async {
        match reach(options).await? {
            Reached::Store(store) => {
                let done = store.rotate_key(&organization).await;
                store.close().await;
                Ok::<_, anyhow::Error>(done?.into())
            }
            Reached::Server(socket) => {
                socket
                    .post("rotate-key", &RotateRequest { organization })
                    .await
            }
        }
    })?;
    tell(
        context,
        &format!(
            "a new key signs the log of {} from now on",
            context.argument(0)
        ),
        &json!(rotated),
    )
}
