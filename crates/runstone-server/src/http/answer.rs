//! Answers: bodies with their content types, and errors in the contracted form.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
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

/// A value as the bytes of its JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> Result<Bytes, AppError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| AppError::Internal(format!("an answer cannot be written: {error}")))
}

/// The body `"OK"`.
pub(crate) fn ok(status: StatusCode) -> Response<Body> {
    body(status, JSON, Bytes::from_static(b"\"OK\""))
}

/// With a `Cache-Control` header.
pub(crate) fn cached(mut response: Response<Body>, control: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, control);
    response
}

/// What was logged about an error is kept beside the answer for the edge, which knows the
/// request's id.
#[derive(Debug, Clone)]
pub(crate) struct Hidden(pub(crate) String);

/// An error in the contracted form.
pub(crate) fn error(error: &AppError) -> Response<Body> {
    let (status, text, retry_after) = error.answer();
    let bytes = serde_json::to_vec(&text).expect("texts can be written to memory");
    let mut response = body(status, JSON, bytes);
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(hidden) = error.hidden() {
        response.extensions_mut().insert(Hidden(hidden));
    }
    response
}
