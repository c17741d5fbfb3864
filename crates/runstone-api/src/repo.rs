//! Repositories and what was built from them (`api-organisation.md` sections 10 and 11).

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::Seconds;
use crate::paging::{Href, PageLinks};

/// The address of something itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SelfLink {
    /// Its resource.
    #[serde(rename = "self")]
    pub this: Href,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Repo {
    /// Id, for good.
    pub id: String,
    /// Name, with its owner.
    pub name: String,
    /// Address.
    pub url: String,
    /// Kind of its code host.
    pub provider: Option<String>,
    /// Its id at the code host.
    pub repo_id: Option<String>,
    /// When it was last told of, RFC 3339.
    pub latest_activity: Option<String>,
    /// Labels.
    pub tags: BTreeMap<String, String>,
    /// The host in its address.
    pub vcs_instance: Option<String>,
    /// Where it stands at the code host, outermost first.
    pub namespace_path: Vec<String>,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// A page of repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepoPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// Page, from 1.
    pub page: u64,
    /// Most of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number on all pages.
    pub total_count: u64,
    /// Those of the page, by name.
    pub repos: Vec<Repo>,
}

/// What repositories can be filtered by; each facet ignores its own filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepoFilterOptions {
    /// Kinds of code hosts.
    pub providers: Vec<String>,
    /// Hosts.
    pub vcs_instances: Vec<String>,
    /// What stands one level below the namespace asked for.
    pub namespace_values: Vec<String>,
}

/// What was built from a repository and runs now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveArtifacts {
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
    /// What the rows refer to.
    #[serde(rename = "_embedded")]
    pub embedded: LiveEmbedded,
    /// Each artifact in each environment that it runs in.
    pub live_artifacts: Vec<LiveArtifact>,
}

/// Environments and artifacts, each once.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveEmbedded {
    /// Environments.
    pub environments: Vec<LiveEnvironment>,
    /// Artifacts.
    pub artifacts: Vec<BuiltArtifact>,
}

/// An environment in which something runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveEnvironment {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// A report of an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BuiltArtifact {
    /// Id of the report.
    pub id: String,
    /// What it is.
    pub fingerprint: String,
    /// What it was built from.
    pub commit_sha: Option<String>,
    /// Address of the commit.
    pub commit_url: Option<String>,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// An artifact that runs in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveArtifact {
    /// Where.
    pub environment_id: String,
    /// Which.
    pub artifact_id: String,
    /// Its own name.
    pub artifact_name: String,
    /// The snapshot with which it started.
    pub snapshot_index: u64,
    /// The verdict of the environment's policies; null where none judges.
    pub compliance: Option<String>,
    /// When it started.
    pub started_at: Seconds,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// The first report of a fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Build {
    /// When.
    pub created_at: Seconds,
    /// What was built.
    pub fingerprint: String,
    /// The flow it was reported to.
    pub flow_name: String,
    /// The trail it was reported to.
    pub trail_name: String,
    /// What it was built from.
    pub repo_info: Option<RepoName>,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// Which repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepoName {
    /// Name.
    pub name: String,
    /// Its id at the code host; its name if it has none there.
    pub repo_id: String,
}

/// A page of builds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BuildPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// Page, from 1.
    pub page: u64,
    /// Most of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number on all pages.
    pub total_count: u64,
    /// Those of the page, newest first.
    pub builds: Vec<Build>,
}

/// When builds were.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BuildStatistics {
    /// First moment.
    pub start_ts: Seconds,
    /// Last moment.
    pub end_ts: Seconds,
    /// Number of builds.
    pub count: u64,
    /// When each was, oldest first.
    pub timestamps: Vec<Seconds>,
}
