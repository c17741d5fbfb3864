//! Controls, their versions and decisions (`api-organisation.md` section 8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Seconds;
use crate::paging::PageLinks;

/// A control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Control {
    /// What it is known by.
    pub identifier: String,
    /// Name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Addresses by label.
    pub links: BTreeMap<String, String>,
    /// Number of its newest version, from 1.
    pub version: u32,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Seconds,
    /// Tags; never null.
    pub tags: BTreeMap<String, String>,
    /// Whether it is hidden.
    pub archived: bool,
    /// Names of policies whose latest version names it; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies_referencing: Option<Vec<String>>,
}

/// A page of controls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ControlPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// This page, from 1.
    pub page: u64,
    /// Most controls of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number of controls on all pages.
    pub total_count: u64,
    /// The controls, by name and identifier.
    pub controls: Vec<Control>,
}

/// Body of `POST /controls/{org}`. Closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateControl {
    /// What it will be known by, at most 256 characters.
    #[schema(pattern = r"^[a-zA-Z0-9\-._~]+$", max_length = 256)]
    pub identifier: String,
    /// Name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Addresses by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<BTreeMap<String, String>>,
}

/// Body of `PUT /controls/{org}/{identifier}`; what is absent stays. Closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeControl {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is about; null clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The whole map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<BTreeMap<String, String>>,
}

/// One version of a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ControlVersion {
    /// What the control is known by.
    pub identifier: String,
    /// Number, from 1.
    pub version: u32,
    /// Name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Addresses by label.
    pub links: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Seconds,
    /// Who made it.
    pub created_by: String,
    /// `created` or `edited`.
    pub status: String,
}

/// A page of versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ControlVersionPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// This page, from 1.
    pub page: u64,
    /// Most versions of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number of versions on all pages.
    pub total_count: u64,
    /// The versions, by number.
    pub versions: Vec<ControlVersion>,
}

/// What was decided about a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// Id: that of the attestation.
    pub decision_id: String,
    /// Identifier of the control.
    pub control: String,
    /// What was decided.
    pub is_compliant: bool,
    /// When it was received.
    pub timestamp: Seconds,
    /// The name it was attested under.
    pub attestation_name: String,
    /// Files attached to it.
    pub evidence_files: Vec<EvidenceFile>,
    /// The control's version then; null if there was no such control.
    pub control_version: Option<u32>,
    /// Name of the flow.
    pub flow_name: Option<String>,
    /// Name of the trail.
    pub trail_name: Option<String>,
    /// The artifact it is about.
    pub artifact_fingerprint: Option<String>,
    /// The artifact's own name.
    pub artifact_name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Where it was made.
    pub origin_url: Option<String>,
    /// Anything.
    #[schema(value_type = Object)]
    pub user_data: Value,
}

/// A file attached to a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceFile {
    /// Its name.
    pub filename: String,
    /// Where it is.
    pub download_url: String,
}

/// A page of decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionPage {
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// This page, from 1.
    pub page: u64,
    /// Most decisions of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number of decisions on all pages.
    pub total_count: u64,
    /// The decisions.
    pub decisions: Vec<Decision>,
}

/// Which environments enforce a control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// Environments that are not archived.
    pub total: u64,
    /// Those of them that enforce it.
    pub covered: u64,
    /// The same in hundredths.
    pub coverage_percent: f64,
    /// Other pages.
    #[serde(rename = "_links")]
    pub links: PageLinks,
    /// This page, from 1.
    pub page: u64,
    /// Most environments of a page.
    pub per_page: u64,
    /// Number of pages.
    pub total_pages: u64,
    /// Number of environments on all pages.
    pub total_count: u64,
    /// The environments, by name.
    pub environments: Vec<CoveredEnvironment>,
}

/// An environment, and whether it enforces a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoveredEnvironment {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it enforces the control.
    pub covered: bool,
    /// Names of the policies through which it does.
    pub policies: Vec<String>,
}
