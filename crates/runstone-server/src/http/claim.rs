//! What callers say of the time of what they tell, in headers: reporters of their observations
//! (design D10), administrators of history that they import.

use axum::http::HeaderMap;
use runstone_model::event::{Claim, REPORTER_BYTES_MAX};
use runstone_model::id::Micros;
use runstone_model::read::FieldErrors;

/// When a reporter observed, by its own clock: Unix seconds, or RFC 3339.
pub(crate) const OBSERVED_AT: &str = "runstone-observed-at";
/// When it happened, for history that is imported: Unix seconds, or RFC 3339.
pub(crate) const IMPORTED_AT: &str = "runstone-imported-at";
/// Name of a reporter, or of what history is imported from.
pub(crate) const REPORTER: &str = "runstone-reporter";
/// A reporter's running number of reports.
pub(crate) const SEQUENCE: &str = "runstone-sequence";

/// Reads headers and gathers what is wrong with them.
struct Headers<'a> {
    headers: &'a HeaderMap,
    errors: FieldErrors,
}

impl<'a> Headers<'a> {
    fn wrong(&mut self, name: &str, text: &str, input: &str) {
        self.errors.add(&format!("header.{name}"), text, input);
    }

    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.headers.get(name)?;
        if let Ok(text) = value.to_str() {
            return Some(text.trim());
        }
        let input = String::from_utf8_lossy(value.as_bytes());
        self.wrong(name, "Header should hold visible ASCII characters", &input);
        None
    }

    fn instant(&mut self, name: &'static str) -> Option<Micros> {
        let text = self.text(name)?;
        let parsed = instant(text);
        if parsed.is_none() {
            self.wrong(
                name,
                "Header should be Unix seconds or an RFC 3339 time",
                text,
            );
        }
        parsed
    }

    fn reporter(&mut self) -> Option<&'a str> {
        let by = self.text(REPORTER)?;
        if by.len() > REPORTER_BYTES_MAX {
            let text = format!("Header should have at most {REPORTER_BYTES_MAX} bytes");
            self.wrong(REPORTER, &text, by);
        }
        Some(by)
    }

    fn sequence(&mut self) -> Option<u64> {
        let text = self.text(SEQUENCE)?;
        let parsed = text
            .parse::<u64>()
            .ok()
            .filter(|number| i64::try_from(*number).is_ok());
        if parsed.is_none() {
            let message = "Input should be a valid integer, unable to parse string as an integer";
            self.wrong(SEQUENCE, message, text);
        }
        parsed
    }
}

/// What the reporter says of its report, if it says anything.
pub(crate) fn claim(headers: &HeaderMap) -> Result<Option<Claim>, FieldErrors> {
    let mut headers = Headers {
        headers,
        errors: FieldErrors::default(),
    };
    let at = headers.instant(OBSERVED_AT);
    let by = headers.reporter();
    let sequence = headers.sequence();
    if sequence.is_some() && by.is_none_or(str::is_empty) {
        headers.wrong(REPORTER, "Field required with a sequence", "None");
    }
    let said = at.is_some() || by.is_some() || sequence.is_some();
    headers.errors.into_result(Some(said.then(|| Claim {
        at,
        by: by.unwrap_or_default().to_owned(),
        sequence,
        imported: false,
    })))
}

/// What is claimed of the past, where a call tells of it. It is for administrators, which the
/// writer sees to.
pub(crate) fn history(headers: &HeaderMap) -> Result<Option<Claim>, FieldErrors> {
    if !headers.contains_key(IMPORTED_AT) {
        return Ok(None);
    }
    let mut headers = Headers {
        headers,
        errors: FieldErrors::default(),
    };
    let at = headers.instant(IMPORTED_AT);
    let by = headers.reporter().filter(|by| !by.is_empty());
    if by.is_none() {
        headers.wrong(REPORTER, "Field required with imported history", "None");
    }
    let sequence = headers.sequence();
    headers.errors.into_result(Some(Some(Claim {
        at,
        by: by.unwrap_or_default().to_owned(),
        sequence,
        imported: true,
    })))
}

fn instant(text: &str) -> Option<Micros> {
    if let Ok(seconds) = text.parse::<f64>() {
        const SECONDS_MAX: f64 = 253_402_300_799.0;
        return (0.0..=SECONDS_MAX)
            .contains(&seconds)
            .then(|| Micros::from_seconds(seconds));
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    (time.as_microsecond() >= 0).then(|| Micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<Option<Claim>, FieldErrors> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        claim(&headers)
    }

    #[test]
    fn claims_are_read() {
        assert_eq!(of(&[]), Ok(None));
        let claim = of(&[
            (OBSERVED_AT, "2026-04-01T10:00:00.5Z"),
            (REPORTER, "host-1"),
            (SEQUENCE, "7"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(claim.at, Some(Micros(1_775_037_600_500_000)));
        assert_eq!((claim.by.as_str(), claim.sequence), ("host-1", Some(7)));
        let claim = of(&[(OBSERVED_AT, "1700000000.25")]).unwrap().unwrap();
        assert_eq!(claim.at, Some(Micros(1_700_000_000_250_000)));
    }

    #[test]
    fn wrong_claims_are_named() {
        let errors = of(&[(OBSERVED_AT, "noon"), (SEQUENCE, "-1"), (REPORTER, "r")]).unwrap_err();
        let names: Vec<&str> = errors.0.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["header.runstone-observed-at", "header.runstone-sequence"]
        );
        let errors = of(&[(SEQUENCE, "1")]).unwrap_err();
        assert!(errors.0.contains_key("header.runstone-reporter"));
        assert!(of(&[(OBSERVED_AT, "NaN")]).is_err());
        assert!(of(&[(OBSERVED_AT, "inf")]).is_err());
        assert!(of(&[(OBSERVED_AT, "-1")]).is_err());
    }

    #[test]
    fn history_is_claimed_with_its_source() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            history(&headers)
        };
        assert_eq!(of(&[(REPORTER, "r"), (SEQUENCE, "1")]), Ok(None));
        let claim = of(&[
            (IMPORTED_AT, "2022-08-22T11:35:00+02:00"),
            (REPORTER, "history.jsonl"),
            (SEQUENCE, "3"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(claim.at, Some(Micros(1_661_160_900_000_000)));
        assert!(claim.imported);
        assert_eq!(
            (claim.by.as_str(), claim.sequence),
            ("history.jsonl", Some(3))
        );
        let errors = of(&[(IMPORTED_AT, "noon")]).unwrap_err();
        let names: Vec<&str> = errors.0.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["header.runstone-imported-at", "header.runstone-reporter"]
        );
    }
}
