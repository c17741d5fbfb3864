//! Bodies at rest: packed, compressed, and the large ones outside the database.
//!
//! Packing writes 64 hexadecimal digits as 32 bytes; zstd then knows the shapes of our JSON from
//! a dictionary. Both give back the exact bytes, which is checked before they are stored.

use std::sync::Arc;

use crate::value::DbError;

/// Stored as they are.
const RAW: i64 = 0;
/// Packed.
const PACKED: i64 = 1;
/// Packed, then zstd with [`DICTIONARY`].
const PACKED_ZSTD: i64 = 2;

/// A byte that stands in no JSON text: 32 raw bytes follow that were 64 hexadecimal digits.
const HEX: u8 = 0x01;
/// The next byte is meant as it is (0x01 and 0x02 in private salts).
const ESCAPE: u8 = 0x02;

/// Shapes of our JSON, most frequent last, as raw content for zstd. Part of the stored format:
/// never changed, only followed by another version.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.txt");

/// Bodies above this many stored bytes go to the blob store.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        if byte == b'"'
            && rest.len() >= 66
            && rest[65] == b'"'
            && let Some(raw) = runstone_model::id::decode_hex_32(&rest[1..65])
        {
            packed.push(HEX);
            packed.extend_from_slice(&raw);
            rest = &rest[66..];
            continue;
        }
        if byte == HEX || byte == ESCAPE {
            packed.push(ESCAPE);
        }
        packed.push(byte);
        rest = &rest[1..];
    }
    packed
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(packed.len() * 2);
    let mut rest = packed;
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            HEX => {
                let (raw, after) = tail.split_at_checked(32)?;
                bytes.push(b'"');
                bytes.extend_from_slice(runstone_model::id::encode_hex(raw).as_bytes());
                bytes.push(b'"');
                rest = after;
            }
            ESCAPE => {
                let (&escaped, after) = tail.split_first()?;
                bytes.push(escaped);
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Some(bytes)
}

thread_local! {
    static COMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> =
        const { std::cell::RefCell::new(None) };
    static DECOMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { std::cell::RefCell::new(None) };
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            let mut new = zstd::bulk::Compressor::with_dictionary(3, DICTIONARY)?;
            // The store knows sizes and sums; frames need not carry them again.
            new.include_checksum(false)?;
            new.include_dictid(false)?;
            *compressor = Some(new);
        }
        compressor.as_mut().expect("made above").compress(bytes)
    })
}

fn decompress(bytes: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        if decompressor.is_none() {
            *decompressor = Some(zstd::bulk::Decompressor::with_dictionary(DICTIONARY)?);
        }
        decompressor
            .as_mut()
            .expect("made above")
            .decompress(bytes, limit)
    })
}

/// The smallest stored form of `bytes` and its encoding.
pub(crate) fn encode(bytes: &[u8]) -> (i64, Vec<u8>) {
    let packed = pack(bytes);
    let best = match compress(&packed) {
        Ok(small) if small.len() < packed.len() => (PACKED_ZSTD, small),
        _ if packed.len() < bytes.len() => (PACKED, packed),
        _ => (RAW, bytes.to_vec()),
    };
    debug_assert_eq!(decode(best.0, &best.1, bytes.len()).as_deref(), Ok(bytes));
    best
}

/// The bytes stored in a form of [`encode`]; `total` is their length.
pub(crate) fn decode(encoding: i64, stored: &[u8], total: usize) -> Result<Vec<u8>, DbError> {
    let damaged = || DbError::Corrupt("a stored body is damaged".to_owned());
    let bytes = match encoding {
        RAW => stored.to_vec(),
        PACKED => unpack(stored).ok_or_else(damaged)?,
        PACKED_ZSTD => {
            // Escapes may make the packed form longer than the bytes, at most twice.
            let packed = decompress(stored, total.saturating_mul(2) + 64).map_err(|_| damaged())?;
            unpack(&packed).ok_or_else(damaged)?
        }
        _ => return Err(damaged()),
    };
    if bytes.len() != total {
        return Err(damaged());
    }
    Ok(bytes)
}

/// A small text in one column: encoding byte, then the stored form, with the length in front
/// where it is needed.
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
pub(crate) fn unsqueeze(squeezed: &[u8]) -> Result<Arc<[u8]>, DbError> {
    let damaged = || DbError::Corrupt("a stored detail is damaged".to_owned());
    let (&encoding, mut rest) = squeezed.split_first().ok_or_else(damaged)?;
    let mut total = 0usize;
    for shift in (0..35).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or_else(damaged)?;
        rest = tail;
        total |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return decode(i64::from(encoding), rest, total).map(Arc::from);
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
    unsqueeze(sealed).map(|bytes| bytes.to_vec())
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
            prop_assert_eq!(unsqueeze(&squeeze(&bytes)).expect("own bytes").to_vec(), bytes);
        }

        #[test]
        fn damage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), total in 0usize..5_000) {
            let _ = unsqueeze(&bytes);
            for encoding in 0..4 {
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
