//! Facts of controls and of what was decided about them.

use std::collections::BTreeMap;

use super::{AttestationNo, ControlNo, EntryIndex, OrganizationNo};
use crate::control::ControlTexts;
use crate::event::Actor;
use crate::id::Micros;

/// A control as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Whose.
    pub organization: OrganizationNo,
    /// Ordinal.
    pub no: ControlNo,
    /// What it is known by, for good.
    pub identifier: String,
    /// What it says.
    pub texts: ControlTexts,
    /// Number of its newest version, from 1.
    pub version: u32,
    /// Key-value labels.
    pub tags: BTreeMap<String, String>,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Micros,
    /// When it was archived.
    pub archived_at: Option<Micros>,
    /// The entry of its newest version.
    pub told_by: EntryIndex,
}

/// One version of a control. What it says stands in the first body of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlVersion {
    /// Whose.
    pub organization: OrganizationNo,
    /// Of which control.
    pub of: ControlNo,
    /// Number, from 1.
    pub version: u32,
    /// The entry that made it.
    pub entry: EntryIndex,
    /// Who made it.
    pub by: Actor,
    /// When.
    pub at: Micros,
}

/// An attestation that decides about a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Whose.
    pub organization: OrganizationNo,
    /// Identifier of the control, which need not exist.
    pub control: String,
    /// The attestation.
    pub attestation: AttestationNo,
    /// The control's version then; none if there was no such control.
    pub version: Option<u32>,
}
