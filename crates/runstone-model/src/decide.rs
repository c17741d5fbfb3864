//! Decisions: a command and the facts give entries, or a refusal.
//!
//! Pure and total: the same command on the same facts decides the same. A fact that is not
//! loaded stops the decision with its name; nothing is assumed.

use std::sync::Arc;

use crate::command::{
    Action, Caller, Command, NewKey, PatchEnvironment, PutEnvironment, RecordReport, Refusal, Reply,
};
use crate::event::{
    Actor, Claim, Effects, Entry, Event, KeySecret, REPORTER_BYTES_MAX, Settings, Subject,
};
use crate::fact::{
    ApiKey, Environment, EnvironmentNo, Identity, OrganizationNo, Principal, SERVER, SERVER_NAME,
    Seen,
};
use crate::id::{Digest, Micros};
use crate::name::EnvironmentKind;
use crate::role::Right;
use crate::state::Head;
use crate::view::{FactKey, Need, View};

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

/// The facts `command` reads that `view` lacks, as far as they can be told from what it has.
/// Loading them and asking again ends after a few rounds with nothing.
pub fn needs(command: &Command, view: &View) -> Vec<FactKey> {
    let mut keys = Vec::new();
    collect_needs(command, view, &mut keys);
    keys.retain(|key| !view.knows(key));
    keys
}

/// Collects keys; a missing key ends the walk early, because the rest hangs on it.
fn collect_needs(command: &Command, view: &View, keys: &mut Vec<FactKey>) -> Option<()> {
    if let Caller::Key(verifier) = &command.caller {
        keys.push(FactKey::Key(*verifier));
    }
    let organization = if command.organization.is_empty() {
        SERVER
    } else {
        keys.push(FactKey::OrganizationNamed(command.organization.clone()));
        view.organization_named(&command.organization).ok()??
    };
    keys.push(FactKey::Organization(organization));
    keys.push(FactKey::Counters(organization));
    if let Caller::Key(verifier) = &command.caller
        && let Ok(Some(key)) = view.key(*verifier)
    {
        match key.principal {
            Principal::User(user) => keys.push(FactKey::Membership(organization, user)),
            Principal::Account(home, account) => keys.push(FactKey::Account(home, account)),
        }
    }
    let environment = |name: &str, keys: &mut Vec<FactKey>| -> Option<EnvironmentNo> {
        keys.push(FactKey::EnvironmentNamed(organization, name.to_owned()));
        let no = view.environment_named(organization, name).ok()??;
        keys.push(FactKey::Environment(organization, no));
        keys.push(FactKey::Subject(organization, Subject::Environment(no)));
        Some(no)
    };
    match &command.action {
        Action::RecordReport(report) => {
            let no = environment(&report.environment, keys)?;
            keys.push(FactKey::Head(organization, no));
            keys.push(FactKey::Seen(organization, no));
            keys.push(FactKey::LogicalsOf(organization, no));
            if let Some(claim) = &report.claim {
                keys.push(FactKey::Sequence(organization, no, claim.by.clone()));
            }
            let head = view.head(organization, no).ok()?;
            let environment = view.environment(organization, no).ok()??;
            let difference = difference(head.as_deref(), report, environment.include_scaling);
            for (identity, _) in difference.added {
                keys.push(FactKey::Record(organization, identity));
            }
            for logical in view.logicals_of(organization, no).ok()?.iter() {
                keys.push(FactKey::Environment(organization, *logical));
                keys.push(FactKey::Head(organization, *logical));
                if let Ok(Some(logical)) = view.environment(organization, *logical) {
                    for member in &logical.members {
                        keys.push(FactKey::Head(organization, *member));
                    }
                }
            }
        }
        Action::PutEnvironment(put) => {
            let no = environment(&put.name, keys);
            for member in put.included_environments.iter().flatten() {
                if let Some(member) = environment(member, keys) {
                    keys.push(FactKey::Head(organization, member));
                }
            }
            if let Some(no) = no {
                keys.push(FactKey::Head(organization, no));
            }
        }
        Action::PatchEnvironment(patch) => {
            let no = environment(&patch.environment, keys)?;
            keys.push(FactKey::Head(organization, no));
            for member in patch.included_environments.iter().flatten() {
                if let Some(member) = environment(member, keys) {
                    keys.push(FactKey::Head(organization, member));
                }
            }
        }
        Action::ArchiveEnvironment { environment: name } => {
            let no = environment(name, keys)?;
            keys.push(FactKey::LogicalsOf(organization, no));
            keys.push(FactKey::Seen(organization, no));
        }
        Action::RenameEnvironment {
            environment: name,
            new_name,
        } => {
            environment(name, keys);
            environment(new_name, keys);
        }
        Action::JoinEnvironment { logical, physical } => {
            let logical = environment(logical, keys);
            let physical = environment(physical, keys)?;
            keys.push(FactKey::Head(organization, physical));
            keys.push(FactKey::LogicalsOf(organization, physical));
            keys.push(FactKey::Head(organization, logical?));
        }
        Action::TagEnvironment {
            environment: name, ..
        } => {
            environment(name, keys);
        }
        Action::RecordObservation { environment, .. } => {
            keys.push(FactKey::Environment(organization, *environment));
            keys.push(FactKey::Seen(organization, *environment));
            keys.push(FactKey::Subject(
                organization,
                Subject::Environment(*environment),
            ));
        }
        Action::ShareSeen(seen) => {
            for (organization, environment, _) in seen {
                keys.push(FactKey::Seen(*organization, *environment));
            }
        }
        Action::PutOrganization { name, .. } => {
            keys.push(FactKey::OrganizationNamed(name.clone()));
            if let Ok(Some(no)) = view.organization_named(name) {
                keys.push(FactKey::Organization(no));
                keys.push(FactKey::Subject(SERVER, Subject::Organization(no)));
            }
        }
        Action::PutUser { name, .. } => {
            keys.push(FactKey::UserNamed(name.clone()));
            if let Ok(Some(no)) = view.user_named(name) {
                keys.push(FactKey::User(no));
                keys.push(FactKey::Subject(SERVER, Subject::User(no)));
            }
        }
        Action::PutRole { user, .. } => {
            keys.push(FactKey::UserNamed(user.clone()));
            if let Ok(Some(no)) = view.user_named(user) {
                keys.push(FactKey::Membership(organization, no));
                keys.push(FactKey::Subject(organization, Subject::User(no)));
            }
        }
        Action::PutUserKey { user, key } => {
            keys.push(FactKey::UserNamed(user.clone()));
            keys.push(FactKey::Key(key.verifier));
            if let Ok(Some(no)) = view.user_named(user) {
                keys.push(FactKey::Subject(SERVER, Subject::User(no)));
            }
        }
        Action::PutServiceAccount { name, .. } => {
            keys.push(FactKey::AccountNamed(organization, name.clone()));
            if let Ok(Some(no)) = view.account_named(organization, name) {
                keys.push(FactKey::Account(organization, no));
                keys.push(FactKey::Subject(organization, Subject::Account(no)));
            }
        }
        Action::PutServiceAccountKey { account, key } => {
            keys.push(FactKey::AccountNamed(organization, account.clone()));
            keys.push(FactKey::Key(key.verifier));
            if let Ok(Some(no)) = view.account_named(organization, account) {
                keys.push(FactKey::Subject(organization, Subject::Account(no)));
            }
        }
        Action::RotateKey { .. }
        | Action::BeginEpoch { .. }
        | Action::NoteClockMovedBack { .. } => {
            keys.push(FactKey::Subject(organization, Subject::Log));
        }
    }
    Some(())
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
        Action::RecordReport(_) => Right::ReportSnapshot,
        Action::RecordObservation { .. }
        | Action::ShareSeen(_)
        | Action::PutOrganization { .. }
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
                    Caller::Key(verifier) => match view.key(verifier)? {
                        Some(key) if is_active(&key, received) => Refusal::Forbidden,
                        _ => Refusal::Unauthorized,
                    },
                }
                .into());
            }
        }
    };
    let actor = authorise(command, organization, received, view)?;
    let id = if organization == SERVER {
        SERVER_NAME.to_owned()
    } else {
        view.organization(organization)?
            .ok_or(Refusal::Forbidden)?
            .id
            .clone()
    };
    Deciding {
        command,
        organization,
        id,
        actor,
        received,
        view,
        entries: Vec::new(),
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
        Caller::Key(verifier) => *verifier,
    };
    let key = view.key(verifier)?.ok_or(Refusal::Unauthorized)?;
    if !is_active(&key, received) {
        return Err(Refusal::Unauthorized.into());
    }
    let (role, actor) = match key.principal {
        Principal::User(user) => (view.membership(organization, user)?, Actor::User(user)),
        Principal::Account(home, account) if home == organization => (
            view.account(home, account)?.map(|account| account.role),
            Actor::Account(account),
        ),
        Principal::Account(..) => (None, Actor::System(String::new())),
    };
    let right = right_of(&command.action);
    match role {
        Some(role) if role.allows(right) => Ok(actor),
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
    view: &'a View,
    entries: Vec<(OrganizationNo, Entry)>,
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
            Action::ArchiveEnvironment { environment } => {
                let known = self.live_environment(environment)?;
                let seconds = self.received.0.div_euclid(Micros::SECOND);
                self.append(
                    Subject::Environment(known.no),
                    Event::EnvironmentArchived {
                        no: known.no,
                        name: format!("{}-archived-at-{seconds}", known.name),
                    },
                )?;
                Reply::Changed
            }
            Action::RenameEnvironment {
                environment,
                new_name,
            } => self.rename_environment(environment, new_name)?,
            Action::JoinEnvironment { logical, physical } => self.join(logical, physical)?,
            Action::TagEnvironment {
                environment,
                set,
                remove,
            } => {
                let known = self.live_environment(environment)?;
                let mut after = known.tags.clone();
                crate::view::apply_tags(&mut after, set, remove);
                if after == known.tags {
                    Reply::Unchanged
                } else {
                    self.append(
                        Subject::Environment(known.no),
                        Event::EnvironmentTagged {
                            no: known.no,
                            set: set.clone(),
                            removed: remove.clone(),
                            salt: self.command.salt,
                        },
                    )?;
                    Reply::Changed
                }
            }
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
            } => match self.view.organization_named(name)? {
                None => {
                    let counters = self.view.counters(SERVER)?;
                    let no = OrganizationNo(counters.organizations + 1);
                    self.append_new(
                        Subject::Organization(no),
                        Event::OrganizationCreated {
                            no,
                            id: id.clone(),
                            name: name.clone(),
                            kind: *kind,
                            public: *public,
                            description: description.clone(),
                            salt: self.command.salt,
                        },
                    );
                    Reply::Created
                }
                Some(no) => {
                    let known = self.view.organization(no)?.ok_or(Refusal::Forbidden)?;
                    if known.kind != *kind {
                        return Err(Refusal::OrganizationOfOtherKind {
                            name: name.clone(),
                            kind: known.kind,
                        }
                        .into());
                    }
                    if known.public == *public && known.description == *description {
                        Reply::Unchanged
                    } else {
                        self.append(
                            Subject::Organization(no),
                            Event::OrganizationChanged {
                                no,
                                public: *public,
                                description: description.clone(),
                                salt: self.command.salt,
                            },
                        )?;
                        Reply::Changed
                    }
                }
            },
            Action::PutUser { name, email } => match self.view.user_named(name)? {
                None => {
                    let no = crate::fact::UserNo(self.view.counters(SERVER)?.users + 1);
                    self.append_new(
                        Subject::User(no),
                        Event::UserCreated {
                            no,
                            name: name.clone(),
                            email: email.clone(),
                            salt: self.command.salt,
                        },
                    );
                    Reply::Created
                }
                Some(no) => {
                    let known = self.view.user(no)?.ok_or(Refusal::Forbidden)?;
                    if known.email == *email {
                        Reply::Unchanged
                    } else {
                        self.append(
                            Subject::User(no),
                            Event::UserChanged {
                                no,
                                name: name.clone(),
                                email: email.clone(),
                                salt: self.command.salt,
                            },
                        )?;
                        Reply::Changed
                    }
                }
            },
            Action::PutRole { user, role } => {
                let no = self.user(user)?;
                if self.view.membership(self.organization, no)? == Some(*role) {
                    Reply::Unchanged
                } else {
                    self.append(
                        Subject::User(no),
                        Event::RoleGranted {
                            user: no,
                            role: *role,
                        },
                    )?;
                    Reply::Changed
                }
            }
            Action::PutUserKey { user, key } => {
                let no = self.user(user)?;
                if self.key_exists(key, Principal::User(no), user)? {
                    Reply::Unchanged
                } else {
                    self.append(
                        Subject::User(no),
                        Event::UserKeyCreated {
                            user: no,
                            key: key.id.clone(),
                            expires_at: key.expires_at,
                            secret: secret(key),
                            salt: self.command.salt,
                        },
                    )?;
                    Reply::Created
                }
            }
            Action::PutServiceAccount {
                name,
                role,
                description,
            } => match self.view.account_named(self.organization, name)? {
                None => {
                    let counters = self.view.counters(self.organization)?;
                    let no = crate::fact::AccountNo(counters.accounts + 1);
                    self.append_new(
                        Subject::Account(no),
                        Event::ServiceAccountCreated {
                            no,
                            name: name.clone(),
                            role: *role,
                            description: description.clone(),
                            salt: self.command.salt,
                        },
                    );
                    Reply::Created
                }
                Some(no) => {
                    let known = self
                        .view
                        .account(self.organization, no)?
                        .ok_or(Refusal::Forbidden)?;
                    if known.role == *role && known.description == *description {
                        Reply::Unchanged
                    } else {
                        self.append(
                            Subject::Account(no),
                            Event::ServiceAccountChanged {
                                no,
                                role: *role,
                                description: description.clone(),
                                salt: self.command.salt,
                            },
                        )?;
                        Reply::Changed
                    }
                }
            },
            Action::PutServiceAccountKey { account, key } => {
                let no = self
                    .view
                    .account_named(self.organization, account)?
                    .ok_or_else(|| Refusal::AccountMissing {
                        name: account.clone(),
                        organization: self.command.organization.clone(),
                    })?;
                let principal = Principal::Account(self.organization, no);
                if self.key_exists(key, principal, account)? {
                    Reply::Unchanged
                } else {
                    self.append(
                        Subject::Account(no),
                        Event::ServiceAccountKeyCreated {
                            account: no,
                            key: key.id.clone(),
                            expires_at: key.expires_at,
                            secret: secret(key),
                            salt: self.command.salt,
                        },
                    )?;
                    Reply::Created
                }
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
                self.append(
                    Subject::Log,
                    Event::EpochBegun {
                        epoch: epoch.clone(),
                        origin: origin.clone(),
                        size: *size,
                        root: *root,
                        signed_size: *signed_size,
                        reason: reason.clone(),
                        salt: self.command.salt,
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

    fn append(&mut self, subject: Subject, event: Event) -> Result<(), Stop> {
        self.append_claimed(subject, event, None, None)
    }

    /// An entry of a subject that has none yet.
    fn append_new(&mut self, subject: Subject, event: Event) {
        self.push(subject, None, event, None, None);
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

    fn user(&self, name: &str) -> Result<crate::fact::UserNo, Stop> {
        self.view.user_named(name)?.ok_or_else(|| {
            Refusal::UserMissing {
                name: name.to_owned(),
            }
            .into()
        })
    }

    fn key_exists(&self, key: &NewKey, principal: Principal, owner: &str) -> Result<bool, Stop> {
        match self.view.key(key.verifier)? {
            None => Ok(false),
            Some(known) if known.principal == principal => Ok(true),
            Some(_) => Err(Refusal::KeyInUse {
                owner: owner.to_owned(),
            }
            .into()),
        }
    }

    fn missing(&self, name: &str) -> Stop {
        Refusal::EnvironmentMissing {
            name: name.to_owned(),
            organization: self.command.organization.clone(),
        }
        .into()
    }

    fn live_environment(&self, name: &str) -> Result<Arc<Environment>, Stop> {
        let no = self
            .view
            .environment_named(self.organization, name)?
            .ok_or_else(|| self.missing(name))?;
        let known = self
            .view
            .environment(self.organization, no)?
            .ok_or_else(|| self.missing(name))?;
        if known.archived_at.is_some() {
            return Err(Refusal::EnvironmentArchived {
                name: name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        Ok(known)
    }

    fn refuse_policies(&self, policies: Option<&Vec<String>>) -> Result<(), Stop> {
        match policies.and_then(|policies| policies.first()) {
            None => Ok(()),
            Some(name) => Err(Refusal::PolicyMissing {
                name: name.clone(),
                organization: self.command.organization.clone(),
            }
            .into()),
        }
    }

    /// The members named, each once, in the order given.
    fn members(&self, names: &[String]) -> Result<Vec<EnvironmentNo>, Stop> {
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.live_environment(name)?;
            if member.kind == EnvironmentKind::Logical {
                return Err(Refusal::MemberIsLogical.into());
            }
            if !members.contains(&member.no) {
                members.push(member.no);
            }
        }
        Ok(members)
    }

    /// The logical snapshot that a change of members makes, if any member was ever recorded.
    fn logical_snapshot(
        &self,
        logical: Option<EnvironmentNo>,
        members: &[EnvironmentNo],
    ) -> Result<Option<u64>, Stop> {
        let head = match logical {
            Some(no) => self.view.head(self.organization, no)?,
            None => None,
        };
        let mut recorded = head.is_some();
        for member in members {
            recorded |= self.view.head(self.organization, *member)?.is_some();
        }
        Ok(recorded.then(|| head.map_or(1, |head| head.no + 1)))
    }

    fn put_environment(&mut self, put: &PutEnvironment) -> Result<Reply, Stop> {
        let known = match self.view.environment_named(self.organization, &put.name)? {
            Some(no) => self
                .view
                .environment(self.organization, no)?
                // A name that only leads to a renamed or archived one is free.
                .filter(|known| known.archived_at.is_none() && known.name == put.name),
            None => None,
        };
        self.refuse_policies(put.policies.as_ref())?;
        let Some(known) = known else {
            let members = if put.kind == EnvironmentKind::Logical {
                self.members(put.included_environments.as_deref().unwrap_or_default())?
            } else {
                Vec::new()
            };
            let snapshot = if put.kind == EnvironmentKind::Logical {
                self.logical_snapshot(None, &members)?
            } else {
                None
            };
            let counters = self.view.counters(self.organization)?;
            let no = EnvironmentNo(counters.environments + 1);
            self.append_new(
                Subject::Environment(no),
                Event::EnvironmentCreated {
                    no,
                    name: put.name.clone(),
                    kind: put.kind,
                    settings: Settings {
                        description: put.description.clone(),
                        include_scaling: put.include_scaling.unwrap_or(false)
                            && put.kind != EnvironmentKind::Logical,
                        require_provenance: put.require_provenance.unwrap_or(false),
                        members,
                    },
                    snapshot,
                    salt: self.command.salt,
                },
            );
            return Ok(Reply::Created);
        };
        if known.kind != put.kind {
            return Err(Refusal::EnvironmentOfOtherKind {
                name: put.name.clone(),
                kind: known.kind,
            }
            .into());
        }
        // A snapshotter's re-put creates or changes nothing (D18).
        if !self.may_change()? {
            return Ok(Reply::Unchanged);
        }
        let members = match &put.included_environments {
            Some(names) if known.kind == EnvironmentKind::Logical => self.members(names)?,
            _ => known.members.clone(),
        };
        self.change_settings(
            &known,
            Settings {
                description: if put.description.is_empty() {
                    known.description.clone()
                } else {
                    put.description.clone()
                },
                include_scaling: put.include_scaling.unwrap_or(known.include_scaling)
                    && known.kind != EnvironmentKind::Logical,
                require_provenance: put.require_provenance.unwrap_or(known.require_provenance),
                members,
            },
        )
    }

    fn may_change(&self) -> Result<bool, Stop> {
        let Caller::Key(verifier) = self.command.caller else {
            return Ok(true);
        };
        let key = self.view.key(verifier)?.ok_or(Refusal::Unauthorized)?;
        let role = match key.principal {
            Principal::User(user) => self.view.membership(self.organization, user)?,
            Principal::Account(home, account) => self
                .view
                .account(home, account)?
                .map(|account| account.role),
        };
        Ok(role.is_some_and(|role| role.allows(Right::ChangeEnvironment)))
    }

    fn change_settings(&mut self, known: &Environment, after: Settings) -> Result<Reply, Stop> {
        let before = Settings {
            description: known.description.clone(),
            include_scaling: known.include_scaling,
            require_provenance: known.require_provenance,
            members: known.members.clone(),
        };
        if before == after {
            return Ok(Reply::Unchanged);
        }
        let snapshot = if before.members == after.members {
            None
        } else {
            self.logical_snapshot(Some(known.no), &after.members)?
        };
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentChanged {
                no: known.no,
                settings: after,
                snapshot,
                salt: self.command.salt,
            },
        )?;
        Ok(Reply::Changed)
    }

    fn patch_environment(&mut self, patch: &PatchEnvironment) -> Result<Reply, Stop> {
        let known = self.live_environment(&patch.environment)?;
        self.refuse_policies(patch.policies.as_ref())?;
        let members = match &patch.included_environments {
            Some(names) => {
                if known.kind != EnvironmentKind::Logical {
                    return Err(Refusal::NotLogical {
                        name: patch.environment.clone(),
                    }
                    .into());
                }
                self.members(names)?
            }
            None => known.members.clone(),
        };
        self.change_settings(
            &known,
            Settings {
                description: patch
                    .description
                    .clone()
                    .unwrap_or_else(|| known.description.clone()),
                include_scaling: patch.include_scaling.unwrap_or(known.include_scaling)
                    && known.kind != EnvironmentKind::Logical,
                require_provenance: known.require_provenance,
                members,
            },
        )
    }

    fn rename_environment(&mut self, name: &str, new_name: &str) -> Result<Reply, Stop> {
        let known = self.live_environment(name)?;
        if known.name == new_name {
            return Ok(Reply::Unchanged);
        }
        if let Some(other) = self.view.environment_named(self.organization, new_name)?
            && other != known.no
            && let Some(other) = self.view.environment(self.organization, other)?
            && other.archived_at.is_none()
            && other.name == new_name
        {
            return Err(Refusal::EnvironmentExists {
                name: new_name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        self.append(
            Subject::Environment(known.no),
            Event::EnvironmentRenamed {
                no: known.no,
                name: new_name.to_owned(),
            },
        )?;
        Ok(Reply::Changed)
    }

    fn join(&mut self, logical: &str, physical: &str) -> Result<Reply, Stop> {
        let known = self.live_environment(logical)?;
        let member = self.live_environment(physical)?;
        if member.kind == EnvironmentKind::Logical {
            return Err(Refusal::MemberIsLogical.into());
        }
        if known.kind != EnvironmentKind::Logical {
            return Err(Refusal::NotLogical {
                name: logical.to_owned(),
            }
            .into());
        }
        let mut members = known.members.clone();
        if members.contains(&member.no) {
            return Ok(Reply::Unchanged);
        }
        members.push(member.no);
        self.change_settings(
            &known,
            Settings {
                description: known.description.clone(),
                include_scaling: known.include_scaling,
                require_provenance: known.require_provenance,
                members,
            },
        )
    }

    /// Journals what was observed since the environment's last entry, if anything was (D8).
    fn observe(
        &mut self,
        environment: EnvironmentNo,
        unshared: Option<&Seen>,
        seen: &mut Vec<(OrganizationNo, EnvironmentNo, Seen)>,
    ) -> Result<(), Stop> {
        let shared = self.view.seen(self.organization, environment)?;
        let observed = merge_seen(shared.as_ref(), unshared);
        if observed.reports > 0 {
            self.append(
                Subject::Environment(environment),
                Event::ObservationRecorded {
                    environment,
                    from: observed.from,
                    to: observed.to,
                    reports: observed.reports,
                    longest_gap: observed.longest_gap,
                    reporter: observed.reporter.clone(),
                },
            )?;
            seen.push((
                self.organization,
                environment,
                Seen {
                    from: observed.to,
                    to: observed.to,
                    reports: 0,
                    longest_gap: 0,
                    reporter: observed.reporter,
                },
            ));
        }
        Ok(())
    }

    fn record_report(
        &mut self,
        report: &RecordReport,
        seen: &mut Vec<(OrganizationNo, EnvironmentNo, Seen)>,
    ) -> Result<Reply, Stop> {
        let known = self.live_environment(&report.environment)?;
        if known.kind == EnvironmentKind::Logical {
            return Err(Refusal::ReportToLogical {
                name: report.environment.clone(),
            }
            .into());
        }
        if known.kind != report.kind {
            return Err(Refusal::ReportOfOtherKind {
                name: report.environment.clone(),
                kind: known.kind,
                reported: report.kind,
            }
            .into());
        }
        if let Some(claim) = &report.claim
            && claim.by.len() > REPORTER_BYTES_MAX
        {
            return Err(Refusal::LimitExceeded {
                what: "the reporter's name in bytes",
                limit: REPORTER_BYTES_MAX as u64,
            }
            .into());
        }
        if let Some(claim) = &report.claim
            && let Some(sequence) = claim.sequence
            && self
                .view
                .sequence(self.organization, known.no, &claim.by)?
                .is_some_and(|last| sequence <= last)
        {
            return Ok(Reply::Replayed);
        }
        let head = self.view.head(self.organization, known.no)?;
        let difference = difference(head.as_deref(), report, known.include_scaling);
        if head.is_some() && difference.added.is_empty() && difference.removed.is_empty() {
            return Ok(Reply::Unchanged);
        }
        // The writer finds or makes the records when it projects; they must be loaded by then.
        for (identity, _) in &difference.added {
            self.view.record(self.organization, identity)?;
        }
        let empty = Head::default();
        let before = head.as_deref().unwrap_or(&empty);
        let added: Vec<Digest> = difference
            .added
            .iter()
            .map(|(identity, _)| identity.digest())
            .collect();
        let state = before.digest_after(difference.removed.iter(), added.iter());
        let effective = report
            .claim
            .as_ref()
            .and_then(|claim| claim.at)
            .map_or(self.received, |at| at.clamp(before.at, self.received));
        let mut logical = Vec::new();
        for no in self.view.logicals_of(self.organization, known.no)?.iter() {
            let next = self
                .view
                .head(self.organization, *no)?
                .map_or(1, |head| head.no + 1);
            logical.push((*no, next));
        }
        let snapshot = before.no + 1;
        self.observe(known.no, report.unshared.as_ref(), seen)?;
        self.append_claimed(
            Subject::Environment(known.no),
            Event::SnapshotRecorded {
                environment: known.no,
                snapshot,
                effective,
                effects: Arc::new(Effects {
                    logical,
                    ..difference
                }),
            },
            report.claim.clone(),
            Some(state),
        )?;
        // The report itself is the first observation of what comes.
        seen.retain(|(_, no, _)| *no != known.no);
        seen.push((
            self.organization,
            known.no,
            Seen {
                from: self.received,
                to: self.received,
                reports: 0,
                longest_gap: 0,
                reporter: report
                    .claim
                    .as_ref()
                    .map(|claim| claim.by.clone())
                    .unwrap_or_default(),
            },
        ));
        Ok(Reply::Snapshot(snapshot))
    }
}

fn secret(key: &NewKey) -> KeySecret {
    KeySecret {
        verifier: key.verifier,
        description: key.description.clone(),
    }
}

/// What two observers saw of one environment, together.
pub fn merge_seen(shared: Option<&Seen>, unshared: Option<&Seen>) -> Seen {
    match (shared, unshared) {
        (None, None) => Seen::default(),
        (Some(seen), None) | (None, Some(seen)) => seen.clone(),
        (Some(shared), Some(unshared)) => {
            let (first, last) = if shared.to <= unshared.to {
                (shared, unshared)
            } else {
                (unshared, shared)
            };
            Seen {
                from: shared.from.min(unshared.from),
                to: last.to,
                reports: shared.reports + unshared.reports,
                longest_gap: shared
                    .longest_gap
                    .max(unshared.longest_gap)
                    .max(last.from.0 - first.to.0),
                reporter: last.reporter.clone(),
            }
        }
    }
}

/// What differs between the latest state and a report: both are ascending, so one walk tells.
fn difference(head: Option<&Head>, report: &RecordReport, include_scaling: bool) -> Effects {
    let mut effects = Effects::default();
    let mut elements = head
        .map(|head| head.elements.as_slice())
        .unwrap_or_default()
        .iter()
        .peekable();
    for observed in &report.report.artifacts {
        let count = include_scaling.then(|| observed.detail.instances() as u32);
        let order = |element: &&crate::state::Element| {
            let identity = &*element.identity;
            (identity.fingerprint, identity.name.as_str(), identity.count).cmp(&(
                observed.fingerprint,
                observed.name.as_str(),
                count,
            ))
        };
        while let Some(element) = elements.next_if(|element| order(element).is_lt()) {
            effects.removed.push(element.digest);
        }
        match elements.next_if(|element| order(element).is_eq()) {
            Some(element) => {
                if *element.detail != *observed.detail.as_bytes() {
                    effects
                        .changed
                        .push((element.digest, Arc::from(observed.detail.as_bytes())));
                }
            }
            None => effects.added.push((
                Arc::new(Identity {
                    fingerprint: observed.fingerprint,
                    name: observed.name.clone(),
                    count,
                }),
                Arc::from(observed.detail.as_bytes()),
            )),
        }
    }
    for element in elements {
        effects.removed.push(element.digest);
    }
    effects
}
