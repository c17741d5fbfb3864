//! Events that clients older than trails tell: approvals and announced deployments.

use std::sync::Arc;

use serde_json::{Value, json};

use super::flow::fingerprint;
use super::json::{bad, ordinal, text};
use super::{Body, Content, Field, Unreadable};
use crate::fact::{
    ApprovalNo, ApprovalState, ArtifactNo, DeploymentNo, EnvironmentNo, FlowNo, TrailNo,
};
use crate::id::Fingerprint;

/// What was told of an artifact that a flow knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry the names of the facts they set")]
pub enum LegacyEvent {
    ApprovalReported {
        flow: FlowNo,
        no: ApprovalNo,
        artifact: ArtifactNo,
        trail: TrailNo,
        fingerprint: Fingerprint,
        /// None: every one.
        environment: Option<EnvironmentNo>,
        state: ApprovalState,
        /// Who approved, and what was written.
        content: Content,
    },
    DeploymentReported {
        flow: FlowNo,
        no: DeploymentNo,
        artifact: ArtifactNo,
        trail: TrailNo,
        fingerprint: Fingerprint,
        environment: EnvironmentNo,
        content: Content,
    },
}

impl LegacyEvent {
    /// Name in entries, data and bodies.
    pub(super) fn encode(&self) -> (&'static str, Value, Vec<Body>) {
        match self {
            Self::ApprovalReported {
                flow,
                no,
                artifact,
                trail,
                fingerprint,
                environment,
                state,
                content,
            } => (
                "ApprovalReported",
                json!({
                    "artifact": artifact.0,
                    "environment": environment.map(|no| no.0),
                    "fingerprint": fingerprint.to_hex(),
                    "flow": flow.0,
                    "no": no.0,
                    "state": state.as_wire(),
                    "trail": trail.0,
                }),
                vec![content.to_body()],
            ),
            Self::DeploymentReported {
                flow,
                no,
                artifact,
                trail,
                fingerprint,
                environment,
                content,
            } => (
                "DeploymentReported",
                json!({
                    "artifact": artifact.0,
                    "environment": environment.0,
                    "fingerprint": fingerprint.to_hex(),
                    "flow": flow.0,
                    "no": no.0,
                    "trail": trail.0,
                }),
                vec![content.to_body()],
            ),
        }
    }

    /// The event of this name; none if it is not one of these.
    pub(super) fn decode(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Option<Self>, Unreadable> {
        Ok(Some(match kind {
            "ApprovalReported" => Self::ApprovalReported {
                flow: FlowNo(ordinal(data, "flow")?),
                no: ApprovalNo(ordinal(data, "no")?),
                artifact: ArtifactNo(ordinal(data, "artifact")?),
                trail: TrailNo(ordinal(data, "trail")?),
                fingerprint: fingerprint(&data["fingerprint"])?,
                environment: match &data["environment"] {
                    Value::Null => None,
                    _ => Some(EnvironmentNo(ordinal(data, "environment")?)),
                },
                state: ApprovalState::from_wire(&text(data, "state")?)
                    .ok_or_else(|| bad("state"))?,
                content: Content::read(bodies, 0)?,
            },
            "DeploymentReported" => Self::DeploymentReported {
                flow: FlowNo(ordinal(data, "flow")?),
                no: DeploymentNo(ordinal(data, "no")?),
                artifact: ArtifactNo(ordinal(data, "artifact")?),
                trail: TrailNo(ordinal(data, "trail")?),
                fingerprint: fingerprint(&data["fingerprint"])?,
                environment: EnvironmentNo(ordinal(data, "environment")?),
                content: Content::read(bodies, 0)?,
            },
            _ => return Ok(None),
        }))
    }

    /// Its private bodies: position among its bodies, and what it holds.
    pub(super) fn private_bodies(&self) -> Vec<(u32, Field)> {
        match self {
            Self::ApprovalReported { .. } | Self::DeploymentReported { .. } => {
                vec![(0, Field::Content)]
            }
        }
    }
}
