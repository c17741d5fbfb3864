//! Which login container tools have stored for a registry (`cli.md` 3.5; defect 24: the
//! documented `$REGISTRY_AUTH_FILE` is really read, and first).
//!
//! Knows the files' formats and their order. Where they are comes from the caller. Never logs or
//! shows a password.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::error::os_reason;

/// Where logins may be stored. All parts come from the environment of the process that asks;
/// an absent part is skipped.
#[derive(Debug, Clone, Default)]
pub struct CredentialSources {
    /// `$REGISTRY_AUTH_FILE`, a file.
    pub registry_auth_file: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, a directory.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `$DOCKER_CONFIG`, a directory; absent: `.docker` in the home directory.
    pub docker_config: Option<PathBuf>,
    /// `$HOME`, a directory.
    pub home: Option<PathBuf>,
    /// `$PATH`: where credential helpers are looked for.
    pub path: Option<OsString>,
}

/// A name and a password for a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why stored logins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is there and cannot be read.
    #[error("reading {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not what it should be.
    #[error("reading {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, without any of its content.
        reason: String,
    },
    /// A credential helper failed.
    #[error("credential helper docker-credential-{helper}: {reason}")]
    Helper {
        /// Its name without the common prefix.
        helper: String,
        /// What it said.
        reason: String,
    },
    /// Only an identity token is stored, which needs an exchange that is not supported.
    #[error(
        "the login stored for {0} is an identity token, which is not supported; give --registry-username and --registry-password"
    )]
    IdentityToken(String),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl CredentialSources {
    /// The login for `repository` in `registry` (`host[:port]`) from the first file that has
    /// one, or nothing.
    ///
    /// # Errors
    /// A file or helper on the way that cannot be used: going on silently as nobody would hide
    /// the reason for what the registry then answers.
    pub async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Login>, CredentialError> {
        for (path, legacy) in self.files() {
            let Some(file) = read(&path, legacy)? else {
                continue;
            };
            if let Some(login) = from_auths(&path, &file, registry, repository)? {
                return Ok(Some(login));
            }
            let helper = file.cred_helpers.get(registry).unwrap_or(&file.creds_store);
            if !helper.is_empty()
                && let Some(login) = self.ask_helper(helper, registry).await?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// The files in order, and whether each is in the oldest format (entries at the top level).
    fn files(&self) -> Vec<(PathBuf, bool)> {
        let inside = |directory: &Option<PathBuf>, rest: &str| {
            directory.as_ref().map(|directory| directory.join(rest))
        };
        [
            (self.registry_auth_file.clone(), false),
            (inside(&self.xdg_runtime_dir, "containers/auth.json"), false),
            (inside(&self.home, ".config/containers/auth.json"), false),
            (
                inside(&self.docker_config, "config.json")
                    .or_else(|| inside(&self.home, ".docker/config.json")),
                false,
            ),
            (inside(&self.home, ".dockercfg"), true),
        ]
        .into_iter()
        .filter_map(|(path, legacy)| path.map(|path| (path, legacy)))
        .collect()
    }

    /// What the program `docker-credential-<helper>` has stored.
    async fn ask_helper(
        &self,
        helper: &str,
        registry: &str,
    ) -> Result<Option<Login>, CredentialError> {
        let failed = |reason: String| CredentialError::Helper {
            helper: helper.to_owned(),
            reason,
        };
        if helper.contains('/') {
            return Err(failed("the name contains a slash".to_owned()));
        }
        let name = format!("docker-credential-{helper}");
        let program = self
            .path
            .as_ref()
            .and_then(|path| {
                std::env::split_paths(path)
                    .map(|directory| directory.join(&name))
                    .find(|program| program.is_file())
            })
            .ok_or_else(|| failed("executable file not found in $PATH".to_owned()))?;
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(os_reason(&error)))?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read its input may still answer.
            drop(input.write_all(helper_key(registry).as_bytes()).await);
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| failed(os_reason(&error)))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            return if said.contains("credentials not found") {
                Ok(None)
            } else {
                Err(failed(said))
            };
        }
        let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed("the answer is not the expected JSON".to_owned()))?;
        match answer.username.as_str() {
            "" => Ok(None),
            "<token>" => Err(CredentialError::IdentityToken(registry.to_owned())),
            _ => Ok(Some(Login {
                username: answer.username,
                password: answer.secret,
            })),
        }
    }
}

/// The key Docker's own registry is stored under is a URL of its first protocol version.
fn helper_key(registry: &str) -> &str {
    if registry == "docker.io" {
        "https://index.docker.io/v1/"
    } else {
        registry
    }
}

fn read(path: &Path, legacy: bool) -> Result<Option<File>, CredentialError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => {
            return Err(CredentialError::Unreadable {
                path: path.to_owned(),
                reason: os_reason(&error),
            });
        }
    };
    let parsed = if legacy {
        serde_json::from_slice(&text).map(|auths| File {
            auths,
            ..File::default()
        })
    } else {
        serde_json::from_slice(&text)
    };
    parsed
        .map(Some)
        .map_err(|error| CredentialError::Malformed {
            path: path.to_owned(),
            // Not the error's own text: it can quote what stands in the file.
            reason: format!("not the expected JSON at line {}", error.line()),
        })
}

/// The most specific entry: `host/ns/repo`, `host/ns`, `host`.
fn from_auths(
    path: &Path,
    file: &File,
    registry: &str,
    repository: &str,
) -> Result<Option<Login>, CredentialError> {
    let full = format!("{registry}/{repository}");
    let mut wanted = full.as_str();
    loop {
        let mut entries: Vec<_> = file
            .auths
            .iter()
            .filter(|(key, _)| normal_key(key) == wanted)
            .collect();
        // An exact key before one that is only equal after normalising; then by name.
        entries.sort_by_key(|(key, _)| (key.as_str() != wanted, key.as_str()));
        for (key, entry) in entries {
            if let Some(login) = login(path, key, entry)? {
                return Ok(Some(login));
            }
        }
        match wanted.rsplit_once('/') {
            Some((shorter, _)) => wanted = shorter,
            None => return Ok(None),
        }
    }
}

/// Keys may be URLs of old protocol versions; of those only the host counts.
fn normal_key(key: &str) -> &str {
    let stripped = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let key = match stripped {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    match key {
        "index.docker.io" | "registry-1.docker.io" | "index.docker.io/v1" => "docker.io",
        other => other,
    }
}

/// The login of an entry; an empty one (the login is with a helper) is none.
fn login(path: &Path, key: &str, entry: &Entry) -> Result<Option<Login>, CredentialError> {
    if !entry.identitytoken.is_empty() {
        return Err(CredentialError::IdentityToken(key.to_owned()));
    }
    if entry.auth.is_empty() {
        return Ok((!entry.username.is_empty()).then(|| Login {
            username: entry.username.clone(),
            password: entry.password.clone(),
        }));
    }
    let auth = entry.auth.trim();
    let decoded = STANDARD
        .decode(auth)
        .or_else(|_| STANDARD_NO_PAD.decode(auth))
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((username, password)) => Ok(Some(Login {
            username: username.to_owned(),
            // Old versions padded the password with zero bytes.
            password: password.trim_end_matches('\0').to_owned(),
        })),
        None => Err(CredentialError::Malformed {
            path: path.to_owned(),
            reason: format!("the login of {key} is not base64 of name:password"),
        }),
    }
}
