//! Events of controls.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::code::{read_tags, tag_bodies};
use super::json::{ordinal, text};
use super::{Body, Content, Field, Salt, Unreadable};
use crate::fact::ControlNo;

/// What happened to controls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry the names of the facts they set")]
pub enum ControlEvent {
    Created {
        no: ControlNo,
        identifier: String,
        /// What its first version says, see [`crate::control::ControlTexts::to_json`].
        texts: Content,
    },
    /// There is a new version.
    Changed {
        no: ControlNo,
        version: u32,
        /// All that it says.
        texts: Content,
    },
    Archived {
        no: ControlNo,
    },
    /// No longer archived.
    Restored {
        no: ControlNo,
    },
    Tagged {
        no: ControlNo,
        /// Keys and values; each value is none once they were erased.
        set: BTreeMap<String, Option<String>>,
        /// Keys; applied after `set`.
        removed: Vec<String>,
        salt: Salt,
    },
}

impl ControlEvent {
    /// Name in entries, data and bodies.
    pub(super) fn encode(&self) -> (&'static str, Value, Vec<Body>) {
        match self {
            Self::Created {
                no,
                identifier,
                texts,
            } => (
                "ControlCreated",
                json!({"identifier": identifier, "no": no.0}),
                vec![texts.to_body()],
            ),
            Self::Changed { no, version, texts } => (
                "ControlChanged",
                json!({"no": no.0, "version": version}),
                vec![texts.to_body()],
            ),
            Self::Archived { no } => ("ControlArchived", json!({"no": no.0}), vec![]),
            Self::Restored { no } => ("ControlRestored", json!({"no": no.0}), vec![]),
            Self::Tagged {
                no,
                set,
                removed,
                salt,
            } => (
                "ControlTagged",
                json!({"no": no.0}),
                tag_bodies(set, removed, salt),
            ),
        }
    }

    /// The event of this name; none if it is not one of these.
    pub(super) fn decode(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Option<Self>, Unreadable> {
        let no = || ordinal(data, "no").map(ControlNo);
        Ok(Some(match kind {
            "ControlCreated" => Self::Created {
                no: no()?,
                identifier: text(data, "identifier")?,
                texts: Content::read(bodies, 0)?,
            },
            "ControlChanged" => Self::Changed {
                no: no()?,
                version: ordinal(data, "version")?,
                texts: Content::read(bodies, 0)?,
            },
            "ControlArchived" => Self::Archived { no: no()? },
            "ControlRestored" => Self::Restored { no: no()? },
            "ControlTagged" => {
                let (set, removed, salt) = read_tags(bodies)?;
                Self::Tagged {
                    no: no()?,
                    set,
                    removed,
                    salt,
                }
            }
            _ => return Ok(None),
        }))
    }

    /// Its private bodies: position among its bodies, and what it holds.
    pub(super) fn private_bodies(&self) -> Vec<(u32, Field)> {
        match self {
            Self::Created { .. } | Self::Changed { .. } => vec![(0, Field::Content)],
            Self::Tagged { set, .. } if !set.is_empty() => vec![(1, Field::TagValues)],
            Self::Archived { .. } | Self::Restored { .. } | Self::Tagged { .. } => Vec::new(),
        }
    }
}
