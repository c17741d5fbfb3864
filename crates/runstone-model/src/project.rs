//! The projection: which rows of the query tables follow from an entry.
//!
//! The same function runs when an entry is made and when the tables are rebuilt from the
//! journal, so that both give the same rows. It judges nothing: what was decided stands in the
//! event.

mod control;
mod custom_type;
mod erasure;
mod flow;
mod legacy;
mod snapshots;

use std::sync::Arc;

pub use self::flow::read_template;
use self::snapshots::{append_logical, append_snapshot};
use crate::event::{Entry, Event, Settings, Subject, Text, Verifier};
use crate::fact::{
    ApiKey, EntryIndex, Environment, EnvironmentNo, HISTORY, Identity, Membership, Organization,
    OrganizationNo, Principal, ServiceAccount, SnapshotNo, User, UserNo,
};
use crate::id::Micros;
use crate::limit::Limits;
use crate::name::EnvironmentKind;
use crate::state::Head;
use crate::view::{Need, Row, View};

/// An entry does not fit the facts before it: the journal or the tables are damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A fact has to be loaded first.
    #[error("a needed fact is not loaded: {0:?}")]
    Need(crate::view::FactKey),
    /// The entry speaks of something that is not there, or differs from it.
    #[error("entry {index} does not follow from the entries before it: {what}")]
    Contradiction {
        /// Which entry.
        index: EntryIndex,
        /// In which way.
        what: String,
    },
}

impl From<Need> for Misfit {
    fn from(need: Need) -> Self {
        Self::Need(need.0)
    }
}

/// Rows in the order they are to be written; each is already applied to the view.
struct Rows<'a> {
    view: &'a mut View,
    rows: Vec<Row>,
    organization: OrganizationNo,
    index: EntryIndex,
    /// Since when holds what the entry says.
    at: Micros,
    /// The environment the entry is about.
    about: Option<EnvironmentNo>,
    /// The entry tells of the past.
    imported: bool,
}

impl Rows<'_> {
    fn put(&mut self, row: Row) {
        self.view.apply(&row);
        self.rows.push(row);
    }

    fn contradiction(&self, what: impl Into<String>) -> Misfit {
        Misfit::Contradiction {
            index: self.index,
            what: what.into(),
        }
    }

    fn organization(&self, no: OrganizationNo) -> Result<Organization, Misfit> {
        self.view
            .organization(no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction("no such organization"))
    }

    fn user(&self, no: UserNo) -> Result<User, Misfit> {
        self.view
            .user(no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction("no such user"))
    }

    /// An environment as it is to be written: one the entry is about names the entry.
    fn environment(&self, no: EnvironmentNo) -> Result<Environment, Misfit> {
        let mut known = self
            .view
            .environment(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no environment {}", no.0)))?;
        if self.about == Some(no) {
            known.last_entry = self.index;
        }
        Ok(known)
    }

    /// The last entry of an environment is this one; its row says so.
    fn note_subject(&mut self, subject: Subject) -> Result<(), Misfit> {
        let Subject::Environment(no) = subject else {
            return Ok(());
        };
        // Mostly the row was written for more than this.
        match self.view.subject(self.organization, subject)? {
            Some(index) if index == self.index => {}
            Some(_) => self.put(Row::EnvironmentEntry(self.organization, no, self.index)),
            None => return Err(self.contradiction(format!("no environment {}", no.0))),
        }
        Ok(())
    }
}

/// The facts [`project`] reads for `event`, as far as they can be told beforehand.
pub fn needs(organization: OrganizationNo, entry: &Entry) -> Vec<crate::view::FactKey> {
    use crate::view::FactKey;
    let mut keys: Vec<FactKey> = entry
        .subjects
        .iter()
        .map(|(subject, _)| match subject {
            Subject::Environment(no) => FactKey::Environment(organization, *no),
            other => FactKey::Subject(organization, *other),
        })
        .collect();
    keys.push(FactKey::Counters(organization));
    if let Event::SnapshotRecorded {
        environment,
        effects,
        ..
    } = &entry.event
    {
        keys.push(FactKey::Head(organization, *environment));
        keys.push(FactKey::LogicalsOf(organization, *environment));
        for (identity, _) in &effects.added {
            keys.push(FactKey::Record(organization, Arc::clone(identity)));
        }
    }
    match &entry.event {
        Event::Flow(event) => flow::needs(organization, event, &mut keys),
        Event::Type(event) => custom_type::needs(organization, event, &mut keys),
        Event::Control(event) => control::needs(organization, event, &mut keys),
        _ => {}
    }
    keys
}

/// Rows that follow from `entry` at `index` of the log of `organization`; the view follows.
/// When a fact is missing nothing is changed, so that the call can be repeated.
pub fn project(
    organization: OrganizationNo,
    index: EntryIndex,
    entry: &Entry,
    view: &mut View,
) -> Result<Vec<Row>, Misfit> {
    // Everything that may be missing is read before anything is applied.
    for (subject, previous) in &entry.subjects {
        let known = view.subject(organization, *subject)?;
        if known != *previous {
            return Err(Misfit::Contradiction {
                index,
                what: format!(
                    "previous entry of {} is not {previous:?}",
                    subject.to_text()
                ),
            });
        }
    }
    preload(organization, entry, view)?;
    let mut rows = Rows {
        view,
        rows: Vec::new(),
        organization,
        index,
        at: entry.at(),
        about: entry
            .subjects
            .iter()
            .find_map(|(subject, _)| match subject {
                Subject::Environment(no) => Some(*no),
                _ => None,
            }),
        imported: entry.claim.as_ref().is_some_and(|claim| claim.imported),
    };
    for (subject, _) in &entry.subjects {
        if !matches!(subject, Subject::Environment(_)) {
            rows.put(Row::Subject(organization, *subject, index));
        }
    }
    match &entry.event {
        Event::Flow(event) => flow::project(&mut rows, entry, event)?,
        Event::Legacy(event) => legacy::project(&mut rows, entry, event),
        Event::Type(event) => custom_type::project(&mut rows, entry, event)?,
        Event::Control(event) => control::project(&mut rows, entry, event)?,
        event => project_event(&mut rows, event)?,
    }
    for (subject, _) in &entry.subjects {
        rows.note_subject(*subject)?;
    }
    erasure::note(&mut rows, entry);
    if let Some(claim) = &entry.claim
        && let Some(sequence) = claim.sequence
    {
        let of = match entry.subjects.first() {
            _ if claim.imported => Some(HISTORY),
            Some((Subject::Environment(no), _)) => Some(*no),
            _ => None,
        };
        if let Some(no) = of {
            rows.put(Row::Sequence(organization, no, claim.by.clone(), sequence));
        }
    }
    Ok(rows.rows)
}

/// Reads every fact the projection will read, so that a missing one stops it before it starts.
fn preload(organization: OrganizationNo, entry: &Entry, view: &View) -> Result<(), Need> {
    let logical_facts = |no: EnvironmentNo, members: &[EnvironmentNo]| -> Result<(), Need> {
        view.head(organization, no)?;
        for member in members {
            if let Some(head) = view.head(organization, *member)? {
                records_without_counts(organization, &head, view)?;
            }
        }
        Ok(())
    };
    match &entry.event {
        Event::SnapshotRecorded {
            environment,
            effects,
            ..
        } => {
            view.environment(organization, *environment)?;
            view.head(organization, *environment)?;
            view.counters(organization)?;
            for (identity, _) in &effects.added {
                view.record(organization, identity)?;
            }
            for logical in view.logicals_of(organization, *environment)?.iter() {
                if let Some(logical) = view.environment(organization, *logical)? {
                    logical_facts(logical.no, &logical.members)?;
                }
                for (identity, _) in &effects.added {
                    view.record(organization, &without_count(identity))?;
                }
            }
        }
        Event::EnvironmentCreated {
            settings: Settings { members, .. },
            ..
        }
        | Event::EnvironmentCreatedV2 {
            members: Some(members),
            ..
        } => {
            view.counters(organization)?;
            for member in members {
                if let Some(head) = view.head(organization, *member)? {
                    records_without_counts(organization, &head, view)?;
                }
            }
        }
        Event::EnvironmentChanged {
            no,
            settings: Settings { members, .. },
            ..
        }
        | Event::EnvironmentChangedV2 {
            no,
            members: Some(members),
            ..
        } => {
            view.counters(organization)?;
            view.environment(organization, *no)?;
            logical_facts(*no, members)?;
        }
        Event::EnvironmentArchived { no, .. } => {
            view.counters(organization)?;
            view.environment(organization, *no)?;
            for logical in view.logicals_of(organization, *no)?.iter() {
                view.environment(organization, *logical)?;
            }
        }
        Event::EnvironmentChangedV2 { no, .. }
        | Event::EnvironmentRenamed { no, .. }
        | Event::EnvironmentTagged { no, .. }
        | Event::EnvironmentTaggedV2 { no, .. } => {
            view.environment(organization, *no)?;
        }
        Event::OrganizationChanged { no, .. }
        | Event::OrganizationClosed { no, .. }
        | Event::OrganizationLimited { no, .. } => {
            view.organization(*no)?;
        }
        Event::UserChanged { no, .. } | Event::UserChangedV2 { no, .. } => {
            view.user(*no)?;
        }
        Event::BodiesErased { bodies, .. } => {
            for (index, position, _) in bodies {
                erasure::preload(organization, *index, *position, view)?;
            }
        }
        Event::ServiceAccountChanged { no, .. } => {
            view.account(organization, *no)?;
        }
        Event::Flow(event) => flow::preload(organization, event, view)?,
        Event::Legacy(_) => {}
        Event::Type(event) => custom_type::preload(organization, event, view)?,
        Event::Control(event) => control::preload(organization, event, view)?,
        _ => {
            view.counters(organization)?;
        }
    }
    Ok(())
}

fn without_count(identity: &Arc<Identity>) -> Arc<Identity> {
    if identity.count.is_none() {
        return Arc::clone(identity);
    }
    Arc::new(Identity {
        count: None,
        ..Identity::clone(identity)
    })
}

fn records_without_counts(
    organization: OrganizationNo,
    head: &Head,
    view: &View,
) -> Result<(), Need> {
    for element in &head.elements {
        if element.identity.count.is_some() {
            view.record(organization, &without_count(&element.identity))?;
        }
    }
    Ok(())
}

fn project_event(rows: &mut Rows, event: &Event) -> Result<(), Misfit> {
    let organization = rows.organization;
    match event {
        Event::OrganizationCreated {
            no,
            id,
            name,
            kind,
            public,
            description,
            ..
        } => {
            let mut counters = rows.view.counters(organization)?;
            counters.organizations = counters.organizations.max(no.0);
            rows.put(Row::Counters(organization, counters));
            rows.put(Row::Organization(Arc::new(Organization {
                no: *no,
                id: id.clone(),
                name: name.clone(),
                kind: *kind,
                public: *public,
                description: description.clone(),
                created_at: rows.at,
                modified_at: rows.at,
                closed_at: None,
                limits: Limits::default(),
            })));
        }
        Event::OrganizationClosed { no, .. } => {
            let known = rows.organization(*no)?;
            let received = rows.at;
            rows.put(Row::Organization(Arc::new(Organization {
                modified_at: received,
                closed_at: Some(received),
                ..known
            })));
        }
        Event::OrganizationLimited { no, limits } => {
            let known = rows.organization(*no)?;
            rows.put(Row::Organization(Arc::new(Organization {
                limits: limits.clone(),
                ..known
            })));
        }
        Event::OrganizationChanged {
            no,
            public,
            description,
            ..
        } => {
            let known = rows.organization(*no)?;
            let received = rows.at;
            rows.put(Row::Organization(Arc::new(Organization {
                public: *public,
                description: description.clone(),
                modified_at: received,
                ..known
            })));
        }
        Event::UserCreated {
            no, name, email, ..
        } => user_created(rows, *no, name.clone(), email.clone())?,
        Event::UserCreatedV2 { no, name, email } => {
            let name = name.text.clone().unwrap_or_else(|| User::erased_name(*no));
            user_created(rows, *no, name, email.as_str().to_owned())?;
        }
        Event::UserChanged {
            no, name, email, ..
        } => {
            let known = rows.user(*no)?;
            rows.put(Row::User(Arc::new(User {
                name: name.clone(),
                email: email.clone(),
                ..known
            })));
        }
        Event::UserChangedV2 { no, email } => {
            let known = rows.user(*no)?;
            rows.put(Row::User(Arc::new(User {
                email: email.as_str().to_owned(),
                ..known
            })));
        }
        Event::UserKeyCreated {
            user,
            key,
            expires_at,
            secret,
            ..
        } => rows.put(Row::Key(Arc::new(ApiKey {
            verifier: secret.verifier,
            id: key.clone(),
            principal: Principal::User(*user),
            description: secret.description.clone(),
            created_at: rows.at,
            expires_at: *expires_at,
            revoked_at: None,
        }))),
        Event::UserKeyCreatedV2 {
            user,
            key,
            expires_at,
            verifier,
            description,
        } => key_created(
            rows,
            Principal::User(*user),
            key,
            *expires_at,
            verifier,
            description,
        ),
        Event::RoleGranted { user, role } => rows.put(Row::Membership(Membership {
            organization,
            user: *user,
            role: *role,
        })),
        Event::ServiceAccountCreated {
            no,
            name,
            role,
            description,
            ..
        } => {
            let mut counters = rows.view.counters(organization)?;
            counters.accounts = counters.accounts.max(no.0);
            rows.put(Row::Counters(organization, counters));
            rows.put(Row::Account(Arc::new(ServiceAccount {
                organization,
                no: *no,
                name: name.clone(),
                role: *role,
                description: description.clone(),
                created_at: rows.at,
            })));
        }
        Event::ServiceAccountChanged {
            no,
            role,
            description,
            ..
        } => {
            let known = rows
                .view
                .account(organization, *no)?
                .ok_or_else(|| rows.contradiction("no such service account"))?;
            rows.put(Row::Account(Arc::new(ServiceAccount {
                role: *role,
                description: description.clone(),
                ..ServiceAccount::clone(&known)
            })));
        }
        Event::ServiceAccountKeyCreated {
            account,
            key,
            expires_at,
            secret,
            ..
        } => rows.put(Row::Key(Arc::new(ApiKey {
            verifier: secret.verifier,
            id: key.clone(),
            principal: Principal::Account(organization, *account),
            description: secret.description.clone(),
            created_at: rows.at,
            expires_at: *expires_at,
            revoked_at: None,
        }))),
        Event::ServiceAccountKeyCreatedV2 {
            account,
            key,
            expires_at,
            verifier,
            description,
        } => key_created(
            rows,
            Principal::Account(organization, *account),
            key,
            *expires_at,
            verifier,
            description,
        ),
        Event::EnvironmentCreated {
            no,
            name,
            kind,
            settings,
            snapshot,
            ..
        } => environment_created(rows, *no, name, *kind, settings.clone(), *snapshot)?,
        Event::EnvironmentCreatedV2 {
            no,
            name,
            kind,
            include_scaling,
            require_provenance,
            description,
            members,
            snapshot,
        } => {
            let settings = Settings {
                description: description
                    .as_ref()
                    .map(|text| text.as_str().to_owned())
                    .unwrap_or_default(),
                include_scaling: *include_scaling,
                require_provenance: *require_provenance,
                members: members.clone().unwrap_or_default(),
            };
            environment_created(rows, *no, name, *kind, settings, *snapshot)?;
        }
        Event::EnvironmentChanged {
            no,
            settings,
            snapshot,
            ..
        } => environment_changed(rows, *no, settings.clone(), *snapshot)?,
        Event::EnvironmentChangedV2 {
            no,
            include_scaling,
            require_provenance,
            description,
            members,
            snapshot,
        } => {
            let known = rows.environment(*no)?;
            let settings = Settings {
                description: match description {
                    Some(text) => text.as_str().to_owned(),
                    None => known.description,
                },
                include_scaling: *include_scaling,
                require_provenance: *require_provenance,
                members: members.clone().unwrap_or(known.members),
            };
            environment_changed(rows, *no, settings, *snapshot)?;
        }
        Event::EnvironmentArchived { no, name } => {
            let known = rows.environment(*no)?;
            let mut counters = rows.view.counters(organization)?;
            counters.live_environments = counters.live_environments.saturating_sub(1);
            rows.put(Row::Counters(organization, counters));
            let logicals = rows.view.logicals_of(organization, *no)?;
            for logical in logicals.iter() {
                let mut logical = rows.environment(*logical)?;
                logical.members.retain(|member| member != no);
                let members = logical.members.clone();
                let logical_no = logical.no;
                rows.put(Row::Environment(Arc::new(logical)));
                rows.put(Row::Members(organization, logical_no, members));
            }
            if known.kind == EnvironmentKind::Logical {
                rows.put(Row::Members(organization, *no, Vec::new()));
            }
            let received = rows.at;
            rows.put(Row::Environment(Arc::new(Environment {
                name: name.clone(),
                archived_at: Some(received),
                modified_at: received,
                ..known
            })));
        }
        Event::EnvironmentRenamed { no, name } => {
            let known = rows.environment(*no)?;
            let received = rows.at;
            rows.put(Row::Environment(Arc::new(Environment {
                name: name.clone(),
                modified_at: received,
                ..known
            })));
            rows.put(Row::EnvironmentNamed(organization, name.clone(), *no));
        }
        Event::EnvironmentTagged {
            no, set, removed, ..
        } => {
            let mut known = rows.environment(*no)?;
            known.tags.extend(set.clone());
            known.tags.retain(|key, _| !removed.contains(key));
            rows.put(Row::Environment(Arc::new(known)));
        }
        Event::EnvironmentTaggedV2 {
            no, set, removed, ..
        } => {
            let mut known = rows.environment(*no)?;
            for (key, value) in set {
                known
                    .tags
                    .insert(key.clone(), value.clone().unwrap_or_default());
            }
            known.tags.retain(|key, _| !removed.contains(key));
            rows.put(Row::Environment(Arc::new(known)));
        }
        Event::SnapshotRecorded {
            environment,
            snapshot,
            effective,
            effects,
        } => append_snapshot(rows, *environment, *snapshot, *effective, effects)?,
        Event::ObservationRecorded { .. }
        | Event::EpochBegun { .. }
        | Event::KeyRotated { .. }
        | Event::ClockMovedBack { .. }
        | Event::Flow(_)
        | Event::Legacy(_)
        | Event::Type(_)
        | Event::Control(_) => {}
        Event::BodiesErased { bodies, .. } => {
            for (index, position, _) in bodies {
                erasure::erase(rows, *index, *position)?;
            }
        }
    }
    Ok(())
}

fn user_created(rows: &mut Rows, no: UserNo, name: String, email: String) -> Result<(), Misfit> {
    let mut counters = rows.view.counters(rows.organization)?;
    counters.users = counters.users.max(no.0);
    rows.put(Row::Counters(rows.organization, counters));
    rows.put(Row::User(Arc::new(User {
        no,
        name,
        email,
        created_at: rows.at,
    })));
    Ok(())
}

/// A key whose verifier was erased is no more, as if it had never been.
fn key_created(
    rows: &mut Rows,
    principal: Principal,
    id: &str,
    expires_at: Option<Micros>,
    verifier: &Verifier,
    description: &Text,
) {
    if let Some(verifier) = verifier.verifier {
        rows.put(Row::Key(Arc::new(ApiKey {
            verifier,
            id: id.to_owned(),
            principal,
            description: description.as_str().to_owned(),
            created_at: rows.at,
            expires_at,
            revoked_at: None,
        })));
    }
}

fn environment_created(
    rows: &mut Rows,
    no: EnvironmentNo,
    name: &str,
    kind: EnvironmentKind,
    settings: Settings,
    snapshot: Option<SnapshotNo>,
) -> Result<(), Misfit> {
    let organization = rows.organization;
    let mut counters = rows.view.counters(organization)?;
    counters.environments = counters.environments.max(no.0);
    counters.live_environments += 1;
    rows.put(Row::Counters(organization, counters));
    let received = rows.at;
    rows.put(Row::Environment(Arc::new(Environment {
        organization,
        no,
        name: name.to_owned(),
        kind,
        description: settings.description,
        include_scaling: settings.include_scaling,
        require_provenance: settings.require_provenance,
        members: settings.members.clone(),
        tags: std::collections::BTreeMap::new(),
        created_at: received,
        modified_at: received,
        archived_at: None,
        snapshots: 0,
        changed_at: None,
        imported: 0,
        last_entry: rows.index,
    })));
    rows.put(Row::EnvironmentNamed(organization, name.to_owned(), no));
    // A new environment has no history and is in no logical one: facts a later decision of the
    // same batch may read.
    rows.view.insert(
        crate::view::FactKey::Head(organization, no),
        crate::view::Fact::Absent,
    );
    rows.view.insert(
        crate::view::FactKey::LogicalsOf(organization, no),
        crate::view::Fact::Absent,
    );
    if kind == EnvironmentKind::Logical {
        rows.put(Row::Members(organization, no, settings.members));
        if let Some(snapshot) = snapshot {
            append_logical(rows, no, snapshot, None)?;
        }
    }
    Ok(())
}

fn environment_changed(
    rows: &mut Rows,
    no: EnvironmentNo,
    settings: Settings,
    snapshot: Option<SnapshotNo>,
) -> Result<(), Misfit> {
    let organization = rows.organization;
    let known = rows.environment(no)?;
    rows.put(Row::Environment(Arc::new(changed(
        known.clone(),
        &settings,
        rows.at,
    ))));
    if known.kind == EnvironmentKind::Logical {
        if known.members != settings.members {
            rows.put(Row::Members(organization, no, settings.members));
        }
        if let Some(snapshot) = snapshot {
            append_logical(rows, no, snapshot, None)?;
        }
    }
    Ok(())
}

fn changed(known: Environment, settings: &Settings, received: Micros) -> Environment {
    Environment {
        description: settings.description.clone(),
        include_scaling: settings.include_scaling,
        require_provenance: settings.require_provenance,
        members: settings.members.clone(),
        modified_at: received,
        ..known
    }
}
