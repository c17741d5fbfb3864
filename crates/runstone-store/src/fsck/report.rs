//! Findings: what is wrong, in words, and how many of them are told.

use std::cmp::Ordering;
use std::fmt;

use crate::admin::{AdminError, Counts};
use crate::value::DbError;

/// So many problems are named; a store with more is damaged all over.
const PROBLEMS_MAX: usize = 1_000;
/// Something is not as it follows from the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The record: log and entry, body, tile, or table, row and column.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Empty for a store that holds; at most 1,000, in the order found.
    pub problems: Vec<Problem>,
    /// What was checked.
    pub counts: Counts,
}

impl Report {
    pub(super) fn add(&mut self, place: impl Into<String>, what: impl fmt::Display) {
        match self.problems.len().cmp(&PROBLEMS_MAX) {
            Ordering::Less => self.problems.push(Problem {
                place: place.into(),
                what: what.to_string(),
            }),
            Ordering::Equal => self.problems.push(Problem {
                place: "store".to_owned(),
                what: "there are more problems than are named here".to_owned(),
            }),
            Ordering::Greater => {}
        }
    }

    /// A part that could not be read to its end is damaged; that database or blobs went away is not
    /// the store's fault.
    pub(super) fn part(
        &mut self,
        place: &str,
        result: Result<(), DbError>,
    ) -> Result<(), AdminError> {
        match result {
            Ok(()) => Ok(()),
            Err(error @ (DbError::Lost(_) | DbError::Race(_) | DbError::Blobs(_))) => {
                Err(error.into())
            }
            Err(error) => {
                self.add(place, error);
                Ok(())
            }
        }
    }
}
