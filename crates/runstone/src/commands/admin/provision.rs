//! `admin provision`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use runstone_server::admin_socket::{ProvisionAnswer, ProvisionRequest};
use runstone_server::provision::Plan;
use serde_json::json;

use super::{ask, check_output, tell};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::OUTPUT;
use crate::server;

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "provision"],
    usage: "FILE",
    arguments: Arguments::Exactly(1),
    about: "Make the organizations, users, service accounts and keys that a YAML file declares.",
    details: "What is there already stays; nothing is deleted and no key is printed. Works beside a running server.",
    flags: &[server::STORE, OUTPUT],
    needs: Needs::Nothing,
    check: check_output,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let path = context.argument(0);
    let yaml = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("cannot read provision file {path}: {error}"))?;
    // The variables that the file names are those of this process, not the server's.
    let used = RefCell::new(BTreeMap::new());
    let plan = Plan::parse(&yaml, |name| {
        let value = context.process.environment.get(name).cloned()?;
        used.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    })
    .map_err(|error| anyhow::Error::new(error).context(format!("provision file {path}")))?;
    let options = server::options(&context.values, &context.process)?;
    let asked = ProvisionRequest {
        variables: used.take(),
        yaml,
    };
    let applied: ProvisionAnswer = ask(options, "provision", asked, async |store, _| {
        Ok(plan.apply(store).await?.into())
    })?;
    tell(
        context,
        &format!(
            "{} created, {} changed, {} unchanged",
            applied.created, applied.changed, applied.unchanged
        ),
        &json!(applied),
    )
}
