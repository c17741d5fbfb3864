//! Intervals of snapshots: of the list of snapshots (`api-environments.md` section 8.1) and of
//! events (section 10).
//!
//! Owns their grammar and how they become a range of indexes: bounds beyond the ends are moved to
//! the ends, bounds in falling order are swapped. It must not know when snapshots were made: that
//! is asked of the caller.

use std::ops::RangeInclusive;

use crate::expression::digits;
use crate::id::Micros;

/// A text is no interval or bound. Status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an interval: {0}")]
pub struct InvalidInterval(pub String);

impl InvalidInterval {
    /// The contracted message.
    pub fn message(&self) -> String {
        format!("Invalid interval value: {}", self.0)
    }
}

/// One end of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// `N`: the Nth snapshot.
    Index(u64),
    /// `~N`, or `-(N+1)` in events: N before the latest.
    Before(u64),
    /// `NOW`: the latest, or this moment beside a bound that is a time.
    Now,
    /// An age in microseconds: `2days`.
    Ago(i64),
    /// A moment.
    At(Micros),
}

/// Two ends, not yet in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The end named first.
    pub from: Bound,
    /// The end named second.
    pub to: Bound,
}

impl Default for Interval {
    /// `1..NOW`: everything.
    fn default() -> Self {
        Self {
            from: Bound::Index(1),
            to: Bound::Now,
        }
    }
}

impl Interval {
    /// `bound [".." bound]` with `bound := N | ~N | NOW`. Empty means everything, a bound left
    /// out beside `..` means `NOW`, a single bound selects one snapshot.
    pub fn parse(text: &str) -> Result<Self, InvalidInterval> {
        let bound = |part: &str| match part {
            "NOW" | "now" => Some(Bound::Now),
            _ => match part.strip_prefix('~') {
                Some(count) => digits(count).map(Bound::Before),
                None => digits(part).map(Bound::Index),
            },
        };
        let ends = if text.is_empty() {
            return Ok(Self::default());
        } else if let Some((from, to)) = text.split_once("..") {
            let open = |part: &str| {
                if part.is_empty() {
                    Some(Bound::Now)
                } else {
                    bound(part)
                }
            };
            open(from).zip(open(to))
        } else {
            bound(text).map(|single| (single, single))
        };
        ends.map(|(from, to)| Self { from, to })
            .ok_or_else(|| InvalidInterval(text.to_owned()))
    }

    /// The interval of an events query. An explicit end wins over `interval`, a time over an
    /// index; an empty `interval` is not set, an empty `start` or `end` is wrong.
    pub fn of_events(query: &EventsQuery<'_>) -> Result<Self, InvalidInterval> {
        let base = Self::parse(query.interval.unwrap_or(""))?;
        let end = |time: Option<f64>, text: Option<&str>, otherwise: Bound| {
            // A wrong text is refused even where a time wins over it.
            let bound = text.map(events_bound).transpose()?;
            Ok(match time {
                Some(seconds) => Bound::At(Micros::from_seconds(seconds)),
                None => bound.unwrap_or(otherwise),
            })
        };
        Ok(Self {
            from: end(query.start_ts, query.start, base.from)?,
            to: end(query.end_ts, query.end, base.to)?,
        })
    }

    /// The indexes within, both ends included; nothing if there are none.
    ///
    /// `at_time` gives the index of the last snapshot at or before a time, 0 if there is none.
    /// Two indexes, or two times, in falling order are swapped. Indexes beyond the ends are moved
    /// to them; a time is not, so that the last hour is empty if nothing happened in it.
    pub fn resolve(
        self,
        now: Micros,
        len: u64,
        at_time: impl Fn(Micros) -> u64,
    ) -> Option<RangeInclusive<u64>> {
        if len == 0 {
            return None;
        }
        let ends = match (self.from.place(now, len), self.to.place(now, len)) {
            (Place::Index(a), Place::Index(b)) => (Place::Index(a.min(b)), Place::Index(a.max(b))),
            (Place::Time(a), Place::Time(b)) => (Place::Time(a.min(b)), Place::Time(a.max(b))),
            // `NOW` first beside an index is the latest snapshot, hence falling order.
            (Place::Now, Place::Index(b)) => (Place::Index(b), Place::Now),
            // `NOW` beside a time is a time.
            (Place::Now, Place::Time(b)) => (Place::Time(b.min(now)), Place::Time(b.max(now))),
            (Place::Time(a), Place::Now) => (Place::Time(a.min(now)), Place::Time(a.max(now))),
            other => other,
        };
        let first = match ends.0 {
            Place::Index(index) => index,
            Place::Now => len,
            Place::Time(time) => match time.0.checked_sub(1) {
                Some(before) => at_time(Micros(before)).saturating_add(1),
                None => 1,
            },
        };
        let last = match ends.1 {
            Place::Index(index) => index,
            Place::Now => len,
            Place::Time(time) => at_time(time).min(len),
        };
        (first <= last).then_some(first..=last)
    }
}

/// A bound against a given length and moment.
enum Place {
    Index(u64),
    Now,
    Time(Micros),
}

impl Bound {
    fn place(self, now: Micros, len: u64) -> Place {
        match self {
            Self::Index(index) => Place::Index(index.clamp(1, len)),
            Self::Before(count) => Place::Index(len.saturating_sub(count).max(1)),
            Self::Now => Place::Now,
            Self::Ago(micros) => Place::Time(Micros(now.0.saturating_sub(micros))),
            Self::At(time) => Place::Time(time),
        }
    }
}

/// The parameters of an events query that choose its interval, as given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EventsQuery<'q> {
    /// Deprecated; the grammar of [`Interval::parse`].
    pub interval: Option<&'q str>,
    /// First event.
    pub start: Option<&'q str>,
    /// Last event.
    pub end: Option<&'q str>,
    /// First moment, Unix seconds.
    pub start_ts: Option<f64>,
    /// Last moment, Unix seconds.
    pub end_ts: Option<f64>,
}

/// `start` or `end`: an index from 1, from the end `-1`, `NOW`, an age, or Unix seconds.
fn events_bound(text: &str) -> Result<Bound, InvalidInterval> {
    /// More digits than this are Unix seconds, as older documents describe.
    const INDEX_DIGITS_MAX: usize = 9;

    let bound = if text == "NOW" || text == "now" {
        Some(Bound::Now)
    } else if let Some(count) = text.strip_prefix('-') {
        digits(count)
            .and_then(|count| count.checked_sub(1))
            .map(Bound::Before)
    } else if let Some(number) = digits(text) {
        if number == 0 {
            None
        } else if text.len() > INDEX_DIGITS_MAX {
            let seconds = i64::try_from(number).unwrap_or(i64::MAX);
            Some(Bound::At(Micros(seconds.saturating_mul(Micros::SECOND))))
        } else {
            Some(Bound::Index(number))
        }
    } else {
        age(text).map(Bound::Ago)
    };
    bound.ok_or_else(|| InvalidInterval(text.to_owned()))
}

/// `30mins`, `1hour`, `2d`: microseconds.
fn age(text: &str) -> Option<i64> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_start);
    let seconds = match unit {
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    let count = i64::try_from(digits(count)?).unwrap_or(i64::MAX);
    Some(count.saturating_mul(seconds * Micros::SECOND))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    /// Five snapshots at 100, 200, … 500 seconds.
    fn at_time(time: Micros) -> u64 {
        u64::try_from(time.0.div_euclid(100 * Micros::SECOND)).map_or(0, |n| n.min(5))
    }

    const NOW: Micros = Micros(4_000 * Micros::SECOND);

    #[test]
    fn intervals_of_snapshots() {
        let check = |text: &str, expected: RangeInclusive<u64>| {
            let range = Interval::parse(text).unwrap().resolve(NOW, 5, at_time);
            assert_eq!(range, Some(expected), "{text}");
        };
        check("", 1..=5);
        check("1..NOW", 1..=5);
        check("2..3", 2..=3);
        check("3..2", 2..=3);
        check("..3", 3..=5);
        check("3..", 3..=5);
        check("..", 5..=5);
        check("NOW", 5..=5);
        check("2", 2..=2);
        check("~1", 4..=4);
        check("~3..~1", 2..=4);
        check("~1..~3", 2..=4);
        check("NOW..1", 1..=5);
        check("0..99", 1..=5);
        check("~99..2", 1..=2);
        check("99", 5..=5);
        assert_eq!(Interval::default().resolve(NOW, 0, at_time), None);
    }

    #[test]
    fn what_is_no_interval_is_quoted() {
        for text in [
            "x", "-1", "1..x", "1...3", "1..2..3", "~", "1-3", " 1", "~-1", "Now",
        ] {
            let error = Interval::parse(text).unwrap_err();
            assert_eq!(error.message(), format!("Invalid interval value: {text}"));
        }
        for text in [
            "", "0", "-0", "-", "x", "1year", "hour", "1 hour", "1.5h", "~1", "1h1m",
        ] {
            for query in [
                EventsQuery {
                    start: Some(text),
                    ..EventsQuery::default()
                },
                EventsQuery {
                    end: Some(text),
                    start_ts: Some(1.0),
                    end_ts: Some(1.0),
                    ..EventsQuery::default()
                },
            ] {
                let error = Interval::of_events(&query).unwrap_err();
                assert_eq!(error.message(), format!("Invalid interval value: {text}"));
            }
        }
    }

    #[test]
    fn intervals_of_events() {
        let check = |start: &str, end: &str, expected: Option<RangeInclusive<u64>>| {
            let query = EventsQuery {
                start: Some(start),
                end: Some(end),
                interval: Some(""),
                ..EventsQuery::default()
            };
            let range = Interval::of_events(&query)
                .unwrap()
                .resolve(NOW, 5, at_time);
            assert_eq!(range, expected, "{start} {end}");
        };
        check("1", "NOW", Some(1..=5));
        check("-2", "-1", Some(4..=5));
        check("-1", "1", Some(1..=5));
        check("NOW", "1", Some(1..=5));
        check("2", "99", Some(2..=5));
        check("-99", "2", Some(1..=2));
        check("1h", "NOW", Some(4..=5));
        check("NOW", "1hour", Some(4..=5));
        check("60mins", "NOW", Some(4..=5));
        check("1m", "NOW", None);
        check("1week", "1hour", Some(1..=4));
        check("1hour", "1week", Some(1..=4));
        check("1", "1day", None);
        check("1", "1h", Some(1..=4));
        check("2d", "2", Some(1..=2));
        check("1000000000", "NOW", None);
        check("9999999999999999999", "NOW", None);
    }

    #[test]
    fn times_win_and_both_ends_are_included() {
        let query = EventsQuery {
            start: Some("5"),
            start_ts: Some(200.0),
            end_ts: Some(300.0),
            ..EventsQuery::default()
        };
        let range = Interval::of_events(&query)
            .unwrap()
            .resolve(NOW, 5, at_time);
        assert_eq!(range, Some(2..=3));
        let query = EventsQuery {
            start_ts: Some(200.000_001),
            end_ts: Some(f64::MAX),
            ..EventsQuery::default()
        };
        let range = Interval::of_events(&query)
            .unwrap()
            .resolve(NOW, 5, at_time);
        assert_eq!(range, Some(3..=5));
        let query = EventsQuery {
            interval: Some("2..3"),
            ..EventsQuery::default()
        };
        let range = Interval::of_events(&query)
            .unwrap()
            .resolve(NOW, 5, at_time);
        assert_eq!(range, Some(2..=3));
    }
}
