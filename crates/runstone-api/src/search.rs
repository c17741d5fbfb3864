//! Search by fingerprint or commit (`api-environments.md` section 12).

use serde::Serialize;
use utoipa::ToSchema;

use crate::Seconds;

/// What a prefix leads to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SearchResult {
    /// What the prefix was taken for.
    pub resolved_to: ResolvedTo,
    /// The artifacts.
    pub artifacts: Vec<FoundArtifact>,
}

/// What a prefix was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResolvedTo {
    /// `fingerprint`, `commit` or `multiple`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The one match, or the first of several.
    pub full_match: String,
    /// Fingerprints with the prefix.
    pub fingerprints: Matches,
    /// Commits with the prefix.
    pub commits: Matches,
}

/// Values with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Matches {
    /// `fingerprint` or `commit`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Number of matches.
    pub count: u64,
    /// The matches.
    pub matches: Vec<String>,
}

/// An artifact and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FoundArtifact {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Name as reported.
    pub name: String,
    /// Whether a flow knows it.
    pub has_provenance: bool,
    /// Commit it was built from.
    pub git_commit: Option<String>,
    /// The same as `flow`.
    pub pipeline: String,
    /// Flow; empty without provenance.
    pub flow: String,
    /// Trail; empty without provenance.
    pub trail: String,
    /// Name in the template; empty without provenance.
    pub template_reference_name: String,
    /// Address of the build; empty without provenance.
    pub build_url: String,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// Compliance with its template; empty without provenance.
    pub compliance_state: String,
    /// Environments in which it runs now.
    pub running_in: Vec<String>,
    /// Environments in which it ran and no longer does.
    pub exited_from: Vec<String>,
    /// Its page.
    pub html_url: String,
    /// Its resource.
    pub api_url: String,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryLine>,
}

/// Something that happened to an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HistoryLine {
    /// In words.
    pub event: String,
    /// When.
    pub timestamp: Seconds,
}
