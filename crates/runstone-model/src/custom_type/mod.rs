//! Custom types of attestation: what their owner demands of the data (`api-flows.md` sections
//! 6.8 and 11).
//!
//! Owns the definition of a type and what it makes of data. Schemas and rules are written by
//! users: what is malformed is refused when the type is made, and what takes too long or too much
//! is stopped when it is run (`docs/decisions`). It must not know who reports or where types are
//! kept.

mod meter;
mod rule;
mod schema;
#[cfg(test)]
mod tests;
mod value;

use serde_json::{Map, Value, json};

pub use self::meter::Stop;
use self::rule::Rule;
use self::schema::Schema;
use self::value::Metered;
use crate::id::Micros;
use crate::name::{NAME_BYTES_MAX, TypeName};
use crate::provenance::shape::{Members, Pattern, Shape, read_body};
use crate::provenance::take;
use crate::read::{BODY_BYTES_MAX, FieldErrors};

/// Most rules, and most rows of a summary, of one version.
pub const RULES_MAX: usize = 100;
/// The part of the request that carries a JSON Schema.
pub const SCHEMA_PART: &str = "type_schema";
/// Steps for compiling a type: a bound for the nesting of its texts.
const COMPILE_STEPS: u64 = 50_000_000;
/// Steps for judging one attestation, besides those for the size of its data.
const STEPS: u64 = 1_000_000;
/// Steps for each value of the data.
const STEPS_PER_VALUE: u64 = 50;
/// Most steps of all.
const STEPS_MAX: u64 = 4_000_000;
/// Most problems that an evaluation names.
const PROBLEMS_MAX: usize = 20;

/// Name and expression of a row that is shown beside an attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// Name.
    pub name: String,
    /// A jq filter; its first output is shown.
    pub expression: String,
}

/// What one version of a type demands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TypeVersion {
    /// A JSON Schema that the data must conform to.
    pub schema: Option<Value>,
    /// jq filters that must all yield `true`; none = the default evaluator.
    pub rules: Option<Vec<String>>,
    /// What is shown.
    pub summary: Option<Vec<SummaryRow>>,
}

/// `POST /custom-attestation-types/{org}`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateType {
    /// Name, the identity of the upsert.
    pub name: TypeName,
    /// Free text.
    pub description: Option<String>,
    /// Free text about the version.
    pub comment: Option<String>,
    /// The new version.
    pub version: TypeVersion,
}

const TYPE_NAME: Shape = Shape::Matching(&Pattern {
    text: TypeName::PATTERN,
    fits: |text| text.len() > NAME_BYTES_MAX || TypeName::parse(text).is_ok(),
    bytes_max: NAME_BYTES_MAX,
});

const CREATE_TYPE: Members = Members {
    open: false,
    members: &[
        ("name", true, TYPE_NAME),
        ("description", false, Shape::Text),
        ("comment", false, Shape::Text),
        (
            "evaluator",
            false,
            Shape::Either(
                &Members {
                    open: false,
                    members: &[("content_type", true, Shape::OneOf(&["default", "jq"]))],
                },
                &["rules"],
                &Members {
                    open: false,
                    members: &[
                        ("content_type", true, Shape::OneOf(&["jq"])),
                        ("rules", true, Shape::List(&Shape::Text)),
                    ],
                },
            ),
        ),
        (
            "summary",
            false,
            Shape::List(&Shape::Object(&Members {
                open: false,
                members: &[
                    ("name", true, Shape::Text),
                    ("expression", true, Shape::Text),
                ],
            })),
        ),
    ],
};

/// Reads `data_json` and the schema's text, and compiles both; everything that is wrong is named.
pub fn create_type(body: &[u8], schema: Option<&[u8]>) -> Result<CreateType, FieldErrors> {
    let mut errors = FieldErrors::default();
    let schema = schema.and_then(|text| match read_schema(text) {
        Ok(schema) => schema,
        Err(problem) => {
            errors.add(SCHEMA_PART, &problem, "");
            None
        }
    });
    let object = match read_body(body, BODY_BYTES_MAX, &[&CREATE_TYPE]) {
        Ok(object) => object,
        Err(found) => {
            errors.extend(found);
            return Err(errors);
        }
    };
    let created = created(object, schema).expect("the shape was checked");
    if created.version.rules.as_ref().is_some_and(Vec::is_empty) {
        let text = "List should have at least 1 item after validation, not 0";
        errors.add("evaluator.rules", text, "[]");
    }
    if let Err(found) = CompiledType::new(&created.version) {
        errors.extend(found);
    }
    errors.into_result(Some(created))
}

/// An empty text counts as no schema.
fn read_schema(text: &[u8]) -> Result<Option<Value>, String> {
    if text.len() > schema::SCHEMA_BYTES_MAX {
        return Err(format!(
            "Schema should have at most {} bytes",
            schema::SCHEMA_BYTES_MAX
        ));
    }
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(text).map(Some).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("Invalid JSON at line {line} column {column}")
    })
}

fn created(mut object: Map<String, Value>, schema: Option<Value>) -> Option<CreateType> {
    Some(CreateType {
        name: TypeName::parse(&take::text(&mut object, "name")?).ok()?,
        description: take::text(&mut object, "description"),
        comment: take::text(&mut object, "comment"),
        version: TypeVersion {
            schema,
            ..TypeVersion::of(&object)
        },
    })
}

impl TypeVersion {
    /// What an object says of evaluator and summary.
    fn of(object: &Map<String, Value>) -> Self {
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(ToOwned::to_owned);
        let evaluator = object.get("evaluator");
        let is_jq = evaluator.and_then(|e| e.get("content_type")?.as_str()) == Some("jq");
        let rules = evaluator.and_then(|e| e.get("rules")?.as_array());
        let rules = rules.into_iter().flatten();
        let rows = object.get("summary").and_then(Value::as_array);
        Self {
            schema: object.get("type_schema").filter(|s| !s.is_null()).cloned(),
            rules: is_jq.then(|| {
                rules
                    .filter_map(|rule| rule.as_str().map(ToOwned::to_owned))
                    .collect()
            }),
            summary: rows.map(|rows| {
                rows.iter()
                    .filter_map(|row| {
                        Some(SummaryRow {
                            name: text(row, "name")?,
                            expression: text(row, "expression")?,
                        })
                    })
                    .collect()
            }),
        }
    }

    /// The members that are shown and stored (section 11.3): `type_schema`, `evaluator`,
    /// `summary`.
    pub fn to_json(&self) -> Map<String, Value> {
        let evaluator = match &self.rules {
            Some(rules) => json!({"content_type": "jq", "rules": rules}),
            None => json!({"content_type": "default"}),
        };
        let summary = self.summary.as_ref().map(|rows| {
            rows.iter()
                .map(|row| json!({"name": row.name, "expression": row.expression}))
                .collect::<Value>()
        });
        let mut object = Map::new();
        let schema = self.schema.clone().unwrap_or(Value::Null);
        object.insert("type_schema".to_owned(), schema);
        object.insert("evaluator".to_owned(), evaluator);
        object.insert("summary".to_owned(), summary.unwrap_or(Value::Null));
        object
    }

    /// Reads what [`TypeVersion::to_json`] wrote.
    pub fn from_json(object: &Map<String, Value>) -> Self {
        Self::of(object)
    }
}

/// A version that can judge. Making it takes some milliseconds: keep it.
pub struct CompiledType {
    schema: Option<Schema>,
    rules: Vec<(String, Rule)>,
    summary: Vec<(String, Rule)>,
}

/// What a type makes of data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// Whether the data conforms to the schema and every rule yields `true`.
    pub is_compliant: bool,
    /// Why not, for people: at most some.
    pub problems: Vec<String>,
    /// The rows of the summary; what cannot be told is null.
    pub summary: Vec<(String, Value)>,
}

impl CompiledType {
    /// Compiles a version, or says what is wrong with it under the paths of the request.
    pub fn new(version: &TypeVersion) -> Result<Self, FieldErrors> {
        let compiled = meter::run(COMPILE_STEPS, || compile(version));
        compiled.unwrap_or_else(|stop| {
            let text = match stop {
                Stop::Depth => "It nests too deep",
                Stop::Steps | Stop::Failed => "It cannot be compiled",
            };
            Err(FieldErrors::one(SCHEMA_PART, text, ""))
        })
    }

    /// Judges the data of an attestation that was received at this time. Never fails: what cannot
    /// be judged within the bounds is not compliant, and the reason is told.
    pub fn evaluate(&self, data: &Value, received_at: Micros) -> Evaluation {
        let steps = STEPS.saturating_add(STEPS_PER_VALUE.saturating_mul(values(data)));
        let steps = steps.min(STEPS_MAX);
        let received_at = received_at.to_seconds();
        let judged = meter::run(steps, || self.judge(data, received_at));
        let mut evaluation = judged.unwrap_or_else(|stop| Evaluation {
            problems: vec![stop.to_string()],
            ..Evaluation::default()
        });
        let shown = meter::run(steps, || self.summarize(data, received_at));
        let nothing = || {
            self.summary
                .iter()
                .map(|(name, _)| (name.clone(), Value::Null))
        };
        evaluation.summary = shown.unwrap_or_else(|_| nothing().collect());
        evaluation
    }

    fn judge(&self, data: &Value, received_at: f64) -> Evaluation {
        let mut problems = Vec::new();
        if let Some(schema) = &self.schema
            && !schema.accepts(data)
        {
            problems = schema.problems(data, PROBLEMS_MAX);
            if problems.is_empty() {
                problems.push("the data does not conform to the schema".to_owned());
            }
        }
        let input = Metered::from_json(data);
        for (text, rule) in &self.rules {
            let problem = match rule.holds(&input, received_at) {
                Ok(true) => continue,
                Ok(false) => format!("rule '{text}' does not yield true"),
                Err(error) => format!("rule '{text}' fails: {error}"),
            };
            if problems.len() < PROBLEMS_MAX {
                problems.push(problem);
            }
        }
        Evaluation {
            is_compliant: problems.is_empty(),
            problems,
            summary: Vec::new(),
        }
    }

    fn summarize(&self, data: &Value, received_at: f64) -> Vec<(String, Value)> {
        if self.summary.is_empty() {
            return Vec::new();
        }
        let input = Metered::from_json(data);
        let row = |(name, rule): &(String, Rule)| {
            let first = rule.first(&input, received_at).and_then(Result::ok);
            (
                name.clone(),
                first.map_or(Value::Null, |value| value.to_json()),
            )
        };
        self.summary.iter().map(row).collect()
    }
}

fn compile(version: &TypeVersion) -> Result<CompiledType, FieldErrors> {
    let mut errors = FieldErrors::default();
    let schema = match version.schema.as_ref().map(Schema::compile) {
        None => None,
        Some(Ok(schema)) => Some(schema),
        Some(Err(problem)) => {
            errors.add(SCHEMA_PART, &problem, "");
            None
        }
    };
    let mut compile = |path: &dyn Fn(usize) -> String, texts: Vec<(&str, &str)>| {
        let mut rules = Vec::with_capacity(texts.len());
        for (index, (name, text)) in texts.into_iter().enumerate() {
            if index >= RULES_MAX {
                let problem = format!("List should have at most {RULES_MAX} items");
                errors.add(&path(index), &problem, text);
                break;
            }
            match Rule::compile(text) {
                Ok(rule) => rules.push((name.to_owned(), rule)),
                Err(problem) => errors.add(&path(index), &problem, text),
            }
        }
        rules
    };
    let rules = version.rules.iter().flatten();
    let rules = compile(
        &|index| format!("evaluator.rules[{index}]"),
        rules.map(|rule| (rule.as_str(), rule.as_str())).collect(),
    );
    let rows = version.summary.iter().flatten();
    let summary = compile(
        &|index| format!("summary[{index}].expression"),
        rows.map(|row| (row.name.as_str(), row.expression.as_str()))
            .collect(),
    );
    errors.into_result(Some(CompiledType {
        schema,
        rules,
        summary,
    }))
}

/// How many values the data holds, long texts counted by their length.
fn values(data: &Value) -> u64 {
    match data {
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<u64>(),
        _ => 1,
    }
}
