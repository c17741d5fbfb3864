//! Flows, trails, artifacts, attestations, repositories.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use runstone_model::compliance::TrailState;
use runstone_model::event::{Actor, Content, TemplateText};
use runstone_model::fact::{
    Artifact, ArtifactNo, Attestation, AttestationNo, EntryIndex, Flow, FlowNo, OrganizationNo,
    Repo, RepoNo, Telling, TemplateNo, Trail, TrailNo,
};
use runstone_model::id::Micros;

use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Value};

const SELECT_FLOW_NAMED: &str = "SELECT f.organization, f.no, f.name, f.visibility, f.description, f.template, f.tags, f.created_at, f.archived_at, f.latest_trail, f.latest_at, f.repo FROM flow_names n CROSS JOIN flows f WHERE n.organization = $1 AND n.name = $2 AND f.organization = n.organization AND f.no = n.flow";

/// What is known of a trail with everything that was reported to it.
#[derive(Debug, Clone)]
pub struct TrailReports {
    /// Reports of artifacts, oldest first.
    pub artifacts: Vec<Artifact>,
    /// Attestations, oldest first.
    pub attestations: Vec<Attestation>,
    /// What follows from them.
    pub state: TrailState,
}

/// Which trails are asked for. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct TrailFilter {
    /// In one of these flows.
    pub flows: Option<Vec<FlowNo>>,
    /// One of these.
    pub trails: Option<Vec<TrailNo>>,
}

/// Which attestations are asked for. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct AttestationFilter {
    /// In one of these flows.
    pub flows: Vec<FlowNo>,
    /// Of this name.
    pub name: Option<String>,
    /// Of one of these kinds.
    pub kinds: Vec<String>,
    /// That say this.
    pub is_compliant: Option<bool>,
    /// Received at this time or later.
    pub from: Option<Micros>,
    /// Received before this time.
    pub until: Option<Micros>,
    /// Older than this one.
    pub before: Option<AttestationNo>,
}

/// Statement text with parameters, put together from conditions.
pub(super) struct Conditions {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn new(organization: OrganizationNo, column: &str) -> Self {
        Self {
            text: format!("{column} = $1"),
            values: vec![organization.0.into()],
        }
    }

    /// Adds a condition; `?` in it stands for the value.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let parameter = format!("${}", self.values.len());
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &parameter));
    }

    /// Adds text that stands as it is.
    pub(super) fn open(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds that a column has one of these values, if there are any.
    pub(super) fn one_of<V: Into<Value>>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        let mut parameters = String::new();
        for value in values {
            self.values.push(value.into());
            let comma = if parameters.is_empty() { "" } else { ", " };
            write!(parameters, "{comma}${}", self.values.len())
                .expect("writing to a string does not fail");
        }
        if !parameters.is_empty() {
            write!(self.text, " AND {column} IN ({parameters})")
                .expect("writing to a string does not fail");
        }
    }
}

impl Read {
    /// The flow a name leads to: the one that has it, else the last that had, archived ones
    /// included.
    pub async fn flow_named(
        &mut self,
        organization: OrganizationNo,
        name: &str,
    ) -> Result<Option<Flow>, ReadError> {
        self.conn()
            .await?
            .query_one(SELECT_FLOW_NAMED, &[organization.0.into(), name.into()])
            .await?
            .map(|row| rows::flow::flow(&row))
            .transpose()
    }

    /// A flow by number.
    pub async fn flow(
        &mut self,
        organization: OrganizationNo,
        no: FlowNo,
    ) -> Result<Option<Flow>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND no = $2",
                    rows::flow::SELECT_FLOW
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::flow::flow(&row))
            .transpose()
    }

    /// Flows by number, archived ones included, set-wise.
    pub async fn flows_by_no(
        &mut self,
        organization: OrganizationNo,
        numbers: &[FlowNo],
    ) -> Result<HashMap<FlowNo, Flow>, ReadError> {
        let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
        let found = self
            .conn()
            .await?
            .query(
                "SELECT f.organization, f.no, f.name, f.visibility, f.description, f.template, f.tags, f.created_at, f.archived_at, f.latest_trail, f.latest_at, f.repo FROM ID_TABLE($1) CROSS JOIN flows f WHERE f.organization = $2 AND f.no = i.value",
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        found
            .iter()
            .map(|row| rows::flow::flow(row).map(|flow| (flow.no, flow)))
            .collect()
    }

    /// Live flows, by name.
    pub async fn flows(&mut self, organization: OrganizationNo) -> Result<Vec<Flow>, ReadError> {
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 AND archived_at IS NULL ORDER BY no",
                    rows::flow::SELECT_FLOW
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        let mut found = found
            .iter()
            .map(rows::flow::flow)
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A version of a template, as it was given.
    pub async fn template(
        &mut self,
        organization: OrganizationNo,
        no: TemplateNo,
    ) -> Result<TemplateText, ReadError> {
        rows::flow::template_text(self.conn().await?, organization, no)
            .await?
            .ok_or_else(|| DbError::Corrupt("a template is missing".to_owned()))
    }

    /// Versions of templates as they were given, set-wise.
    pub async fn templates(
        &mut self,
        organization: OrganizationNo,
        numbers: impl IntoIterator<Item = TemplateNo>,
    ) -> Result<BTreeMap<TemplateNo, TemplateText>, ReadError> {
        let numbers = numbers.into_iter().collect();
        let found = rows::flow::template_texts(self.conn().await?, organization, &numbers).await?;
        self.bound(found.len())?;
        Ok(found)
    }

    /// A trail by name.
    pub async fn trail_named(
        &mut self,
        organization: OrganizationNo,
        flow: FlowNo,
        name: &str,
    ) -> Result<Option<Trail>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND flow = $2 AND name = $3",
                    rows::flow::SELECT_TRAIL
                ),
                &[organization.0.into(), flow.0.into(), name.into()],
            )
            .await?
            .map(|row| rows::flow::trail(&row))
            .transpose()
    }

    /// Trails by number, set-wise.
    pub async fn trails(
        &mut self,
        organization: OrganizationNo,
        numbers: &[TrailNo],
    ) -> Result<HashMap<TrailNo, Trail>, ReadError> {
        let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
        let found = self
            .conn()
            .await?
            .query(
                "SELECT t.organization, t.no, t.flow, t.name, t.implicit, t.sha1, t.template, t.members, t.repos, t.created_by, t.created_at, t.modified_at, t.told_by, t.state FROM ID_TABLE($1) CROSS JOIN trails t WHERE t.organization = $2 AND t.no = i.value",
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(found.len())?;
        found
            .iter()
            .map(|row| rows::flow::trail(row).map(|trail| (trail.no, trail)))
            .collect()
    }

    /// Trails that were begun by name and are asked for, newest first, and how many there are on
    /// all pages; `window` gives offset and number of those of a page.
    pub async fn trails_where(
        &mut self,
        organization: OrganizationNo,
        filter: &TrailFilter,
        window: impl FnOnce(u64) -> (u64, u64),
    ) -> Result<(u64, Vec<Trail>), ReadError> {
        let nothing = |some: Option<bool>| some == Some(true);
        if nothing(filter.flows.as_ref().map(Vec::is_empty))
            || nothing(filter.trails.as_ref().map(Vec::is_empty))
        {
            window(0);
            return Ok((0, Vec::new()));
        }
        let mut conditions = Conditions::new(organization, "organization");
        conditions.and("implicit = ?", false);
        if let Some(flows) = &filter.flows {
            conditions.one_of("flow", flows.iter().map(|flow| flow.0));
        }
        if let Some(trails) = &filter.trails {
            conditions.one_of("no", trails.iter().map(|trail| trail.0));
        }
        let total = self
            .conn()
            .await?
            .query_one(
                &format!("SELECT count(*) FROM trails WHERE {}", conditions.text),
                &conditions.values,
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))?;
        let (offset, limit) = window(total);
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let found = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE {} ORDER BY no DESC LIMIT ${first} OFFSET ${}",
                    rows::flow::SELECT_TRAIL,
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(found.len())?;
        let trails = found
            .iter()
            .map(rows::flow::trail)
            .collect::<Result<_, _>>()?;
        Ok((total, trails))
    }

    /// What a trail was told, oldest first.
    pub async fn tellings(&mut self, trail: &Trail) -> Result<Vec<Telling>, ReadError> {
        let found = rows::flow::tellings(self.conn().await?, trail.organization, trail.no).await?;
        self.bound(found.len())?;
        Ok(found)
    }

    /// Everything that was reported to a trail, and what follows from it.
    pub async fn trail_reports(&mut self, trail: &Trail) -> Result<TrailReports, ReadError> {
        let mut found = self.reports_of_trails(trail.organization, [trail]).await?;
        found
            .remove(&trail.no)
            .ok_or_else(|| DbError::Corrupt("a trail has no reports".to_owned()))
    }

    /// The same of many trails, set-wise: each has an item.
    pub async fn reports_of_trails<'t>(
        &mut self,
        organization: OrganizationNo,
        trails: impl IntoIterator<Item = &'t Trail>,
    ) -> Result<HashMap<TrailNo, TrailReports>, ReadError> {
        let trails: Vec<&Trail> = trails.into_iter().collect();
        let numbers: Vec<TrailNo> = trails.iter().map(|trail| trail.no).collect();
        let (artifacts, attestations) =
            rows::flow::reports_of(self.conn().await?, organization, &numbers).await?;
        self.bound(artifacts.len() + attestations.len())?;
        let of_trails = trails.iter().map(|trail| trail.template);
        let conn = self.conn().await?;
        let templates =
            rows::flow::templates(conn, organization, of_trails, &artifacts, &attestations).await?;
        let mut told: HashMap<TrailNo, (Vec<Artifact>, Vec<Attestation>)> = HashMap::new();
        for artifact in artifacts {
            told.entry(artifact.trail).or_default().0.push(artifact);
        }
        for attestation in attestations {
            told.entry(attestation.trail)
                .or_default()
                .1
                .push(attestation);
        }
        Ok(trails
            .into_iter()
            .map(|trail| {
                let (artifacts, attestations) = told.remove(&trail.no).unwrap_or_default();
                let state = rows::flow::replay(trail, &artifacts, &attestations, &templates);
                let reports = TrailReports {
                    artifacts,
                    attestations,
                    state,
                };
                (trail.no, reports)
            })
            .collect())
    }

    /// What private bodies hold, by entry and position, set-wise; those that were erased are
    /// missing.
    pub async fn contents(
        &mut self,
        organization: OrganizationNo,
        places: &[(EntryIndex, u32)],
    ) -> Result<HashMap<(EntryIndex, u32), Content>, ReadError> {
        self.bodies_at(organization, places, true)
            .await?
            .into_iter()
            .map(|(place, bytes)| {
                let content = Content::of_body(&bytes)
                    .map_err(|error| DbError::Corrupt(error.to_string()))?;
                Ok((place, content))
            })
            .collect()
    }

    /// The bytes of private or plain bodies, by entry and position, set-wise; those that were
    /// erased are missing.
    pub(super) async fn bodies_at(
        &mut self,
        organization: OrganizationNo,
        places: &[(EntryIndex, u32)],
        private: bool,
    ) -> Result<HashMap<(EntryIndex, u32), Vec<u8>>, ReadError> {
        let mut entries: Vec<i64> = places.iter().map(|(entry, _)| *entry as i64).collect();
        entries.sort_unstable();
        entries.dedup();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT b.entry, b.position, b.encoding, b.bytes_total, b.bytes FROM ID_TABLE($1) CROSS JOIN bodies b WHERE b.organization = $2 AND b.entry = i.value AND b.private = $3",
                &[Value::Ints(entries), organization.0.into(), private.into()],
            )
            .await?;
        let wanted: HashSet<_> = places.iter().collect();
        let mut found = HashMap::with_capacity(places.len());
        for row in &rows {
            let place = (row.number(0)?, row.ordinal(1)?);
            if !wanted.contains(&place) {
                continue;
            }
            let bytes = if row.is_null(4) {
                match self.body(organization, place.0, place.1).await? {
                    Some(bytes) => bytes,
                    None => continue,
                }
            } else {
                let total = usize::try_from(row.int(3)?)
                    .map_err(|_| DbError::Corrupt("length of a body".to_owned()))?;
                crate::bodies::decode(row.int(2)?, &row.blob(4)?, total)?
            };
            self.bound_bytes(bytes.len())?;
            found.insert(place, bytes);
        }
        Ok(found)
    }

    /// Reports of artifacts whose fingerprint starts with the hexadecimal digits, newest first, at
    /// most `limit`.
    pub async fn artifacts_by_prefix(
        &mut self,
        organization: OrganizationNo,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<Artifact>, ReadError> {
        let Some((low, high)) = prefix_range(digits, 64) else {
            return Ok(Vec::new());
        };
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE a.organization = $1 AND a.prefix >= $2 AND a.prefix <= $3 ORDER BY a.no DESC LIMIT $4",
                    rows::flow::SELECT_ARTIFACT
                ),
                &[
                    organization.0.into(),
                    low.into(),
                    high.into(),
                    (limit as u64).into(),
                ],
            )
            .await?;
        let mut found = rows
            .iter()
            .map(rows::flow::artifact)
            .collect::<Result<Vec<_>, _>>()?;
        found.retain(|artifact| artifact.fingerprint.to_hex().starts_with(digits));
        Ok(found)
    }

    /// Reports of artifacts built from a commit that starts with the hexadecimal digits, newest
    /// first, at most `limit`.
    pub async fn artifacts_by_commit(
        &mut self,
        organization: OrganizationNo,
        digits: &str,
        limit: usize,
    ) -> Result<Vec<Artifact>, ReadError> {
        let Some((low, high)) = prefix_range(digits, 40) else {
            return Ok(Vec::new());
        };
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE a.organization = $1 AND a.sha1_prefix >= $2 AND a.sha1_prefix <= $3 ORDER BY a.no DESC LIMIT $4",
                    rows::flow::SELECT_ARTIFACT
                ),
                &[
                    organization.0.into(),
                    low.into(),
                    high.into(),
                    (limit as u64).into(),
                ],
            )
            .await?;
        let mut found = rows
            .iter()
            .map(rows::flow::artifact)
            .collect::<Result<Vec<_>, _>>()?;
        found.retain(|artifact| {
            artifact
                .commit
                .is_some_and(|commit| commit.to_hex().starts_with(digits))
        });
        Ok(found)
    }

    /// Reports of artifacts of one flow or of all, newest first.
    pub async fn artifacts(
        &mut self,
        organization: OrganizationNo,
        flow: Option<FlowNo>,
        repo: Option<RepoNo>,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<Artifact>, ReadError> {
        let mut conditions = Conditions::new(organization, "a.organization");
        if let Some(flow) = flow {
            conditions.and("a.flow = ?", flow.0);
        }
        if let Some(repo) = repo {
            conditions.and("a.repo = ?", repo.0);
        }
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE {} ORDER BY a.no DESC LIMIT ${first} OFFSET ${}",
                    rows::flow::SELECT_ARTIFACT,
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::flow::artifact).collect()
    }

    /// A report of an artifact by number.
    pub async fn artifact(
        &mut self,
        organization: OrganizationNo,
        no: ArtifactNo,
    ) -> Result<Option<Artifact>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE a.organization = $1 AND a.no = $2",
                    rows::flow::SELECT_ARTIFACT
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::flow::artifact(&row))
            .transpose()
    }

    /// An attestation by number.
    pub async fn attestation(
        &mut self,
        organization: OrganizationNo,
        no: AttestationNo,
    ) -> Result<Option<Attestation>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND no = $2",
                    rows::flow::SELECT_ATTESTATION
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::flow::attestation(&row))
            .transpose()
    }

    /// Attestations, newest first; without a limit all that are asked for.
    pub async fn attestations(
        &mut self,
        organization: OrganizationNo,
        filter: &AttestationFilter,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<Attestation>, ReadError> {
        let mut conditions = Self::attestation_conditions(organization, filter);
        let first = conditions.values.len() + 1;
        conditions.values.extend([limit.into(), offset.into()]);
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE {} ORDER BY no DESC LIMIT ${first} OFFSET ${}",
                    rows::flow::SELECT_ATTESTATION,
                    conditions.text,
                    first + 1
                ),
                &conditions.values,
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::flow::attestation).collect()
    }

    /// How many attestations are asked for.
    pub async fn count_attestations(
        &mut self,
        organization: OrganizationNo,
        filter: &AttestationFilter,
    ) -> Result<u64, ReadError> {
        let conditions = Self::attestation_conditions(organization, filter);
        self.conn()
            .await?
            .query_one(
                &format!(
                    "SELECT count(*) FROM attestations WHERE {}",
                    conditions.text
                ),
                &conditions.values,
            )
            .await?
            .map_or(Ok(0), |row| row.number(0))
    }

    fn attestation_conditions(
        organization: OrganizationNo,
        filter: &AttestationFilter,
    ) -> Conditions {
        let mut conditions = Conditions::new(organization, "organization");
        if let Some(before) = filter.before {
            conditions.and("no < ?", before.0);
        }
        if let Some(name) = &filter.name {
            conditions.and("name = ?", name.as_str());
        }
        conditions.one_of("kind", filter.kinds.iter().map(String::as_str));
        if let Some(is_compliant) = filter.is_compliant {
            conditions.and("is_compliant = ?", is_compliant);
        }
        if let Some(from) = filter.from {
            conditions.and("at >= ?", from.0);
        }
        if let Some(until) = filter.until {
            conditions.and("at < ?", until.0);
        }
        conditions.one_of("flow", filter.flows.iter().map(|flow| flow.0));
        conditions
    }

    /// Attestations about commits, newest first.
    pub async fn attestations_of_commits(
        &mut self,
        organization: OrganizationNo,
        commits: &[runstone_model::id::Commit],
    ) -> Result<Vec<Attestation>, ReadError> {
        let prefixes = commits.iter().map(rows::flow::commit_prefix).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.kind, a.is_compliant, a.fingerprint, a.targets, a.sha1, a.overrides, a.original_kind, a.template, a.repo, a.is_attached, a.entry, a.author, a.at FROM ID_TABLE($1) CROSS JOIN attestations a WHERE a.organization = $2 AND a.sha1_prefix >= i.value AND a.sha1_prefix <= i.value ORDER BY a.no DESC",
                &[Value::Ints(prefixes), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::flow::attestation).collect()
    }

    /// The name of whoever caused entries of the organization.
    pub async fn name_of(
        &mut self,
        organization: OrganizationNo,
        actor: &Actor,
    ) -> Result<String, ReadError> {
        let (sql, parameters): (&str, Vec<Value>) = match actor {
            Actor::User(no) => ("SELECT name FROM users WHERE no = $1", vec![no.0.into()]),
            Actor::Account(no) => (
                "SELECT name FROM accounts WHERE organization = $1 AND no = $2",
                vec![organization.0.into(), no.0.into()],
            ),
            Actor::System(_) => return Ok(actor.to_text()),
        };
        match self.conn().await?.query_one(sql, &parameters).await? {
            Some(row) => row.text(0).map(ToOwned::to_owned),
            None => Ok(actor.to_text()),
        }
    }

    /// A repository by number.
    pub async fn repo(
        &mut self,
        organization: OrganizationNo,
        no: RepoNo,
    ) -> Result<Option<Repo>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "{} WHERE organization = $1 AND no = $2",
                    rows::flow::SELECT_REPO
                ),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| rows::flow::repo(&row))
            .transpose()
    }

    /// Repositories by number, set-wise.
    pub async fn repos_by_no(
        &mut self,
        organization: OrganizationNo,
        numbers: &[RepoNo],
    ) -> Result<HashMap<RepoNo, Repo>, ReadError> {
        let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                "SELECT r.organization, r.no, r.provider, r.id, r.name, r.facts, r.tags, r.created_at, r.modified_at FROM ID_TABLE($1) CROSS JOIN repos r WHERE r.organization = $2 AND r.no = i.value",
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter()
            .map(|row| rows::flow::repo(row).map(|repo| (repo.no, repo)))
            .collect()
    }

    /// Repositories, by name.
    pub async fn repos(&mut self, organization: OrganizationNo) -> Result<Vec<Repo>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{} WHERE organization = $1 ORDER BY name, no",
                    rows::flow::SELECT_REPO
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(rows::flow::repo).collect()
    }
}

/// The range of first 8 bytes as numbers that values have which start with these digits; none if
/// they are no digits or more than a value has.
fn prefix_range(digits: &str, most: usize) -> Option<(i64, i64)> {
    if digits.len() > most || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let bound = |fill: char| {
        let mut text: String = digits.chars().take(16).collect();
        while text.len() < 16 {
            text.push(fill);
        }
        u64::from_str_radix(&text, 16)
            .ok()
            .map(|first| rows::sortable(first.to_be_bytes()))
    };
    Some((bound('0')?, bound('f')?))
}
