//! `log changes`: every change of a system across its environments, with the proof of each where
//! it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::commands::{moments, proofs};
use crate::context::{Context, parse};
use crate::grammar::command::Command;
use crate::grammar::flag::{Flag, Kind, SINCE, TZ, UNTIL};
use crate::output::json::indented;
use crate::output::table::table as layout;
use crate::output::value::{field, items, text};

/// Changes that are asked for at a time.
const PAGE: u64 = 500;
/// Digits of a fingerprint in the table.
const FINGERPRINT_DIGITS: usize = 12;
/// Digits of a commit in the table.
const COMMIT_DIGITS: usize = 7;
/// Kinds of changes that the totals always tell, in this order.
const KINDS: [&str; 3] = ["started", "scaled", "exited"];

const FLAGS: &[Flag] = &[
    Flag::new(
        "environment",
        Kind::Repeated,
        "[optional] Only changes in this environment; of a logical one those in its members. Can be repeated. Default: all environments.",
    ),
    Flag::new(
        "tag",
        Kind::Repeated,
        "[optional] Only changes in environments with this tag, as KEY or KEY=VALUE. Can be repeated; then all must be there.",
    ),
    SINCE,
    UNTIL,
    TZ,
    Flag::text(
        "proof",
        "[optional] A folder, made where it is missing, that the journal's entries of these changes are written to, each with its receipt.",
    ),
    Flag::text(
        "output",
        "[defaulted] The format of the output: table, json or csv.",
    )
    .short('o')
    .default("table"),
];

/// The command.
pub static COMMAND: Command = Command {
    path: &["log", "changes"],
    about: "Show every change of a system across its environments.",
    details: "The oldest change comes first. Below the table stands, for each environment, from which snapshot and entry of the journal to which it is told of without a gap; with csv this goes to the other stream.\n\nFor example:\n  runstone log changes --tag system=shop --since 2026-01-01\n  runstone log changes --environment prod -o csv --proof proofs > changes.csv\n  runstone verify proofs/entry-12.tlog-proof --entry proofs/entry-12.json --key-file proofs/keys",
    flags: &[FLAGS],
    only_one_of: &[&["environment", "tag"]],
    check,
    run,
    ..Command::DEFAULT
};

fn check(context: &Context) -> anyhow::Result<()> {
    match context.values.text("output") {
        "table" | "json" | "csv" => Ok(()),
        other => anyhow::bail!("unsupported output format: {other}"),
    }
}

/// A tag as the wire has it.
fn wire_tag(tag: &str) -> String {
    match tag.find(['=', ':']) {
        Some(at) => format!("{}:{}", &tag[..at], &tag[at + 1..]),
        None => tag.to_owned(),
    }
}

fn run(context: &mut Context) -> anyhow::Result<()> {
    let found = Changes::fetch(context)?;
    found.check()?;
    let proof = context.values.text("proof");
    if !proof.is_empty() {
        let entries: BTreeSet<u64> = found
            .changes
            .iter()
            .filter_map(|change| change["entry"].as_u64())
            .collect();
        proofs::write(context, Path::new(proof), &entries)?;
    }
    match context.values.text("output") {
        "json" => {
            let value = found.to_json().to_string();
            context.print(&indented(value.as_bytes(), 2).map_err(anyhow::Error::msg)?);
        }
        "csv" => {
            context.print(&found.to_csv());
            context.streams.err(&found.totals_table());
        }
        _ => context.print(&found.to_table(context)),
    }
    Ok(())
}

/// Everything that was asked for.
struct Changes {
    /// The journal as far as it is told of.
    pinned_to: Value,
    environments: Vec<Value>,
    changes: Vec<Value>,
}

impl Changes {
    /// Fetches page after page, all of one state of the journal.
    fn fetch(context: &Context) -> anyhow::Result<Self> {
        let values = &context.values;
        let mut query: Vec<(&str, String)> = Vec::new();
        for name in values.list("environment") {
            query.push(("environment", name.clone()));
        }
        for tag in values.list("tag") {
            query.push(("tag", wire_tag(tag)));
        }
        if let Some(since) = moments::since(context)? {
            query.push(("since", since.as_second().to_string()));
        }
        if let Some(until) = moments::end(context)? {
            query.push(("until", until.as_second().to_string()));
        }
        query.push(("per_page", PAGE.to_string()));
        let mut found = Self {
            pinned_to: Value::Null,
            environments: Vec::new(),
            changes: Vec::new(),
        };
        let mut after = None;
        loop {
            let mut query = query.clone();
            query.extend(after.map(|after| ("after", after)));
            let url = context.api(&["timeline", context.org(), "changes"], &query);
            let mut page = parse(&context.get(url)?)?;
            if !page["pinned_to"].is_u64() {
                anyhow::bail!("the server's answer is no list of changes");
            }
            if let Some(Value::Array(changes)) = page.get_mut("changes").map(Value::take) {
                found.changes.extend(changes);
            }
            after = page["next"].as_str().map(ToOwned::to_owned);
            if after.is_none() {
                found.pinned_to = page["pinned_to"].take();
                found.environments = items(&page, "environments").to_vec();
                return Ok(found);
            }
        }
    }

    /// That nothing is missing of what the server says there is.
    fn check(&self) -> anyhow::Result<()> {
        for environment in &self.environments {
            let told = self.of(environment).count() as u64;
            let announced = environment["changes"].as_u64().unwrap_or_default();
            if told != announced {
                anyhow::bail!(
                    "the server tells of {told} changes in environment {}, but says there are {announced}",
                    text(environment, "name")
                );
            }
        }
        Ok(())
    }

    /// Changes of an environment: an archived one may have the name of another, but has no entries
    /// beside that one's.
    fn of<'s>(&'s self, environment: &'s Value) -> impl Iterator<Item = &'s Value> {
        let entry = |value: &Value, name: &str| field(value, name).as_u64();
        let first = entry(environment, "first_entry");
        let last = entry(environment, "last_entry");
        self.changes.iter().filter(move |change| {
            let at = entry(change, "entry");
            field(change, "environment") == field(environment, "name")
                && first.is_some_and(|first| at >= Some(first))
                && at <= last
        })
    }

    /// Number of changes by kind.
    fn totals<'s>(changes: impl Iterator<Item = &'s Value>) -> BTreeMap<String, u64> {
        let mut totals = BTreeMap::new();
        for change in changes {
            *totals.entry(text(change, "kind")).or_default() += 1;
        }
        totals
    }

    fn to_json(&self) -> Value {
        let environments: Vec<Value> = self
            .environments
            .iter()
            .map(|environment| {
                let mut shown = environment.clone();
                shown["totals"] = json!(Self::totals(self.of(environment)));
                shown
            })
            .collect();
        let mut value = Map::new();
        value.insert("pinned_to".to_owned(), self.pinned_to.clone());
        value.insert("environments".to_owned(), environments.into());
        value.insert(
            "totals".to_owned(),
            json!(Self::totals(self.changes.iter())),
        );
        value.insert("changes".to_owned(), self.changes.clone().into());
        value.into()
    }

    fn to_csv(&self) -> String {
        let mut csv = line(
            [
                "time",
                "environment",
                "snapshot",
                "entry",
                "change",
                "description",
                "was",
                "now",
                "artifact",
                "fingerprint",
                "flow",
                "trail",
                "commit",
                "actor",
                "approval",
            ]
            .map(ToOwned::to_owned),
        );
        for change in &self.changes {
            csv.push_str(&line([
                instant(field(change, "at")),
                text(change, "environment"),
                text(change, "snapshot"),
                text(change, "entry"),
                text(change, "kind"),
                text(change, "description"),
                text(change, "was"),
                text(change, "now"),
                text(change, "artifact"),
                known(change, "fingerprint"),
                from(change, "flow"),
                from(change, "trail"),
                from(change, "commit"),
                text(change, "actor"),
                approvals(change),
            ]));
        }
        csv
    }

    fn to_table(&self, context: &Context) -> String {
        if self.changes.is_empty() {
            return format!("No changes were found.\n\n{}", self.totals_table());
        }
        let rows: Vec<Vec<String>> = self
            .changes
            .iter()
            .map(|change| {
                let short = |text: String, digits: usize| -> String {
                    text.split("; ")
                        .map(|part| part.chars().take(digits).collect::<String>())
                        .collect::<Vec<_>>()
                        .join("; ")
                };
                vec![
                    context.times().short_value(field(change, "at")),
                    format!(
                        "{}#{}",
                        text(change, "environment"),
                        text(change, "snapshot")
                    ),
                    text(change, "description"),
                    text(change, "artifact"),
                    short(known(change, "fingerprint"), FINGERPRINT_DIGITS),
                    from(change, "flow"),
                    from(change, "trail"),
                    short(from(change, "commit"), COMMIT_DIGITS),
                    approvals(change),
                    text(change, "actor"),
                ]
            })
            .collect();
        let header = [
            "TIME",
            "SNAPSHOT",
            "CHANGE",
            "ARTIFACT",
            "FINGERPRINT",
            "FLOW",
            "TRAIL",
            "COMMIT",
            "APPROVAL",
            "ACTOR",
        ];
        format!("{}\n{}", layout(&header, &rows), self.totals_table())
    }

    /// What is told of each environment, and how much.
    fn totals_table(&self) -> String {
        let all = Self::totals(self.changes.iter());
        let mut kinds: Vec<&str> = KINDS.to_vec();
        kinds.extend(
            all.keys()
                .map(String::as_str)
                .filter(|kind| !KINDS.contains(kind)),
        );
        let row = |name: String, covered: [String; 2], totals: &BTreeMap<String, u64>| {
            let mut row = vec![name];
            row.extend(covered);
            row.extend(
                kinds
                    .iter()
                    .map(|kind| totals.get(*kind).copied().unwrap_or_default().to_string()),
            );
            row.push(totals.values().sum::<u64>().to_string());
            row
        };
        let mut rows: Vec<Vec<String>> = self
            .environments
            .iter()
            .map(|environment| {
                let between = |first: &str, last: &str, mark: &str| {
                    if field(environment, first).is_null() {
                        return "none".to_owned();
                    }
                    format!(
                        "{mark}{} to {mark}{}",
                        text(environment, first),
                        text(environment, last)
                    )
                };
                let totals = Self::totals(self.of(environment));
                row(
                    text(environment, "name"),
                    [
                        between("first_snapshot", "last_snapshot", "#"),
                        between("first_entry", "last_entry", ""),
                    ],
                    &totals,
                )
            })
            .collect();
        rows.push(row(
            "all".to_owned(),
            [String::new(), format!("below {}", self.pinned_to)],
            &all,
        ));
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_uppercase()).collect();
        let mut header = vec!["ENVIRONMENT", "SNAPSHOTS", "ENTRIES"];
        header.extend(kinds.iter().map(String::as_str));
        header.push("TOTAL");
        layout(&header, &rows)
    }
}

/// A member, or nothing where it is unknown.
fn known(value: &Value, name: &str) -> String {
    if field(value, name).is_null() {
        String::new()
    } else {
        text(value, name)
    }
}

/// A member of each flow's report.
fn from(change: &Value, name: &str) -> String {
    let told: Vec<String> = items(change, "provenance")
        .iter()
        .map(|report| known(report, name))
        .collect();
    told.join("; ")
}

/// Approvals for the environment of the change.
fn approvals(change: &Value) -> String {
    let environment = field(change, "environment");
    let told: Vec<String> = items(change, "provenance")
        .iter()
        .flat_map(|report| items(report, "approvals"))
        .filter(|approval| {
            let named = field(approval, "environment");
            named.is_null() || named == environment
        })
        .map(|approval| format!("#{} {}", text(approval, "number"), text(approval, "state")))
        .collect();
    told.join("; ")
}

/// A wire time in UTC.
fn instant(value: &Value) -> String {
    value
        .as_f64()
        .map(|seconds| (seconds * 1_000_000.0).round() as i64)
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| value.to_string(), |at| at.to_string())
}

/// A line of CSV (RFC 4180). What a spreadsheet would take for a formula is made a text.
fn line<const N: usize>(cells: [String; N]) -> String {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| {
            let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                format!("'{cell}")
            } else {
                cell
            };
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts_and_quoted() {
        let cells = ["a,b", "=1+1", "say \"x\"", "-", "two\nlines", "é", "@x,y"];
        assert_eq!(
            line(cells.map(ToOwned::to_owned)),
            "\"a,b\",'=1+1,\"say \"\"x\"\"\",'-,\"two\nlines\",é,\"'@x,y\"\r\n"
        );
    }

    #[test]
    fn tags_are_spelled_either_way() {
        assert_eq!(wire_tag("system=shop"), "system:shop");
        assert_eq!(wire_tag("url:http://x=y"), "url:http://x=y");
        assert_eq!(wire_tag("system"), "system");
        assert_eq!(wire_tag("system="), "system:");
    }

    #[test]
    fn instants_are_told_in_utc() {
        assert_eq!(instant(&json!(1_772_323_200.25)), "2026-03-01T00:00:00.25Z");
        assert_eq!(instant(&Value::Null), "null");
    }
}
