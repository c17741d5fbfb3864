//! Commands that clients older than trails ask for (`api-flows.md` section 14).

use std::sync::Arc;

use crate::fact::ApprovalState;
use crate::id::Fingerprint;

/// What is asked about an artifact that a flow knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyAction {
    /// Approve an artifact, or ask for that.
    ReportApproval(ReportApproval),
    /// Announce a deployment.
    ReportDeployment(ReportDeployment),
}

/// See the flow contract, section 14.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportApproval {
    /// Name of the flow.
    pub flow: String,
    /// The artifact.
    pub fingerprint: Fingerprint,
    /// Name of the environment it is for; none: every one.
    pub environment: Option<String>,
    /// How it stands.
    pub state: ApprovalState,
    /// Everything else, as JSON.
    pub content: Arc<str>,
}

/// See the flow contract, section 14.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDeployment {
    /// Name of the flow.
    pub flow: String,
    /// The artifact.
    pub fingerprint: Fingerprint,
    /// Name of the environment it goes to.
    pub environment: String,
    /// Everything else, as JSON.
    pub content: Arc<str>,
}
