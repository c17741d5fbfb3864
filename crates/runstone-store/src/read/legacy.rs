//! Approvals and announced deployments, and what they are shown with.

use std::collections::HashMap;

use runstone_model::fact::{
    Approval, ApprovalNo, Artifact, ArtifactNo, Deployment, DeploymentNo, Environment,
    EnvironmentNo, FlowNo, OrganizationNo,
};
use runstone_model::id::{Commit, Fingerprint};
use runstone_model::view::Counted;

use super::{Read, ReadError};
use crate::rows;
use crate::rows::legacy::{SELECT_APPROVAL, SELECT_DEPLOYMENT};
use crate::value::{DbError, Value};

/// The columns of an artifact, its state last, of rows that stand beside a list of numbers.
const SELECT_ARTIFACTS: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no ORDER BY s.entry DESC LIMIT 1) FROM ID_TABLE($1) CROSS JOIN artifacts a";

fn prefixes(fingerprints: &[Fingerprint]) -> Value {
    let mut prefixes: Vec<i64> = fingerprints.iter().map(rows::prefix).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    Value::Ints(prefixes)
}

impl Read {
    /// The last number given out to approvals or deployments of a flow; zero before the first.
    pub async fn last_in(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        of: Counted,
    ) -> Result<u32, ReadError> {
        let last = rows::legacy::last(self.conn().await?, organization, flow, of).await?;
        Ok(last.unwrap_or_default())
    }

    /// An approval by number.
    pub async fn approval(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        no: ApprovalNo,
    ) -> Result<Option<Approval>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{SELECT_APPROVAL} WHERE p.organization = $1 AND p.flow = $2 AND p.no = $3"
                ),
                &[organization.0.into(), flow.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::legacy::approval(&row))
            .transpose()
    }

    /// Approvals of a flow, newest first; `window` is offset and number.
    pub async fn approvals(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<Approval>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_APPROVAL} WHERE p.organization = $1 AND p.flow = $2 ORDER BY p.no DESC LIMIT $3 OFFSET $4"
                ),
                &[
                    organization.0.into(),
                    flow.0.into(),
                    limit.into(),
                    offset.into(),
                ],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::legacy::approval).collect()
    }

    /// Approvals of artifacts in all flows, oldest first, set-wise.
    pub async fn approvals_of(
        &mut self,
        organization: OrganizationNo,
        fingerprints: &[Fingerprint],
    ) -> Result<HashMap<Fingerprint, Vec<Approval>>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT p.organization, p.flow, p.no, p.artifact, p.trail, p.fingerprint, p.environment, p.state, p.entry, p.author, p.at FROM ID_TABLE($1) CROSS JOIN approvals p WHERE p.organization = $2 AND p.prefix >= i.value AND p.prefix <= i.value ORDER BY p.entry",
                &[prefixes(fingerprints), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        let mut found: HashMap<Fingerprint, Vec<Approval>> = HashMap::new();
        for row in &rows {
            let approval = rows::legacy::approval(row)?;
            found
                .entry(approval.fingerprint)
                .or_default()
                .push(approval);
        }
        Ok(found)
    }

    /// The commit of the artifact that was last approved in a flow for an environment.
    pub async fn approved_commit(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        environment: EnvironmentNo,
    ) -> Result<Option<Commit>, ReadError> {
        let row = self
            .conn()
            .await?
            .query_one(
                "SELECT a.sha1 FROM approvals p CROSS JOIN artifacts a WHERE p.organization = $1 AND p.flow = $2 AND p.state = 'APPROVED' AND (p.environment = $3 OR p.environment IS NULL) AND a.organization = p.organization AND a.no = p.artifact ORDER BY p.no DESC LIMIT 1",
                &[organization.0.into(), flow.0.into(), environment.0.into()],
            )
            .await?;
        match row {
            Some(row) if !row.is_null(0) => Commit::from_slice(&row.blob(0)?)
                .map(Some)
                .ok_or_else(|| DbError::Corrupt("a commit".to_owned())),
            _ => Ok(None),
        }
    }

    /// An announced deployment by number.
    pub async fn deployment(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        no: DeploymentNo,
    ) -> Result<Option<Deployment>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{SELECT_DEPLOYMENT} WHERE p.organization = $1 AND p.flow = $2 AND p.no = $3"
                ),
                &[organization.0.into(), flow.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::legacy::deployment(&row))
            .transpose()
    }

    /// Announced deployments of a flow, newest first; `window` is offset and number.
    pub async fn deployments(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<Deployment>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_DEPLOYMENT} WHERE p.organization = $1 AND p.flow = $2 ORDER BY p.no DESC LIMIT $3 OFFSET $4"
                ),
                &[
                    organization.0.into(),
                    flow.0.into(),
                    limit.into(),
                    offset.into(),
                ],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::legacy::deployment).collect()
    }

    /// Announced deployments of artifacts in all flows, oldest first, set-wise.
    pub async fn deployments_of(
        &mut self,
        organization: OrganizationNo,
        fingerprints: &[Fingerprint],
    ) -> Result<HashMap<Fingerprint, Vec<Deployment>>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT p.organization, p.flow, p.no, p.artifact, p.trail, p.fingerprint, p.environment, p.entry, p.author, p.at FROM ID_TABLE($1) CROSS JOIN deployments p WHERE p.organization = $2 AND p.prefix >= i.value AND p.prefix <= i.value ORDER BY p.entry",
                &[prefixes(fingerprints), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        let mut found: HashMap<Fingerprint, Vec<Deployment>> = HashMap::new();
        for row in &rows {
            let deployment = rows::legacy::deployment(row)?;
            found
                .entry(deployment.fingerprint)
                .or_default()
                .push(deployment);
        }
        Ok(found)
    }

    /// Reports of artifacts by number, set-wise.
    pub async fn artifacts_numbered(
        &mut self,
        organization: OrganizationNo,
        numbers: &[ArtifactNo],
    ) -> Result<HashMap<ArtifactNo, Artifact>, ReadError> {
        let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                &format!("{SELECT_ARTIFACTS} WHERE a.organization = $2 AND a.no = i.value"),
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter()
            .map(|row| rows::flow::artifact(row).map(|artifact| (artifact.no, artifact)))
            .collect()
    }

    /// Reports of artifacts built from commits, oldest first, set-wise.
    pub async fn artifacts_of_commits(
        &mut self,
        organization: OrganizationNo,
        commits: &[Commit],
    ) -> Result<HashMap<Commit, Vec<Artifact>>, ReadError> {
        let mut prefixes: Vec<i64> = commits.iter().map(rows::flow::commit_prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_ARTIFACTS} WHERE a.organization = $2 AND a.sha1_prefix >= i.value AND a.sha1_prefix <= i.value ORDER BY a.no"
                ),
                &[Value::Ints(prefixes), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        let mut found: HashMap<Commit, Vec<Artifact>> = HashMap::new();
        for row in &rows {
            let artifact = rows::flow::artifact(row)?;
            if let Some(commit) = artifact.commit {
                found.entry(commit).or_default().push(artifact);
            }
        }
        Ok(found)
    }

    /// Environments by number, archived ones included, set-wise.
    pub async fn environments_numbered(
        &mut self,
        organization: OrganizationNo,
        numbers: &[EnvironmentNo],
    ) -> Result<HashMap<EnvironmentNo, Environment>, ReadError> {
        let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT e.organization, e.no, e.name, e.kind, e.description, e.include_scaling, e.require_provenance, e.members, e.tags, e.created_at, e.modified_at, e.archived_at, e.snapshots, e.changed_at, e.last_entry, e.imported FROM ID_TABLE($1) CROSS JOIN environments e WHERE e.organization = $2 AND e.no = i.value",
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter()
            .map(|row| rows::environment(row).map(|environment| (environment.no, environment)))
            .collect()
    }
}
