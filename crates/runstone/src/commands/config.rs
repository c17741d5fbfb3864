//! `config`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{self, ConfigFile};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::{Flag, Kind};
use crate::grammar::values::Source;

const FLAGS: &[Flag] = &[
    Flag::new(
        "set",
        Kind::Map,
        "[optional] Values of other flags to store. Can be repeated.",
    ),
    Flag::list("unset", "[optional] The flags whose values are removed."),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["config"],
    about: "Store values of flags in the config file of the user.",
    details: "The global flags that are given, or set by variables, are stored. The token is stored encrypted, with a key that lies in ~/.config/runstone/config.key.",
    flags: &[FLAGS],
    needs: Needs::Nothing,
    check: |context| {
        if context.values.is_given("config-file") {
            anyhow::bail!("cannot use --config-file with config command");
        }
        Ok(())
    },
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let home = context.process.home();
    let path = config::default_path(home, context.is_compat());
    let shown = path.to_string_lossy().into_owned();
    let fail = |what: &str, reason: String| {
        anyhow::anyhow!("setting default config failed. Error {what}: {reason}")
    };
    let mut keys: BTreeMap<String, Value> = if path.is_file() {
        config::read(&shown)
            .map_err(|reason| fail("reading config file", reason))?
            .map(|ConfigFile { keys, .. }| keys)
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, typed(value)))
            .collect()
    } else {
        BTreeMap::new()
    };
    for name in ["org", "http-proxy"] {
        let value = values.text(name);
        if !value.is_empty() {
            keys.insert(name.to_owned(), value.into());
        }
    }
    // A default is stored only if somebody asks for it, so that it can replace another value.
    if is_worth_storing(context, "host") {
        keys.insert("host".to_owned(), values.text("host").into());
    }
    if is_worth_storing(context, "max-api-retries") {
        let retries = values.int("max-api-retries");
        keys.insert("max-api-retries".to_owned(), retries.into());
    }
    keys.insert("debug".to_owned(), values.bool("debug").into());
    keys.entry("dry-run".to_owned()).or_insert(false.into());
    let token = values.text("api-token");
    if !token.is_empty() {
        let stored = config::encrypt(token, home)
            .map_err(|reason| anyhow::anyhow!("failed to get AES encryption key: {reason}"))?;
        keys.insert("api-token".to_owned(), stored.into());
    }
    for (key, value) in values.map("set") {
        keys.insert(key.to_ascii_lowercase(), value.into());
    }
    for key in values.list("unset") {
        keys.remove(&key.to_ascii_lowercase());
    }
    let text = config::to_yaml(&keys).map_err(|reason| fail("writing config file", reason))?;
    config::write_private(&path, &text)
        .map_err(|error| fail("writing config file", error.to_string()))?;
    context.say(format_args!(
        "default config file [{shown}] updated successfully."
    ));
    Ok(())
}

fn is_worth_storing(context: &Context, name: &str) -> bool {
    let values = &context.values;
    let is_default = values
        .flags()
        .iter()
        .any(|flag| flag.name == name && flag.default == values.text(name));
    match values.source(name) {
        None => false,
        Some(Source::Line) => true,
        Some(_) => !is_default,
    }
}

/// A stored text as the YAML type it looks like.
fn typed(text: String) -> Value {
    if let Ok(number) = text.parse::<i64>()
        && number.to_string() == text
    {
        return number.into();
    }
    match text.as_str() {
        "true" => true.into(),
        "false" => false.into(),
        _ => text.into(),
    }
}
