//! What the command line learns from outside to state as evidence: the commit, the CI job, files,
//! results of tests and scans, pull requests and issues.
//!
//! Each module knows one source. It takes values and returns values: it reads no flag and no
//! environment variable, prints nothing and sends nothing to a Runstone server. The shapes it
//! returns are those of the wire (`cli.md` 4 to 6).

pub mod attachments;
pub mod ci;
pub mod git;
pub mod http;
pub mod jira;
pub mod junit;
pub mod pull_requests;
pub mod sarif;
pub mod sbom;
pub mod sonar;

/// The system's reason without the number that the library appends.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => {
            let mut letters = reason.chars();
            letters
                .next()
                .map(|first| first.to_lowercase().to_string() + letters.as_str())
                .unwrap_or_default()
        }
        None => text,
    }
}

/// Writes a number without a fraction as an integer, as the wire has it.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is the serializer's"
)]
pub fn whole_or_not<S: serde::Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}
