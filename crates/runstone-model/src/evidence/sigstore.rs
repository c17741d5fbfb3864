//! Signatures with what is needed to check them: Sigstore bundles.

use serde_json::{Value, json};

use super::{Format, at, dsse, items_at, str_at};

pub(super) static FORMAT: Format = Format {
    name: "sigstore-bundle",
    json: Some(|file| {
        let kind = str_at(file, &["mediaType"])?;
        kind.starts_with("application/vnd.dev.sigstore.bundle").then(|| {
            let has = |path: &[&str]| at(file, path).is_some();
            let key = if has(&["verificationMaterial", "certificate"])
                || has(&["verificationMaterial", "x509CertificateChain"])
            {
                "certificate"
            } else {
                "public_key"
            };
            let envelope = file.get("dsseEnvelope").and_then(dsse::envelope);
            json!({
                "media_type": super::cut(kind),
                "key": key,
                "log_entries": items_at(file, &["verificationMaterial", "tlogEntries"]).len(),
                "content": if file.get("messageSignature").is_some() { "message_signature" } else { "dsse" },
                "envelope": envelope.unwrap_or(Value::Null),
            })
        })
    }),
    xml: None,
};
