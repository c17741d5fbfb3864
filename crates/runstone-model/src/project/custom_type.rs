//! Rows of custom types of attestation.

use std::sync::Arc;

use super::{Misfit, Rows};
use crate::event::{Entry, TypeEvent};
use crate::fact::{CustomType, OrganizationNo, TypeNo, TypeVersionRow};
use crate::view::{FactKey, Need, Row, View};

/// The type an event is about.
fn about(event: &TypeEvent) -> TypeNo {
    match event {
        TypeEvent::Versioned { no, .. }
        | TypeEvent::Archived { no }
        | TypeEvent::Restored { no } => *no,
    }
}

/// The facts the projection of `event` reads.
pub(super) fn needs(organization: OrganizationNo, event: &TypeEvent, keys: &mut Vec<FactKey>) {
    keys.push(FactKey::Type(organization, about(event)));
}

/// Reads every fact that [`project`] will read.
pub(super) fn preload(
    organization: OrganizationNo,
    event: &TypeEvent,
    view: &View,
) -> Result<(), Need> {
    view.custom_type(organization, about(event)).map(drop)
}

impl Rows<'_> {
    pub(super) fn custom_type(&self, no: TypeNo) -> Result<CustomType, Misfit> {
        self.view
            .custom_type(self.organization, no)?
            .map(Arc::unwrap_or_clone)
            .ok_or_else(|| self.contradiction(format!("no custom type {}", no.0)))
    }
}

/// The rows that follow from `event` of `entry`.
pub(super) fn project(rows: &mut Rows, entry: &Entry, event: &TypeEvent) -> Result<(), Misfit> {
    let (organization, at) = (rows.organization, rows.at);
    let after = match event {
        TypeEvent::Versioned {
            no,
            name,
            version,
            description,
            comment,
            ..
        } => {
            rows.put(Row::TypeVersion(Arc::new(TypeVersionRow {
                organization,
                of: *no,
                version: *version,
                entry: rows.index,
                comment: comment
                    .as_ref()
                    .map(|_| 1 + u32::from(description.is_some())),
                by: entry.actor.clone(),
                at,
            })));
            let mut after = match rows.view.custom_type(organization, *no)? {
                Some(known) => Arc::unwrap_or_clone(known),
                None => CustomType {
                    organization,
                    no: *no,
                    name: name.clone(),
                    description: None,
                    versions: 0,
                    created_by: entry.actor.clone(),
                    created_at: at,
                    modified_at: at,
                    archived_at: None,
                },
            };
            after.versions = *version;
            if let Some(text) = description {
                after.description = text.text.clone().filter(|text| !text.is_empty());
            }
            after
        }
        TypeEvent::Archived { no } => CustomType {
            archived_at: Some(at),
            ..rows.custom_type(*no)?
        },
        TypeEvent::Restored { no } => CustomType {
            archived_at: None,
            ..rows.custom_type(*no)?
        },
    };
    rows.put(Row::Type(Arc::new(CustomType {
        modified_at: at,
        ..after
    })));
    Ok(())
}
