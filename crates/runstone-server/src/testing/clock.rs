//! The clock of tests; the only place of this crate that reads the machine's.

use std::sync::atomic::{AtomicI64, Ordering};

use runstone_model::id::Micros;
use runstone_store::Clock;

/// A clock that moves only when told; on PostgreSQL, where the database's clock counts, the
/// machine's.
pub struct TestClock(Option<AtomicI64>);

impl TestClock {
    /// A clock that stands at `at`.
    pub fn standing(at: Micros) -> Self {
        Self(Some(AtomicI64::new(at.0)))
    }

    /// The machine's clock.
    pub fn real() -> Self {
        Self(None)
    }

    /// Whether it stands until it is moved.
    pub fn stands(&self) -> bool {
        self.0.is_some()
    }

    /// Moves on, if it stands.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Some(at) = &self.0 {
            at.fetch_add(seconds * Micros::SECOND, Ordering::SeqCst);
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Micros {
        match &self.0 {
            Some(at) => Micros(at.load(Ordering::SeqCst)),
            None => Micros(jiff::Timestamp::now().as_microsecond()),
        }
    }
}
