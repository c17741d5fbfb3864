//! Events of custom types of attestation.

use std::sync::Arc;

use serde_json::{Value, json};

use super::json::{bad, flag, ordinal, text};
use super::{Body, Field, Stored, Text, Unreadable};
use crate::fact::TypeNo;

/// What happened to custom types.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry the names of the facts they set")]
pub enum TypeEvent {
    /// A version was made; the first makes the type.
    Versioned {
        no: TypeNo,
        name: String,
        /// From 1.
        version: u32,
        /// Schema, evaluator and summary as JSON, in the order they were given in.
        definition: Arc<str>,
        /// None: as it was.
        description: Option<Text>,
        comment: Option<Text>,
    },
    Archived {
        no: TypeNo,
    },
    /// No longer archived.
    Restored {
        no: TypeNo,
    },
}

impl TypeEvent {
    /// Name in entries, data and bodies. The definition stands before all other bodies.
    pub(super) fn encode(&self) -> (&'static str, Value, Vec<Body>) {
        match self {
            Self::Versioned {
                no,
                name,
                version,
                definition,
                description,
                comment,
            } => (
                "TypeVersioned",
                json!({
                    "commented": comment.is_some(),
                    "described": description.is_some(),
                    "name": name,
                    "no": no.0,
                    "version": version,
                }),
                std::iter::once(Body {
                    private: false,
                    content: Stored::Here(definition.as_bytes().into()),
                })
                .chain(description.as_ref().map(Text::to_body))
                .chain(comment.as_ref().map(Text::to_body))
                .collect(),
            ),
            Self::Archived { no } => ("TypeArchived", json!({"no": no.0}), vec![]),
            Self::Restored { no } => ("TypeRestored", json!({"no": no.0}), vec![]),
        }
    }

    /// The event of this name; none if it is not one of these.
    pub(super) fn decode(
        kind: &str,
        data: &Value,
        bodies: &[Option<Arc<[u8]>>],
    ) -> Result<Option<Self>, Unreadable> {
        let no = || ordinal(data, "no").map(TypeNo);
        Ok(Some(match kind {
            "TypeVersioned" => {
                let definition = bodies
                    .first()
                    .and_then(Option::as_ref)
                    .ok_or_else(|| bad("missing body"))?;
                let described = flag(data, "described")?;
                let commented = flag(data, "commented")?;
                let read = |there: bool, position: usize| {
                    there.then(|| Text::read(bodies, position)).transpose()
                };
                Self::Versioned {
                    no: no()?,
                    name: text(data, "name")?,
                    version: ordinal(data, "version")?,
                    definition: std::str::from_utf8(definition)
                        .map_err(|_| bad("definition"))?
                        .into(),
                    description: read(described, 1)?,
                    comment: read(commented, 1 + usize::from(described))?,
                }
            }
            "TypeArchived" => Self::Archived { no: no()? },
            "TypeRestored" => Self::Restored { no: no()? },
            _ => return Ok(None),
        }))
    }

    /// Its private bodies: position among its bodies, and what it holds.
    pub(super) fn private_bodies(&self) -> Vec<(u32, Field)> {
        match self {
            Self::Versioned {
                description,
                comment,
                ..
            } => description
                .iter()
                .map(|_| Field::Description)
                .chain(comment.iter().map(|_| Field::Comment))
                .zip(1..)
                .map(|(field, position)| (position, field))
                .collect(),
            Self::Archived { .. } | Self::Restored { .. } => Vec::new(),
        }
    }
}
