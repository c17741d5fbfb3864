//! The transparency log formats Runstone speaks, as pure functions over bytes.
//!
//! Owns: Merkle hashing, tiles and entry bundles, signed notes, checkpoints, proofs,
//! receipts, and the offline verification of a whole log (C2SP tlog-tiles, tlog-checkpoint,
//! signed-note, tlog-proof; RFC 6962 section 2.1). Owns as well what it means that somebody else
//! signed a message ([`trust`]).
//!
//! Must not know: what an entry means (an entry is bytes), files, network, clock, randomness,
//! databases. Whoever verifies a log brings a [`verify::Fetch`]; whoever serves one brings the
//! tiles that a [`proof::ProofPlan`] names.
//!
//! Every parser has a constant limit on its input, accepts exactly one spelling of a value, and
//! never panics.

pub mod checkpoint;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;
pub mod trust;
pub mod verify;

/// Largest tree size any part of this crate accepts: fits a signed 64-bit integer, which is what
/// the reference implementation and SQL `BIGINT` hold.
pub const TREE_SIZE_MAX: u64 = i64::MAX as u64;

/// Largest entry in bytes: an entry bundle gives each entry a 16-bit length (tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Reads a decimal number without sign, leading zeros or blanks, at most [`TREE_SIZE_MAX`].
fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !canonical {
        return None;
    }
    text.parse().ok().filter(|n| *n <= TREE_SIZE_MAX)
}

/// Reads one hash in canonical standard base64.
fn parse_hash(text: &str) -> Option<merkle::Hash> {
    use base64::Engine as _;
    // 32 bytes are always 44 characters; the check keeps a long line from being decoded.
    if text.len() != 44 {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    bytes.try_into().ok()
}

/// Writes bytes in standard base64.
fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
