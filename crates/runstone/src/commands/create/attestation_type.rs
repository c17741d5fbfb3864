//! `create attestation-type`.

use runstone_api::client::{Method, not_json};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag, Kind};

const FLAGS: &[Flag] = &[
    Flag::text("description", "[optional] The description.").short('d'),
    Flag::text(
        "schema",
        "[optional] A file with the JSON Schema that data of this type must keep.",
    )
    .short('s'),
    Flag::new(
        "jq",
        Kind::Repeated,
        "[optional] A jq expression that is true of compliant data. Can be repeated.",
    ),
    Flag::new(
        "summary",
        Kind::Repeated,
        "[optional] What is shown of the data, as NAME=EXPRESSION with a jq expression. Can be repeated.",
    ),
    Flag::text(
        "summary-json",
        "[optional] The same as a JSON array of {name, expression}.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["create", "attestation-type"],
    usage: "TYPE-NAME",
    arguments: Arguments::Exactly(1),
    about: "Create an attestation type, or a new version of one.",
    flags: &[FLAGS, DRY_RUN],
    only_one_of: &[&["summary", "summary-json"]],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let values = &context.values;
    let name = context.argument(0);
    let mut json = Map::new();
    json.insert("name".into(), name.into());
    let description = values.text("description");
    if !description.is_empty() {
        json.insert("description".into(), description.into());
    }
    let rules = values.list("jq");
    if !rules.is_empty() {
        json.insert(
            "evaluator".into(),
            json!({ "content_type": "jq", "rules": rules }),
        );
    }
    let summary = if values.is_given("summary-json") {
        summary_of_json(values.text("summary-json"))?
    } else {
        summary_of_pairs(values.list("summary"))?
    };
    if !summary.is_empty() {
        json.insert("summary".into(), summary.into());
    }
    let url = context.api(&["custom-attestation-types", context.org()], &[]);
    let file = match values.text("schema") {
        "" => None,
        path => Some(Context::file_part(
            "type_schema",
            path,
            &Method::POST,
            &url,
        )?),
    };
    if context
        .write_multipart(Method::POST, url, &Value::Object(json), file)?
        .is_some()
    {
        context.say(format_args!("attestation-type {name} was created"));
    }
    Ok(())
}

/// The rows of `--summary`.
fn summary_of_pairs(entries: &[String]) -> anyhow::Result<Vec<Value>> {
    entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let number = index + 1;
            let Some((name, expression)) = entry.split_once('=') else {
                anyhow::bail!("--summary entry {number} must be in the form NAME=EXPRESSION");
            };
            let (name, expression) = (name.trim(), expression.trim());
            if name.is_empty() {
                anyhow::bail!("--summary entry {number} is missing a name");
            }
            if expression.is_empty() {
                anyhow::bail!("--summary entry {number} is missing an expression");
            }
            if expression.starts_with('=') {
                anyhow::bail!("--summary entry {number} expression cannot start with '='");
            }
            Ok(json!({ "name": name, "expression": expression }))
        })
        .collect()
}

/// The rows of `--summary-json`.
fn summary_of_json(text: &str) -> anyhow::Result<Vec<Value>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        anyhow::anyhow!(
            "--summary-json is not valid JSON: {}",
            not_json(text.as_bytes(), &error)
        )
    })?;
    let wrong_shape =
        || anyhow::anyhow!("--summary-json must be a JSON array of {{name, expression}} entries");
    let entries = value.as_array().ok_or_else(wrong_shape)?;
    entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let entry = entry.as_object().ok_or_else(wrong_shape)?;
            let member = |name: &str, what: &str| match entry.get(name) {
                Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
                None | Some(Value::String(_) | Value::Null) => Err(anyhow::anyhow!(
                    "--summary-json entry {} is missing {what}",
                    index + 1
                )),
                Some(_) => Err(wrong_shape()),
            };
            let name = member("name", "a name")?;
            let expression = member("expression", "an expression")?;
            Ok(json!({ "name": name, "expression": expression }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn summaries_are_read_or_refused() {
        let pairs = |entry: &str| match summary_of_pairs(&["a=b".into(), entry.into()]) {
            Ok(rows) => rows[1].to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            pairs(" x = .y = z "),
            r#"{"name":"x","expression":".y = z"}"#
        );
        assert_eq!(
            pairs("x"),
            "--summary entry 2 must be in the form NAME=EXPRESSION"
        );
        assert_eq!(pairs(" =x"), "--summary entry 2 is missing a name");
        assert_eq!(pairs("x="), "--summary entry 2 is missing an expression");
        assert_eq!(
            pairs("x==y"),
            "--summary entry 2 expression cannot start with '='"
        );
        let json = |text: &str| summary_of_json(text).unwrap_err().to_string();
        assert_eq!(
            json("x"),
            "--summary-json is not valid JSON: invalid character 'x' looking for beginning of value"
        );
        for wrong in ["{}", "[1]", r#"[{"name":1}]"#, "null"] {
            assert_eq!(
                json(wrong),
                "--summary-json must be a JSON array of {name, expression} entries"
            );
        }
        assert_eq!(json("[{}]"), "--summary-json entry 1 is missing a name");
        assert_eq!(
            json(r#"[{"name":"a"}]"#),
            "--summary-json entry 1 is missing an expression"
        );
    }
}
