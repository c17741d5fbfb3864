//! Signed notes and their keys (C2SP signed-note), with Ed25519 signatures of type 0x01.
//!
//! Owns the truth about whether a text carries a valid signature of a trusted key. Does not know
//! what the text says ([`crate::checkpoint`] does) and makes no keys of its own accord: seeds come
//! from the caller.

use crate::base64_text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// Largest note in bytes: what the other implementations read as well.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Most signature lines of a note (the format asks verifiers to accept at least 16).
pub const NOTE_SIGNATURES_MAX: usize = 100;
/// Longest key name in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 1_024;
/// Type byte of a plain Ed25519 signature.
pub const TYPE_ED25519: u8 = 0x01;

/// What stands in front of each signature line: em dash and space.
const SIGNATURE_PREFIX: &str = "— ";

/// A note cannot be read, signed or verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`].
    #[error("the note has {0} bytes, more than {NOTE_BYTES_MAX}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than newline.
    #[error("the note contains control character {0:#04x}")]
    ControlCharacter(u8),
    /// No blank line between text and signatures, or no final newline.
    #[error("the note has no text and signatures separated by a blank line and ended by a newline")]
    Shape,
    /// A line after the blank line is not a signature line.
    #[error("signature line {0} of the note is malformed")]
    SignatureLine(usize),
    /// More than [`NOTE_SIGNATURES_MAX`].
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// The text to sign is empty or does not end with a newline.
    #[error("the text to sign must end with a newline")]
    TextShape,
    /// A note must have a signature.
    #[error("a note needs at least one signer")]
    NoSigner,
    /// A trusted key is named, but its signature does not hold.
    #[error("the signature of {name}+{key_id:08x} does not hold")]
    BadSignature {
        /// Name of the key.
        name: String,
        /// Its id as a number.
        key_id: u32,
    },
    /// Two different trusted keys have the same name and id.
    #[error("two trusted keys are called {name}+{key_id:08x}")]
    AmbiguousKey {
        /// Name of the keys.
        name: String,
        /// Their id as a number.
        key_id: u32,
    },
    /// No signature by a trusted key.
    #[error("the note has no signature of a trusted key")]
    NoTrustedSignature,
}

/// A text is not a key, or a name cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has a blank, a control character or a plus sign.
    #[error("{0:?} cannot be a key name")]
    Name(String),
    /// Not of the form `name+id+base64`.
    #[error("the verifier key is not of the form name+id+base64")]
    Shape,
    /// The algorithm is not Ed25519.
    #[error("the verifier key has type {0:#04x}, only 0x01 (Ed25519) is supported")]
    Type(u8),
    /// The id does not belong to name and key.
    #[error("the verifier key of {name} says id {found:08x}, but it is {expected:08x}")]
    Id {
        /// Name of the key.
        name: String,
        /// The id that name and key give.
        expected: u32,
        /// The id that was written.
        found: u32,
    },
    /// The bytes are not a usable Ed25519 public key.
    #[error("the verifier key of {0} is not an Ed25519 public key")]
    Key(String),
}

/// Returns whether a text can name a key: not empty, at most [`KEY_NAME_BYTES_MAX`], no blanks, no
/// control characters, no `+`.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= KEY_NAME_BYTES_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// Returns the key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type and key).
pub fn key_id(name: &str, typed_key: &[u8]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update(b"\n");
    hasher.update(typed_key);
    let hash: [u8; 32] = hasher.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// A public key with its name: what a verifier is given, written as a *vkey*.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key_id: u32,
    key: VerifyingKey,
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl VerifierKey {
    /// Makes a verifier key from a name and the 32 bytes of an Ed25519 public key.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let key = VerifyingKey::from_bytes(public_key)
            .ok()
            // A key of small order would let anybody sign anything.
            .filter(|key| !key.is_weak())
            .ok_or_else(|| KeyError::Key(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            key_id: key_id(name, &typed_key(public_key)),
            key,
        })
    }

    /// Parses a vkey `<name>+<8 hex digits>+<base64(type ‖ key)>`.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        // Neither name nor id contains a plus sign; the base64 at the end may.
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Shape)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Shape)?;
        if !is_key_name(name) {
            return Err(KeyError::Name(
                name.chars().take(KEY_NAME_BYTES_MAX).collect(),
            ));
        }
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if id.len() != 8 || !id.bytes().all(is_hex) || key.len() > 64 {
            return Err(KeyError::Shape);
        }
        let found = u32::from_str_radix(id, 16).map_err(|_| KeyError::Shape)?;
        let typed = STANDARD.decode(key).map_err(|_| KeyError::Shape)?;
        let (kind, public_key) = typed.split_first().ok_or(KeyError::Shape)?;
        if *kind != TYPE_ED25519 {
            return Err(KeyError::Type(*kind));
        }
        let public_key = public_key
            .try_into()
            .map_err(|_| KeyError::Key(name.to_owned()))?;
        let parsed = Self::new(name, public_key)?;
        if parsed.key_id != found {
            return Err(KeyError::Id {
                name: parsed.name,
                expected: parsed.key_id,
                found,
            });
        }
        Ok(parsed)
    }

    /// Returns the name of the key; for a log key its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key id.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// Returns the 32 bytes of the public key.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns whether the signature is this key's over the text.
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|s| self.key.verify_strict(text.as_bytes(), &s).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = base64_text(&typed_key(self.key.as_bytes()));
        write!(f, "{}+{:08x}+{key}", self.name, self.key_id)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, Self::Err> {
        Self::parse(vkey)
    }
}

/// Puts the type byte in front of a public key.
fn typed_key(public_key: &[u8; 32]) -> [u8; 33] {
    let mut typed = [TYPE_ED25519; 33];
    typed[1..].copy_from_slice(public_key);
    typed
}

/// A private key with its name. Its bytes are wiped when it is dropped and never shown.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// Makes a signer from a name (for a log its origin) and a 32-byte Ed25519 seed.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// Returns the public half.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text.
    pub fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name.clone(),
            key_id: self.verifier.key_id,
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

/// Derives the signing seed of a log from the seed of the installation.
///
/// HKDF-SHA-256 without salt; the info is the origin alone for generation 0, and the origin, a
/// newline and the decimal generation for each later key of the same log. No origin contains a
/// newline, so no two (origin, generation) pairs share an info.
pub fn derive_signing_seed(
    installation_seed: &[u8; 32],
    origin: &str,
    generation: u32,
) -> [u8; 32] {
    let mut info = origin.to_owned();
    if generation > 0 {
        write!(info, "\n{generation}").expect("writing to a string does not fail");
    }
    let mut seed = [0; 32];
    hkdf::Hkdf::<Sha256>::new(None, installation_seed)
        .expand(info.as_bytes(), &mut seed)
        .expect("32 bytes are a valid length for HKDF-SHA-256");
    seed
}

/// One signature line of a note, of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Key id.
    pub key_id: u32,
    /// The signature itself, without the key id; 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    /// Formats the line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(4 + self.signature.len());
        bytes.extend_from_slice(&self.key_id.to_be_bytes());
        bytes.extend_from_slice(&self.signature);
        write!(f, "{SIGNATURE_PREFIX}{} {}", self.name, base64_text(&bytes))
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (is_key_name(name) && !signature.is_empty()).then(|| Self {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*id),
            signature: signature.to_vec(),
        })
    }
}

/// A text with its signatures; nothing in it is trusted until [`Note::verify`] has said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Signs a text, which must end with a newline, with one or more keys (several while keys are
    /// being rotated).
    pub fn sign(text: &str, signers: &[&Signer]) -> Result<Self, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextShape);
        }
        match signers.len() {
            0 => return Err(NoteError::NoSigner),
            n if n > NOTE_SIGNATURES_MAX => return Err(NoteError::TooManySignatures),
            _ => {}
        }
        Ok(Self {
            text: text.to_owned(),
            signatures: signers.iter().map(|signer| signer.sign(text)).collect(),
        })
    }

    /// Parses a note without verifying it.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The last blank line counts: the text may have blank lines of its own.
        let split = note.rfind("\n\n").ok_or(NoteError::Shape)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let signature = NoteSignature::parse(line);
            signatures.push(signature.ok_or(NoteError::SignatureLine(number + 1))?);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Returns the signed text, including its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signatures, verified or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line, for example a cosignature.
    pub fn add_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() == NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        if !is_key_name(&signature.name) || signature.signature.is_empty() {
            return Err(NoteError::SignatureLine(self.signatures.len() + 1));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Verifies the signatures of trusted keys and returns the keys that signed.
    ///
    /// Signatures of other keys are ignored; one bad signature under a trusted key's name and id
    /// refuses the whole note; so does a note that no trusted key signed.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut verified: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let NoteSignature { name, key_id, .. } = signature;
            let mut matching = keys
                .iter()
                .filter(|key| key.key_id == *key_id && key.name == *name);
            let Some(key) = matching.next() else {
                continue;
            };
            if matching.any(|other| other != key) {
                return Err(NoteError::AmbiguousKey {
                    name: name.clone(),
                    key_id: *key_id,
                });
            }
            if !key.verifies(&self.text, &signature.signature) {
                return Err(NoteError::BadSignature {
                    name: name.clone(),
                    key_id: *key_id,
                });
            }
            if !verified.contains(&key) {
                verified.push(key);
            }
        }
        if verified.is_empty() {
            return Err(NoteError::NoTrustedSignature);
        }
        Ok(verified)
    }
}

impl fmt::Display for Note {
    /// Formats the note as it is stored and served.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_char('\n')?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

/// Refuses control characters other than newline.
fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.bytes().find(|b| *b < 0x20 && *b != b'\n') {
        Some(byte) => Err(NoteError::ControlCharacter(byte)),
        None => Ok(()),
    }
}
