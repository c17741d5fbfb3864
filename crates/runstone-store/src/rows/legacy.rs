//! Rows of approvals and announced deployments.

use runstone_model::fact::{
    Approval, ApprovalNo, ApprovalState, ArtifactNo, Deployment, DeploymentNo, EnvironmentNo,
    FlowNo, OrganizationNo, TrailNo,
};
use runstone_model::id::Fingerprint;
use runstone_model::view::{Counted, Fact, FactKey, Row};

use super::flow::{actor, optional_ordinal};
use super::{Pending, corrupt, micros, prefix};
use crate::conn::Conn;
use crate::table;
use crate::value::{DbError, Record};

/// An approval.
pub(crate) const SELECT_APPROVAL: &str = "SELECT p.organization, p.flow, p.no, p.artifact, p.trail, p.fingerprint, p.environment, p.state, p.entry, p.author, p.at FROM approvals p";

pub(crate) fn approval(record: &Record) -> Result<Approval, DbError> {
    Ok(Approval {
        organization: OrganizationNo(record.ordinal(0)?),
        flow: FlowNo(record.ordinal(1)?),
        no: ApprovalNo(record.ordinal(2)?),
        artifact: ArtifactNo(record.ordinal(3)?),
        trail: TrailNo(record.ordinal(4)?),
        fingerprint: Fingerprint(record.sha256(5)?),
        environment: optional_ordinal(record, 6)?.map(EnvironmentNo),
        state: ApprovalState::from_wire(record.text(7)?)
            .ok_or_else(|| corrupt("state of an approval"))?,
        entry: record.number(8)?,
        by: actor(record, 9)?,
        at: micros(record, 10)?,
    })
}

/// The columns of an announced deployment.
pub(crate) const SELECT_DEPLOYMENT: &str = "SELECT p.organization, p.flow, p.no, p.artifact, p.trail, p.fingerprint, p.environment, p.entry, p.author, p.at FROM deployments p";

pub(crate) fn deployment(record: &Record) -> Result<Deployment, DbError> {
    Ok(Deployment {
        organization: OrganizationNo(record.ordinal(0)?),
        flow: FlowNo(record.ordinal(1)?),
        no: DeploymentNo(record.ordinal(2)?),
        artifact: ArtifactNo(record.ordinal(3)?),
        trail: TrailNo(record.ordinal(4)?),
        fingerprint: Fingerprint(record.sha256(5)?),
        environment: EnvironmentNo(record.ordinal(6)?),
        entry: record.number(7)?,
        by: actor(record, 8)?,
        at: micros(record, 9)?,
    })
}

/// Adds the stored form of a row of these.
pub(super) fn put(pending: &mut Pending, row: &Row) {
    match row {
        Row::Approval(approval) => pending.put(
            &table::APPROVALS,
            vec![
                approval.organization.0.into(),
                approval.flow.0.into(),
                approval.no.0.into(),
                approval.artifact.0.into(),
                approval.trail.0.into(),
                prefix(&approval.fingerprint).into(),
                approval.fingerprint.0[..].into(),
                approval.environment.map(|no| no.0).into(),
                approval.state.as_wire().into(),
                approval.entry.into(),
                approval.by.to_text().into(),
                approval.at.0.into(),
            ],
        ),
        Row::Deployment(deployment) => pending.put(
            &table::DEPLOYMENTS,
            vec![
                deployment.organization.0.into(),
                deployment.flow.0.into(),
                deployment.no.0.into(),
                deployment.artifact.0.into(),
                deployment.trail.0.into(),
                prefix(&deployment.fingerprint).into(),
                deployment.fingerprint.0[..].into(),
                deployment.environment.0.into(),
                deployment.entry.into(),
                deployment.by.to_text().into(),
                deployment.at.0.into(),
            ],
        ),
        _ => {}
    }
}

/// The last number given out in a flow.
pub(crate) async fn last(
    conn: &mut Conn,
    organization: OrganizationNo,
    flow: FlowNo,
    of: Counted,
) -> Result<Option<u32>, DbError> {
    let table = match of {
        Counted::Approval => &table::APPROVALS,
        Counted::Deployment => &table::DEPLOYMENTS,
    };
    conn.query_one(
        &format!(
            "SELECT no FROM {} WHERE organization = $1 AND flow = $2 ORDER BY no DESC LIMIT 1",
            table.name
        ),
        &[organization.0.into(), flow.0.into()],
    )
    .await?
    .map(|row| row.ordinal(0))
    .transpose()
}

/// Loads a fact of these.
pub(super) async fn load(conn: &mut Conn, key: &FactKey) -> Result<Option<Fact>, DbError> {
    Ok(match key {
        FactKey::LastIn(organization, flow, of) => last(conn, *organization, *flow, *of)
            .await?
            .map(Fact::LastIn),
        FactKey::ArtifactIn(organization, flow, fingerprint) => conn
            .query_one(
                "SELECT no, trail FROM artifacts WHERE organization = $1 AND prefix = $2 AND flow = $3 AND fingerprint = $4 ORDER BY no DESC LIMIT 1",
                &[
                    organization.0.into(),
                    prefix(fingerprint).into(),
                    flow.0.into(),
                    fingerprint.0[..].into(),
                ],
            )
            .await?
            .map(|row| {
                Ok::<_, DbError>(Fact::ArtifactIn((
                    ArtifactNo(row.ordinal(0)?),
                    TrailNo(row.ordinal(1)?),
                )))
            })
            .transpose()?,
        _ => None,
    })
}
