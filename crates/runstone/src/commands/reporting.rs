//! What all snapshot commands share: creating the environment first if asked to, and sending the
//! report (`cli.md` 7).

use jiff::Timestamp;
use runstone_api::client::{Call, Method, Payload};
use runstone_collect::{Artifact, Notice};
use serde_json::{Map, Value, json};

use crate::commands::create::environment::include_scaling;
use crate::context::{Context, parse};
use crate::output::value::text;

/// The body of a report.
pub fn body(artifacts: &[Artifact]) -> Value {
    let artifacts: Vec<Value> = artifacts
        .iter()
        .map(|artifact| {
            json!({
                "digests": {
                    artifact.name.as_str():
                        artifact.fingerprint.map(|known| known.to_hex()).unwrap_or_default()
                },
                "creationTimestamp": artifact.created_at,
            })
        })
        .collect();
    json!({ "artifacts": artifacts })
}

/// Tells what a collector wants to be told.
pub fn tell(context: &Context, notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::Note(text) => context.say(text),
            Notice::Warning(text) => context.warn(text),
        }
    }
}

/// Sends the report of environment `environment` as type `kind`, observed at `observed`. False for
/// a dry run.
pub fn send(
    context: &Context,
    environment: &str,
    kind: &str,
    artifacts: &[Artifact],
    observed: Timestamp,
) -> anyhow::Result<bool> {
    let url = context.api(
        &["environments", context.org(), environment, "report", kind],
        &[],
    );
    let payload = Payload::Json(body(artifacts).to_string());
    let mut call = Call::new(Method::PUT, url, payload);
    if !context.is_compat() {
        call.headers = observation(context, environment, observed);
    }
    Ok(context.write_call(call)?.is_some())
}

/// When, by whom and as which of a sequence this was seen (decision D10). The sequence is the
/// observation's time, so that it grows from run to run without a memory, and an attempt that is
/// sent again is known as the same.
pub fn observation(
    context: &Context,
    environment: &str,
    observed: Timestamp,
) -> Vec<(&'static str, String)> {
    let micros = observed.as_microsecond();
    vec![
        (
            "Runstone-Observed-At",
            format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000),
        ),
        (
            "Runstone-Reporter",
            format!("{}/{environment}", context.process.host_name)
                .chars()
                .map(|letter| {
                    if letter.is_ascii_graphic() {
                        letter
                    } else {
                        '_'
                    }
                })
                .collect(),
        ),
        ("Runstone-Sequence", micros.to_string()),
    ]
}

/// The flags that mean something only together with `--auto-environment`.
const COMPANIONS: [&str; 3] = [
    "environment-description",
    "include-scaling",
    "exclude-scaling",
];
const COMPANIONS_TEXT: &str =
    "--environment-description, --include-scaling and --exclude-scaling are ignored";

/// The check of the group's flags that comes before required flags.
pub fn check(context: &Context) -> anyhow::Result<()> {
    let given = |name: &str| context.values.is_given(name);
    if given("include-scaling") && given("exclude-scaling") {
        anyhow::bail!("only one of --include-scaling, --exclude-scaling is allowed");
    }
    Ok(())
}

/// Creates the environment if `--auto-environment` says so and it does not exist.
pub fn ensure_environment(context: &Context, environment: &str, kind: &str) -> anyhow::Result<()> {
    let companions = COMPANIONS.iter().any(|name| context.values.is_given(name));
    if !context.values.bool("auto-environment") {
        if companions {
            context.warn(format_args!(
                "{COMPANIONS_TEXT} unless --auto-environment is set"
            ));
        }
        return Ok(());
    }
    if context.is_dry_run() {
        context.say(format_args!(
            "dry-run: environment {environment} would be created with type {kind} if it does not exist"
        ));
        return Ok(());
    }
    let url = context.api(&["environments", context.org(), environment], &[]);
    match context.get(url) {
        Ok(body) => {
            let found = text(&parse(&body)?, "type");
            if found.eq_ignore_ascii_case("logical") {
                anyhow::bail!("cannot report a snapshot to the logical environment {environment}");
            }
            if !found.eq_ignore_ascii_case(kind) {
                anyhow::bail!(
                    "environment {environment} already exists with type {found}, which does not match the snapshot type {kind}"
                );
            }
            if companions {
                context.warn(format_args!(
                    "environment {environment} already exists; {COMPANIONS_TEXT}"
                ));
            }
            Ok(())
        }
        Err(error) if error.status() == Some(404) => create(context, environment, kind),
        Err(error) => Err(error.into()),
    }
}

fn create(context: &Context, environment: &str, kind: &str) -> anyhow::Result<()> {
    let mut body = Map::new();
    let description = match context.values.text("environment-description") {
        "" => format!("Auto-created by {} snapshot", context.program()),
        description => description.to_owned(),
    };
    body.insert("name".into(), environment.into());
    body.insert("type".into(), kind.into());
    body.insert("description".into(), description.into());
    if let Some(include) = include_scaling(context, kind) {
        body.insert("include_scaling".into(), include.into());
    }
    let url = context.api(&["environments", context.org()], &[]);
    let call = Call::new(
        Method::PUT,
        url,
        Payload::Json(Value::Object(body).to_string()),
    );
    context.send(&call).map_err(|error| {
        anyhow::anyhow!("failed to auto-create environment {environment}: {error}")
    })?;
    context.say(format_args!("environment {environment} was created"));
    Ok(())
}
