//! Files that go along with an attestation (`cli.md` 5.4): one file as it is, anything else as one
//! compressed archive.
//!
//! Names in the archive never leave it: they are relative, without `..`, and unique. Links are not
//! followed, so that nothing outside the given paths gets in, except where a given path itself is a
//! link to a file or directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempPath;
use walkdir::WalkDir;

use super::reason;

/// The name of the archive.
pub const ARCHIVE_NAME: &str = "evidence.tgz";

/// What is sent.
#[derive(Debug)]
pub struct Attachment {
    /// Where it lies.
    pub path: PathBuf,
    /// The name that is shown to the server.
    pub name: String,
    /// The archive, which goes with this value.
    _archive: Option<TempPath>,
}

/// Why the files cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// The only path cannot be read.
    #[error("stat {path}: {reason}")]
    Stat {
        /// As it was given.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// One of several paths cannot be read.
    #[error("failed to package attachment {path}: {reason}")]
    Package {
        /// As it was given.
        path: String,
        /// What went wrong where.
        reason: String,
    },
    /// The archive cannot be written.
    #[error("failed to write the archive of attachments: {0}")]
    Write(io::Error),
}

/// What to send for the given paths; nothing for none.
pub fn pack(paths: &[String]) -> Result<Option<Attachment>, AttachmentError> {
    let [only] = paths else {
        return if paths.is_empty() {
            Ok(None)
        } else {
            archive(paths).map(Some)
        };
    };
    let path = Path::new(only);
    let metadata = std::fs::metadata(path).map_err(|error| AttachmentError::Stat {
        path: only.clone(),
        reason: reason(&error),
    })?;
    if metadata.is_dir() {
        return archive(paths).map(Some);
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(Some(Attachment {
        path: path.to_owned(),
        name,
        _archive: None,
    }))
}

fn archive(paths: &[String]) -> Result<Attachment, AttachmentError> {
    let file = tempfile::Builder::new()
        .suffix(".tgz")
        .tempfile()
        .map_err(AttachmentError::Write)?;
    let (file, path) = file.into_parts();
    let mut archive =
        tar::Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default()));
    archive.follow_symlinks(false);
    let mut names = BTreeSet::new();
    for given in paths {
        // One directory stands for itself; of several paths each keeps its place.
        let base = if paths.len() == 1 {
            PathBuf::new()
        } else {
            inside(Path::new(given))
        };
        for (file, name) in files(given, &base)? {
            if !names.insert(name.clone()) {
                continue;
            }
            append(&mut archive, &file, &name).map_err(|error| AttachmentError::Package {
                path: given.clone(),
                reason: format!("open {}: {}", file.display(), reason(&error)),
            })?;
        }
    }
    archive
        .into_inner()
        .and_then(GzEncoder::finish)
        .and_then(|writer| writer.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| file.sync_data())
        .map_err(AttachmentError::Write)?;
    Ok(Attachment {
        path: path.to_path_buf(),
        name: ARCHIVE_NAME.to_owned(),
        _archive: Some(path),
    })
}

fn append<W: io::Write>(archive: &mut tar::Builder<W>, file: &Path, name: &Path) -> io::Result<()> {
    let mut file = File::open(file)?;
    archive.append_file(name, &mut file)
}

/// The regular files at and below `given` in the order of their paths, with their names below
/// `base`.
fn files(given: &str, base: &Path) -> Result<Vec<(PathBuf, PathBuf)>, AttachmentError> {
    let failed = |verb: &str, path: &Path, error: &io::Error| AttachmentError::Package {
        path: given.to_owned(),
        reason: format!("{verb} {}: {}", path.display(), reason(error)),
    };
    let root = Path::new(given);
    let metadata = std::fs::metadata(root).map_err(|error| failed("lstat", root, &error))?;
    if !metadata.is_dir() {
        let name = if base.as_os_str().is_empty() {
            PathBuf::from(root.file_name().unwrap_or_default())
        } else {
            base.to_owned()
        };
        return Ok(vec![(root.to_owned(), name)]);
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            let error = error
                .into_io_error()
                .unwrap_or_else(|| io::Error::other("a loop of links"));
            failed("open", &path, &error)
        })?;
        if entry.file_type().is_file() {
            let below = entry
                .path()
                .strip_prefix(root)
                .unwrap_or_else(|_| entry.path());
            found.push((entry.path().to_owned(), base.join(below)));
        }
    }
    Ok(found)
}

/// `path` as a name inside an archive: no root, no steps up. Each step up takes a step down with it,
/// and those before the first step down vanish.
fn inside(path: &Path) -> PathBuf {
    let mut name = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => name.push(part),
            Component::ParentDir => {
                name.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    name
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use std::io::Read as _;

    use super::*;

    /// Names and contents of the archive made of `paths`.
    fn packed(paths: &[String]) -> Vec<(String, String)> {
        let attachment = pack(paths).unwrap().unwrap();
        assert_eq!(attachment.name, ARCHIVE_NAME);
        let reader = flate2::read::GzDecoder::new(File::open(&attachment.path).unwrap());
        let mut archive = tar::Archive::new(reader);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().to_str().unwrap().to_owned();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                (name, content)
            })
            .collect()
    }

    fn names(paths: &[String]) -> Vec<String> {
        packed(paths).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn one_file_goes_as_it_is_and_the_rest_as_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir_all(at("d/e")).unwrap();
        std::fs::create_dir_all(at("d/empty")).unwrap();
        std::fs::create_dir_all(at("outside")).unwrap();
        std::fs::write(at("a"), "1").unwrap();
        std::fs::write(at("d/b"), "2").unwrap();
        std::fs::write(at("d/e/c"), "3").unwrap();
        std::fs::write(at("outside/secret"), "4").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("d/link")).unwrap();
        std::os::unix::fs::symlink(at("a"), at("d/linked")).unwrap();

        let one = pack(&[at("a")]).unwrap().unwrap();
        assert_eq!((one.path, one.name.as_str()), (at("a").into(), "a"));
        assert!(pack(&[]).unwrap().is_none());

        assert_eq!(names(&[at("d")]), ["b", "e/c"]);
        assert_eq!(names(&[at("./d/")]), ["b", "e/c"]);
        let below = |name: &str| at(name).trim_start_matches('/').to_owned();
        assert_eq!(
            names(&[at("d"), at("a"), at("d/../a")]),
            [below("d/b"), below("d/e/c"), below("a")]
        );
        // A link that is named itself is followed: the caller asked for it.
        assert_eq!(names(&[at("d/link")]), ["secret"]);
        assert_eq!(packed(&[at("d/linked"), at("d/e")])[0].1, "1");

        let gone = pack(&[at("nope")]).unwrap_err().to_string();
        assert_eq!(
            gone,
            format!("stat {}: no such file or directory", at("nope"))
        );
        let gone = pack(&[at("nope"), at("a")]).unwrap_err().to_string();
        assert_eq!(
            gone,
            format!(
                "failed to package attachment {0}: lstat {0}: no such file or directory",
                at("nope")
            )
        );
    }

    #[test]
    fn names_stay_inside() {
        let check = |path: &str, expected: &str| {
            assert_eq!(inside(Path::new(path)), Path::new(expected), "{path}");
        };
        check("../x", "x");
        check("../../x/../y", "y");
        check("./a/b", "a/b");
        check("/abs/x", "abs/x");
        check("a/../../b", "b");
    }
}
