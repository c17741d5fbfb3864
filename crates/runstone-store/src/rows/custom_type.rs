//! Rows of custom types of attestation.

use std::sync::Arc;

use runstone_model::fact::{CustomType, OrganizationNo, TypeNo, TypeVersionRow};
use runstone_model::view::{Fact, FactKey};

use super::flow::{actor, optional_ordinal, optional_text};
use super::{Pending, micros, optional_micros};
use crate::conn::Conn;
use crate::table;
use crate::value::{DbError, Record, Value};

pub(crate) const SELECT_TYPE: &str = "SELECT organization, no, name, description, versions, created_by, created_at, modified_at, archived_at FROM custom_types";

pub(crate) fn custom_type(record: &Record) -> Result<CustomType, DbError> {
    Ok(CustomType {
        organization: OrganizationNo(record.ordinal(0)?),
        no: TypeNo(record.ordinal(1)?),
        name: record.text(2)?.to_owned(),
        description: optional_text(record, 3)?,
        versions: record.ordinal(4)?,
        created_by: actor(record, 5)?,
        created_at: micros(record, 6)?,
        modified_at: micros(record, 7)?,
        archived_at: optional_micros(record, 8)?,
    })
}

/// Columns of a version, by which [`version`] reads it.
pub(crate) const VERSION_COLUMNS: &str =
    "v.organization, v.custom_type, v.version, v.entry, v.comment, v.author, v.at";

pub(crate) fn version(record: &Record) -> Result<TypeVersionRow, DbError> {
    Ok(TypeVersionRow {
        organization: OrganizationNo(record.ordinal(0)?),
        of: TypeNo(record.ordinal(1)?),
        version: record.ordinal(2)?,
        entry: record.number(3)?,
        comment: optional_ordinal(record, 4)?,
        by: actor(record, 5)?,
        at: micros(record, 6)?,
    })
}

/// Adds the stored form of a type.
pub(super) fn put(pending: &mut Pending, known: &CustomType) {
    pending.put(
        &table::CUSTOM_TYPES,
        vec![
            known.organization.0.into(),
            known.no.0.into(),
            known.name.as_str().into(),
            known.description.as_deref().map(Value::from).into(),
            known.versions.into(),
            known.created_by.to_text().into(),
            known.created_at.0.into(),
            known.modified_at.0.into(),
            known.archived_at.map(|at| at.0).into(),
        ],
    );
}

/// Adds the stored form of a version.
pub(super) fn put_version(pending: &mut Pending, version: &TypeVersionRow) {
    pending.put(
        &table::TYPE_VERSIONS,
        vec![
            version.organization.0.into(),
            version.of.0.into(),
            version.version.into(),
            version.entry.into(),
            version.comment.into(),
            version.by.to_text().into(),
            version.at.0.into(),
        ],
    );
}

/// A type by name, archived or not.
pub(crate) async fn named(
    conn: &mut Conn,
    organization: OrganizationNo,
    name: &str,
) -> Result<Option<CustomType>, DbError> {
    conn.query_one(
        &format!("{SELECT_TYPE} WHERE organization = $1 AND name = $2"),
        &[organization.0.into(), name.into()],
    )
    .await?
    .map(|row| custom_type(&row))
    .transpose()
}

/// Loads a fact of these.
pub(super) async fn load(conn: &mut Conn, key: &FactKey) -> Result<Option<Fact>, DbError> {
    Ok(match key {
        FactKey::Type(organization, no) => conn
            .query_one(
                &format!("{SELECT_TYPE} WHERE organization = $1 AND no = $2"),
                &[organization.0.into(), no.0.into()],
            )
            .await?
            .map(|row| custom_type(&row).map(|known| Fact::Type(Arc::new(known))))
            .transpose()?,
        FactKey::TypeNamed(organization, name) => named(conn, *organization, name)
            .await?
            .map(|known| Fact::TypeNamed(known.no)),
        _ => None,
    })
}
