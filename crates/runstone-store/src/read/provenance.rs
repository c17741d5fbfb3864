//! Provenance: what flows know of artifacts, as they knew it below an entry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use runstone_model::fact::{
    Artifact, EntryIndex, EnvironmentNo, FlowNaming, FlowNo, Identity, OrganizationNo, RecordNo,
    RepoNo, SnapshotNo, TrailNo,
};
use runstone_model::id::Fingerprint;
use runstone_model::provenance::label;

use super::{Read, ReadError};
use crate::rows;
use crate::value::Value;

/// Numbers in one statement.
const NUMBERS_MAX: usize = 5_000;

/// A state of what an organization knows of where artifacts come from: two that are equal are of
/// the same reports, verdicts, names of flows, announced deployments and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp([i64; 5]);

/// A bound above all entries.
fn bound(below: Option<EntryIndex>) -> i64 {
    below.map_or(i64::MAX, |below| below as i64)
}

const ALL: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no ORDER BY s.entry DESC LIMIT 1) FROM ID_TABLE($1) CROSS JOIN artifacts a WHERE a.organization = $2 AND a.prefix >= i.value AND a.prefix <= i.value ORDER BY a.no";
const BELOW: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no AND s.entry < $1 ORDER BY s.entry DESC LIMIT 1) FROM (SELECT max(b.no) AS no FROM ID_TABLE($2) CROSS JOIN artifacts b WHERE b.organization = $3 AND b.prefix >= i.value AND b.prefix <= i.value AND b.entry < $1 GROUP BY b.prefix, b.flow) l CROSS JOIN artifacts a WHERE a.organization = $3 AND a.no = l.no ORDER BY a.no";
const LABELLED: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no AND s.entry < $1 ORDER BY s.entry DESC LIMIT 1) FROM (SELECT max(b.no) AS no FROM ID_TABLE($2) CROSS JOIN artifacts b WHERE b.organization = $3 AND b.label >= i.value AND b.label <= i.value AND b.entry < $1 GROUP BY b.label, b.flow) l CROSS JOIN artifacts a WHERE a.organization = $3 AND a.no = l.no ORDER BY a.no";
const ONE_BELOW: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no AND s.entry < $1 ORDER BY s.entry DESC LIMIT 1) FROM artifacts a WHERE a.organization = $2 AND a.no = $3";
// Erasures are entries about the log.
const STAMP: &str = "SELECT (SELECT max(no) FROM artifacts WHERE organization = $1), (SELECT max(entry) FROM artifact_states WHERE organization = $1), (SELECT max(entry) FROM flow_namings WHERE organization = $1), (SELECT max(entry) FROM deployments WHERE organization = $1), (SELECT entry FROM subjects WHERE organization = $1 AND subject = $2)";

impl Read {
    /// The state of what the organization knows of where artifacts come from.
    pub async fn provenance_stamp(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Stamp, ReadError> {
        let row = self
            .conn()
            .await?
            .query_one(
                STAMP,
                &[
                    organization.0.into(),
                    runstone_model::event::Subject::Log.to_text().into(),
                ],
            )
            .await?;
        let mut stamp = [-1; 5];
        if let Some(row) = row {
            for (column, part) in stamp.iter_mut().enumerate() {
                *part = row.optional_int(column)?.unwrap_or(-1);
            }
        }
        Ok(Stamp(stamp))
    }

    /// All reports of these artifacts, oldest first, set-wise.
    pub async fn provenance(
        &mut self,
        organization: OrganizationNo,
        fingerprints: &[Fingerprint],
    ) -> Result<HashMap<Fingerprint, Vec<Artifact>>, ReadError> {
        let mut prefixes: Vec<i64> = fingerprints.iter().map(rows::prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut found: HashMap<Fingerprint, Vec<Artifact>> = HashMap::new();
        for chunk in prefixes.chunks(NUMBERS_MAX) {
            let rows = self
                .conn()
                .await?
                .query(ALL, &[Value::Ints(chunk.to_vec()), organization.0.into()])
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                let artifact = rows::flow::artifact(row)?;
                found
                    .entry(artifact.fingerprint)
                    .or_default()
                    .push(artifact);
            }
        }
        Ok(found)
    }

    /// Of these artifacts the last report in each flow by an entry below the bound, with the
    /// verdict that held there, oldest first, set-wise.
    pub async fn provenance_below(
        &mut self,
        organization: OrganizationNo,
        fingerprints: &[Fingerprint],
        below: Option<EntryIndex>,
    ) -> Result<HashMap<Fingerprint, Vec<Artifact>>, ReadError> {
        let wanted: HashSet<Fingerprint> = fingerprints.iter().copied().collect();
        let mut prefixes: Vec<i64> = wanted.iter().map(rows::prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut found: HashMap<Fingerprint, Vec<Artifact>> = HashMap::new();
        // Of two artifacts that begin alike one may hide the other in the index.
        let mut alike: HashSet<i64> = HashSet::new();
        for chunk in prefixes.chunks(NUMBERS_MAX) {
            let rows = self
                .conn()
                .await?
                .query(
                    BELOW,
                    &[
                        bound(below).into(),
                        Value::Ints(chunk.to_vec()),
                        organization.0.into(),
                    ],
                )
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                let artifact = rows::flow::artifact(row)?;
                if !wanted.contains(&artifact.fingerprint) {
                    alike.insert(rows::prefix(&artifact.fingerprint));
                }
                found
                    .entry(artifact.fingerprint)
                    .or_default()
                    .push(artifact);
            }
        }
        let twice: HashSet<i64> = {
            let mut seen = HashSet::new();
            let prefixes = wanted.iter().map(rows::prefix);
            prefixes.filter(|prefix| !seen.insert(*prefix)).collect()
        };
        alike.extend(twice);
        if !alike.is_empty() {
            let hidden: Vec<Fingerprint> = wanted
                .iter()
                .filter(|fingerprint| alike.contains(&rows::prefix(fingerprint)))
                .copied()
                .collect();
            let all = self.provenance(organization, &hidden).await?;
            for fingerprint in hidden {
                let reports = all.get(&fingerprint).into_iter().flatten();
                let entries = runstone_model::provenance::entries(reports, below);
                let mut entries: Vec<Artifact> = entries.into_iter().cloned().collect();
                self.judge_below(&mut entries, below).await?;
                found.insert(fingerprint, entries);
            }
        }
        found.retain(|fingerprint, _| wanted.contains(fingerprint));
        Ok(found)
    }

    /// Gives reports the verdicts that held below a bound.
    async fn judge_below(
        &mut self,
        reports: &mut [Artifact],
        below: Option<EntryIndex>,
    ) -> Result<(), ReadError> {
        for report in reports {
            let row = self
                .conn()
                .await?
                .query_one(
                    ONE_BELOW,
                    &[
                        bound(below).into(),
                        report.organization.0.into(),
                        report.no.0.into(),
                    ],
                )
                .await?;
            if let Some(row) = row {
                *report = rows::flow::artifact(&row)?;
            }
        }
        Ok(())
    }

    /// How flows were and are called, each in the order of entries.
    pub async fn flow_namings(
        &mut self,
        organization: OrganizationNo,
        flows: &HashSet<FlowNo>,
    ) -> Result<HashMap<FlowNo, Vec<FlowNaming>>, ReadError> {
        let numbers = flows.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT n.organization, n.flow, n.entry, n.name, n.archived_at FROM ID_TABLE($1) CROSS JOIN flow_namings n WHERE n.organization = $2 AND n.flow = i.value ORDER BY n.flow, n.entry",
                &[Value::Ints(numbers), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        let mut found: HashMap<FlowNo, Vec<FlowNaming>> = HashMap::new();
        for row in &rows {
            let naming = rows::flow::naming(row)?;
            found.entry(naming.flow).or_default().push(naming);
        }
        Ok(found)
    }

    /// Names of trails; none of those that hold what was reported for a commit alone.
    pub async fn trail_names(
        &mut self,
        organization: OrganizationNo,
        trails: &HashSet<TrailNo>,
    ) -> Result<HashMap<TrailNo, String>, ReadError> {
        let numbers: Vec<i64> = trails.iter().map(|no| i64::from(no.0)).collect();
        let mut found = HashMap::with_capacity(numbers.len());
        for chunk in numbers.chunks(NUMBERS_MAX) {
            let rows = self
                .conn()
                .await?
                .query(
                    "SELECT t.no, t.name FROM ID_TABLE($1) CROSS JOIN trails t WHERE t.organization = $2 AND t.no = i.value AND t.implicit = 0",
                    &[Value::Ints(chunk.to_vec()), organization.0.into()],
                )
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                found.insert(TrailNo(row.ordinal(0)?), row.text(1)?.to_owned());
            }
        }
        Ok(found)
    }

    /// What records are, by number.
    pub async fn identities(
        &mut self,
        organization: OrganizationNo,
        records: &[RecordNo],
    ) -> Result<HashMap<RecordNo, Arc<Identity>>, ReadError> {
        self.bound(records.len())?;
        let bytes_max = self.bodies_bytes_max();
        rows::identities(self.conn().await?, organization, records, bytes_max).await
    }

    /// The entry that made the snapshot after each of these; none of a latest one.
    pub async fn successors(
        &mut self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        snapshots: &HashSet<SnapshotNo>,
    ) -> Result<HashMap<SnapshotNo, EntryIndex>, ReadError> {
        let numbers = snapshots.iter().map(|no| *no as i64 + 1).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT s.no, s.entry FROM ID_TABLE($1) CROSS JOIN snapshots s WHERE s.organization = $2 AND s.environment = $3 AND s.no = i.value",
                &[
                    Value::Ints(numbers),
                    organization.0.into(),
                    environment.0.into(),
                ],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.number(0)? - 1, row.number(1)?)))
            .collect()
    }

    /// Of the artifacts with one of these labels the last report in each flow by an entry below
    /// the bound, oldest first.
    pub async fn artifacts_labelled(
        &mut self,
        organization: OrganizationNo,
        labels: &HashSet<&str>,
        below: Option<EntryIndex>,
    ) -> Result<Vec<Artifact>, ReadError> {
        let places: Vec<i64> = labels
            .iter()
            .map(|label| rows::flow::label_place(label))
            .collect();
        let mut found = Vec::new();
        for chunk in places.chunks(NUMBERS_MAX) {
            let rows = self
                .conn()
                .await?
                .query(
                    LABELLED,
                    &[
                        bound(below).into(),
                        Value::Ints(chunk.to_vec()),
                        organization.0.into(),
                    ],
                )
                .await?;
            self.bound(rows.len())?;
            for row in &rows {
                let artifact = rows::flow::artifact(row)?;
                if labels.contains(label(&artifact.filename)) {
                    found.push(artifact);
                }
            }
        }
        found.sort_by_key(|artifact| artifact.no);
        Ok(found)
    }

    /// Artifacts that were reported as built from one of these repositories.
    pub async fn artifacts_of_repos(
        &mut self,
        organization: OrganizationNo,
        repos: &HashSet<RepoNo>,
    ) -> Result<HashSet<Fingerprint>, ReadError> {
        let numbers = repos.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT DISTINCT a.fingerprint FROM ID_TABLE($1) CROSS JOIN artifacts a WHERE a.organization = $2 AND a.repo = i.value",
                &[Value::Ints(numbers), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter()
            .map(|row| row.sha256(0).map(Fingerprint))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn every_step_goes_by_an_index() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        for (_, text) in crate::engine::MIGRATIONS {
            let text = Dialect::Sqlite.migration(text);
            connection.execute_batch(&text).expect("the migration runs");
        }
        for sql in [ALL, BELOW, LABELLED, ONE_BELOW, STAMP] {
            let text = format!("EXPLAIN QUERY PLAN {}", Dialect::Sqlite.statement(sql));
            let mut statement = connection.prepare(&text).expect("valid");
            let parameters = vec![rusqlite::types::Null; statement.parameter_count()];
            let steps: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
                .expect("planned")
                .collect::<Result<_, _>>()
                .expect("steps");
            assert!(!steps.is_empty());
            for step in &steps {
                // Lists of numbers and what a subquery found are gone through from end to end.
                let is_list = ["SCAN i", "SCAN l", "SCAN CONSTANT ROW"]
                    .iter()
                    .any(|list| step.starts_with(list));
                assert!(
                    is_list || !step.starts_with("SCAN "),
                    "{step} in {sql}: {steps:?}"
                );
            }
            if sql == BELOW {
                let inner = "SEARCH b USING COVERING INDEX artifacts_by_prefix (organization=? AND prefix>? AND prefix<?)";
                assert!(steps.iter().any(|step| step == inner), "{steps:?}");
            }
        }
    }
}
