//! Rows of controls and of what was decided about them.

use std::sync::Arc;

use runstone_model::control::ControlTexts;
use runstone_model::fact::{Control, ControlNo, ControlVersion, Decided, OrganizationNo};
use runstone_model::view::{Fact, FactKey};

use super::flow::{actor, optional_text, tags};
use super::pending::json;
use super::{Pending, corrupt, micros, optional_micros};
use crate::conn::Conn;
use crate::table;
use crate::value::{DbError, Record, Value};

pub(crate) const SELECT_CONTROL: &str = "SELECT organization, no, identifier, name, description, links, version, tags, created_by, created_at, archived_at, told_by FROM controls";

pub(crate) fn control(record: &Record) -> Result<Control, DbError> {
    Ok(Control {
        organization: OrganizationNo(record.ordinal(0)?),
        no: ControlNo(record.ordinal(1)?),
        identifier: record.text(2)?.to_owned(),
        texts: ControlTexts {
            name: record.text(3)?.to_owned(),
            description: optional_text(record, 4)?,
            links: serde_json::from_str(record.text(5)?).map_err(|_| corrupt("links"))?,
        },
        version: record.ordinal(6)?,
        tags: tags(record, 7)?,
        created_by: actor(record, 8)?,
        created_at: micros(record, 9)?,
        archived_at: optional_micros(record, 10)?,
        told_by: record.number(11)?,
    })
}

pub(crate) const SELECT_VERSION: &str =
    "SELECT organization, control, version, entry, author, at FROM control_versions";

pub(crate) fn version(record: &Record) -> Result<ControlVersion, DbError> {
    Ok(ControlVersion {
        organization: OrganizationNo(record.ordinal(0)?),
        of: ControlNo(record.ordinal(1)?),
        version: record.ordinal(2)?,
        entry: record.number(3)?,
        by: actor(record, 4)?,
        at: micros(record, 5)?,
    })
}

/// Adds the stored form of a control.
pub(super) fn put(pending: &mut Pending, control: &Control) {
    pending.put(
        &table::CONTROLS,
        vec![
            control.organization.0.into(),
            control.no.0.into(),
            control.identifier.as_str().into(),
            control.texts.name.as_str().into(),
            control.texts.description.as_deref().map(Value::from).into(),
            json(&control.texts.links),
            control.version.into(),
            json(&control.tags),
            control.created_by.to_text().into(),
            control.created_at.0.into(),
            control.archived_at.map(|at| at.0).into(),
            control.told_by.into(),
        ],
    );
}

/// Adds the stored form of a version.
pub(super) fn put_version(pending: &mut Pending, version: &ControlVersion) {
    pending.put(
        &table::CONTROL_VERSIONS,
        vec![
            version.organization.0.into(),
            version.of.0.into(),
            version.version.into(),
            version.entry.into(),
            version.by.to_text().into(),
            version.at.0.into(),
        ],
    );
}

/// Adds the stored form of what an attestation decides about.
pub(super) fn put_decided(pending: &mut Pending, decided: &Decided) {
    pending.put(
        &table::DECISIONS,
        vec![
            decided.organization.0.into(),
            decided.control.as_str().into(),
            decided.attestation.0.into(),
            decided.version.into(),
        ],
    );
}

/// A control by identifier, archived or not.
pub(crate) async fn named(
    conn: &mut Conn,
    organization: OrganizationNo,
    identifier: &str,
) -> Result<Option<Control>, DbError> {
    conn.query_one(
        &format!("{SELECT_CONTROL} WHERE organization = $1 AND identifier = $2"),
        &[organization.0.into(), identifier.into()],
    )
    .await?
    .map(|row| control(&row))
    .transpose()
}

/// Loads a fact of these.
pub(super) async fn load(conn: &mut Conn, key: &FactKey) -> Result<Option<Fact>, DbError> {
    Ok(match key {
        FactKey::Control(organization, no) => conn
            .query_one(
                &format!("{SELECT_CONTROL} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| control(&row).map(|known| Fact::Control(Arc::new(known))))
            .transpose()?,
        FactKey::ControlNamed(organization, identifier) => named(conn, *organization, identifier)
            .await?
            .map(|known| Fact::ControlNamed(known.no)),
        _ => None,
    })
}
