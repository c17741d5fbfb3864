//! Commands about custom types of attestation.

use std::sync::Arc;

/// What is asked of custom types. Names are already valid, definitions were compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeAction {
    /// Make a type, or a new version of one; one that was archived comes back.
    Put {
        /// Name.
        name: String,
        /// Free text; none keeps the old one.
        description: Option<String>,
        /// Free text about the version.
        comment: Option<String>,
        /// What the version demands, see [`crate::custom_type::TypeVersion::to_json`].
        definition: Arc<str>,
    },
    /// Hide a type.
    Archive {
        /// Name.
        name: String,
    },
}
