//! Trails (`api-flows.md` section 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Seconds;
use crate::flow::Pagination;

/// A trail (section 5.4).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Trail {
    /// Name.
    pub name: String,
    /// Free text; empty when never given.
    pub description: String,
    /// The commit it is about.
    pub git_commit_info: Option<Value>,
    /// Where it was begun.
    pub origin_url: Option<String>,
    /// Anything; `{}` when never given.
    pub user_data: Value,
    /// Ids of the repositories it was told of.
    pub repo_ids: Vec<String>,
    /// When it was begun.
    pub created_at: Seconds,
    /// When something was last reported.
    pub last_modified_at: Seconds,
    /// Who began it.
    pub created_by: String,
    /// What is promised and what is there.
    #[schema(value_type = Object)]
    pub compliance_status: Box<RawValue>,
    /// The state in one word.
    pub compliance_state: String,
    /// Whether the state is `COMPLIANT`.
    pub is_compliant: bool,
    /// Its template, read and as given.
    pub template: Value,
    /// What happened, oldest first; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Value>>,
    /// The flow it is in.
    pub flow: FlowOfTrail,
    /// Links, by label.
    pub external_urls: Option<Value>,
    /// Its page.
    pub html_url: String,
}

/// The flow a trail is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowOfTrail {
    /// Name.
    pub name: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A page of trails.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrailPage {
    /// The trails.
    pub data: Vec<Trail>,
    /// Which page it is.
    pub pagination: Pagination,
}

/// The parts of `PUT /trails/{org}/{flow_name}` (section 5.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PutTrail {
    /// JSON: `name`, `description`, `git_commit_info`, `repo_info`, `origin_url`,
    /// `external_urls`, `user_data`.
    pub data_json: String,
    /// YAML; overrides the flow's template for this trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_file: Option<String>,
}
