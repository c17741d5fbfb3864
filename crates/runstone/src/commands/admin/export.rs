//! `admin export`.

use runstone_server::admin_socket::{ExportAnswer, ExportRequest};
use serde_json::json;

use super::{Reached, check_output, existing, reach, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "export"],
    usage: "ORGANIZATION FOLDER",
    arguments: Arguments::Exactly(2),
    about: "Write an organization's log into a folder that anyone can verify offline.",
    details: "_server is the server's own log. The folder is checked with 'verify FOLDER'.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let organization = context.argument(0).to_owned();
    // The server may have another working directory.
    let directory = std::path::absolute(context.argument(1))?;
    let exported: ExportAnswer = server::runtime()?.block_on(async {
        match reach(options).await? {
            Reached::Store(store) => {
                let exported = store.export(&organization, &directory).await;
                store.close().await;
                Ok::<_, anyhow::Error>(exported?.into())
            }
            Reached::Server(socket) => {
                let asked = ExportRequest {
                    organization,
                    directory: directory.clone(),
                };
                socket.post("export", &asked).await
            }
        }
    })?;
    tell(
        context,
        &format!(
            "{}: {} entries in {} files, {} bytes, in {}",
            exported.origin,
            exported.size,
            exported.files,
            exported.bytes,
            directory.display()
        ),
        &json!(exported),
    )
}
