//! TLS to PostgreSQL, by the settings of its URL that `psql` knows: `sslmode`, `sslrootcert`,
//! `sslcert` and `sslkey`, with the meaning they have there.
//!
//! Owns what is believed of a server's certificate. Files are read anew for each connection, so
//! that renewed certificates need no restart.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What the URL of a database asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it; nothing is believed of it.
    Prefer,
    /// TLS. The certificate is checked as by `verify-ca` where roots are named, else not at all.
    Require,
    /// The certificate was issued by one of the roots.
    VerifyCa,
    /// The same, for the name that is connected to.
    VerifyFull,
}

impl Mode {
    const ALL: [(&str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    fn name(self) -> &'static str {
        let of = |(_, mode): &&(&str, Self)| *mode == self;
        Self::ALL.iter().find(of).map_or("", |(name, _)| name)
    }
}

/// Where to connect, and how.
#[derive(Debug)]
pub(crate) struct Target {
    /// For the library, without what stands below.
    pub(crate) config: Config,
    mode: Mode,
    roots: Option<String>,
    /// Certificate chain and key to show to the server.
    own: Option<(String, String)>,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The settings are wrong.
    #[error("{0}")]
    Settings(String),
    /// What the server offers is not what was asked for.
    #[error("no safe connection to the database (sslmode={mode}): {reason}")]
    Unsafe {
        /// As asked for.
        mode: &'static str,
        /// Why.
        reason: String,
    },
    /// Anything else.
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
}

impl Target {
    /// Reads the URL of a database.
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let wrong = |text: String| ConnectError::Settings(text);
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = Mode::Prefer;
        let (mut roots, mut certificate, mut key) = (None, None, None);
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "sslmode" => {
                    mode = Mode::ALL
                        .iter()
                        .find(|(name, _)| *name == value)
                        .map(|(_, mode)| *mode)
                        .ok_or_else(|| {
                            let names = Mode::ALL.map(|(name, _)| name).join(", ");
                            wrong(format!("sslmode={value} is none of {names}"))
                        })?;
                    continue;
                }
                "sslrootcert" => &mut roots,
                "sslcert" => &mut certificate,
                "sslkey" => &mut key,
                _ => {
                    rest.push(pair);
                    continue;
                }
            };
            let path = decoded(value)
                .filter(|path| !path.is_empty())
                .ok_or_else(|| wrong(format!("{name} names no file")))?;
            *place = Some(path);
        }
        let verifies = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
        if verifies && roots.is_none() {
            return Err(wrong(format!(
                "sslmode={} needs sslrootcert=FILE with the certificates of who may have issued the server's",
                mode.name()
            )));
        }
        let own = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "sslcert and sslkey belong together: one of them is missing".to_owned(),
                ));
            }
        };
        let plain = if rest.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", rest.join("&"))
        };
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            wrong(format!("{error}{cause}"))
        })?;
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        Ok(Self {
            config,
            mode,
            roots,
            own,
        })
    }

    /// Connects; the connection is driven by a task of its own.
    pub(crate) async fn connect(&self) -> Result<Client, ConnectError> {
        if self.mode == Mode::Disable {
            let (client, connection) = self.config.connect(NoTls).await?;
            drive(connection);
            return Ok(client);
        }
        let connector = MakeRustlsConnect::new(self.client_config()?);
        let error = match self.config.connect(connector).await {
            Ok((client, connection)) => {
                drive(connection);
                return Ok(client);
            }
            Err(error) => error,
        };
        let Some(reason) = unsafe_because(&error, self.roots.as_deref()) else {
            return Err(error.into());
        };
        if self.mode == Mode::Prefer {
            let mut config = self.config.clone();
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
            drive(connection);
            return Ok(client);
        }
        Err(ConnectError::Unsafe {
            mode: self.mode.name(),
            reason,
        })
    }

    fn client_config(&self) -> Result<ClientConfig, ConnectError> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| {
            ConnectError::Settings(format!("{what}: {error}"))
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Preferring is not believing: psql does not look at the certificate then, either.
        let roots = match &self.roots {
            Some(file) if self.mode != Mode::Prefer => Some(read_roots(file)?),
            _ => None,
        };
        let verifier: Arc<dyn ServerCertVerifier> = match (roots, self.mode) {
            (Some(roots), Mode::VerifyFull) => {
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| wrong("sslrootcert", &error))?
            }
            (roots, _) => Arc::new(Nameless {
                roots,
                provider: Arc::clone(&provider),
            }),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", &error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.own {
            None => Ok(config.with_no_client_auth()),
            Some((certificate, key)) => {
                let chain = read_certificates("sslcert", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(Path::new(key))
                    .map_err(|error| wrong(&format!("sslkey={key}"), &error))?;
                config
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| wrong(&format!("sslcert={certificate}"), &error))
            }
        }
    }
}

fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the database ended");
        }
    });
}

/// A value of a query, with `%XX` read.
fn decoded(value: &str) -> Option<String> {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = value.get(at + 1..at + 3)?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

fn read_certificates(name: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let wrong =
        |error: &dyn std::fmt::Display| ConnectError::Settings(format!("{name}={file}: {error}"));
    let certificates = CertificateDer::pem_file_iter(Path::new(file))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error))?;
    if certificates.is_empty() {
        return Err(wrong(&"it holds no certificate"));
    }
    Ok(certificates)
}

fn read_roots(file: &str) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates("sslrootcert", file)? {
        roots
            .add(certificate)
            .map_err(|error| ConnectError::Settings(format!("sslrootcert={file}: {error}")))?;
    }
    Ok(roots)
}

/// What TLS failed for, if it was TLS that failed.
fn unsafe_because(error: &tokio_postgres::Error, roots: Option<&str>) -> Option<String> {
    let told = error.to_string();
    let cause = std::error::Error::source(error)?;
    let tls = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else {
        // The library names its own findings only by this text.
        return told.starts_with("error performing TLS handshake").then(|| {
            match cause.to_string() {
                text if text.contains("does not support TLS") => {
                    "the server does not offer TLS".to_owned()
                }
                text => text,
            }
        });
    };
    let roots = roots.unwrap_or("sslrootcert");
    Some(match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("the server's certificate was issued by nobody in {roots}")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is not for the name that was connected to".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired".to_owned(),
        other => other.to_string(),
    })
}

/// Believes a certificate whatever name it is for; without roots, any at all. That the server
/// holds its key is always checked.
#[derive(Debug)]
struct Nameless {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Nameless {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests;
