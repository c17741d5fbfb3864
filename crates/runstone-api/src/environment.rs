//! Environments (`api-environments.md` section 3).

use std::collections::BTreeMap;

use runstone_model::name::EnvironmentKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Seconds;
use crate::paging::PageLinks;

/// Representation of an environment (section 3.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Name of the organization.
    pub org: String,
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    #[schema(value_type = EnvironmentType)]
    pub kind: EnvironmentKind,
    /// Free text.
    pub description: String,
    /// When it was last reported or its settings last changed.
    pub last_modified_at: Seconds,
    /// Last accepted report; null for logical environments and before the first report.
    pub last_reported_at: Option<Seconds>,
    /// Time of the latest snapshot.
    pub last_changed_at: Option<Seconds>,
    /// Compliance of the latest snapshot; null = unknown.
    pub state: Option<bool>,
    /// Whether a difference in counts alone makes a snapshot.
    pub include_scaling: bool,
    /// Tags; never null.
    pub tags: BTreeMap<String, String>,
    /// Names of attached policies, alphabetical.
    pub policies: Option<Vec<String>>,
    /// Members of a logical environment in the order given; null for physical ones.
    pub included_environments: Option<Vec<String>>,
}

/// Types of environment as the wire spells them; for the description of the API.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the words are the wire's")]
pub enum EnvironmentType {
    K8S,
    ECS,
    S3,
    #[serde(rename = "lambda")]
    Lambda,
    #[serde(rename = "server")]
    Server,
    #[serde(rename = "docker")]
    Docker,
    #[serde(rename = "azure-apps")]
    AzureApps,
    #[serde(rename = "cloud-run")]
    CloudRun,
    #[serde(rename = "logical")]
    Logical,
}

/// A page of environments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// This page, from 1.
    pub page: u64,
    /// Most items of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number of items on all pages.
    pub total_count: u64,
    /// The items.
    pub environments: Vec<Environment>,
}

/// Body of `PUT /environments/{org}` (section 3.1). Closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEnvironment {
    /// Name, `^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$`.
    #[schema(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$")]
    pub name: String,
    /// Type, fixed at creation.
    #[serde(rename = "type")]
    #[schema(value_type = EnvironmentType)]
    pub kind: EnvironmentKind,
    /// Free text; empty keeps the old one on an update.
    pub description: String,
    /// Whether a difference in counts alone makes a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_scaling: Option<bool>,
    /// Deprecated; accepted without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_provenance: Option<bool>,
    /// Logical only: names of physical environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_environments: Option<Vec<String>>,
    /// Names of policies to attach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<String>>,
}

/// Body of `PATCH /environments/{org}/{env_name}` (section 3.2). Closed; null = not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchEnvironment {
    /// New text; empty clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether a difference in counts alone makes a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_scaling: Option<bool>,
    /// Replaces the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_environments: Option<Vec<String>>,
    /// Replaces the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<String>>,
}

/// Body of `PUT /environments/{org}/{env_name}/rename` (section 3.6). Closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameEnvironment {
    /// The name from now on.
    #[schema(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$")]
    pub new_name: String,
}

/// Body of `PUT /environments/{org}/{env_name}/join` (section 3.7). Closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinEnvironment {
    /// Name of the physical environment to add.
    pub physical_env_name: String,
}
