//! Deployments as they were observed: a fingerprint starts to run in an environment
//! (`api-organisation.md` section 12, `api-environments.md` section 11.2).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Seconds;
use crate::paging::PageLinks;
use crate::repo::{RepoName, SelfLink};

/// A fingerprint that started to run in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Deployment {
    /// What.
    pub fingerprint: String,
    /// When.
    pub deployed_at: Seconds,
    /// Its name as it runs.
    pub artifact_name: Option<String>,
    /// Where.
    pub env_name: Option<String>,
    /// With which snapshot.
    pub snapshot_index: Option<u64>,
    /// Where it came from; null if nobody reported it.
    pub artifact: Option<Provenance>,
    /// What stopped with the same snapshot, of the same flow and name in the template.
    pub replaced_artifact: Option<ReplacedArtifact>,
    /// Where the code host shows what differs between the two.
    pub diff_url: Option<String>,
    /// From the first report of the fingerprint to here; null if it was not reported before.
    pub lead_time_seconds: Option<Seconds>,
    /// Links.
    #[serde(rename = "_links")]
    pub links: SelfLink,
}

/// How an artifact got there.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Provenance {
    /// Flow.
    pub flow_name: String,
    /// Trail.
    pub trail_name: String,
    /// Name in the template.
    pub template_reference_name: Option<String>,
    /// Commit.
    pub git_commit: Option<String>,
    /// The same, with what is known of it.
    pub git_commit_info: Option<Value>,
    /// Repository.
    pub repo_info: Option<RepoName>,
}

/// An artifact that ran before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReplacedArtifact {
    /// What.
    pub fingerprint: String,
    /// Its name as it ran.
    pub artifact_name: String,
    /// The last snapshot it ran in.
    pub snapshot_index: u64,
    /// Where it came from.
    pub artifact: Option<Provenance>,
}

/// A page of deployments.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeploymentPage {
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
    pub deployments: Vec<Deployment>,
}

/// A page of the deployments of one environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EnvironmentDeploymentPage {
    /// Those of the page, newest first.
    pub deployments: Vec<Deployment>,
    /// Page, from 1.
    pub page: u64,
    /// Most of a page.
    pub page_size: u64,
    /// Number on all pages.
    pub total_count: u64,
    /// Number of pages.
    pub total_pages: u64,
}

/// When artifacts of a repository were deployed to an environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EnvironmentSeries {
    /// Where.
    pub env_name: String,
    /// When, oldest first.
    pub deployed_at: Vec<Seconds>,
    /// Time from build to deployment of each, in the same order; null if it was not reported
    /// before.
    pub lead_time_seconds: Vec<Option<Seconds>>,
}

/// Deployments of a repository, environment by environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RepoDeploymentStatistics {
    /// First moment.
    pub start_ts: Seconds,
    /// Last moment.
    pub end_ts: Seconds,
    /// By name; those without deployments are left out.
    pub environments: Vec<EnvironmentSeries>,
}

/// Deployments of a flow to an environment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeploymentFrequency {
    /// The flow; null for all.
    pub flow_id: Option<String>,
    /// Where.
    pub environment: String,
    /// First moment.
    pub start_ts: Seconds,
    /// Last moment.
    pub end_ts: Seconds,
    /// Number of deployments.
    pub count: u64,
    /// When each was, oldest first.
    pub timestamps: Vec<Seconds>,
    /// The same by day in UTC, oldest first; days without are left out.
    pub days: Vec<DayCount>,
}

/// Deployments of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayCount {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// How many.
    pub count: u64,
}
