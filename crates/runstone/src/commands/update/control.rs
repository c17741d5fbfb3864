//! `update control`.

use runstone_api::client::Method;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag, Kind};

const FLAGS: &[Flag] = &[
    Flag::text("name", "[optional] The new name.").short('n'),
    Flag::text("description", "[optional] The new description.").short('d'),
    Flag::new(
        "link",
        Kind::Map,
        "[optional] A link, as name=url. Can be repeated; they replace all there were.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["update", "control"],
    usage: "CONTROL-IDENTIFIER",
    arguments: Arguments::Exactly(1),
    about: "Change a control.",
    flags: &[FLAGS, DRY_RUN],
    check: |context| {
        if ["name", "description", "link"]
            .iter()
            .any(|name| context.values.is_given(name))
        {
            return Ok(());
        }
        anyhow::bail!("at least one of --name, --description, --link is required")
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let identifier = context.argument(0);
    let mut json = Map::new();
    let mut set = |name: &str, value: Value| {
        if values.is_given(match name {
            "links" => "link",
            name => name,
        }) {
            json.insert(name.into(), value);
        }
    };
    set("description", values.text("description").into());
    let links: Map<String, Value> = values
        .map("link")
        .map(|(name, url)| (name.to_owned(), url.into()))
        .collect();
    set("links", links.into());
    set("name", values.text("name").into());
    let url = context.api(&["controls", context.org(), identifier], &[]);
    if context
        .write(Method::PUT, url, &Value::Object(json))?
        .is_some()
    {
        context.say(format_args!("control {identifier} was updated"));
    }
    Ok(())
}
