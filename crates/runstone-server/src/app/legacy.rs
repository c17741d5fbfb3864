//! Use cases of clients older than trails: approvals, announced deployments, evidence.

use runstone_model::attestation::evidence::{About, FLOWS_MAX};
use runstone_model::command::{
    Action, Attest, Caller, LegacyAction, MissingInFlow, Refusal, Reply, ReportApproval,
    ReportDeployment,
};
use runstone_model::fact::Organization;
use runstone_model::id::{Commit, Fingerprint};
use runstone_model::read::FieldErrors;
use runstone_store::Read;

use super::State;
use super::error::AppError;

/// A commit leads to so many reports of artifacts at most.
const REPORTS_MAX: usize = 500;

impl State {
    async fn submit_legacy(
        &self,
        caller: Caller,
        organization: &Organization,
        action: LegacyAction,
    ) -> Result<Reply, AppError> {
        let done = self
            .submit(caller, &organization.name, Action::Legacy(action))
            .await?;
        Ok(done.reply)
    }

    /// Approves an artifact, or asks for that (section 14.1).
    pub(crate) async fn report_approval(
        &self,
        caller: Caller,
        organization: &Organization,
        report: ReportApproval,
    ) -> Result<Reply, AppError> {
        let action = LegacyAction::ReportApproval(report);
        self.submit_legacy(caller, organization, action).await
    }

    /// Announces a deployment (section 14.2).
    pub(crate) async fn report_deployment(
        &self,
        caller: Caller,
        organization: &Organization,
        report: ReportDeployment,
    ) -> Result<Reply, AppError> {
        let action = LegacyAction::ReportDeployment(report);
        self.submit_legacy(caller, organization, action).await
    }

    /// Flows and trails that evidence is attested in (section 14.3); `flow` is the one in the path.
    pub(crate) async fn places_of_evidence(
        &self,
        organization: &Organization,
        flow: &str,
        about: &About,
    ) -> Result<Vec<(String, String)>, AppError> {
        match about {
            About::Artifact(fingerprint) => {
                let mut read = self.read().await?;
                let trail = trail_of(&mut read, organization, flow, *fingerprint).await?;
                Ok(vec![(flow.to_owned(), trail)])
            }
            About::Commit(commit, flows) => {
                let commit = Commit(*commit);
                let flows = if flows.is_empty() {
                    let mut read = self.read().await?;
                    flows_of(&mut read, organization, commit).await?
                } else {
                    flows.clone()
                };
                let trail = commit.to_hex();
                Ok(flows
                    .into_iter()
                    .map(|flow| (flow, trail.clone()))
                    .collect())
            }
        }
    }

    /// Attests the same in several places, one after the other.
    pub(crate) async fn attest_in(
        &self,
        caller: &Caller,
        organization: &Organization,
        attest: &Attest,
        places: Vec<(String, String)>,
    ) -> Result<(), AppError> {
        for (flow, trail) in places {
            let attest = Attest {
                flow,
                trail,
                ..attest.clone()
            };
            self.attest(caller.clone(), organization, attest).await?;
        }
        Ok(())
    }
}

/// The trail of the newest report of an artifact in a live flow.
async fn trail_of(
    read: &mut Read,
    organization: &Organization,
    flow: &str,
    fingerprint: Fingerprint,
) -> Result<String, AppError> {
    let known = read
        .flow_named(organization.no, flow)
        .await?
        .filter(|flow| flow.archived_at.is_none())
        .ok_or_else(|| Refusal::FlowMissing {
            name: flow.to_owned(),
            organization: organization.name.clone(),
        })?;
    let mut found = read.provenance(organization.no, &[fingerprint]).await?;
    let newest = found
        .remove(&fingerprint)
        .unwrap_or_default()
        .into_iter()
        .rfind(|artifact| artifact.flow == known.no)
        .ok_or_else(|| {
            Refusal::ArtifactMissingInFlow(Box::new(MissingInFlow {
                fingerprint,
                flow: flow.to_owned(),
                organization: organization.name.clone(),
            }))
        })?;
    let trails = read.trails(organization.no, &[newest.trail]).await?;
    trails
        .into_values()
        .next()
        .map(|trail| trail.name)
        .ok_or_else(|| AppError::Internal("the trail of an artifact is missing".to_owned()))
}

/// The live flows that know a commit by an artifact; where none does, all of them.
async fn flows_of(
    read: &mut Read,
    organization: &Organization,
    commit: Commit,
) -> Result<Vec<String>, AppError> {
    let reports = read
        .artifacts_by_commit(organization.no, &commit.to_hex(), REPORTS_MAX)
        .await?;
    let live = read.flows(organization.no).await?;
    let knows = |no| reports.iter().any(|report| report.flow == no);
    let is_known = live.iter().any(|flow| knows(flow.no));
    let flows: Vec<String> = live
        .into_iter()
        .filter(|flow| !is_known || knows(flow.no))
        .map(|flow| flow.name)
        .collect();
    if flows.is_empty() || flows.len() > FLOWS_MAX {
        let message = "Name the flows: they cannot be told from the commit";
        return Err(FieldErrors::one("flows", message, "").into());
    }
    Ok(flows)
}
