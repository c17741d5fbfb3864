//! Decisions: a command and the facts give entries, or a refusal.
//!
//! Pure and total: the same command on the same facts decides the same. A fact that is not
//! loaded stops the decision with its name; nothing is assumed.

mod control;
mod custom_type;
mod environments;
mod erasure;
mod flow;
mod legacy;
mod needs;
mod organizations;
mod people;
mod reports;

use crate::command::{Action, Caller, Command, FlowAction, Refusal, Reply};
use crate::event::{Actor, Claim, Entry, Event, REPORTER_BYTES_MAX, Salt, Subject, Text};
use crate::fact::{
    ApiKey, EnvironmentNo, HISTORY, OrganizationNo, Principal, SERVER, SERVER_NAME, Seen,
};
use crate::id::{Digest, Micros};
use crate::role::{Right, Role};
use crate::view::{FactKey, Need, View};

pub use self::needs::needs;
pub use self::reports::merge_seen;

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Answer to the caller.
    pub reply: Reply,
    /// Entries to append, in order.
    pub entries: Vec<(OrganizationNo, Entry)>,
    /// Operational: when environments were seen, to be written as they are.
    pub seen: Vec<(OrganizationNo, EnvironmentNo, Seen)>,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A fact has to be loaded first.
    Need(FactKey),
    /// The command is refused.
    Refused(Refusal),
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Need(need.0)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The right an action needs of its caller.
pub fn right_of(action: &Action) -> Right {
    match action {
        Action::PutEnvironment(_) => Right::PutEnvironment,
        Action::PatchEnvironment(_)
        | Action::RenameEnvironment { .. }
        | Action::JoinEnvironment { .. } => Right::ChangeEnvironment,
        Action::ArchiveEnvironment { .. } => Right::ArchiveEnvironment,
        Action::TagEnvironment { .. } => Right::Tag,
        Action::Flow(action) => match action {
            FlowAction::Put(_) | FlowAction::Archive { .. } | FlowAction::Rename { .. } => {
                Right::ChangeFlow
            }
            FlowAction::Tag { .. } | FlowAction::TagRepo { .. } => Right::Tag,
            FlowAction::PutTrail(_) | FlowAction::ReportArtifact(_) | FlowAction::Attest(_) => {
                Right::Attest
            }
        },
        Action::Legacy(_) => Right::Attest,
        Action::Type(_) => Right::ChangeFlow,
        Action::Control(_) => Right::ChangeControl,
        Action::RecordReport(_) => Right::ReportSnapshot,
        Action::RecordObservation { .. }
        | Action::ShareSeen(_)
        | Action::PutOrganization { .. }
        | Action::PutLimits { .. }
        | Action::CloseOrganization { .. }
        | Action::EraseBodies { .. }
        | Action::PutUser { .. }
        | Action::PutRole { .. }
        | Action::PutUserKey { .. }
        | Action::PutServiceAccount { .. }
        | Action::PutServiceAccountKey { .. }
        | Action::RotateKey { .. }
        | Action::BeginEpoch { .. }
        | Action::NoteClockMovedBack { .. } => Right::Administer,
    }
}

/// Whether a key may be used at `now`.
pub fn is_active(key: &ApiKey, now: Micros) -> bool {
    key.revoked_at.is_none_or(|at| at > now) && key.expires_at.is_none_or(|at| at > now)
}

/// Decides `command` at the instant `received`.
pub fn decide(command: &Command, received: Micros, view: &View) -> Result<Decision, Stop> {
    let organization = if command.organization.is_empty() {
        SERVER
    } else {
        match view.organization_named(&command.organization)? {
            Some(no) => no,
            // A caller learns nothing about organizations it may not see.
            None => {
                return Err(match command.caller {
                    Caller::System(_) => Refusal::OrganizationMissing {
                        name: command.organization.clone(),
                    },
                    Caller::Anonymous => Refusal::Unauthorized,
                    Caller::Key(verifier) | Caller::Historian { key: verifier, .. } => {
                        match view.key(verifier)? {
                            Some(key) if is_active(&key, received) => Refusal::Forbidden,
                            _ => Refusal::Unauthorized,
                        }
                    }
                }
                .into());
            }
        }
    };
    let known = if organization == SERVER {
        None
    } else {
        Some(view.organization(organization)?.ok_or(Refusal::Forbidden)?)
    };
    let actor = authorise(command, organization, received, view)?;
    if let Some(known) = &known
        && known.closed_at.is_some()
    {
        match &command.action {
            Action::EraseBodies { .. }
            | Action::RotateKey { .. }
            | Action::BeginEpoch { .. }
            | Action::NoteClockMovedBack { .. } => {}
            // What was seen before is of no use to anyone.
            Action::RecordObservation { .. } => {
                return Ok(Decision {
                    reply: Reply::Unchanged,
                    entries: Vec::new(),
                    seen: Vec::new(),
                });
            }
            _ => {
                return Err(match command.caller {
                    Caller::System(_) => Refusal::OrganizationClosed {
                        name: command.organization.clone(),
                    },
                    _ => Refusal::Forbidden,
                }
                .into());
            }
        }
    }
    let id = known.map_or_else(|| SERVER_NAME.to_owned(), |known| known.id.clone());
    let history = command.caller.history();
    if let Some(claim) = history {
        if claim.by.len() > REPORTER_BYTES_MAX {
            return Err(Refusal::LimitExceeded {
                what: "the reporter's name in bytes",
                limit: REPORTER_BYTES_MAX as u64,
            }
            .into());
        }
        if let Some(sequence) = claim.sequence
            && view
                .sequence(organization, HISTORY, &claim.by)?
                .is_some_and(|last| sequence <= last)
        {
            return Ok(Decision {
                reply: Reply::Replayed,
                entries: Vec::new(),
                seen: Vec::new(),
            });
        }
    }
    let at = history.and_then(|claim| claim.at).unwrap_or(received);
    if at > received {
        return Err(Refusal::HistoryOfTheFuture { at }.into());
    }
    Deciding {
        command,
        organization,
        id,
        actor,
        received,
        at,
        view,
        entries: Vec::new(),
        salts: 0,
        chained: Vec::new(),
    }
    .decide()
}

fn authorise(
    command: &Command,
    organization: OrganizationNo,
    received: Micros,
    view: &View,
) -> Result<Actor, Stop> {
    let verifier = match &command.caller {
        Caller::System(job) => return Ok(Actor::System((*job).to_owned())),
        Caller::Anonymous => return Err(Refusal::Unauthorized.into()),
        Caller::Key(verifier) | Caller::Historian { key: verifier, .. } => *verifier,
    };
    let key = view.key(verifier)?.ok_or(Refusal::Unauthorized)?;
    if !is_active(&key, received) {
        return Err(Refusal::Unauthorized.into());
    }
    let (role, actor) = match key.principal {
        Principal::User(user) => (view.membership(organization, user)?, Actor::User(user)),
        // With its organization an account has ended, too.
        Principal::Account(home, _)
            if view
                .organization(home)?
                .is_some_and(|home| home.closed_at.is_some()) =>
        {
            return Err(Refusal::Unauthorized.into());
        }
        Principal::Account(home, account) if home == organization => (
            view.account(home, account)?.map(|account| account.role),
            Actor::Account(account),
        ),
        Principal::Account(..) => (None, Actor::System(String::new())),
    };
    let right = right_of(&command.action);
    let may_tell =
        |role: Role| command.caller.history().is_none() || role.allows(Right::Administer);
    match role {
        Some(role) if role.allows(right) && may_tell(role) => Ok(actor),
        Some(_) if right == Right::ArchiveEnvironment => Err(Refusal::ForbiddenToArchive.into()),
        _ => Err(Refusal::Forbidden.into()),
    }
}

struct Deciding<'a> {
    command: &'a Command,
    organization: OrganizationNo,
    id: String,
    actor: Actor,
    received: Micros,
    /// Since when holds what is decided: `received`, or the claimed time of imported history.
    at: Micros,
    view: &'a View,
    entries: Vec<(OrganizationNo, Entry)>,
    /// So many private bodies have their random bytes.
    salts: u32,
    /// Subjects this decision has already made an entry for; their next entry follows it.
    chained: Vec<Subject>,
}

/// Previous index of a subject whose previous entry is made by the same decision: the writer
/// puts the real index in its place.
pub const PREVIOUS_IN_BATCH: u64 = u64::MAX;

impl Deciding<'_> {
    fn decide(mut self) -> Result<Decision, Stop> {
        let mut seen = Vec::new();
        let reply = match &self.command.action {
            Action::PutEnvironment(put) => self.put_environment(put)?,
            Action::PatchEnvironment(patch) => self.patch_environment(patch)?,
            Action::ArchiveEnvironment { environment } => self.archive(environment)?,
            Action::RenameEnvironment {
                environment,
                new_name,
            } => self.rename_environment(environment, new_name)?,
            Action::JoinEnvironment { logical, physical } => self.join(logical, physical)?,
            Action::TagEnvironment {
                environment,
                set,
                remove,
            } => self.tag(environment, set, remove)?,
            Action::Flow(action) => self.flow_action(action)?,
            Action::Legacy(action) => self.legacy_action(action)?,
            Action::Type(action) => self.type_action(action)?,
            Action::Control(action) => self.control_action(action)?,
            Action::RecordReport(report) => self.record_report(report, &mut seen)?,
            Action::RecordObservation {
                environment,
                unshared,
            } => {
                let before = self.entries.len();
                self.observe(*environment, unshared.as_ref(), &mut seen)?;
                if self.entries.len() > before {
                    Reply::Changed
                } else {
                    Reply::Unchanged
                }
            }
            Action::ShareSeen(shared) => {
                for (organization, environment, unshared) in shared {
                    let known = self.view.seen(*organization, *environment)?;
                    seen.push((
                        *organization,
                        *environment,
                        merge_seen(known.as_ref(), Some(unshared)),
                    ));
                }
                Reply::Changed
            }
            Action::PutOrganization {
                id,
                name,
                kind,
                public,
                description,
            } => self.put_organization(id, name, *kind, *public, description)?,
            Action::PutLimits { name, limits } => self.put_limits(name, limits)?,
            Action::CloseOrganization { name, reason } => self.close_organization(name, reason)?,
            Action::EraseBodies { bodies, reason } => self.erase_bodies(bodies, reason)?,
            Action::PutUser { name, email } => self.put_user(name, email)?,
            Action::PutRole { user, role } => self.put_role(user, *role)?,
            Action::PutUserKey { user, key } => self.put_user_key(user, key)?,
            Action::PutServiceAccount {
                name,
                role,
                description,
            } => self.put_service_account(name, *role, description)?,
            Action::PutServiceAccountKey { account, key } => {
                self.put_service_account_key(account, key)?
            }
            Action::RotateKey { generation } => {
                self.append(
                    Subject::Log,
                    Event::KeyRotated {
                        generation: *generation,
                        // The writer, which alone knows the keys, fills it in.
                        vkey: String::new(),
                    },
                )?;
                Reply::Changed
            }
            Action::BeginEpoch {
                epoch,
                origin,
                size,
                root,
                signed_size,
                reason,
            } => {
                let salt = self.salt();
                self.append(
                    Subject::Log,
                    Event::EpochBegun {
                        epoch: epoch.clone(),
                        origin: origin.clone(),
                        size: *size,
                        root: *root,
                        signed_size: *signed_size,
                        reason: reason.clone(),
                        salt,
                    },
                )?;
                Reply::Created
            }
            Action::NoteClockMovedBack { by } => {
                self.append(Subject::Log, Event::ClockMovedBack { by: *by })?;
                Reply::Changed
            }
        };
        Ok(Decision {
            reply,
            entries: self.entries,
            seen,
        })
    }

    /// Random bytes for the next private body.
    fn salt(&mut self) -> Salt {
        self.salts += 1;
        self.command.body_salt(self.salts)
    }

    /// A text in a private body of its own.
    fn text(&mut self, text: &str) -> Text {
        Text {
            text: Some(text.to_owned()),
            salt: self.salt(),
        }
    }

    fn append(&mut self, subject: Subject, event: Event) -> Result<(), Stop> {
        self.append_claimed(subject, event, None, None)
    }

    /// An entry of a subject that has none yet.
    fn append_new(&mut self, subject: Subject, event: Event) {
        self.push(subject, None, event, None, None);
    }

    /// Refuses history of what was changed later, or is observed by now (D10).
    fn check_history(&self, subject: Subject) -> Result<(), Stop> {
        let organization = self.organization;
        match subject {
            Subject::Environment(no) => {
                let Some(known) = self.view.environment(organization, no)? else {
                    return Ok(());
                };
                if known.snapshots > known.imported && !known.kind.is_logical() {
                    let name = known.name.clone();
                    return Err(Refusal::HistoryAfterLive { name }.into());
                }
                let last = known
                    .changed_at
                    .map_or(known.created_at, |changed| changed.max(known.created_at));
                self.check_order(|| format!("environment '{}'", known.name), last)
            }
            Subject::Trail(no) => match self.view.trail(organization, no)? {
                Some(trail) => {
                    self.check_order(|| format!("trail '{}'", trail.name), trail.modified_at)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check_order(&self, what: impl Fn() -> String, last: Micros) -> Result<(), Stop> {
        if last <= self.at {
            return Ok(());
        }
        let at = self.at;
        Err(Refusal::HistoryOutOfOrder {
            what: what(),
            last,
            at,
        }
        .into())
    }

    fn append_claimed(
        &mut self,
        subject: Subject,
        event: Event,
        claim: Option<Claim>,
        state: Option<Digest>,
    ) -> Result<(), Stop> {
        let previous = if self.chained.contains(&subject) {
            Some(PREVIOUS_IN_BATCH)
        } else {
            if self.command.caller.history().is_some() {
                self.check_history(subject)?;
            }
            self.view.subject(self.organization, subject)?
        };
        self.push(subject, previous, event, claim, state);
        Ok(())
    }

    fn push(
        &mut self,
        subject: Subject,
        previous: Option<u64>,
        event: Event,
        claim: Option<Claim>,
        state: Option<Digest>,
    ) {
        self.chained.push(subject);
        let claim = self.command.caller.history().cloned().or(claim);
        self.entries.push((
            self.organization,
            Entry {
                organization: self.id.clone(),
                event,
                subjects: vec![(subject, previous)],
                actor: self.actor.clone(),
                received: self.received,
                claim,
                state,
            },
        ));
    }
}
