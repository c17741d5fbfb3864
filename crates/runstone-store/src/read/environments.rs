//! Environments and when they were last seen.

use std::collections::HashMap;

use runstone_model::fact::{Environment, EnvironmentNo, OrganizationNo, Seen};

use super::{Read, ReadError};
use crate::rows;
use crate::value::Value;

const SELECT_ENVIRONMENT_NAMED: &str = "SELECT e.organization, e.no, e.name, e.kind, e.description, e.include_scaling, e.require_provenance, e.members, e.tags, e.created_at, e.modified_at, e.archived_at, e.snapshots, e.changed_at, e.last_entry, e.imported FROM environment_names n CROSS JOIN environments e WHERE n.organization = $1 AND n.name = $2 AND e.organization = n.organization AND e.no = n.environment";

impl Read {
    /// The environment a name leads to: the one that has it, else the last that had, archived
    /// ones included.
    pub async fn environment_named(
        &mut self,
        organization: OrganizationNo,
        name: &str,
    ) -> Result<Option<Environment>, ReadError> {
        self.conn()
            .await?
            .query_one(
                SELECT_ENVIRONMENT_NAMED,
                &[organization.0.into(), name.into()],
            )
            .await?
            .map(|row| rows::environment(&row))
            .transpose()
    }

    /// An environment by number.
    pub async fn environment(
        &mut self,
        organization: OrganizationNo,
        no: EnvironmentNo,
    ) -> Result<Option<Environment>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND no = $2",
                    rows::SELECT_ENVIRONMENT
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::environment(&row))
            .transpose()
    }

    /// Live environments, by name.
    pub async fn environments(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Vec<Environment>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 AND archived_at IS NULL ORDER BY no",
                    rows::SELECT_ENVIRONMENT
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        let mut found = found
            .iter()
            .map(rows::environment)
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// When environments were last seen.
    pub async fn seen(
        &mut self,
        organization: OrganizationNo,
        environments: &[EnvironmentNo],
    ) -> Result<HashMap<EnvironmentNo, Seen>, ReadError> {
        self.conn()
            .await?
            .query(
                "SELECT s.organization, s.environment, s.from_at, s.to_at, s.reports, s.longest_gap, s.reporter FROM ID_TABLE($1) CROSS JOIN seen s WHERE s.organization = $2 AND s.environment = i.value",
                &[
                    Value::Ints(environments.iter().map(|no| i64::from(no.0)).collect()),
                    organization.0.into(),
                ],
            )
            .await?
            .iter()
            .map(rows::seen)
            .collect()
    }
}
