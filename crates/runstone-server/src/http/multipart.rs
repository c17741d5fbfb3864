//! Forms of several parts: one part of JSON and at most one file (`api-flows.md` section 1.1).
//!
//! A file that is small by contract is read whole. An attached file goes to the store as it comes,
//! in whichever order the parts are, so that memory does not grow with it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use multer::{Constraints, Field, Multipart, SizeLimit};
use runstone_model::event::Attachment;
use runstone_model::read::FieldErrors;

use super::call::broken_body;
use crate::app::App;
use crate::app::error::AppError;
use crate::config::Config;

/// The part that holds JSON.
pub(crate) const DATA: &str = "data_json";
/// Names and boundaries of an upload may take so many bytes.
const AROUND_BYTES_MAX: usize = 64 << 10;
/// Of parts that are no content yet, so many bytes are read.
const HEADERS_BYTES_MAX: usize = 256 << 10;

/// A form.
pub(crate) struct Form {
    /// The JSON.
    pub(crate) data: Bytes,
    /// The file.
    pub(crate) file: Option<FilePart>,
}

/// A file as a client sent it.
pub(crate) struct FilePart {
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
    let constraints = Constraints::new()
        .allowed_fields(vec![DATA, file_part])
        .size_limit(SizeLimit::new().for_field(file_part, file_bytes_max as u64));
    let body = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = Multipart::with_constraints(body, boundary(headers)?, constraints);
    let (mut data, mut file) = (None, None);
    while let Some(part) = form.next_field().await.map_err(broken)? {
        let is_data = part.name() == Some(DATA);
        let bytes = part.bytes().await.map_err(broken)?;
        if is_data {
            if data.replace(bytes).is_some() {
                return Err(twice(DATA));
            }
        } else if file.replace(FilePart { bytes }).is_some() {
            return Err(twice(file_part));
        }
    }
    Ok(Form {
        data: data.ok_or_else(|| missing(DATA))?,
        file,
    })
}

fn boundary(headers: &HeaderMap) -> Result<String, AppError> {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| multer::parse_boundary(value).ok())
        .ok_or_else(|| AppError::bad("The request should be a multipart/form-data form"))
}

fn twice(part: &str) -> AppError {
    FieldErrors::one(part, "Part is given more than once", part).into()
}

fn missing(part: &str) -> AppError {
    FieldErrors::one(part, "Field required", "").into()
}

/// Most bytes of a form with an attached file. So much of a file that is too large is read to its
/// end, because a client that is cut off while it sends never sees the answer.
pub(crate) fn upload_bytes_max(config: &Config) -> usize {
    let file = usize::try_from(config.attachment_bytes_max).unwrap_or(usize::MAX);
    (file.saturating_mul(2))
        .saturating_add(config.form_data_bytes_max)
        .saturating_add(AROUND_BYTES_MAX)
}

/// Reads a form whose parts, JSON and file, have these names, and sends its file to the store of
/// the organization with this id. The JSON is read by `check` as soon as it is there, so that a
/// file beside JSON that says nothing is not stored if it comes later.
pub(crate) async fn receive<T>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    organization: &str,
    (data_part, file_part): (&'static str, &'static str),
    check: impl FnOnce(&Bytes) -> Result<T, AppError>,
) -> Result<(T, Option<(Attachment, String)>), AppError> {
    let config = &app.config;
    let unread = Arc::new(AtomicUsize::new(0));
    let body = Paced {
        body: body.into_data_stream(),
        left: upload_bytes_max(config),
        limit: config.attachment_bytes_max,
        unread: Arc::clone(&unread),
        pause: false,
    };
    let constraints = Constraints::new().allowed_fields(vec![data_part, file_part]);
    let mut form = Multipart::with_constraints(body, boundary(headers)?, constraints);
    let (mut check, mut told) = (Some(check), None);
    let mut file = None;
    while let Some(mut part) = form.next_field().await.map_err(broken)? {
        unread.store(0, Ordering::Relaxed);
        if part.name() == Some(data_part) {
            let Some(check) = check.take() else {
                return Err(twice(data_part));
            };
            let mut data = BytesMut::new();
            while let Some(bytes) = next(&mut part, &unread).await? {
                if data.len() + bytes.len() > config.form_data_bytes_max {
                    let limit = config.form_data_bytes_max;
                    return Err(AppError::BodyTooLarge { limit });
                }
                data.extend_from_slice(&bytes);
            }
            told = Some(check(&data.freeze())?);
        } else {
            if file.is_some() {
                return Err(twice(file_part));
            }
            let name = part.file_name().unwrap_or_default().to_owned();
            let mut upload = app.store.upload(organization);
            while let Some(bytes) = next(&mut part, &unread).await? {
                if upload.bytes() + bytes.len() as u64 > config.attachment_bytes_max {
                    drop(upload);
                    while next(&mut part, &unread).await?.is_some() {}
                    let limit = config.attachment_bytes_max;
                    return Err(AppError::FileTooLarge { limit });
                }
                upload.write(&bytes).await?;
            }
            file = Some((upload.finish().await?, name));
        }
    }
    Ok((told.ok_or_else(|| missing(data_part))?, file))
}

/// The next bytes of a part.
async fn next(part: &mut Field<'_>, unread: &AtomicUsize) -> Result<Option<Bytes>, AppError> {
    let bytes = part.chunk().await.map_err(broken)?;
    unread.store(0, Ordering::Relaxed);
    Ok(bytes)
}

/// A body that gives its bytes one piece at a time. The reader of forms takes whatever is ready
/// before it looks at any of it, so that a fast client would fill the memory.
struct Paced {
    body: BodyDataStream,
    /// So many bytes may still come.
    left: usize,
    /// What is said if more come.
    limit: u64,
    /// So many came since something could be made of them.
    unread: Arc<AtomicUsize>,
    pause: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, AppError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.body.poll_next_unpin(context);
        let Poll::Ready(Some(Ok(bytes))) = polled else {
            return polled.map(|body| body.map(|bytes| bytes.map_err(|error| broken_body(&error))));
        };
        self.pause = true;
        let unread = self.unread.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if unread > HEADERS_BYTES_MAX.max(2 * bytes.len()) {
            let problem = AppError::bad("The form cannot be read: its parts have no end");
            return Poll::Ready(Some(Err(problem)));
        }
        Poll::Ready(Some(match self.left.checked_sub(bytes.len()) {
            Some(left) => {
                self.left = left;
                Ok(bytes)
            }
            None => Err(AppError::FileTooLarge { limit: self.limit }),
        }))
    }
}

fn broken(error: multer::Error) -> AppError {
    let ended = |part: Option<String>| {
        let part = part.unwrap_or_else(|| "body".to_owned());
        FieldErrors::one(&part, "Part ends before the form does", &part).into()
    };
    match error {
        multer::Error::FieldSizeExceeded { limit, .. } => AppError::BodyTooLarge {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        },
        multer::Error::IncompleteFieldData { field_name } => ended(field_name),
        multer::Error::IncompleteStream | multer::Error::IncompleteHeaders => ended(None),
        multer::Error::StreamReadFailed(error) => match error.downcast::<AppError>() {
            Ok(error) => *error,
            Err(error) => AppError::bad(format!("The form cannot be read: {error}")),
        },
        error => AppError::bad(format!("The form cannot be read: {error}")),
    }
}
