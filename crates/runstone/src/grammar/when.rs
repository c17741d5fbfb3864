//! Dates and words for points in time, and the expressions they stand in. Only our command line
//! knows them; they are resolved here into what the wire knows (`cli.md` 9).
//!
//! Understood are `2026-12-24`, `2026-12-24 18:00[:00]` (also with `T`, a zone's offset or `Z`),
//! `18:00`, `now`, `today`, `yesterday`, `tomorrow`, `[last] thursday`, each but `now` also followed
//! by a time of day, and `3 days ago`. Days and times of day are read in the given zone.
//! A day without a time is its last instant in an expression, because `prod@{2026-12-24}` asks what
//! ran at the end of that day, and its first instant in `--since` and `--until`.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _, Zoned};

/// A point in time as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// A whole day.
    Day(Date),
    /// A day and a time of day in the zone.
    Local(DateTime),
    /// An instant that needs no zone.
    Instant(Timestamp),
}

/// The words name no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// Not a form that is understood.
    #[error(
        "'{0}' is not a time; write for example 2026-12-24, '2026-12-24 18:00', yesterday, 'last thursday' or '3 days ago'"
    )]
    Unknown(String),
    /// The zone is not known.
    #[error("unknown time zone: {0}")]
    Zone(String),
    /// Beyond what a calendar holds.
    #[error("'{0}' is out of range")]
    Range(String),
}

impl Moment {
    /// The first instant.
    pub fn first(&self, zone: &TimeZone) -> Result<Timestamp, WhenError> {
        match self {
            Self::Day(day) => start_of(*day, zone),
            Self::Local(time) => instant(*time, zone),
            Self::Instant(time) => Ok(*time),
        }
    }

    /// The last instant in whole seconds: a day's last second, else the instant itself.
    pub fn last(&self, zone: &TimeZone) -> Result<Timestamp, WhenError> {
        match self {
            Self::Day(day) => {
                let range = |_| WhenError::Range(day.to_string());
                let next = start_of(day.tomorrow().map_err(range)?, zone)?;
                next.checked_sub(1.second()).map_err(range)
            }
            Self::Local(_) | Self::Instant(_) => self.first(zone),
        }
    }
}

fn start_of(day: Date, zone: &TimeZone) -> Result<Timestamp, WhenError> {
    zone.to_zoned(day.at(0, 0, 0, 0))
        .and_then(|midnight| midnight.start_of_day())
        .map(|start| start.timestamp())
        .map_err(|_| WhenError::Range(day.to_string()))
}

fn instant(time: DateTime, zone: &TimeZone) -> Result<Timestamp, WhenError> {
    zone.to_timestamp(time)
        .map_err(|_| WhenError::Range(time.to_string()))
}

/// The zone named by `--tz`; `local` stands for the local one.
pub fn zone(name: &str) -> Result<TimeZone, WhenError> {
    if name.eq_ignore_ascii_case("local") {
        return Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC));
    }
    TimeZone::get(name).map_err(|_| WhenError::Zone(name.to_owned()))
}

/// Reads a point in time, relative to `now` in its zone.
pub fn moment(text: &str, now: &Zoned) -> Result<Moment, WhenError> {
    let lower = text.trim().to_ascii_lowercase();
    let unknown = || WhenError::Unknown(text.trim().to_owned());
    if let Some(moment) = written(text.trim()) {
        return Ok(moment);
    }
    let words: Vec<&str> = lower.split_whitespace().collect();
    if words.last() == Some(&"ago") {
        return ago(&words[..words.len() - 1], now)
            .ok_or_else(unknown)?
            .map_err(|()| WhenError::Range(text.trim().to_owned()));
    }
    let (day, time) = match words.as_slice() {
        ["now"] => return Ok(Moment::Instant(now.timestamp())),
        ["last", day] => (weekday_before(day, now.date()), None),
        ["last", day, time] | ["last", day, "at", time] => {
            (weekday_before(day, now.date()), Some(*time))
        }
        [day, "at", time] | [day, time] => (named_day(day, now.date()), Some(*time)),
        [word] => match time_of_day(word) {
            Some(time) => return Ok(Moment::Local(now.date().to_datetime(time))),
            None => (named_day(word, now.date()), None),
        },
        _ => (None, None),
    };
    let day = day.ok_or_else(unknown)?;
    match time {
        None => Ok(Moment::Day(day)),
        Some(time) => time_of_day(time)
            .map(|time| Moment::Local(day.to_datetime(time)))
            .ok_or_else(unknown),
    }
}

/// A date, a date and time, or an instant with its offset, in digits.
fn written(text: &str) -> Option<Moment> {
    // The calendar type would also read a date out of a longer text.
    let is_date = text.len() == 10 && text.as_bytes()[4] == b'-';
    if is_date {
        return text.parse().ok().map(Moment::Day);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) || text.len() < 16 {
        return None;
    }
    let normal = text.replacen(' ', "T", 1);
    if let Ok(instant) = normal.parse::<Timestamp>() {
        return Some(Moment::Instant(instant));
    }
    normal.parse::<DateTime>().ok().map(Moment::Local)
}

/// `18`, `18:00`, `18:00:30`, also with `am` or `pm`.
fn time_of_day(text: &str) -> Option<Time> {
    let (digits, afternoon) = if let Some(digits) = text.strip_suffix("pm") {
        (digits, Some(true))
    } else if let Some(digits) = text.strip_suffix("am") {
        (digits, Some(false))
    } else {
        (text, None)
    };
    let parts: Vec<i8> = digits
        .split(':')
        .map(|part| {
            (part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
        })
        .collect::<Option<_>>()?;
    let (hour, minute, second) = match (parts.as_slice(), afternoon) {
        ([hour], Some(_)) => (*hour, 0, 0),
        ([hour, minute], _) => (*hour, *minute, 0),
        ([hour, minute, second], _) => (*hour, *minute, *second),
        _ => return None,
    };
    let hour = match afternoon {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    Time::new(hour, minute, second, 0).ok()
}

fn named_day(word: &str, today: Date) -> Option<Date> {
    match word {
        "today" => Some(today),
        "yesterday" => today.yesterday().ok(),
        "tomorrow" => today.tomorrow().ok(),
        _ => match written(word) {
            Some(Moment::Day(day)) => Some(day),
            _ => weekday_before(word, today),
        },
    }
}

/// The most recent such day of the week before today.
fn weekday_before(word: &str, today: Date) -> Option<Date> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let (_, weekday) = DAYS
        .iter()
        .find(|(name, _)| *name == word || (word.len() == 3 && name.starts_with(word)))?;
    today.nth_weekday(-1, *weekday).ok()
}

/// `3 days`, `an hour`, `one week` before now. The outer nothing: not such words.
fn ago(words: &[&str], now: &Zoned) -> Option<Result<Moment, ()>> {
    let [count, unit] = words else {
        return None;
    };
    let count: i64 = match *count {
        "a" | "an" | "one" => 1,
        digits => digits.parse().ok().filter(|count| *count >= 0)?,
    };
    let span = Span::new();
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let span = match unit {
        "second" | "sec" => span.try_seconds(count),
        "minute" | "min" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    };
    Some(
        span.and_then(|span| now.checked_sub(span))
            .map(|then| Moment::Instant(then.timestamp()))
            .map_err(|_| ()),
    )
}

/// A snapshot expression in the form the wire knows.
///
/// `ENV@{…}` with a form of the wire stays as it is unless a zone was named; any other content of
/// the braces is read by [`moment`]. Everything else passes through.
pub fn expression(
    text: &str,
    now: Timestamp,
    local: &TimeZone,
    named: Option<&TimeZone>,
) -> Result<String, WhenError> {
    let Some((before, rest)) = text.split_once("@{") else {
        return Ok(text.to_owned());
    };
    let Some(inner) = rest.strip_suffix('}') else {
        return Ok(text.to_owned());
    };
    // Without a name the expression is refused as a whole later.
    if before.is_empty() || is_age(inner) || (is_wire_time(inner) && named.is_none()) {
        return Ok(text.to_owned());
    }
    let zone = named.unwrap_or(local);
    let instant = moment(inner, &now.to_zoned(zone.clone()))?.last(zone)?;
    Ok(format!("{before}@{{{}}}", wire_time(instant)))
}

/// An instant as the wire's expressions write it.
pub fn wire_time(instant: Timestamp) -> String {
    instant
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string()
}

/// `2006-01-02T15:04:05`, UTC on the wire.
fn is_wire_time(text: &str) -> bool {
    text.len() == 19 && text.as_bytes()[10] == b'T' && text.parse::<DateTime>().is_ok()
}

/// `2.hours.ago`, or `now`.
fn is_age(text: &str) -> bool {
    text == "now"
        || text
            .strip_suffix(".ago")
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(count, _)| count.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    /// A Saturday, 12:00 in UTC, 13:00 in Berlin.
    const NOW: &str = "2026-11-21T12:00:00Z";

    fn resolved(text: &str, named: Option<&str>) -> String {
        let named = named.map(|name| zone(name).unwrap());
        let local = TimeZone::get("Europe/Berlin").unwrap();
        match expression(text, NOW.parse().unwrap(), &local, named.as_ref()) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn forms_of_the_wire_pass_verbatim() {
        for text in [
            "prod",
            "prod#8",
            "prod~3",
            "prod@{2026-12-24T18:00:00}",
            "prod@{2.hours.ago}",
            "prod@{x",
            "prod@{now}",
            "@{x}",
        ] {
            assert_eq!(resolved(text, None), text);
        }
        assert_eq!(
            resolved("prod@{2.hours.ago}", Some("Asia/Tokyo")),
            "prod@{2.hours.ago}"
        );
    }

    #[test]
    fn dates_and_words_become_utc() {
        let check = |text: &str, named: Option<&str>, expected: &str| {
            assert_eq!(
                resolved(&format!("prod@{{{text}}}"), named),
                format!("prod@{{{expected}}}"),
                "{text}"
            );
        };
        check("2026-06-24", None, "2026-06-24T21:59:59");
        check("2026-06-24", Some("UTC"), "2026-06-24T23:59:59");
        check(
            "2026-06-24T18:00:00",
            Some("Asia/Tokyo"),
            "2026-06-24T09:00:00",
        );
        check("2026-06-24 18:00", None, "2026-06-24T16:00:00");
        check("2026-06-24T18:00:00+05:30", None, "2026-06-24T12:30:00");
        check("2026-06-24T18:00:00Z", None, "2026-06-24T18:00:00");
        check("yesterday", None, "2026-11-20T22:59:59");
        check("Yesterday 18:00", None, "2026-11-20T17:00:00");
        check("yesterday at 6pm", None, "2026-11-20T17:00:00");
        check("last thursday", None, "2026-11-19T22:59:59");
        // Today is a Saturday: the last one is a week ago.
        check("last saturday", None, "2026-11-14T22:59:59");
        check("fri 08:30", None, "2026-11-20T07:30:00");
        check("3 days ago", None, "2026-11-18T12:00:00");
        check("an hour ago", None, "2026-11-21T11:00:00");
        check("one month ago", None, "2026-10-21T11:00:00");
        check("today 10am", None, "2026-11-21T09:00:00");
        check("07:15", None, "2026-11-21T06:15:00");
        check("today", Some("America/New_York"), "2026-11-22T04:59:59");
    }

    #[test]
    fn a_day_of_25_hours_ends_with_its_last_second() {
        // Clocks in Berlin went back in the night to 2026-10-25.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let day = Moment::Day("2026-10-25".parse().unwrap());
        assert_eq!(
            day.first(&berlin).unwrap().to_string(),
            "2026-10-24T22:00:00Z"
        );
        assert_eq!(
            day.last(&berlin).unwrap().to_string(),
            "2026-10-25T22:59:59Z"
        );
    }

    #[test]
    fn what_is_not_a_time_is_told() {
        for text in [
            "",
            "soon",
            "last",
            "last christmas",
            "25:00",
            "3 fortnights ago",
            "2026-13-01",
            "yesterday 13pm",
        ] {
            assert!(
                resolved(&format!("prod@{{{text}}}"), None).contains("is not a time"),
                "{text}"
            );
        }
        assert_eq!(
            zone("Mars/Base").unwrap_err().to_string(),
            "unknown time zone: Mars/Base"
        );
    }
}
