//! `attest pullrequest bitbucket`.

use super::{FLAGS, report};
use crate::commands::attesting::{
    DETAILS, MORE, OF_ARTIFACT, PLACE, USAGE, WITH_ATTACHMENTS, check, check_arguments,
};
use crate::commands::pull_requests::{BITBUCKET, Host, check_bitbucket};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "pullrequest", "bitbucket"],
    aliases: &["bb"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the pull requests of a commit at Bitbucket.",
    details: DETAILS,
    flags: &[
        BITBUCKET,
        FLAGS,
        PLACE,
        MORE,
        WITH_ATTACHMENTS,
        OF_ARTIFACT,
        DRY_RUN,
    ],
    check_first: check_arguments,
    check: |context| check(context, check_bitbucket),
    run: |context| report(context, Host::Bitbucket),
    ..Command::DEFAULT
};
