//! A tar archive, compressed, that is the same for the same files, and is made a piece at a time.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

/// The list of all files, as `sha256sum` writes and checks it.
const MANIFEST: &str = "MANIFEST.sha256";
/// Bytes of a block of the archive.
const BLOCK: u64 = 512;

/// An archive that is being written.
pub(crate) struct Archive {
    out: GzEncoder<Vec<u8>>,
    folder: String,
    manifest: String,
}

/// SHA-256 in hexadecimal digits.
fn digest_of(bytes: &[u8]) -> String {
    runstone_model::id::encode_hex(&Sha256::digest(bytes))
}

impl Archive {
    /// One with everything in this folder, whose name is safe and short.
    pub(crate) fn new(folder: &str) -> Self {
        Self {
            out: GzBuilder::new()
                .mtime(0)
                .write(Vec::new(), Compression::fast()),
            folder: folder.to_owned(),
            manifest: String::new(),
        }
    }

    /// Begins a file of so many bytes, which must follow, then [`Archive::end`].
    pub(crate) fn begin(&mut self, path: &str, bytes: u64) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("{}/{path}", self.folder))?;
        header.set_size(bytes);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    /// The next bytes of the file that was begun.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Ends a file of so many bytes with this digest.
    pub(crate) fn end(&mut self, path: &str, bytes: u64, digest: &str) -> io::Result<()> {
        writeln!(self.manifest, "{digest}  {path}").map_err(io::Error::other)?;
        self.pad(bytes)
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(path, bytes.len() as u64)?;
        self.feed(bytes)?;
        self.end(path, bytes.len() as u64, &digest_of(bytes))
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let rest = (BLOCK - bytes % BLOCK) % BLOCK;
        self.out.write_all(&[0; BLOCK as usize][..rest as usize])
    }

    /// What is compressed so far and was not taken yet.
    pub(crate) fn take(&mut self) -> Bytes {
        std::mem::take(self.out.get_mut()).into()
    }

    /// The end: the list of all files, and what was not taken yet.
    pub(crate) fn finish(mut self) -> io::Result<Bytes> {
        let manifest = std::mem::take(&mut self.manifest);
        self.begin(MANIFEST, manifest.len() as u64)?;
        self.feed(manifest.as_bytes())?;
        self.pad(manifest.len() as u64)?;
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        self.out.finish().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::io::Read as _;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new("trail");
        archive.add("a.json", b"{}").unwrap();
        let mut bytes = archive.take().to_vec();
        archive.begin("evidence/b", 1_000).unwrap();
        archive.feed(&[7; 600]).unwrap();
        archive.feed(&[7; 400]).unwrap();
        archive
            .end("evidence/b", 1_000, &digest_of(&[7; 1_000]))
            .unwrap();
        archive.add("empty", b"").unwrap();
        bytes.extend_from_slice(&archive.finish().unwrap());
        bytes
    }

    #[test]
    fn the_same_files_give_the_same_bytes_that_others_can_read() {
        let bytes = archive();
        assert_eq!(bytes, archive());
        let mut read = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let mut files = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            files.push((entry.path().unwrap().display().to_string(), content));
        }
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "trail/a.json",
                "trail/evidence/b",
                "trail/empty",
                "trail/MANIFEST.sha256"
            ]
        );
        assert_eq!(files[1].1, [7; 1_000]);
        let manifest = format!(
            "{}  a.json\n{}  evidence/b\n{}  empty\n",
            digest_of(b"{}"),
            digest_of(&[7; 1_000]),
            digest_of(b"")
        );
        assert_eq!(files[3].1, manifest.as_bytes());
    }
}
