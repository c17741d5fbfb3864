//! Limits of an organization: how much it may hold and how fast it may write (D21).
//!
//! An entry of the server's log sets them; what no entry sets has the default of this version.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// One limit as it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// Not set: the default holds.
    #[default]
    Default,
    /// None.
    Unlimited,
    /// So many.
    AtMost(u64),
}

/// The largest number a limit may have: what every JSON reader keeps exactly.
pub const LIMIT_MAX: u64 = (1 << 53) - 1;

/// The text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a limit: a number up to {LIMIT_MAX}, unlimited or default")]
pub struct NoLimit(pub String);

impl FromStr for Limit {
    type Err = NoLimit;

    fn from_str(text: &str) -> Result<Self, NoLimit> {
        match text {
            "default" => Ok(Self::Default),
            "unlimited" => Ok(Self::Unlimited),
            _ => match text.parse() {
                Ok(number) if number <= LIMIT_MAX => Ok(Self::AtMost(number)),
                _ => Err(NoLimit(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::AtMost(number) => number.fmt(f),
        }
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limited {
    /// Bytes of all bodies of the organization's log, before compression.
    Bytes,
    /// Entries written in a minute by callers with a key.
    EntriesPerMinute,
    /// Environments that are not archived.
    Environments,
}

impl Limited {
    /// Everything that is limited, in the order it is shown.
    pub const ALL: [Self; 3] = [Self::Environments, Self::EntriesPerMinute, Self::Bytes];

    /// Its name in files, flags and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::EntriesPerMinute => "entries_per_minute",
            Self::Environments => "environments",
        }
    }

    /// What holds where nothing is set; none = unlimited.
    pub fn default_value(self) -> Option<u64> {
        match self {
            Self::Bytes => None,
            // Ten thousand a second: more than one log writes on common hardware, so that it
            // stops a loop that has gone wild and nobody else.
            Self::EntriesPerMinute => Some(600_000),
            Self::Environments => Some(10_000),
        }
    }
}

/// The limits of an organization, as they are set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits(BTreeMap<Limited, Limit>);

impl Limits {
    /// What is set.
    pub fn set(&self, what: Limited) -> Limit {
        self.0.get(&what).copied().unwrap_or_default()
    }

    /// What holds; none = unlimited.
    pub fn value(&self, what: Limited) -> Option<u64> {
        match self.set(what) {
            Limit::Default => what.default_value(),
            Limit::Unlimited => None,
            Limit::AtMost(number) => Some(number),
        }
    }

    /// With one of them set.
    #[must_use]
    pub fn with(mut self, what: Limited, limit: Limit) -> Self {
        match limit {
            Limit::Default => self.0.remove(&what),
            _ => self.0.insert(what, limit),
        };
        self
    }

    /// With those that `changes` sets.
    #[must_use]
    pub fn changed(&self, changes: &[(Limited, Limit)]) -> Self {
        changes.iter().fold(self.clone(), |limits, (what, limit)| {
            limits.with(*what, *limit)
        })
    }

    /// The form in entries and tables: `{"bytes":1000,"environments":"unlimited"}`.
    pub fn to_json(&self) -> Value {
        Value::Object(
            self.0
                .iter()
                .map(|(what, limit)| {
                    let value = match limit {
                        Limit::AtMost(number) => Value::from(*number),
                        other => Value::from(other.to_string()),
                    };
                    (what.as_str().to_owned(), value)
                })
                .collect(),
        )
    }

    /// Reads what [`Limits::to_json`] wrote.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut limits = Self::default();
        for (name, value) in value.as_object()? {
            let what = Limited::ALL
                .into_iter()
                .find(|what| what.as_str() == name)?;
            let limit = match value {
                Value::String(text) if text == "unlimited" => Limit::Unlimited,
                value => Limit::AtMost(value.as_u64().filter(|number| *number <= LIMIT_MAX)?),
            };
            limits = limits.with(what, limit);
        }
        Some(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_were_written() {
        let limits = Limits::default()
            .with(Limited::Bytes, Limit::AtMost(7))
            .with(Limited::Environments, Limit::Unlimited)
            .with(Limited::EntriesPerMinute, Limit::AtMost(9))
            .with(Limited::EntriesPerMinute, Limit::Default);
        let json = limits.to_json();
        assert_eq!(
            json.to_string(),
            r#"{"bytes":7,"environments":"unlimited"}"#
        );
        assert_eq!(Limits::from_json(&json), Some(limits.clone()));
        assert_eq!(limits.value(Limited::Bytes), Some(7));
        assert_eq!(limits.value(Limited::Environments), None);
        assert_eq!(
            limits.value(Limited::EntriesPerMinute),
            Limited::EntriesPerMinute.default_value()
        );
        for bad in [
            r#"{"more":1}"#,
            r#"{"bytes":-1}"#,
            r#"{"bytes":"many"}"#,
            "[]",
        ] {
            let value = serde_json::from_str(bad).expect("JSON");
            assert_eq!(Limits::from_json(&value), None, "{bad}");
        }
    }

    #[test]
    fn words_and_numbers_are_limits() {
        assert_eq!("12".parse(), Ok(Limit::AtMost(12)));
        assert_eq!("unlimited".parse(), Ok(Limit::Unlimited));
        assert_eq!("default".parse(), Ok(Limit::Default));
        for bad in ["", "-1", "many", "9007199254740992", "1.5"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }
}
