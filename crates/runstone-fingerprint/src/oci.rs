//! Fingerprint of an image in a registry (`cli.md` 3.5): the digest of its manifest, or of its
//! index where the tag names several platforms.
//!
//! Owns how an image name is read and which digest identifies it; the protocol (ping, Bearer or
//! Basic challenge, HEAD) is `oci-client`'s. Must not read environment variables: whatever comes
//! from there is in [`CredentialSources`], which the caller fills.
//!
//! Registries on this machine (`localhost`, 127.0.0.0/8, ::1) are tried with TLS first and without
//! it if that cannot be had; others only if the caller lists them as insecure.

mod credentials;

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, ParseError, Reference, RegistryOperation};
use runstone_model::id::{Fingerprint, decode_hex_32};

pub use credentials::{CredentialError, CredentialSources, Login};

use crate::error::LONE_BLANK_HELP;

/// How to reach a registry.
#[derive(Debug, Clone)]
pub struct Options {
    /// As whom.
    pub credentials: Credentials,
    /// Registries (`host[:port]`) that may be spoken to without TLS.
    pub insecure: Vec<String>,
    /// For connecting, and for each answer.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::Anonymous,
            insecure: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// As whom to ask a registry.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// As nobody.
    Anonymous,
    /// With this login, whatever files say.
    Given(Login),
    /// With what the files of container tools say; as nobody if they say nothing.
    LookUp(CredentialSources),
}

/// Why an image has no fingerprint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is not an image reference.
    #[error("failed to parse image reference for //{name}: {reason}{}", blank(.name))]
    Reference {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry did not give a digest.
    #[error("failed to get digest for //{name}: {reason}")]
    Digest {
        /// The name as given.
        name: String,
        /// The registry's or the network's reason.
        reason: String,
    },
    /// No usable login.
    #[error("failed to get digest for //{name}: {error}")]
    Credentials {
        /// The name as given.
        name: String,
        /// What is wrong with the configured logins.
        error: CredentialError,
    },
}

fn blank(name: &str) -> String {
    if name == " " {
        format!(". The artifact name is ' '. {LONE_BLANK_HELP}")
    } else {
        String::new()
    }
}

/// The fingerprint of the image `name` in its registry, as the registry says now.
///
/// With a tag and a digest the digest counts (`cli.md` 12, defect 25).
///
/// # Errors
/// [`Error`]; the texts begin as the contract says.
pub async fn fingerprint(name: &str, options: &Options) -> Result<Fingerprint, Error> {
    let reference = parse(name)?;
    let auth = match &options.credentials {
        Credentials::Anonymous => RegistryAuth::Anonymous,
        Credentials::Given(login) => basic(login),
        Credentials::LookUp(sources) => sources
            .find(reference.registry(), reference.repository())
            .await
            .map_err(|error| Error::Credentials {
                name: name.to_owned(),
                error,
            })?
            .map_or(RegistryAuth::Anonymous, |login| basic(&login)),
    };
    let failed = |reason: String| Error::Digest {
        name: name.to_owned(),
        reason,
    };
    let digest = digest(&reference, &auth, options)
        .await
        .map_err(|error| failed(reason(reference.registry(), &error)))?;
    digest
        .strip_prefix("sha256:")
        .and_then(|digits| decode_hex_32(digits.as_bytes()))
        .map(Fingerprint)
        .ok_or_else(|| failed(format!("the digest {digest} is not a SHA-256 digest")))
}

fn basic(login: &Login) -> RegistryAuth {
    RegistryAuth::Basic(login.username.clone(), login.password.clone())
}

/// Reads an image name; a digest wins over a tag.
fn parse(name: &str) -> Result<Reference, Error> {
    let failed = |reason: &str| Error::Reference {
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    const LOWERCASE: &str = "invalid reference format: repository name must be lowercase";
    let reference: Reference = name.parse().map_err(|error| match error {
        ParseError::ReferenceInvalidFormat if name.to_lowercase().parse::<Reference>().is_ok() => {
            failed(LOWERCASE)
        }
        ParseError::ReferenceInvalidFormat | ParseError::NameEmpty => {
            failed("invalid reference format")
        }
        other => failed(&format!("invalid reference format: {other}")),
    })?;
    // The parser takes capitals in a first element it could have read as a host.
    if reference.repository().contains(char::is_uppercase) {
        return Err(failed(LOWERCASE));
    }
    Ok(match reference.digest() {
        Some(digest) => Reference::with_digest(
            reference.registry().to_owned(),
            reference.repository().to_owned(),
            digest.to_owned(),
        ),
        None => reference,
    })
}

async fn digest(
    reference: &Reference,
    auth: &RegistryAuth,
    options: &Options,
) -> Result<String, OciDistributionError> {
    let registry = reference.resolve_registry();
    let listed = options.insecure.iter().any(|host| host == registry);
    match ask(reference, auth, options, ClientProtocol::Https).await {
        Err(OciDistributionError::RequestError(error))
            if error.is_connect() && (listed || is_this_machine(registry)) =>
        {
            ask(reference, auth, options, ClientProtocol::Http).await
        }
        other => other,
    }
}

async fn ask(
    reference: &Reference,
    auth: &RegistryAuth,
    options: &Options,
    protocol: ClientProtocol,
) -> Result<String, OciDistributionError> {
    let client = Client::try_from(ClientConfig {
        protocol,
        connect_timeout: Some(options.timeout),
        read_timeout: Some(options.timeout),
        user_agent: concat!("runstone/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })?;
    // Asked for explicitly: on its own the client drops the reason why there is no token.
    client
        .auth(reference, auth, RegistryOperation::Pull)
        .await?;
    client.fetch_manifest_digest(reference, auth).await
}

/// Whether `registry` (`host[:port]`) is a loopback name or address.
fn is_this_machine(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// One line that says what happened, with all causes.
fn reason(registry: &str, error: &OciDistributionError) -> String {
    match error {
        OciDistributionError::RequestError(error) => {
            let mut text = format!("asking container registry {registry}: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text.push_str(": ");
                text.push_str(&cause.to_string());
                source = cause.source();
            }
            text
        }
        OciDistributionError::UnauthorizedError { .. } => {
            format!("container registry {registry}: unauthorized: authentication required")
        }
        OciDistributionError::AuthenticationFailure(text) => {
            format!(
                "container registry {registry}: unauthorized: {}",
                text.trim()
            )
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let reasons: Vec<&str> = envelope
                .errors
                .iter()
                .map(|error| error.message.as_str())
                .collect();
            format!("container registry {registry}: {}", reasons.join(", "))
        }
        other => format!("container registry {registry}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn check(name: &str, expected: &str) {
        let reference = parse(name).unwrap();
        assert_eq!(reference.whole(), expected, "{name}");
    }

    #[test]
    fn names() {
        let digest = format!("sha256:{}", "a".repeat(64));
        check("nginx", "docker.io/library/nginx:latest");
        check("nginx:1.27", "docker.io/library/nginx:1.27");
        check("acme/shop", "docker.io/acme/shop:latest");
        check("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1");
        check("localhost/a", "localhost/a:latest");
        check(&format!("h.io/a@{digest}"), &format!("h.io/a@{digest}"));
        check(&format!("h.io/a:1@{digest}"), &format!("h.io/a@{digest}"));
    }

    #[test]
    fn refused_names() {
        for (name, reason) in [
            ("UP/x", ": repository name must be lowercase"),
            ("host.io/UP:1", ": repository name must be lowercase"),
            ("a b", ""),
            ("", ""),
            ("x@sha256:zz", ""),
            ("a:b:c", ""),
        ] {
            assert_eq!(
                parse(name).unwrap_err().to_string(),
                format!(
                    "failed to parse image reference for //{name}: invalid reference format{reason}"
                )
            );
        }
        assert!(
            parse(" ")
                .unwrap_err()
                .to_string()
                .contains(". The artifact name is ' '. ")
        );
    }

    #[test]
    fn this_machine() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.9.1", true),
            ("[::1]:5000", true),
            ("docker.io", false),
            ("localhost.example.com", false),
            ("128.0.0.1:5000", false),
        ] {
            assert_eq!(is_this_machine(registry), expected, "{registry}");
        }
    }
}
