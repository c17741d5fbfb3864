//! Rows of flows, trails, artifacts, attestations and repositories.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Misfit, Rows};
use crate::compliance::{State, TrailFact, TrailState};
use crate::event::{Entry, FlowEvent, NewTemplate, TemplateText, Verdicts};
use crate::fact::{
    Artifact, Attestation, Decided, EntryIndex, Flow, FlowNaming, FlowNo, Member, OrganizationNo,
    Repo, RepoNo, Telling, TemplateNo, TemplateRow, Trail, TrailNo,
};
use crate::id::Micros;
use crate::template::{Template, TemplateErrors};
use crate::view::{Fact, FactKey, Need, Row, View};

/// The facts the projection of `event` reads, as far as they can be told beforehand.
pub(super) fn needs(organization: OrganizationNo, event: &FlowEvent, keys: &mut Vec<FactKey>) {
    match event {
        FlowEvent::Created { .. } => {}
        FlowEvent::Changed { no, .. }
        | FlowEvent::Archived { no }
        | FlowEvent::Restored { no }
        | FlowEvent::Renamed { no, .. }
        | FlowEvent::Tagged { no, .. } => keys.push(FactKey::Flow(organization, *no)),
        FlowEvent::RepoRecorded { no, .. } | FlowEvent::RepoTagged { no, .. } => {
            keys.push(FactKey::Repo(organization, *no));
        }
        FlowEvent::TrailBegun { flow, .. } => keys.push(FactKey::Flow(organization, *flow)),
        FlowEvent::TrailUpdated { no, .. } => keys.push(FactKey::Trail(organization, *no)),
        FlowEvent::ArtifactReported { trail, .. } | FlowEvent::Attested { trail, .. } => {
            keys.push(FactKey::Trail(organization, *trail));
        }
    }
    keys.extend(repo_of(event).map(|repo| FactKey::Repo(organization, repo)));
}

/// The repository that something told in passing is about.
fn repo_of(event: &FlowEvent) -> Option<RepoNo> {
    match event {
        FlowEvent::TrailBegun { repo, .. }
        | FlowEvent::TrailUpdated { repo, .. }
        | FlowEvent::ArtifactReported { repo, .. }
        | FlowEvent::Attested { repo, .. } => *repo,
        _ => None,
    }
}

/// Reads every fact that [`project`] will read.
pub(super) fn preload(
    organization: OrganizationNo,
    event: &FlowEvent,
    view: &View,
) -> Result<(), Need> {
    let trail = |no: TrailNo| -> Result<(), Need> {
        if let Some(trail) = view.trail(organization, no)? {
            view.flow(organization, trail.flow)?;
        }
        Ok(())
    };
    match event {
        FlowEvent::Created { .. } => {}
        FlowEvent::Changed { no, .. }
        | FlowEvent::Archived { no }
        | FlowEvent::Restored { no }
        | FlowEvent::Renamed { no, .. }
        | FlowEvent::Tagged { no, .. } => {
            view.flow(organization, *no)?;
        }
        FlowEvent::RepoRecorded { no, .. } | FlowEvent::RepoTagged { no, .. } => {
            view.repo(organization, *no)?;
        }
        FlowEvent::TrailBegun { flow, .. } => {
            view.flow(organization, *flow)?;
        }
        FlowEvent::TrailUpdated { no, .. } => trail(*no)?,
        FlowEvent::ArtifactReported { trail: no, .. } | FlowEvent::Attested { trail: no, .. } => {
            trail(*no)?;
        }
    }
    if let Some(repo) = repo_of(event) {
        view.repo(organization, repo)?;
    }
    Ok(())
}

/// Rows of a version of a template.
fn put_template(rows: &mut Rows, no: TemplateNo, text: &TemplateText) -> Result<(), Misfit> {
    let template = read_template(text).map_err(|errors| rows.contradiction(errors.to_string()))?;
    let row = TemplateRow {
        organization: rows.organization,
        no,
        text: text.clone(),
    };
    rows.put(Row::Template(Arc::new(row), Arc::new(template)));
    Ok(())
}

/// What a template demands that was accepted once.
pub fn read_template(text: &TemplateText) -> Result<Template, TemplateErrors> {
    match text {
        TemplateText::Yaml(text) => Template::read(text.as_bytes()),
        TemplateText::Names(names) => Ok(Template::legacy(names.clone())),
    }
}

impl Rows<'_> {
    pub(super) fn flow(&self, no: FlowNo) -> Result<Flow, Misfit> {
        self.view
            .flow(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no flow {}", no.0)))
    }

    fn trail(&self, no: TrailNo) -> Result<Trail, Misfit> {
        self.view
            .trail(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no trail {}", no.0)))
    }

    pub(super) fn repo(&self, no: RepoNo) -> Result<Repo, Misfit> {
        self.view
            .repo(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no repository {}", no.0)))
    }

    fn put_flow(&mut self, flow: Flow) {
        self.put(Row::Flow(Arc::new(flow)));
    }

    /// A flow whose name, or whether it is archived, is another from this entry on.
    fn put_named(&mut self, flow: Flow) {
        self.put(Row::FlowNaming(Arc::new(FlowNaming {
            organization: self.organization,
            flow: flow.no,
            entry: self.index,
            name: flow.name.clone(),
            archived_at: flow.archived_at,
        })));
        self.put_flow(flow);
    }
}

pub(super) fn set_tags(
    tags: &mut BTreeMap<String, String>,
    set: &BTreeMap<String, Option<String>>,
    removed: &[String],
) {
    for (key, value) in set {
        tags.insert(key.clone(), value.clone().unwrap_or_default());
    }
    tags.retain(|key, _| !removed.contains(key));
}

/// The rows that follow from `event` of `entry`.
pub(super) fn project(rows: &mut Rows, entry: &Entry, event: &FlowEvent) -> Result<(), Misfit> {
    let received = rows.at;
    match event {
        FlowEvent::Created {
            no,
            name,
            visibility,
            description,
            template,
        } => {
            put_template(rows, template.no, &template.text)?;
            let organization = rows.organization;
            rows.put_named(Flow {
                organization,
                no: *no,
                name: name.clone(),
                visibility: *visibility,
                description: shown(description.as_ref()),
                template: template.no,
                tags: BTreeMap::new(),
                created_at: received,
                archived_at: None,
                latest_trail: None,
                latest_at: None,
                repo: None,
            });
            rows.put(Row::FlowNamed(organization, name.clone(), *no));
        }
        FlowEvent::Changed {
            no,
            visibility,
            description,
            template,
        } => {
            let mut flow = rows.flow(*no)?;
            if let Some(NewTemplate { no, text }) = template {
                put_template(rows, *no, text)?;
                flow.template = *no;
            }
            flow.visibility = *visibility;
            if description.is_some() {
                flow.description = shown(description.as_ref());
            }
            rows.put_flow(flow);
        }
        FlowEvent::Archived { no } => {
            let flow = rows.flow(*no)?;
            rows.put_named(Flow {
                archived_at: Some(received),
                ..flow
            });
        }
        FlowEvent::Restored { no } => {
            let flow = rows.flow(*no)?;
            rows.put_named(Flow {
                archived_at: None,
                ..flow
            });
        }
        FlowEvent::Renamed { no, name } => {
            let flow = rows.flow(*no)?;
            rows.put_named(Flow {
                name: name.clone(),
                ..flow
            });
            rows.put(Row::FlowNamed(rows.organization, name.clone(), *no));
        }
        FlowEvent::Tagged {
            no, set, removed, ..
        } => {
            let mut flow = rows.flow(*no)?;
            set_tags(&mut flow.tags, set, removed);
            rows.put_flow(flow);
        }
        FlowEvent::RepoRecorded {
            no,
            provider,
            id,
            name,
            facts,
            ..
        } => {
            let known = rows.view.repo(rows.organization, *no)?;
            rows.put(Row::Repo(Arc::new(Repo {
                organization: rows.organization,
                no: *no,
                provider: provider.clone(),
                id: id.clone(),
                name: name.clone(),
                facts: facts.clone(),
                tags: known
                    .as_ref()
                    .map(|known| known.tags.clone())
                    .unwrap_or_default(),
                created_at: known.map_or(received, |known| known.created_at),
                modified_at: received,
            })));
        }
        FlowEvent::RepoTagged {
            no, set, removed, ..
        } => {
            let mut repo = rows.repo(*no)?;
            set_tags(&mut repo.tags, set, removed);
            rows.put(Row::Repo(Arc::new(repo)));
        }
        FlowEvent::TrailBegun { .. } | FlowEvent::TrailUpdated { .. } => {
            project_trail(rows, entry, event)?;
        }
        FlowEvent::ArtifactReported {
            no,
            trail,
            name,
            fingerprint,
            filename,
            commit,
            repo,
            verdicts,
            ..
        } => {
            let trail = rows.trail(*trail)?;
            let artifact = Artifact {
                organization: rows.organization,
                no: *no,
                flow: trail.flow,
                trail: trail.no,
                name: name.clone(),
                fingerprint: *fingerprint,
                filename: filename.clone(),
                commit: *commit,
                template: trail.template,
                repo: *repo,
                entry: rows.index,
                at: received,
                state: State::Compliant,
            };
            follow(rows, trail.no, artifact.to_fact());
            rows.put(Row::Artifact(Arc::new(artifact)));
            report(rows, trail, *repo, verdicts)?;
        }
        FlowEvent::Attested {
            no,
            trail,
            name,
            kind,
            is_compliant,
            fingerprint,
            targets,
            commit,
            repo,
            overrides,
            original_kind,
            attachment,
            verdicts,
            version,
            control,
            ..
        } => {
            let trail = rows.trail(*trail)?;
            let attestation = Attestation {
                organization: rows.organization,
                no: *no,
                flow: trail.flow,
                trail: trail.no,
                name: name.clone(),
                kind: kind.clone(),
                is_compliant: *is_compliant,
                fingerprint: *fingerprint,
                targets: targets.clone(),
                commit: *commit,
                overrides: *overrides,
                original_kind: original_kind.clone(),
                template: trail.template,
                repo: *repo,
                is_attached: attachment.is_some(),
                entry: rows.index,
                by: entry.actor.clone(),
                at: received,
            };
            follow(rows, trail.no, attestation.to_fact());
            rows.put(Row::Attestation(Arc::new(attestation)));
            if let Some(control) = control {
                rows.put(Row::Decided(Arc::new(Decided {
                    organization: rows.organization,
                    control: control.clone(),
                    attestation: *no,
                    version: *version,
                })));
            }
            report(rows, trail, *repo, verdicts)?;
        }
    }
    Ok(())
}

fn shown(description: Option<&crate::event::Text>) -> String {
    description.map_or_else(String::new, |text| text.as_str().to_owned())
}

fn members_at(
    index: EntryIndex,
    first: usize,
    members: impl Iterator<Item = Member>,
) -> impl Iterator<Item = (Member, (EntryIndex, u32))> {
    members
        .enumerate()
        .map(move |(position, member)| (member, (index, (first + position) as u32)))
}

fn places(first: usize, members: impl Iterator<Item = Member>) -> BTreeMap<Member, u32> {
    members.zip(first as u32..).collect()
}

fn project_trail(rows: &mut Rows, entry: &Entry, event: &FlowEvent) -> Result<(), Misfit> {
    let (index, received) = (rows.index, rows.at);
    match event {
        FlowEvent::TrailBegun {
            no,
            flow,
            name,
            implicit,
            commit,
            repo,
            template,
            own_template,
            members,
            verdicts,
        } => {
            if let Some(text) = own_template {
                put_template(rows, *template, text)?;
            }
            let first = usize::from(own_template.is_some());
            rows.put(Row::Telling(Arc::new(Telling {
                organization: rows.organization,
                trail: *no,
                entry: index,
                at: received,
                by: entry.actor.clone(),
                changes: None,
                members: places(first, members.keys().copied()),
                commit: *commit,
                repo: *repo,
                template: Some(*template),
            })));
            let trail = Trail {
                organization: rows.organization,
                no: *no,
                flow: *flow,
                name: name.clone(),
                implicit: *implicit,
                commit: *commit,
                template: *template,
                members: members_at(index, first, members.keys().copied()).collect(),
                repos: Vec::new(),
                created_by: entry.actor.clone(),
                created_at: received,
                modified_at: received,
                told_by: index,
                state: State::Compliant,
            };
            // A fact a later decision of the same batch may read.
            if let Ok(Some(demanded)) = rows.view.template(rows.organization, *template) {
                rows.view.insert(
                    FactKey::TrailState(rows.organization, *no),
                    Fact::TrailState(Arc::new(TrailState::new(template.0, demanded, received))),
                );
            }
            report(rows, trail, *repo, verdicts)
        }
        FlowEvent::TrailUpdated {
            no,
            commit,
            repo,
            template,
            members,
            changes,
            verdicts,
        } => {
            let mut trail = rows.trail(*no)?;
            if let Some(NewTemplate { no, text }) = template {
                put_template(rows, *no, text)?;
                trail.template = *no;
                if let Ok(Some(template)) = rows.view.template(rows.organization, *no) {
                    follow(rows, trail.no, TrailFact::Template { no: no.0, template });
                }
            }
            trail.commit = commit.or(trail.commit);
            let first = usize::from(template.is_some());
            trail
                .members
                .extend(members_at(index, first, members.keys().copied()));
            trail.told_by = index;
            rows.put(Row::Telling(Arc::new(Telling {
                organization: rows.organization,
                trail: *no,
                entry: index,
                at: received,
                by: entry.actor.clone(),
                changes: Some(changes.clone()),
                members: places(first, members.keys().copied()),
                commit: *commit,
                repo: *repo,
                template: template.as_ref().map(|template| template.no),
            })));
            report(rows, trail, *repo, verdicts)
        }
        _ => Ok(()),
    }
}

/// What is known of a trail's reports follows one more.
fn follow(rows: &mut Rows, trail: TrailNo, fact: TrailFact) {
    if let Some(mut state) = rows.view.take_trail_state(rows.organization, trail) {
        state.apply(fact);
        rows.view.insert(
            FactKey::TrailState(rows.organization, trail),
            Fact::TrailState(Arc::new(state)),
        );
    }
}

/// Something was reported to a trail: it, its flow and the repository that was told of were active,
/// and verdicts may be others.
fn report(
    rows: &mut Rows,
    mut trail: Trail,
    repo: Option<RepoNo>,
    verdicts: &Verdicts,
) -> Result<(), Misfit> {
    let received: Micros = rows.at;
    trail.modified_at = received;
    if let Some(no) = repo {
        if !trail.repos.contains(&no) {
            trail.repos.push(no);
        }
        let mut repo = rows.repo(no)?;
        repo.modified_at = received;
        rows.put(Row::Repo(Arc::new(repo)));
    }
    if let Some(state) = verdicts.trail {
        trail.state = state;
    }
    let mut flow = rows.flow(trail.flow)?;
    if flow.latest_at.is_none_or(|latest| latest <= received) {
        flow.latest_trail = Some(trail.no);
        flow.latest_at = Some(received);
    }
    flow.repo = repo.or(flow.repo);
    rows.put_flow(flow);
    rows.put(Row::Trail(Arc::new(trail)));
    for (artifact, state) in &verdicts.artifacts {
        rows.put(Row::ArtifactState(
            rows.organization,
            *artifact,
            rows.index,
            *state,
        ));
    }
    Ok(())
}
