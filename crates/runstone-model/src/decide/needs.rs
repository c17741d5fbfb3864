//! Which facts a command reads, as far as they can be told before it is decided.

use crate::attestation::kind::CUSTOM;
use crate::command::{Action, Attest, Command, ControlAction, FlowAction, RepoTold, TypeAction};
use crate::decide::reports::difference;
use crate::event::Subject;
use crate::fact::{
    ControlNo, EnvironmentNo, FlowNo, HISTORY, OrganizationNo, Principal, SERVER, TypeNo,
};
use crate::view::{FactKey, Numbered, View};

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
    if let Some(verifier) = command.caller.key() {
        keys.push(FactKey::Key(verifier));
    }
    let organization = if command.organization.is_empty() {
        SERVER
    } else {
        keys.push(FactKey::OrganizationNamed(command.organization.clone()));
        view.organization_named(&command.organization).ok()??
    };
    keys.push(FactKey::Organization(organization));
    keys.push(FactKey::Counters(organization));
    if let Some(claim) = command.caller.history() {
        keys.push(FactKey::Sequence(organization, HISTORY, claim.by.clone()));
    }
    if let Some(verifier) = command.caller.key()
        && let Ok(Some(key)) = view.key(verifier)
    {
        match key.principal {
            Principal::User(user) => keys.push(FactKey::Membership(organization, user)),
            Principal::Account(home, account) => {
                keys.push(FactKey::Organization(home));
                keys.push(FactKey::Account(home, account));
            }
        }
    }
    let environment = |name: &str, keys: &mut Vec<FactKey>| -> Option<EnvironmentNo> {
        keys.push(FactKey::EnvironmentNamed(organization, name.to_owned()));
        let no = view.environment_named(organization, name).ok()??;
        keys.push(FactKey::Environment(organization, no));
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
        Action::Flow(action) => flow_needs(organization, action, view, keys),
        Action::Legacy(action) => super::legacy::needs(organization, action, view, keys),
        Action::Type(TypeAction::Put { name, .. } | TypeAction::Archive { name }) => {
            keys.push(FactKey::Last(organization, Numbered::Type));
            if let Some(no) = type_needs(organization, name, view, keys) {
                keys.push(FactKey::Subject(organization, Subject::Type(no)));
            }
        }
        Action::Control(
            ControlAction::Create { identifier, .. }
            | ControlAction::Change { identifier, .. }
            | ControlAction::Archive { identifier }
            | ControlAction::Restore { identifier }
            | ControlAction::Tag { identifier, .. },
        ) => {
            keys.push(FactKey::Last(organization, Numbered::Control));
            if let Some(no) = control_needs(organization, identifier, view, keys) {
                keys.push(FactKey::Subject(organization, Subject::Control(no)));
            }
        }
        Action::RecordObservation { environment, .. } => {
            keys.push(FactKey::Environment(organization, *environment));
            keys.push(FactKey::Seen(organization, *environment));
        }
        Action::ShareSeen(seen) => {
            for (organization, environment, _) in seen {
                keys.push(FactKey::Seen(*organization, *environment));
            }
        }
        Action::PutOrganization { name, .. }
        | Action::PutLimits { name, .. }
        | Action::CloseOrganization { name, .. } => {
            keys.push(FactKey::OrganizationNamed(name.clone()));
            if let Ok(Some(no)) = view.organization_named(name) {
                keys.push(FactKey::Organization(no));
                keys.push(FactKey::Subject(SERVER, Subject::Organization(no)));
            }
        }
        Action::EraseBodies { bodies, .. } => {
            for (entry, position, _) in bodies {
                keys.push(FactKey::PrivateBody(organization, *entry, *position));
                keys.push(FactKey::BodyDigest(organization, *entry, *position));
            }
            keys.push(FactKey::Subject(organization, Subject::Log));
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

fn type_needs(
    organization: OrganizationNo,
    name: &str,
    view: &View,
    keys: &mut Vec<FactKey>,
) -> Option<TypeNo> {
    keys.push(FactKey::TypeNamed(organization, name.to_owned()));
    let no = view.type_named(organization, name).ok()??;
    keys.push(FactKey::Type(organization, no));
    Some(no)
}

fn control_needs(
    organization: OrganizationNo,
    identifier: &str,
    view: &View,
    keys: &mut Vec<FactKey>,
) -> Option<ControlNo> {
    keys.push(FactKey::ControlNamed(organization, identifier.to_owned()));
    let no = view.control_named(organization, identifier).ok()??;
    keys.push(FactKey::Control(organization, no));
    Some(no)
}

/// What an attestation is judged by, or decides about.
fn judgement_needs(
    organization: OrganizationNo,
    attest: &Attest,
    view: &View,
    keys: &mut Vec<FactKey>,
) {
    if let Some(name) = attest.kind.strip_prefix(CUSTOM) {
        type_needs(organization, name, view, keys);
    } else if let Some(control) = &attest.control {
        control_needs(organization, control, view, keys);
    }
}

/// The same for flows and what is in them.
fn flow_needs(
    organization: OrganizationNo,
    action: &FlowAction,
    view: &View,
    keys: &mut Vec<FactKey>,
) {
    let flow = |name: &str, keys: &mut Vec<FactKey>| -> Option<FlowNo> {
        keys.push(FactKey::FlowNamed(organization, name.to_owned()));
        let no = view.flow_named(organization, name).ok()??;
        keys.push(FactKey::Flow(organization, no));
        Some(no)
    };
    let repo = |told: Option<&RepoTold>, keys: &mut Vec<FactKey>| {
        if let Some(told) = told {
            keys.push(FactKey::Last(organization, Numbered::Repo));
            keys.push(FactKey::RepoKnown(organization, told.key.clone()));
            if let Ok(Some(no)) = view.repo_known(organization, &told.key) {
                keys.push(FactKey::Repo(organization, no));
                keys.push(FactKey::Subject(organization, Subject::Repo(no)));
            }
        }
    };
    let trail = |in_flow: &str, name: &str, keys: &mut Vec<FactKey>| {
        for of in [Numbered::Flow, Numbered::Template, Numbered::Trail] {
            keys.push(FactKey::Last(organization, of));
        }
        let Some(no) = flow(in_flow, keys) else {
            return;
        };
        keys.push(FactKey::TrailNamed(organization, no, name.to_owned()));
        match view.trail_named(organization, no, name) {
            Ok(Some(no)) => {
                keys.push(FactKey::Trail(organization, no));
                keys.push(FactKey::TrailState(organization, no));
                keys.push(FactKey::Subject(organization, Subject::Trail(no)));
                if let Ok(Some(trail)) = view.trail(organization, no) {
                    keys.push(FactKey::Template(organization, trail.template));
                }
            }
            _ => {
                if let Ok(Some(flow)) = view.flow(organization, no) {
                    keys.push(FactKey::Template(organization, flow.template));
                    if flow.archived_at.is_some() {
                        keys.push(FactKey::Subject(organization, Subject::Flow(no)));
                    }
                }
            }
        }
    };
    match action {
        FlowAction::Put(put) => {
            keys.push(FactKey::Last(organization, Numbered::Flow));
            keys.push(FactKey::Last(organization, Numbered::Template));
            if let Some(no) = flow(&put.name, keys) {
                keys.push(FactKey::Subject(organization, Subject::Flow(no)));
            }
        }
        FlowAction::Archive { flow: name } | FlowAction::Tag { flow: name, .. } => {
            if let Some(no) = flow(name, keys) {
                keys.push(FactKey::Subject(organization, Subject::Flow(no)));
            }
        }
        FlowAction::Rename {
            flow: name,
            new_name,
        } => {
            if let Some(no) = flow(name, keys) {
                keys.push(FactKey::Subject(organization, Subject::Flow(no)));
            }
            flow(new_name, keys);
        }
        FlowAction::PutTrail(put) => {
            repo(put.repo.as_ref(), keys);
            trail(&put.flow, &put.name, keys);
        }
        FlowAction::ReportArtifact(report) => {
            repo(report.repo.as_ref(), keys);
            keys.push(FactKey::Last(organization, Numbered::Artifact));
            trail(&report.flow, &report.trail_name().0, keys);
        }
        FlowAction::Attest(attest) => {
            repo(attest.repo.as_ref(), keys);
            judgement_needs(organization, attest, view, keys);
            keys.push(FactKey::Last(organization, Numbered::Attestation));
            trail(&attest.flow, &attest.trail, keys);
        }
        FlowAction::TagRepo { .. } => {}
    }
}
