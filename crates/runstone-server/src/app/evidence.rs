//! What attached files are, found out when they are attached.

use runstone_journal::trust::Trust;
use runstone_model::event::Attachment;
use runstone_model::evidence::{EVIDENCE_BYTES_MAX, Evidence, Signature, Signed, recognise};
use serde_json::{Value, json};

use super::State;
use super::error::AppError;

/// So many larger files are looked into at once.
pub(super) const LOOKS_MAX: usize = 2;

impl State {
    /// What an uploaded file is, if it is of a known format: the format, a summary, and of its
    /// signatures which hold.
    pub(crate) async fn recognise(
        &self,
        organization: &str,
        attachment: &Attachment,
    ) -> Result<Option<Value>, AppError> {
        let trust = &self.config.trust;
        if let Some(bytes) = &attachment.held {
            return Ok(recognise(bytes).map(|found| told(trust, found)));
        }
        if attachment.bytes > EVIDENCE_BYTES_MAX as u64 {
            return Ok(None);
        }
        let stopped = |error: &dyn std::error::Error| AppError::Internal(error.to_string());
        let look = self
            .looks
            .acquire()
            .await
            .map_err(|error| stopped(&error))?;
        let bytes = self.store.uploaded(organization, attachment).await?;
        let trust = std::sync::Arc::clone(trust);
        let looking = move || recognise(&bytes).map(|found| told(&trust, found));
        let found = tokio::task::spawn_blocking(looking).await;
        drop(look);
        found.map_err(|error| stopped(&error))
    }
}

/// What is recorded of a file.
fn told(trust: &Trust, evidence: Evidence) -> Value {
    let mut told = json!({"format": evidence.format, "summary": evidence.summary});
    if let Some(signed) = &evidence.signed {
        let signatures = signed.signatures.iter();
        told["signatures"] = signatures
            .map(|signature| judged(trust, signed, signature))
            .collect();
    }
    told
}

/// What is known of a signature. `verified` is true or false if it was checked, and null with the
/// reason if it was not.
fn judged(trust: &Trust, signed: &Signed, signature: &Signature) -> Value {
    let mut told = json!({"key_id": signature.key_id});
    let (verified, why) = match (&signed.message, &signature.bytes) {
        (_, None) => (Some(false), "the signature cannot be read"),
        (None, _) => (None, "the signed file is not part of this one"),
        (Some(message), Some(bytes)) => {
            let certified = trust.certified(&signed.certificates, message, bytes);
            if let Some(certified) = &certified {
                told["certificate"] = json!({
                    "names": certified.names,
                    "public_key_sha256": certified.key,
                    "made_the_signature": certified.signed,
                    "below_a_trusted_root": certified.trusted,
                });
            }
            let by = trust.key_of(message, bytes);
            told["verified_by"] = by.into();
            match (by, certified) {
                (Some(_), _) => (Some(true), "a trusted key made it"),
                (None, Some(certified)) if !certified.signed => {
                    (Some(false), "the key of the certificate did not make it")
                }
                (None, Some(certified)) => match certified.trusted {
                    Some(true) => (Some(true), "a certificate below a trusted root made it"),
                    Some(false) => (Some(false), "its certificate is below no trusted root"),
                    None => (None, "no root is trusted"),
                },
                (None, None) if !signed.certificates.is_empty() => {
                    (Some(false), "its certificate cannot be read")
                }
                (None, None) if trust.has_keys() => (Some(false), "no trusted key made it"),
                (None, None) => (None, "no key is trusted"),
            }
        }
    };
    told["verified"] = verified.into();
    told["why"] = why.into();
    told
}
