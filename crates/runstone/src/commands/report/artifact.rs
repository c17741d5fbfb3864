//! `report artifact`, which scripts older than trails use.

use runstone_api::client::Method;
use serde_json::{Map, Value};

use crate::commands::artifact::check_registry_flags;
use crate::commands::attest::artifact::{BUILD_URL, COMMIT_URL, file_name, repo_url};
use crate::commands::attesting::{
    FINGERPRINT, FLOW, OF_ARTIFACT, REPO_ROOT, artifact_fingerprint, check_artifact,
    check_one_artifact,
};
use crate::context::{Context, parse};
use crate::evidence::ci::Fact;
use crate::evidence::git::{CommitInfo, Repository};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};
use crate::output::value::text;

const FLAGS: &[Flag] = &[
    FLOW,
    FINGERPRINT,
    Flag::text(
        "git-commit",
        "The git commit the artifact was made of. Known in many CI systems.",
    )
    .short('g')
    .required()
    .ci(Fact::Commit),
    BUILD_URL,
    COMMIT_URL,
    Flag::text(
        "name",
        "[optional] The name that is shown, if not that of the file, directory or image.",
    )
    .short('n'),
    REPO_ROOT,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["report", "artifact"],
    usage: "{IMAGE-NAME | FILE-PATH | DIR-PATH}",
    arguments: Arguments::Any,
    about: "Report an artifact of a flow without trails, with the commits since the one before.",
    flags: &[FLAGS, OF_ARTIFACT, DRY_RUN],
    check: |context| {
        check_one_artifact(context)?;
        check_artifact(context)?;
        check_registry_flags(context)
    },
    deprecated: Some("see kosli attest commands"),
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let root = values.text("repo-root");
    let flow = values.text("flow");
    let repository = Repository::open(root)?;
    let commit = repository.commit(values.text("git-commit"))?;
    let name = file_name(context, values.text("name"));
    let commits = match latest_commit(context, flow, &fingerprint, &repository.branch()) {
        Ok(previous) => changes(context, &repository, &commit, previous.as_deref())
            .iter()
            .map(CommitInfo::to_list_json)
            .collect(),
        // A dry run does without what it cannot ask.
        Err(_) if context.is_dry_run() => Value::Null,
        Err(error) => return Err(error),
    };
    let mut json = Map::new();
    json.insert("fingerprint".into(), fingerprint.as_str().into());
    json.insert("filename".into(), name.as_str().into());
    json.insert("git_commit".into(), commit.sha1.into());
    json.insert("build_url".into(), values.text("build-url").into());
    json.insert("commit_url".into(), values.text("commit-url").into());
    json.insert("repo_url".into(), repo_url(context, root)?.into());
    json.insert("commits_list".into(), commits);
    let url = context.api(&["artifacts", context.org(), flow], &[]);
    if context
        .write(Method::POST, url, &Value::Object(json))?
        .is_some()
    {
        context.say(format_args!(
            "artifact {name} was reported with fingerprint: {fingerprint}"
        ));
    }
    Ok(())
}

/// The commit of the flow's latest artifact on `branch`, if the server knows one.
pub fn latest_commit(
    context: &Context,
    flow: &str,
    fingerprint: &str,
    branch: &str,
) -> anyhow::Result<Option<String>> {
    let mut query = Vec::new();
    if !branch.is_empty() {
        query.push(("branch", branch.to_owned()));
    }
    let segments = [
        "artifacts",
        context.org(),
        flow,
        fingerprint,
        "latest_commit",
    ];
    let body = context.get(context.api(&segments, &query))?;
    let commit = text(&parse(&body)?, "latest_commit");
    Ok((!commit.is_empty()).then_some(commit))
}

/// The commits since `previous`; only `commit` itself if there is none or the history has a hole.
fn changes(
    context: &Context,
    repository: &Repository,
    commit: &CommitInfo,
    previous: Option<&str>,
) -> Vec<CommitInfo> {
    let Some(previous) = previous else {
        return vec![commit.clone()];
    };
    match repository.range(previous, &commit.sha1) {
        Ok(commits) => commits,
        Err(error) => {
            let error = error.to_string();
            let what = error.trim_end_matches(": reference not found");
            context.warn(format_args!(
                "{what}\nThe commit does not exist in the git repository.\nThis may be caused by insufficient git clone depth."
            ));
            vec![commit.clone()]
        }
    }
}
