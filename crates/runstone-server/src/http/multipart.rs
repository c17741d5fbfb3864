//! Forms of several parts: one part of JSON and at most one file (`api-flows.md` section 1.1).
//!
//! A file is read whole where it is small by contract; attached files are written to disk as they
//! come, so that memory does not grow with them.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream;
use multer::{Constraints, Multipart, SizeLimit};
use runstone_model::read::FieldErrors;

use crate::app::error::AppError;

/// The part that holds JSON.
pub(crate) const DATA: &str = "data_json";

/// A form.
pub(crate) struct Form {
    /// The JSON.
    pub(crate) data: Bytes,
    /// The file.
    pub(crate) file: Option<FilePart>,
}

/// A file as a client sent it.
pub(crate) struct FilePart {
    /// The client's name of it; empty if it has none.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) bytes: Bytes,
}

/// Reads a form whose file is the part of this name, at most so many bytes of it.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Bytes,
    file_part: &'static str,
    file_bytes_max: usize,
) -> Result<Form, AppError> {
    read_parts(headers, body, (DATA, file_part), file_bytes_max).await
}

/// The same, where the part with JSON has a name of its own.
pub(crate) async fn read_parts(
    headers: &HeaderMap,
    body: Bytes,
    (data_part, file_part): (&'static str, &'static str),
    file_bytes_max: usize,
) -> Result<Form, AppError> {
    let boundary = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| multer::parse_boundary(value).ok())
        .ok_or_else(|| AppError::bad("The request should be a multipart/form-data form"))?;
    let constraints = Constraints::new()
        .allowed_fields(vec![data_part, file_part])
        .size_limit(SizeLimit::new().for_field(file_part, file_bytes_max as u64));
    let body = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = Multipart::with_constraints(body, boundary, constraints);
    let (mut data, mut file) = (None, None);
    while let Some(part) = form.next_field().await.map_err(broken)? {
        let twice = |part: &str| {
            AppError::from(FieldErrors::one(part, "Part is given more than once", part))
        };
        if part.name() == Some(data_part) {
            let bytes = part.bytes().await.map_err(broken)?;
            if data.replace(bytes).is_some() {
                return Err(twice(data_part));
            }
        } else {
            let name = part.file_name().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(broken)?;
            if file.replace(FilePart { name, bytes }).is_some() {
                return Err(twice(file_part));
            }
        }
    }
    Ok(Form {
        data: data.ok_or_else(|| FieldErrors::one(data_part, "Field required", ""))?,
        file,
    })
}

fn broken(error: multer::Error) -> AppError {
    match error {
        multer::Error::FieldSizeExceeded { limit, .. } => AppError::BodyTooLarge {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        },
        error => AppError::bad(format!("The form cannot be read: {error}")),
    }
}
