//! Who may do what: roles, rights and the one table that joins them.
//!
//! Source: the role matrix of the environment and organization contracts.

use std::fmt;
use std::str::FromStr;

/// What a principal is in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything.
    Reader,
    /// Reads, creates environments and reports snapshots.
    Snapshotter,
    /// Everything but the administration of people and the organization.
    Member,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, least rights first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Snapshotter, Self::Member, Self::Admin];

    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Snapshotter => "snapshotter",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// Whether this role includes `right`.
    pub fn allows(self, right: Right) -> bool {
        match right {
            Right::Read => true,
            Right::PutEnvironment | Right::ReportSnapshot => self >= Self::Snapshotter,
            Right::ChangeEnvironment
            | Right::ArchiveEnvironment
            | Right::Tag
            | Right::ChangeFlow
            | Right::Attest => self >= Self::Member,
            Right::ChangeControl | Right::Administer => self == Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a role: admin, member, snapshotter or reader")]
pub struct NoSuchRole(pub String);

impl FromStr for Role {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| NoSuchRole(text.to_owned()))
    }
}

/// What an endpoint or command needs its caller to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Read anything of the organization.
    Read,
    /// Create an environment, or put an existing one again.
    PutEnvironment,
    /// Report what runs.
    ReportSnapshot,
    /// Patch, rename and join environments.
    ChangeEnvironment,
    /// Archive environments.
    ArchiveEnvironment,
    /// Set and remove tags.
    Tag,
    /// Create, change, rename and archive flows and custom types of attestations.
    ChangeFlow,
    /// Begin trails, report artifacts, attest.
    Attest,
    /// Create, change, archive and tag controls.
    ChangeControl,
    /// Manage people, keys and the organization.
    Administer,
}

impl Right {
    /// Every right, for generated tests.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::PutEnvironment,
        Self::ReportSnapshot,
        Self::ChangeEnvironment,
        Self::ArchiveEnvironment,
        Self::Tag,
        Self::ChangeFlow,
        Self::Attest,
        Self::ChangeControl,
        Self::Administer,
    ];
}
