//! Flows, trails, artifacts, attestations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Deciding, Stop};
use crate::attestation::kind::CUSTOM;
use crate::command::{
    Attest, FlowAction, GivenTemplate, MissingInTrail, PutFlow, PutTrail, Refusal, Reply, RepoTold,
    ReportArtifact,
};
use crate::compliance::{ArtifactReport, AttestationReport, TrailFact, TrailState};
use crate::event::{Content, Event, FlowEvent, NewTemplate, Subject, TemplateText, Verdicts};
use crate::fact::{
    ArtifactNo, Attestation, AttestationNo, Flow, FlowNo, Repo, RepoId, RepoNo, TemplateNo, Trail,
    TrailNo, Visibility,
};
use crate::id::{Commit, Named, parse_wire_id};
use crate::template::{EMPTY_TEXT, Template};
use crate::view::Numbered;

/// A trail that something is reported to, which the same decision may have made.
struct Found {
    no: TrailNo,
    state: TrailState,
}

/// Keys that are set with their values, and keys that are removed.
type Retagged = (BTreeMap<String, Option<String>>, Vec<String>);

/// What changes in tags; none if nothing does.
pub(super) fn tagged(
    known: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Option<Retagged> {
    let mut after = known.clone();
    after.extend(set.clone());
    for key in remove {
        after.remove(key);
    }
    if after == *known {
        return None;
    }
    // Only what changes something: a text that is no key of a tag stays out of the log.
    let set = after
        .iter()
        .filter(|(key, value)| known.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    let removed = known
        .keys()
        .filter(|key| !after.contains_key(*key))
        .cloned()
        .collect();
    Some((set, removed))
}

impl Deciding<'_> {
    pub(super) fn flow_action(&mut self, action: &FlowAction) -> Result<Reply, Stop> {
        match action {
            FlowAction::Put(put) => self.put_flow(put),
            FlowAction::Archive { flow } => {
                let no = self.live_flow(flow)?.no;
                self.append(Subject::Flow(no), Event::Flow(FlowEvent::Archived { no }))?;
                Ok(Reply::Changed)
            }
            FlowAction::Rename { flow, new_name } => self.rename_flow(flow, new_name),
            FlowAction::Tag { flow, set, remove } => {
                let known = self.live_flow(flow)?;
                let Some((set, removed)) = tagged(&known.tags, set, remove) else {
                    return Ok(Reply::Unchanged);
                };
                let (no, salt) = (known.no, self.salt());
                self.append(
                    Subject::Flow(no),
                    Event::Flow(FlowEvent::Tagged {
                        no,
                        set,
                        removed,
                        salt,
                    }),
                )?;
                Ok(Reply::Changed)
            }
            FlowAction::PutTrail(put) => self.put_trail(put),
            FlowAction::ReportArtifact(report) => self.report_artifact(report),
            FlowAction::Attest(attest) => self.attest(attest),
            FlowAction::TagRepo { repo, set, remove } => self.tag_repo(repo, set, remove),
        }
    }

    pub(super) fn live_flow(&self, name: &str) -> Result<Arc<Flow>, Stop> {
        let missing = || Refusal::FlowMissing {
            name: name.to_owned(),
            organization: self.command.organization.clone(),
        };
        let no = self
            .view
            .flow_named(self.organization, name)?
            .ok_or_else(missing)?;
        Ok(self
            .view
            .flow(self.organization, no)?
            .filter(|flow| flow.archived_at.is_none())
            .ok_or_else(missing)?)
    }

    pub(super) fn next(&self, of: Numbered) -> Result<u32, Stop> {
        let made = self
            .entries
            .iter()
            .filter(|(_, entry)| numbers(&entry.event).contains(&Some(of)))
            .count() as u32;
        Ok(self.view.last(self.organization, of)? + made + 1)
    }

    fn new_template(&self, given: &GivenTemplate) -> Result<NewTemplate, Stop> {
        Ok(NewTemplate {
            no: TemplateNo(self.next(Numbered::Template)?),
            text: given.text.clone(),
        })
    }

    pub(super) fn content(&mut self, json: &Arc<str>) -> Content {
        Content {
            json: Some(Arc::clone(json)),
            salt: self.salt(),
        }
    }

    fn put_flow(&mut self, put: &PutFlow) -> Result<Reply, Stop> {
        let known = match self.view.flow_named(self.organization, &put.name)? {
            // A name that only leads to a renamed one is free.
            Some(no) => self
                .view
                .flow(self.organization, no)?
                .filter(|known| known.name == put.name),
            None => None,
        };
        let Some(known) = known else {
            self.create_flow(
                &put.name,
                put.visibility.unwrap_or(Visibility::Private),
                &put.description,
                put.template.as_ref(),
            )?;
            return Ok(Reply::Created);
        };
        let restored = known.archived_at.is_some();
        if restored {
            self.append(
                Subject::Flow(known.no),
                Event::Flow(FlowEvent::Restored { no: known.no }),
            )?;
        }
        let visibility = put.visibility.unwrap_or(known.visibility);
        let described = put.description != known.description;
        if visibility != known.visibility || described || put.template.is_some() {
            let template = put
                .template
                .as_ref()
                .map(|given| self.new_template(given))
                .transpose()?;
            let description = described.then(|| self.text(&put.description));
            self.append(
                Subject::Flow(known.no),
                Event::Flow(FlowEvent::Changed {
                    no: known.no,
                    visibility,
                    description,
                    template,
                }),
            )?;
        } else if !restored {
            return Ok(Reply::Unchanged);
        }
        Ok(if restored {
            Reply::Created
        } else {
            Reply::Changed
        })
    }

    /// A new flow and its template.
    fn create_flow(
        &mut self,
        name: &str,
        visibility: Visibility,
        description: &str,
        given: Option<&GivenTemplate>,
    ) -> Result<(FlowNo, TemplateNo), Stop> {
        let no = FlowNo(self.next(Numbered::Flow)?);
        let template = match given {
            Some(given) => self.new_template(given)?,
            None => NewTemplate {
                no: TemplateNo(self.next(Numbered::Template)?),
                text: TemplateText::Yaml(EMPTY_TEXT.to_owned()),
            },
        };
        let template_no = template.no;
        let description = (!description.is_empty()).then(|| self.text(description));
        self.append_new(
            Subject::Flow(no),
            Event::Flow(FlowEvent::Created {
                no,
                name: name.to_owned(),
                visibility,
                description,
                template,
            }),
        );
        Ok((no, template_no))
    }

    fn rename_flow(&mut self, name: &str, new_name: &str) -> Result<Reply, Stop> {
        let known = self.live_flow(name)?;
        if known.name == new_name {
            return Ok(Reply::Unchanged);
        }
        if let Some(other) = self.view.flow_named(self.organization, new_name)?
            && other != known.no
            && let Some(other) = self.view.flow(self.organization, other)?
            && other.name == new_name
        {
            return Err(Refusal::FlowExists {
                name: new_name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        self.append(
            Subject::Flow(known.no),
            Event::Flow(FlowEvent::Renamed {
                no: known.no,
                name: new_name.to_owned(),
            }),
        )?;
        Ok(Reply::Changed)
    }

    /// The flow of this name, made with the empty template if there is none, and the template its
    /// trails take.
    fn flow_for(&mut self, name: &str) -> Result<(FlowNo, TemplateNo, Arc<Template>), Stop> {
        let known = match self.view.flow_named(self.organization, name)? {
            Some(no) => self.view.flow(self.organization, no)?,
            None => None,
        };
        match known {
            Some(flow) => {
                if flow.archived_at.is_some() {
                    self.append(
                        Subject::Flow(flow.no),
                        Event::Flow(FlowEvent::Restored { no: flow.no }),
                    )?;
                }
                let template = self
                    .view
                    .template(self.organization, flow.template)?
                    .unwrap_or_default();
                Ok((flow.no, flow.template, template))
            }
            None => {
                let (no, template) = self.create_flow(name, Visibility::Private, "", None)?;
                Ok((no, template, Arc::default()))
            }
        }
    }

    /// The repository that is told of, recorded where it is new or told of otherwise.
    fn repo_for(&mut self, told: Option<&RepoTold>) -> Result<Option<RepoNo>, Stop> {
        let Some(told) = told else { return Ok(None) };
        let known = match self.view.repo_known(self.organization, &told.key)? {
            Some(no) => self.view.repo(self.organization, no)?,
            None => None,
        };
        let no = match &known {
            Some(known) if is_told_so(known, told) => return Ok(Some(known.no)),
            Some(known) => known.no,
            None => RepoNo(self.next(Numbered::Repo)?),
        };
        let description = told
            .description
            .as_ref()
            .filter(|text| !text.is_empty() && known.is_none())
            .map(|text| self.text(text));
        let event = Event::Flow(FlowEvent::RepoRecorded {
            no,
            provider: told.key.provider.clone(),
            id: match &told.key.id {
                RepoId::Id(id) => Some(id.clone()),
                RepoId::Name(_) => None,
            },
            name: told.name.clone(),
            facts: told.facts.as_ref().to_owned(),
            description,
        });
        match known {
            Some(_) => self.append(Subject::Repo(no), event)?,
            None => self.append_new(Subject::Repo(no), event),
        }
        Ok(Some(no))
    }

    fn tag_repo(
        &mut self,
        repo: &str,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<Reply, Stop> {
        let missing = || Refusal::RepoMissing {
            name: repo.to_owned(),
        };
        let no = parse_wire_id(Named::Repo, &self.id, repo).ok_or_else(missing)?;
        let known = self
            .view
            .repo(self.organization, RepoNo(no))?
            .ok_or_else(missing)?;
        let Some((set, removed)) = tagged(&known.tags, set, remove) else {
            return Ok(Reply::Unchanged);
        };
        let (no, salt) = (known.no, self.salt());
        self.append(
            Subject::Repo(no),
            Event::Flow(FlowEvent::RepoTagged {
                no,
                set,
                removed,
                salt,
            }),
        )?;
        Ok(Reply::Changed)
    }
}

fn is_told_so(known: &Repo, told: &RepoTold) -> bool {
    known.name == told.name && known.facts == *told.facts
}

/// What an event gives numbers to.
fn numbers(event: &Event) -> [Option<Numbered>; 2] {
    match event {
        Event::Flow(event) => match event {
            FlowEvent::Created { .. } => [Some(Numbered::Flow), Some(Numbered::Template)],
            FlowEvent::Changed {
                template: Some(_), ..
            }
            | FlowEvent::TrailUpdated {
                template: Some(_), ..
            } => [Some(Numbered::Template), None],
            FlowEvent::TrailBegun {
                own_template: Some(_),
                ..
            } => [Some(Numbered::Trail), Some(Numbered::Template)],
            FlowEvent::TrailBegun { .. } => [Some(Numbered::Trail), None],
            _ => [None, None],
        },
        _ => [None, None],
    }
}

/// What changed in the verdicts from `before` to `after`.
fn verdicts(before: Option<&TrailState>, after: &TrailState) -> Verdicts {
    let changes = after.changes_since(before);
    Verdicts {
        trail: changes.trail,
        artifacts: changes
            .artifacts
            .into_iter()
            .map(|(no, state)| (ArtifactNo(no), state))
            .collect(),
    }
}

impl Deciding<'_> {
    fn known_trail(&self, flow: &str, name: &str) -> Result<Option<Arc<Trail>>, Stop> {
        let Some(flow) = self.view.flow_named(self.organization, flow)? else {
            return Ok(None);
        };
        match self.view.trail_named(self.organization, flow, name)? {
            Some(no) => Ok(self.view.trail(self.organization, no)?),
            None => Ok(None),
        }
    }

    fn trail_state_of(&self, trail: &Trail) -> Result<TrailState, Stop> {
        match self.view.trail_state(self.organization, trail.no)? {
            Some(state) => Ok(Arc::unwrap_or_clone(state)),
            None => {
                let template = self
                    .view
                    .template(self.organization, trail.template)?
                    .unwrap_or_default();
                Ok(TrailState::new(
                    trail.template.0,
                    template,
                    trail.created_at,
                ))
            }
        }
    }

    fn begin_trail(
        &mut self,
        flow: &str,
        name: &str,
        implicit: bool,
        put: Option<&PutTrail>,
        repo: Option<RepoNo>,
        commit: Option<Commit>,
    ) -> Result<Found, Stop> {
        let (flow, of_flow, demanded) = self.flow_for(flow)?;
        let no = TrailNo(self.next(Numbered::Trail)?);
        let own = put.and_then(|put| put.template.as_ref());
        let (template_no, template) = match own {
            Some(given) => (self.new_template(given)?.no, Arc::clone(&given.template)),
            None => (of_flow, demanded),
        };
        let state = TrailState::new(template_no.0, template, self.at);
        let members = match put {
            Some(put) => put
                .members
                .iter()
                .map(|(member, json)| (*member, self.content(json)))
                .collect(),
            None => BTreeMap::new(),
        };
        self.append_new(
            Subject::Trail(no),
            Event::Flow(FlowEvent::TrailBegun {
                no,
                flow,
                name: name.to_owned(),
                implicit,
                commit,
                repo,
                template: template_no,
                own_template: own.map(|given| given.text.clone()),
                members,
                verdicts: verdicts(None, &state),
            }),
        );
        Ok(Found { no, state })
    }

    fn put_trail(&mut self, put: &PutTrail) -> Result<Reply, Stop> {
        let repo = self.repo_for(put.repo.as_ref())?;
        let Some(trail) = self.known_trail(&put.flow, &put.name)? else {
            if put.compared.is_some() {
                return Err(Refusal::TrailToldMeanwhile {
                    name: put.name.clone(),
                }
                .into());
            }
            self.begin_trail(&put.flow, &put.name, false, Some(put), repo, put.commit)?;
            return Ok(Reply::Created);
        };
        // What differs was found out against what the trail was last told.
        let changed = match &put.compared {
            Some((told_by, changed)) if *told_by == trail.told_by => changed,
            _ => {
                return Err(Refusal::TrailToldMeanwhile {
                    name: put.name.clone(),
                }
                .into());
            }
        };
        let before = self.trail_state_of(&trail)?;
        let mut after = before.clone();
        let template = put
            .template
            .as_ref()
            .map(|given| self.new_template(given))
            .transpose()?;
        if let (Some(new), Some(given)) = (&template, &put.template) {
            after.apply(TrailFact::Template {
                no: new.no.0,
                template: Arc::clone(&given.template),
            });
        }
        let mut changes: Vec<String> = changed
            .iter()
            .map(|member| member.as_str().to_owned())
            .collect();
        if repo.is_some_and(|repo| !trail.repos.contains(&repo)) {
            changes.push("repo_info".to_owned());
        }
        if template.is_some() {
            changes.push("template".to_owned());
        }
        changes.sort_unstable();
        // What is told as it was told before stays where it stands.
        let members = put
            .members
            .iter()
            .filter(|(member, _)| changed.contains(member))
            .map(|(member, json)| (*member, self.content(json)))
            .collect();
        self.append(
            Subject::Trail(trail.no),
            Event::Flow(FlowEvent::TrailUpdated {
                no: trail.no,
                commit: put.commit,
                repo,
                template,
                members,
                changes,
                verdicts: verdicts(Some(&before), &after),
            }),
        )?;
        Ok(Reply::Changed)
    }

    /// The trail of this name, made if there is none.
    fn trail_for(&mut self, flow: &str, name: &str, implicit: bool) -> Result<Found, Stop> {
        match self.known_trail(flow, name)? {
            Some(trail) => Ok(Found {
                no: trail.no,
                state: self.trail_state_of(&trail)?,
            }),
            None => self.begin_trail(flow, name, implicit, None, None, None),
        }
    }

    fn report_artifact(&mut self, report: &ReportArtifact) -> Result<Reply, Stop> {
        let repo = self.repo_for(report.repo.as_ref())?;
        let (name, implicit) = report.trail_name();
        let trail = self.trail_for(&report.flow, &name, implicit)?;
        let no = ArtifactNo(self.next(Numbered::Artifact)?);
        let mut after = trail.state.clone();
        after.apply(TrailFact::Artifact(ArtifactReport {
            no: no.0,
            name: report.name.clone(),
            fingerprint: report.fingerprint,
            commit: report.commit.map(|commit| commit.0),
            at: self.at,
        }));
        let content = self.content(&report.content);
        self.append(
            Subject::Trail(trail.no),
            Event::Flow(FlowEvent::ArtifactReported {
                no,
                trail: trail.no,
                name: report.name.clone(),
                fingerprint: report.fingerprint,
                filename: report.filename.clone(),
                commit: report.commit,
                repo,
                content,
                verdicts: verdicts(Some(&trail.state), &after),
            }),
        )?;
        Ok(Reply::Created)
    }

    fn attest(&mut self, attest: &Attest) -> Result<Reply, Stop> {
        let repo = self.repo_for(attest.repo.as_ref())?;
        let trail = self.trail_for(&attest.flow, &attest.trail, false)?;
        if let Some(fingerprint) = attest.fingerprint
            && !trail.state.knows(fingerprint)
        {
            return Err(Refusal::ArtifactMissingInTrail(Box::new(MissingInTrail {
                fingerprint,
                trail: attest.trail.clone(),
                flow: attest.flow.clone(),
                organization: self.command.organization.clone(),
            }))
            .into());
        }
        let binding = Attestation::binding(attest.fingerprint, &attest.targets, attest.commit);
        let no = AttestationNo(self.next(Numbered::Attestation)?);
        let is_override = attest.original_kind.is_some();
        let overrides = if is_override {
            trail
                .state
                .newest(&attest.name, &binding)
                .map(AttestationNo)
        } else {
            None
        };
        let mut after = trail.state.clone();
        after.apply(TrailFact::Attestation(AttestationReport {
            no: no.0,
            name: attest.name.clone(),
            kind: attest
                .original_kind
                .clone()
                .unwrap_or_else(|| attest.kind.clone()),
            compliant: attest.is_compliant,
            overrides: is_override,
            binding,
            at: self.at,
        }));
        let version = match attest.kind.strip_prefix(CUSTOM) {
            Some(name) => Some(self.judged_by(name, attest.version)?),
            None => match &attest.control {
                Some(control) => self.control_version(control)?,
                None => None,
            },
        };
        let content = self.content(&attest.content);
        self.append(
            Subject::Trail(trail.no),
            Event::Flow(FlowEvent::Attested {
                no,
                trail: trail.no,
                name: attest.name.clone(),
                kind: attest.kind.clone(),
                is_compliant: attest.is_compliant,
                fingerprint: attest.fingerprint,
                targets: attest.targets.clone(),
                commit: attest.commit,
                repo,
                overrides,
                original_kind: attest.original_kind.clone(),
                version,
                control: attest.control.clone(),
                content,
                attachment: attest.attachment.clone(),
                verdicts: verdicts(Some(&trail.state), &after),
            }),
        )?;
        Ok(Reply::Created)
    }
}
