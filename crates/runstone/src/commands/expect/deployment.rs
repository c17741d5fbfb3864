//! `expect deployment`, which scripts older than trails use.

use runstone_api::client::Method;
use serde_json::{Map, Value, json};

use crate::commands::approving::check_named;
use crate::commands::attesting::{
    FINGERPRINT, FLOW, OF_ARTIFACT, USAGE, USER_DATA, artifact_fingerprint, read_json,
};
use crate::context::Context;
use crate::evidence::ci::Fact;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    FLOW,
    FINGERPRINT,
    Flag::text("environment", "The environment it is deployed to.")
        .short('e')
        .required(),
    Flag::text("description", "[optional] The description.").short('d'),
    Flag::text(
        "build-url",
        "The URL of the job that deploys. Known in many CI systems.",
    )
    .short('b')
    .required()
    .ci(Fact::BuildUrl),
    USER_DATA,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["expect", "deployment"],
    usage: USAGE,
    arguments: Arguments::Any,
    about: "Announce the deployment of an artifact to an environment.",
    flags: &[FLAGS, OF_ARTIFACT, DRY_RUN],
    check: check_named,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let fingerprint = artifact_fingerprint(context)?.unwrap_or_default();
    let user_data = match values.text("user-data") {
        "" => json!({}),
        path => {
            read_json(path).map_err(|error| anyhow::anyhow!("failed to load user data. {error}"))?
        }
    };
    let environment = values.text("environment");
    let mut json = Map::new();
    json.insert("artifact_fingerprint".into(), fingerprint.as_str().into());
    json.insert("environment".into(), environment.into());
    json.insert("description".into(), values.text("description").into());
    json.insert("build_url".into(), values.text("build-url").into());
    json.insert("user_data".into(), user_data);
    let url = context.api(&["deployments", context.org(), values.text("flow")], &[]);
    if context
        .write(Method::POST, url, &Value::Object(json))?
        .is_some()
    {
        context.say(format_args!(
            "expect deployment of artifact {fingerprint} was reported to: {environment}"
        ));
    }
    Ok(())
}
