//! `create control`.

use runstone_api::client::{Call, Method, Payload};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text("name", "The name.").short('n').required(),
    Flag::text("description", "[optional] The description.").short('d'),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["create", "control"],
    usage: "CONTROL-IDENTIFIER",
    arguments: Arguments::Exactly(1),
    about: "Create a control.",
    flags: &[FLAGS, DRY_RUN],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let identifier = context.argument(0);
    let mut json = Map::new();
    json.insert("identifier".into(), identifier.into());
    json.insert("name".into(), context.values.text("name").into());
    let description = context.values.text("description");
    if !description.is_empty() {
        json.insert("description".into(), description.into());
    }
    let url = context.api(&["controls", context.org()], &[]);
    let mut call = Call::new(
        Method::POST,
        url,
        Payload::Json(Value::Object(json).to_string()),
    );
    // Here a conflict is final: there is such a control.
    call.retry_conflict = false;
    if context.write_call(call)?.is_some() {
        context.say(format_args!("control {identifier} was created"));
    }
    Ok(())
}
