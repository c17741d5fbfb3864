//! What can go wrong while fingerprinting, in the words scripts already match on.
//!
//! The published client passes on the texts of its language's runtime, so these texts are part
//! of the contract (`cli.md` 3.1 to 3.3): `<operation> <path>: <reason>`.

use std::io;
use std::path::Path;

/// Added to an error when the given path or name is exactly one blank.
pub const LONE_BLANK_HELP: &str = "A lone blank is usually left over from a line continuation: \
in a shell, a backslash followed by a blank passes that blank as an argument";

/// Why a file or directory has no fingerprint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation.
    #[error("{operation} {path}: {reason}")]
    Os {
        /// The call that failed: `open`, `read`, `stat`, `lstat`, `readlink`.
        operation: &'static str,
        /// The path as the caller would write it; bytes that are not UTF-8 are replaced.
        path: String,
        /// The reason in lower case, without the error number.
        reason: String,
        /// For callers that decide on the kind of failure.
        kind: io::ErrorKind,
    },
    /// A directory was asked for and the path is something else.
    #[error("{0} is not a directory")]
    NotDirectory(String),
    /// A glob pattern is malformed.
    #[error("syntax error in pattern")]
    BadPattern,
    /// The ignore file exists but could not be read.
    #[error("failed to read {path}: {reason}")]
    IgnoreFile {
        /// Path of the ignore file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The argument was a lone blank, and using it failed.
    #[error("{error}. {subject} is ' '. {help}", help = LONE_BLANK_HELP)]
    LoneBlank {
        /// What went wrong with it.
        error: Box<Error>,
        /// What the blank was taken for, e.g. `The filename`.
        subject: &'static str,
    },
}

impl Error {
    /// A failed system call on `path`.
    pub(crate) fn os(operation: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Os {
            operation,
            path: path.to_string_lossy().into_owned(),
            reason: os_reason(error),
            kind: error.kind(),
        }
    }

    /// The same error, extended if the argument was a lone blank.
    pub(crate) fn explain_blank(self, argument: &Path, subject: &'static str) -> Self {
        if argument.as_os_str() == " " {
            Self::LoneBlank {
                error: Box::new(self),
                subject,
            }
        } else {
            self
        }
    }
}

/// The reason of an operating system error in the wording of the contract: lower case and
/// without a number, e.g. `no such file or directory`.
///
/// The common ones are spelled out because C libraries differ (musl says "Symbolic link loop").
pub fn os_reason(error: &io::Error) -> String {
    let known = match error.raw_os_error() {
        Some(1) => "operation not permitted",
        Some(2) => "no such file or directory",
        Some(5) => "input/output error",
        Some(6) => "no such device or address",
        Some(12) => "cannot allocate memory",
        Some(13) => "permission denied",
        Some(19) => "no such device",
        Some(20) => "not a directory",
        Some(21) => "is a directory",
        Some(22) => "invalid argument",
        Some(23) => "too many open files in system",
        Some(24) => "too many open files",
        Some(26) => "text file busy",
        Some(36) => "file name too long",
        Some(40) => "too many levels of symbolic links",
        Some(116) => "stale file handle",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let text = error.to_string();
    let text = match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => &text[..end],
        _ => text.as_str(),
    };
    let mut letters = text.chars();
    match letters.next() {
        // "RFS specific error" keeps its capitals.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_no_number_and_no_capital() {
        for (number, text) in [
            (2, "no such file or directory"),
            (40, "too many levels of symbolic links"),
            (28, "no space left on device"),
            (110, "connection timed out"),
        ] {
            assert_eq!(os_reason(&io::Error::from_raw_os_error(number)), text);
        }
        assert_eq!(os_reason(&io::Error::other("Odd thing")), "odd thing");
        assert_eq!(os_reason(&io::Error::other("RFS odd")), "RFS odd");
    }
}
