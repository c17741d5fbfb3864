//! Results of tests in the XML that JUnit made common.

use serde_json::{Value, json};

use super::xml::Tag;
use super::{Format, XmlReader};

pub(super) static FORMAT: Format = Format {
    name: "junit",
    json: None,
    xml: Some(|root| {
        let known = matches!(root.name, "testsuites" | "testsuite");
        known.then(|| {
            let mut counts = Counts::default();
            counts.begin(0, root);
            Box::new(counts) as Box<dyn XmlReader>
        })
    }),
};

/// Counted from the cases themselves: the numbers that suites give of themselves often differ.
#[derive(Default)]
struct Counts {
    suites: u64,
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    seconds: f64,
    /// What the case at hand was counted as.
    open: Option<&'static str>,
}

impl XmlReader for Counts {
    fn begin(&mut self, _depth: usize, tag: &Tag<'_>) {
        match tag.name {
            "testsuite" => self.suites += 1,
            "testcase" => {
                self.tests += 1;
                self.seconds += tag.number("time").unwrap_or(0.0).max(0.0);
                self.open = Some("passed");
            }
            outcome @ ("failure" | "error" | "skipped") if self.open == Some("passed") => {
                match outcome {
                    "failure" => self.failures += 1,
                    "error" => self.errors += 1,
                    _ => self.skipped += 1,
                }
                self.open = None;
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<Value> {
        let not_passed = self.failures + self.errors + self.skipped;
        Some(json!({
            "suites": self.suites,
            "tests": self.tests,
            "passed": self.tests - not_passed,
            "failures": self.failures,
            "errors": self.errors,
            "skipped": self.skipped,
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
        }))
    }
}
