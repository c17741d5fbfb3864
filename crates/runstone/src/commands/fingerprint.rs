//! `fingerprint`.

use crate::commands::artifact;
use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs};
use crate::grammar::flag::{
    ARTIFACT_TYPE, E, EXCLUDE, Flag, REGISTRY_PASSWORD, REGISTRY_PROVIDER, REGISTRY_USERNAME,
};

const FLAGS: &[Flag] = &[
    ARTIFACT_TYPE.required(),
    REGISTRY_USERNAME,
    REGISTRY_PASSWORD,
    EXCLUDE,
    E,
    REGISTRY_PROVIDER,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["fingerprint"],
    usage: "{IMAGE-NAME | FILE-PATH | DIR-PATH}",
    arguments: Arguments::Exactly(1),
    about: "Print the SHA-256 fingerprint of an artifact.",
    details: "For a directory, a file .kosli_ignore in it lists what does not count, one glob a line.",
    flags: &[FLAGS],
    needs: Needs::Nothing,
    check: artifact::check_registry_flags,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let fingerprint = artifact::fingerprint(context, context.argument(0))?;
    context.say(fingerprint);
    Ok(())
}
