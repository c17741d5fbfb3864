//! Assertions: whether an artifact is compliant (`api-flows.md` section 8).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Whether an artifact is compliant, and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Assertion {
    /// The artifact.
    pub fingerprint: String,
    /// The first of the flows.
    pub flow: String,
    /// Its trail there; null if it was reported without one.
    pub trail: Option<String>,
    /// The answer.
    pub compliant: bool,
    /// By what it was judged: `flow`, `environment` or `policy`.
    pub scope: &'static str,
    /// Its page in the first of the flows.
    pub html_url: String,
    /// Its status in the first of the flows.
    pub compliance_status: Option<Value>,
    /// Every flow that knows it, by the time of its newest report there.
    pub flows: Vec<AssertedFlow>,
    /// The environment that judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What each policy says.
    pub policy_evaluations: Vec<Value>,
    /// Who allowed it whatever the policies say.
    pub allow_listing: Option<Value>,
}

/// An artifact in one flow.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AssertedFlow {
    /// The flow.
    pub flow: String,
    /// Its trail there; null if it was reported without one.
    pub trail: Option<String>,
    /// Whether it is what the trail's template demands.
    pub compliant: bool,
    /// Its status.
    pub compliance_status: Option<Value>,
    /// Its page.
    pub html_url: String,
}
