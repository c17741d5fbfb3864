//! Timing: latencies, percentiles, and the best of several interleaved rounds.

use std::time::{Duration, Instant};

/// Times of single calls.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Adds one.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64());
    }

    /// Adds those of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `share` of all calls stayed below, in seconds; 0 if there are none.
    pub fn at(&self, share: f64) -> f64 {
        let mut times = self.0.clone();
        times.sort_by(f64::total_cmp);
        let index = (times.len() as f64 * share) as usize;
        times
            .get(index.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }
}

/// Seconds a closure takes.
pub fn seconds<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let began = Instant::now();
    let result = work()?;
    Ok((result, began.elapsed().as_secs_f64()))
}

/// The best rate seen. On a machine that others use, the best of several interleaved rounds says
/// most about the program and least about them.
#[derive(Debug, Clone, Copy)]
pub struct Best(f64);

impl Best {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self(0.0)
    }

    /// Sees a rate.
    pub fn see(&mut self, rate: f64) {
        self.0 = self.0.max(rate);
    }

    /// The best.
    pub const fn get(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let mut times = Latencies::default();
        assert!(times.at(0.99).abs() < 1e-12, "nothing was measured");
        for n in (1..=100).rev() {
            times.push(Duration::from_secs(n));
        }
        assert!((times.at(0.5) - 51.0).abs() < 1e-9);
        assert!((times.at(0.99) - 100.0).abs() < 1e-9);
        assert_eq!(times.len(), 100);
    }
}
