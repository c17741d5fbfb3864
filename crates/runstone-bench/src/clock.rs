//! The machine's clock, for stores under measurement. Nothing else here reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use runstone_model::id::Micros;

/// The clock of this machine.
pub struct MachineClock;

impl runstone_store::Clock for MachineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock others are given"
    )]
    fn now(&self) -> Micros {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the machine's clock stands after 1970");
        Micros(since.as_micros() as i64)
    }
}
