//! Generated API keys: `rst_`, 43 base64url characters of 32 random bytes, `_`, and 6 characters
//! of checksum, so that a key can be recognised wherever it leaks and a mistyped one be told.
//!
//! Owns the form of keys. It must not know whose key a text is: the store looks that up by its
//! verifier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// How a generated key begins.
pub const PREFIX: &str = "rst_";

/// Longest text that is taken for a key.
pub const KEY_BYTES_MAX: usize = 1_024;

const RANDOM_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;

/// The key made of 32 random bytes.
pub fn generate(random: &[u8; 32]) -> String {
    let body = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let checksum = checksum(&body);
    format!("{body}_{checksum}")
}

fn checksum(body: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(body.as_bytes()));
    text.truncate(CHECKSUM_CHARS);
    text
}

/// Whether a text has the form and checksum of a generated key.
pub fn is_generated(text: &str) -> bool {
    text.len() == PREFIX.len() + RANDOM_CHARS + 1 + CHECKSUM_CHARS
        && text.is_ascii()
        && text.starts_with(PREFIX)
        && {
            let (body, rest) = text.split_at(PREFIX.len() + RANDOM_CHARS);
            rest.strip_prefix('_') == Some(&checksum(body))
        }
}

/// Why a text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// Nothing.
    #[error("a key cannot be empty")]
    Empty,
    /// Clients split lists of keys at commas and blanks.
    #[error("a key cannot contain blanks, commas or control characters")]
    Separator,
    /// Clients take it for "do not send".
    #[error("DRY_RUN is not a key: clients send nothing when it is given")]
    DryRun,
    /// More than [`KEY_BYTES_MAX`] bytes.
    #[error("a key has at most 1024 bytes")]
    TooLong,
}

/// Whether a text may be used as a key.
pub fn check(text: &str) -> Result<(), NotAKey> {
    if text.is_empty() {
        Err(NotAKey::Empty)
    } else if text.len() > KEY_BYTES_MAX {
        Err(NotAKey::TooLong)
    } else if text == "DRY_RUN" {
        Err(NotAKey::DryRun)
    } else if text
        .chars()
        .any(|c| c == ',' || c.is_whitespace() || c.is_control())
    {
        Err(NotAKey::Separator)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_are_recognised() {
        let key = generate(&[7; 32]);
        assert_eq!(key.len(), 54);
        assert!(is_generated(&key));
        assert_eq!(check(&key), Ok(()));
        let mistyped = key.replacen('H', "I", 1);
        assert_ne!(key, mistyped);
        assert!(!is_generated(&mistyped));
        assert!(!is_generated(&key[..53]));
        assert!(!is_generated(""));
    }

    #[test]
    fn texts_that_are_no_keys() {
        assert_eq!(check(""), Err(NotAKey::Empty));
        assert_eq!(check("a b"), Err(NotAKey::Separator));
        assert_eq!(check("a,b"), Err(NotAKey::Separator));
        assert_eq!(check("DRY_RUN"), Err(NotAKey::DryRun));
        assert_eq!(check(&"k".repeat(1_025)), Err(NotAKey::TooLong));
        assert_eq!(check("any-other.text"), Ok(()));
    }
}
