//! `create environment`.

use runstone_api::client::Method;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, EXCLUDE_SCALING, Flag, INCLUDE_SCALING};

const FLAGS: &[Flag] = &[
    Flag::text(
        "type",
        "The type: K8S, ECS, S3, lambda, server, docker, azure-apps, cloud-run or logical.",
    )
    .short('t')
    .required(),
    Flag::text("description", "[optional] The description.").short('d'),
    Flag::list(
        "included-environments",
        "[optional] The environments that a logical one is made of.",
    ),
    INCLUDE_SCALING,
    EXCLUDE_SCALING,
    Flag::bool("require-provenance", "[deprecated] Use policies.").deprecated(
        "this flag is deprecated and will be removed in a future version. Use policies instead.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["create", "environment"],
    aliases: &["env"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Create or change an environment.",
    details: "A change in the number of instances makes a snapshot, unless --exclude-scaling is given.",
    flags: &[FLAGS, DRY_RUN],
    only_one_of: &[&["exclude-scaling", "include-scaling"]],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let name = context.argument(0);
    let mut body = Map::new();
    body.insert("name".into(), name.into());
    body.insert("type".into(), values.text("type").into());
    body.insert("description".into(), values.text("description").into());
    if let Some(include) = include_scaling(context, values.text("type")) {
        body.insert("include_scaling".into(), include.into());
    }
    if values.bool("require-provenance") {
        body.insert("require_provenance".into(), true.into());
    }
    let included = values.list("included-environments");
    if !included.is_empty() {
        body.insert("included_environments".into(), included.into());
    }
    let url = context.api(&["environments", context.org()], &[]);
    if context
        .write(Method::PUT, url, &Value::Object(body))?
        .is_some()
    {
        context.say(format_args!("environment {name} was created"));
    }
    Ok(())
}

/// What is sent for `include_scaling`. Our own command line turns it on where nobody says
/// otherwise (decision D9); a logical environment has no instances of its own.
pub fn include_scaling(context: &Context, kind: &str) -> Option<bool> {
    if context.values.bool("include-scaling") {
        Some(true)
    } else if context.values.bool("exclude-scaling") {
        Some(false)
    } else {
        let said = context.values.is_given("include-scaling");
        (!context.is_compat() && !said && kind != "logical").then_some(true)
    }
}
