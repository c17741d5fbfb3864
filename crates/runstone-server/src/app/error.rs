//! What can go wrong in a use case. Which status and body each case is answered with is told in
//! `http::answer`.

use runstone_model::command::Refusal;
use runstone_model::read::FieldErrors;
use runstone_store::{DbError, SubmitError};

/// A use case did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// The request is not well-formed.
    #[error("the request is not valid: {0:?}")]
    Fields(#[from] FieldErrors),
    /// The model refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is nothing with this name or at this place.
    #[error("{0}")]
    Missing(String),
    /// What was asked cannot be meant.
    #[error("{0}")]
    Bad(String),
    /// The body is larger than allowed.
    #[error("the request body exceeds the limit of {limit} bytes")]
    BodyTooLarge { limit: usize },
    /// The attached file is larger than allowed.
    #[error("File size exceeds {} limit", size(*limit))]
    FileTooLarge { limit: u64 },
    /// Too much is waiting.
    #[error("too many requests")]
    Busy { retry_after_seconds: u64 },
    /// Nothing can be read or written for now.
    #[error("the store is not available: {reason}")]
    Unavailable {
        reason: String,
        retry_after_seconds: u64,
    },
    /// An attempt at a short read was given up; it is done again where it may take its time.
    #[error("the read takes longer than a short one may")]
    TooLong,
    /// A bug or damage.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<SubmitError> for AppError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            SubmitError::Busy {
                retry_after_seconds,
            } => Self::Busy {
                retry_after_seconds,
            },
            SubmitError::Unavailable {
                reason,
                retry_after_seconds,
            } => Self::Unavailable {
                reason,
                retry_after_seconds,
            },
        }
    }
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Race(_) | DbError::Lost(_) | DbError::Unavailable(_) | DbError::Blobs(_) => {
                Self::Unavailable {
                    reason: with_causes(&error),
                    retry_after_seconds: 1,
                }
            }
            DbError::TooLong => Self::TooLong,
            DbError::Corrupt(_) | DbError::Other(_) => Self::Internal(with_causes(&error)),
        }
    }
}

impl From<runstone_model::report::DetailError> for AppError {
    fn from(error: runstone_model::report::DetailError) -> Self {
        Self::Internal(with_causes(&error))
    }
}

/// A size as people say it, if it is a whole one.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}MB", bytes >> 20),
        bytes => format!("{bytes} bytes"),
    }
}

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl AppError {
    /// There is nothing with this name or at this place.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::Missing(message.into())
    }

    /// What was asked cannot be meant.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::Bad(message.into())
    }
}
