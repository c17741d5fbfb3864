//! `create flow`.

use runstone_api::client::{Content, FilePart, Method};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

/// The template of a flow that promises nothing.
const EMPTY_TEMPLATE: &str = "version: 1";

const FLAGS: &[Flag] = &[
    Flag::text("description", "[optional] The description."),
    Flag::text(
        "template-file",
        "[optional] A YAML file with what every trail of the flow promises.",
    )
    .short('f'),
    Flag::bool(
        "use-empty-template",
        "[optional] A template that promises nothing.",
    ),
    Flag::list(
        "template",
        "[optional] The names of what every artifact promises, as flows without trails had them.",
    )
    .short('t'),
    Flag::text("visibility", "[deprecated] public or private.")
        .deprecated("this flag is deprecated and will be removed in a future version."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["create", "flow"],
    usage: "FLOW-NAME",
    arguments: Arguments::Exactly(1),
    about: "Create or change a flow.",
    flags: &[FLAGS, DRY_RUN],
    only_one_of: &[
        &["template", "template-file"],
        &["template-file", "use-empty-template"],
    ],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let name = context.argument(0);
    let template: Vec<&str> = values
        .list("template")
        .iter()
        .map(|name| name.trim())
        .collect();
    let mut json = Map::new();
    json.insert("name".into(), name.into());
    json.insert("description".into(), values.text("description").into());
    let visibility = values.text("visibility");
    if !visibility.is_empty() {
        json.insert("visibility".into(), visibility.into());
    }
    let path = values.text("template-file");
    let answer = if !path.is_empty() || values.bool("use-empty-template") {
        let url = context.api(&["flows", context.org(), "template_file"], &[]);
        if !template.is_empty() {
            json.insert("template".into(), template.into());
        }
        let file = if path.is_empty() {
            FilePart {
                field: "template_file".into(),
                file_name: "template.yml".into(),
                content: Content::Bytes(EMPTY_TEMPLATE.into()),
            }
        } else {
            context.debug(format_args!("template file {path} will be uploaded"));
            Context::file_part("template_file", path, &Method::PUT, &url)?
        };
        context.write_multipart(Method::PUT, url, &Value::Object(json), Some(file))?
    } else {
        context.warn(
            "creating a flow without --template-file or --use-empty-template uses a deprecated API endpoint and will stop working in a future release; please provide a template",
        );
        let mut template = template;
        if !template.contains(&"artifact") {
            template.push("artifact");
        }
        json.insert("template".into(), template.into());
        let url = context.api(&["flows", context.org()], &[]);
        context.write(Method::PUT, url, &Value::Object(json))?
    };
    if let Some(answer) = answer {
        let verb = if answer.status == 200 {
            "updated"
        } else {
            "created"
        };
        context.say(format_args!("flow '{name}' was {verb}"));
    }
    Ok(())
}
