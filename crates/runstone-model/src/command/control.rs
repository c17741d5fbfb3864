//! Commands about controls.

use std::collections::BTreeMap;

use crate::control::{ChangeControl, ControlTexts};

/// What is asked of controls. Identifiers are already valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlAction {
    /// Make a control.
    Create {
        /// What it will be known by.
        identifier: String,
        /// What it says.
        texts: ControlTexts,
    },
    /// Make a new version.
    Change {
        /// Which control.
        identifier: String,
        /// What differs from the version before.
        change: ChangeControl,
    },
    /// Hide a control.
    Archive {
        /// Which control.
        identifier: String,
    },
    /// Show it again.
    Restore {
        /// Which control.
        identifier: String,
    },
    /// Set and remove tags.
    Tag {
        /// Which control.
        identifier: String,
        /// Keys and values.
        set: BTreeMap<String, String>,
        /// Keys; applied after `set`.
        remove: Vec<String>,
    },
}
