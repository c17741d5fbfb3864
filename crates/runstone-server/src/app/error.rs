//! What can go wrong in a use case, and the one place that gives each case its status.

use axum::http::StatusCode;
use runstone_api::error::ErrorBody;
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
    /// A contracted answer.
    #[error("{1}")]
    Answer(StatusCode, String),
    /// The body is larger than allowed.
    #[error("the request body exceeds the limit of {limit} bytes")]
    BodyTooLarge { limit: usize },
    /// Too much is waiting.
    #[error("too many requests")]
    Busy { retry_after_seconds: u64 },
    /// Nothing can be read or written for now.
    #[error("the store is not available: {reason}")]
    Unavailable {
        reason: String,
        retry_after_seconds: u64,
    },
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
            DbError::Race(_) | DbError::Lost(_) | DbError::Unavailable(_) => Self::Unavailable {
                reason: with_causes(&error),
                retry_after_seconds: 1,
            },
            DbError::Corrupt(_) | DbError::Other(_) => Self::Internal(with_causes(&error)),
        }
    }
}

impl From<runstone_model::report::DetailError> for AppError {
    fn from(error: runstone_model::report::DetailError) -> Self {
        Self::Internal(with_causes(&error))
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

/// Status of a refusal.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden | Refusal::ForbiddenToArchive => StatusCode::FORBIDDEN,
        Refusal::EnvironmentMissing { .. }
        | Refusal::EnvironmentArchived { .. }
        | Refusal::PolicyMissing { .. }
        | Refusal::OrganizationMissing { .. }
        | Refusal::UserMissing { .. }
        | Refusal::AccountMissing { .. } => StatusCode::NOT_FOUND,
        Refusal::EnvironmentExists { .. }
        | Refusal::EnvironmentOfOtherKind { .. }
        | Refusal::MemberIsLogical
        | Refusal::NotLogical { .. }
        | Refusal::ReportToLogical { .. }
        | Refusal::ReportOfOtherKind { .. }
        | Refusal::OrganizationOfOtherKind { .. }
        | Refusal::KeyInUse { .. }
        | Refusal::LimitExceeded { .. } => StatusCode::BAD_REQUEST,
    }
}

impl AppError {
    /// Nothing with this name, or nothing at this place: 404.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::Answer(StatusCode::NOT_FOUND, message.into())
    }

    /// What was asked cannot be meant: 400.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::Answer(StatusCode::BAD_REQUEST, message.into())
    }

    /// Status, body and seconds to wait. What callers must not see is told by the status only.
    pub(crate) fn answer(&self) -> (StatusCode, ErrorBody, Option<u64>) {
        let text = || ErrorBody::new(self.to_string());
        match self {
            Self::Fields(errors) => (
                StatusCode::BAD_REQUEST,
                ErrorBody::validation(errors.0.clone()),
                None,
            ),
            Self::Refused(refusal) => (status_of(refusal), text(), None),
            Self::Answer(status, _) => (*status, text(), None),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, text(), None),
            Self::Busy {
                retry_after_seconds,
            } => (
                StatusCode::TOO_MANY_REQUESTS,
                ErrorBody::new("Too many requests"),
                Some(*retry_after_seconds),
            ),
            Self::Unavailable {
                retry_after_seconds,
                ..
            } => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorBody::new("The store is not available at the moment, try again later"),
                Some(*retry_after_seconds),
            ),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorBody::new("Internal server error"),
                None,
            ),
        }
    }

    /// What is logged beside the answer, if the answer does not say it.
    pub(crate) fn hidden(&self) -> Option<String> {
        match self {
            Self::Unavailable { .. } | Self::Internal(_) => Some(self.to_string()),
            _ => None,
        }
    }
}
