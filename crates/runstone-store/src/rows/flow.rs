//! Rows of flows, trails, artifacts, attestations and repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use runstone_model::compliance::{State, TrailFact, TrailState};
use runstone_model::event::{Actor, TemplateText};
use runstone_model::fact::{
    Artifact, ArtifactNo, Attestation, AttestationNo, Flow, FlowNaming, FlowNo, Member,
    OrganizationNo, Repo, RepoId, RepoKey, RepoNo, Telling, TemplateNo, Trail, TrailNo, Visibility,
};
use runstone_model::id::{Commit, Digest};
use runstone_model::project::read_template;
use runstone_model::provenance::label;
use runstone_model::template::Template;
use runstone_model::view::{Fact, FactKey, Numbered, Row};

use super::pending::json;
use super::{Pending, corrupt, micros, optional_micros, prefix, sortable};
use crate::conn::Conn;
use crate::table;
use crate::value::{DbError, Record, Value};

/// First 8 bytes of a commit as a number, for ranges of hexadecimal prefixes.
pub(crate) fn commit_prefix(commit: &Commit) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&commit.0[..8]);
    sortable(first)
}

/// Where artifacts of a label stand in the index.
pub(crate) fn label_place(label: &str) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(label.as_bytes()).0[..8]);
    sortable(first)
}

/// What identifies a repository, as one text.
fn known(key: &RepoKey) -> String {
    let provider = key.provider.as_deref().unwrap_or_default();
    match &key.id {
        RepoId::Id(id) => format!("{provider}/id/{id}"),
        RepoId::Name(name) => format!("{provider}/name/{name}"),
    }
}

pub(crate) fn optional_ordinal(record: &Record, column: usize) -> Result<Option<u32>, DbError> {
    record
        .optional_int(column)?
        .map(|int| u32::try_from(int).map_err(|_| corrupt("an ordinal")))
        .transpose()
}

pub(super) fn optional_text(record: &Record, column: usize) -> Result<Option<String>, DbError> {
    if record.is_null(column) {
        return Ok(None);
    }
    record.text(column).map(|text| Some(text.to_owned()))
}

fn commit(record: &Record, column: usize) -> Result<Option<Commit>, DbError> {
    if record.is_null(column) {
        return Ok(None);
    }
    Commit::from_slice(&record.blob(column)?)
        .map(Some)
        .ok_or_else(|| corrupt("a commit"))
}

pub(super) fn actor(record: &Record, column: usize) -> Result<Actor, DbError> {
    Actor::parse(record.text(column)?).ok_or_else(|| corrupt("an actor"))
}

fn state(record: &Record, column: usize) -> Result<State, DbError> {
    State::from_wire(record.text(column)?).ok_or_else(|| corrupt("a state"))
}

pub(super) fn tags(record: &Record, column: usize) -> Result<BTreeMap<String, String>, DbError> {
    serde_json::from_str(record.text(column)?).map_err(|_| corrupt("tags"))
}

pub(crate) const SELECT_FLOW: &str = "SELECT organization, no, name, visibility, description, template, tags, created_at, archived_at, latest_trail, latest_at, repo FROM flows";

pub(crate) fn flow(record: &Record) -> Result<Flow, DbError> {
    Ok(Flow {
        organization: OrganizationNo(record.ordinal(0)?),
        no: FlowNo(record.ordinal(1)?),
        name: record.text(2)?.to_owned(),
        visibility: Visibility::parse(record.text(3)?).ok_or_else(|| corrupt("visibility"))?,
        description: record.text(4)?.to_owned(),
        template: TemplateNo(record.ordinal(5)?),
        tags: tags(record, 6)?,
        created_at: micros(record, 7)?,
        archived_at: optional_micros(record, 8)?,
        latest_trail: optional_ordinal(record, 9)?.map(TrailNo),
        latest_at: optional_micros(record, 10)?,
        repo: optional_ordinal(record, 11)?.map(RepoNo),
    })
}

pub(crate) const SELECT_TRAIL: &str = "SELECT organization, no, flow, name, implicit, sha1, template, members, repos, created_by, created_at, modified_at, told_by, state FROM trails";

pub(crate) fn trail(record: &Record) -> Result<Trail, DbError> {
    let members: BTreeMap<String, (u64, u32)> =
        serde_json::from_str(record.text(7)?).map_err(|_| corrupt("members of a trail"))?;
    let repos: Vec<u32> =
        serde_json::from_str(record.text(8)?).map_err(|_| corrupt("repositories"))?;
    Ok(Trail {
        organization: OrganizationNo(record.ordinal(0)?),
        no: TrailNo(record.ordinal(1)?),
        flow: FlowNo(record.ordinal(2)?),
        name: record.text(3)?.to_owned(),
        implicit: record.flag(4)?,
        commit: commit(record, 5)?,
        template: TemplateNo(record.ordinal(6)?),
        members: members
            .into_iter()
            .map(|(name, place)| {
                Member::parse(&name)
                    .map(|member| (member, place))
                    .ok_or_else(|| corrupt("members of a trail"))
            })
            .collect::<Result<_, _>>()?,
        repos: repos.into_iter().map(RepoNo).collect(),
        created_by: actor(record, 9)?,
        created_at: micros(record, 10)?,
        modified_at: micros(record, 11)?,
        told_by: record.number(12)?,
        state: state(record, 13)?,
    })
}

/// What a trail was told, oldest first.
pub(crate) async fn tellings(
    conn: &mut Conn,
    organization: OrganizationNo,
    trail: TrailNo,
) -> Result<Vec<Telling>, DbError> {
    conn.query(
        "SELECT organization, trail, entry, at, author, changes, members, sha1, repo, template FROM tellings WHERE organization = $1 AND trail = $2 ORDER BY entry",
        &[organization.0.into(), trail.0.into()],
    )
    .await?
    .iter()
    .map(|row| {
        let members: BTreeMap<String, u32> =
            serde_json::from_str(row.text(6)?).map_err(|_| corrupt("members of a trail"))?;
        Ok(Telling {
            organization: OrganizationNo(row.ordinal(0)?),
            trail: TrailNo(row.ordinal(1)?),
            entry: row.number(2)?,
            at: micros(row, 3)?,
            by: actor(row, 4)?,
            changes: if row.is_null(5) {
                None
            } else {
                serde_json::from_str(row.text(5)?).map_err(|_| corrupt("changes"))?
            },
            members: members
                .into_iter()
                .map(|(name, position)| {
                    Member::parse(&name)
                        .map(|member| (member, position))
                        .ok_or_else(|| corrupt("members of a trail"))
                })
                .collect::<Result<_, _>>()?,
            commit: commit(row, 7)?,
            repo: optional_ordinal(row, 8)?.map(RepoNo),
            template: optional_ordinal(row, 9)?.map(TemplateNo),
        })
    })
    .collect()
}

/// The columns of an artifact, its state last.
pub(crate) const SELECT_ARTIFACT: &str = "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no ORDER BY s.entry DESC LIMIT 1) FROM artifacts a";

pub(crate) fn artifact(record: &Record) -> Result<Artifact, DbError> {
    Ok(Artifact {
        organization: OrganizationNo(record.ordinal(0)?),
        no: ArtifactNo(record.ordinal(1)?),
        flow: FlowNo(record.ordinal(2)?),
        trail: TrailNo(record.ordinal(3)?),
        name: optional_text(record, 4)?,
        fingerprint: runstone_model::id::Fingerprint(record.sha256(5)?),
        filename: record.text(6)?.to_owned(),
        commit: commit(record, 7)?,
        template: TemplateNo(record.ordinal(8)?),
        repo: optional_ordinal(record, 9)?.map(RepoNo),
        entry: record.number(10)?,
        at: micros(record, 11)?,
        state: state(record, 12)?,
    })
}

pub(crate) const SELECT_ATTESTATION: &str = "SELECT organization, no, flow, trail, name, kind, is_compliant, fingerprint, targets, sha1, overrides, original_kind, template, repo, is_attached, entry, author, at FROM attestations";

pub(crate) fn attestation(record: &Record) -> Result<Attestation, DbError> {
    Ok(Attestation {
        organization: OrganizationNo(record.ordinal(0)?),
        no: AttestationNo(record.ordinal(1)?),
        flow: FlowNo(record.ordinal(2)?),
        trail: TrailNo(record.ordinal(3)?),
        name: record.text(4)?.to_owned(),
        kind: record.text(5)?.to_owned(),
        is_compliant: record.flag(6)?,
        fingerprint: if record.is_null(7) {
            None
        } else {
            Some(runstone_model::id::Fingerprint(record.sha256(7)?))
        },
        targets: serde_json::from_str(record.text(8)?).map_err(|_| corrupt("targets"))?,
        commit: commit(record, 9)?,
        overrides: optional_ordinal(record, 10)?.map(AttestationNo),
        original_kind: optional_text(record, 11)?,
        template: TemplateNo(record.ordinal(12)?),
        repo: optional_ordinal(record, 13)?.map(RepoNo),
        is_attached: record.flag(14)?,
        entry: record.number(15)?,
        by: actor(record, 16)?,
        at: micros(record, 17)?,
    })
}

pub(crate) fn naming(record: &Record) -> Result<FlowNaming, DbError> {
    Ok(FlowNaming {
        organization: OrganizationNo(record.ordinal(0)?),
        flow: FlowNo(record.ordinal(1)?),
        entry: record.number(2)?,
        name: record.text(3)?.to_owned(),
        archived_at: optional_micros(record, 4)?,
    })
}

pub(crate) const SELECT_REPO: &str =
    "SELECT organization, no, provider, id, name, facts, tags, created_at, modified_at FROM repos";

pub(crate) fn repo(record: &Record) -> Result<Repo, DbError> {
    Ok(Repo {
        organization: OrganizationNo(record.ordinal(0)?),
        no: RepoNo(record.ordinal(1)?),
        provider: optional_text(record, 2)?,
        id: optional_text(record, 3)?,
        name: record.text(4)?.to_owned(),
        facts: record.text(5)?.to_owned(),
        tags: tags(record, 6)?,
        created_at: micros(record, 7)?,
        modified_at: micros(record, 8)?,
    })
}

/// Adds the stored form of a row of these.
pub(super) fn put(pending: &mut Pending, row: &Row) {
    match row {
        Row::Flow(flow) => pending.put(
            &table::FLOWS,
            vec![
                flow.organization.0.into(),
                flow.no.0.into(),
                flow.name.as_str().into(),
                flow.visibility.as_str().into(),
                flow.description.as_str().into(),
                flow.template.0.into(),
                json(&flow.tags),
                flow.created_at.0.into(),
                flow.archived_at.map(|at| at.0).into(),
                flow.latest_trail.map(|trail| trail.0).into(),
                flow.latest_at.map(|at| at.0).into(),
                flow.repo.map(|repo| repo.0).into(),
            ],
        ),
        Row::FlowNamed(organization, name, flow) => pending.put(
            &table::FLOW_NAMES,
            vec![organization.0.into(), name.as_str().into(), flow.0.into()],
        ),
        Row::Template(template, _) => pending.put(
            &table::TEMPLATES,
            vec![
                template.organization.0.into(),
                template.no.0.into(),
                crate::bodies::squeeze(&template.text.to_bytes()).into(),
            ],
        ),
        Row::Trail(trail) => {
            let members: BTreeMap<&str, (u64, u32)> = trail
                .members
                .iter()
                .map(|(member, place)| (member.as_str(), *place))
                .collect();
            pending.put(
                &table::TRAILS,
                vec![
                    trail.organization.0.into(),
                    trail.no.0.into(),
                    trail.flow.0.into(),
                    trail.name.as_str().into(),
                    trail.implicit.into(),
                    bytes(trail.commit.as_ref()),
                    trail.template.0.into(),
                    json(&members),
                    json(&trail.repos.iter().map(|repo| repo.0).collect::<Vec<_>>()),
                    trail.created_by.to_text().into(),
                    trail.created_at.0.into(),
                    trail.modified_at.0.into(),
                    trail.told_by.into(),
                    trail.state.as_wire().into(),
                ],
            );
        }
        Row::Telling(telling) => {
            let members: BTreeMap<&str, u32> = telling
                .members
                .iter()
                .map(|(member, position)| (member.as_str(), *position))
                .collect();
            pending.put(
                &table::TELLINGS,
                vec![
                    telling.organization.0.into(),
                    telling.trail.0.into(),
                    telling.entry.into(),
                    telling.at.0.into(),
                    telling.by.to_text().into(),
                    telling.changes.as_ref().map(json).into(),
                    json(&members),
                    bytes(telling.commit.as_ref()),
                    telling.repo.map(|repo| repo.0).into(),
                    telling.template.map(|template| template.0).into(),
                ],
            );
        }
        Row::Artifact(artifact) => pending.put(
            &table::ARTIFACTS,
            vec![
                artifact.organization.0.into(),
                artifact.no.0.into(),
                artifact.flow.0.into(),
                artifact.trail.0.into(),
                artifact.name.as_deref().map(Value::from).into(),
                prefix(&artifact.fingerprint).into(),
                artifact.fingerprint.0[..].into(),
                artifact.filename.as_str().into(),
                artifact.commit.as_ref().map(commit_prefix).into(),
                bytes(artifact.commit.as_ref()),
                artifact.template.0.into(),
                artifact.repo.map(|repo| repo.0).into(),
                artifact.entry.into(),
                artifact.at.0.into(),
                label_place(label(&artifact.filename)).into(),
            ],
        ),
        Row::ArtifactState(organization, artifact, entry, state) => pending.put(
            &table::ARTIFACT_STATES,
            vec![
                organization.0.into(),
                artifact.0.into(),
                (*entry).into(),
                state.as_wire().into(),
            ],
        ),
        Row::FlowNaming(naming) => pending.put(
            &table::FLOW_NAMINGS,
            vec![
                naming.organization.0.into(),
                naming.flow.0.into(),
                naming.entry.into(),
                naming.name.as_str().into(),
                naming.archived_at.map(|at| at.0).into(),
            ],
        ),
        Row::Attestation(attestation) => put_attestation(pending, attestation),
        Row::Repo(repo) => pending.put(
            &table::REPOS,
            vec![
                repo.organization.0.into(),
                repo.no.0.into(),
                known(&repo.key()).into(),
                repo.provider.as_deref().map(Value::from).into(),
                repo.id.as_deref().map(Value::from).into(),
                repo.name.as_str().into(),
                repo.facts.as_str().into(),
                json(&repo.tags),
                repo.created_at.0.into(),
                repo.modified_at.0.into(),
            ],
        ),
        _ => {}
    }
}

fn put_attestation(pending: &mut Pending, attestation: &Attestation) {
    pending.put(
        &table::ATTESTATIONS,
        vec![
            attestation.organization.0.into(),
            attestation.no.0.into(),
            attestation.flow.0.into(),
            attestation.trail.0.into(),
            attestation.name.as_str().into(),
            attestation.kind.as_str().into(),
            attestation.is_compliant.into(),
            attestation
                .fingerprint
                .map(|fingerprint| Value::from(&fingerprint.0[..]))
                .into(),
            json(&attestation.targets),
            attestation.commit.as_ref().map(commit_prefix).into(),
            bytes(attestation.commit.as_ref()),
            attestation.overrides.map(|no| no.0).into(),
            attestation.original_kind.as_deref().map(Value::from).into(),
            attestation.template.0.into(),
            attestation.repo.map(|repo| repo.0).into(),
            attestation.is_attached.into(),
            attestation.entry.into(),
            attestation.by.to_text().into(),
            attestation.at.0.into(),
        ],
    );
}

fn bytes(commit: Option<&Commit>) -> Value {
    commit.map(|commit| Value::from(&commit.0[..])).into()
}

/// A version of a template, as it was given.
pub(crate) async fn template_text(
    conn: &mut Conn,
    organization: OrganizationNo,
    no: TemplateNo,
) -> Result<Option<TemplateText>, DbError> {
    conn.query_one(
        "SELECT text FROM templates WHERE organization = $1 AND no = $2",
        &[organization.0.into(), no.0.into()],
    )
    .await?
    .map(|row| {
        TemplateText::of_bytes(&crate::bodies::unsqueeze(&row.blob(0)?)?)
            .map_err(|error| DbError::Corrupt(error.to_string()))
    })
    .transpose()
}

/// What was reported in a trail, oldest first.
pub(crate) async fn reports(
    conn: &mut Conn,
    organization: OrganizationNo,
    trail: TrailNo,
) -> Result<(Vec<Artifact>, Vec<Attestation>), DbError> {
    let artifacts = conn
        .query(
            &format!("{SELECT_ARTIFACT} WHERE a.organization = $1 AND a.trail = $2 ORDER BY a.no"),
            &[organization.0.into(), trail.0.into()],
        )
        .await?;
    let attestations = conn
        .query(
            &format!("{SELECT_ATTESTATION} WHERE organization = $1 AND trail = $2 ORDER BY no"),
            &[organization.0.into(), trail.0.into()],
        )
        .await?;
    Ok((
        artifacts.iter().map(artifact).collect::<Result<_, _>>()?,
        attestations
            .iter()
            .map(attestation)
            .collect::<Result<_, _>>()?,
    ))
}

/// What was reported in trails, oldest first of each, set-wise.
///
/// A range of one value, because SQLite goes through the whole organization for an equal one: it
/// takes the primary key where the value has no type.
pub(crate) async fn reports_of(
    conn: &mut Conn,
    organization: OrganizationNo,
    trails: &[TrailNo],
) -> Result<(Vec<Artifact>, Vec<Attestation>), DbError> {
    let wanted = || Value::Ints(trails.iter().map(|no| i64::from(no.0)).collect());
    let artifacts = conn
        .query(
            "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.fingerprint, a.filename, a.sha1, a.template, a.repo, a.entry, a.at, (SELECT s.state FROM artifact_states s WHERE s.organization = a.organization AND s.artifact = a.no ORDER BY s.entry DESC LIMIT 1) FROM ID_TABLE($1) CROSS JOIN artifacts a WHERE a.organization = $2 AND a.trail >= i.value AND a.trail <= i.value ORDER BY a.no",
            &[wanted(), organization.0.into()],
        )
        .await?;
    let attestations = conn
        .query(
            "SELECT a.organization, a.no, a.flow, a.trail, a.name, a.kind, a.is_compliant, a.fingerprint, a.targets, a.sha1, a.overrides, a.original_kind, a.template, a.repo, a.is_attached, a.entry, a.author, a.at FROM ID_TABLE($1) CROSS JOIN attestations a WHERE a.organization = $2 AND a.trail >= i.value AND a.trail <= i.value ORDER BY a.no",
            &[wanted(), organization.0.into()],
        )
        .await?;
    Ok((
        artifacts.iter().map(artifact).collect::<Result<_, _>>()?,
        attestations
            .iter()
            .map(attestation)
            .collect::<Result<_, _>>()?,
    ))
}

/// Versions of templates as they were given, set-wise.
pub(crate) async fn template_texts(
    conn: &mut Conn,
    organization: OrganizationNo,
    numbers: &BTreeSet<TemplateNo>,
) -> Result<BTreeMap<TemplateNo, TemplateText>, DbError> {
    let wanted = numbers.iter().map(|no| i64::from(no.0)).collect();
    let rows = conn
        .query(
            "SELECT t.no, t.text FROM ID_TABLE($1) CROSS JOIN templates t WHERE t.organization = $2 AND t.no = i.value",
            &[Value::Ints(wanted), organization.0.into()],
        )
        .await?;
    let found = rows
        .iter()
        .map(|row| {
            let text = TemplateText::of_bytes(&crate::bodies::unsqueeze(&row.blob(1)?)?)
                .map_err(|error| DbError::Corrupt(error.to_string()))?;
            Ok((TemplateNo(row.ordinal(0)?), text))
        })
        .collect::<Result<BTreeMap<_, _>, DbError>>()?;
    if found.len() < numbers.len() {
        return Err(corrupt("a template is missing"));
    }
    Ok(found)
}

/// The templates that trails and their reports were evaluated with.
pub(crate) async fn templates(
    conn: &mut Conn,
    organization: OrganizationNo,
    trails: impl Iterator<Item = TemplateNo>,
    artifacts: &[Artifact],
    attestations: &[Attestation],
) -> Result<BTreeMap<TemplateNo, Arc<Template>>, DbError> {
    let used: BTreeSet<TemplateNo> = artifacts
        .iter()
        .map(|artifact| artifact.template)
        .chain(attestations.iter().map(|attestation| attestation.template))
        .chain(trails)
        .collect();
    template_texts(conn, organization, &used)
        .await?
        .into_iter()
        .map(|(no, text)| {
            let template = read_template(&text).map_err(|_| corrupt("a template"))?;
            Ok((no, Arc::new(template)))
        })
        .collect()
}

/// What the verdicts on a trail depend on, from its reports in the order of their entries and the
/// template each was evaluated with.
pub(crate) async fn trail_state(
    conn: &mut Conn,
    organization: OrganizationNo,
    no: TrailNo,
) -> Result<Option<TrailState>, DbError> {
    let Some(row) = conn
        .query_one(
            &format!("{SELECT_TRAIL} WHERE organization = $1 AND no = $2"),
            &[organization.0.into(), no.0.into()],
        )
        .await?
    else {
        return Ok(None);
    };
    let trail = trail(&row)?;
    let (artifacts, attestations) = reports(conn, organization, no).await?;
    let of_trail = std::iter::once(trail.template);
    let templates = templates(conn, organization, of_trail, &artifacts, &attestations).await?;
    Ok(Some(replay(&trail, &artifacts, &attestations, &templates)))
}

/// The state of a trail from its reports.
pub(crate) fn replay(
    trail: &Trail,
    artifacts: &[Artifact],
    attestations: &[Attestation],
    templates: &BTreeMap<TemplateNo, Arc<Template>>,
) -> TrailState {
    let mut reports: Vec<(u64, TemplateNo, TrailFact)> = artifacts
        .iter()
        .map(|artifact| (artifact.entry, artifact.template, artifact.to_fact()))
        .chain(
            attestations
                .iter()
                .map(|report| (report.entry, report.template, report.to_fact())),
        )
        .collect();
    reports.sort_by_key(|(entry, ..)| *entry);
    let first = reports.first().map_or(trail.template, |report| report.1);
    let demanded = |no: TemplateNo| templates.get(&no).cloned().unwrap_or_default();
    let mut state = TrailState::new(first.0, demanded(first), trail.created_at);
    let judge = |state: &mut TrailState, no: TemplateNo| {
        if state.template_no() != no.0 {
            state.apply(TrailFact::Template {
                no: no.0,
                template: demanded(no),
            });
        }
    };
    for (_, template, fact) in reports {
        judge(&mut state, template);
        state.apply(fact);
    }
    judge(&mut state, trail.template);
    state
}

/// Loads a fact of these.
pub(super) async fn load(conn: &mut Conn, key: &FactKey) -> Result<Option<Fact>, DbError> {
    Ok(match key {
        FactKey::Last(organization, of) => {
            let table = match of {
                Numbered::Flow => &table::FLOWS,
                Numbered::Template => &table::TEMPLATES,
                Numbered::Trail => &table::TRAILS,
                Numbered::Artifact => &table::ARTIFACTS,
                Numbered::Attestation => &table::ATTESTATIONS,
                Numbered::Repo => &table::REPOS,
                Numbered::Type => &table::CUSTOM_TYPES,
                Numbered::Control => &table::CONTROLS,
            };
            conn.query_one(
                &format!(
                    "SELECT no FROM {} WHERE organization = $1 ORDER BY no DESC LIMIT 1",
                    table.name
                ),
                &[organization.0.into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(Fact::Last))
            .transpose()?
        }
        FactKey::Flow(organization, no) => conn
            .query_one(
                &format!("{SELECT_FLOW} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| flow(&row).map(|flow| Fact::Flow(Arc::new(flow))))
            .transpose()?,
        FactKey::FlowNamed(organization, name) => conn
            .query_one(
                "SELECT flow FROM flow_names WHERE organization = $1 AND name = $2",
                &[organization.0.into(), name.as_str().into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(|no| Fact::FlowNamed(FlowNo(no))))
            .transpose()?,
        FactKey::Template(organization, no) => template_text(conn, *organization, *no)
            .await?
            .map(|text| {
                read_template(&text)
                    .map(|template| Fact::Template(Arc::new(template)))
                    .map_err(|_| corrupt("a template"))
            })
            .transpose()?,
        FactKey::Trail(organization, no) => conn
            .query_one(
                &format!("{SELECT_TRAIL} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| trail(&row).map(|trail| Fact::Trail(Arc::new(trail))))
            .transpose()?,
        FactKey::TrailNamed(organization, flow, name) => conn
            .query_one(
                "SELECT no FROM trails WHERE organization = $1 AND flow = $2 AND name = $3",
                &[organization.0.into(), flow.0.into(), name.as_str().into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(|no| Fact::TrailNamed(TrailNo(no))))
            .transpose()?,
        FactKey::TrailState(organization, no) => trail_state(conn, *organization, *no)
            .await?
            .map(|state| Fact::TrailState(Arc::new(state))),
        FactKey::Repo(organization, no) => conn
            .query_one(
                &format!("{SELECT_REPO} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| repo(&row).map(|repo| Fact::Repo(Arc::new(repo))))
            .transpose()?,
        FactKey::RepoKnown(organization, key) => conn
            .query_one(
                "SELECT no FROM repos WHERE organization = $1 AND known = $2",
                &[organization.0.into(), known(key).into()],
            )
            .await?
            .map(|row| row.ordinal(0).map(|no| Fact::RepoKnown(RepoNo(no))))
            .transpose()?,
        _ => None,
    })
}
