//! `assert pullrequest bitbucket`.

use super::{FLAGS, look};
use crate::commands::pull_requests::{BITBUCKET, Host, check_bitbucket};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "pullrequest", "bitbucket"],
    aliases: &["bb"],
    about: "Exit with a code other than 0 unless a commit has pull requests at Bitbucket.",
    flags: &[BITBUCKET, FLAGS, DRY_RUN],
    needs: Needs::Nothing,
    check: check_bitbucket,
    run: |context| look(context, Host::Bitbucket),
    ..Command::DEFAULT
};
