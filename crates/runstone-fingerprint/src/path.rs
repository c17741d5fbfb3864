//! Lexical path arithmetic on bytes, as the contract's patterns need it.
//!
//! `std::path` normalises differently (`components` keeps `..` and a leading `./`), and
//! exclusion compares path *texts*, so cleaning must be exactly the one of the contract:
//! `cli.md` 3.2 step 3. Never touches the file system.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The shortest path text that is lexically equal: no empty or `.` elements, `..` resolved
/// against what precedes it, no trailing slash; nothing becomes `.`.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|&byte| byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let mut text = Vec::with_capacity(path.len());
    if rooted {
        text.push(b'/');
    }
    text.extend_from_slice(&kept.join(&b'/'));
    if text.is_empty() {
        text.push(b'.');
    }
    text
}

/// The text of `name` inside the clean directory text `directory`.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(directory.len() + 1 + name.len());
    if directory != b"." {
        text.extend_from_slice(directory);
        if directory.last() != Some(&b'/') {
            text.push(b'/');
        }
    }
    text.extend_from_slice(name);
    text
}

/// Bytes as a path.
pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A path as bytes.
pub(crate) fn as_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        for (given, cleaned) in [
            ("", "."),
            ("a/", "a"),
            ("./a", "a"),
            ("a//b/./c", "a/b/c"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("../a/../../b", "../../b"),
            ("/..//a/", "/a"),
            ("/", "/"),
            ("t/../**/b", "**/b"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&clean(given.as_bytes())),
                cleaned,
                "{given}"
            );
        }
        assert_eq!(join(b".", b"x"), b"x");
        assert_eq!(join(b"/", b"x"), b"/x");
        assert_eq!(join(b"a/b", b"x"), b"a/b/x");
    }
}
