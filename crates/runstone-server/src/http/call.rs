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
use runstone_store::{Read, Version};

use super::answer::Answer;
use super::auth;
use super::claim::history;
use super::multipart;
use super::v2::live_environment;
use crate::app::App;
use crate::app::access::{Asked, Granted, Naming};
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
    pub(crate) parts: Arc<Parts>,
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
    pub(crate) asked: Asked,
    /// Of reports only: the environment `{env_name}`, as it was found with the rights.
    pub(crate) environment: Option<Arc<Environment>>,
    /// The state of the store in which that was found out, if it was one.
    pub(crate) version: Option<Version>,
    pub(crate) body: Bytes,
    /// The body where it is an upload, unread; else empty.
    pub(crate) upload: Body,
}

/// Which bound the body of a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyBound {
    Report,
    Form,
    /// The handler reads it as it comes and bounds it itself.
    Upload,
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

fn asked(parts: &Parts, naming: Naming, right: Right) -> Asked {
    Asked {
        credential: auth::credential(&parts.headers),
        organization: parts.param("org").to_owned(),
        naming,
        right,
    }
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

/// Serves a call that reads: at once where the read is short, else on a thread that may block
/// (design D14).
pub(crate) async fn serve_read<H, F>(
    app: App,
    mut request: Request,
    (naming, right): (Naming, Right),
    handler: H,
) -> Answer
where
    H: Fn(ReadCall) -> F + Send + 'static,
    F: Future<Output = Answer>,
{
    let parts = Arc::new(parts_of(app, &mut request).await?);
    let asked = asked(&parts, naming, right);
    let read = parts.app.store.read_shortly()?;
    let answer = read_with(&parts, &asked, read, &handler).await;
    if !matches!(answer, Err(AppError::TooLong)) {
        return answer;
    }
    parts.app.metrics.long_read();
    let runtime = tokio::runtime::Handle::current();
    let again = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let read = parts.app.read().await?;
            read_with(&parts, &asked, read, &handler).await
        })
    });
    match again.await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(AppError::Internal(format!("a read was stopped: {error}"))),
        },
    }
}

async fn read_with<H, F>(parts: &Arc<Parts>, asked: &Asked, mut read: Read, handler: &H) -> Answer
where
    H: Fn(ReadCall) -> F,
    F: Future<Output = Answer>,
{
    let app = &parts.app;
    let recalled = app
        .recall(asked)
        .filter(|(version, _)| app.store.is_current(*version));
    let (version, granted) = match recalled {
        Some((version, granted)) => (Some(version), granted),
        None => (None, app.admit(&mut read, asked).await?),
    };
    let answer = handler(ReadCall {
        parts: Arc::clone(parts),
        organization: granted.organization,
        role: granted.role,
        read,
    })
    .await;
    if version.is_some_and(|version| !app.store.is_current(version)) {
        // What was answered may be newer than the caller's right to it.
        app.admit(&mut app.read().await?, asked).await?;
    }
    answer
}

/// Serves a call that changes something. The body is read only for callers who were let in. Who
/// was let in before is let in again without a look at the store: the writer looks, and so does
/// the lane of a report's environment.
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
    let asked = asked(&parts, Naming::Name, right);
    let app = Arc::clone(&parts.app);
    let environment = (bound == BodyBound::Report).then(|| parts.param("env_name").to_owned());
    let name = environment.as_deref();
    if let Some(entered) = recall(&app, &asked, name) {
        let again = (asked.clone(), environment.clone());
        let answer = write_with(parts, asked, request, entered, bound, handler).await;
        if answer.is_err() {
            // Whether the caller may know what is wrong is seen in the store.
            let (asked, environment) = again;
            enter(&app, &asked, environment.as_deref()).await?;
        }
        return answer;
    }
    let entered = enter(&app, &asked, name).await?;
    write_with(parts, asked, request, entered, bound, handler).await
}

/// A caller who was let in, and the environment it reports to.
struct Entered {
    granted: Granted,
    environment: Option<Arc<Environment>>,
    /// The state of the store all this is of, if it is of one.
    version: Option<Version>,
}

/// What was last found out about a caller and an environment.
fn recall(app: &App, asked: &Asked, environment: Option<&str>) -> Option<Entered> {
    let (version, granted) = app.recall(asked)?;
    let Some(name) = environment else {
        return Some(Entered {
            granted,
            environment: None,
            version: Some(version),
        });
    };
    let (then, environment) = app.known.environment(granted.organization.no, name)?;
    Some(Entered {
        granted,
        environment: Some(environment),
        version: (then == version).then_some(version),
    })
}

/// The same, by reading it.
async fn enter(app: &App, asked: &Asked, environment: Option<&str>) -> Result<Entered, AppError> {
    let mut read = app.read().await?;
    let granted = app.admit(&mut read, asked).await?;
    let environment = match environment {
        Some(name) => {
            let found = live_environment(&mut read, &granted.organization, name).await?;
            Some((name, Arc::new(found)))
        }
        None => None,
    };
    let version = read.version();
    // A body may take its time; no transaction waits for it.
    drop(read);
    if let (Some(version), Some((name, environment))) = (version, &environment) {
        app.known.keep_environment(name, version, environment);
    }
    Ok(Entered {
        granted,
        environment: environment.map(|(_, environment)| environment),
        version,
    })
}

async fn write_with<H, F>(
    parts: Parts,
    asked: Asked,
    request: Request,
    entered: Entered,
    bound: BodyBound,
    handler: H,
) -> Answer
where
    H: FnOnce(WriteCall) -> F,
    F: Future<Output = Answer>,
{
    let caller = match (entered.granted.caller, history(&parts.headers)?) {
        (Caller::Key(key), Some(claim)) => Caller::Historian { key, claim },
        (caller, _) => caller,
    };
    let config = &parts.app.config;
    let limit = match bound {
        BodyBound::Report => config.report_body_bytes_max,
        BodyBound::Form => config.form_bytes_max,
        BodyBound::Upload => multipart::upload_bytes_max(config),
        BodyBound::Other => config.body_bytes_max,
    };
    let declared = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(match bound {
            BodyBound::Upload => AppError::FileTooLarge {
                limit: config.attachment_bytes_max,
            },
            _ => AppError::BodyTooLarge { limit },
        });
    }
    let (body, upload) = match bound {
        BodyBound::Upload => (Bytes::new(), request.into_body()),
        _ => {
            let expected = declared.unwrap_or(0).min(limit);
            let body = read_body(request.into_body(), expected, limit).await?;
            (body, Body::empty())
        }
    };
    handler(WriteCall {
        parts,
        organization: entered.granted.organization,
        caller,
        asked,
        environment: entered.environment,
        version: entered.version,
        body,
        upload,
    })
    .await
}

async fn read_body(body: Body, expected: usize, limit: usize) -> Result<Bytes, AppError> {
    let mut stream = body.into_data_stream();
    let Some(first) = stream.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|error| broken_body(&error))?;
    let mut gathered: Option<BytesMut> = None;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| broken_body(&error))?;
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

pub(super) fn broken_body(error: &axum::Error) -> AppError {
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
