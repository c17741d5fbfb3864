//! `assert pullrequest github`.

use super::{FLAGS, look};
use crate::commands::pull_requests::{GITHUB, Host};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "pullrequest", "github"],
    aliases: &["gh"],
    about: "Exit with a code other than 0 unless a commit has pull requests at GitHub.",
    flags: &[GITHUB, FLAGS, DRY_RUN],
    needs: Needs::Nothing,
    check: |_| Ok(()),
    run: |context| look(context, Host::GitHub),
    ..Command::DEFAULT
};
