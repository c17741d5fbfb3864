//! Bodies at rest: packed, compressed, and the large ones outside the database.
//!
//! Packing writes 64 hexadecimal digits as 32 bytes; zstd then knows the shapes of our JSON from
//! a dictionary. Both give back the exact bytes, which is checked before they are stored. Several
//! stored forms may give the same bytes, so every form but the plain one carries a CRC-32 of
//! itself: a damaged byte never hides behind a text that still reads right.

use std::cell::RefCell;
use std::sync::Arc;

use crate::value::DbError;

/// Stored as they are.
const RAW: i64 = 0;
/// Packed; read only, written before there were sums.
const PACKED_BARE: i64 = 1;
/// Packed, then zstd with [`DICTIONARY`]; read only, written before there were sums.
const PACKED_ZSTD_BARE: i64 = 2;
/// The sum of what follows, little-endian, and the packed bytes.
const PACKED: i64 = 3;
/// A zstd frame over the packed bytes whose magic number, the same in all frames, gave its place
/// to the sum of what follows.
const PACKED_ZSTD: i64 = 4;

/// A file outside, as it was uploaded.
pub(crate) const OPAQUE: i64 = 16;

/// Bytes of a sum.
const SUM: usize = 4;
/// The first bytes of every zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; SUM] = [0x28, 0xB5, 0x2F, 0xFD];

/// A byte that stands in no JSON text: 32 raw bytes follow that were 64 hexadecimal digits.
const HEX: u8 = 0x01;
/// The next byte is meant as it is (0x01 and 0x02 in private salts).
const ESCAPE: u8 = 0x02;

/// Shapes of our JSON, most frequent last, as raw content for zstd. Part of the stored format:
/// never changed, only followed by another version.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.txt");

/// Less is not worth a compressor's time; of a private text 32 bytes are random anyway.
const COMPRESS_BYTES_MIN: usize = 96;

/// Bodies above this many stored bytes go to the blob store.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Appends the packed form of `bytes`.
fn pack(bytes: &[u8], packed: &mut Vec<u8>) {
    packed.reserve(bytes.len());
    let mut rest = bytes;
    loop {
        let plain = rest
            .iter()
            .position(|byte| matches!(*byte, b'"' | HEX | ESCAPE))
            .unwrap_or(rest.len());
        let (run, special) = rest.split_at(plain);
        packed.extend_from_slice(run);
        let Some((&byte, tail)) = special.split_first() else {
            return;
        };
        if byte == b'"'
            && tail.get(64) == Some(&b'"')
            && let Some(raw) = runstone_model::id::decode_hex_32(&tail[..64])
        {
            packed.push(HEX);
            packed.extend_from_slice(&raw);
            rest = &tail[65..];
            continue;
        }
        if byte != b'"' {
            packed.push(ESCAPE);
        }
        packed.push(byte);
        rest = tail;
    }
}

/// Appends what [`pack`] took; none if that was nothing.
fn unpack(packed: &[u8], total: usize, bytes: &mut Vec<u8>) -> Option<()> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // A damaged length must not reserve more than the packed bytes can give.
    bytes.reserve(total.min(packed.len().saturating_mul(2)));
    let mut quoted = [b'"'; 66];
    let mut rest = packed;
    loop {
        let plain = memchr::memchr2(HEX, ESCAPE, rest).unwrap_or(rest.len());
        let (run, special) = rest.split_at(plain);
        bytes.extend_from_slice(run);
        let Some((&byte, tail)) = special.split_first() else {
            return Some(());
        };
        if byte == HEX {
            let (raw, after) = tail.split_first_chunk::<32>()?;
            for (byte, digits) in raw.iter().zip(quoted[1..].chunks_exact_mut(2)) {
                digits[0] = DIGITS[usize::from(byte >> 4)];
                digits[1] = DIGITS[usize::from(byte & 15)];
            }
            bytes.extend_from_slice(&quoted);
            rest = after;
        } else {
            let (&escaped, after) = tail.split_first()?;
            bytes.push(escaped);
            rest = after;
        }
    }
}

/// What compressing and decompressing need again and again, once per thread.
#[derive(Default)]
struct Scratch {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    packed: Vec<u8>,
    frame: Vec<u8>,
}

/// A buffer that once held something large is given back.
const SCRATCH_BYTES_MAX: usize = 1024 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Compresses the packed bytes.
    fn compress(&mut self) -> std::io::Result<Vec<u8>> {
        if self.compressor.is_none() {
            let mut new = zstd::bulk::Compressor::with_dictionary(3, DICTIONARY)?;
            // The store knows sizes and sums; frames need not carry them again.
            new.include_checksum(false)?;
            new.include_dictid(false)?;
            self.compressor = Some(new);
        }
        let compressor = self.compressor.as_mut().expect("made above");
        compressor.compress(&self.packed)
    }

    /// Decompresses a frame, given in two parts, to at most `limit` packed bytes.
    fn decompress(&mut self, magic: &[u8], rest: &[u8], limit: usize) -> std::io::Result<()> {
        if self.decompressor.is_none() {
            self.decompressor = Some(zstd::bulk::Decompressor::with_dictionary(DICTIONARY)?);
        }
        self.frame.clear();
        self.frame.extend_from_slice(magic);
        self.frame.extend_from_slice(rest);
        // Neither of two lengths that may be damaged alone decides what is reserved.
        let size = zstd::zstd_safe::get_frame_content_size(&self.frame)
            .ok()
            .flatten()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size <= limit)
            .ok_or(std::io::ErrorKind::InvalidData)?;
        self.packed.clear();
        self.packed.reserve(size);
        let decompressor = self.decompressor.as_mut().expect("made above");
        decompressor.decompress_to_buffer(&self.frame, &mut self.packed)?;
        Ok(())
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.packed, &mut self.frame] {
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
    }
}

/// The smallest stored form of `bytes` and its encoding.
pub(crate) fn encode(bytes: &[u8]) -> (i64, Vec<u8>) {
    let best = SCRATCH.with_borrow_mut(|scratch| {
        scratch.packed.clear();
        pack(bytes, &mut scratch.packed);
        let frame = (scratch.packed.len() >= COMPRESS_BYTES_MIN).then(|| scratch.compress());
        let best = match frame {
            Some(Ok(mut frame))
                if frame.len() < scratch.packed.len() && frame.starts_with(&ZSTD_MAGIC) =>
            {
                let sum = crc32fast::hash(&frame[SUM..]);
                frame[..SUM].copy_from_slice(&sum.to_le_bytes());
                (PACKED_ZSTD, frame)
            }
            _ if scratch.packed.len() + SUM < bytes.len() => {
                let sum = crc32fast::hash(&scratch.packed);
                let mut stored = Vec::with_capacity(SUM + scratch.packed.len());
                stored.extend_from_slice(&sum.to_le_bytes());
                stored.extend_from_slice(&scratch.packed);
                (PACKED, stored)
            }
            _ => (RAW, bytes.to_vec()),
        };
        scratch.shrink();
        best
    });
    debug_assert_eq!(decode(best.0, &best.1, bytes.len()).as_deref(), Ok(bytes));
    best
}

/// The bytes stored in a form of [`encode`]; `total` is their length.
pub(crate) fn decode(encoding: i64, stored: &[u8], total: usize) -> Result<Vec<u8>, DbError> {
    let mut bytes = Vec::new();
    decode_into(encoding, stored, total, &mut bytes)?;
    Ok(bytes)
}

/// The bytes of a body that lies outside, where attached files are as they were uploaded.
pub(crate) fn decode_outside(
    encoding: i64,
    stored: Arc<[u8]>,
    total: usize,
) -> Result<Arc<[u8]>, DbError> {
    match encoding {
        OPAQUE if stored.len() == total => Ok(stored),
        encoding => decode(encoding, &stored, total).map(Into::into),
    }
}

/// The same into a buffer whose content goes.
pub(crate) fn decode_into(
    encoding: i64,
    stored: &[u8],
    total: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), DbError> {
    bytes.clear();
    let damaged = || DbError::Corrupt("a stored body is damaged".to_owned());
    let summed = || {
        let (sum, rest) = stored.split_first_chunk::<SUM>().ok_or_else(damaged)?;
        if crc32fast::hash(rest) == u32::from_le_bytes(*sum) {
            Ok(rest)
        } else {
            Err(damaged())
        }
    };
    match encoding {
        RAW => bytes.extend_from_slice(stored),
        // Packing was taken only where it saved something: a text without anything to pack is
        // no packed form of itself.
        PACKED_BARE if stored.len() < total => {
            unpack(stored, total, bytes).ok_or_else(damaged)?;
        }
        PACKED => unpack(summed()?, total, bytes).ok_or_else(damaged)?,
        PACKED_ZSTD | PACKED_ZSTD_BARE => {
            let (magic, rest) = if encoding == PACKED_ZSTD {
                (&ZSTD_MAGIC[..], summed()?)
            } else {
                (&[][..], stored)
            };
            SCRATCH.with_borrow_mut(|scratch| {
                // Escapes may make the packed form longer than the bytes, at most twice.
                scratch
                    .decompress(magic, rest, total.saturating_mul(2).saturating_add(64))
                    .map_err(|_| damaged())?;
                let unpacked = unpack(&scratch.packed, total, bytes).ok_or_else(damaged);
                scratch.shrink();
                unpacked
            })?;
        }
        _ => return Err(damaged()),
    }
    if bytes.len() != total {
        return Err(damaged());
    }
    Ok(())
}

/// A small text in one column: encoding byte, length in groups of seven bits, stored form.
pub(crate) fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let (encoding, stored) = encode(bytes);
    let mut squeezed = Vec::with_capacity(stored.len() + 4);
    squeezed.push(encoding as u8);
    let mut total = bytes.len();
    while total >= 0x80 {
        squeezed.push(total as u8 | 0x80);
        total >>= 7;
    }
    squeezed.push(total as u8);
    squeezed.extend_from_slice(&stored);
    squeezed
}

/// What [`squeeze`] took.
pub(crate) fn unsqueeze(squeezed: &[u8]) -> Result<Vec<u8>, DbError> {
    let damaged = || DbError::Corrupt("a stored detail is damaged".to_owned());
    let (&encoding, mut rest) = squeezed.split_first().ok_or_else(damaged)?;
    let mut total = 0usize;
    for shift in (0..35).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or_else(damaged)?;
        rest = tail;
        total |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return decode(i64::from(encoding), rest, total);
        }
    }
    Err(damaged())
}

/// A full entry bundle, packed and compressed.
pub(crate) fn seal(bundle: &[u8]) -> Vec<u8> {
    squeeze(bundle)
}

/// The exact bundle bytes.
pub(crate) fn unseal(sealed: &[u8]) -> Result<Vec<u8>, DbError> {
    unsqueeze(sealed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let (encoding, stored) = encode(&bytes);
            prop_assert_eq!(decode(encoding, &stored, bytes.len()).expect("own bytes"), bytes.clone());
            prop_assert_eq!(unsqueeze(&squeeze(&bytes)).expect("own bytes"), bytes);
        }

        #[test]
        fn a_damaged_byte_never_reads_as_the_same(
            bytes in "[a-c]{0,40}(\"[0-9a-f]{64}\"){0,3}[\"\\x00-\\x03 {}:,a-z]{0,60}",
            flip in 1u8..=255,
        ) {
            let bytes = bytes.as_bytes();
            let squeezed = squeeze(bytes);
            for at in 0..squeezed.len() {
                let mut damaged = squeezed.clone();
                damaged[at] ^= flip;
                prop_assert!(unsqueeze(&damaged).as_deref() != Ok(bytes), "byte {}", at);
            }
            let (encoding, stored) = encode(bytes);
            for other in (-1..300).filter(|other| *other != encoding) {
                prop_assert!(decode(other, &stored, bytes.len()).as_deref() != Ok(bytes), "{}", other);
            }
        }

        #[test]
        fn forms_without_a_sum_still_read(bytes in "[a-c]{0,40}(\"[0-9a-f]{64}\"){1,3}") {
            let bytes = bytes.as_bytes();
            let mut packed = Vec::new();
            pack(bytes, &mut packed);
            prop_assert!(decode(PACKED_BARE, &packed, bytes.len()).as_deref() == Ok(bytes));
            let mut compressor = zstd::bulk::Compressor::with_dictionary(3, DICTIONARY).expect("ours");
            let frame = compressor.compress(&packed).expect("memory");
            prop_assert!(decode(PACKED_ZSTD_BARE, &frame, bytes.len()).as_deref() == Ok(bytes));
        }

        #[test]
        fn damage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), total in 0usize..5_000) {
            let _ = unsqueeze(&bytes);
            for encoding in -1..6 {
                let _ = decode(encoding, &bytes, total);
            }
        }
    }

    #[test]
    fn a_difference_becomes_small() {
        let effects = format!(
            "{{\"added\":[{{\"detail\":{{\"pods\":{{\"web-6f5d8c7b9-x2x4q\":{{\"ns\":\"prod\",\"owners\":[{{\"apiVersion\":\"apps/v1\",\"blockOwnerDeletion\":true,\"controller\":true,\"kind\":\"ReplicaSet\",\"name\":\"web-6f5d8c7b9\",\"uid\":\"5b0b2c3e-8d2f-4a1b-9c3d-2e4f6a8b0c1d\"}}],\"t\":1777956787}}}},\"t\":[1777956787]}},\"record\":{{\"fingerprint\":\"{0}\",\"name\":\"ghcr.io/acme/web:1.4\",\"v\":1}}}}],\"changed\":[],\"judgements\":[],\"logical\":[],\"removed\":[\"{0}\"],\"v\":1}}",
            "82e63f3427c5e01fe76b8210db985144d10088cf1eea61094353db37c7ef3e99"
        );
        let squeezed = squeeze(effects.as_bytes());
        assert!(squeezed.len() < 190, "{} bytes", squeezed.len());
    }
}
