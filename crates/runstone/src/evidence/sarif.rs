//! Results of scanners in SARIF, counted by severity (`cli.md` 6.3).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// What the schema's address begins with.
const SCHEMAS: [&str; 3] = [
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/",
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-",
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
];

/// Results in the shape of `snyk_results`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Always 1.
    pub schema_version: u32,
    /// The tool of the first run.
    pub tool: Tool,
    /// One element for each run.
    pub results: Vec<Run>,
}

/// A scanner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What one run found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Run {
    /// Number of findings of high severity.
    pub high_count: usize,
    /// Number of findings of medium severity.
    pub medium_count: usize,
    /// Number of findings of low severity.
    pub low_count: usize,
    /// Findings of high severity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub high: Vec<Finding>,
    /// Findings of medium severity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub medium: Vec<Finding>,
    /// Findings of low severity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<Finding>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Id of the rule.
    pub id: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// How urgent, as the scanner says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_score: Option<Number>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file.
    pub uri: String,
    /// `3` or `3-5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<String>,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum SarifError {
    /// There is no such file.
    #[error("the provided file path doesn't have a file")]
    NoFile,
    /// It is no JSON, or not of the right shape.
    #[error("{0}")]
    NotJson(String),
    /// Its schema is another one.
    #[error("invalid sarif file")]
    NotSarif,
    /// A finding without level names a rule that is not there.
    #[error("could not find rule ID: {0}. couldn't find rule {0}")]
    NoRule(String),
    /// A finding without level names a rule without severity.
    #[error("could not find level for rule ID: {0}")]
    NoLevel(String),
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "$schema", default)]
    schema: String,
    #[serde(default)]
    runs: Vec<ReportRun>,
}

#[derive(Deserialize)]
struct ReportRun {
    #[serde(default)]
    tool: ReportTool,
    #[serde(default)]
    results: Option<Vec<ReportResult>>,
}

#[derive(Deserialize, Default)]
struct ReportTool {
    #[serde(default)]
    driver: Driver,
}

#[derive(Deserialize, Default)]
struct Driver {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportResult {
    #[serde(default)]
    rule_id: String,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    locations: Option<Vec<ReportLocation>>,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize, Default)]
struct Message {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportLocation {
    #[serde(default)]
    physical_location: PhysicalLocation,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    #[serde(default)]
    artifact_location: ArtifactLocation,
    #[serde(default)]
    region: Option<Region>,
}

#[derive(Deserialize, Default)]
struct ArtifactLocation {
    #[serde(default)]
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    #[serde(default)]
    start_line: Option<u64>,
    #[serde(default)]
    end_line: Option<u64>,
}

/// The results in the file at `path`.
pub fn read_file(path: &str) -> Result<Summary, SarifError> {
    let text = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SarifError::NoFile,
        _ => SarifError::NotJson(format!("open {path}: {}", super::reason(&error))),
    })?;
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Summary, SarifError> {
    let report: Report = serde_json::from_slice(text)
        .map_err(|error| SarifError::NotJson(runstone_api::client::not_json(text, &error)))?;
    if !SCHEMAS.iter().any(|known| report.schema.starts_with(known)) {
        return Err(SarifError::NotSarif);
    }
    let tool = report.runs.first().map(|run| Tool {
        name: run.tool.driver.name.clone(),
        version: run.tool.driver.version.clone().unwrap_or_default(),
    });
    Ok(Summary {
        schema_version: 1,
        tool: tool.unwrap_or_default(),
        results: report
            .runs
            .into_iter()
            .map(summarize)
            .collect::<Result<_, _>>()?,
    })
}

fn summarize(run: ReportRun) -> Result<Run, SarifError> {
    let rules: HashMap<String, Value> = run
        .tool
        .driver
        .rules
        .unwrap_or_default()
        .into_iter()
        .map(|rule| (rule.id, rule.properties))
        .collect();
    let mut found = Run::default();
    for result in run.results.unwrap_or_default() {
        let level = match result.level.filter(|level| !level.is_empty()) {
            Some(level) => level,
            None => {
                let rule = rules
                    .get(&result.rule_id)
                    .ok_or_else(|| SarifError::NoRule(result.rule_id.clone()))?;
                rule["problem"]["severity"]
                    .as_str()
                    .ok_or_else(|| SarifError::NoLevel(result.rule_id.clone()))?
                    .to_owned()
            }
        };
        let list = match level.as_str() {
            "error" | "high" | "critical" => &mut found.high,
            "warning" | "medium" => &mut found.medium,
            "info" | "low" | "note" => &mut found.low,
            _ => continue,
        };
        list.push(Finding {
            id: result.rule_id,
            message: result.message.text,
            locations: result
                .locations
                .unwrap_or_default()
                .into_iter()
                .map(|location| Location {
                    lines: location.physical_location.region.and_then(lines),
                    uri: location.physical_location.artifact_location.uri,
                })
                .collect(),
            priority_score: result.properties["priorityScore"].as_number().cloned(),
        });
    }
    found.high_count = found.high.len();
    found.medium_count = found.medium.len();
    found.low_count = found.low.len();
    Ok(found)
}

fn lines(region: Region) -> Option<String> {
    let start = region.start_line?;
    Some(match region.end_line {
        Some(end) if end != start => format!("{start}-{end}"),
        _ => start.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    const SCHEMA: &str = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json";

    fn report(results: &str) -> Result<Summary, SarifError> {
        parse(
            format!(
                r#"{{"$schema":"{SCHEMA}","runs":[{{"tool":{{"driver":{{"name":"Snyk","version":"1","rules":[{{"id":"R1","properties":{{"problem":{{"severity":"critical"}}}}}},{{"id":"R2","properties":{{}}}}]}}}},"results":[{results}]}},{{"tool":{{"driver":{{"name":"two"}}}},"results":null}}]}}"#
            )
            .as_bytes(),
        )
    }

    #[test]
    fn findings_are_counted_by_severity() {
        let summary = report(
            r#"{"ruleId":"R1","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":3,"endLine":5}}},{"physicalLocation":{"artifactLocation":{"uri":"b.js"},"region":{"startLine":3}}},{"physicalLocation":{"artifactLocation":{"uri":"c.js"}}}],"properties":{"priorityScore":7.5}},
               {"ruleId":"R9","level":"warning","message":{"text":"w"}},
               {"ruleId":"R9","level":"note","message":{"text":"n"},"locations":[]},
               {"ruleId":"R9","level":"none","message":{"text":"x"}}"#,
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&summary).unwrap(),
            r#"{"schema_version":1,"tool":{"name":"Snyk","version":"1"},"results":[{"high_count":1,"medium_count":1,"low_count":1,"high":[{"id":"R1","message":"m","locations":[{"uri":"a.js","lines":"3-5"},{"uri":"b.js","lines":"3"},{"uri":"c.js"}],"priority_score":7.5}],"medium":[{"id":"R9","message":"w"}],"low":[{"id":"R9","message":"n"}]},{"high_count":0,"medium_count":0,"low_count":0}]}"#
        );
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let fault = |results: &str| report(results).unwrap_err().to_string();
        assert_eq!(
            fault(r#"{"ruleId":"R9","message":{"text":"w"}}"#),
            "could not find rule ID: R9. couldn't find rule R9"
        );
        assert_eq!(
            fault(r#"{"ruleId":"R2","message":{"text":"w"}}"#),
            "could not find level for rule ID: R2"
        );
        let refused = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("{}"), "invalid sarif file");
        assert_eq!(
            refused(r#"{"$schema":"https://example.com"}"#),
            "invalid sarif file"
        );
        assert_eq!(
            refused("hi"),
            "invalid character 'h' looking for beginning of value"
        );
    }
}
