//! Checkpoints (C2SP tlog-checkpoint): the signed statement "this log has this size and root".
//!
//! Owns the spelling of a checkpoint and the rule whose signature makes it one. Does not know
//! whether two checkpoints are consistent ([`crate::proof`] and [`crate::verify`] do).

use crate::merkle::Hash;
use crate::note::{Note, NoteError, Signer, VerifierKey, is_key_name};
use crate::{TREE_SIZE_MAX, base64_text, parse_decimal, parse_hash};
use std::fmt;

/// The size and root of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin of the log: its stable name, and the name of its keys.
    pub origin: String,
    /// Number of entries, at most [`TREE_SIZE_MAX`].
    pub size: u64,
    /// Root of the Merkle tree over the entries.
    pub root: Hash,
}

/// A checkpoint cannot be read, signed or trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is malformed or not signed as it must be.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not three lines, each ended by a newline.
    #[error("a checkpoint is three lines, each ended by a newline")]
    Shape,
    /// Lines after the root: Runstone writes none and does not guess what one means.
    #[error("the checkpoint has extension lines")]
    Extension,
    /// The origin cannot be the name of a log.
    #[error("{0:?} cannot be the origin of a log")]
    Origin(String),
    /// The size is not a decimal number in canonical form, or too large.
    #[error("{0:?} is not a tree size")]
    Size(String),
    /// The root is not the base64 of a hash.
    #[error("{0:?} is not a root hash")]
    Root(String),
    /// Trusted keys signed, but none that is named like the origin.
    #[error("no trusted key of {0} signed the checkpoint")]
    WrongOrigin(String),
}

impl Checkpoint {
    /// Parses the text of a checkpoint, without signatures, in exactly the form that is formatted.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let shorten = |text: &str| text.chars().take(80).collect::<String>();
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Shape);
        };
        if lines.next().is_some() {
            return Err(CheckpointError::Extension);
        }
        if !is_key_name(origin) {
            return Err(CheckpointError::Origin(shorten(origin)));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: parse_decimal(size).ok_or_else(|| CheckpointError::Size(shorten(size)))?,
            root: parse_hash(root).ok_or_else(|| CheckpointError::Root(shorten(root)))?,
        })
    }

    /// Signs the checkpoint with each of the signers and returns the note.
    ///
    /// At least one signer must be named like the origin, because a verifier asks for that.
    pub fn sign(&self, signers: &[&Signer]) -> Result<Note, CheckpointError> {
        if !is_key_name(&self.origin) {
            return Err(CheckpointError::Origin(self.origin.clone()));
        }
        if self.size > TREE_SIZE_MAX {
            return Err(CheckpointError::Size(self.size.to_string()));
        }
        let is_own = |signer: &&Signer| signer.verifier_key().name() == self.origin;
        if !signers.is_empty() && !signers.iter().any(is_own) {
            return Err(CheckpointError::WrongOrigin(self.origin.clone()));
        }
        Ok(Note::sign(&self.to_string(), signers)?)
    }

    /// Parses a signed checkpoint and returns it if a trusted key of its own log signed it.
    ///
    /// The key must be named like the origin, so that among several trusted logs none can speak
    /// for another. See [`Note::verify`] for how other signatures are treated.
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let verified = note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        if !verified.iter().any(|key| key.name() == checkpoint.origin) {
            return Err(CheckpointError::WrongOrigin(checkpoint.origin));
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    /// Formats the text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = base64_text(&self.root);
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}
