//! `attest pullrequest github`.

use super::{FLAGS, report};
use crate::commands::attesting::{
    DETAILS, MORE, OF_ARTIFACT, PLACE, USAGE, WITH_ATTACHMENTS, check, check_arguments,
};
use crate::commands::pull_requests::{GITHUB, Host};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "pullrequest", "github"],
    aliases: &["gh"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the pull requests of a commit at GitHub.",
    details: DETAILS,
    flags: &[
        GITHUB,
        FLAGS,
        PLACE,
        MORE,
        WITH_ATTACHMENTS,
        OF_ARTIFACT,
        DRY_RUN,
    ],
    check_first: check_arguments,
    check: |context| check(context, |_| Ok(())),
    run: |context| report(context, Host::GitHub),
    ..Command::DEFAULT
};
