//! The names of kinds, as they are spelled in statuses and in templates.

use std::fmt;

use super::KINDS;

/// What starts the kind of a custom type.
pub const CUSTOM: &str = "custom:";
/// What starts the kinds that this product defines beyond those of tools.
pub const SYSTEM: &str = "system:";
/// A decision about a control, as statuses spell it.
pub const DECISION: &str = "system:decision";
/// A decision about a control, as templates spell it.
pub const DECISION_IN_TEMPLATES: &str = "decision";
/// A changed mind about an attestation.
pub const OVERRIDE: &str = "override";

/// What a template demands of the kind of an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Demand {
    /// `*`: any kind.
    Any,
    /// Exactly this kind, in the spelling of statuses.
    Kind(String),
}

/// The kinds of tools: those that a template names as they are.
fn tools() -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(|kind| kind.tool).map(|kind| kind.path)
}

impl Demand {
    /// Reads the spelling of templates; none = no such kind.
    pub fn from_template(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Any),
            DECISION_IN_TEMPLATES => Some(Self::Kind(DECISION.to_owned())),
            _ if text.starts_with(CUSTOM) || tools().any(|tool| tool == text) => {
                Some(Self::Kind(text.to_owned()))
            }
            _ => None,
        }
    }

    /// The spelling of templates.
    pub fn in_template(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Kind(kind) if kind == DECISION => DECISION_IN_TEMPLATES,
            Self::Kind(kind) => kind,
        }
    }

    /// The spelling of statuses.
    pub fn in_status(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Kind(kind) => kind,
        }
    }

    /// Whether a report of `kind` (spelled as in statuses) is what is demanded.
    pub fn accepts(&self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Kind(demanded) => demanded == kind,
        }
    }

    /// What a template may write, for error texts.
    pub fn choices() -> impl Iterator<Item = &'static str> {
        tools().chain(["custom:<name>", DECISION_IN_TEMPLATES, "*"])
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_template())
    }
}
