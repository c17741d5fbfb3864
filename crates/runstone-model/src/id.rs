//! Identities and instants shared by all rooms: fingerprints, digests, times.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Identity of an artifact: a SHA-256 value, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Any other SHA-256 value: of a body, a state, an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not 64 lower-case hexadecimal digits: {0}")]
pub struct NotHex(pub String);

macro_rules! sha256_value {
    ($name:ident) => {
        impl $name {
            /// The raw 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hexadecimal digits.
            pub fn to_hex(&self) -> String {
                encode_hex(&self.0)
            }

            /// The value whose raw bytes are given, if there are exactly 32.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex())
            }
        }

        impl FromStr for $name {
            type Err = NotHex;

            fn from_str(text: &str) -> Result<Self, NotHex> {
                decode_hex_32(text.as_bytes())
                    .map(Self)
                    .ok_or_else(|| NotHex(text.to_owned()))
            }
        }
    };
}

sha256_value!(Fingerprint);
sha256_value!(Digest);

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A git commit's SHA-1, written as 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(pub [u8; 20]);

impl Commit {
    /// 40 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        encode_hex(&self.0)
    }

    /// The commit written as `text`, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut padded = [b'0'; 64];
        padded
            .get_mut(..40)?
            .copy_from_slice(text.as_bytes().get(..40)?);
        let bytes = (text.len() == 40).then(|| decode_hex_32(&padded))??;
        bytes.first_chunk().copied().map(Self)
    }

    /// The commit whose raw bytes are given, if there are exactly 20.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commit({})", self.to_hex())
    }
}

/// What an id on the wire names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// An organization; its number is 0.
    Organization,
    /// An environment.
    Environment,
    /// A flow.
    Flow,
    /// A version of a template.
    Template,
    /// A trail.
    Trail,
    /// A report of an artifact.
    Artifact,
    /// An attestation.
    Attestation,
    /// A repository.
    Repo,
    /// An approval; its number is that in its flow.
    Approval,
    /// A user or a service account.
    Principal,
}

/// The id that the wire shows for the thing with this number in the organization with this id:
/// 8, 4, 4, 4 and 8 hexadecimal digits (`api-flows.md` section 1.1). The last group is the number,
/// so that an id is found without an index; the others depend on all three, so that an id of
/// another organization or kind is not taken for one of these.
pub fn wire_id(named: Named, organization: &str, no: u32) -> String {
    let digest = Digest::of(format!("{named:?}:{organization}:{no}").as_bytes());
    let hex = encode_hex(&digest.0[..10]);
    format!(
        "{}-{}-{}-{}-{no:08x}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20]
    )
}

/// The number of what `id` names, if [`wire_id`] gives this id for it.
pub fn parse_wire_id(named: Named, organization: &str, id: &str) -> Option<u32> {
    let last = id.rsplit('-').next()?;
    let no = (last.len() == 8).then(|| u32::from_str_radix(last, 16).ok())??;
    (wire_id(named, organization, no) == id).then_some(no)
}

/// Lower-case hexadecimal text of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The 32 bytes written as 64 lower-case hexadecimal digits, or nothing.
pub fn decode_hex_32(text: &[u8]) -> Option<[u8; 32]> {
    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// An instant in microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// One second.
    pub const SECOND: i64 = 1_000_000;

    /// The instant `seconds` after the epoch; fractions are rounded to microseconds.
    /// Values beyond what fits saturate.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e6).round() as i64)
    }

    /// Seconds since the epoch, as the wire's `ts` values are.
    pub fn to_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// RFC 3339 in UTC; the number of microseconds where there is no such date.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_forty_digits() {
        let text = "16d9990ad23a40eecaf087abac2a58a2d2a4b3f4";
        let commit = Commit::parse(text).expect("a commit");
        assert_eq!(commit.to_hex(), text);
        assert_eq!(Commit::from_slice(&commit.0), Some(commit));
        for bad in [
            "",
            "16d9990",
            &text.to_uppercase(),
            &format!("{text}0"),
            &"é".repeat(20),
        ] {
            assert_eq!(Commit::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_of_the_wire_lead_back_to_their_numbers() {
        let id = wire_id(Named::Trail, "0123456789abcdef", 258);
        assert_eq!(id.len(), 32);
        assert!(id.ends_with("-00000102"), "{id}");
        assert_eq!(
            parse_wire_id(Named::Trail, "0123456789abcdef", &id),
            Some(258)
        );
        assert_eq!(parse_wire_id(Named::Flow, "0123456789abcdef", &id), None);
        assert_eq!(parse_wire_id(Named::Trail, "0123456789abcdee", &id), None);
        for bad in [
            "",
            "-",
            "x-00000102",
            "00000102",
            &id.to_uppercase(),
            &id[1..],
        ] {
            assert_eq!(
                parse_wire_id(Named::Trail, "0123456789abcdef", bad),
                None,
                "{bad}"
            );
        }
    }
}
