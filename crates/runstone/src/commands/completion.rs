//! `completion`.

use clap_complete::Shell;

use crate::context::Context;
use crate::grammar::command::{Arguments, Command, Needs, Tree};
use crate::grammar::help::clap_tree;

/// The command.
pub static COMMAND: Command = Command {
    path: &["completion"],
    usage: "[bash|zsh|fish|powershell]",
    arguments: Arguments::OneOf(&["bash", "zsh", "fish", "powershell"]),
    about: "Print a completion script for a shell.",
    details: "For example: source <(runstone completion bash)",
    needs: Needs::Nothing,
    run,
    ..Command::DEFAULT
};

#[expect(clippy::unnecessary_wraps, reason = "the type of all commands")]
fn run(context: &mut Context) -> anyhow::Result<()> {
    let shell = match context.argument(0) {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::PowerShell,
    };
    let tree = Tree {
        program: context.program(),
        ..super::TREE
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut clap_tree(&tree), tree.program, &mut script);
    context.print(&String::from_utf8_lossy(&script));
    Ok(())
}
