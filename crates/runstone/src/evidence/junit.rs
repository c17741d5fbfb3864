//! Results of tests in the XML that JUnit began and everybody writes (`cli.md` 6.2).
//!
//! Counts are made from the test cases; what a suite says of itself is not believed. The document
//! is read as a stream: entities other than the five of XML are refused, a document type is
//! skipped, and nesting costs no stack.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde::Serialize;
use walkdir::WalkDir;

use super::{reason, whole_or_not};

/// The deepest nesting that is read.
const DEPTH_MAX: usize = 256;

/// One top-level suite in the shape of an element of `junit_results`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Cases that failed.
    pub failures: u64,
    /// Cases that broke.
    pub errors: u64,
    /// Cases that did not run.
    pub skipped: u64,
    /// All cases.
    pub total: u64,
    /// Seconds all cases took.
    #[serde(serialize_with = "whole_or_not")]
    pub duration: f64,
    /// When it began, in whole Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

/// The suites of a directory.
#[derive(Debug, Default)]
pub struct Results {
    /// In the order of the files, and of the suites in them.
    pub suites: Vec<Suite>,
    /// The files that hold them.
    pub files: Vec<PathBuf>,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// No file holds a suite.
    #[error("no tests found in {0} directory")]
    NoTests(String),
    /// The directory, or something in it, cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A file is no XML.
    #[error("failed to parse XML file {path}: {reason}")]
    NotXml {
        /// Which one.
        path: String,
        /// What is wrong where.
        reason: String,
    },
    /// A file is written in something else than UTF-8.
    #[error(
        "failed to parse XML file {0}: only UTF-8 encoding is supported. If this is not a JUnit results file, use --results-dir to specify the directory containing only JUnit XML files"
    )]
    NotUtf8(String),
}

/// The suites in all files below `directory` whose name ends in `.xml`.
pub fn read_directory(directory: &str) -> Result<Results, JunitError> {
    let mut results = Results::default();
    for entry in WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error
                .path()
                .map_or_else(|| directory.to_owned(), |path| path.display().to_string());
            let reason = error
                .into_io_error()
                .map_or_else(|| "a loop of links".to_owned(), |error| reason(&error));
            JunitError::Unreadable(format!("lstat {path}: {reason}"))
        })?;
        let path = entry.path();
        if !entry.file_type().is_file() || !path.to_string_lossy().ends_with(".xml") {
            continue;
        }
        let suites = read_file(path)?;
        if !suites.is_empty() {
            results.suites.extend(suites);
            results.files.push(path.to_owned());
        }
    }
    if results.suites.is_empty() {
        return Err(JunitError::NoTests(directory.to_owned()));
    }
    Ok(results)
}

fn read_file(path: &Path) -> Result<Vec<Suite>, JunitError> {
    let shown = path.display().to_string();
    let text = std::fs::read(path)
        .map_err(|error| JunitError::Unreadable(format!("open {shown}: {}", reason(&error))))?;
    parse(&text).map_err(|fault| match fault {
        Fault::Encoding => JunitError::NotUtf8(shown.clone()),
        Fault::Xml(reason) => JunitError::NotXml {
            path: shown.clone(),
            reason,
        },
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Encoding,
    Xml(String),
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Xml(error.to_string())
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Broke,
    Skipped,
}

/// What the reader stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Suite,
    Properties,
    Case(Outcome),
    Other,
}

/// The top-level suites of a document.
fn parse(text: &[u8]) -> Result<Vec<Suite>, Fault> {
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(Fault::Encoding);
    }
    let text = std::str::from_utf8(text).map_err(|_| Fault::Encoding)?;
    let mut reader = Reader::from_str(text);
    let mut suites: Vec<Suite> = Vec::new();
    let mut current: Option<Suite> = None;
    let mut places: Vec<Place> = Vec::new();
    let mut micros = 0_i64;
    loop {
        match reader.read_event()? {
            Event::Decl(declaration) => {
                if let Some(encoding) = declaration.encoding() {
                    let encoding = encoding?;
                    if !encoding.eq_ignore_ascii_case("utf-8") {
                        return Err(Fault::Encoding);
                    }
                }
            }
            Event::Start(start) => {
                if places.len() == DEPTH_MAX {
                    return Err(Fault::Xml(format!(
                        "elements are nested more than {DEPTH_MAX} deep"
                    )));
                }
                let place = enter(&start, &mut current, &places, &mut micros)?;
                note_child(&start, &mut places);
                places.push(place);
            }
            Event::Empty(start) => {
                let place = enter(&start, &mut current, &places, &mut micros)?;
                note_child(&start, &mut places);
                leave(place, &mut current, &places, &mut suites, &mut micros);
            }
            Event::End(_) => {
                let place = places.pop().unwrap_or(Place::Other);
                leave(place, &mut current, &places, &mut suites, &mut micros);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !places.is_empty() {
        return Err(Fault::Xml("unexpected end of the document".to_owned()));
    }
    Ok(suites)
}

/// Takes in an element's own facts; what the reader stands in then.
fn enter(
    start: &BytesStart<'_>,
    current: &mut Option<Suite>,
    places: &[Place],
    micros: &mut i64,
) -> Result<Place, Fault> {
    let inside = places.last().copied();
    Ok(match start.local_name().as_ref() {
        "testsuite" => {
            if current.is_none() {
                *micros = 0;
                *current = Some(Suite {
                    name: attribute(start, "name")?.unwrap_or_default(),
                    timestamp: attribute(start, "timestamp")?.and_then(|text| time(&text)),
                    ..Suite::default()
                });
                return Ok(Place::Suite);
            }
            match inside {
                Some(Place::Suite) => Place::Suite,
                _ => Place::Other,
            }
        }
        "testcase" if inside == Some(Place::Suite) => {
            *micros += attribute(start, "time")?.map_or(0, |text| micros_of(&text));
            Place::Case(Outcome::Passed)
        }
        "properties" if inside == Some(Place::Suite) => Place::Properties,
        "property" if inside == Some(Place::Properties) => {
            // Some write the time here; the attribute is better (`cli.md` 12 no. 17). Those of a
            // nested suite are not the suite's.
            let nested = places
                .iter()
                .filter(|place| **place == Place::Suite)
                .count()
                > 1;
            if let Some(suite) = current
                && !nested
                && suite.timestamp.is_none()
                && attribute(start, "name")?.as_deref() == Some("timestamp")
            {
                suite.timestamp = attribute(start, "value")?.and_then(|text| time(&text));
            }
            Place::Other
        }
        _ => Place::Other,
    })
}

/// A child of a case tells how it ended; the last one counts.
fn note_child(start: &BytesStart<'_>, places: &mut [Place]) {
    if let Some(Place::Case(outcome)) = places.last_mut() {
        match start.local_name().as_ref() {
            "error" => *outcome = Outcome::Broke,
            "failure" => *outcome = Outcome::Failed,
            "skipped" => *outcome = Outcome::Skipped,
            _ => {}
        }
    }
}

/// Counts what ends; a top-level suite is complete then.
fn leave(
    place: Place,
    current: &mut Option<Suite>,
    places: &[Place],
    suites: &mut Vec<Suite>,
    micros: &mut i64,
) {
    match (place, current.as_mut()) {
        (Place::Case(outcome), Some(suite)) => {
            suite.total += 1;
            match outcome {
                Outcome::Passed => {}
                Outcome::Failed => suite.failures += 1,
                Outcome::Broke => suite.errors += 1,
                Outcome::Skipped => suite.skipped += 1,
            }
        }
        (Place::Suite, Some(_)) if !places.contains(&Place::Suite) => {
            suites.extend(current.take().map(|suite| Suite {
                duration: *micros as f64 / 1e6,
                ..suite
            }));
        }
        _ => {}
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, Fault> {
    let Some(attribute) = start.try_get_attribute(name)? else {
        return Ok(None);
    };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
    Ok(Some(value.into_owned()))
}

/// Microseconds of a number of seconds, which may have commas; 0 if it is none.
fn micros_of(text: &str) -> i64 {
    let text = text.replace(',', "");
    let seconds: f64 = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .map_or(0.0, |duration| duration.as_secs_f64()),
    };
    if seconds.is_finite() {
        (seconds * 1e6) as i64
    } else {
        0
    }
}

/// Whole Unix seconds of a time in UTC, with or without saying so; none if it is another text.
fn time(text: &str) -> Option<i64> {
    let local = text
        .strip_suffix("+00:00")
        .or_else(|| text.strip_suffix('Z'))
        .unwrap_or(text);
    let after_seconds = local.get("2006-01-02T15:04:05".len()..)?;
    if after_seconds.contains(['+', '-', '[']) {
        return None;
    }
    let time: Timestamp = format!("{local}Z").parse().ok()?;
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn parsed(text: &str) -> Vec<Suite> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn cases_are_counted_and_headers_are_not_believed() {
        let suites = parsed(
            r#"<?xml version="1.0" encoding="utf-8"?>
            <testsuites tests="99"><testsuite name="s1" tests="7" failures="7" time="9" timestamp="2026-03-01T10:00:00.25">
              <testcase name="a" time="0.5"/>
              <testcase name="b" time="1,000.25"><failure>x &lt; y</failure></testcase>
              <testcase name="c" time="x"><skipped/><error message="&quot;"/></testcase>
              <testcase name="d" time="1.2s"><error/><skipped/></testcase>
              <testsuite name="inner"><testcase time="0.1234567"/><properties><property name="timestamp" value="2020-01-01T00:00:00"/></properties></testsuite>
            </testsuite></testsuites>"#,
        );
        assert_eq!(
            suites,
            [Suite {
                name: "s1".into(),
                failures: 1,
                errors: 1,
                skipped: 1,
                total: 5,
                duration: 1_002.073_456,
                timestamp: Some(1_772_359_200),
            }]
        );
        assert_eq!(
            serde_json::to_string(&parsed(
                "<testsuite name='n'><testcase time='2'/></testsuite>"
            ))
            .unwrap(),
            r#"[{"name":"n","failures":0,"errors":0,"skipped":0,"total":1,"duration":2}]"#
        );
    }

    #[test]
    fn suites_are_found_wherever_they_stand() {
        let names = |text: &str| -> Vec<String> {
            parsed(text).into_iter().map(|suite| suite.name).collect()
        };
        assert_eq!(
            names("<a><b><testsuite name='x'/></b><testsuite name='y'/></a>"),
            ["x", "y"]
        );
        assert_eq!(names("<project><x/></project>"), [""; 0]);
        assert_eq!(names(""), [""; 0]);
    }

    #[test]
    fn times_are_those_that_runners_write() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(time(text), expected, "{text}");
        check("2026-03-01T10:00:00", Some(1_772_359_200));
        check("2026-03-01T10:00:00.999", Some(1_772_359_200));
        check("2026-03-01T10:00:00+00:00", Some(1_772_359_200));
        check("2026-03-01T10:00:00.5Z", Some(1_772_359_200));
        check("2026-03-01T10:00:00+01:00", None);
        check("yesterday", None);
        check("2026-03-01T10:00:0é", None);
        check("", None);
        let with_property = "<testsuite><properties><property name='timestamp' value='2026-03-01T10:00:00'/></properties></testsuite>";
        assert_eq!(parsed(with_property)[0].timestamp, Some(1_772_359_200));
        let with_both = "<testsuite timestamp='2026-03-01T10:00:01'><properties><property name='timestamp' value='2026-03-01T10:00:00'/></properties></testsuite>";
        assert_eq!(parsed(with_both)[0].timestamp, Some(1_772_359_201));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let refused = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            refused("<?xml version='1.0' encoding='UTF-16'?><testsuite/>"),
            Fault::Encoding
        );
        assert_eq!(parse(&[0xff, 0xfe, 0x3c, 0x00]), Err(Fault::Encoding));
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><testsuite name='&b;'/>";
        assert!(matches!(refused(bomb), Fault::Xml(_)));
        let outside =
            "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><testsuite name='&a;'/>";
        assert!(matches!(refused(outside), Fault::Xml(_)));
        assert!(matches!(
            refused("<testsuite><a></testsuite>"),
            Fault::Xml(_)
        ));
        assert!(matches!(refused("<testsuite>"), Fault::Xml(_)));
        assert!(matches!(refused(&"<a>".repeat(100_000)), Fault::Xml(_)));
    }
}
