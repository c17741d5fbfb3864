//! Any text as expression, snappish or interval: never a panic, results within bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runstone_model::expression::{Snappish, SnapshotRef};
use runstone_model::id::Micros;
use runstone_model::interval::{EventsQuery, Interval};

fuzz_target!(|input: (&str, u64, i64, u64)| {
    let (text, len, now, at) = input;
    let at = at.min(len);
    if let Ok(expression) = SnapshotRef::parse(text) {
        match expression.resolve(Micros(now), len, |_| at) {
            Ok(index) => assert!((1..=len).contains(&index)),
            Err(error) => assert!(error.resolved < 1 || error.resolved > i128::from(len)),
        }
    }
    if let Ok(candidates) = Snappish::candidates(text) {
        assert!((1..=2).contains(&candidates.len()));
    }
    let start = EventsQuery {
        start: Some(text),
        ..EventsQuery::default()
    };
    let end = EventsQuery {
        end: Some(text),
        ..EventsQuery::default()
    };
    for interval in [
        Interval::parse(text),
        Interval::of_events(&start),
        Interval::of_events(&end),
    ] {
        if let Ok(interval) = interval
            && let Some(range) = interval.resolve(Micros(now), len, |_| at)
        {
            assert!(*range.start() >= 1 && *range.end() <= len && range.start() <= range.end());
        }
    }
});
