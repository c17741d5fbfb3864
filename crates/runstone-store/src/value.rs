//! Values that go into and come out of statements, the same for both engines.

use std::sync::Arc;

/// A parameter or a column of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Arc<[u8]>),
    /// A list of numbers, only as a parameter of `ID_TABLE($n)`.
    Ints(Vec<i64>),
}

/// A row read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record(pub(crate) Vec<Value>);

impl Record {
    fn wrong(&self, column: usize, expected: &str) -> DbError {
        DbError::Corrupt(format!(
            "column {column} is not {expected}: {:?}",
            self.0.get(column)
        ))
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, DbError> {
        match self.0.get(column) {
            Some(Value::Int(int)) => Ok(*int),
            _ => Err(self.wrong(column, "an integer")),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<u64, DbError> {
        u64::try_from(self.int(column)?).map_err(|_| self.wrong(column, "a count"))
    }

    pub(crate) fn ordinal(&self, column: usize) -> Result<u32, DbError> {
        u32::try_from(self.int(column)?).map_err(|_| self.wrong(column, "an ordinal"))
    }

    pub(crate) fn flag(&self, column: usize) -> Result<bool, DbError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.wrong(column, "0 or 1")),
        }
    }

    pub(crate) fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), Some(Value::Null) | None)
    }

    pub(crate) fn optional_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        if self.is_null(column) {
            Ok(None)
        } else {
            self.int(column).map(Some)
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, DbError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.wrong(column, "a text")),
        }
    }

    pub(crate) fn blob(&self, column: usize) -> Result<Arc<[u8]>, DbError> {
        match self.0.get(column) {
            Some(Value::Blob(blob)) => Ok(Arc::clone(blob)),
            _ => Err(self.wrong(column, "bytes")),
        }
    }

    pub(crate) fn sha256(&self, column: usize) -> Result<[u8; 32], DbError> {
        self.blob(column)?
            .as_ref()
            .try_into()
            .map_err(|_| self.wrong(column, "32 bytes"))
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u32> for Value {
    fn from(int: u32) -> Self {
        Self::Int(i64::from(int))
    }
}

impl From<u64> for Value {
    /// Sizes and indexes stay far below 2^63.
    fn from(int: u64) -> Self {
        Self::Int(int as i64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes.into())
    }
}

impl From<Arc<[u8]>> for Value {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Blob(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// The transaction lost a race and may be decided again (SQLSTATE 40001, 40P01, a lock).
    #[error("lost a race: {0}")]
    Race(String),
    /// The connection is gone; nobody knows whether a COMMIT arrived.
    #[error("lost the connection to the database: {0}")]
    Lost(String),
    /// The database cannot take writes now: disk full, read-only, refused connections.
    #[error("{0}")]
    Unavailable(String),
    /// The blob store cannot be asked now.
    #[error("{0}")]
    Blobs(String),
    /// What was read does not fit: the store is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A read that was to be short was not: it may be done again where it holds nobody up.
    #[error("the read takes longer than a short one may")]
    TooLong,
    /// Anything else; a defect.
    #[error("{0}")]
    Other(String),
}
