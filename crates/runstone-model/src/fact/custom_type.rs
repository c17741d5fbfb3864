//! Facts of custom types of attestation.

use super::{EntryIndex, OrganizationNo, TypeNo};
use crate::event::Actor;
use crate::id::Micros;

/// A custom type of attestation. Its name is its for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomType {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: TypeNo,
    /// Name, unique in the organization.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Number of versions; the newest has this number.
    pub versions: u32,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Micros,
    /// When it last got a version, was archived or came back.
    pub modified_at: Micros,
    /// When it was archived.
    pub archived_at: Option<Micros>,
}

/// One version of a custom type. What it demands stands in the first body of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeVersionRow {
    /// Whose.
    pub organization: OrganizationNo,
    /// Of which type.
    pub of: TypeNo,
    /// Number, from 1.
    pub version: u32,
    /// The entry that made it.
    pub entry: EntryIndex,
    /// Where a comment stands among the bodies of that entry.
    pub comment: Option<u32>,
    /// Who made it.
    pub by: Actor,
    /// When.
    pub at: Micros,
}
