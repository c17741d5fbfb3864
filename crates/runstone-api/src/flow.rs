//! Flows (`api-flows.md` section 3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Seconds;

/// A flow (section 3.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `private` or `public`.
    pub visibility: String,
    /// Name of the organization.
    pub org: String,
    /// The template that trails begun from now on take.
    pub template: TemplateText,
    /// Where its code is; empty when unknown.
    pub repo_url: String,
    /// Tags; never null.
    pub tags: BTreeMap<String, String>,
}

/// A template as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TemplateText {
    /// YAML, byte for byte.
    Yaml(String),
    /// The list of names that older clients give.
    Names(Vec<String>),
}

/// A flow in a list (section 3.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowListItem {
    /// The flow.
    #[serde(flatten)]
    pub flow: Flow,
    /// When something was last reported to one of its trails.
    pub latest_activity_at: Option<Seconds>,
    /// State of the trail that was last active.
    pub latest_state: Option<String>,
}

/// Which page of how many items an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pagination {
    /// Number of items on all pages.
    pub total: u64,
    /// This page, from 1.
    pub page: u64,
    /// Most items of a page.
    pub per_page: u64,
    /// Number of pages.
    pub page_count: u64,
}

/// A page of flows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowPage {
    /// The flows.
    pub data: Vec<FlowListItem>,
    /// Which page it is.
    pub pagination: Pagination,
}

/// Body of `PUT /flows/{org}` (section 3.2), and the part `data_json` of
/// `PUT /flows/{org}/template_file` (section 3.1), which has no `template`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PutFlow {
    /// Name.
    #[schema(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9\.\-_~]*$")]
    pub name: String,
    /// Free text.
    pub description: String,
    /// `private` or `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<String>,
    /// Names of evidence that every artifact needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Vec<String>>,
}
