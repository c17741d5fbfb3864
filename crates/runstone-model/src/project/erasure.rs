//! Private bodies: where each text that is shown is from, and what goes when a body is erased.
//!
//! A replay reads erased texts as empty from the start and so writes the rows that erasing makes
//! of the live ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Misfit, Rows};
use crate::control::ControlTexts;
use crate::event::{ControlEvent, Entry, Event, Field, FlowEvent, Subject};
use crate::fact::{
    ApiKey, Control, CustomType, EntryIndex, Environment, Flow, Organization, OrganizationNo,
    PrivateBody, ServiceAccount, User,
};
use crate::view::{Need, Row, View};

/// Name of the text that is the value of a tag.
fn tag_name(key: &str) -> String {
    format!("tag:{key}")
}

/// Rows of the entry's private bodies, and of the texts that are from it from now on.
pub(super) fn note(rows: &mut Rows, entry: &Entry) {
    let Some((subject, _)) = entry.subjects.first() else {
        return;
    };
    let (organization, index) = (rows.organization, rows.index);
    let mut shown = Vec::new();
    for (position, field) in entry.event.private_bodies() {
        match field {
            Field::Description | Field::Name | Field::Email => shown.push(field.to_text()),
            Field::TagValues
            | Field::Comment
            | Field::Reason
            | Field::Verifier(_)
            | Field::KeyDescription(_)
            | Field::Told(_)
            | Field::Content
            | Field::Mixed => {}
        }
        rows.put(Row::PrivateBody(Arc::new(PrivateBody {
            organization,
            entry: index,
            position,
            subject: *subject,
            field,
            erased_by: None,
        })));
    }
    // The first versions are not erased; their texts take the place of those before them.
    match &entry.event {
        Event::UserCreated { .. } | Event::UserChanged { .. } => {
            shown.extend([Field::Name.to_text(), Field::Email.to_text()]);
        }
        Event::EnvironmentChanged { .. } => shown.push(Field::Description.to_text()),
        Event::EnvironmentTagged { set, .. } => shown.extend(set.keys().map(|key| tag_name(key))),
        Event::EnvironmentTaggedV2 { set, .. }
        | Event::Flow(FlowEvent::Tagged { set, .. } | FlowEvent::RepoTagged { set, .. })
        | Event::Control(ControlEvent::Tagged { set, .. }) => {
            shown.extend(set.keys().map(|key| tag_name(key)));
        }
        _ => {}
    }
    for name in shown {
        rows.put(Row::TextFrom(organization, *subject, name, index));
    }
}

/// Reads every fact that [`erase`] will read.
pub(super) fn preload(
    organization: OrganizationNo,
    entry: EntryIndex,
    position: u32,
    view: &View,
) -> Result<(), Need> {
    let Some(body) = view.private_body(organization, entry, position)? else {
        return Ok(());
    };
    match &body.field {
        Field::Verifier(id) | Field::KeyDescription(id) => {
            if let Some(verifier) = view.key_with_id(id)? {
                view.key(verifier)?;
            }
        }
        Field::Description | Field::Name | Field::Email => {
            view.text_from(organization, body.subject, &body.field.to_text())?;
        }
        Field::TagValues => {
            let keys: Vec<String> = match body.subject {
                Subject::Environment(no) => view
                    .environment(organization, no)?
                    .map(|known| known.tags.keys().cloned().collect()),
                Subject::Flow(no) => view
                    .flow(organization, no)?
                    .map(|known| known.tags.keys().cloned().collect()),
                Subject::Repo(no) => view
                    .repo(organization, no)?
                    .map(|known| known.tags.keys().cloned().collect()),
                Subject::Control(no) => view
                    .control(organization, no)?
                    .map(|known| known.tags.keys().cloned().collect()),
                _ => None,
            }
            .unwrap_or_default();
            for key in keys {
                view.text_from(organization, body.subject, &tag_name(&key))?;
            }
        }
        // What trails, artifacts and attestations tell stands in the bodies alone.
        Field::Comment | Field::Reason | Field::Told(_) | Field::Content | Field::Mixed => {}
    }
    match body.subject {
        Subject::Organization(no) => {
            view.organization(no)?;
        }
        Subject::Environment(no) => {
            view.environment(organization, no)?;
        }
        Subject::User(no) => {
            view.user(no)?;
        }
        Subject::Account(no) => {
            view.account(organization, no)?;
        }
        Subject::Flow(no) => {
            view.flow(organization, no)?;
        }
        Subject::Repo(no) => {
            view.repo(organization, no)?;
        }
        Subject::Type(no) => {
            view.custom_type(organization, no)?;
        }
        Subject::Control(no) => {
            view.control(organization, no)?;
        }
        Subject::Trail(_) | Subject::Log => {}
    }
    Ok(())
}

/// The body goes, and with it the texts that are shown and from it.
pub(super) fn erase(rows: &mut Rows, entry: EntryIndex, position: u32) -> Result<(), Misfit> {
    let organization = rows.organization;
    let body = rows
        .view
        .private_body(organization, entry, position)?
        .filter(|body| body.erased_by.is_none() && body.field != Field::Mixed)
        .ok_or_else(|| {
            rows.contradiction(format!(
                "it erases body {position} of entry {entry}, which cannot be erased"
            ))
        })?;
    rows.put(Row::PrivateBody(Arc::new(PrivateBody {
        erased_by: Some(rows.index),
        ..PrivateBody::clone(&body)
    })));
    match &body.field {
        Field::Description | Field::Name | Field::Email => {
            let from = rows
                .view
                .text_from(organization, body.subject, &body.field.to_text())?;
            if from == Some(entry) {
                erase_text(rows, &body)?;
            }
        }
        Field::TagValues => erase_tags(rows, &body)?,
        Field::Verifier(id) => {
            if let Some(verifier) = rows.view.key_with_id(id)? {
                rows.put(Row::KeyRemoved(verifier, id.clone()));
            }
        }
        Field::KeyDescription(id) => {
            if let Some(verifier) = rows.view.key_with_id(id)?
                && let Some(key) = rows.view.key(verifier)?
            {
                rows.put(Row::Key(Arc::new(ApiKey {
                    description: String::new(),
                    ..ApiKey::clone(&key)
                })));
            }
        }
        Field::Content => erase_content(rows, &body)?,
        Field::Comment | Field::Reason | Field::Told(_) | Field::Mixed => {}
    }
    Ok(())
}

/// What trails, artifacts and attestations tell stands in the bodies alone; what the newest version
/// of a control says is shown.
fn erase_content(rows: &mut Rows, body: &PrivateBody) -> Result<(), Misfit> {
    if let Subject::Control(no) = body.subject {
        let known = rows.control(no)?;
        if known.told_by == body.entry {
            rows.put(Row::Control(Arc::new(Control {
                texts: ControlTexts::default(),
                ..known
            })));
        }
    }
    Ok(())
}

fn erase_text(rows: &mut Rows, body: &PrivateBody) -> Result<(), Misfit> {
    let organization = rows.organization;
    match (body.subject, &body.field) {
        (Subject::Organization(no), Field::Description) => {
            let known = rows.organization(no)?;
            rows.put(Row::Organization(Arc::new(Organization {
                description: String::new(),
                ..known
            })));
        }
        (Subject::Environment(no), Field::Description) => {
            let known = rows.environment(no)?;
            rows.put(Row::Environment(Arc::new(Environment {
                description: String::new(),
                ..known
            })));
        }
        (Subject::Flow(no), Field::Description) => {
            let known = rows.flow(no)?;
            rows.put(Row::Flow(Arc::new(Flow {
                description: String::new(),
                ..known
            })));
        }
        (Subject::Type(no), Field::Description) => {
            let known = rows.custom_type(no)?;
            rows.put(Row::Type(Arc::new(CustomType {
                description: None,
                ..known
            })));
        }
        // It stands in the body alone.
        (Subject::Repo(_), Field::Description) => {}
        (Subject::Account(no), Field::Description) => {
            let known = rows
                .view
                .account(organization, no)?
                .ok_or_else(|| rows.contradiction("no such service account"))?;
            rows.put(Row::Account(Arc::new(ServiceAccount {
                description: String::new(),
                ..ServiceAccount::clone(&known)
            })));
        }
        (Subject::User(no), Field::Name) => {
            let known = rows.user(no)?;
            rows.put(Row::User(Arc::new(User {
                name: User::erased_name(no),
                ..known
            })));
        }
        (Subject::User(no), Field::Email) => {
            let known = rows.user(no)?;
            rows.put(Row::User(Arc::new(User {
                email: String::new(),
                ..known
            })));
        }
        (subject, field) => {
            return Err(rows.contradiction(format!(
                "{} has no {}",
                subject.to_text(),
                field.to_text()
            )));
        }
    }
    Ok(())
}

fn erase_tags(rows: &mut Rows, body: &PrivateBody) -> Result<(), Misfit> {
    match body.subject {
        Subject::Environment(no) => {
            let mut known = rows.environment(no)?;
            erase_values(rows, body, &mut known.tags)?;
            rows.put(Row::Environment(Arc::new(known)));
        }
        Subject::Flow(no) => {
            let mut known = rows.flow(no)?;
            erase_values(rows, body, &mut known.tags)?;
            rows.put(Row::Flow(Arc::new(known)));
        }
        Subject::Repo(no) => {
            let mut known = rows.repo(no)?;
            erase_values(rows, body, &mut known.tags)?;
            rows.put(Row::Repo(Arc::new(known)));
        }
        Subject::Control(no) => {
            let mut known = rows.control(no)?;
            erase_values(rows, body, &mut known.tags)?;
            rows.put(Row::Control(Arc::new(known)));
        }
        subject => {
            return Err(rows.contradiction(format!("{} has no tags", subject.to_text())));
        }
    }
    Ok(())
}

/// Empties the values that are from the body.
fn erase_values(
    rows: &Rows,
    body: &PrivateBody,
    tags: &mut BTreeMap<String, String>,
) -> Result<(), Misfit> {
    for (key, value) in tags {
        let from = rows
            .view
            .text_from(rows.organization, body.subject, &tag_name(key))?;
        if from == Some(body.entry) {
            value.clear();
        }
    }
    Ok(())
}
