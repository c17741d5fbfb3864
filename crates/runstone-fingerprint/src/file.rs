//! Fingerprints of single files and byte streams (`cli.md` 3.1).
//!
//! Owns how bytes are read: once, through a reused buffer; a huge file is read by a second
//! thread while the first one hashes, because one SHA-256 stream cannot be split.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use runstone_model::id::Fingerprint;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Size of a read: large enough to make calls rare, small enough to stay in the cache.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// After so many bytes a file gets a reading thread of its own.
const READ_AHEAD_FROM_BYTES: u64 = 8 * 1024 * 1024;
/// Buffers that travel between the reading and the hashing thread.
const READ_AHEAD_CHUNKS: usize = 4;

/// Fingerprint of a regular file's bytes. Symbolic links are followed.
///
/// # Errors
/// `open <path>: …`, or `read <path>: …` (a directory opens, but cannot be read).
pub fn file(path: &Path) -> Result<Fingerprint, Error> {
    let parallel = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let mut buffer = vec![0; CHUNK_BYTES];
    hash_path(path, &mut buffer, parallel, &mut |_| {})
        .map(Fingerprint)
        .map_err(|error| error.explain_blank(path, "The filename"))
}

/// Fingerprint of everything `reader` gives.
///
/// # Errors
/// Those of the reader; interrupted reads are repeated.
pub fn stream(mut reader: impl Read) -> io::Result<Fingerprint> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut hasher = Sha256::new();
    loop {
        match read_some(&mut reader, &mut buffer)? {
            0 => return Ok(Fingerprint(hasher.finalize().into())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// SHA-256 of the file at `path`, read once. `read` is told of every piece that was hashed.
pub(crate) fn hash_path(
    path: &Path,
    buffer: &mut [u8],
    read_ahead: bool,
    read: &mut dyn FnMut(u64),
) -> Result<[u8; 32], Error> {
    let file = File::open(path).map_err(|error| Error::os("open", path, &error))?;
    hash_open(file, buffer, read_ahead, read).map_err(|error| Error::os("read", path, &error))
}

fn hash_open(
    mut file: File,
    buffer: &mut [u8],
    read_ahead: bool,
    read: &mut dyn FnMut(u64),
) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut total = 0;
    loop {
        if read_ahead && total >= READ_AHEAD_FROM_BYTES {
            hash_rest_ahead(file, &mut hasher, read)?;
            break;
        }
        let length = read_some(&mut file, buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        total += length as u64;
        read(length as u64);
    }
    Ok(hasher.finalize().into())
}

/// Hashes what is left of `file` while another thread reads it.
fn hash_rest_ahead(
    mut file: File,
    hasher: &mut Sha256,
    read: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let (full, filled) = mpsc::sync_channel::<io::Result<(Vec<u8>, usize)>>(READ_AHEAD_CHUNKS);
    let (spare, empty) = mpsc::sync_channel::<Vec<u8>>(READ_AHEAD_CHUNKS);
    for _ in 0..READ_AHEAD_CHUNKS {
        spare
            .send(vec![0; CHUNK_BYTES])
            .expect("the channel holds all buffers");
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(mut buffer) = empty.recv() {
                let message = match read_some(&mut file, &mut buffer) {
                    Ok(0) => break,
                    Ok(length) => Ok((buffer, length)),
                    Err(error) => Err(error),
                };
                let failed = message.is_err();
                if full.send(message).is_err() || failed {
                    break;
                }
            }
        });
        for message in filled {
            let (buffer, length) = message?;
            hasher.update(&buffer[..length]);
            read(length as u64);
            // The reader is gone after the end of the file; its buffer is then dropped here.
            drop(spare.send(buffer));
        }
        Ok(())
    })
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn reading_ahead_gives_the_same_hash_and_tells_every_byte() {
        let mut big = vec![0_u8; READ_AHEAD_FROM_BYTES as usize + 3 * CHUNK_BYTES + 17];
        for (index, byte) in big.iter_mut().enumerate() {
            *byte = (index * 31 % 251) as u8;
        }
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &big).unwrap();
        let expected: [u8; 32] = Sha256::digest(&big).into();
        for read_ahead in [false, true] {
            let mut told = 0;
            let mut buffer = vec![0; CHUNK_BYTES];
            let hash = hash_path(path.path(), &mut buffer, read_ahead, &mut |n| told += n).unwrap();
            assert_eq!(hash, expected);
            assert_eq!(told, big.len() as u64);
        }
        assert_eq!(stream(&big[..]).unwrap().0, expected);
    }
}
