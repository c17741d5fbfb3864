//! Evidence as clients older than trails report it (`api-flows.md` section 14.3), read as the
//! attestations it stands for.

use serde_json::{Map, Value, json};

use super::{ATTESTATION_BYTES_MAX, Attestation, Kind};
use crate::compliance::CommitBytes;
use crate::id::Fingerprint;
use crate::provenance::shape::{Members, Shape, read_body};
use crate::provenance::{
    ATTESTATION_NAME, COMMIT, FINGERPRINT, FLOW_NAME, USER_DATA, commit_from_hex, take,
};
use crate::read::FieldErrors;

/// Kinds of evidence about an artifact.
pub const OF_ARTIFACTS: [&str; 4] = ["generic", "junit", "snyk", "pull_request"];
/// Kinds of evidence about a commit.
pub const OF_COMMITS: [&str; 5] = ["generic", "junit", "snyk", "pull_request", "jira"];
/// Most flows that evidence about a commit names.
pub const FLOWS_MAX: usize = 100;
/// The label of what is linked by `evidence_url`.
const LABEL: &str = "evidence";

/// What evidence is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An artifact of the flow in the path.
    Artifact(Fingerprint),
    /// A commit, in flows by name; without names wherever it is known.
    Commit(CommitBytes, Vec<String>),
}

const COMMON: Members = Members {
    open: false,
    members: &[
        ("name", true, ATTESTATION_NAME),
        ("build_url", true, Shape::Text),
        ("description", false, Shape::Text),
        ("evidence_url", false, Shape::Url),
        ("evidence_fingerprint", false, FINGERPRINT),
        ("user_data", false, USER_DATA),
    ],
};
const OF_ARTIFACT: Members = Members {
    open: false,
    members: &[("artifact_fingerprint", true, FINGERPRINT)],
};
const OF_COMMIT: Members = Members {
    open: false,
    members: &[
        ("commit_sha", true, COMMIT),
        ("flows", false, Shape::List(&FLOW_NAME)),
    ],
};

impl Kind {
    /// Reads `evidence_json` about an artifact.
    pub fn read_artifact_evidence(&self, body: &[u8]) -> Result<(About, Attestation), FieldErrors> {
        self.read_evidence(body, &OF_ARTIFACT)
    }

    /// Reads `evidence_json` about a commit.
    pub fn read_commit_evidence(&self, body: &[u8]) -> Result<(About, Attestation), FieldErrors> {
        self.read_evidence(body, &OF_COMMIT)
    }

    fn read_evidence(
        &self,
        body: &[u8],
        about: &Members,
    ) -> Result<(About, Attestation), FieldErrors> {
        let parts = [about, &COMMON, &self.members];
        let mut told = read_body(body, ATTESTATION_BYTES_MAX, &parts)?;
        let about = match take::text(&mut told, "commit_sha") {
            Some(digits) => {
                let flows = flows(&mut told)?;
                let commit = commit_from_hex(&digits).expect("the shape was checked");
                told.insert("git_commit_info".to_owned(), json!({"sha1": digits}));
                About::Commit(commit, flows)
            }
            None => {
                let digits = told.get("artifact_fingerprint").and_then(Value::as_str);
                let fingerprint = digits.and_then(|digits| digits.parse().ok());
                About::Artifact(fingerprint.expect("the shape was checked"))
            }
        };
        for (evidence, attestation) in [("name", "attestation_name"), ("build_url", "origin_url")] {
            if let Some(value) = told.shift_remove(evidence) {
                told.insert(attestation.to_owned(), value);
            }
        }
        let digits = take::text(&mut told, "evidence_fingerprint");
        match (take::text(&mut told, "evidence_url"), digits) {
            (Some(href), None) => {
                told.insert("external_urls".to_owned(), json!({LABEL: {"href": href}}));
            }
            (Some(href), Some(digits)) => {
                let link = json!({LABEL: {"href": href, "fingerprint": digits}});
                told.insert("external_urls".to_owned(), link);
            }
            (None, Some(digits)) => {
                let annotation = json!({"evidence_fingerprint": digits});
                told.insert("annotations".to_owned(), annotation);
            }
            (None, None) => {}
        }
        Ok((about, self.attestation(told)))
    }
}

/// The flows that are named, each once.
fn flows(told: &mut Map<String, Value>) -> Result<Vec<String>, FieldErrors> {
    let Some(Value::Array(names)) = told.shift_remove("flows") else {
        return Ok(Vec::new());
    };
    let mut flows: Vec<String> = Vec::new();
    for name in names {
        if let Value::String(name) = name
            && !flows.contains(&name)
        {
            flows.push(name);
        }
    }
    if flows.len() > FLOWS_MAX {
        let message = format!("List should have at most {FLOWS_MAX} items");
        return Err(FieldErrors::one(
            "flows",
            &message,
            &flows.len().to_string(),
        ));
    }
    Ok(flows)
}
