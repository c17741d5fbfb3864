//! Parameters of a query string.

use super::{FieldErrors, enum_text};

/// Values of a query string, with the contracted texts under `query.<name>`.
///
/// Each reader returns the default when the parameter is absent or wrong; ask
/// [`QueryReader::finish`] before using any of them.
#[derive(Debug, Default)]
pub struct QueryReader {
    errors: FieldErrors,
}

impl QueryReader {
    /// A reader that has found nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An integer of at least `min` and, if given, at most `max`.
    pub fn integer(
        &mut self,
        name: &str,
        text: Option<&str>,
        min: u64,
        max: Option<u64>,
    ) -> Option<u64> {
        let text = text?;
        let message = match text.trim().parse::<i128>() {
            Err(_) => {
                "Input should be a valid integer, unable to parse string as an integer".to_owned()
            }
            Ok(value) if value < i128::from(min) => {
                format!("Input should be greater than or equal to {min}")
            }
            Ok(value) => {
                let max = max.unwrap_or(i64::MAX as u64);
                match u64::try_from(value) {
                    Ok(value) if value <= max => return Some(value),
                    _ => format!("Input should be less than or equal to {max}"),
                }
            }
        };
        self.errors.add(&format!("query.{name}"), &message, text);
        None
    }

    /// A finite number.
    pub fn number(&mut self, name: &str, text: Option<&str>) -> Option<f64> {
        let text = text?;
        let message = match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => return Some(value),
            Ok(_) => "Input should be a finite number",
            Err(_) => "Input should be a valid number, unable to parse string as a number",
        };
        self.errors.add(&format!("query.{name}"), message, text);
        None
    }

    /// A boolean, in any of the usual words.
    pub fn boolean(&mut self, name: &str, text: Option<&str>) -> Option<bool> {
        let text = text?;
        match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => {
                self.errors.add(
                    &format!("query.{name}"),
                    "Input should be a valid boolean, unable to interpret input",
                    text,
                );
                None
            }
        }
    }

    /// One of a few words. `name` may carry an index for a repeated parameter (`type[0]`).
    pub fn one_of<T: Copy>(
        &mut self,
        name: &str,
        text: Option<&str>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = text?;
        if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == text) {
            return Some(*value);
        }
        let message = enum_text(choices.iter().map(|(choice, _)| *choice));
        self.errors.add(&format!("query.{name}"), &message, text);
        None
    }

    /// A parameter that must be given.
    pub fn required<'t>(&mut self, name: &str, text: Option<&'t str>) -> Option<&'t str> {
        if text.is_none() {
            self.errors
                .add(&format!("query.{name}"), "Field required", "None");
        }
        text
    }

    /// The errors found, if any.
    pub fn finish(self) -> Result<(), FieldErrors> {
        self.errors.into_result(Some(()))
    }
}
