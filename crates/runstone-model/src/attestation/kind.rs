//! The names of kinds, as they are spelled in statuses, templates and paths.

use std::fmt;

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

/// The kinds of tools, in the order in which errors list them.
pub const TOOLS: [&str; 6] = ["generic", "junit", "snyk", "pull_request", "jira", "sonar"];

/// What a template demands of the kind of an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Demand {
    /// `*`: any kind.
    Any,
    /// Exactly this kind, in the spelling of statuses.
    Kind(String),
}

impl Demand {
    /// Reads the spelling of templates; none = no such kind.
    pub fn from_template(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Any),
            DECISION_IN_TEMPLATES => Some(Self::Kind(DECISION.to_owned())),
            _ if TOOLS.contains(&text) || text.starts_with(CUSTOM) => {
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
        TOOLS
            .into_iter()
            .chain(["custom:<name>", DECISION_IN_TEMPLATES, "*"])
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_template())
    }
}
