//! The view: the facts a decision may read, loaded before it and kept in step with it.
//!
//! The store fills a view set-wise; [`View::apply`] follows every row a projection writes, so
//! that the next decision of the same batch sees it. A view knows "absent" from "not loaded":
//! reading what was not loaded asks for it instead of guessing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::compliance::{State, TrailState};
use crate::event::Subject;
use crate::fact::{
    AccountNo, ApiKey, Approval, Artifact, ArtifactNo, Attestation, Control, ControlNo,
    ControlVersion, CustomType, Decided, Deployment, EntryIndex, Environment, EnvironmentNo, Flow,
    FlowNaming, FlowNo, Identity, Membership, Organization, OrganizationNo, PrivateBody, Record,
    RecordNo, Repo, RepoKey, RepoNo, Seen, ServiceAccount, Snapshot, SnapshotNo, Span, Start,
    Telling, TemplateNo, TemplateRow, Trail, TrailNo, TypeNo, TypeVersionRow, User, UserNo,
};
use crate::id::{Digest, Fingerprint};
use crate::role::Role;
use crate::state::Head;
use crate::template::Template;

/// Names one fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKey {
    /// [`Organization`] by ordinal.
    Organization(OrganizationNo),
    /// Its ordinal by name.
    OrganizationNamed(String),
    /// [`Counters`] of an organization or of the server.
    Counters(OrganizationNo),
    /// [`User`] by ordinal.
    User(UserNo),
    /// Its ordinal by name.
    UserNamed(String),
    /// Role of a user in an organization.
    Membership(OrganizationNo, UserNo),
    /// [`ServiceAccount`] by ordinal.
    Account(OrganizationNo, AccountNo),
    /// Its ordinal by name.
    AccountNamed(OrganizationNo, String),
    /// [`ApiKey`] by verifier.
    Key(Digest),
    /// [`Environment`] by ordinal.
    Environment(OrganizationNo, EnvironmentNo),
    /// Ordinal of the environment a name leads to: the one that has it, else the last that had.
    EnvironmentNamed(OrganizationNo, String),
    /// Live logical environments that contain the environment, ascending.
    LogicalsOf(OrganizationNo, EnvironmentNo),
    /// [`Head`] of an environment.
    Head(OrganizationNo, EnvironmentNo),
    /// [`Record`] by identity.
    Record(OrganizationNo, Arc<Identity>),
    /// [`Seen`] of an environment.
    Seen(OrganizationNo, EnvironmentNo),
    /// Last sequence of a reporter.
    Sequence(OrganizationNo, EnvironmentNo, String),
    /// Index of the last entry of a subject other than an environment, which says so itself.
    Subject(OrganizationNo, Subject),
    /// [`PrivateBody`] by entry and position.
    PrivateBody(OrganizationNo, EntryIndex, u32),
    /// Digest of a body by entry and position; of entries that are stored, not of those of the
    /// same batch.
    BodyDigest(OrganizationNo, EntryIndex, u32),
    /// Index of the entry that a subject's shown text is from, by the text's name.
    TextFrom(OrganizationNo, Subject, String),
    /// Verifier of the key with an id.
    KeyWithId(String),
    /// The last ordinal given out to things of a sort.
    Last(OrganizationNo, Numbered),
    /// [`Flow`] by ordinal.
    Flow(OrganizationNo, FlowNo),
    /// Ordinal of the flow a name leads to: the one that has it, else the last that had.
    FlowNamed(OrganizationNo, String),
    /// [`Template`] by ordinal.
    Template(OrganizationNo, TemplateNo),
    /// [`Trail`] by ordinal.
    Trail(OrganizationNo, TrailNo),
    /// Its ordinal by flow and name.
    TrailNamed(OrganizationNo, FlowNo, String),
    /// [`TrailState`] of a trail.
    TrailState(OrganizationNo, TrailNo),
    /// [`Repo`] by ordinal.
    Repo(OrganizationNo, RepoNo),
    /// Its ordinal by the code host's kind and id, or name where it has no id.
    RepoKnown(OrganizationNo, RepoKey),
    /// The newest report of an artifact in a flow, and its trail.
    ArtifactIn(OrganizationNo, FlowNo, Fingerprint),
    /// The last number given out to things of a sort in a flow.
    LastIn(OrganizationNo, FlowNo, Counted),
    /// [`CustomType`] by ordinal.
    Type(OrganizationNo, TypeNo),
    /// Its ordinal by name.
    TypeNamed(OrganizationNo, String),
    /// [`Control`] by ordinal.
    Control(OrganizationNo, ControlNo),
    /// Its ordinal by identifier.
    ControlNamed(OrganizationNo, String),
}

/// What is numbered within a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Counted {
    Approval,
    Deployment,
}

/// What is numbered within an organization and counted nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Numbered {
    Flow,
    Template,
    Trail,
    Artifact,
    Attestation,
    Repo,
    Type,
    Control,
}

impl FactKey {
    /// The organization in whose order this fact changes; the server's for people and names.
    pub fn organization(&self) -> OrganizationNo {
        match self {
            // Keys of service accounts stand in other logs too: where several servers write,
            // they are not kept from one batch to the next.
            Self::OrganizationNamed(_)
            | Self::Organization(_)
            | Self::User(_)
            | Self::UserNamed(_)
            | Self::Key(_)
            | Self::KeyWithId(_) => crate::fact::SERVER,
            Self::Counters(no)
            | Self::Membership(no, _)
            | Self::Account(no, _)
            | Self::AccountNamed(no, _)
            | Self::Environment(no, _)
            | Self::EnvironmentNamed(no, _)
            | Self::LogicalsOf(no, _)
            | Self::Head(no, _)
            | Self::Record(no, _)
            | Self::Seen(no, _)
            | Self::Sequence(no, _, _)
            | Self::Subject(no, _)
            | Self::PrivateBody(no, _, _)
            | Self::BodyDigest(no, _, _)
            | Self::TextFrom(no, _, _)
            | Self::Last(no, _)
            | Self::Flow(no, _)
            | Self::FlowNamed(no, _)
            | Self::Template(no, _)
            | Self::Trail(no, _)
            | Self::TrailNamed(no, _, _)
            | Self::TrailState(no, _)
            | Self::Repo(no, _)
            | Self::RepoKnown(no, _)
            | Self::ArtifactIn(no, _, _)
            | Self::LastIn(no, _, _)
            | Self::Type(no, _)
            | Self::TypeNamed(no, _)
            | Self::Control(no, _)
            | Self::ControlNamed(no, _) => *no,
        }
    }
}

impl FactKey {
    /// Whether what this fact says may lead to further needs of the same command.
    pub fn leads_on(&self) -> bool {
        !matches!(
            self,
            Self::Record(..)
                | Self::Seen(..)
                | Self::Sequence(..)
                | Self::Subject(..)
                | Self::Counters(_)
                | Self::Last(..)
                | Self::LastIn(..)
                | Self::TrailState(..)
                | Self::Repo(..)
                | Self::Type(..)
                | Self::Control(..)
        )
    }
}

/// A loaded fact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the fact of the key with its name"
)]
pub enum Fact {
    Absent,
    Organization(Arc<Organization>),
    OrganizationNamed(OrganizationNo),
    Counters(Counters),
    User(Arc<User>),
    UserNamed(UserNo),
    Membership(Role),
    Account(Arc<ServiceAccount>),
    AccountNamed(AccountNo),
    Key(Arc<ApiKey>),
    Environment(Arc<Environment>),
    EnvironmentNamed(EnvironmentNo),
    LogicalsOf(Arc<[EnvironmentNo]>),
    Head(Arc<Head>),
    Record(Arc<Record>),
    Seen(Seen),
    Sequence(u64),
    Subject(EntryIndex),
    PrivateBody(Arc<PrivateBody>),
    BodyDigest(Digest),
    TextFrom(EntryIndex),
    KeyWithId(Digest),
    Last(u32),
    Flow(Arc<Flow>),
    FlowNamed(FlowNo),
    Template(Arc<Template>),
    Trail(Arc<Trail>),
    TrailNamed(TrailNo),
    TrailState(Arc<TrailState>),
    Repo(Arc<Repo>),
    RepoKnown(RepoNo),
    ArtifactIn((ArtifactNo, TrailNo)),
    LastIn(u32),
    Type(Arc<CustomType>),
    TypeNamed(TypeNo),
    Control(Arc<Control>),
    ControlNamed(ControlNo),
}

/// The last ordinals given out in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Organizations (server log only).
    pub organizations: u32,
    /// Users (server log only).
    pub users: u32,
    /// Environments.
    pub environments: u32,
    /// Environments that are not archived: how many there are.
    pub live_environments: u32,
    /// Records; not stored with the others, it is the highest number of a stored record.
    pub records: u32,
    /// Service accounts.
    pub accounts: u32,
}

/// A row of a query table, whole: what a projection writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the row of the fact with its name"
)]
pub enum Row {
    Organization(Arc<Organization>),
    Counters(OrganizationNo, Counters),
    User(Arc<User>),
    Membership(Membership),
    Account(Arc<ServiceAccount>),
    Key(Arc<ApiKey>),
    Environment(Arc<Environment>),
    /// Nothing about an environment changed but its last entry.
    EnvironmentEntry(OrganizationNo, EnvironmentNo, EntryIndex),
    EnvironmentNamed(OrganizationNo, String, EnvironmentNo),
    /// The members of a logical environment, whole; empty once it is archived.
    Members(OrganizationNo, EnvironmentNo, Vec<EnvironmentNo>),
    /// A new record, and where its identity stands: entry and byte of its effects body; none if
    /// in no body small enough to be read for it.
    Record(OrganizationNo, Arc<Record>, Option<(EntryIndex, u32)>),
    Snapshot(Arc<Snapshot>),
    /// The head after the snapshot; not stored, it can be read back from the other rows.
    Head(OrganizationNo, EnvironmentNo, Arc<Head>),
    /// An artifact did not run in an environment before.
    Start(Start),
    /// A span that begins.
    Span(Span),
    /// A span that was begun before has ended.
    SpanEnded {
        organization: OrganizationNo,
        record: RecordNo,
        environment: EnvironmentNo,
        from: SnapshotNo,
        to: SnapshotNo,
    },
    Sequence(OrganizationNo, EnvironmentNo, String, u64),
    Subject(OrganizationNo, Subject, EntryIndex),
    PrivateBody(Arc<PrivateBody>),
    /// A text of a subject, by its name, is now from an entry.
    TextFrom(OrganizationNo, Subject, String, EntryIndex),
    /// The key with this verifier and id is no more.
    KeyRemoved(Digest, String),
    Flow(Arc<Flow>),
    FlowNamed(OrganizationNo, String, FlowNo),
    /// A version of a template, and what it demands.
    Template(Arc<TemplateRow>, Arc<Template>),
    Trail(Arc<Trail>),
    Telling(Arc<Telling>),
    Artifact(Arc<Artifact>),
    /// The state of a report of an artifact is another from this entry on.
    ArtifactState(OrganizationNo, ArtifactNo, EntryIndex, State),
    /// How a flow is called from an entry on.
    FlowNaming(Arc<FlowNaming>),
    Attestation(Arc<Attestation>),
    Repo(Arc<Repo>),
    Approval(Arc<Approval>),
    Deployment(Arc<Deployment>),
    Type(Arc<CustomType>),
    TypeVersion(Arc<TypeVersionRow>),
    Control(Arc<Control>),
    ControlVersion(Arc<ControlVersion>),
    /// An attestation decides about a control.
    Decided(Arc<Decided>),
}

/// A fact was read that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need(pub FactKey);

/// Loaded facts.
#[derive(Debug, Default)]
pub struct View {
    // Looked up several times for every command and every replayed entry.
    facts: HashMap<FactKey, Fact, foldhash::fast::RandomState>,
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $result:ty, ($($arg:ident: $type:ty),*), $key:expr) => {
        $(#[$doc])*
        pub fn $name(&self, $($arg: $type),*) -> Result<Option<$result>, Need> {
            let key = $key;
            match self.facts.get(&key) {
                Some(Fact::$variant(fact)) => Ok(Some(fact.clone())),
                Some(_) => Ok(None),
                None => Err(Need(key)),
            }
        }
    };
}

impl View {
    /// Whether a fact, or its absence, is loaded.
    pub fn knows(&self, key: &FactKey) -> bool {
        self.facts.contains_key(key)
    }

    /// Adds a loaded fact.
    pub fn insert(&mut self, key: FactKey, fact: Fact) {
        self.facts.insert(key, fact);
    }

    /// Forgets facts for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&FactKey, &Fact) -> bool) {
        self.facts.retain(|key, fact| keep(key, fact));
    }

    /// Number of facts.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether nothing is loaded.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    reader!(
        /// Organization by ordinal.
        organization, Organization, Arc<Organization>, (no: OrganizationNo),
        FactKey::Organization(no)
    );
    reader!(
        /// Organization's ordinal by name.
        organization_named, OrganizationNamed, OrganizationNo, (name: &str),
        FactKey::OrganizationNamed(name.to_owned())
    );
    reader!(
        /// User by ordinal.
        user, User, Arc<User>, (no: UserNo), FactKey::User(no)
    );
    reader!(
        /// User's ordinal by name.
        user_named, UserNamed, UserNo, (name: &str), FactKey::UserNamed(name.to_owned())
    );
    reader!(
        /// Role of a user.
        membership, Membership, Role, (organization: OrganizationNo, user: UserNo),
        FactKey::Membership(organization, user)
    );
    reader!(
        /// Service account by ordinal.
        account, Account, Arc<ServiceAccount>, (organization: OrganizationNo, no: AccountNo),
        FactKey::Account(organization, no)
    );
    reader!(
        /// Service account's ordinal by name.
        account_named, AccountNamed, AccountNo, (organization: OrganizationNo, name: &str),
        FactKey::AccountNamed(organization, name.to_owned())
    );
    reader!(
        /// Key by verifier.
        key, Key, Arc<ApiKey>, (verifier: Digest), FactKey::Key(verifier)
    );
    reader!(
        /// Environment by ordinal.
        environment, Environment, Arc<Environment>, (organization: OrganizationNo, no: EnvironmentNo),
        FactKey::Environment(organization, no)
    );
    reader!(
        /// Environment's ordinal by name.
        environment_named, EnvironmentNamed, EnvironmentNo, (organization: OrganizationNo, name: &str),
        FactKey::EnvironmentNamed(organization, name.to_owned())
    );
    reader!(
        /// Record by identity.
        record, Record, Arc<Record>, (organization: OrganizationNo, identity: &Arc<Identity>),
        FactKey::Record(organization, Arc::clone(identity))
    );
    reader!(
        /// Head of an environment; none before its first snapshot.
        head, Head, Arc<Head>, (organization: OrganizationNo, no: EnvironmentNo),
        FactKey::Head(organization, no)
    );
    reader!(
        /// When an environment was seen since its last entry.
        seen, Seen, Seen, (organization: OrganizationNo, no: EnvironmentNo),
        FactKey::Seen(organization, no)
    );
    reader!(
        /// Last sequence of a reporter.
        sequence, Sequence, u64, (organization: OrganizationNo, no: EnvironmentNo, reporter: &str),
        FactKey::Sequence(organization, no, reporter.to_owned())
    );
    reader!(
        /// Private body by entry and position.
        private_body, PrivateBody, Arc<PrivateBody>, (organization: OrganizationNo, entry: EntryIndex, position: u32),
        FactKey::PrivateBody(organization, entry, position)
    );
    reader!(
        /// Digest of a body by entry and position.
        body_digest, BodyDigest, Digest, (organization: OrganizationNo, entry: EntryIndex, position: u32),
        FactKey::BodyDigest(organization, entry, position)
    );
    reader!(
        /// Entry that a text of a subject is from.
        text_from, TextFrom, EntryIndex, (organization: OrganizationNo, subject: Subject, name: &str),
        FactKey::TextFrom(organization, subject, name.to_owned())
    );
    reader!(
        /// Flow by ordinal.
        flow, Flow, Arc<Flow>, (organization: OrganizationNo, no: FlowNo),
        FactKey::Flow(organization, no)
    );
    reader!(
        /// Flow's ordinal by name.
        flow_named, FlowNamed, FlowNo, (organization: OrganizationNo, name: &str),
        FactKey::FlowNamed(organization, name.to_owned())
    );
    reader!(
        /// What a version of a template demands.
        template, Template, Arc<Template>, (organization: OrganizationNo, no: TemplateNo),
        FactKey::Template(organization, no)
    );
    reader!(
        /// Trail by ordinal.
        trail, Trail, Arc<Trail>, (organization: OrganizationNo, no: TrailNo),
        FactKey::Trail(organization, no)
    );
    reader!(
        /// Trail's ordinal by flow and name.
        trail_named, TrailNamed, TrailNo, (organization: OrganizationNo, flow: FlowNo, name: &str),
        FactKey::TrailNamed(organization, flow, name.to_owned())
    );
    reader!(
        /// What was reported in a trail.
        trail_state, TrailState, Arc<TrailState>, (organization: OrganizationNo, no: TrailNo),
        FactKey::TrailState(organization, no)
    );
    reader!(
        /// Repository by ordinal.
        repo, Repo, Arc<Repo>, (organization: OrganizationNo, no: RepoNo),
        FactKey::Repo(organization, no)
    );
    reader!(
        /// Repository's ordinal by what identifies it.
        repo_known, RepoKnown, RepoNo, (organization: OrganizationNo, key: &RepoKey),
        FactKey::RepoKnown(organization, key.clone())
    );
    reader!(
        /// The newest report of an artifact in a flow, and its trail.
        artifact_in, ArtifactIn, (ArtifactNo, TrailNo), (organization: OrganizationNo, flow: FlowNo, fingerprint: Fingerprint),
        FactKey::ArtifactIn(organization, flow, fingerprint)
    );
    reader!(
        /// Custom type by ordinal.
        custom_type, Type, Arc<CustomType>, (organization: OrganizationNo, no: TypeNo),
        FactKey::Type(organization, no)
    );
    reader!(
        /// Custom type's ordinal by name.
        type_named, TypeNamed, TypeNo, (organization: OrganizationNo, name: &str),
        FactKey::TypeNamed(organization, name.to_owned())
    );
    reader!(
        /// Control by ordinal.
        control, Control, Arc<Control>, (organization: OrganizationNo, no: ControlNo),
        FactKey::Control(organization, no)
    );
    reader!(
        /// Control's ordinal by identifier.
        control_named, ControlNamed, ControlNo, (organization: OrganizationNo, identifier: &str),
        FactKey::ControlNamed(organization, identifier.to_owned())
    );
    reader!(
        /// Verifier of the key with an id.
        key_with_id, KeyWithId, Digest, (id: &str), FactKey::KeyWithId(id.to_owned())
    );

    /// Counters of a log; zero before its first entry.
    pub fn counters(&self, organization: OrganizationNo) -> Result<Counters, Need> {
        let key = FactKey::Counters(organization);
        match self.facts.get(&key) {
            Some(Fact::Counters(counters)) => Ok(*counters),
            Some(_) => Ok(Counters::default()),
            None => Err(Need(key)),
        }
    }

    /// Index of a subject's last entry.
    pub fn subject(
        &self,
        organization: OrganizationNo,
        subject: Subject,
    ) -> Result<Option<EntryIndex>, Need> {
        if let Subject::Environment(no) = subject {
            let known = self.environment(organization, no)?;
            return Ok(known.map(|environment| environment.last_entry));
        }
        let key = FactKey::Subject(organization, subject);
        match self.facts.get(&key) {
            Some(Fact::Subject(index)) => Ok(Some(*index)),
            Some(_) => Ok(None),
            None => Err(Need(key)),
        }
    }

    /// The last ordinal given out to things of a sort; zero before the first.
    pub fn last(&self, organization: OrganizationNo, of: Numbered) -> Result<u32, Need> {
        let key = FactKey::Last(organization, of);
        match self.facts.get(&key) {
            Some(Fact::Last(no)) => Ok(*no),
            Some(_) => Ok(0),
            None => Err(Need(key)),
        }
    }

    /// The last number given out to things of a sort in a flow; zero before the first.
    pub fn last_in(
        &self,
        organization: OrganizationNo,
        flow: FlowNo,
        of: Counted,
    ) -> Result<u32, Need> {
        let key = FactKey::LastIn(organization, flow, of);
        match self.facts.get(&key) {
            Some(Fact::LastIn(no)) => Ok(*no),
            Some(_) => Ok(0),
            None => Err(Need(key)),
        }
    }

    /// Logical environments that contain an environment.
    pub fn logicals_of(
        &self,
        organization: OrganizationNo,
        no: EnvironmentNo,
    ) -> Result<Arc<[EnvironmentNo]>, Need> {
        let key = FactKey::LogicalsOf(organization, no);
        match self.facts.get(&key) {
            Some(Fact::LogicalsOf(logicals)) => Ok(Arc::clone(logicals)),
            Some(_) => Ok(Arc::from([])),
            None => Err(Need(key)),
        }
    }

    /// Takes a head out for changing without a copy, if this view holds the only one.
    pub fn take_head(
        &mut self,
        organization: OrganizationNo,
        no: EnvironmentNo,
    ) -> Result<Option<Head>, Need> {
        let key = FactKey::Head(organization, no);
        match self.facts.remove(&key) {
            Some(Fact::Head(head)) => Ok(Some(Arc::unwrap_or_clone(head))),
            Some(other) => {
                self.facts.insert(key, other);
                Ok(None)
            }
            None => Err(Need(key)),
        }
    }

    /// Takes what is known of a trail's reports out for changing without a copy, if it is known and
    /// this view holds the only one.
    pub fn take_trail_state(
        &mut self,
        organization: OrganizationNo,
        no: TrailNo,
    ) -> Option<TrailState> {
        match self.facts.remove(&FactKey::TrailState(organization, no)) {
            Some(Fact::TrailState(state)) => Some(Arc::unwrap_or_clone(state)),
            _ => None,
        }
    }

    /// Follows an ordinal that was given out, where the last one is known.
    fn raise(&mut self, organization: OrganizationNo, of: Numbered, no: u32) {
        if let Ok(last) = self.last(organization, of)
            && no > last
        {
            self.insert(FactKey::Last(organization, of), Fact::Last(no));
        }
    }

    /// Follows a written row.
    pub fn apply(&mut self, row: &Row) {
        match row {
            Row::Organization(organization) => {
                self.insert(
                    FactKey::Organization(organization.no),
                    Fact::Organization(Arc::clone(organization)),
                );
                self.insert(
                    FactKey::OrganizationNamed(organization.name.clone()),
                    Fact::OrganizationNamed(organization.no),
                );
            }
            Row::Counters(organization, counters) => {
                self.insert(FactKey::Counters(*organization), Fact::Counters(*counters));
            }
            Row::User(user) => {
                // A user whose name was erased is no longer found by it.
                if let Some(Fact::User(known)) = self.facts.get(&FactKey::User(user.no))
                    && known.name != user.name
                {
                    let name = known.name.clone();
                    self.insert(FactKey::UserNamed(name), Fact::Absent);
                }
                self.insert(FactKey::User(user.no), Fact::User(Arc::clone(user)));
                self.insert(
                    FactKey::UserNamed(user.name.clone()),
                    Fact::UserNamed(user.no),
                );
            }
            Row::Membership(membership) => self.insert(
                FactKey::Membership(membership.organization, membership.user),
                Fact::Membership(membership.role),
            ),
            Row::Account(account) => {
                self.insert(
                    FactKey::Account(account.organization, account.no),
                    Fact::Account(Arc::clone(account)),
                );
                self.insert(
                    FactKey::AccountNamed(account.organization, account.name.clone()),
                    Fact::AccountNamed(account.no),
                );
            }
            Row::Key(key) => {
                self.insert(FactKey::Key(key.verifier), Fact::Key(Arc::clone(key)));
                self.insert(
                    FactKey::KeyWithId(key.id.clone()),
                    Fact::KeyWithId(key.verifier),
                );
            }
            Row::Environment(environment) => self.insert(
                FactKey::Environment(environment.organization, environment.no),
                Fact::Environment(Arc::clone(environment)),
            ),
            Row::EnvironmentEntry(organization, no, index) => {
                let key = FactKey::Environment(*organization, *no);
                if let Some(Fact::Environment(known)) = self.facts.get_mut(&key) {
                    Arc::make_mut(known).last_entry = *index;
                }
            }
            Row::EnvironmentNamed(organization, name, no) => self.insert(
                FactKey::EnvironmentNamed(*organization, name.clone()),
                Fact::EnvironmentNamed(*no),
            ),
            Row::Members(organization, logical, members) => {
                for (key, fact) in &mut self.facts {
                    let FactKey::LogicalsOf(of, member) = key else {
                        continue;
                    };
                    if of != organization {
                        continue;
                    }
                    let mut logicals = match fact {
                        Fact::LogicalsOf(logicals) => logicals.to_vec(),
                        _ => Vec::new(),
                    };
                    logicals.retain(|no| no != logical);
                    if members.contains(member) {
                        logicals.push(*logical);
                        logicals.sort_unstable();
                    }
                    *fact = Fact::LogicalsOf(logicals.into());
                }
            }
            Row::Record(organization, record, _) => {
                // The row counts itself: the last number is the highest there is.
                if let Ok(counters) = self.counters(*organization) {
                    self.insert(
                        FactKey::Counters(*organization),
                        Fact::Counters(Counters {
                            records: counters.records.max(record.no.0),
                            ..counters
                        }),
                    );
                }
                self.insert(
                    FactKey::Record(*organization, Arc::clone(&record.identity)),
                    Fact::Record(Arc::clone(record)),
                );
            }
            Row::Head(organization, no, head) => {
                self.insert(
                    FactKey::Head(*organization, *no),
                    Fact::Head(Arc::clone(head)),
                );
            }
            Row::Sequence(organization, no, reporter, sequence) => self.insert(
                FactKey::Sequence(*organization, *no, reporter.clone()),
                Fact::Sequence(*sequence),
            ),
            Row::Subject(organization, subject, index) => self.insert(
                FactKey::Subject(*organization, *subject),
                Fact::Subject(*index),
            ),
            Row::PrivateBody(body) => self.insert(
                FactKey::PrivateBody(body.organization, body.entry, body.position),
                Fact::PrivateBody(Arc::clone(body)),
            ),
            Row::TextFrom(organization, subject, name, entry) => self.insert(
                FactKey::TextFrom(*organization, *subject, name.clone()),
                Fact::TextFrom(*entry),
            ),
            Row::KeyRemoved(verifier, id) => {
                self.insert(FactKey::Key(*verifier), Fact::Absent);
                self.insert(FactKey::KeyWithId(id.clone()), Fact::Absent);
            }
            Row::Flow(flow) => {
                self.raise(flow.organization, Numbered::Flow, flow.no.0);
                self.insert(
                    FactKey::Flow(flow.organization, flow.no),
                    Fact::Flow(Arc::clone(flow)),
                );
            }
            Row::FlowNamed(organization, name, no) => self.insert(
                FactKey::FlowNamed(*organization, name.clone()),
                Fact::FlowNamed(*no),
            ),
            Row::Template(row, template) => {
                self.raise(row.organization, Numbered::Template, row.no.0);
                self.insert(
                    FactKey::Template(row.organization, row.no),
                    Fact::Template(Arc::clone(template)),
                );
            }
            Row::Trail(trail) => {
                self.raise(trail.organization, Numbered::Trail, trail.no.0);
                self.insert(
                    FactKey::TrailNamed(trail.organization, trail.flow, trail.name.clone()),
                    Fact::TrailNamed(trail.no),
                );
                self.insert(
                    FactKey::Trail(trail.organization, trail.no),
                    Fact::Trail(Arc::clone(trail)),
                );
            }
            Row::Artifact(artifact) => {
                self.raise(artifact.organization, Numbered::Artifact, artifact.no.0);
                self.insert(
                    FactKey::ArtifactIn(artifact.organization, artifact.flow, artifact.fingerprint),
                    Fact::ArtifactIn((artifact.no, artifact.trail)),
                );
            }
            Row::Attestation(attestation) => self.raise(
                attestation.organization,
                Numbered::Attestation,
                attestation.no.0,
            ),
            Row::Repo(repo) => {
                self.raise(repo.organization, Numbered::Repo, repo.no.0);
                self.insert(
                    FactKey::RepoKnown(repo.organization, repo.key()),
                    Fact::RepoKnown(repo.no),
                );
                self.insert(
                    FactKey::Repo(repo.organization, repo.no),
                    Fact::Repo(Arc::clone(repo)),
                );
            }
            Row::Approval(approval) => self.insert(
                FactKey::LastIn(approval.organization, approval.flow, Counted::Approval),
                Fact::LastIn(approval.no.0),
            ),
            Row::Deployment(deployment) => self.insert(
                FactKey::LastIn(
                    deployment.organization,
                    deployment.flow,
                    Counted::Deployment,
                ),
                Fact::LastIn(deployment.no.0),
            ),
            Row::Type(known) => {
                self.raise(known.organization, Numbered::Type, known.no.0);
                self.insert(
                    FactKey::TypeNamed(known.organization, known.name.clone()),
                    Fact::TypeNamed(known.no),
                );
                self.insert(
                    FactKey::Type(known.organization, known.no),
                    Fact::Type(Arc::clone(known)),
                );
            }
            Row::Control(known) => {
                self.raise(known.organization, Numbered::Control, known.no.0);
                self.insert(
                    FactKey::ControlNamed(known.organization, known.identifier.clone()),
                    Fact::ControlNamed(known.no),
                );
                self.insert(
                    FactKey::Control(known.organization, known.no),
                    Fact::Control(Arc::clone(known)),
                );
            }
            Row::Snapshot(_)
            | Row::Start(_)
            | Row::Span(_)
            | Row::SpanEnded { .. }
            | Row::ArtifactState(..)
            | Row::FlowNaming(_)
            | Row::Telling(_)
            | Row::TypeVersion(_)
            | Row::ControlVersion(_)
            | Row::Decided(_) => {}
        }
    }
}
