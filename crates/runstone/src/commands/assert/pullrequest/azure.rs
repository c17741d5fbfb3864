//! `assert pullrequest azure`.

use super::{FLAGS, look};
use crate::commands::pull_requests::{AZURE, Host};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "pullrequest", "azure"],
    aliases: &["az"],
    about: "Exit with a code other than 0 unless a commit has pull requests at Azure DevOps.",
    flags: &[AZURE, FLAGS, DRY_RUN],
    needs: Needs::Nothing,
    check: |_| Ok(()),
    run: |context| look(context, Host::Azure),
    ..Command::DEFAULT
};
