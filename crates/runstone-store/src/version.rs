//! Which state of the store something was read in, for caches that must never answer with an
//! older one (D14).
//!
//! An embedded store has one process, hence one writer: counting its commits tells without a
//! statement whether anything has changed. Where several servers share a database nothing here
//! can tell, and every answer needs a read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A state of an embedded store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// Counts the commits of the one writer.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A commit under way; it has ended when this is dropped.
pub(crate) struct Committing<'a>(&'a Commits);

impl Commits {
    /// Just before a COMMIT. There is one writer, so that two are never under way.
    pub(crate) fn begin(&self) -> Committing<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Committing(self)
    }

    /// The state every transaction that begins now sees at least; none while a commit is under
    /// way, of which nobody can tell which side of it a reader is on.
    pub(crate) fn settled(&self) -> Option<Version> {
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) == ended).then_some(Version(ended))
    }

    /// Whether no commit has begun since: nobody can have seen anything newer.
    pub(crate) fn is_current(&self, version: Version) -> bool {
        self.begun.load(Ordering::SeqCst) == version.0
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.0
            .ended
            .store(self.0.begun.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn a_commit_under_way_is_neither_state() {
        let commits = Commits::default();
        let before = commits.settled().unwrap();
        assert!(commits.is_current(before));
        let committing = commits.begin();
        assert_eq!(commits.settled(), None);
        assert!(!commits.is_current(before));
        drop(committing);
        let after = commits.settled().unwrap();
        assert!(after > before);
        assert!(commits.is_current(after) && !commits.is_current(before));
    }
}
