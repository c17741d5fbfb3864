//! `admin erase`.

use std::fmt::Write as _;

use runstone_server::admin_socket::{EraseAnswer, EraseRequest, EraseSelection, erase_in};
use serde_json::json;

use super::{ask, check_output, count, counted, existing, tell};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::{Flag, OUTPUT};
use crate::grammar::values::Source;
use crate::server;

const FLAGS: &[Flag] = &[
    Flag::text(
        "organization",
        "[conditional] The organization in whose log it stands; _server is the server's own log. Not needed with --user.",
    ),
    Flag::list(
        "digest",
        "[conditional] A private body by its digest. Can be given more than once.",
    ),
    Flag::text(
        "environment",
        "[conditional] The texts of an environment: every description and tag value it ever had.",
    ),
    Flag::text(
        "user",
        "[conditional] A person: name, e-mail addresses, keys and their descriptions. The keys end.",
    ),
    Flag::text(
        "service-account",
        "[conditional] The texts about a service account: its descriptions and those of its keys, which go on.",
    ),
    Flag::text(
        "reason",
        "[conditional] Why; it stands in the log as a text that can be erased, too. Required without --dry-run.",
    ),
    Flag::bool(
        "dry-run",
        "[optional] Only list what would be erased; without a selection, everything that can be.",
    )
    .short('D'),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["admin", "erase"],
    about: "Erase what people wrote from a log, for good; an entry says that and why.",
    details: "Texts, addresses, names and tag values stand in bodies beside the log, which stays provable without them. What stands in entries (names of environments and artifacts, fingerprints) is permanent. Copies that left the store, such as backups made before, keep what they hold.",
    flags: &[server::STORE, FLAGS, OUTPUT],
    needs: Needs::Nothing,
    check,
    run,
    ..Command::DEFAULT
};

/// What the flags select; none if nothing.
fn selection(context: &Context) -> anyhow::Result<Option<EraseSelection>> {
    let values = &context.values;
    // A variable meant for other commands must not erase anything.
    let is_typed = |name: &str| matches!(values.source(name), Some(Source::Line));
    let given = |name: &str| is_typed(name).then(|| values.text(name).to_owned());
    let mut all: Vec<EraseSelection> = Vec::new();
    if is_typed("digest") {
        all.push(EraseSelection::Digests(values.list("digest").to_vec()));
    }
    all.extend(given("environment").map(EraseSelection::Environment));
    all.extend(given("user").map(EraseSelection::User));
    all.extend(given("service-account").map(EraseSelection::ServiceAccount));
    if all.len() > 1 {
        anyhow::bail!("only one of --digest, --environment, --user, --service-account is allowed");
    }
    Ok(all.pop())
}

fn check(context: &Context) -> anyhow::Result<()> {
    check_output(context)?;
    let selection = selection(context)?;
    let is_dry = context.values.bool("dry-run");
    if context.values.text("organization").is_empty()
        && !matches!(selection, Some(EraseSelection::User(_)))
    {
        anyhow::bail!("required flag --organization is not set");
    }
    if selection.is_none() && !is_dry {
        anyhow::bail!(
            "name what to erase with --digest, --environment, --user or --service-account; --dry-run lists what there is"
        );
    }
    if context.values.text("reason").is_empty() && !is_dry {
        anyhow::bail!("required flag --reason is not set");
    }
    Ok(())
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let options = existing(context)?;
    let is_dry = context.values.bool("dry-run");
    let asked = EraseRequest {
        organization: match context.values.text("organization") {
            "_server" => String::new(),
            name => name.to_owned(),
        },
        selection: selection(context)?.unwrap_or(EraseSelection::All),
        reason: context.values.text("reason").to_owned(),
        dry_run: is_dry,
    };
    let done: EraseAnswer = ask(options, "erase", asked, async |store, asked| {
        erase_in(store, asked).await.map_err(anyhow::Error::msg)
    })?;
    let bytes = done.bodies.iter().map(|body| body.bytes).sum();
    let sum = format!(
        "{} of {}",
        counted(done.bodies.len() as u64, "body", "bodies"),
        count(bytes, "byte")
    );
    let mut text = String::new();
    for body in &done.bodies {
        writeln!(
            text,
            "entry {}, body {}, {}, {} of {}, {}",
            body.entry,
            body.position,
            body.digest,
            body.field,
            body.subject,
            count(body.bytes, "byte"),
        )?;
    }
    if is_dry {
        write!(text, "{sum} can be erased")?;
    } else if done.bodies.is_empty() {
        write!(
            text,
            "nothing to erase: it was erased already, or there was never any text"
        )?;
    } else {
        let entries: Vec<String> = done.entries.iter().map(ToString::to_string).collect();
        write!(text, "{sum} erased; entry {} says so", entries.join(", "))?;
    }
    for left in &done.pending {
        write!(text, "\nnot yet: {left}")?;
    }
    tell(context, &text, &json!(done))
}
