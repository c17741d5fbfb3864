//! Calls to systems that are not ours: code hosts, trackers, scanners.
//!
//! Answers are bounded in size and time; credentials go to the host that was named and to no other.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;

/// The largest answer that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a call may take as a whole.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How the caller is known.
#[derive(Clone)]
pub enum Auth {
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`.
    Basic(String, String),
    /// A header of its own.
    Header(&'static str, String),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic(..) => "Basic(…)",
            Self::Header(..) => "Header(…)",
        })
    }
}

/// No answer came, or none that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Unreachable> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Unreachable(runstone_api::client::not_json(&self.body, &error)))
    }

    /// `404 Not Found`.
    pub fn status_text(&self) -> String {
        match reqwest::StatusCode::from_u16(self.status) {
            Ok(status) => match status.canonical_reason() {
                Some(reason) => format!("{} {reason}", self.status),
                None => self.status.to_string(),
            },
            Err(_) => self.status.to_string(),
        }
    }

    /// What the body says is wrong, in the members that the usual APIs have for it.
    pub fn complaint(&self) -> String {
        let Ok(body) = self.json() else {
            return String::new();
        };
        let first = |value: &Value| match value {
            Value::Array(items) => items.first().cloned().unwrap_or_default(),
            value => value.clone(),
        };
        for name in ["errorMessages", "errors", "error", "message"] {
            let found = first(&body[name]);
            for found in [&found, &found["message"], &found["msg"]] {
                if let Some(text) = found.as_str()
                    && !text.is_empty()
                {
                    return text.to_owned();
                }
            }
        }
        String::new()
    }
}

/// A client for foreign systems.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    auth: Auth,
    agent: String,
}

impl Http {
    /// A client that is known as `auth` and calls itself `agent`.
    pub fn new(auth: Auth, agent: String) -> Result<Self, Unreachable> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                // A header of our own would go along to wherever a host sends us.
                let first = attempt.previous().first().map(url::Url::origin);
                if attempt.previous().len() > 5 {
                    attempt.error("too many redirects")
                } else if first.is_some_and(|first| first != attempt.url().origin()) {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }))
            .build()
            .map_err(|error| Unreachable(error.to_string()))?;
        Ok(Self {
            client,
            auth,
            agent,
        })
    }

    /// The same client known as somebody else.
    pub fn known_as(&self, auth: Auth) -> Self {
        Self {
            auth,
            ..self.clone()
        }
    }

    /// Fetches `url`.
    pub async fn get(&self, url: &str) -> Result<Reply, Unreachable> {
        self.send(reqwest::Method::GET, url, None).await
    }

    /// Sends JSON to `url`.
    pub async fn post(&self, url: &str, json: &Value) -> Result<Reply, Unreachable> {
        self.send(reqwest::Method::POST, url, Some(json)).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        url: &str,
        json: Option<&Value>,
    ) -> Result<Reply, Unreachable> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
            return Err(Unreachable(format!(
                "unsupported protocol scheme \"{scheme}\""
            )));
        }
        let failed = |error: &reqwest::Error| {
            Unreachable(runstone_api::client::transport_reason(url, error))
        };
        let mut request = self
            .client
            .request(method, url)
            .header(USER_AGENT, &self.agent);
        request = match &self.auth {
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
            Auth::Header(name, value) => {
                let value = HeaderValue::from_str(value)
                    .map_err(|_| Unreachable(format!("the value of {name} is no header value")))?;
                request.header(HeaderName::from_static(name), value)
            }
        };
        if let Some(json) = json {
            request = request.json(json);
        }
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unreachable(format!(
                    "the answer is larger than {BODY_BYTES_MAX} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

/// Whole Unix seconds of a time such as `2026-03-01T09:00:00.123Z`.
pub fn unix_seconds(value: &Value) -> Option<i64> {
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(time.as_second())
}

/// A base URL without slashes at its end.
pub fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}
