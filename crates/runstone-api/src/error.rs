//! The error body (`api-environments.md` section 1.3, `api-organisation.md` section 2.3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Message of every validation failure.
pub const VALIDATION_FAILED: &str = "Input payload validation failed";

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence for people.
    pub message: String,
    /// Only of validation failures: what is wrong, by dotted path of the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<BTreeMap<String, String>>,
}

impl ErrorBody {
    /// A body with nothing but a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            errors: None,
        }
    }

    /// The body of a validation failure.
    pub fn validation(errors: BTreeMap<String, String>) -> Self {
        Self {
            message: VALIDATION_FAILED.to_owned(),
            errors: Some(errors),
        }
    }
}
