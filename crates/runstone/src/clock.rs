//! The machine's clock, for the store. Commands see the clock through their context.

use runstone_model::id::Micros;
use runstone_store::Clock;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        Micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// Now, for what is observed again and again.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
