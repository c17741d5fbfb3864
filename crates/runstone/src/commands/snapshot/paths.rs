//! `snapshot paths`.

use std::path::Path;

use serde_json::Value;

use crate::commands::paths::{Spec, watch};
use crate::commands::reporting;
use crate::commands::snapshot::path::report;
use crate::config::{find, yaml};
use crate::context::Context;
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{DRY_RUN, Flag};

const FLAGS: &[Flag] = &[
    Flag::text(
        "paths-file",
        "The file that names the artifacts, in YAML, JSON or TOML.",
    )
    .required(),
    Flag::bool(
        "watch",
        "[optional] Report again whenever something below the paths changes.",
    ),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["snapshot", "paths"],
    usage: "ENVIRONMENT-NAME",
    arguments: Arguments::Exactly(1),
    about: "Report files and directories that a file lists.",
    details: "The file holds for example:
  version: 1
  artifacts:
    web:
      path: dist/web
      exclude: [logs, \"**/*.tmp\"]
Paths are relative to the working directory.",
    flags: &[FLAGS, DRY_RUN],
    check: reporting::check,
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    reporting::ensure_environment(context, context.argument(0), "server")?;
    let specs = read(context.values.text("paths-file"))?;
    report(context, &specs, context.times().now)?;
    if context.values.bool("watch") {
        watch(context, &specs, |moment| report(context, &specs, moment))?;
    }
    Ok(())
}

/// Reads the file at `file`, or one beside it with another extension.
fn read(file: &str) -> anyhow::Result<Vec<Spec>> {
    let path = Path::new(file);
    let Some(found) = find(path) else {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        anyhow::bail!(
            "failed to parse path spec file [{file}] : Config File \"{}\" Not Found in \"[{}]\"",
            path.file_stem().unwrap_or_default().to_string_lossy(),
            absolute.parent().unwrap_or(Path::new("/")).display()
        );
    };
    let fail = |reason: String| anyhow::anyhow!("failed to parse path spec file [{file}] : {reason}");
    let text = std::fs::read_to_string(&found).map_err(|error| fail(error.to_string()))?;
    let value: Value = match found.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?,
        Some("toml") => {
            let table: toml::Table = toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
            serde_json::to_value(table).map_err(|error| fail(error.to_string()))?
        }
        _ => yaml(&text).map_err(fail)?,
    };
    specs(file, &value)
}

/// The artifacts of a file's content, sorted by name.
fn specs(file: &str, value: &Value) -> anyhow::Result<Vec<Spec>> {
    let unknown = unknown_keys(value, "server.PathsSpec", &["version", "artifacts"])
        .into_iter()
        .chain(
            value["artifacts"]
                .as_object()
                .into_iter()
                .flatten()
                .flat_map(|(name, artifact)| {
                    let place = format!("artifacts[{name}]");
                    unknown_keys(artifact, &place, &["path", "exclude"])
                }),
        )
        .collect::<Vec<_>>();
    if !unknown.is_empty() {
        anyhow::bail!(
            "failed to unmarshal path spec file [{file}] : decoding failed due to the following error(s):\n\n{}",
            unknown.join("\n")
        );
    }
    let mut faults = Vec::new();
    let version = match &value["version"] {
        Value::String(version) => version.parse().ok(),
        version => version.as_i64(),
    };
    if version != Some(1) {
        faults.push(
            "Key: 'PathsSpec.Version' Error:Field validation for 'Version' failed on the 'oneof' tag",
        );
    }
    let artifacts = value["artifacts"].as_object().filter(|a| !a.is_empty());
    if artifacts.is_none() {
        faults.push(
            "Key: 'PathsSpec.Artifacts' Error:Field validation for 'Artifacts' failed on the 'required' tag",
        );
    }
    let invalid =
        |reason: String| anyhow::anyhow!("path spec file [{file}] is invalid: {reason}");
    if !faults.is_empty() {
        return Err(invalid(faults.join("\n")));
    }
    let mut specs = Vec::new();
    for (name, artifact) in artifacts.into_iter().flatten() {
        let path = artifact["path"].as_str().unwrap_or_default();
        if path.is_empty() {
            return Err(invalid(format!("artifacts.{name}.path is required")));
        }
        let exclude = match &artifact["exclude"] {
            Value::Null => Vec::new(),
            Value::String(pattern) => vec![pattern.clone()],
            Value::Array(patterns) if patterns.iter().all(Value::is_string) => patterns
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => {
                return Err(invalid(format!(
                    "artifacts.{name}.exclude is not a list of texts"
                )));
            }
        };
        specs.push(Spec {
            name: name.clone(),
            path: path.to_owned(),
            exclude,
        });
    }
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(specs)
}

fn unknown_keys(value: &Value, place: &str, known: &[&str]) -> Option<String> {
    let mut unknown: Vec<&str> = value
        .as_object()?
        .keys()
        .map(String::as_str)
        .filter(|key| !known.contains(&key.to_ascii_lowercase().as_str()))
        .collect();
    unknown.sort_unstable();
    (!unknown.is_empty()).then(|| format!("'{place}' has invalid keys: {}", unknown.join(", ")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn names_are_kept_and_faults_are_named() {
        let read = |text: &str| specs("f.yml", &yaml(text).unwrap());
        assert_eq!(
            read("version: 1\nartifacts:\n  Web.app:\n    path: dist\n    exclude: [logs]\n").unwrap(),
            [Spec {
                name: "Web.app".to_owned(),
                path: "dist".to_owned(),
                exclude: vec!["logs".to_owned()],
            }]
        );
        let fault = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            fault("version: 1\nartifacts:\n  a: {}\n"),
            "path spec file [f.yml] is invalid: artifacts.a.path is required"
        );
        assert_eq!(
            fault("version: 2\nfoo: 1\n"),
            "failed to unmarshal path spec file [f.yml] : decoding failed due to the following error(s):\n\n'server.PathsSpec' has invalid keys: foo"
        );
        assert_eq!(
            fault("version: 2\nartifacts:\n"),
            "path spec file [f.yml] is invalid: Key: 'PathsSpec.Version' Error:Field validation for 'Version' failed on the 'oneof' tag\nKey: 'PathsSpec.Artifacts' Error:Field validation for 'Artifacts' failed on the 'required' tag"
        );
    }
}
