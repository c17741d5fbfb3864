//! Controls, and what was decided about them.

use runstone_model::fact::{
    Attestation, AttestationNo, Control, ControlNo, ControlVersion, FlowNo, OrganizationNo,
};
use runstone_model::id::Micros;

use super::flows::Conditions;
use super::{Read, ReadError};
use crate::rows;
use crate::rows::control::{self, SELECT_CONTROL, SELECT_VERSION};
use crate::value::Record;

const SELECT_DECISION: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.kind, a.is_compliant, a.fingerprint, a.targets, a.sha1, a.overrides, a.original_kind, a.template, a.repo, a.is_attached, a.entry, a.author, a.at, d.version FROM decisions d CROSS JOIN attestations a";
const JOINED: &str = "a.organization = d.organization AND a.no = d.attestation";

/// An attestation that decides about a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The attestation.
    pub attestation: Attestation,
    /// The control's version then; none if there was no such control.
    pub version: Option<u32>,
}

/// Which decisions are asked for. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    /// In one of these flows.
    pub flows: Option<Vec<FlowNo>>,
    /// That say this.
    pub is_compliant: Option<bool>,
    /// Received at this time or later.
    pub from: Option<Micros>,
    /// Received at this time or before.
    pub until: Option<Micros>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

fn decision(record: &Record) -> Result<Decision, ReadError> {
    Ok(Decision {
        attestation: rows::flow::attestation(record)?,
        version: rows::flow::optional_ordinal(record, 18)?,
    })
}

impl Read {
    /// A control by identifier, archived or not.
    pub async fn control_named(
        &mut self,
        organization: OrganizationNo,
        identifier: &str,
    ) -> Result<Option<Control>, ReadError> {
        control::named(self.conn().await?, organization, identifier).await
    }

    /// All controls, archived or not, by name and identifier.
    pub async fn controls(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Vec<Control>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                &format!("{SELECT_CONTROL} WHERE organization = $1 ORDER BY name, identifier"),
                &[organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(control::control).collect()
    }

    /// Versions of a control, newest or oldest first.
    pub async fn control_versions(
        &mut self,
        organization: OrganizationNo,
        of: ControlNo,
        ascending: bool,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<ControlVersion>, ReadError> {
        let direction = if ascending { "ASC" } else { "DESC" };
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_VERSION} WHERE organization = $1 AND control = $2 ORDER BY version {direction} LIMIT $3 OFFSET $4"
                ),
                &[
                    organization.0.into(),
                    of.0.into(),
                    limit.into(),
                    offset.into(),
                ],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(control::version).collect()
    }

    /// One version of a control.
    pub async fn control_version(
        &mut self,
        organization: OrganizationNo,
        of: ControlNo,
        version: u32,
    ) -> Result<Option<ControlVersion>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{SELECT_VERSION} WHERE organization = $1 AND control = $2 AND version = $3"
                ),
                &[organization.0.into(), of.0.into(), version.into()],
            )
            .await?
            .map(|row| control::version(&row))
            .transpose()
    }

    /// Decisions about a control that are asked for, and how many there are on all pages; `window`
    /// gives offset and number of those of a page.
    pub async fn decisions(
        &mut self,
        organization: OrganizationNo,
        control: &str,
        filter: &DecisionFilter,
        window: impl FnOnce(u64) -> (u64, u64),
    ) -> Result<(u64, Vec<Decision>), ReadError> {
        if filter.flows.as_ref().is_some_and(Vec::is_empty) {
            return Ok((0, Vec::new()));
        }
        let mut conditions = Conditions::new(organization, "d.organization");
        conditions.and("d.control = ?", control);
        if let Some(flows) = &filter.flows {
            conditions.one_of("a.flow", flows.iter().map(|flow| flow.0));
        }
        if let Some(is_compliant) = filter.is_compliant {
            conditions.and("a.is_compliant = ?", is_compliant);
        }
        if let Some(from) = filter.from {
            conditions.and("a.at >= ?", from.0);
        }
        if let Some(until) = filter.until {
            conditions.and("a.at <= ?", until.0);
        }
        let total = self
            .conn()
            .await?
            .query_one(
                &format!(
                    "SELECT count(*) FROM decisions d CROSS JOIN attestations a WHERE {} AND {JOINED}",
                    conditions.text
                ),
                &conditions.values,
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let (offset, limit) = window(total);
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let direction = if filter.ascending { "ASC" } else { "DESC" };
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_DECISION} WHERE {} AND {JOINED} ORDER BY d.attestation {direction} LIMIT ${first} OFFSET ${}",
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        let decisions = rows.iter().map(decision).collect::<Result<_, _>>()?;
        Ok((total, decisions))
    }

    /// One decision about a control.
    pub async fn decision(
        &mut self,
        organization: OrganizationNo,
        control: &str,
        no: AttestationNo,
    ) -> Result<Option<Decision>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{SELECT_DECISION} WHERE d.organization = $1 AND d.control = $2 AND d.attestation = $3 AND {JOINED}"
                ),
                &[organization.0.into(), control.into(), no.0.into()],
            )
            .await?
            .map(|row| decision(&row))
            .transpose()
    }
}
