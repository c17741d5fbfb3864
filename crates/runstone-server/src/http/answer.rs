//! Answers: bodies with their content types, and errors in the contracted form.

use std::io::Write as _;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use runstone_api::error::ErrorBody;
use runstone_model::command::Refusal;
use serde::Serialize;

use crate::app::error::AppError;

/// What a handler gives.
pub(crate) type Answer = Result<Response<Body>, AppError>;

/// Media type of JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Media type of text.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Media type of bytes.
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Never changes: a cache may keep it for good.
pub(crate) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("public, max-age=604800, immutable");
/// The same, of an organization that not everyone may read.
pub(crate) const PRIVATE_IMMUTABLE: HeaderValue =
    HeaderValue::from_static("private, max-age=604800, immutable");
/// Changes with every write.
pub(crate) const MOMENTARY: HeaderValue = HeaderValue::from_static("no-cache");

/// Any body.
pub(crate) fn body(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A value as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    Ok(body(status, JSON, json_bytes(value)?))
}

/// A value as JSON of about so many bytes: a large answer that grows by doubling is copied as
/// often.
pub(crate) fn json_of(status: StatusCode, bytes: usize, value: &impl Serialize) -> Answer {
    Ok(body(status, JSON, json_bytes_of(bytes, value)?))
}

/// A value as the bytes of its JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> Result<Bytes, AppError> {
    json_bytes_of(128, value)
}

/// The same, of about so many bytes.
pub(crate) fn json_bytes_of(bytes: usize, value: &impl Serialize) -> Result<Bytes, AppError> {
    let mut text = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut text, value)
        .map_err(|error| AppError::Internal(format!("an answer cannot be written: {error}")))?;
    Ok(text.into())
}

/// The body `"OK"`.
pub(crate) fn ok(status: StatusCode) -> Response<Body> {
    body(status, JSON, Bytes::from_static(b"\"OK\""))
}

/// Answers of so many bytes are sent as they are.
pub(crate) const COMPRESSED_BYTES_MIN: usize = 1_024;

/// Whether who sent these headers reads gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

/// Compressed as the router compresses.
pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .expect("bytes can be written to memory");
    encoder
        .finish()
        .expect("bytes can be written to memory")
        .into()
}

/// Says that the body is compressed.
pub(crate) fn gzipped(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// With a `Cache-Control` header.
pub(crate) fn cached(mut response: Response<Body>, control: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, control);
    response
}

/// What an answer does not say, for the edge, which logs it once with the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Hidden(pub(crate) String);

/// Status of a refusal.
fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden
        | Refusal::ForbiddenToArchive
        | Refusal::TooManyEnvironments { .. }
        | Refusal::TooManyBytes { .. } => StatusCode::FORBIDDEN,
        Refusal::TooManyEntries { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::EnvironmentMissing { .. }
        | Refusal::EnvironmentArchived { .. }
        | Refusal::PolicyMissing { .. }
        | Refusal::OrganizationMissing { .. }
        | Refusal::FlowMissing { .. }
        | Refusal::ArtifactMissingInTrail(_)
        | Refusal::ArtifactMissingInFlow(_)
        | Refusal::RepoMissing { .. }
        | Refusal::TypeMissing { .. }
        | Refusal::ControlMissing { .. }
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
        | Refusal::OrganizationClosed { .. }
        | Refusal::NameReserved { .. }
        | Refusal::NotErasable { .. }
        | Refusal::FlowExists { .. }
        | Refusal::HistoryOfTheFuture { .. }
        | Refusal::HistoryAfterLive { .. }
        | Refusal::HistoryOutOfOrder { .. }
        | Refusal::LimitExceeded { .. } => StatusCode::BAD_REQUEST,
        // Somebody else was faster; a retry takes the other path.
        Refusal::TrailToldMeanwhile { .. } | Refusal::TypeChangedMeanwhile { .. } => {
            StatusCode::CONFLICT
        }
        // Final, but contracted so.
        Refusal::ControlExists { .. } => StatusCode::CONFLICT,
    }
}

/// Status and body of an error, the one place that tells them. What callers must not see is told
/// by the status only.
fn shown(error: &AppError) -> (StatusCode, ErrorBody) {
    let text = || ErrorBody::new(error.to_string());
    match error {
        AppError::Fields(errors) => (
            StatusCode::BAD_REQUEST,
            ErrorBody::validation(errors.0.clone()),
        ),
        AppError::Refused(refusal) => (status_of(refusal), text()),
        AppError::Missing(_) => (StatusCode::NOT_FOUND, text()),
        AppError::Bad(_) => (StatusCode::BAD_REQUEST, text()),
        AppError::BodyTooLarge { .. } | AppError::FileTooLarge { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, text())
        }
        AppError::Busy { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            ErrorBody::new("Too many requests"),
        ),
        AppError::Unavailable { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorBody::new("The store is not available at the moment, try again later"),
        ),
        AppError::TooLong | AppError::Internal(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorBody::new("Internal server error"),
        ),
    }
}

/// A message with a status.
pub(crate) fn message(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let bytes = serde_json::to_vec(&ErrorBody::new(message));
    body(status, JSON, bytes.expect("texts can be written to memory"))
}

/// The server itself, not the store, cannot serve a request now: 503.
pub(crate) fn later(text: &str, retry_after_seconds: u64) -> Response<Body> {
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, text);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    response
}

/// An error in the contracted form.
pub(crate) fn error(error: &AppError) -> Response<Body> {
    let (status, text) = shown(error);
    let bytes = serde_json::to_vec(&text).expect("texts can be written to memory");
    let mut response = body(status, JSON, bytes);
    if let AppError::Busy {
        retry_after_seconds,
    }
    | AppError::Unavailable {
        retry_after_seconds,
        ..
    }
    | AppError::Refused(Refusal::TooManyEntries {
        retry_after_seconds,
        ..
    }) = error
    {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let AppError::Unavailable { .. } | AppError::TooLong | AppError::Internal(_) = error {
        response.extensions_mut().insert(Hidden(error.to_string()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_asks_for_it() {
        let check = |given: &[&'static str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(accepts_gzip(&headers), expected, "{given:?}");
        };
        check(&[], false);
        check(&["gzip"], true);
        check(&["br, GZIP;q=0.3"], true);
        check(&["br", "deflate , gzip"], true);
        check(&["gzip;q=0"], false);
        check(&["gzip; q=0.0, identity"], false);
        check(&["br, zstd"], false);
        check(&["xgzip"], false);
    }
}
