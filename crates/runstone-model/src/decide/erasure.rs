//! Erasing: which bodies may go, and the entries that say so (D2).

use std::collections::BTreeSet;

use super::{Deciding, Stop};
use crate::command::{Refusal, Reply};
use crate::event::{ERASED_BODIES_MAX, Event, Field, Subject};
use crate::fact::EntryIndex;
use crate::id::Digest;

impl Deciding<'_> {
    /// Only private bodies that stand in this log and that it can be replayed without, each once.
    pub(super) fn erase_bodies(
        &mut self,
        bodies: &[(EntryIndex, u32, Digest)],
        reason: &str,
    ) -> Result<Reply, Stop> {
        let mut named = BTreeSet::new();
        for (number, (entry, position, digest)) in bodies.iter().enumerate() {
            let refuse = |what: String| {
                Stop::from(Refusal::NotErasable {
                    field: format!("bodies[{number}]"),
                    what,
                })
            };
            if !named.insert((*entry, *position)) {
                return Err(refuse(format!("{digest} is named twice")));
            }
            let stands = self
                .view
                .body_digest(self.organization, *entry, *position)?
                .is_some_and(|known| known == *digest);
            let known = self
                .view
                .private_body(self.organization, *entry, *position)?
                .filter(|_| stands)
                .ok_or_else(|| {
                    refuse(format!(
                        "entry {entry} has no private body {digest} at position {position}"
                    ))
                })?;
            if let Some(index) = known.erased_by {
                return Err(refuse(format!("{digest} was erased by entry {index}")));
            }
            if known.field == Field::Mixed {
                return Err(refuse(format!(
                    "{digest} also holds what the log cannot be replayed without, because an early version of Runstone wrote entry {entry}"
                )));
            }
        }
        for chunk in bodies.chunks(ERASED_BODIES_MAX) {
            let salt = self.salt();
            self.append(
                Subject::Log,
                Event::BodiesErased {
                    bodies: chunk.to_vec(),
                    reason: reason.to_owned(),
                    salt,
                },
            )?;
        }
        Ok(if bodies.is_empty() {
            Reply::Unchanged
        } else {
            Reply::Changed
        })
    }
}
