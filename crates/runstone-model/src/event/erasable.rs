//! What can be erased: texts that stand in private bodies of their own.

use super::{Event, Salt};
use crate::fact::Member;
use crate::id::Digest;

/// A text in a private body of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// None once it was erased.
    pub text: Option<String>,
    /// Random bytes before it.
    pub salt: Salt,
}

impl Text {
    /// The text; empty once it was erased.
    pub fn as_str(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// A key's verifier in a private body of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// HMAC-SHA-256(pepper, SHA-256(key)); none once it was erased, which ends the key.
    pub verifier: Option<Digest>,
    /// Random bytes before it.
    pub salt: Salt,
}

/// What a private body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Description of the subject.
    Description,
    /// Name of a user.
    Name,
    /// E-mail address of a user.
    Email,
    /// Values of tags.
    TagValues,
    /// What was said of a version.
    Comment,
    /// Why something was done.
    Reason,
    /// Verifier of the key with this id.
    Verifier(String),
    /// Description of the key with this id.
    KeyDescription(String),
    /// What a trail was told of itself.
    Told(Member),
    /// Everything in a report of an artifact or an attestation that is no name, digest or count;
    /// everything that a control says.
    Content,
    /// Text together with data that the log cannot be replayed without, as the first versions of
    /// some events kept it.
    Mixed,
}

impl Field {
    /// The form in tables: `description`, `verifier:0123456789abcdef`.
    pub fn to_text(&self) -> String {
        match self {
            Self::Description => "description".to_owned(),
            Self::Name => "name".to_owned(),
            Self::Email => "email".to_owned(),
            Self::TagValues => "tag-values".to_owned(),
            Self::Comment => "comment".to_owned(),
            Self::Reason => "reason".to_owned(),
            Self::Verifier(key) => format!("verifier:{key}"),
            Self::KeyDescription(key) => format!("key-description:{key}"),
            Self::Told(member) => format!("told:{}", member.as_str()),
            Self::Content => "content".to_owned(),
            Self::Mixed => "mixed".to_owned(),
        }
    }

    /// Reads what [`Field::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once(':') {
            Some(("verifier", key)) => Self::Verifier(key.to_owned()),
            Some(("key-description", key)) => Self::KeyDescription(key.to_owned()),
            Some(("told", member)) => Self::Told(Member::parse(member)?),
            Some(_) => return None,
            None => match text {
                "description" => Self::Description,
                "name" => Self::Name,
                "email" => Self::Email,
                "tag-values" => Self::TagValues,
                "comment" => Self::Comment,
                "reason" => Self::Reason,
                "content" => Self::Content,
                "mixed" => Self::Mixed,
                _ => return None,
            },
        })
    }
}

impl Event {
    /// Its private bodies: position among its bodies, and what it holds.
    pub fn private_bodies(&self) -> Vec<(u32, Field)> {
        match self {
            Self::OrganizationCreated { .. }
            | Self::OrganizationChanged { .. }
            | Self::ServiceAccountCreated { .. }
            | Self::ServiceAccountChanged { .. } => vec![(0, Field::Description)],
            Self::UserCreated { .. }
            | Self::UserChanged { .. }
            | Self::UserKeyCreated { .. }
            | Self::ServiceAccountKeyCreated { .. }
            | Self::EnvironmentCreated { .. }
            | Self::EnvironmentChanged { .. }
            | Self::EnvironmentTagged { .. } => vec![(0, Field::Mixed)],
            Self::UserCreatedV2 { .. } => vec![(0, Field::Name), (1, Field::Email)],
            Self::UserChangedV2 { .. } => vec![(0, Field::Email)],
            Self::UserKeyCreatedV2 { key, .. } | Self::ServiceAccountKeyCreatedV2 { key, .. } => {
                vec![
                    (0, Field::Verifier(key.clone())),
                    (1, Field::KeyDescription(key.clone())),
                ]
            }
            Self::EnvironmentCreatedV2 { description, .. }
            | Self::EnvironmentChangedV2 { description, .. } => description
                .iter()
                .map(|_| (0, Field::Description))
                .collect(),
            Self::EnvironmentTaggedV2 { set, .. } if !set.is_empty() => {
                vec![(1, Field::TagValues)]
            }
            Self::EpochBegun { .. }
            | Self::BodiesErased { .. }
            | Self::OrganizationClosed { .. } => vec![(0, Field::Reason)],
            Self::Flow(event) => event.private_bodies(),
            Self::Legacy(event) => event.private_bodies(),
            Self::Type(event) => event.private_bodies(),
            Self::Control(event) => event.private_bodies(),
            Self::EnvironmentTaggedV2 { .. }
            | Self::OrganizationLimited { .. }
            | Self::RoleGranted { .. }
            | Self::EnvironmentArchived { .. }
            | Self::EnvironmentRenamed { .. }
            | Self::SnapshotRecorded { .. }
            | Self::ObservationRecorded { .. }
            | Self::KeyRotated { .. }
            | Self::ClockMovedBack { .. } => Vec::new(),
        }
    }
}
