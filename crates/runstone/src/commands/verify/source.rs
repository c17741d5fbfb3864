//! Where the bytes of a log come from: a server or a folder.
//!
//! It knows no format: it finds out what an argument names and reads paths.

use std::io;
use std::path::{Path, PathBuf};

use runstone_journal::verify::{FETCH_BYTES_MAX, Fetch, FetchError};

use crate::context::Context;

/// What an argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A log served over HTTP; its prefix without a slash at the end.
    Site(String),
    /// A folder with the files of a log.
    Folder(PathBuf),
    /// A receipt.
    Receipt(PathBuf),
}

impl Place {
    /// What `argument` names.
    pub fn of(argument: &str) -> anyhow::Result<Self> {
        if argument.starts_with("http://") || argument.starts_with("https://") {
            let prefix = argument.trim_end_matches('/');
            let prefix = prefix.strip_suffix("/checkpoint").unwrap_or(prefix);
            return Ok(Self::Site(prefix.to_owned()));
        }
        let path = PathBuf::from(argument);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => Ok(Self::Folder(path)),
            Ok(_) => Ok(Self::Receipt(path)),
            Err(error) => Err(anyhow::anyhow!("cannot read {argument}: {error}")),
        }
    }
}

/// A log on a server.
pub struct Site<'a> {
    context: &'a Context,
    prefix: String,
}

impl<'a> Site<'a> {
    /// The log below `prefix`.
    pub fn new(context: &'a Context, prefix: &str) -> Self {
        Self {
            context,
            prefix: prefix.to_owned(),
        }
    }
}

impl Fetch for Site<'_> {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        match self.context.get(format!("{}/{path}", self.prefix)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(FetchError::new(error)),
        }
    }
}

/// A folder with the files of a log under the paths they are served at.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The files below `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Fetch for Folder {
    fn fetch(&mut self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        match read_bounded(&self.root.join(path), FETCH_BYTES_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            // A file may stand where a path asks for a folder.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(FetchError::new(error)),
        }
    }
}

/// Reads a file, but no more than one byte over `limit`.
pub fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r");
        std::fs::write(&file, "x").unwrap();
        let of = |argument: &str| Place::of(argument).unwrap();
        assert_eq!(
            of("http://h/log/o/"),
            Place::Site("http://h/log/o".to_owned())
        );
        assert_eq!(
            of("https://h/log/o/checkpoint"),
            Place::Site("https://h/log/o".to_owned())
        );
        assert_eq!(
            of(folder.path().to_str().unwrap()),
            Place::Folder(folder.path().to_owned())
        );
        assert_eq!(of(file.to_str().unwrap()), Place::Receipt(file));
        assert!(Place::of("/no/such/place").is_err());
    }

    #[test]
    fn a_folder_says_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("checkpoint"), "x").unwrap();
        let mut fetch = Folder::new(folder.path().to_owned());
        assert_eq!(fetch.fetch("checkpoint").unwrap(), Some(b"x".to_vec()));
        assert_eq!(fetch.fetch("tile/0/000").unwrap(), None);
        assert_eq!(fetch.fetch("checkpoint/x").unwrap(), None);
    }
}
