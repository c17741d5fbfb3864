//! Glob patterns against the file system, byte for byte as the contract has them (`cli.md` 3.3).
//!
//! Why no crate: the result decides fingerprints, and every crate differs somewhere: `glob` and
//! `globset` know braces, `!`, hidden-file options and another meaning of `**`; none rejects
//! exactly the same malformed patterns, matches `?` on bytes that are not UTF-8 alike, or splits
//! at `**` textually. The rules are small:
//!
//! - A pattern without `**` is matched segment by segment; the matched texts are results.
//! - At each `**` the pattern is cut. Each match of the first piece, and everything below it,
//!   is a candidate; the next piece is *appended as text* to every candidate and globbed again.
//!   So names met on the way take part in matching, `**/b.txt` gives the text `root//b.txt` for
//!   a file directly in the root (which equals no path of the walk), and `sub/**` gives `sub/`,
//!   not `sub`. Measured on the published client and kept, because fingerprints depend on it.
//!
//! A prefix of known length is literal: the root a directory fingerprint was asked for never
//! takes part in matching (`cli.md` 12, defect 9). Failing reads mean "no match" while globbing;
//! while walking below a candidate they are errors.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;

use crate::error::Error;
use crate::path::{as_path, clean, join};

/// All paths that match `pattern`, whose first `literal` bytes are taken literally; with `**`
/// also everything below each match. The order means nothing.
///
/// # Errors
/// [`Error::BadPattern`]; [`Error::Os`] if something below a match of a `**` piece cannot be read.
pub fn glob(pattern: &[u8], literal: usize) -> Result<Vec<Vec<u8>>, Error> {
    let literal = literal.min(pattern.len());
    let mut pieces = split_stars(&pattern[literal..]);
    if pieces.len() == 1 {
        return glob_segments(pattern, literal);
    }
    let rest = pieces.split_off(1);
    let mut start = pattern[..literal].to_vec();
    start.extend_from_slice(pieces[0]);
    let mut found = below(&glob_segments(&start, literal)?)?;
    for piece in rest {
        let mut next = Found::default();
        for candidate in &found.paths {
            let mut extended = candidate.clone();
            extended.extend_from_slice(piece);
            next.add_below(&glob_segments(&extended, literal)?)?;
        }
        found = next;
    }
    Ok(found.paths)
}

/// `root` and everything below it, links not followed, in no particular order.
///
/// # Errors
/// [`Error::Os`] if anything cannot be read.
pub fn walk(root: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    Ok(below(&[root.to_vec()])?.paths)
}

fn below(roots: &[Vec<u8>]) -> Result<Found, Error> {
    let mut found = Found::default();
    found.add_below(roots)?;
    Ok(found)
}

/// Paths without repetition. Always complete downwards: whatever is in it, all below it is too.
#[derive(Default)]
struct Found {
    paths: Vec<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
}

impl Found {
    fn add_below(&mut self, roots: &[Vec<u8>]) -> Result<(), Error> {
        for root in roots {
            if self.seen.contains(root) {
                continue;
            }
            let path = as_path(root);
            let kind = fs::symlink_metadata(path)
                .map_err(|error| Error::os("lstat", path, &error))?
                .file_type();
            self.add(root.clone());
            if kind.is_dir() {
                self.add_directory(root)?;
            }
        }
        Ok(())
    }

    fn add_directory(&mut self, root: &[u8]) -> Result<(), Error> {
        let mut pending = vec![root.to_vec()];
        while let Some(directory) = pending.pop() {
            let path = as_path(&directory);
            let failed = |error: io::Error| Error::os("open", path, &error);
            let base = clean(&directory);
            for entry in fs::read_dir(path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                let inner = join(&base, &entry.file_name().into_vec());
                if kind.is_dir() {
                    pending.push(inner.clone());
                }
                self.add(inner);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: Vec<u8>) {
        if self.seen.insert(path.clone()) {
            self.paths.push(path);
        }
    }
}

/// Cuts at each `**`, left to right, not overlapping.
fn split_stars(pattern: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"**") {
        pieces.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    pieces.push(rest);
    pieces
}

fn has_meta(pattern: &[u8], literal: usize) -> bool {
    pattern
        .iter()
        .skip(literal)
        .any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// A pattern without `**`, segment by segment.
fn glob_segments(pattern: &[u8], literal: usize) -> Result<Vec<Vec<u8>>, Error> {
    // Malformed patterns are refused even where nothing could match.
    Pattern::parse(&pattern[literal.min(pattern.len())..])?;
    if !has_meta(pattern, literal) {
        return Ok(match fs::symlink_metadata(as_path(pattern)) {
            Ok(_) => vec![pattern.to_vec()],
            Err(_) => Vec::new(),
        });
    }
    let cut = pattern
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let directory = match &pattern[..cut] {
        b"" => &b"."[..],
        b"/" => &b"/"[..],
        with_slash => &with_slash[..with_slash.len() - 1],
    };
    let names = Pattern::parse(&pattern[cut.max(literal.min(pattern.len()))..])?;
    if !has_meta(directory, literal) {
        return Ok(names_in(directory, &names));
    }
    if directory == pattern {
        return Err(Error::BadPattern);
    }
    let mut matches = Vec::new();
    for inner in glob_segments(directory, literal)? {
        matches.extend(names_in(&inner, &names));
    }
    Ok(matches)
}

/// The entries of `directory` whose names match; nothing if it is none or cannot be read.
fn names_in(directory: &[u8], names: &Pattern) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(as_path(directory)) else {
        return Vec::new();
    };
    let base = clean(directory);
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().into_vec())
        .filter(|name| names.matches(name))
        .map(|name| join(&base, &name))
        .collect()
}

/// One parsed segment pattern: runs of fixed parts, each perhaps preceded by a star.
#[derive(Debug)]
struct Pattern {
    chunks: Vec<Chunk>,
}

#[derive(Debug, Default)]
struct Chunk {
    after_star: bool,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Byte(u8),
    /// One character, or one byte where the name is not UTF-8.
    Any,
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

impl Pattern {
    fn parse(pattern: &[u8]) -> Result<Self, Error> {
        let mut chunks = vec![Chunk::default()];
        let mut rest = pattern;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            let part = match first {
                b'*' => {
                    if chunks
                        .last()
                        .is_some_and(|chunk| !chunk.parts.is_empty() || !chunk.after_star)
                    {
                        chunks.push(Chunk::default());
                    }
                    if let Some(chunk) = chunks.last_mut() {
                        chunk.after_star = true;
                    }
                    continue;
                }
                b'?' => Part::Any,
                b'[' => {
                    let (class, after) = parse_class(rest)?;
                    rest = after;
                    class
                }
                b'\\' => {
                    let (&escaped, after) = rest.split_first().ok_or(Error::BadPattern)?;
                    rest = after;
                    Part::Byte(escaped)
                }
                byte => Part::Byte(byte),
            };
            if let Some(chunk) = chunks.last_mut() {
                chunk.parts.push(part);
            }
        }
        if chunks[0].parts.is_empty() && !chunks[0].after_star && chunks.len() > 1 {
            chunks.remove(0);
        }
        Ok(Self { chunks })
    }

    /// Whether all of `name` matches. Each star takes as little as lets the following chunk
    /// match; there is no way back into an earlier star.
    fn matches(&self, name: &[u8]) -> bool {
        let mut rest = name;
        let last = self.chunks.len() - 1;
        for (index, chunk) in self.chunks.iter().enumerate() {
            if chunk.after_star && chunk.parts.is_empty() {
                return !rest.contains(&b'/');
            }
            let must_end = index == last;
            let fits = |after: Option<&[u8]>| after.is_some_and(|a| !must_end || a.is_empty());
            let mut after = chunk.match_start(rest);
            if !fits(after) && chunk.after_star {
                after = (0..rest.len())
                    .take_while(|&skip| rest[skip] != b'/')
                    .map(|skip| chunk.match_start(&rest[skip + 1..]))
                    .find(|after| fits(*after))
                    .flatten();
            }
            match after.filter(|_| fits(after)) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

impl Chunk {
    /// What is left of `name` after this chunk matched its beginning.
    fn match_start<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let mut rest = name;
        for part in &self.parts {
            let (&first, after) = rest.split_first()?;
            rest = match part {
                Part::Byte(byte) if *byte == first => after,
                Part::Byte(_) => return None,
                Part::Any if first == b'/' => return None,
                Part::Any => &rest[first_char(rest).1..],
                Part::Class { negated, ranges } => {
                    let (char, width) = first_char(rest);
                    let inside = ranges
                        .iter()
                        .any(|&(low, high)| (low..=high).contains(&char));
                    if inside == *negated {
                        return None;
                    }
                    &rest[width..]
                }
            };
        }
        Some(rest)
    }
}

/// After `[`: the class and what follows its `]`.
fn parse_class(pattern: &[u8]) -> Result<(Part, &[u8]), Error> {
    let (negated, mut rest) = match pattern.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty()
            && let Some(after) = rest.strip_prefix(b"]")
        {
            return Ok((Part::Class { negated, ranges }, after));
        }
        let (low, after) = class_char(rest)?;
        rest = after;
        let mut high = low;
        if let Some(after) = rest.strip_prefix(b"-") {
            (high, rest) = class_char(after)?;
        }
        ranges.push((low, high));
    }
}

/// One possibly escaped character of a class; something must follow it.
fn class_char(pattern: &[u8]) -> Result<(u32, &[u8]), Error> {
    let pattern = match pattern {
        [] | [b'-' | b']', ..] => return Err(Error::BadPattern),
        [b'\\', rest @ ..] => rest,
        other => other,
    };
    let (char, width) = first_char(pattern);
    if pattern.len() <= width || (char == REPLACEMENT && width == 1) {
        return Err(Error::BadPattern);
    }
    Ok((char, &pattern[width..]))
}

/// What bytes that are not UTF-8 count as.
const REPLACEMENT: u32 = 0xFFFD;

/// The first character and its width; a byte that begins no UTF-8 character is one
/// replacement character of width 1. `bytes` may be empty (width 0).
fn first_char(bytes: &[u8]) -> (u32, usize) {
    if bytes.is_empty() {
        return (REPLACEMENT, 0);
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid
        .chars()
        .next()
        .map_or((REPLACEMENT, 1), |char| (u32::from(char), char.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &[u8], name: &[u8], expected: bool) {
        let parsed = Pattern::parse(pattern);
        assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(pattern));
        if let Ok(parsed) = parsed {
            assert_eq!(
                parsed.matches(name),
                expected,
                "{} against {}",
                String::from_utf8_lossy(pattern),
                String::from_utf8_lossy(name)
            );
        }
    }

    #[test]
    fn segments_match() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", ".hidden", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "-", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
            ("*a*a", "aa", true),
            ("*a*a", "a", false),
            ("[[]x", "[x", true),
        ] {
            check(pattern.as_bytes(), name.as_bytes(), expected);
        }
        check(b"?", b"\xff", true);
        check(b"[^a]", b"\xff", true);
        check(b"\xff", b"\xff", true);
        check(b"?", b"\xc3\xa9", true);
        check(b"??", b"\xc3\xa9", false);
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a\\", "*[", "[a-b-c]", "[]",
            "[a-]", "[\\",
        ] {
            assert!(
                matches!(Pattern::parse(pattern.as_bytes()), Err(Error::BadPattern)),
                "{pattern}"
            );
        }
        assert!(Pattern::parse(b"[\xff]").is_err());
    }

    #[test]
    fn stars_cut() {
        let cut = |text: &'static str| -> Vec<String> {
            split_stars(text.as_bytes())
                .into_iter()
                .map(|piece| String::from_utf8_lossy(piece).into_owned())
                .collect()
        };
        assert_eq!(cut("a/**/b"), ["a/", "/b"]);
        assert_eq!(cut("***"), ["", "*"]);
        assert_eq!(cut("****"), ["", "", ""]);
        assert_eq!(cut("a*b"), ["a*b"]);
    }
}
