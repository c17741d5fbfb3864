//! `get snapshot`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::commands::{moments, proofs};
use crate::context::{Context, parse};
use crate::grammar::command::{Arguments, Command};
use crate::grammar::flag::{Flag, OUTPUT, TZ};
use crate::output::table::table as layout;
use crate::output::time::seconds;
use crate::output::value::{field, items, short_commit, text, text_or};

const FLAGS: &[Flag] = &[
    Flag::text(
        "proof",
        "[optional] A folder, made where it is missing, that the journal's entries about this snapshot, its artifacts' starts and their commits are written to, each with its receipt.",
    ),
    TZ,
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["get", "snapshot"],
    usage: "ENVIRONMENT-NAME-OR-EXPRESSION",
    arguments: Arguments::Exactly(1),
    about: "Show a snapshot of an environment.",
    details: "The expression is the environment's name, alone for the latest snapshot, or followed by one of:
  #N                  the N-th snapshot
  ~N                  N snapshots before the latest
  @{2.hours.ago}      what ran then; hours, days, weeks or months
  @{2026-12-24T18:00:00}  what ran then, in UTC or in the zone of --tz
  @{2026-12-24}       what ran at the end of that day
  @{last thursday}, @{yesterday 18:00}, @{3 days ago}  the same in words",
    flags: &[FLAGS, OUTPUT],
    run,
    ..Command::DEFAULT
};

fn run(context: &mut Context) -> anyhow::Result<()> {
    let expression = moments::expression(context, context.argument(0))?;
    let (environment, reference) = split(&expression)?;
    let url = context.api(&["snapshots", context.org(), environment, &reference], &[]);
    let snapshot = context.get(url)?;
    let proof = context.values.text("proof");
    if !proof.is_empty() {
        let url = context.api(
            &[
                "journal",
                context.org(),
                "snapshots",
                environment,
                &reference,
            ],
            &[],
        );
        let told = parse(&context.get(url)?)?;
        let entries: BTreeSet<u64> = items(&told, "entries")
            .iter()
            .filter_map(Value::as_u64)
            .collect();
        proofs::write(context, Path::new(proof), &entries)?;
    }
    context.show(&snapshot, table)?;
    if !context.is_compat() {
        point_out(context, environment, &snapshot);
    }
    Ok(())
}

/// Says of what runs without provenance that it has the name of something known. A server that
/// does not know of such things is not asked twice.
fn point_out(context: &Context, environment: &str, snapshot: &[u8]) {
    let Ok(snapshot) = parse(snapshot) else {
        return;
    };
    let is_unknown = |artifact: &&Value| {
        field(field(artifact, "annotation"), "now").as_f64() != Some(0.0)
            && items(artifact, "flows").is_empty()
    };
    let (Some(index), true) = (
        field(&snapshot, "index").as_u64(),
        items(&snapshot, "artifacts")
            .iter()
            .any(|artifact| is_unknown(&artifact)),
    ) else {
        return;
    };
    let index = index.to_string();
    let url = context.api(&["lookalikes", context.org(), environment, &index], &[]);
    let Some(found) = context.get(url).ok().and_then(|body| parse(&body).ok()) else {
        return;
    };
    for artifact in items(&found, "artifacts") {
        let Some(known) = items(artifact, "known").first() else {
            continue;
        };
        context.warn(format_args!(
            "unknown provenance of {}: a known artifact has the same name, of flow {} and commit {}",
            text(artifact, "name"),
            text(known, "flow_name"),
            short_commit(known, "git_commit"),
        ));
    }
}

/// The environment and what is sent as the reference: `-1` for the latest, else the separator and
/// what follows it.
fn split(expression: &str) -> anyhow::Result<(&str, String)> {
    let kinds = ['@', '~', '#']
        .iter()
        .filter(|separator| expression.contains(**separator))
        .count();
    if kinds > 1 {
        anyhow::bail!(
            "invalid expression: {expression}. Only one of '@', '~' or '#' can be present"
        );
    }
    let (environment, reference) = match expression.find(['@', '~', '#']) {
        Some(index) => (&expression[..index], expression[index..].to_owned()),
        None => (expression, "-1".to_owned()),
    };
    if environment.is_empty() {
        anyhow::bail!("invalid expression: {expression}. Environment name is missing");
    }
    Ok((environment, reference))
}

fn table(context: &Context, snapshot: &Value) -> String {
    if field(snapshot, "type").is_null() {
        return "No running artifacts were reported\n".to_owned();
    }
    let mut rows = Vec::new();
    for artifact in items(snapshot, "artifacts") {
        let annotation = field(artifact, "annotation");
        if field(annotation, "now").as_f64() == Some(0.0) {
            continue;
        }
        let compliance = match field(artifact, "compliant") {
            Value::Bool(true) => "COMPLIANT",
            _ => "NON-COMPLIANT",
        };
        let starts = items(artifact, "creationTimestamp");
        let since = starts
            .first()
            .and_then(seconds)
            .map_or_else(|| "N/A".to_owned(), |start| context.times().ago(start));
        rows.push(vec![
            short_commit(artifact, "git_commit"),
            format!("Name: {}", text(artifact, "name")),
            text_or(artifact, "flow_name", "N/A"),
            compliance.to_owned(),
            since,
            starts.len().to_string(),
        ]);
        rows.push(vec![
            String::new(),
            format!("Fingerprint: {}", text(artifact, "fingerprint")),
            String::new(),
            String::new(),
            String::new(),
        ]);
        rows.push(vec![String::new(); 5]);
    }
    layout(
        &[
            "COMMIT",
            "ARTIFACT",
            "FLOW",
            "COMPLIANCE",
            "RUNNING_SINCE",
            "REPLICAS",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn expressions_split_as_contracted() {
        let check = |text: &str, environment: &str, reference: &str| {
            assert_eq!(
                split(text).unwrap(),
                (environment, reference.to_owned()),
                "{text}"
            );
        };
        check("prod", "prod", "-1");
        check("prod#8", "prod", "#8");
        check("prod~3", "prod", "~3");
        check("prod@{2.hours.ago}", "prod", "@{2.hours.ago}");
        let fault = |text: &str| split(text).unwrap_err().to_string();
        assert_eq!(
            fault("a@~1"),
            "invalid expression: a@~1. Only one of '@', '~' or '#' can be present"
        );
        assert_eq!(
            fault("#1"),
            "invalid expression: #1. Environment name is missing"
        );
    }
}
