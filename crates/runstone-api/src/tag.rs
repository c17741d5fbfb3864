//! Tags (`api-environments.md` section 15.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Words that name a type of tagged resource in the path, in the order in which errors list them.
pub const RESOURCE_TYPES: [&str; 9] = [
    "flow",
    "flows",
    "env",
    "environment",
    "environments",
    "control",
    "controls",
    "repo",
    "repos",
];

/// Body of `PATCH /tags/{org}/{resource_type}/{resource_id}`. Closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTags {
    /// Tags to set, overwriting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_tags: Option<BTreeMap<String, String>>,
    /// Keys to remove after setting; unknown ones are no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_tags: Option<Vec<String>>,
}
