//! Facts that clients older than trails tell: approvals and announced deployments
//! (`api-flows.md` section 14). Both are numbered from 1 within their flow.

use super::{
    ApprovalNo, ArtifactNo, DeploymentNo, EntryIndex, EnvironmentNo, FlowNo, OrganizationNo,
    TrailNo,
};
use crate::event::Actor;
use crate::id::{Fingerprint, Micros};

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// Asked for.
    Pending,
    /// Given.
    Approved,
    /// Refused.
    Unapproved,
}

impl ApprovalState {
    /// The wire's word.
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Unapproved => "UNAPPROVED",
        }
    }

    /// The state whose word is given.
    pub fn from_wire(text: &str) -> Option<Self> {
        match text {
            "PENDING" => Some(Self::Pending),
            "APPROVED" => Some(Self::Approved),
            "UNAPPROVED" => Some(Self::Unapproved),
            _ => None,
        }
    }
}

/// An approval of an artifact, or a request for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whose.
    pub organization: OrganizationNo,
    /// In which flow.
    pub flow: FlowNo,
    /// Its number there.
    pub no: ApprovalNo,
    /// The newest report of the artifact in the flow when it was told.
    pub artifact: ArtifactNo,
    /// The trail of that report.
    pub trail: TrailNo,
    /// What the artifact is.
    pub fingerprint: Fingerprint,
    /// The environment it is for; none: every one.
    pub environment: Option<EnvironmentNo>,
    /// How it stands.
    pub state: ApprovalState,
    /// The entry with everything else.
    pub entry: EntryIndex,
    /// Who told.
    pub by: Actor,
    /// When.
    pub at: Micros,
}

impl Approval {
    /// Whether it is for an environment.
    pub fn is_for(&self, environment: EnvironmentNo) -> bool {
        self.environment.is_none_or(|named| named == environment)
    }

    /// As a line of the artifact's history.
    pub fn history(&self, environment: Option<&str>) -> String {
        let what = match self.state {
            ApprovalState::Pending => "requested",
            ApprovalState::Approved => "given",
            ApprovalState::Unapproved => "refused",
        };
        match environment {
            Some(environment) => {
                format!(
                    "Approval #{} {what} for {environment} environment",
                    self.no.0
                )
            }
            None => format!("Approval #{} {what}", self.no.0),
        }
    }
}

/// A deployment that a pipeline announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Whose.
    pub organization: OrganizationNo,
    /// In which flow.
    pub flow: FlowNo,
    /// Its number there.
    pub no: DeploymentNo,
    /// The newest report of the artifact in the flow when it was announced.
    pub artifact: ArtifactNo,
    /// The trail of that report.
    pub trail: TrailNo,
    /// What the artifact is.
    pub fingerprint: Fingerprint,
    /// Where to.
    pub environment: EnvironmentNo,
    /// The entry with everything else.
    pub entry: EntryIndex,
    /// Who announced it.
    pub by: Actor,
    /// When.
    pub at: Micros,
}

impl Deployment {
    /// As a line of the artifact's history.
    pub fn history(&self, environment: &str) -> String {
        format!("Deployment #{} to {environment} environment", self.no.0)
    }
}
