//! Custom types of attestation (`api-flows.md` section 11).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Seconds;

/// A custom type of attestation (section 11.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttestationType {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name of the organization.
    pub org: String,
    /// Whether it is hidden and takes no more attestations.
    pub archived: bool,
    /// Who made it; left out where one version is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was made; left out likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Seconds>,
    /// When it last got a version, was archived or came back; left out likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified_at: Option<Seconds>,
    /// Newest first.
    pub versions: Vec<AttestationTypeVersion>,
}

/// One version of a custom type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttestationTypeVersion {
    /// Number, from 1.
    pub version: u32,
    /// When it was made.
    pub timestamp: Seconds,
    /// The JSON Schema of the data.
    #[schema(value_type = Option<Object>)]
    pub type_schema: Option<Value>,
    /// What else judges the data.
    pub evaluator: Evaluator,
    /// What is shown of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<SummaryRow>>,
    /// Who made it.
    pub created_by: String,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What judges data besides its JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evaluator {
    /// `jq` or `default`.
    pub content_type: String,
    /// jq filters that must all yield `true`; none of the default evaluator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
}

/// A row that is shown beside an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SummaryRow {
    /// Name.
    pub name: String,
    /// A jq filter; its first output is shown.
    pub expression: String,
}

/// The part `data_json` of `POST /custom-attestation-types/{org}` (section 11.1). Closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateAttestationType {
    /// Name.
    #[schema(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9\-_~]*$")]
    pub name: String,
    /// Free text; absent keeps the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is said of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What judges the data besides its JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator: Option<Evaluator>,
    /// What is shown of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<SummaryRow>>,
}
