//! Snapshot expressions: the texts that name one snapshot of an environment, in the path
//! (`api-environments.md` section 8.2) and as "snappish" (section 9).
//!
//! Owns their grammar, how they resolve to an index, and the two error texts. It must not know
//! which environments exist or when snapshots were made: both are asked of the caller.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::id::Micros;
use crate::name::EnvironmentName;

/// A text is no expression. Status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot expression: {0}")]
pub struct BadSnappish(pub String);

impl BadSnappish {
    /// The contracted message: for an empty text it ends in a blank.
    pub fn message(&self) -> String {
        format!("Bad snappish {}", self.0)
    }
}

/// An expression names no snapshot of its environment. Status 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("resolves to {resolved} of {len} snapshots")]
pub struct OutOfRange {
    /// What it resolves to: below 1 or above `len`.
    pub resolved: i128,
    /// How many snapshots there are.
    pub len: u64,
}

impl OutOfRange {
    /// The contracted message. `quoted` is [`SnapshotRef::quoted`] for a path expression and the
    /// text as given for a snappish.
    pub fn message(&self, org: &str, environment: &str, quoted: &str) -> String {
        let Self { resolved, len } = self;
        format!(
            "Org: '{org}'. Snapshot '{quoted}' resolves to '{environment}#{resolved}'. \
             len(snapshots) == {len}. Indexes are 1-based"
        )
    }
}

/// Names one snapshot of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotRef {
    /// `N`, `#N`: the Nth.
    Index(u64),
    /// `-N`: the Nth from the end; 1 is the latest.
    FromEnd(u64),
    /// `~N`: N before the latest.
    Before(u64),
    /// `@{…}`: the one current at a time.
    At(When),
}

/// A time in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// `@{now}`.
    Now,
    /// `@{YYYY-MM-DDTHH:MM:SS}`, UTC.
    Instant(Micros),
    /// `@{N.hours.ago}` and other units, in microseconds.
    Ago(i64),
}

/// Digits only, at most those of a 64-bit number.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

impl SnapshotRef {
    /// The latest snapshot; what a bare environment name means.
    pub const LATEST: Self = Self::FromEnd(1);

    /// The expression after the environment's name in a path, decoded.
    pub fn parse(text: &str) -> Result<Self, BadSnappish> {
        let expression = if let Some(rest) = text.strip_prefix('#') {
            index(rest)
        } else if let Some(rest) = text.strip_prefix('~') {
            digits(rest).map(Self::Before)
        } else if text.starts_with('@') {
            when(text).map(Self::At)
        } else {
            index(text)
        };
        expression.ok_or_else(|| BadSnappish(text.to_owned()))
    }

    /// The index meant, in 1 to `len`.
    ///
    /// `at_time` gives the index of the last snapshot at or before a time, 0 if there is none; it
    /// is asked at most once.
    pub fn resolve(
        self,
        now: Micros,
        len: u64,
        at_time: impl FnOnce(Micros) -> u64,
    ) -> Result<u64, OutOfRange> {
        let latest = i128::from(len);
        let resolved = match self {
            Self::Index(index) => i128::from(index),
            Self::FromEnd(count) => latest + 1 - i128::from(count),
            Self::Before(count) => latest - i128::from(count),
            Self::At(When::Now) => latest,
            Self::At(When::Instant(time)) => i128::from(at_time(time)),
            Self::At(When::Ago(micros)) => {
                i128::from(at_time(Micros(now.0.saturating_sub(micros))))
            }
        };
        u64::try_from(resolved)
            .ok()
            .filter(|index| (1..=len).contains(index))
            .ok_or(OutOfRange { resolved, len })
    }

    /// The text quoted in errors for the path expression `text`: `env#23`, `env~2`, `env@{now}`.
    pub fn quoted(environment: &str, text: &str) -> String {
        if text.starts_with(['#', '~', '@']) {
            format!("{environment}{text}")
        } else {
            format!("{environment}#{text}")
        }
    }
}

/// `N` or `-N`.
fn index(text: &str) -> Option<SnapshotRef> {
    match text.strip_prefix('-') {
        Some(rest) => digits(rest).map(SnapshotRef::FromEnd),
        None => digits(text).map(SnapshotRef::Index),
    }
}

/// `@{…}`.
fn when(text: &str) -> Option<When> {
    let inner = text.strip_prefix("@{")?.strip_suffix('}')?;
    if inner == "now" {
        return Some(When::Now);
    }
    if let Some(age) = inner.strip_suffix(".ago") {
        let (count, unit) = age.split_once('.')?;
        let hours = match unit.strip_suffix('s').unwrap_or(unit) {
            "hour" => 1,
            "day" => 24,
            "week" => 7 * 24,
            "month" => 30 * 24,
            _ => return None,
        };
        let micros = i64::try_from(digits(count)?)
            .unwrap_or(i64::MAX)
            .saturating_mul(hours * 3_600 * Micros::SECOND);
        return Some(When::Ago(micros));
    }
    instant(inner).map(When::Instant)
}

/// `YYYY-MM-DDTHH:MM:SS`, UTC; a fraction of up to six digits and a `Z` may follow.
fn instant(text: &str) -> Option<Micros> {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (seconds, fraction) = match text.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction),
        None => (text, "0"),
    };
    let formed = seconds.len() == FORM.len()
        && seconds.bytes().zip(FORM).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            _ => byte == *form,
        });
    if !formed || fraction.len() > 6 {
        return None;
    }
    let time: DateTime = seconds.parse().ok()?;
    // The library takes a 60th second as the 59th, and so would move the time.
    if seconds.ends_with(":60") {
        return None;
    }
    let fraction = digits(fraction)? * 10_u64.pow(6 - fraction.len() as u32);
    let start = TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond();
    Some(Micros(start + i64::try_from(fraction).ok()?))
}

/// An environment and the snapshot of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snappish {
    /// The environment's name.
    pub environment: EnvironmentName,
    /// The snapshot.
    pub snapshot: SnapshotRef,
}

impl Snappish {
    /// The readings of `env`, `env#N`, `env~N` or `env@{…}`, the longest name first: a name may
    /// hold `~` itself, so `a~1` is the environment `a~1` if there is one, else the snapshot
    /// before the latest of `a`. Use the first whose environment exists; if none does, the
    /// *last* is what the user most likely meant.
    pub fn candidates(text: &str) -> Result<Vec<Self>, BadSnappish> {
        let mut candidates = Vec::with_capacity(2);
        let mut add = |name: &str, snapshot: Option<SnapshotRef>| {
            if let (Ok(environment), Some(snapshot)) = (EnvironmentName::parse(name), snapshot) {
                candidates.push(Self {
                    environment,
                    snapshot,
                });
            }
        };
        if let Some((name, rest)) = text.split_once('#') {
            add(name, index(rest));
        } else if let Some(start) = text.find('@') {
            add(&text[..start], when(&text[start..]).map(SnapshotRef::At));
        } else {
            add(text, Some(SnapshotRef::LATEST));
            if let Some((name, count)) = text.rsplit_once('~') {
                add(name, digits(count).map(SnapshotRef::Before));
            }
        }
        if candidates.is_empty() {
            Err(BadSnappish(text.to_owned()))
        } else {
            Ok(candidates)
        }
    }
}

impl fmt::Display for SnapshotRef {
    /// The expression as it stands after an environment's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "#{index}"),
            Self::FromEnd(count) => write!(f, "#-{count}"),
            Self::Before(count) => write!(f, "~{count}"),
            Self::At(When::Now) => f.write_str("@{now}"),
            Self::At(When::Instant(time)) => match jiff::Timestamp::from_microsecond(time.0) {
                Ok(time) => write!(f, "@{{{}}}", TimeZone::UTC.to_datetime(time)),
                Err(_) => write!(f, "@{{{} µs}}", time.0),
            },
            Self::At(When::Ago(micros)) => {
                write!(f, "@{{{}.hours.ago}}", micros / (3_600 * Micros::SECOND))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    /// Snapshots at 10, 20, … seconds.
    fn at_time(len: u64) -> impl FnOnce(Micros) -> u64 {
        move |time| u64::try_from(time.0.div_euclid(10 * Micros::SECOND)).map_or(0, |n| n.min(len))
    }

    const NOW: Micros = Micros(1_000 * Micros::SECOND);

    #[test]
    fn path_expressions_resolve() {
        let check = |text: &str, len: u64, expected: Result<u64, i128>| {
            let resolved = SnapshotRef::parse(text)
                .unwrap()
                .resolve(NOW, len, at_time(len));
            assert_eq!(resolved.map_err(|error| error.resolved), expected, "{text}");
        };
        check("1", 3, Ok(1));
        check("#3", 3, Ok(3));
        check("23", 3, Err(23));
        check("0", 3, Err(0));
        check("-1", 3, Ok(3));
        check("-3", 3, Ok(1));
        check("-4", 3, Err(0));
        check("-1", 0, Err(0));
        check("-0", 3, Err(4));
        check("~0", 3, Ok(3));
        check("~2", 3, Ok(1));
        check("~3", 3, Err(0));
        check("~18446744073709551615", 3, Err(3 - i128::from(u64::MAX)));
        check("@{now}", 3, Ok(3));
        check("@{now}", 0, Err(0));
        check("@{1970-01-01T00:00:19}", 3, Ok(1));
        check("@{1970-01-01T00:00:20}", 3, Ok(2));
        check("@{1970-01-01T00:00:19.999999Z}", 3, Ok(1));
        check("@{1970-01-01T00:00:09}", 3, Err(0));
        check("@{0.hours.ago}", 3, Ok(3));
        check("@{1.hour.ago}", 3, Err(0));
        check("@{9999999999999999999.months.ago}", 3, Err(0));
    }

    #[test]
    fn units_of_age() {
        let hour = 3_600 * Micros::SECOND;
        for (text, hours) in [
            ("@{2.hours.ago}", 2),
            ("@{1.day.ago}", 24),
            ("@{3.days.ago}", 72),
            ("@{1.week.ago}", 168),
            ("@{2.weeks.ago}", 336),
            ("@{1.months.ago}", 720),
        ] {
            let expected = SnapshotRef::At(When::Ago(hours * hour));
            assert_eq!(SnapshotRef::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_quoted() {
        for text in [
            "",
            "#",
            "~",
            "@",
            "@{}",
            "@{now",
            "@now",
            "x",
            "1x",
            "+1",
            "--1",
            "~-1",
            "# 1",
            "#~1",
            "@{Now}",
            "@{1.year.ago}",
            "@{.days.ago}",
            "@{-1.days.ago}",
            "@{1.hourss.ago}",
            "@{2023-02-29T00:00:00}",
            "@{2023-01-01}",
            "@{2023-01-01T00:00}",
            "@{2023-01-01 00:00:00}",
            "@{2023-01-01T23:59:60}",
            "@{2023-01-01T00:00:00+01:00}",
            "@{2023-01-01T00:00:00.}",
            "@{2023-01-01T00:00:00.1234567}",
            "18446744073709551616",
            "１",
        ] {
            let error = SnapshotRef::parse(text).unwrap_err();
            assert_eq!(error.message(), format!("Bad snappish {text}"));
        }
    }

    #[test]
    fn messages_are_the_contracted_ones() {
        let none = SnapshotRef::parse("-1")
            .unwrap()
            .resolve(NOW, 0, at_time(0));
        assert_eq!(
            none.unwrap_err().message(
                "acme",
                "get-snapshot-empty-env",
                &SnapshotRef::quoted("get-snapshot-empty-env", "-1")
            ),
            "Org: 'acme'. Snapshot 'get-snapshot-empty-env#-1' resolves to \
             'get-snapshot-empty-env#0'. len(snapshots) == 0. Indexes are 1-based"
        );
        let beyond = OutOfRange {
            resolved: 23,
            len: 3,
        };
        let quoted = SnapshotRef::quoted("get-snapshot-env", "#23");
        assert_eq!(
            beyond.message("acme", "get-snapshot-env", &quoted),
            "Org: 'acme'. Snapshot 'get-snapshot-env#23' resolves to 'get-snapshot-env#23'. \
             len(snapshots) == 3. Indexes are 1-based"
        );
        assert_eq!(SnapshotRef::quoted("e", "~2"), "e~2");
        assert_eq!(SnapshotRef::quoted("e", "@{now}"), "e@{now}");
    }

    #[test]
    fn snappish_candidates_longest_name_first() {
        let check = |text: &str, expected: &[(&str, SnapshotRef)]| {
            let found = Snappish::candidates(text).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|candidate| (candidate.environment.as_str(), candidate.snapshot))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check("prod", &[("prod", SnapshotRef::LATEST)]);
        check("prod#7", &[("prod", SnapshotRef::Index(7))]);
        check("prod#-2", &[("prod", SnapshotRef::FromEnd(2))]);
        check("a~b#7", &[("a~b", SnapshotRef::Index(7))]);
        check(
            "prod~1",
            &[
                ("prod~1", SnapshotRef::LATEST),
                ("prod", SnapshotRef::Before(1)),
            ],
        );
        check(
            "a~1~2",
            &[
                ("a~1~2", SnapshotRef::LATEST),
                ("a~1", SnapshotRef::Before(2)),
            ],
        );
        check("a~x", &[("a~x", SnapshotRef::LATEST)]);
        check("prod@{now}", &[("prod", SnapshotRef::At(When::Now))]);
        for text in [
            "", "#1", "~1", "@{now}", "prod#", "prod#x", "prod@{x}", "a b", "prod#1#2",
        ] {
            let error = Snappish::candidates(text).unwrap_err();
            assert_eq!(error.message(), format!("Bad snappish {text}"));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "#3",
            "#-1",
            "~2",
            "@{now}",
            "@{2023-10-02T12:00:00}",
            "@{5.hours.ago}",
        ] {
            assert_eq!(SnapshotRef::parse(text).unwrap().to_string(), text);
        }
    }
}
