//! Names: validated, bounded texts that identify things within an organization, and the types of
//! environment (`api-organisation.md` section 2.6, `api-environments.md` sections 2 and 3.1).
//!
//! Owns which texts are names. A value of these types always obeys its rule; it must not know
//! whether the thing named exists.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most bytes of a name, so that every journal entry stays within its bound.
pub const NAME_BYTES_MAX: usize = 255;

/// Organization names that would shadow a route of the server or of its pages.
pub const ORGANIZATION_NAMES_RESERVED: &[&str] = &[
    "api", "health", "live", "log", "login", "metrics", "ready", "settings", "static", "user",
];

/// A text is not a name of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A character is not allowed, or the text is empty.
    #[error("{sort} does not match {pattern}: {text}")]
    Pattern {
        /// What was to be named.
        sort: &'static str,
        /// The contracted pattern.
        pattern: &'static str,
        /// The text given.
        text: String,
    },
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("{sort} is longer than 255 bytes: {text}")]
    TooLong {
        /// What was to be named.
        sort: &'static str,
        /// The text given.
        text: String,
    },
    /// The word is taken by the server.
    #[error("{sort} is reserved: {text}")]
    Reserved {
        /// What was to be named.
        sort: &'static str,
        /// The text given.
        text: String,
    },
}

impl NameError {
    /// The text of a validation error, without the offending value
    /// (`api-environments.md` section 1.3).
    pub fn contracted_text(&self) -> String {
        match self {
            Self::Pattern { pattern, .. } => {
                format!("String should match pattern '{pattern}'")
            }
            Self::TooLong { .. } => {
                format!("String should have at most {NAME_BYTES_MAX} characters")
            }
            Self::Reserved { .. } => "Name is reserved".to_owned(),
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $sort:literal, $pattern:literal, $rest:literal, $reserved:expr) => {
        name! { $(#[$doc])* $name, $sort, $pattern, b"", $rest, $reserved }
    };
    ($(#[$doc:meta])* $name:ident, $sort:literal, $pattern:literal, $first:literal, $rest:literal, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The pattern shown when a text is refused.
            pub const PATTERN: &'static str = $pattern;

            /// The name written as `text`.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let mut bytes = text.bytes();
                let starts = |first: u8| first.is_ascii_alphanumeric() || $first.contains(&first);
                let fits = bytes.next().is_some_and(starts)
                    && bytes.all(|byte| byte.is_ascii_alphanumeric() || $rest.contains(&byte));
                let reserved: &[&str] = $reserved;
                if !fits {
                    Err(NameError::Pattern {
                        sort: $sort,
                        pattern: Self::PATTERN,
                        text: text.to_owned(),
                    })
                } else if text.len() > NAME_BYTES_MAX {
                    Err(NameError::TooLong { sort: $sort, text: text.to_owned() })
                } else if reserved.contains(&text) {
                    Err(NameError::Reserved { sort: $sort, text: text.to_owned() })
                } else {
                    Ok(Self(text.into()))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// Name of an environment. `~` is accepted although the contracted pattern no longer shows
    /// it, because older environments carry it.
    EnvironmentName, "environment name", r"^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$", b".-_~", &[]
}
name! {
    /// Name of an organization, unique per server, never a word the server uses itself.
    OrganizationName, "organization name", r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*$", b"-_",
    ORGANIZATION_NAMES_RESERVED
}
name! {
    /// Key of a tag.
    TagKey, "tag key", r"^[a-zA-Z0-9][a-zA-Z0-9\-_\.~]*$", b"-_.~", &[]
}
name! {
    /// Name of a flow.
    FlowName, "flow name", r"^[a-zA-Z0-9][a-zA-Z0-9\.\-_~]*$", b".-_~", &[]
}
name! {
    /// Name of a trail, unique in its flow.
    TrailName, "trail name", r"^[a-zA-Z0-9][a-zA-Z0-9\-_.~]*$", b".-_~", &[]
}
name! {
    /// Name under which a template knows an artifact.
    ReferenceName, "artifact name", r"^[a-zA-Z0-9\-_]+$", b"-_", b"-_", &[]
}
name! {
    /// Name of an attestation, and of an artifact that one is meant for.
    AttestationName, "attestation name", r"^[a-zA-Z0-9\-_,]+$", b"-_,", b"-_,", &[]
}
name! {
    /// Name of a custom type of attestation, without `custom:`. A full stop is accepted although
    /// the contracted pattern does not show it, because the published client allows it.
    TypeName, "attestation type name", r"^[a-zA-Z0-9][a-zA-Z0-9\-_~]*$", b".-_~", &[]
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $wire:literal,)*) => {
        /// Type of an environment, fixed when it is created.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EnvironmentKind {
            $($(#[$doc])* $kind,)*
        }

        impl EnvironmentKind {
            /// All kinds in the order in which errors list them.
            pub const ALL: [Self; [$($wire),*].len()] = [$(Self::$kind),*];

            /// The text on the wire; case matters.
            pub const fn as_wire(self) -> &'static str {
                match self {
                    $(Self::$kind => $wire,)*
                }
            }

            /// The kind written as `text`, exactly.
            pub fn from_wire(text: &str) -> Option<Self> {
                match text {
                    $($wire => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A Kubernetes cluster or some of its namespaces: pods.
    K8s = "K8S",
    /// An Elastic Container Service cluster or service: tasks.
    Ecs = "ECS",
    /// A bucket: one artifact for its selected content.
    S3 = "S3",
    /// Functions of a serverless platform.
    Lambda = "lambda",
    /// Files and directories of a machine.
    Server = "server",
    /// Containers of one Docker engine.
    Docker = "docker",
    /// Web and function apps of Azure.
    AzureApps = "azure-apps",
    /// Services and jobs of Cloud Run.
    CloudRun = "cloud-run",
    /// A group of physical environments; it receives no reports.
    Logical = "logical",
}

impl EnvironmentKind {
    /// Whether it groups others instead of receiving reports.
    pub const fn is_logical(self) -> bool {
        matches!(self, Self::Logical)
    }
}

impl fmt::Display for EnvironmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_wire())
    }
}

impl Serialize for EnvironmentKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_wire())
    }
}

impl<'de> Deserialize<'de> for EnvironmentKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_wire(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown environment type: {text}")))
    }
}
