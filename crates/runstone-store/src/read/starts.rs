//! What started to run where, and what was built when: the questions about deployments, builds and
//! repositories.

use std::collections::HashMap;

use runstone_model::fact::{
    Artifact, EnvironmentNo, FlowNo, OrganizationNo, RecordNo, RepoNo, SnapshotNo, Start,
};
use runstone_model::id::{Fingerprint, Micros};
use runstone_model::state::Step;

use super::flows::Conditions;
use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Record, Value};

/// Which starts are asked for. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct StartFilter {
    /// In one of these environments; none: in any.
    pub environments: Option<Vec<EnvironmentNo>>,
    /// Of artifacts that were reported as built from one of these repositories.
    pub repos: Option<Vec<RepoNo>>,
    /// Of artifacts that were reported to this flow.
    pub flow: Option<FlowNo>,
    /// At this time or later.
    pub from: Micros,
    /// At this time or before.
    pub to: Micros,
}

/// Which builds are asked for: first reports of a fingerprint. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct BuildFilter {
    /// From one of these repositories.
    pub repos: Option<Vec<RepoNo>>,
    /// At this time or later.
    pub from: Micros,
    /// At this time or before.
    pub to: Micros,
}

fn is_nothing<T>(wanted: Option<&Vec<T>>) -> bool {
    wanted.is_some_and(Vec::is_empty)
}

impl StartFilter {
    fn is_nothing(&self) -> bool {
        is_nothing(self.environments.as_ref()) || is_nothing(self.repos.as_ref())
    }

    fn conditions(&self, organization: OrganizationNo) -> Conditions {
        let mut conditions = Conditions::new(organization, "s.organization");
        conditions.and("s.at >= ?", self.from.0);
        conditions.and("s.at <= ?", self.to.0);
        if let Some(environments) = &self.environments {
            conditions.one_of("s.environment", environments.iter().map(|no| no.0));
        }
        if self.repos.is_some() || self.flow.is_some() {
            conditions.open(" AND EXISTS (SELECT 1 FROM records r CROSS JOIN artifacts a WHERE r.organization = s.organization AND r.no = s.record AND a.organization = s.organization AND a.prefix = r.prefix");
            if let Some(repos) = &self.repos {
                conditions.one_of("a.repo", repos.iter().map(|no| no.0));
            }
            if let Some(flow) = self.flow {
                conditions.and("a.flow = ?", flow.0);
            }
            conditions.open(")");
        }
        conditions
    }
}

impl BuildFilter {
    fn conditions(&self, organization: OrganizationNo) -> Conditions {
        let mut conditions = Conditions::new(organization, "a.organization");
        conditions.and("a.at >= ?", self.from.0);
        conditions.and("a.at <= ?", self.to.0);
        if let Some(repos) = &self.repos {
            conditions.one_of("a.repo", repos.iter().map(|no| no.0));
        }
        conditions.open(" AND NOT EXISTS (SELECT 1 FROM artifacts b WHERE b.organization = a.organization AND b.prefix = a.prefix AND (b.at < a.at OR (b.at = a.at AND b.no < a.no)) AND b.fingerprint = a.fingerprint)");
        conditions
    }
}

fn start(organization: OrganizationNo, row: &Record) -> Result<Start, DbError> {
    Ok(Start {
        organization,
        at: Micros(row.int(0)?),
        environment: EnvironmentNo(row.ordinal(1)?),
        snapshot: row.number(2)?,
        record: RecordNo(row.ordinal(3)?),
    })
}

impl Read {
    /// Starts, newest first, and how many there are on all pages; `window` gives offset and number
    /// of those of a page.
    pub async fn starts(
        &mut self,
        organization: OrganizationNo,
        filter: &StartFilter,
        window: impl FnOnce(u64) -> (u64, u64),
    ) -> Result<(u64, Vec<Start>), ReadError> {
        if filter.is_nothing() {
            window(0);
            return Ok((0, Vec::new()));
        }
        let mut conditions = filter.conditions(organization);
        let total = self
            .conn()
            .await?
            .query_one(
                &format!("SELECT count(*) FROM starts s WHERE {}", conditions.text),
                &conditions.values,
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let (offset, limit) = window(total);
        if limit == 0 {
            return Ok((total, Vec::new()));
        }
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "SELECT s.at, s.environment, s.snapshot, s.record FROM starts s WHERE {} ORDER BY s.at DESC, s.environment DESC, s.snapshot DESC, s.record DESC LIMIT ${first} OFFSET ${}",
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        let starts = rows
            .iter()
            .map(|row| start(organization, row))
            .collect::<Result<_, _>>()?;
        Ok((total, starts))
    }

    /// The last start of a fingerprint in an environment.
    pub async fn last_start(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Start>, ReadError> {
        let records = self.records_of(organization, &[*fingerprint]).await?;
        let numbers = records
            .iter()
            .map(|record| i64::from(record.no.0))
            .collect();
        let row = self
            .conn()
            .await?
            .query_one(
                "SELECT s.at, s.environment, s.snapshot, s.record FROM ID_TABLE($1) CROSS JOIN spans p CROSS JOIN snapshots n CROSS JOIN starts s WHERE p.organization = $2 AND p.record = i.value AND p.environment = $3 AND n.organization = p.organization AND n.environment = p.environment AND n.no = p.from_no AND s.organization = p.organization AND s.at = n.at AND s.environment = p.environment AND s.snapshot = p.from_no AND s.record = p.record ORDER BY s.snapshot DESC LIMIT 1",
                &[
                    Value::Ints(numbers),
                    organization.0.into(),
                    environment.0.into(),
                ],
            )
            .await?;
        row.map(|row| start(organization, &row)).transpose()
    }

    /// Builds, newest first, and how many there are on all pages; `window` gives offset and number
    /// of those of a page.
    pub async fn builds(
        &mut self,
        organization: OrganizationNo,
        filter: &BuildFilter,
        window: impl FnOnce(u64) -> (u64, u64),
    ) -> Result<(u64, Vec<Artifact>), ReadError> {
        if is_nothing(filter.repos.as_ref()) {
            window(0);
            return Ok((0, Vec::new()));
        }
        let mut conditions = filter.conditions(organization);
        let total = self
            .conn()
            .await?
            .query_one(
                &format!("SELECT count(*) FROM artifacts a WHERE {}", conditions.text),
                &conditions.values,
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let (offset, limit) = window(total);
        if limit == 0 {
            return Ok((total, Vec::new()));
        }
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE {} ORDER BY a.at DESC, a.no DESC LIMIT ${first} OFFSET ${}",
                    rows::flow::SELECT_ARTIFACT,
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        let builds = rows
            .iter()
            .map(rows::flow::artifact)
            .collect::<Result<_, _>>()?;
        Ok((total, builds))
    }

    /// When builds were, oldest first, at most `limit`.
    pub async fn build_times(
        &mut self,
        organization: OrganizationNo,
        filter: &BuildFilter,
        limit: u64,
    ) -> Result<Vec<Micros>, ReadError> {
        if is_nothing(filter.repos.as_ref()) {
            return Ok(Vec::new());
        }
        let mut conditions = filter.conditions(organization);
        conditions.values.push(limit.into());
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "SELECT a.at FROM artifacts a WHERE {} ORDER BY a.at, a.no LIMIT ${}",
                    conditions.text,
                    conditions.values.len()
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(|row| row.int(0).map(Micros)).collect()
    }

    /// Fingerprints that were reported as built from a repository and run now in some physical
    /// environment, by fingerprint.
    pub async fn running_from(
        &mut self,
        organization: OrganizationNo,
        repo: RepoNo,
    ) -> Result<Vec<Fingerprint>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT DISTINCT a.fingerprint FROM artifacts a WHERE a.organization = $1 AND a.repo = $2 AND EXISTS (SELECT 1 FROM records r CROSS JOIN spans s WHERE r.organization = a.organization AND r.prefix = a.prefix AND s.organization = r.organization AND s.record = r.no AND s.to_no IS NULL) ORDER BY a.fingerprint",
                &[organization.0.into(), repo.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter()
            .map(|row| row.sha256(0).map(Fingerprint))
            .collect()
    }

    /// Records that left with each of these snapshots, set-wise for each environment.
    pub async fn removed_records(
        &mut self,
        organization: OrganizationNo,
        wanted: &[(EnvironmentNo, SnapshotNo)],
    ) -> Result<HashMap<(EnvironmentNo, SnapshotNo), Vec<RecordNo>>, ReadError> {
        let mut by_environment: HashMap<EnvironmentNo, Vec<i64>> = HashMap::new();
        for (environment, no) in wanted {
            by_environment
                .entry(*environment)
                .or_default()
                .push(*no as i64);
        }
        let mut found = HashMap::new();
        for (environment, mut numbers) in by_environment {
            numbers.sort_unstable();
            numbers.dedup();
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT s.no, s.step FROM ID_TABLE($1) CROSS JOIN snapshots s WHERE s.organization = $2 AND s.environment = $3 AND s.no = i.value",
                    &[
                        Value::Ints(numbers),
                        organization.0.into(),
                        environment.0.into(),
                    ],
                )
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                let no = row.number(0)?;
                let step = Step::from_bytes(&row.blob(1)?)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?;
                let (removed, _) = self
                    .step_changes(organization, environment, no, step)
                    .await?;
                let removed = removed.into_iter().map(|(record, _)| record).collect();
                found.insert((environment, no), removed);
            }
        }
        Ok(found)
    }
}
