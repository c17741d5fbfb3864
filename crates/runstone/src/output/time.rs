//! Times as people read them (`cli.md` 1.14): the long and the short form, RFC 3339, and the words
//! that say how long ago something was.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;
/// From here on the date says more than the distance.
const FAR: i64 = 1080 * DAY;

/// The clock and zone that times are shown with.
#[derive(Debug, Clone)]
pub struct Times {
    /// Now.
    pub now: Timestamp,
    /// The local zone.
    pub zone: TimeZone,
}

impl Times {
    /// `Mon, 02 Jan 2006 15:04:05 MST`.
    pub fn short(&self, seconds: i64) -> String {
        match Timestamp::from_second(seconds) {
            Ok(time) => time
                .to_zoned(self.zone.clone())
                .strftime("%a, %d %b %Y %H:%M:%S %Z")
                .to_string(),
            Err(_) => seconds.to_string(),
        }
    }

    /// The short form and how long ago that is.
    pub fn long(&self, seconds: i64) -> String {
        format!("{} • {}", self.short(seconds), self.ago(seconds))
    }

    /// RFC 3339 in the local zone, `Z` for UTC.
    pub fn rfc3339(&self, seconds: i64) -> String {
        match Timestamp::from_second(seconds) {
            Ok(time) => {
                let zoned = time.to_zoned(self.zone.clone());
                if zoned.offset().seconds() == 0 {
                    zoned.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
                } else {
                    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
                }
            }
            Err(_) => seconds.to_string(),
        }
    }

    /// `2 hours ago`, `in 3 days`, or the date if that is far away.
    pub fn ago(&self, seconds: i64) -> String {
        let distance = self.now.as_millisecond() - seconds.saturating_mul(1_000);
        if distance.abs() >= FAR
            && let Ok(time) = Timestamp::from_second(seconds)
        {
            return time
                .to_zoned(self.zone.clone())
                .strftime("%Y-%m-%d")
                .to_string();
        }
        let words = words(distance.abs());
        if distance < 0 {
            format!("in {words}")
        } else {
            format!("{words} ago")
        }
    }

    /// The long form of a wire value, or `N/A`.
    pub fn long_value(&self, value: &Value) -> String {
        spelled(value, |seconds| self.long(seconds))
    }

    /// The short form of a wire value, or `N/A`.
    pub fn short_value(&self, value: &Value) -> String {
        spelled(value, |seconds| self.short(seconds))
    }
}

/// A wire time in the given form.
fn spelled(value: &Value, form: impl Fn(i64) -> String) -> String {
    match seconds(value) {
        Some(seconds) => form(seconds),
        None if value.is_null() => "N/A".to_owned(),
        None => "bad timestamp".to_owned(),
    }
}

/// A wire time in whole seconds: an integer, a float (cut), or a text holding either.
pub fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.parse::<f64>().ok().map(|seconds| seconds as i64),
        _ => None,
    }
}

/// A length of time in words, such as `about an hour`.
pub fn words(milliseconds: i64) -> String {
    // (unit, length of the unit, where the next unit begins, word for one, word for more)
    const UNITS: [(i64, i64, &str, &str); 6] = [
        (SECOND, MINUTE, "about a second", "seconds"),
        (MINUTE, HOUR, "about a minute", "minutes"),
        (HOUR, DAY, "about an hour", "hours"),
        (DAY, MONTH, "one day", "days"),
        (MONTH, YEAR, "one month", "months"),
        (YEAR, i64::MAX, "one year", "years"),
    ];
    for (unit, next, one, more) in UNITS {
        if milliseconds >= next {
            continue;
        }
        let count = (milliseconds + unit / 2) / unit;
        if next != i64::MAX && count == (next + unit / 2) / unit {
            continue;
        }
        return if count <= 1 {
            one.to_owned()
        } else {
            format!("{count} {more}")
        };
    }
    // The last unit has no next one, so it always answers.
    String::new()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn words_are_those_checked_with_the_published_client() {
        let check = |seconds: f64, expected: &str| {
            assert_eq!(words((seconds * 1e3) as i64), expected, "{seconds}");
        };
        let day = 86_400.0;
        check(0.2, "about a second");
        check(58.0, "58 seconds");
        check(59.8, "about a minute");
        check(62.0, "about a minute");
        check(91.0, "2 minutes");
        check(3580.0, "about an hour");
        check(5405.0, "2 hours");
        check(84_700.0, "one day");
        check(129_610.0, "2 days");
        check(29.5 * day, "one month");
        check(46.0 * day, "2 months");
        check(344.0 * day, "11 months");
        check(346.0 * day, "one year");
        check(548.0 * day, "2 years");
    }

    #[test]
    fn times_are_shown_in_the_local_zone() {
        let times = Times {
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        assert_eq!(
            times.long(1_772_359_200),
            "Sun, 01 Mar 2026 11:00:00 CET • 2 hours ago"
        );
        assert_eq!(times.rfc3339(1_772_359_200), "2026-03-01T11:00:00+01:00");
        assert_eq!(times.ago(1_772_359_200 + 3 * 86_400), "in 3 days");
        assert_eq!(times.ago(1_500_000_000), "2017-07-14");
        assert_eq!(times.long_value(&Value::Null), "N/A");
        assert_eq!(times.short_value(&"x".into()), "bad timestamp");
        assert_eq!(
            times.short_value(&"1772359200.7".into()),
            "Sun, 01 Mar 2026 11:00:00 CET"
        );
    }
}
