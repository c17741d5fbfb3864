//! `config`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{self, ConfigFile};
use crate::context::Context;
use crate::grammar::command::{Command, Needs};
use crate::grammar::flag::{Flag, Kind};

const FLAGS: &[Flag] = &[
    Flag::new(
        "set",
        Kind::Map,
        "[optional] Values of other flags to store. Can be repeated.",
    ),
    Flag::list("unset", "[optional] The flags whose values are removed."),
    Flag::bool("dry-run", "[optional] Store that nothing is to be sent.").short('D'),
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
            .map(|(key, value)| (key, value.into()))
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
    for name in ["host", "max-api-retries"] {
        if values.is_given(name) && !is_default(context, name) {
            keys.insert(name.to_owned(), values.text(name).into());
        }
    }
    for name in ["debug", "dry-run"] {
        keys.insert(name.to_owned(), values.bool(name).into());
    }
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

fn is_default(context: &Context, name: &str) -> bool {
    context
        .values
        .flags()
        .iter()
        .any(|flag| flag.name == name && flag.default == context.values.text(name))
}
