//! What a fact changed in the verdicts on a trail and its artifacts.

use super::{State, TrailState};

/// What differs between a state and a later one of the same trail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The state of the trail, if it is another.
    pub trail: Option<State>,
    /// Numbers of the newest reports of artifacts whose state is another or that are new.
    pub artifacts: Vec<(u32, State)>,
}

impl TrailState {
    /// What differs from `before`; everything, if there was nothing before.
    pub fn changes_since(&self, before: Option<&Self>) -> Changes {
        let mut changes = Changes {
            trail: (before.map(Self::state) != Some(self.state())).then(|| self.state()),
            artifacts: Vec::new(),
        };
        for (key, records) in &self.records {
            for (fingerprint, record) in records {
                let state = self.artifact_state(key.name(), *fingerprint);
                let known = before.and_then(|before| {
                    let known = before.records.get(key)?.get(fingerprint)?;
                    let state = before.artifact_state(key.name(), *fingerprint)?;
                    Some((known.no, state))
                });
                if let Some(state) = state
                    && known != Some((record.no, state))
                {
                    changes.artifacts.push((record.no, state));
                }
            }
        }
        changes.artifacts.sort_unstable();
        changes
    }
}
