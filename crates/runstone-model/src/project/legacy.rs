//! Rows of approvals and announced deployments. What stands in the event is all they need.

use std::sync::Arc;

use super::Rows;
use crate::event::{Entry, LegacyEvent};
use crate::fact::{Approval, Deployment};
use crate::view::Row;

/// The row that follows from `event` of `entry`.
pub(super) fn project(rows: &mut Rows, entry: &Entry, event: &LegacyEvent) {
    let row = match event {
        LegacyEvent::ApprovalReported {
            flow,
            no,
            artifact,
            trail,
            fingerprint,
            environment,
            state,
            ..
        } => Row::Approval(Arc::new(Approval {
            organization: rows.organization,
            flow: *flow,
            no: *no,
            artifact: *artifact,
            trail: *trail,
            fingerprint: *fingerprint,
            environment: *environment,
            state: *state,
            entry: rows.index,
            by: entry.actor.clone(),
            at: rows.at,
        })),
        LegacyEvent::DeploymentReported {
            flow,
            no,
            artifact,
            trail,
            fingerprint,
            environment,
            ..
        } => Row::Deployment(Arc::new(Deployment {
            organization: rows.organization,
            flow: *flow,
            no: *no,
            artifact: *artifact,
            trail: *trail,
            fingerprint: *fingerprint,
            environment: *environment,
            entry: rows.index,
            by: entry.actor.clone(),
            at: rows.at,
        })),
    };
    rows.put(row);
}
