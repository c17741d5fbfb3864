//! `assert status`.

use crate::commands::status::report;
use crate::grammar::command::{Command, Needs};

/// The command.
pub static COMMAND: Command = Command {
    path: &["assert", "status"],
    about: "Exit with a code other than 0 if the server is not ready.",
    needs: Needs::Nothing,
    run: |context| report(context, true),
    ..Command::DEFAULT
};
