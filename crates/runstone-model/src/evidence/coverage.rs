//! Coverage by tests: Cobertura and JaCoCo.

use serde_json::{Map, Value, json};

use super::xml::Tag;
use super::{Format, XmlReader, cut};

pub(super) static COBERTURA: Format = Format {
    name: "cobertura",
    json: None,
    xml: Some(|root| {
        let known = root.name == "coverage" && root.get("line-rate").is_some();
        known.then(|| {
            let number = |name: &str| root.number(name).map_or(Value::Null, whole);
            Box::new(Cobertura {
                summary: json!({
                    "line_rate": number("line-rate"),
                    "branch_rate": number("branch-rate"),
                    "lines_covered": number("lines-covered"),
                    "lines_valid": number("lines-valid"),
                    "branches_covered": number("branches-covered"),
                    "branches_valid": number("branches-valid"),
                }),
                packages: 0,
                classes: 0,
            }) as Box<dyn XmlReader>
        })
    }),
};

pub(super) static JACOCO: Format = Format {
    name: "jacoco",
    json: None,
    xml: Some(|root| {
        let known = root.name == "report" && root.get("name").is_some();
        known.then(|| {
            Box::new(Jacoco {
                name: root.get("name").map_or(Value::Null, cut),
                counters: Map::new(),
                packages: 0,
            }) as Box<dyn XmlReader>
        })
    }),
};

/// A number, without a fraction if it has none.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

struct Cobertura {
    summary: Value,
    packages: u64,
    classes: u64,
}

impl XmlReader for Cobertura {
    fn begin(&mut self, _depth: usize, tag: &Tag<'_>) {
        match tag.name {
            "package" => self.packages += 1,
            "class" => self.classes += 1,
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<Value> {
        self.summary["packages"] = Value::from(self.packages);
        self.summary["classes"] = Value::from(self.classes);
        Some(self.summary.take())
    }
}

struct Jacoco {
    name: Value,
    counters: Map<String, Value>,
    packages: u64,
}

impl XmlReader for Jacoco {
    fn begin(&mut self, depth: usize, tag: &Tag<'_>) {
        match tag.name {
            "package" => self.packages += 1,
            // Those below the root are the totals.
            "counter" if depth == 1 && self.counters.len() < super::ITEMS_MAX => {
                if let (Some(kind), Some(missed), Some(covered)) =
                    (tag.get("type"), tag.number("missed"), tag.number("covered"))
                    && let Value::String(kind) = cut(&kind.to_lowercase())
                {
                    let counts = json!({"missed": whole(missed), "covered": whole(covered)});
                    self.counters.insert(kind, counts);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<Value> {
        // Other tools call their root so, too.
        if self.counters.is_empty() {
            return None;
        }
        Some(json!({
            "name": self.name,
            "packages": self.packages,
            "counters": std::mem::take(&mut self.counters),
        }))
    }
}
