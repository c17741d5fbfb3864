//! `attest sonar`.

use crate::commands::attesting::{
    Attestation, DETAILS, MORE, OF_ARTIFACT, OF_COMMIT, PLACE, REPO, USAGE, WITH_ATTACHMENTS,
    check, check_arguments, foreign,
};
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::evidence::http::Auth;
use crate::evidence::sonar::{Question, Sonar};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag, Kind};

const FLAGS: &[Flag] = &[
    Flag::text("sonar-api-token", "The API token of SonarQube.").required(),
    Flag::text(
        "sonar-working-dir",
        "[defaulted] The folder in which the scanner left report-task.txt.",
    )
    .default(".scannerwork"),
    Flag::text(
        "sonar-ce-task-url",
        "[conditional] The URL of the task (ceTaskUrl in report-task.txt), where that file cannot be read.",
    ),
    Flag::text(
        "sonar-project-key",
        "[conditional] The key of the project, with a revision or a pull request.",
    ),
    Flag::text(
        "sonar-server-url",
        "[conditional] The URL of the server, with --sonar-project-key.",
    )
    .default("https://sonarcloud.io"),
    Flag::text(
        "sonar-revision",
        "[conditional] The revision that was scanned. Known in many CI systems. With --pull-request: the one it must be.",
    )
    .ci(Fact::Commit),
    Flag::text(
        "pull-request",
        "[conditional] The pull request that was scanned.",
    ),
    Flag::text(
        "sonar-branch",
        "[conditional] The branch that was scanned, if not the main one.",
    ),
    Flag::new(
        "max-wait",
        Kind::Int,
        "[defaulted] How many seconds to wait for the scan to be processed.",
    )
    .default("30"),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "sonar"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "State the quality gate of a scan by SonarQube.",
    details: DETAILS,
    flags: &[
        FLAGS,
        PLACE,
        OF_COMMIT,
        MORE,
        WITH_ATTACHMENTS,
        REPO,
        OF_ARTIFACT,
        DRY_RUN,
    ],
    check_first: check_arguments,
    check: |context| {
        check(context, |context| {
            let given = |name: &str| context.values.is_given(name);
            if given("sonar-branch") && given("pull-request") {
                anyhow::bail!("only one of --sonar-branch, --pull-request is allowed");
            }
            Ok(())
        })
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let text = |name: &str| context.values.text(name).to_owned();
    let mut attestation = Attestation::begin(context)?;
    let question = Question {
        working_directory: text("sonar-working-dir"),
        task_url: text("sonar-ce-task-url"),
        server_url: text("sonar-server-url"),
        project_key: text("sonar-project-key"),
        revision: text("sonar-revision"),
        revision_is_given: context.values.is_given("sonar-revision"),
        pull_request: text("pull-request"),
        branch: text("sonar-branch"),
        wait_seconds_max: u64::try_from(context.values.int("max-wait")).unwrap_or_default(),
        second: context.first_delay(),
    };
    let token = text("sonar-api-token");
    let tell = |line: String| context.say(line);
    let sonar = Sonar::new(foreign(Auth::Bearer(token.clone()))?, token, &tell);
    let analysis = context.block_on(sonar.find(&question))?;
    attestation.set("sonar_results", serde_json::to_value(&analysis)?);
    attestation.send(context, "sonar", "sonar").map(drop)
}
