//! `begin trail`.

use runstone_api::client::Method;
use serde_json::{Map, Value};

use crate::commands::attesting::{
    COMMIT, DESCRIPTION, EXTERNAL_FINGERPRINT, EXTERNAL_URL, ORIGIN_URL, REDACT, REPO, REPO_ROOT,
    USER_DATA, check_redaction, check_repo_flags, commit_info, external_urls, read_json, repo_info,
    told,
};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("flow", "The flow.").required(),
    DESCRIPTION,
    Flag::text(
        "template-file",
        "[optional] A YAML file with what this trail promises, in place of the flow's template.",
    )
    .short('f'),
    USER_DATA,
    COMMIT,
    REDACT,
    REPO_ROOT,
    ORIGIN_URL,
    EXTERNAL_URL,
    EXTERNAL_FINGERPRINT,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["begin", "trail"],
    usage: "TRAIL-NAME",
    arguments: Arguments::Exactly(1),
    about: "Create or change a trail.",
    flags: &[FLAGS, REPO, DRY_RUN],
    check: |context| {
        check_redaction(context)?;
        check_repo_flags(context)
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let name = context.argument(0);
    let user_data = match values.text("user-data") {
        "" => None,
        path => Some(read_json(path)?),
    };
    let commit = commit_info(context, None)?;
    let repo = repo_info(context);
    let urls = external_urls(context)?;

    let mut json = Map::new();
    json.insert("name".into(), name.into());
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            json.insert(name.into(), value);
        }
    };
    let text = |flag: &str| Some(values.text(flag)).filter(|text| !text.is_empty());
    set("description", text("description").map(Value::from));
    set("user_data", user_data);
    set(
        "git_commit_info",
        commit.map(|commit| told(context, &commit)),
    );
    set("repo_info", repo);
    set("external_urls", urls);
    set("origin_url", text("origin-url").map(Value::from));

    let url = context.api(&["trails", context.org(), values.text("flow")], &[]);
    let file = match text("template-file") {
        Some(path) => {
            context.debug(format_args!("template file {path} will be uploaded"));
            Some(Context::file_part(
                "template_file",
                path,
                &Method::PUT,
                &url,
            )?)
        }
        None => None,
    };
    if let Some(answer) = context.write_multipart(Method::PUT, url, &Value::Object(json), file)? {
        let verb = if answer.status == 200 {
            "updated"
        } else {
            "begun"
        };
        context.say(format_args!("trail '{name}' was {verb}"));
    }
    Ok(())
}
