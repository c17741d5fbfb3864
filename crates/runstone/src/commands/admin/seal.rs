//! `admin seal`.

use runstone_server::admin_socket::SealAnswer;
use serde_json::json;

use super::{ask, check_output, count, existing, tell};
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
    let sealed: SealAnswer = ask(options, "seal", (), async |store, ()| {
        let bundles = store.seal_all().await?;
        Ok(SealAnswer { bundles })
    })?;
    tell(
        context,
        &format!("{} packed", count(sealed.bundles, "bundle")),
        &json!(sealed),
    )
}
