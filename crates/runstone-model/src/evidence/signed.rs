//! What is signed in a file, and by what: for whoever has keys to check it with. Nothing is
//! checked here, because that needs no knowledge of the file any more.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::{Format, ITEMS_MAX, at, cut, items_at, str_at};

/// A message with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signed {
    /// The bytes that the signatures cover; none if they are elsewhere.
    pub message: Option<Vec<u8>>,
    /// The signatures.
    pub signatures: Vec<Signature>,
    /// Certificates (DER) of whoever signed: its own first, then those above.
    pub certificates: Vec<Vec<u8>>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How the signer calls its key; nothing follows from it.
    pub key_id: Option<String>,
    /// The signature; none if it cannot be read.
    pub bytes: Option<Vec<u8>>,
}

/// Base64 in either alphabet, with or without its padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&STANDARD, config);
    let url_safe = GeneralPurpose::new(&URL_SAFE, config);
    standard
        .decode(text)
        .or_else(|_| url_safe.decode(text))
        .ok()
}

/// What is signed in a file of this format.
pub(super) fn signed(format: &Format, file: &Value) -> Option<Signed> {
    match format.name {
        "dsse" => Some(envelope(file)),
        "sigstore-bundle" => Some(bundle(file)),
        _ => None,
    }
}

/// An envelope (DSSE 1.0.2): signatures cover its kind and its content.
fn envelope(file: &Value) -> Signed {
    let message = str_at(file, &["payloadType"])
        .zip(str_at(file, &["payload"]).and_then(decode))
        .map(|(kind, payload)| {
            let mut message =
                format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
            message.extend_from_slice(&payload);
            message
        });
    let signatures = items_at(file, &["signatures"]).iter().take(ITEMS_MAX);
    Signed {
        message,
        signatures: signatures
            .map(|signature| Signature {
                key_id: str_at(signature, &["keyid"])
                    .filter(|id| !id.is_empty())
                    .and_then(|id| cut(id).as_str().map(ToOwned::to_owned)),
                bytes: str_at(signature, &["sig"]).and_then(decode),
            })
            .collect(),
        certificates: Vec::new(),
    }
}

/// A bundle: an envelope or a signature of a file that is elsewhere, and what to check it with.
fn bundle(file: &Value) -> Signed {
    let mut signed = match file.get("dsseEnvelope") {
        Some(file) => envelope(file),
        None => Signed {
            signatures: vec![Signature {
                key_id: None,
                bytes: str_at(file, &["messageSignature", "signature"]).and_then(decode),
            }],
            ..Signed::default()
        },
    };
    let material = file.get("verificationMaterial");
    let bytes = |certificate: &Value| str_at(certificate, &["rawBytes"]).and_then(decode);
    signed.certificates = match material.and_then(|material| at(material, &["certificate"])) {
        Some(certificate) => bytes(certificate).into_iter().collect(),
        None => {
            let path = [
                "verificationMaterial",
                "x509CertificateChain",
                "certificates",
            ];
            let chain = items_at(file, &path).iter().take(ITEMS_MAX);
            chain.filter_map(bytes).collect()
        }
    };
    let hint = material.and_then(|material| str_at(material, &["publicKey", "hint"]));
    for signature in &mut signed.signatures {
        if signature.key_id.is_none() {
            signature.key_id = hint.and_then(|hint| cut(hint).as_str().map(ToOwned::to_owned));
        }
    }
    signed
}
