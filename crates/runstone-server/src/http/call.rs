//! What a handler is given: a caller who was let in, the parts of the request, and either an open
//! read transaction or a body within its bound.

use std::borrow::Cow;
use std::sync::Arc;

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, Uri};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use runstone_model::command::Caller;
use runstone_model::fact::{Environment, Organization};
use runstone_model::read::{FieldErrors, QueryReader};
use runstone_model::role::{Right, Role};
use runstone_store::Read;

use super::answer::Answer;
use super::auth;
use super::v2::live_environment;
use crate::app::App;
use crate::app::access::{Granted, Naming};
use crate::app::error::AppError;

/// The parts of a request that every handler may read.
pub(crate) struct Parts {
    pub(crate) app: App,
    params: Vec<(Arc<str>, String)>,
    pub(crate) headers: HeaderMap,
    uri: Uri,
}

/// A call that anyone may make.
pub(crate) struct PublicCall {
    pub(crate) parts: Parts,
}

/// A call that reads what belongs to an organization, all of it in one transaction.
pub(crate) struct ReadCall {
    pub(crate) parts: Parts,
    pub(crate) organization: Arc<Organization>,
    /// None: let in because the organization is public.
    pub(crate) role: Option<Role>,
    pub(crate) read: Read,
}

/// A call that changes what belongs to an organization.
pub(crate) struct WriteCall {
    pub(crate) parts: Parts,
    pub(crate) organization: Arc<Organization>,
    pub(crate) caller: Caller,
    /// Of reports only: the environment `{env_name}`, read with the rights.
    pub(crate) environment: Option<Environment>,
    pub(crate) body: Bytes,
}

/// Which bound the body of a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyBound {
    Report,
    Other,
}

impl Parts {
    /// The value of a segment of the path that the route names.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self) -> Query {
        Query::of(self.uri.query().unwrap_or_default())
    }

    /// The query as it was sent.
    pub(crate) fn raw_query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// The path as it was sent, decoded by nobody.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Origin that answers link to.
    pub(crate) fn origin(&self) -> String {
        if let Some(base_url) = &self.app.config.base_url {
            return base_url.trim_end_matches('/').to_owned();
        }
        let host = self
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| self.uri.authority().map(axum::http::uri::Authority::as_str))
            .filter(|host| {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
            })
            .unwrap_or("localhost");
        format!("http://{host}")
    }
}

/// The parameters of a query, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(text: &str) -> Self {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            match percent_decode(&spaced) {
                Cow::Borrowed(_) => spaced,
                Cow::Owned(decoded) => decoded,
            }
        };
        Self(
            text.split('&')
                .filter(|part| !part.is_empty())
                .map(|part| match part.split_once('=') {
                    Some((name, value)) => (decode(name), decode(value)),
                    None => (decode(part), String::new()),
                })
                .collect(),
        )
    }

    /// The first value.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.one(name).filter(|value| !value.is_empty())
    }

    /// All values.
    pub(crate) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Decodes `%XX`; what is no UTF-8 afterwards is shown with replacement characters.
fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b'%'
            && let (Some(high), Some(low)) = (
                bytes.get(index + 1).copied().and_then(digit),
                bytes.get(index + 2).copied().and_then(digit),
            )
        {
            decoded.push(high << 4 | low);
            index += 3;
        } else {
            decoded.push(bytes[index]);
            index += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// A reader of query parameters and the query it reads.
pub(crate) fn reader() -> QueryReader {
    QueryReader::new()
}

async fn parts_of(app: App, request: &mut Request) -> Result<Parts, AppError> {
    let params = request
        .extract_parts::<RawPathParams>()
        .await
        .map_err(|_| {
            FieldErrors::one("path", "Path should be valid UTF-8", request.uri().path())
        })?;
    Ok(Parts {
        params: params
            .iter()
            .map(|(name, value)| (Arc::from(name), value.to_owned()))
            .collect(),
        headers: std::mem::take(request.headers_mut()),
        uri: request.uri().clone(),
        app,
    })
}

async fn granted(parts: &Parts, naming: Naming, right: Right) -> Result<(Granted, Read), AppError> {
    let credential = auth::credential(&parts.headers);
    let mut read = parts.app.read().await?;
    let granted = parts
        .app
        .admit(&mut read, &credential, parts.param("org"), naming, right)
        .await?;
    Ok((granted, read))
}

/// Serves a call that anyone may make.
pub(crate) async fn serve_public<H, F>(app: App, mut request: Request, handler: H) -> Answer
where
    H: FnOnce(PublicCall) -> F,
    F: Future<Output = Answer>,
{
    let parts = parts_of(app, &mut request).await?;
    handler(PublicCall { parts }).await
}

/// Serves a call that reads.
pub(crate) async fn serve_read<H, F>(
    app: App,
    mut request: Request,
    (naming, right): (Naming, Right),
    handler: H,
) -> Answer
where
    H: FnOnce(ReadCall) -> F,
    F: Future<Output = Answer>,
{
    let parts = parts_of(app, &mut request).await?;
    let (granted, read) = granted(&parts, naming, right).await?;
    handler(ReadCall {
        parts,
        organization: granted.organization,
        role: granted.role,
        read,
    })
    .await
}

/// Serves a call that changes something. The body is read only for callers who were let in.
pub(crate) async fn serve_write<H, F>(
    app: App,
    mut request: Request,
    (right, bound): (Right, BodyBound),
    handler: H,
) -> Answer
where
    H: FnOnce(WriteCall) -> F,
    F: Future<Output = Answer>,
{
    let parts = parts_of(app, &mut request).await?;
    let (granted, mut read) = granted(&parts, Naming::Name, right).await?;
    let environment = match bound {
        BodyBound::Report => {
            let name = parts.param("env_name");
            Some(live_environment(&mut read, &granted.organization, name).await?)
        }
        BodyBound::Other => None,
    };
    // A body may take its time; no transaction waits for it.
    drop(read);
    let limit = match bound {
        BodyBound::Report => parts.app.config.report_body_bytes_max,
        BodyBound::Other => parts.app.config.body_bytes_max,
    };
    let declared = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(AppError::BodyTooLarge { limit });
    }
    let body = read_body(request.into_body(), declared.unwrap_or(0).min(limit), limit).await?;
    handler(WriteCall {
        parts,
        organization: granted.organization,
        caller: granted.caller,
        environment,
        body,
    })
    .await
}

async fn read_body(body: Body, expected: usize, limit: usize) -> Result<Bytes, AppError> {
    let mut stream = body.into_data_stream();
    let Some(first) = stream.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(broken_body)?;
    let mut gathered: Option<BytesMut> = None;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(broken_body)?;
        let gathered = gathered.get_or_insert_with(|| {
            // What a client declares is only believed up to a mebibyte.
            let mut bytes = BytesMut::with_capacity(expected.min(1 << 20).max(first.len()));
            bytes.extend_from_slice(&first);
            bytes
        });
        if gathered.len() + chunk.len() > limit {
            return Err(AppError::BodyTooLarge { limit });
        }
        gathered.extend_from_slice(&chunk);
    }
    let body = gathered.map_or(first, BytesMut::freeze);
    if body.len() > limit {
        return Err(AppError::BodyTooLarge { limit });
    }
    Ok(body)
}

fn broken_body(error: axum::Error) -> AppError {
    AppError::bad(format!("The request body cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::of("a=1&b=x%20y+z&a=2&empty=&flag&bad=%zz&%61%3d=%3D&u=%ff");
        assert_eq!(query.one("a"), Some("1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.one("b"), Some("x y z"));
        assert_eq!(query.one("empty"), Some(""));
        assert_eq!(query.filled("empty"), None);
        assert_eq!(query.one("flag"), Some(""));
        assert_eq!(query.one("bad"), Some("%zz"));
        assert_eq!(query.one("a="), Some("="));
        assert_eq!(query.one("u"), Some("\u{fffd}"));
        assert_eq!(query.one("missing"), None);
    }
}
