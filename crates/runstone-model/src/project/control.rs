//! Rows of controls.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flow::set_tags;
use super::{Misfit, Rows};
use crate::control::ControlTexts;
use crate::event::{Content, ControlEvent, Entry};
use crate::fact::{Control, ControlNo, ControlVersion, OrganizationNo};
use crate::view::{FactKey, Need, Row, View};

/// The control an event is about.
fn about(event: &ControlEvent) -> ControlNo {
    match event {
        ControlEvent::Created { no, .. }
        | ControlEvent::Changed { no, .. }
        | ControlEvent::Archived { no }
        | ControlEvent::Restored { no }
        | ControlEvent::Tagged { no, .. } => *no,
    }
}

/// The facts the projection of `event` reads.
pub(super) fn needs(organization: OrganizationNo, event: &ControlEvent, keys: &mut Vec<FactKey>) {
    keys.push(FactKey::Control(organization, about(event)));
}

/// Reads every fact that [`project`] will read.
pub(super) fn preload(
    organization: OrganizationNo,
    event: &ControlEvent,
    view: &View,
) -> Result<(), Need> {
    view.control(organization, about(event)).map(drop)
}

impl Rows<'_> {
    pub(super) fn control(&self, no: ControlNo) -> Result<Control, Misfit> {
        self.view
            .control(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no control {}", no.0)))
    }
}

fn texts_of(content: &Content) -> ControlTexts {
    ControlTexts::from_json(content.json.as_deref())
}

fn put_version(rows: &mut Rows, entry: &Entry, of: ControlNo, version: u32) {
    rows.put(Row::ControlVersion(Arc::new(ControlVersion {
        organization: rows.organization,
        of,
        version,
        entry: rows.index,
        by: entry.actor.clone(),
        at: rows.at,
    })));
}

/// The rows that follow from `event` of `entry`.
pub(super) fn project(rows: &mut Rows, entry: &Entry, event: &ControlEvent) -> Result<(), Misfit> {
    let (organization, at) = (rows.organization, rows.at);
    let after = match event {
        ControlEvent::Created {
            no,
            identifier,
            texts,
        } => {
            put_version(rows, entry, *no, 1);
            Control {
                organization,
                no: *no,
                identifier: identifier.clone(),
                texts: texts_of(texts),
                version: 1,
                tags: BTreeMap::new(),
                created_by: entry.actor.clone(),
                created_at: at,
                archived_at: None,
                told_by: rows.index,
            }
        }
        ControlEvent::Changed { no, version, texts } => {
            put_version(rows, entry, *no, *version);
            Control {
                texts: texts_of(texts),
                version: *version,
                told_by: rows.index,
                ..rows.control(*no)?
            }
        }
        ControlEvent::Archived { no } => Control {
            archived_at: Some(at),
            ..rows.control(*no)?
        },
        ControlEvent::Restored { no } => Control {
            archived_at: None,
            ..rows.control(*no)?
        },
        ControlEvent::Tagged {
            no, set, removed, ..
        } => {
            let mut after = rows.control(*no)?;
            set_tags(&mut after.tags, set, removed);
            after
        }
    };
    rows.put(Row::Control(Arc::new(after)));
    Ok(())
}
