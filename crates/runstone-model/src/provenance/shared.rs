//! Parts that trails, artifacts and attestations share (`api-flows.md` section 2).

use serde_json::{Map, Value};

use super::shape::{Members, Pattern, Shape};
use crate::compliance::CommitBytes;
use crate::id::decode_hex_32;
use crate::name::{AttestationName, FlowName, NAME_BYTES_MAX, ReferenceName, TrailName};

use Shape::{
    Any, Boolean, List, Map as MapOf, Matching, Nullable, Number, Object, OneOf, Structure, Text,
    Url,
};

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

macro_rules! name_pattern {
    ($name:ident, $type:ident) => {
        pub(crate) const $name: Shape = Matching(&Pattern {
            text: $type::PATTERN,
            // The length is told apart, so only the characters count here.
            fits: |text| text.len() > NAME_BYTES_MAX || $type::parse(text).is_ok(),
            bytes_max: NAME_BYTES_MAX,
        });
    };
}

name_pattern!(FLOW_NAME, FlowName);
name_pattern!(TRAIL_NAME, TrailName);
name_pattern!(REFERENCE_NAME, ReferenceName);
name_pattern!(ATTESTATION_NAME, AttestationName);

/// A fingerprint in a body.
pub(crate) const FINGERPRINT: Shape = Matching(&Pattern {
    text: "^[a-f0-9]{64}$",
    fits: |text| is_hex(text, 64),
    bytes_max: 64,
});

/// A commit in a body.
pub(crate) const COMMIT: Shape = Matching(&Pattern {
    text: "^[a-f0-9]{40}$",
    fits: |text| is_hex(text, 40),
    bytes_max: 40,
});

/// A commit with what is known of it.
pub(crate) const GIT_COMMIT: Shape = Object(&Members {
    open: false,
    members: &[
        ("sha1", true, COMMIT),
        ("message", false, Text),
        ("author", false, Text),
        ("author_username", false, Text),
        ("branch", false, Text),
        ("timestamp", false, Number),
        ("url", false, Text),
        ("parents", false, List(&Text)),
        ("verified", false, Boolean),
        ("signature_state", false, Text),
    ],
});

/// A repository.
pub(crate) const REPO_INFO: Shape = Object(&Members {
    open: false,
    members: &[
        ("name", true, Text),
        ("url", true, Text),
        ("id", false, Text),
        ("description", false, Text),
        (
            "provider",
            false,
            OneOf(&[
                "github",
                "gitlab",
                "bitbucket",
                "bitbucket_cloud",
                "bitbucket_dc",
                "azure-devops",
                "azure_devops_services",
                "azure_devops_server",
                "circleci",
                "git",
                "subversion",
            ]),
        ),
        ("namespace_path", false, List(&Text)),
        ("additional_info", false, MapOf(None, &Any)),
    ],
});

/// Links by label.
pub(crate) const EXTERNAL_URLS: Shape = MapOf(
    Some(&Pattern {
        text: "^[^=.]+$",
        fits: |text| !text.is_empty() && !text.contains(['=', '.']),
        bytes_max: usize::MAX,
    }),
    &Object(&Members {
        open: false,
        members: &[("href", true, Url), ("fingerprint", false, FINGERPRINT)],
    }),
);

/// Anything with structure.
pub(crate) const USER_DATA: Shape = Nullable(&Structure);

/// Annotations of attestations.
pub(crate) const ANNOTATIONS: Shape = MapOf(
    Some(&Pattern {
        text: "^[A-Za-z0-9_-]+$",
        fits: |text| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        },
        bytes_max: usize::MAX,
    }),
    &Text,
);

/// A commit as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct GitCommit {
    /// Its SHA-1.
    pub sha1: CommitBytes,
    /// Everything that was told, as an object with the members of section 2.
    pub told: Map<String, Value>,
}

impl GitCommit {
    /// Reads what the shape let through.
    pub(crate) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(told) = value else {
            return None;
        };
        let sha1 = commit_from_hex(told.get("sha1")?.as_str()?)?;
        Some(Self { sha1, told })
    }

    /// For trails (section 5.4): the six members, texts that were not told as `""` and the time
    /// as `0`, because the published client takes nothing else.
    pub fn for_trail(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        for name in ["sha1", "message", "author", "branch", "timestamp", "url"] {
            let told = self.told.get(name).cloned();
            let missing = || match name {
                "timestamp" => Value::from(0),
                _ => Value::from(""),
            };
            shown.insert(name.to_owned(), told.unwrap_or_else(missing));
        }
        shown
    }
}

/// The commit of a text that the shape let through.
pub(crate) fn commit_from_hex(text: &str) -> Option<CommitBytes> {
    if text.len() != 40 {
        return None;
    }
    let padded = decode_hex_32(format!("{text:0<64}").as_bytes())?;
    padded.first_chunk().copied()
}

/// A repository as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct RepoInfo {
    /// Name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The provider's id; with the provider the identity (O26).
    pub id: Option<String>,
    /// Who keeps it.
    pub provider: Option<String>,
    /// Everything that was told, as an object with the members of section 2.
    pub told: Map<String, Value>,
}

impl RepoInfo {
    /// Reads what the shape let through.
    pub(crate) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(told) = value else {
            return None;
        };
        let text = |name: &str| told.get(name)?.as_str().map(ToOwned::to_owned);
        Some(Self {
            name: text("name")?,
            url: text("url")?,
            id: text("id"),
            provider: text("provider"),
            told,
        })
    }
}

/// Takes parts out of an object that the shape let through.
pub(crate) mod take {
    use super::{GitCommit, Map, RepoInfo, Value};

    pub(crate) fn text(object: &mut Map<String, Value>, name: &str) -> Option<String> {
        match object.shift_remove(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn members(
        object: &mut Map<String, Value>,
        name: &str,
    ) -> Option<Map<String, Value>> {
        match object.shift_remove(name)? {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn commit(object: &mut Map<String, Value>) -> Option<GitCommit> {
        GitCommit::from_value(object.shift_remove("git_commit_info")?)
    }

    pub(crate) fn repo(object: &mut Map<String, Value>) -> Option<RepoInfo> {
        RepoInfo::from_value(object.shift_remove("repo_info")?)
    }
}
