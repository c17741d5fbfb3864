//! What the approval commands of scripts older than trails share (`api-flows.md` 14.1): their flags
//! and what is sent.

use runstone_api::client::Method;
use serde_json::{Map, Value, json};

use crate::commands::artifact::check_registry_flags;
use crate::commands::attesting::{
    FINGERPRINT, FLOW, REPO_ROOT, USER_DATA, artifact_fingerprint, check_fingerprint,
    check_one_artifact, read_json,
};
use crate::context::{Context, parse, usage_error};
use crate::evidence::git::Repository;
use crate::grammar::flag::Flag;
use crate::output::value::text;

/// Flags of both commands that create approvals.
pub const FLAGS: &[Flag] = &[
    FLOW,
    FINGERPRINT,
    Flag::text(
        "environment",
        "[conditional] The environment it is for. Default: all.",
    )
    .short('e'),
    Flag::text("description", "[optional] The description.").short('d'),
    Flag::text(
        "oldest-commit",
        "[conditional] The commit before the oldest change. Default: that of the last artifact approved for the environment.",
    ),
    Flag::text(
        "newest-commit",
        "[defaulted] The commit of the newest change.",
    )
    .default("HEAD"),
    REPO_ROOT,
    USER_DATA,
];

/// An artifact is named, in one way.
pub fn check_named(context: &Context) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    check_one_artifact(context)?;
    if context.argument(0).is_empty() && !given("fingerprint") {
        return Err(usage_error(
            "docker image name or file/dir path is required when --fingerprint is not provided",
        ));
    }
    if !given("artifact-type") && !given("fingerprint") {
        return Err(usage_error(
            "either --artifact-type or --fingerprint must be specified",
        ));
    }
    check_fingerprint(context)?;
    check_registry_flags(context)
}

/// The checks of both commands that create approvals.
pub fn check(context: &Context) -> anyhow::Result<()> {
    check_named(context)?;
    let given = |name: &str| context.values.is_given(name);
    if !given("environment") && !given("oldest-commit") {
        anyhow::bail!("at least one of --environment, --oldest-commit is required");
    }
    Ok(())
}

/// Creates an approval; without a review it is a request for one. The fingerprint, unless it was a
/// dry run.
pub fn create(context: &Context, reviews: Vec<Value>) -> anyhow::Result<Option<String>> {
    let values = &context.values;
    let flow = values.text("flow");
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let repository = Repository::open(values.text("repo-root"))?;
    let newest = repository.resolve(values.text("newest-commit"))?;
    let environment = values.text("environment");
    let oldest = match values.text("oldest-commit") {
        "" => approved_commit(context, flow, environment)?,
        revision => Some(repository.resolve(revision)?),
    };
    let commits = match &oldest {
        Some(oldest) => repository
            .range(oldest, &newest)?
            .into_iter()
            .map(|commit| commit.sha1)
            .collect(),
        None => vec![newest],
    };
    let user_data = match values.text("user-data") {
        "" => json!({}),
        path => {
            read_json(path).map_err(|error| anyhow::anyhow!("failed to load user data. {error}"))?
        }
    };
    let mut json = Map::new();
    json.insert("artifact_fingerprint".into(), fingerprint.as_str().into());
    if !environment.is_empty() {
        json.insert("environment".into(), environment.into());
    }
    json.insert("description".into(), values.text("description").into());
    json.insert("src_commit_list".into(), commits.into());
    if let Some(oldest) = oldest {
        json.insert("oldest_commit".into(), oldest.into());
    }
    json.insert("approvals".into(), reviews.into());
    json.insert("user_data".into(), user_data);
    let url = context.api(&["approvals", context.org(), flow], &[]);
    let sent = context.write(Method::POST, url, &Value::Object(json))?;
    Ok(sent.map(|_| fingerprint))
}

/// The commit of the last artifact that was approved for the environment, if there is one.
fn approved_commit(
    context: &Context,
    flow: &str,
    environment: &str,
) -> anyhow::Result<Option<String>> {
    let segments = [
        "approvals",
        context.org(),
        flow,
        "artifact-commit",
        environment,
    ];
    let body = context.get(context.api(&segments, &[]))?;
    let commit = text(&parse(&body)?, "commit_sha");
    Ok((!commit.is_empty()).then_some(commit))
}
