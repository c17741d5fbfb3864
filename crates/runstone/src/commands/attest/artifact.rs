//! `attest artifact`.

use runstone_api::client::Method;
use serde_json::{Map, Value};

use crate::commands::artifact::check_registry_flags;
use crate::commands::attesting::{
    ANNOTATE, COMMIT, EXTERNAL_FINGERPRINT, EXTERNAL_URL, FINGERPRINT, FLOW, OF_ARTIFACT, REDACT,
    REPO, REPO_ROOT, TRAIL, annotations, artifact_fingerprint, check_arguments, check_artifact,
    check_redaction, check_repo_flags, external_urls, repo_info, told,
};
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::evidence::git::Repository;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

/// `-b, --build-url`.
pub const BUILD_URL: Flag = Flag::text(
    "build-url",
    "The URL of the build. Known in many CI systems.",
)
.short('b')
.required()
.ci(Fact::BuildUrl);
/// `-u, --commit-url`.
pub const COMMIT_URL: Flag = Flag::text(
    "commit-url",
    "The URL of the commit. Known in many CI systems.",
)
.short('u')
.required()
.ci(Fact::CommitUrl);

const FLAGS: &[Flag] = &[
    FLOW,
    TRAIL,
    Flag::text("name", "The name of the artifact in the template.")
        .short('n')
        .required(),
    FINGERPRINT,
    Flag::text(
        "display-name",
        "[optional] The name that is shown, if not that of the file, directory or image.",
    )
    .short('N'),
    COMMIT.default("HEAD"),
    BUILD_URL,
    COMMIT_URL,
    REDACT,
    REPO_ROOT,
    EXTERNAL_URL,
    EXTERNAL_FINGERPRINT,
    ANNOTATE,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["attest", "artifact"],
    usage: "{IMAGE-NAME | FILE-PATH | DIR-PATH}",
    arguments: Arguments::Any,
    about: "Report an artifact on a trail.",
    flags: &[FLAGS, REPO, OF_ARTIFACT, DRY_RUN],
    check_first: check_arguments,
    check: |context| {
        check_redaction(context)?;
        check_artifact(context)?;
        check_repo_flags(context)?;
        check_registry_flags(context)
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let urls = external_urls(context)?;
    let annotations = annotations(context)?;
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let root = values.text("repo-root");
    let commit = Repository::open(root)?.commit(values.text("commit"))?;
    let repo = repo_info(context);
    let name = file_name(context, values.text("display-name"));

    let mut json = Map::new();
    json.insert("fingerprint".into(), fingerprint.as_str().into());
    json.insert("filename".into(), name.as_str().into());
    json.insert("git_commit".into(), commit.sha1.as_str().into());
    json.insert("git_commit_info".into(), told(context, &commit));
    if let Some(repo) = repo {
        json.insert("repo_info".into(), repo);
    }
    json.insert("build_url".into(), values.text("build-url").into());
    json.insert("commit_url".into(), values.text("commit-url").into());
    json.insert("repo_url".into(), repo_url(context, root)?.into());
    json.insert("template_reference_name".into(), values.text("name").into());
    json.insert("trail_name".into(), values.text("trail").into());
    if let Some(urls) = urls {
        json.insert("external_urls".into(), urls);
    }
    if let Some(annotations) = annotations {
        json.insert("annotations".into(), annotations);
    }
    let url = context.api(&["artifacts", context.org(), values.text("flow")], &[]);
    if context
        .write(Method::POST, url, &Value::Object(json))?
        .is_some()
    {
        context.say(format_args!(
            "artifact {name} was attested with fingerprint: {fingerprint}"
        ));
    }
    Ok(())
}

/// The name an artifact is shown by: as asked, else the last part of a path, else the argument.
pub fn file_name(context: &Context, asked: &str) -> String {
    let argument = context.argument(0);
    let is_path = matches!(context.values.text("artifact-type"), "file" | "dir");
    match (asked, is_path) {
        ("", true) => {
            // `.` and the root have no name of their own; what was typed is better than nothing.
            let path = std::path::Path::new(argument);
            path.file_name().map_or_else(
                || argument.into(),
                |name| name.to_string_lossy().into_owned(),
            )
        }
        ("", false) => argument.to_owned(),
        (asked, _) => asked.to_owned(),
    }
}

/// The page of the repository at `root`; empty, with a warning, if it has no `origin`.
pub fn repo_url(context: &Context, root: &str) -> anyhow::Result<String> {
    Ok(Repository::open(root)?.url().unwrap_or_else(|| {
        context.warn(format_args!(
            "Repo URL will not be reported, remote('origin') is not found in git repository: {root}"
        ));
        String::new()
    }))
}
