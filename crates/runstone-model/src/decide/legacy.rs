//! Approvals and announced deployments of artifacts that a flow knows.

use super::{Deciding, Stop};
use crate::command::{
    LegacyAction, MissingInFlow, Refusal, Reply, ReportApproval, ReportDeployment,
};
use crate::event::{Event, LegacyEvent, Subject};
use crate::fact::{ApprovalNo, ArtifactNo, DeploymentNo, FlowNo, OrganizationNo, TrailNo};
use crate::id::Fingerprint;
use crate::view::{Counted, FactKey, View};

/// The facts a command about an artifact of a flow reads, as far as they can be told.
pub(super) fn needs(
    organization: OrganizationNo,
    action: &LegacyAction,
    view: &View,
    keys: &mut Vec<FactKey>,
) {
    let (flow, fingerprint, environment, counted) = match action {
        LegacyAction::ReportApproval(report) => (
            &report.flow,
            report.fingerprint,
            report.environment.as_ref(),
            Counted::Approval,
        ),
        LegacyAction::ReportDeployment(report) => (
            &report.flow,
            report.fingerprint,
            Some(&report.environment),
            Counted::Deployment,
        ),
    };
    if let Some(name) = environment {
        keys.push(FactKey::EnvironmentNamed(organization, name.clone()));
        if let Ok(Some(no)) = view.environment_named(organization, name) {
            keys.push(FactKey::Environment(organization, no));
        }
    }
    keys.push(FactKey::FlowNamed(organization, flow.clone()));
    let Ok(Some(no)) = view.flow_named(organization, flow) else {
        return;
    };
    keys.push(FactKey::Flow(organization, no));
    keys.push(FactKey::LastIn(organization, no, counted));
    keys.push(FactKey::ArtifactIn(organization, no, fingerprint));
    if let Ok(Some((_, trail))) = view.artifact_in(organization, no, fingerprint) {
        keys.push(FactKey::Trail(organization, trail));
        keys.push(FactKey::Subject(organization, Subject::Trail(trail)));
    }
}

impl Deciding<'_> {
    pub(super) fn legacy_action(&mut self, action: &LegacyAction) -> Result<Reply, Stop> {
        match action {
            LegacyAction::ReportApproval(report) => self.report_approval(report),
            LegacyAction::ReportDeployment(report) => self.report_deployment(report),
        }
    }

    /// A live flow, and the newest report of an artifact in it.
    fn artifact_of(
        &self,
        flow: &str,
        fingerprint: Fingerprint,
    ) -> Result<(FlowNo, ArtifactNo, TrailNo), Stop> {
        let no = self.live_flow(flow)?.no;
        let (artifact, trail) = self
            .view
            .artifact_in(self.organization, no, fingerprint)?
            .ok_or_else(|| {
                Refusal::ArtifactMissingInFlow(Box::new(MissingInFlow {
                    fingerprint,
                    flow: flow.to_owned(),
                    organization: self.command.organization.clone(),
                }))
            })?;
        Ok((no, artifact, trail))
    }

    fn report_approval(&mut self, report: &ReportApproval) -> Result<Reply, Stop> {
        let (flow, artifact, trail) = self.artifact_of(&report.flow, report.fingerprint)?;
        let environment = match &report.environment {
            Some(name) => Some(self.live_environment(name)?.no),
            None => None,
        };
        let last = self
            .view
            .last_in(self.organization, flow, Counted::Approval)?;
        let content = self.content(&report.content);
        self.append(
            Subject::Trail(trail),
            Event::Legacy(LegacyEvent::ApprovalReported {
                flow,
                no: ApprovalNo(last + 1),
                artifact,
                trail,
                fingerprint: report.fingerprint,
                environment,
                state: report.state,
                content,
            }),
        )?;
        Ok(Reply::Created)
    }

    fn report_deployment(&mut self, report: &ReportDeployment) -> Result<Reply, Stop> {
        let (flow, artifact, trail) = self.artifact_of(&report.flow, report.fingerprint)?;
        let environment = self.live_environment(&report.environment)?.no;
        let last = self
            .view
            .last_in(self.organization, flow, Counted::Deployment)?;
        let content = self.content(&report.content);
        self.append(
            Subject::Trail(trail),
            Event::Legacy(LegacyEvent::DeploymentReported {
                flow,
                no: DeploymentNo(last + 1),
                artifact,
                trail,
                fingerprint: report.fingerprint,
                environment,
                content,
            }),
        )?;
        Ok(Reply::Created)
    }
}
