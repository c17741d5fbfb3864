//! What `cargo test` printed, as JUnit XML: the form in which results of tests are attested.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// The tests of one binary.
#[derive(Debug, Default, PartialEq)]
struct Suite {
    name: String,
    cases: Vec<(String, Outcome)>,
    /// Seconds, as printed.
    time: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Passed,
    Failed,
    Ignored,
}

/// Writes the results in the log at `from` as JUnit XML to `to`.
pub fn convert(from: &Path, to: &Path) -> anyhow::Result<()> {
    let log = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let suites = read(&String::from_utf8_lossy(&log));
    anyhow::ensure!(
        !suites.is_empty(),
        "{} holds no results of tests",
        from.display()
    );
    std::fs::write(to, write(&suites)).with_context(|| format!("cannot write {}", to.display()))
}

/// Every suite that ended; one whose process died has no result and is told as failed.
fn read(log: &str) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    let mut begun: Option<Suite> = None;
    for line in log.lines() {
        let header = line
            .trim_start()
            .strip_prefix("Running ")
            .or_else(|| line.trim_start().strip_prefix("Doc-tests "));
        if let Some(header) = header.filter(|_| line.starts_with("   ")) {
            suites.extend(begun.take().map(died));
            begun = Some(Suite {
                name: name_of(header),
                ..Suite::default()
            });
        } else if let Some(result) = line.strip_prefix("test result: ") {
            if let Some(mut suite) = begun.take() {
                let time = result.split("finished in ").nth(1).unwrap_or("0s");
                time.trim_end_matches('s').clone_into(&mut suite.time);
                suites.push(suite);
            }
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(case)
            && let Some(suite) = &mut begun
        {
            suite.cases.push((name, outcome));
        }
    }
    suites.extend(begun.take().map(died));
    suites
}

/// `unittests src/lib.rs (target/debug/deps/runstone_api-0123456789abcdef)` is `runstone_api`.
fn name_of(header: &str) -> String {
    let Some((kind, binary)) = header.split_once(" (") else {
        return format!("doc-tests {header}");
    };
    let file = binary
        .trim_end_matches(')')
        .rsplit('/')
        .next()
        .unwrap_or(binary);
    let stem = file.rsplit_once('-').map_or(file, |(stem, _)| stem);
    format!("{stem} {kind}")
}

fn case(line: &str) -> Option<(String, Outcome)> {
    let (name, rest) = line.rsplit_once(" ... ")?;
    let outcome = match rest.split([' ', ',']).next()? {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Ignored,
        _ => return None,
    };
    Some((name.to_owned(), outcome))
}

fn died(mut suite: Suite) -> Suite {
    suite.cases.push((
        "the process ended before its tests did".to_owned(),
        Outcome::Failed,
    ));
    "0".clone_into(&mut suite.time);
    suite
}

fn write(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let put = |xml: &mut String, text: std::fmt::Arguments<'_>| {
        xml.write_fmt(text)
            .expect("writing to a string does not fail");
    };
    for suite in suites {
        let count = |outcome| suite.cases.iter().filter(|case| case.1 == outcome).count();
        put(
            &mut xml,
            format_args!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\">\n",
                escaped(&suite.name),
                suite.cases.len(),
                count(Outcome::Failed),
                count(Outcome::Ignored),
                escaped(&suite.time),
            ),
        );
        for (name, outcome) in &suite.cases {
            let inside = match outcome {
                Outcome::Passed => "",
                Outcome::Failed => "<failure/>",
                Outcome::Ignored => "<skipped/>",
            };
            put(
                &mut xml,
                format_args!(
                    "    <testcase name=\"{}\">{inside}</testcase>\n",
                    escaped(name)
                ),
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
   Compiling runstone-api v0.1.0 (/home/ada/runstone)
     Running unittests src/lib.rs (target/debug/deps/runstone_api-0123456789abcdef)

running 3 tests
test client::tests::answers<T> ... ok
test slow ... ignored, needs a day
test broken ... FAILED

failures:
    broken

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.25s

     Running tests/it/main.rs (target/debug/deps/it-fedcba9876543210)
test first ... ok
   Doc-tests runstone_model
test crates/runstone-model/src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s
";

    #[test]
    fn results_become_suites_and_a_process_that_died_is_a_failure() {
        assert_eq!(
            write(&read(LOG)),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites>
  <testsuite name=\"runstone_api unittests src/lib.rs\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"0.25\">
    <testcase name=\"client::tests::answers&lt;T&gt;\"></testcase>
    <testcase name=\"slow\"><skipped/></testcase>
    <testcase name=\"broken\"><failure/></testcase>
  </testsuite>
  <testsuite name=\"it tests/it/main.rs\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0\">
    <testcase name=\"first\"></testcase>
    <testcase name=\"the process ended before its tests did\"><failure/></testcase>
  </testsuite>
  <testsuite name=\"doc-tests runstone_model\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"1.50\">
    <testcase name=\"crates/runstone-model/src/lib.rs - (line 3)\"></testcase>
  </testsuite>
</testsuites>
"
        );
    }

    #[test]
    fn a_log_without_results_is_no_success() {
        assert_eq!(read("error: could not compile\n"), []);
    }
}
