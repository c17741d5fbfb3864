//! The HTTP client of the wire: which answers are a success, what is retried and how a failure
//! reads (`cli.md` 1.12).
//!
//! It owns these rules and the encoding of URLs and bodies. It knows no endpoint and no shape of
//! an answer, it prints nothing and reads no environment variable: what happens on the way is
//! told to the caller through [`Trace`].

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use serde_json::Value;

pub use reqwest::Method;

/// The longest pause between two attempts.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to come about. There is no other time limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 10;
/// The media type of every request that is not multipart, of GET too.
const JSON: &str = "application/json; charset=utf-8";

/// What is escaped in one segment of a path: everything but what Go's path escaping leaves alone,
/// less the separator, so that an argument never becomes two segments (`cli.md` 12 no. 7).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What is escaped in a query: everything but letters, digits and `-_.~`; a blank becomes `+`.
const QUERY: &AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

/// How to reach a server.
#[derive(Clone)]
pub struct ClientOptions {
    /// Bearer token; none: the header is left out.
    pub token: Option<String>,
    /// Attempts after the first one.
    pub retries: u32,
    /// Proxy for all calls; none: the usual environment variables count.
    pub proxy: Option<String>,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// The first pause between two attempts; each further one is twice as long, up to 30 s.
    pub first_delay: Duration,
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("retries", &self.retries)
            .field("proxy", &self.proxy.as_ref().map(|_| "…"))
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// A file sent beside the JSON of a multipart request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// Name of the form field.
    pub field: String,
    /// Base name shown to the server.
    pub file_name: String,
    /// The content.
    pub content: Content,
}

/// What a file consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The file at this path, read anew for each attempt and never as a whole.
    File(std::path::PathBuf),
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing, as every GET.
    None,
    /// One JSON text; a write without data sends `null`.
    Json(String),
    /// `multipart/form-data`: one field holding JSON, then at most one file.
    Multipart {
        /// Name of the JSON field (`data_json`, for policies `payload`).
        field: String,
        /// The JSON text.
        json: String,
        /// The file.
        file: Option<FilePart>,
    },
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// Complete URL, as [`url`] makes it.
    pub url: String,
    /// The body.
    pub payload: Payload,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Whether 409 is retried; only `create control` says no.
    pub retry_conflict: bool,
}

impl Call {
    /// A GET of `url`.
    pub fn get(url: String) -> Self {
        Self::new(Method::GET, url, Payload::None)
    }

    /// A request that retries 409.
    pub fn new(method: Method, url: String, payload: Payload) -> Self {
        Self {
            method,
            url,
            payload,
            headers: Vec::new(),
            retry_conflict: true,
        }
    }
}

/// A successful answer: status 200 or 201.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 or 201.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// Why a request failed. The text is what the user reads.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The proxy, the header values or the URL cannot be used.
    #[error("{0}")]
    Setup(String),
    /// The server answered with another status than 200 or 201, and the answer is final.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the body says.
        message: String,
    },
    /// No attempt had a final answer.
    #[error("{0}")]
    GaveUp(String),
}

impl ClientError {
    /// The status of a final answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Setup(_) | Self::GaveUp(_) => None,
        }
    }
}

/// What happens while a request is under way.
#[derive(Debug, Clone, Copy)]
pub enum Trace<'a> {
    /// The first attempt begins.
    Begins {
        /// HTTP method.
        method: &'a Method,
        /// Complete URL.
        url: &'a str,
    },
    /// The server's answer is final.
    Answered {
        /// Complete URL.
        url: &'a str,
        /// HTTP status.
        status: u16,
    },
    /// The next attempt waits.
    Waiting {
        /// Status of the answer that was not final, if there was an answer.
        status: Option<u16>,
        /// Pause before it.
        delay: Duration,
        /// Attempts left.
        remaining: u32,
    },
}

/// A client for one server and one token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    options: ClientOptions,
}

impl Client {
    /// A client with the given options.
    ///
    /// A default rustls provider must be installed before.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX));
        if let Some(proxy) = &options.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|error| ClientError::Setup(format!("proxy URL: {error}")))?;
            builder = builder.proxy(proxy);
        }
        let http = builder
            .build()
            .map_err(|error| ClientError::Setup(innermost(&error)))?;
        Ok(Self { http, options })
    }

    /// Sends `call`, retrying as contracted, and tells `trace` about each step.
    pub async fn send(
        &self,
        call: &Call,
        trace: &mut dyn FnMut(Trace<'_>),
    ) -> Result<Answer, ClientError> {
        if let Err(error) = url::Url::parse(&call.url)
            && error != url::ParseError::RelativeUrlWithoutBase
        {
            return Err(ClientError::Setup(format!(
                "parse \"{}\": {error}",
                call.url
            )));
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            if attempts == 1 {
                trace(Trace::Begins {
                    method: &call.method,
                    url: &call.url,
                });
            }
            let remaining = self.options.retries.saturating_sub(attempts - 1);
            let (pause, failure) = match self.attempt(call).await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let is_retried = retried(status, call.retry_conflict);
                    if !is_retried {
                        trace(Trace::Answered {
                            url: &call.url,
                            status,
                        });
                    }
                    let retry_after = match status {
                        429 | 503 => retry_after(&response),
                        _ => None,
                    };
                    let body = match response.bytes().await {
                        Ok(body) => body.to_vec(),
                        Err(error) => return Err(ClientError::GaveUp(innermost(&error))),
                    };
                    if status == 200 || status == 201 {
                        return Ok(Answer { status, body });
                    }
                    if !is_retried {
                        return Err(ClientError::Refused {
                            status,
                            message: failure_message(&body),
                        });
                    }
                    let said = failure_message(&body);
                    (retry_after, Failure::Answer { status, said })
                }
                Err(AttemptError::File(reason)) => return Err(ClientError::Setup(reason)),
                Err(AttemptError::Http(error)) => {
                    let failure = Failure::Transport(self.transport_text(call, &error));
                    if is_permanent(&error) {
                        return Err(ClientError::GaveUp(gave_up(call, attempts, &failure)));
                    }
                    (None, failure)
                }
            };
            if remaining == 0 {
                return Err(ClientError::GaveUp(gave_up(call, attempts, &failure)));
            }
            let delay = pause.unwrap_or_else(|| self.delay(attempts));
            let status = match &failure {
                Failure::Answer { status, .. } => Some(*status),
                Failure::Transport(_) => None,
            };
            trace(Trace::Waiting {
                status,
                delay,
                remaining,
            });
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<reqwest::Response, AttemptError> {
        let mut request = self
            .http
            .request(call.method.clone(), &call.url)
            .header(USER_AGENT, &self.options.user_agent);
        if let Some(token) = &self.options.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        request = match &call.payload {
            Payload::None => request.header(CONTENT_TYPE, JSON),
            Payload::Json(json) => request.header(CONTENT_TYPE, JSON).body(json.clone()),
            Payload::Multipart { field, json, file } => {
                let mut form = reqwest::multipart::Form::new().text(field.clone(), json.clone());
                if let Some(file) = file {
                    let part = file_part(&file.content)
                        .await?
                        .file_name(file.file_name.clone())
                        .mime_str("application/octet-stream")?;
                    form = form.part(file.field.clone(), part);
                }
                request.multipart(form)
            }
        };
        Ok(request.send().await?)
    }

    /// The reason of a transport error, in the words that scripts know for the common ones.
    fn transport_text(&self, call: &Call, error: &reqwest::Error) -> String {
        match &self.options.proxy {
            Some(proxy) if is_refused(error) => {
                format!("proxyconnect tcp: {}", transport_reason(proxy, error))
            }
            _ => transport_reason(&call.url, error),
        }
    }

    /// The pause after attempt number `attempts`: 1, 2, 4 … times the first delay, capped.
    fn delay(&self, attempts: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempts - 1).unwrap_or(u32::MAX);
        self.options
            .first_delay
            .saturating_mul(factor)
            .min(DELAY_MAX)
    }
}

/// Why an attempt brought no answer.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    /// The request could not be sent or the answer not be read.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The file to be sent cannot be read.
    #[error("{0}")]
    File(String),
}

/// The part of a multipart request that holds a file.
async fn file_part(content: &Content) -> Result<reqwest::multipart::Part, AttemptError> {
    let path = match content {
        Content::Bytes(bytes) => return Ok(reqwest::multipart::Part::bytes(bytes.clone())),
        Content::File(path) => path,
    };
    let failed =
        |error: std::io::Error| AttemptError::File(format!("open {}: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    Ok(reqwest::multipart::Part::stream_with_length(
        reqwest::Body::from(file),
        length,
    ))
}

/// Why the last attempt was not final.
enum Failure {
    Answer { status: u16, said: String },
    Transport(String),
}

/// Whether an answer with this status is asked for again.
fn retried(status: u16, retry_conflict: bool) -> bool {
    match status {
        429 => true,
        409 => retry_conflict,
        501 => false,
        status => status >= 500,
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    // The date form is not sent by Runstone; the usual delays apply to it.
    value.trim().parse().ok().map(Duration::from_secs)
}

fn gave_up(call: &Call, attempts: u32, failure: &Failure) -> String {
    let capital = capitalized(&call.method);
    let mut text = format!(
        "{capital} \"{url}\": {method} {url} giving up after {attempts} attempt(s)",
        url = call.url,
        method = call.method
    );
    match failure {
        Failure::Transport(reason) => {
            let _ = write!(text, ": {capital} \"{}\": {reason}", call.url);
        }
        // The reference loses what the server said (`cli.md` 12 no. 5).
        Failure::Answer { said, .. } if !said.is_empty() => {
            let _ = write!(text, ": {said}");
        }
        Failure::Answer { .. } => {}
    }
    text
}

/// `Get`, `Put`, …
fn capitalized(method: &Method) -> String {
    let lower = method.as_str().to_ascii_lowercase();
    let mut letters = lower.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

/// Whether asking again cannot help: a bad URL, a redirect loop, a certificate nobody trusts.
fn is_permanent(error: &reqwest::Error) -> bool {
    if error.is_builder() || error.is_redirect() {
        return true;
    }
    causes(error).any(|cause| {
        let tls = cause.downcast_ref::<rustls::Error>().or_else(|| {
            cause
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref)
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        });
        matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
    })
}

/// Whether somebody was there and did not want to talk.
fn is_refused(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// Why the call of `url` brought no answer, in the words that scripts know for the common reasons.
pub fn transport_reason(url: &str, error: &reqwest::Error) -> String {
    let target = url::Url::parse(url);
    if is_refused(error)
        && let Ok(target) = &target
    {
        return format!(
            "dial tcp {}:{}: connect: connection refused",
            target.host_str().unwrap_or_default(),
            target.port_or_known_default().unwrap_or_default()
        );
    }
    match target.as_ref().map_or("", url::Url::scheme) {
        "http" | "https" => innermost(error),
        scheme => format!("unsupported protocol scheme \"{scheme}\""),
    }
}

/// The error's sources, the nearest first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// `host`, which may carry a path prefix, followed by the segments, each escaped.
///
/// A leading or trailing separator of the host does not double.
pub fn url(host: &str, segments: &[&str]) -> String {
    let mut text = host.trim_end_matches('/').to_owned();
    for segment in segments {
        text.push('/');
        // A URL parser takes these two as steps, even when their dots are escaped; names cannot
        // be spelled so, and the server answers the doubled escape with its own message.
        match *segment {
            "." => text.push_str("%252E"),
            ".." => text.push_str("%252E%252E"),
            _ => text.extend(utf8_percent_encode(segment, SEGMENT)),
        }
    }
    text
}

/// `url` with a query of the given pairs, sorted by key as the public client sends them.
///
/// Pairs of one key keep their order. No pairs: `url` itself.
pub fn with_query(url: &str, pairs: &[(&str, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut text = url.to_owned();
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.extend(utf8_percent_encode(key, QUERY));
        text.push('=');
        text.push_str(
            &utf8_percent_encode(value, QUERY)
                .to_string()
                .replace(' ', "+"),
        );
    }
    text
}

/// What the body of a refusal says (`cli.md` 1.12).
///
/// A JSON text is itself; an object gives its `message`, cut before `You have requested`, and its
/// `errors`; an object without message is shown whole; an array or another value is empty; what is
/// not JSON gives the reason why.
pub fn failure_message(body: &[u8]) -> String {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return not_json(body, &error),
    };
    match value {
        Value::String(text) => text,
        Value::Object(object) => match object.get("message") {
            Some(message) => {
                let message = spelled(message);
                let message = message
                    .split("You have requested")
                    .next()
                    .unwrap_or_default();
                match object.get("errors") {
                    Some(errors) => format!("{message}: {}", spelled(errors)),
                    None => message.to_owned(),
                }
            }
            None => spelled(&Value::Object(object)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => String::new(),
    }
}

/// A value in the form scripts know: `map[k:v k2:[a b]]`, keys sorted, `<nil>` for null.
pub fn spelled(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => spelled_number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spelled).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(object) => {
            let mut pairs: Vec<_> = object.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs: Vec<String> = pairs
                .into_iter()
                .map(|(key, value)| format!("{key}:{}", spelled(value)))
                .collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// A number as the shortest text of its double, with an exponent from 1e21 on and below 1e-4.
fn spelled_number(number: &serde_json::Number) -> String {
    let Some(value) = number.as_f64() else {
        return number.to_string();
    };
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{value:e}");
        // Rust writes 1e21 and 1e-7, the reference 1e+21 and 1e-07.
        if let Some((digits, exponent)) = text.split_once('e') {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            return format!("{digits}e{sign}{exponent:0>2}");
        }
        return text;
    }
    format!("{value}")
}

/// Why `body` is no JSON, in the words of the reference for what servers and proxies really send:
/// nothing, markup, plain words.
pub fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let rest = text.trim_start_matches([' ', '\t', '\r', '\n']);
    let Some(first) = rest.chars().next() else {
        return "unexpected end of JSON input".to_owned();
    };
    for literal in ["true", "false", "null"] {
        if !rest.starts_with(&literal[..1]) {
            continue;
        }
        let mut found = rest.chars();
        for (index, expected) in literal.chars().enumerate() {
            match found.next() {
                Some(letter) if letter == expected => {}
                Some(letter) => {
                    debug_assert!(index > 0, "the first letter was compared");
                    return format!(
                        "invalid character '{letter}' in literal {literal} (expecting '{expected}')"
                    );
                }
                None => return "unexpected end of JSON input".to_owned(),
            }
        }
    }
    if !matches!(first, '{' | '[' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n') {
        return format!("invalid character '{first}' looking for beginning of value");
    }
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    if error.to_string().starts_with("trailing characters") {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        if let Some(Ok(_)) = values.next()
            && let Some(after) = rest[values.byte_offset()..].trim_start().chars().next()
        {
            return format!("invalid character '{after}' after top-level value");
        }
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_arguments_in_their_segment() {
        assert_eq!(
            url("http://h/prefix/", &["api", "v2", "a b/ü#?%"]),
            "http://h/prefix/api/v2/a%20b%2F%C3%BC%23%3F%25"
        );
        assert_eq!(
            url("http://h", &["prod", "@{2.hours.ago}"]),
            "http://h/prod/@%7B2.hours.ago%7D"
        );
        assert_eq!(url("http://h", &["~3", "#8"]), "http://h/~3/%238");
        assert_eq!(url("http://h", &["..", "x"]), "http://h/%252E%252E/x");
    }

    #[test]
    fn queries_are_sorted_and_form_encoded() {
        assert_eq!(
            with_query(
                "u",
                &[
                    ("tag", "b=1".into()),
                    ("name", "a b~&".into()),
                    ("tag", "a".into())
                ]
            ),
            "u?name=a+b~%26&tag=b%3D1&tag=a"
        );
        assert_eq!(with_query("u", &[]), "u");
    }

    #[test]
    fn refusals_read_as_contracted() {
        let check = |body: &str, expected: &str| {
            assert_eq!(failure_message(body.as_bytes()), expected, "{body}");
        };
        check(r#""plain""#, "plain");
        check(r#"{"message":"no"}"#, "no");
        check(r#"{"message":"no You have requested x"}"#, "no ");
        check(
            r#"{"message":"bad","errors":{"k2":["a","b"],"k":null,"n":1.50}}"#,
            "bad: map[k:<nil> k2:[a b] n:1.5]",
        );
        check(r#"{"detail":true,"a":1e21}"#, "map[a:1e+21 detail:true]");
        check("[1]", "");
        check("3", "");
        check("", "unexpected end of JSON input");
        check("{", "unexpected end of JSON input");
        check(
            "<html>",
            "invalid character '<' looking for beginning of value",
        );
        check(
            "not found",
            "invalid character 'o' in literal null (expecting 'u')",
        );
        check("404 page", "invalid character 'p' after top-level value");
    }

    #[test]
    fn only_what_may_pass_is_retried() {
        for status in [429, 409, 500, 502, 503, 504, 599] {
            assert!(retried(status, true), "{status}");
        }
        for status in [200, 202, 204, 301, 400, 401, 403, 404, 413, 501] {
            assert!(!retried(status, true), "{status}");
        }
        assert!(!retried(409, false));
    }
}
