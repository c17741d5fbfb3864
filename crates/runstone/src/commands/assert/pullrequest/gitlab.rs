//! `assert pullrequest gitlab`.

use super::{FLAGS, look};
use crate::commands::pull_requests::{GITLAB, Host};
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::DRY_RUN;

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "pullrequest", "gitlab"],
    aliases: &["gl"],
    about: "Exit with a code other than 0 unless a commit has merge requests at GitLab.",
    flags: &[GITLAB, FLAGS, DRY_RUN],
    needs: Needs::Nothing,
    check: |_| Ok(()),
    run: |context| look(context, Host::GitLab),
    ..Command::DEFAULT
};
