//! What lies outside: a folder, or an S3-compatible service by URL.
//!
//! Whatever is said of a service carries no secret: URLs are shown without user, password and
//! query, and secrets among the settings are cut out of what it answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};

/// How long a connection may take, unless `aws_connect_timeout` says otherwise.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a request may take, unless `aws_timeout` says otherwise.
const REQUEST: Duration = Duration::from_secs(20);
/// Failed requests are repeated so long. Callers wait, and so may the writer: who is told that
/// the service is away tries again anyway.
const RETRY: Duration = Duration::from_secs(3);
const RETRIES_MAX: usize = 3;

/// A folder or a service.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
    /// The folder, where it is one.
    pub(crate) folder: Option<PathBuf>,
    /// Texts that are never shown.
    secrets: Arc<[String]>,
}

impl Service {
    /// Opens `url`: a folder (`file:///…` or a plain path, made when missing) or `s3://bucket/prefix`
    /// with `options` such as `aws_endpoint_url` and `aws_access_key_id`.
    pub(crate) fn open(url: &str, options: &[(String, String)]) -> Result<Self, String> {
        if let Some(folder) = url
            .strip_prefix("file://")
            .or_else(|| (!url.contains("://")).then_some(url))
        {
            let folder = PathBuf::from(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("cannot make folder {}: {error}", folder.display()))?;
            let store = object_store::local::LocalFileSystem::new_with_prefix(&folder)
                .map_err(|error| error.to_string())?;
            return Ok(Self {
                store: Arc::new(store),
                prefix: Path::default(),
                folder: Some(folder),
                secrets: Arc::default(),
            });
        }
        let parsed = url::Url::parse(url).map_err(|error| error.to_string())?;
        if !parsed.username().is_empty()
            || parsed.password().is_some()
            || parsed.query().is_some()
            || parsed.fragment().is_some()
        {
            return Err(
                "credentials and settings are no part of the URL: give them as AWS_* variables"
                    .to_owned(),
            );
        }
        let Ok((ObjectStoreScheme::AmazonS3, prefix)) = ObjectStoreScheme::parse(&parsed) else {
            return Err("it is neither a folder nor s3://bucket/prefix".to_owned());
        };
        let secrets = secrets(options);
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST)
            // Who names an endpoint without TLS means it.
            .with_allow_http(options.iter().any(|(name, value)| {
                name.starts_with("aws_endpoint") && value.starts_with("http://")
            }));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_millis(500),
                base: 2.0,
            },
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY,
        };
        let mut builder = AmazonS3Builder::new()
            .with_url(url)
            .with_client_options(client)
            .with_retry(retry);
        for (name, value) in options {
            // Most AWS_* variables of a machine are of no concern to us.
            if let Ok(key) = name.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.build().map_err(|error| told(&error, &secrets))?;
        Ok(Self {
            store: Arc::new(store),
            prefix,
            folder: None,
            secrets,
        })
    }

    /// What went wrong, with the cause behind it and without secrets.
    pub(crate) fn told(&self, error: &object_store::Error) -> String {
        told(error, &self.secrets)
    }

    /// Whether an object is not there, as far as a service that works can tell: one without its
    /// bucket answers the same.
    pub(crate) fn is_missing(error: &object_store::Error) -> bool {
        matches!(error, object_store::Error::NotFound { source, .. }
            if !source.to_string().contains("NoSuchBucket"))
    }
}

/// A URL as it may be shown: without user, password, query and fragment.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{rest}")
}

/// The texts among the settings of a service that nobody may see.
fn secrets(options: &[(String, String)]) -> Arc<[String]> {
    let mut secrets = Vec::new();
    for (name, value) in options {
        let is_secret = ["secret", "token", "customer_key"]
            .iter()
            .any(|word| name.contains(word))
            && !name.ends_with("_file");
        if is_secret {
            secrets.push(value.clone());
        } else if let Some((_, rest)) = value.split_once("://")
            && let Some((user, _)) = rest.rsplit_once('@')
        {
            // Of an endpoint or a proxy.
            secrets.push(user.to_owned());
            secrets.extend(
                user.split_once(':')
                    .map(|(_, password)| password.to_owned()),
            );
        }
    }
    secrets.retain(|secret| !secret.is_empty());
    // A longer one may hold a shorter one.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into()
}

fn told(error: &object_store::Error, secrets: &[String]) -> String {
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = cause.to_string();
    if !text.contains(&cause) {
        text = format!("{text}: {cause}");
    }
    for secret in secrets {
        text = text.replace(secret.as_str(), "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn urls_are_shown_without_secrets() {
        assert_eq!(shown("/var/lib/blobs"), "/var/lib/blobs");
        assert_eq!(shown("s3://bucket/below"), "s3://bucket/below");
        assert_eq!(
            shown("s3://key:hush/hush@bucket/below?secret=hush#hush"),
            "s3://bucket/below"
        );
    }

    #[test]
    fn a_url_with_credentials_is_refused_without_repeating_them() {
        for url in [
            "s3://key:hush@bucket",
            "s3://hush@bucket",
            "s3://bucket/below?aws_secret_access_key=hush",
            "s3://bucket#hush",
            "s3://key:hush/hush@bucket",
            "gs://hush",
        ] {
            let Err(told) = Service::open(url, &[]) else {
                panic!("{url} was opened");
            };
            assert!(!told.contains("hush"), "{told}");
        }
    }

    #[test]
    fn secrets_are_cut_out_of_what_a_service_says() {
        let secrets = secrets(&options(&[
            ("aws_secret_access_key", "hush"),
            ("aws_session_token", "hush-hush"),
            ("aws_access_key_id", "name"),
            ("aws_endpoint_url", "http://user:quiet@s3.local:9000"),
            ("aws_web_identity_token_file", "/run/file"),
        ]));
        let error = object_store::Error::Generic {
            store: "S3",
            source: "hush, hush-hush: http://user:quiet@s3.local:9000 and quiet: name /run/file"
                .into(),
        };
        assert_eq!(
            told(&error, &secrets),
            "Generic S3 error: …, …: http://…@s3.local:9000 and …: name /run/file"
        );
    }
}
