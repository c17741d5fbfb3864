//! `admin export`.

use runstone_server::admin_socket::{ExportAnswer, ExportRequest};
use serde_json::json;

use super::{ask, check_output, existing, tell};
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
    let asked = ExportRequest {
        organization,
        directory: directory.clone(),
    };
    let exported: ExportAnswer = ask(options, "export", asked, async |store, asked| {
        let exported = store.export(&asked.organization, &asked.directory);
        Ok(exported.await?.into())
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
