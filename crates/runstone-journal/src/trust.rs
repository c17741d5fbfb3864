//! Signatures that others made, and the keys and roots by which they are believed.
//!
//! Says of a message whether a trusted public key made a signature, or a certificate below a
//! trusted root did. It asks no clock: that a certificate had not expired when it signed is proven
//! by a timestamp or a log, and neither is judged here.

use std::time::Duration;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, ring};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What a signature may be made with. A key fits some of them only.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ED25519,
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// The usage `id-kp-codeSigning` (RFC 5280, section 4.2.1.12).
const CODE_SIGNING: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 3];
/// Most keys and roots.
const TRUSTED_MAX: usize = 1_000;
/// Most names of a certificate that are repeated, and most bytes of each.
const NAMES_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 300;
/// Most certificates between one and its root.
const CERTIFICATES_MAX: usize = 8;

/// Keys and roots that somebody trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Vec<(String, Vec<u8>)>,
    roots: Vec<TrustAnchor<'static>>,
}

/// A file with keys and roots cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is no PEM.
    #[error("it is not in PEM form")]
    NotPem,
    /// It holds something else.
    #[error("section {0} is neither a public key nor a certificate")]
    OtherSection(usize),
    /// A key or certificate is damaged or of a kind nobody here knows.
    #[error("section {0} cannot be read")]
    Unreadable(usize),
    /// It holds nothing.
    #[error("it holds neither a public key nor a certificate")]
    Empty,
    /// It holds too much.
    #[error("it holds more than {TRUSTED_MAX} keys and certificates")]
    TooMany,
}

/// What is known of the certificate that came with a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Whether its key made the signature.
    pub signed: bool,
    /// Whether it is below a trusted root and may sign; none if no root is trusted.
    pub trusted: Option<bool>,
    /// Whom it names: addresses of people, jobs or hosts.
    pub names: Vec<String>,
    /// SHA-256 of its public key, in hexadecimal digits.
    pub key: String,
}

/// How a public key is named: SHA-256 of its `SubjectPublicKeyInfo`, in hexadecimal digits.
fn key_id(spki: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut id = String::with_capacity(64);
    for byte in Sha256::digest(spki) {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

impl Trust {
    /// Reads public keys and root certificates in PEM form.
    pub fn read(pem: &[u8]) -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for (section, number) in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).zip(1..) {
            let (kind, der) = section.map_err(|_| TrustError::NotPem)?;
            if number > TRUSTED_MAX {
                return Err(TrustError::TooMany);
            }
            match kind {
                SectionKind::PublicKey => {
                    let spki = SubjectPublicKeyInfoDer::from(&der[..]);
                    RawPublicKeyEntity::try_from(&spki)
                        .map_err(|_| TrustError::Unreadable(number))?;
                    trust.keys.push((key_id(&der), der));
                }
                SectionKind::Certificate => {
                    let der = CertificateDer::from(der);
                    let root = webpki::anchor_from_trusted_cert(&der)
                        .map_err(|_| TrustError::Unreadable(number))?;
                    trust.roots.push(root.to_owned());
                }
                _ => return Err(TrustError::OtherSection(number)),
            }
        }
        if trust.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(trust)
    }

    /// Trusts what another does, too.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.roots.extend(other.roots);
    }

    /// Whether nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.roots.is_empty()
    }

    /// Whether any key is trusted.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The id of the trusted key that made a signature; none if none did.
    pub fn key_of(&self, message: &[u8], signature: &[u8]) -> Option<&str> {
        let made = |spki: &[u8]| {
            let spki = SubjectPublicKeyInfoDer::from(spki);
            RawPublicKeyEntity::try_from(&spki).is_ok_and(|key| {
                ALGORITHMS
                    .iter()
                    .any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
            })
        };
        let mut keys = self.keys.iter();
        keys.find(|(_, spki)| made(spki)).map(|(id, _)| id.as_str())
    }

    /// What is known of the first of these certificates (DER) and of a signature; the others lead
    /// to its root. None if it cannot be read.
    pub fn certified(
        &self,
        certificates: &[Vec<u8>],
        message: &[u8],
        signature: &[u8],
    ) -> Option<Certified> {
        let (first, others) = certificates.split_first()?;
        if others.len() > CERTIFICATES_MAX {
            return None;
        }
        let der = CertificateDer::from(&first[..]);
        let certificate = EndEntityCert::try_from(&der).ok()?;
        let read = Certificate::from_der(first).ok()?;
        let signed = ALGORITHMS.iter().any(|algorithm| {
            certificate
                .verify_signature(*algorithm, message, signature)
                .is_ok()
        });
        let others: Vec<CertificateDer<'_>> = others
            .iter()
            .map(|der| CertificateDer::from(&der[..]))
            .collect();
        // When it was made its whole chain was valid, if it ever was.
        let made = read.tbs_certificate.validity.not_before.to_unix_duration();
        let trusted = (!self.roots.is_empty()).then(|| {
            certificate
                .verify_for_usage(
                    ALGORITHMS,
                    &self.roots,
                    &others,
                    UnixTime::since_unix_epoch(Duration::from_secs(made.as_secs())),
                    KeyUsage::required_if_present(CODE_SIGNING),
                    None,
                    None,
                )
                .is_ok()
        });
        Some(Certified {
            signed,
            trusted,
            names: names(&read),
            key: key_id(&certificate.subject_public_key_info()),
        })
    }
}

/// Whom a certificate names.
fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate.get::<SubjectAltName>()
    else {
        return Vec::new();
    };
    names
        .iter()
        .filter_map(|name| match name {
            GeneralName::Rfc822Name(name)
            | GeneralName::DnsName(name)
            | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str()),
            _ => None,
        })
        .filter(|name| name.len() <= NAME_BYTES_MAX)
        .take(NAMES_MAX)
        .map(ToOwned::to_owned)
        .collect()
}
