//! Files and directories as artifacts: one path, a file that lists paths, or globs
//! (`cli.md` 7.6).
//!
//! Owns the texts of that section. Names are kept as written: defect 14 of `cli.md` 12 (lower
//! case, no dots) is not copied.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use runstone_fingerprint::{Warning, clean, os_reason};
use serde_json::Value;

use crate::{Artifact, Notice};

/// One path under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct PathOptions {
    /// The file or directory to record
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH"))]
    pub path: PathBuf,
    /// The name to record it under
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub name: String,
    /// What to leave out of a directory's fingerprint: glob patterns relative to it, separated
    /// by commas; may be repeated
    #[cfg_attr(
        feature = "clap",
        arg(short = 'x', long, value_name = "PATTERNS", value_delimiter = ',')
    )]
    pub exclude: Vec<String>,
}

/// Globs of which every match is an artifact named by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ServerOptions {
    /// Paths of files and directories to record, globs with ** allowed, separated by commas;
    /// may be repeated
    #[cfg_attr(
        feature = "clap",
        arg(short = 'p', long, value_name = "PATHS", value_delimiter = ',')
    )]
    pub paths: Vec<String>,
    /// What to leave out of directories' fingerprints: glob patterns relative to each directory,
    /// separated by commas; may be repeated
    #[cfg_attr(
        feature = "clap",
        arg(short = 'x', long, value_name = "PATTERNS", value_delimiter = ',')
    )]
    pub exclude: Vec<String>,
}

/// What a paths file declares: artifacts by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathsSpec {
    /// By the name to record them under.
    pub artifacts: BTreeMap<String, PathSpec>,
}

/// One artifact of a paths file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathSpec {
    /// The file or directory, relative to the working directory.
    pub path: PathBuf,
    /// What to leave out of a directory's fingerprint.
    pub exclude: Vec<String>,
}

/// What was found at the paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The artifacts, in the order asked for.
    pub artifacts: Vec<Artifact>,
    /// What to tell besides.
    pub notices: Vec<Notice>,
}

/// Why paths could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A named path has no fingerprint.
    #[error("failed to calculate fingerprint for artifact [{name}]: {error}")]
    Artifact {
        /// The artifact's name.
        name: String,
        /// Why.
        error: PathError,
    },
    /// A match of a glob has no fingerprint.
    #[error(transparent)]
    Match(PathError),
    /// A glob pattern is malformed, or what is below a match cannot be read.
    #[error(transparent)]
    Glob(runstone_fingerprint::Error),
    /// No pattern has a match.
    #[error("no matches found for [{0}]")]
    NoMatches(String),
    /// A file is a match of both lists.
    #[error("path [{0}] is both included and excluded")]
    BothLists(String),
}

/// What is wrong with one path.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// It cannot be looked at.
    #[error("failed to open path {path} with error: stat {path}: {reason}")]
    Open {
        /// The path as given.
        path: String,
        /// Why.
        reason: String,
    },
    /// It cannot be hashed.
    #[error("failed to get a digest of path {path} with error: {error}")]
    Digest {
        /// The path as given.
        path: String,
        /// Why.
        error: runstone_fingerprint::Error,
    },
}

/// Why a paths file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// There is no such file.
    #[error(
        "failed to parse path spec file [{file}] : Config File \"{base}\" Not Found in \"[{directory}]\""
    )]
    NotFound {
        /// The path as given.
        file: String,
        /// Its last element without the extension.
        base: String,
        /// Where it was looked for.
        directory: String,
    },
    /// It cannot be read, or is not YAML, JSON or TOML.
    #[error("failed to parse path spec file [{file}] : {reason}")]
    Syntax {
        /// The path as given.
        file: String,
        /// Why.
        reason: String,
    },
    /// It has another shape than declared.
    #[error("failed to unmarshal path spec file [{file}] : {reason}")]
    Shape {
        /// The path as given.
        file: String,
        /// Why.
        reason: String,
    },
    /// It has the right shape and wrong values.
    #[error("path spec file [{file}] is invalid: {reason}")]
    Invalid {
        /// The path as given.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Records one path.
///
/// # Errors
/// [`Error::Artifact`].
pub fn path(options: &PathOptions) -> Result<Found, Error> {
    let mut found = Found::default();
    add_named(&mut found, &options.name, &options.path, &options.exclude)?;
    Ok(found)
}

/// Records every path of a paths file, by name.
///
/// # Errors
/// [`Error::Artifact`] for the first that fails.
pub fn paths(spec: &PathsSpec) -> Result<Found, Error> {
    let mut found = Found::default();
    for (name, artifact) in &spec.artifacts {
        add_named(&mut found, name, &artifact.path, &artifact.exclude)?;
    }
    Ok(found)
}

/// Records every match of the globs under its absolute path.
///
/// # Errors
/// [`Error`]; a file that the exclusion list matches as well is refused, because a list meant
/// for the insides of directories would silently not apply to it.
pub fn server(options: &ServerOptions) -> Result<Found, Error> {
    let included = globs(&options.paths)?;
    if included.is_empty() {
        return Err(Error::NoMatches(options.paths.join(" ")));
    }
    let excluded = globs(&options.exclude)?;
    let mut found = Found::default();
    for text in included {
        let path = PathBuf::from(std::ffi::OsString::from_vec(text.clone()));
        if excluded.contains(&text) && !path.is_dir() {
            return Err(Error::BothLists(path.to_string_lossy().into_owned()));
        }
        let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let name = clean(absolute.as_os_str().as_bytes());
        add(
            &mut found,
            &String::from_utf8_lossy(&name),
            &path,
            &options.exclude,
        )
        .map_err(Error::Match)?;
    }
    Ok(found)
}

fn globs(patterns: &[String]) -> Result<Vec<Vec<u8>>, Error> {
    let mut matches = Vec::new();
    for pattern in patterns {
        let mut found = runstone_fingerprint::glob(pattern.as_bytes(), 0).map_err(Error::Glob)?;
        found.sort();
        matches.append(&mut found);
    }
    Ok(matches)
}

fn add_named(found: &mut Found, name: &str, path: &Path, exclude: &[String]) -> Result<(), Error> {
    add(found, name, path, exclude).map_err(|error| Error::Artifact {
        name: name.to_owned(),
        error,
    })
}

fn add(found: &mut Found, name: &str, path: &Path, exclude: &[String]) -> Result<(), PathError> {
    let text = || path.to_string_lossy().into_owned();
    let failed = |error: &io::Error| PathError::Open {
        path: text(),
        reason: os_reason(error),
    };
    let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
    let unhashed = |error| PathError::Digest {
        path: text(),
        error,
    };
    let fingerprint = if metadata.is_dir() {
        let options = runstone_fingerprint::Options {
            exclude,
            ..runstone_fingerprint::Options::default()
        };
        let directory = runstone_fingerprint::directory(path, &options).map_err(unhashed)?;
        found.notices.extend(
            directory
                .warnings
                .iter()
                .map(|warning: &Warning| Notice::Warning(warning.to_string())),
        );
        directory.fingerprint
    } else {
        runstone_fingerprint::file(path).map_err(unhashed)?
    };
    let modified = metadata.modified().map_err(|error| failed(&error))?;
    found.artifacts.push(Artifact {
        name: name.to_owned(),
        fingerprint: Some(fingerprint),
        created_at: unix_seconds(modified),
    });
    Ok(())
}

/// Whole seconds since 1970, rounded down, negative before.
fn unix_seconds(time: std::time::SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs() as i64,
        Err(before) => -(before.duration().as_secs_f64().ceil() as i64),
    }
}

/// Reads a paths file: YAML, JSON or TOML by its extension. If there is no file of exactly that
/// name, one with the same base name and one of these extensions is taken.
///
/// # Errors
/// [`SpecError`].
pub fn read_spec(file: &Path) -> Result<PathsSpec, SpecError> {
    let given = file.to_string_lossy().into_owned();
    let candidates = std::iter::once(file.to_owned()).chain(
        ["yaml", "yml", "json", "toml"]
            .iter()
            .map(|extension| file.with_extension(extension)),
    );
    for candidate in candidates {
        match fs::read_to_string(&candidate) {
            Ok(text) => {
                let kind = candidate.extension().and_then(|kind| kind.to_str());
                return parse_spec(&given, kind.unwrap_or_default(), &text);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(SpecError::Syntax {
                    file: given,
                    reason: os_reason(&error),
                });
            }
        }
    }
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    Err(SpecError::NotFound {
        base: file
            .file_stem()
            .map(|base| base.to_string_lossy().into_owned())
            .unwrap_or_default(),
        directory: absolute
            .parent()
            .map(|directory| {
                String::from_utf8_lossy(&clean(directory.as_os_str().as_bytes())).into_owned()
            })
            .unwrap_or_default(),
        file: given,
    })
}

/// Reads the text of a paths file; `kind` is its extension (`json`, `toml`, else YAML).
///
/// # Errors
/// [`SpecError`], naming `file`.
pub fn parse_spec(file: &str, kind: &str, text: &str) -> Result<PathsSpec, SpecError> {
    let syntax = |reason: String| SpecError::Syntax {
        file: file.to_owned(),
        reason,
    };
    let value: Value = match kind {
        "json" => serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?,
        "toml" => toml::from_str(text).map_err(|error| syntax(error.to_string()))?,
        _ => serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?,
    };
    let shape = |reason: String| SpecError::Shape {
        file: file.to_owned(),
        reason,
    };
    let invalid = |reason: String| SpecError::Invalid {
        file: file.to_owned(),
        reason,
    };
    let top = fields(&value, "", &["version", "artifacts"]).map_err(shape)?;
    if top.get("version").and_then(Value::as_i64) != Some(1) {
        return Err(invalid(
            "Key: 'PathsSpec.Version' Error:Field validation for 'Version' failed on the 'oneof' tag"
                .to_owned(),
        ));
    }
    let none = serde_json::Map::new();
    let declared = match top.get("artifacts") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(declared)) => declared,
        Some(_) => return Err(shape("'artifacts' expected a map".to_owned())),
    };
    if declared.is_empty() {
        return Err(invalid(
            "Key: 'PathsSpec.Artifacts' Error:Field validation for 'Artifacts' failed on the 'required' tag"
                .to_owned(),
        ));
    }
    let mut spec = PathsSpec::default();
    for (name, value) in declared {
        let at = format!("artifacts.{name}");
        let artifact = fields(value, &at, &["path", "exclude"]).map_err(shape)?;
        let path = match artifact.get("path") {
            Some(Value::String(path)) if !path.is_empty() => PathBuf::from(path),
            None | Some(Value::Null | Value::String(_)) => {
                return Err(invalid(format!("{at}.path is required")));
            }
            Some(_) => return Err(shape(format!("'{at}.path' expected a text"))),
        };
        let exclude = match artifact.get("exclude") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => several
                .iter()
                .map(|pattern| pattern.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| shape(format!("'{at}.exclude' expected a list of texts")))?,
            Some(_) => return Err(shape(format!("'{at}.exclude' expected a list of texts"))),
        };
        spec.artifacts
            .insert(name.clone(), PathSpec { path, exclude });
    }
    Ok(spec)
}

/// The map at `at`, if it has only the `known` keys.
fn fields<'v>(
    value: &'v Value,
    at: &str,
    known: &[&str],
) -> Result<&'v serde_json::Map<String, Value>, String> {
    let Value::Object(map) = value else {
        return Err(format!("'{at}' expected a map"));
    };
    let unknown: Vec<&str> = map
        .keys()
        .map(String::as_str)
        .filter(|key| !known.contains(key))
        .collect();
    if unknown.is_empty() {
        Ok(map)
    } else {
        Err(format!("'{at}' has invalid keys: {}", unknown.join(", ")))
    }
}
