//! `version`.

use crate::context::{Context, VERSION};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::Flag;

const FLAGS: &[Flag] = &[Flag::bool("short", "[optional] Print the number only.").short('s')];

/// The command.
pub static COMMAND: Command = Command {
    path: &["version"],
    aliases: &["ver"],
    about: "Print the version.",
    flags: &[FLAGS],
    needs: Needs::Nothing,
    run,
    ..Command::DEFAULT
};

#[expect(clippy::unnecessary_wraps, reason = "the type of all commands")]
fn run(context: &mut Context) -> anyhow::Result<()> {
    if context.values.bool("short") {
        context.say(format_args!("v{VERSION}"));
    } else {
        context.say(long());
    }
    Ok(())
}

/// The version with what it was built from, in the shape scripts know.
pub fn long() -> String {
    format!(
        "version.BuildInfo{{Version:\"v{VERSION}\", GitCommit:\"{}\", GitTreeState:\"{}\", GoVersion:\"\"}}",
        option_env!("RUNSTONE_BUILD_COMMIT").unwrap_or_default(),
        option_env!("RUNSTONE_BUILD_TREE_STATE").unwrap_or_default(),
    )
}
