//! The config file: where it is looked for, how it is read and written (`cli.md` 1.4, 1.6, 13),
//! and the file that `dev` leaves for the command line on the same machine.
//!
//! It owns the spelling of values on disk. It sets no flag; `grammar::sources` does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead;
use serde_json::Value;

/// What an encrypted token begins with.
const ENCRYPTED: &str = "enc:v1:";
/// Extensions in the order they are looked for when the path names no file.
const EXTENSIONS: [&str; 6] = ["json", "toml", "yaml", "yml", "dotenv", "env"];
/// Names a config file in the working directory would have.
const STRAY_NAMES: [&str; 2] = ["runstone", "kosli"];

/// A config file that was read: keys in lower case with their values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path as it was given or found.
    pub path: String,
    /// The values.
    pub keys: BTreeMap<String, String>,
}

/// Where the config file is looked for, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The path as complaints and debug lines name it.
    pub path: String,
    /// Whether somebody named it.
    pub explicit: bool,
}

/// The config file that counts: the flag, the variables, then the first default that exists.
pub fn lookup(
    flag: &str,
    environment: &BTreeMap<String, String>,
    home: Option<&Path>,
    compat: bool,
) -> Lookup {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let named = Some(flag.to_owned())
        .filter(|path| !path.is_empty())
        .or_else(|| variable("RUNSTONE_CONFIG_FILE").cloned())
        .or_else(|| variable("KOSLI_CONFIG_FILE").cloned());
    if let Some(path) = named {
        return Lookup {
            path,
            explicit: true,
        };
    }
    let own = default_path(home, compat);
    let other = default_path(home, !compat);
    let path = if !own.exists() && other.exists() {
        other
    } else if compat && other.exists() {
        // Ours comes first in the list even when the other one exists too.
        other
    } else {
        own
    };
    Lookup {
        path: path.to_string_lossy().into_owned(),
        explicit: false,
    }
}

/// The file that `config` writes: `~/.runstone.yml`, or `~/.kosli.yml` under that name.
pub fn default_path(home: Option<&Path>, compat: bool) -> PathBuf {
    home.unwrap_or(Path::new("")).join(if compat {
        ".kosli.yml"
    } else {
        ".runstone.yml"
    })
}

/// Reads the file at `path`, or the one beside it with another extension; nothing if there is
/// none.
pub fn read(path: &str) -> Result<Option<ConfigFile>, String> {
    let Some(found) = find(Path::new(path)) else {
        return Ok(None);
    };
    let fail = |reason: String| format!("failed to parse config file [{path}] : {reason}");
    let text = fs::read_to_string(&found).map_err(|error| fail(error.to_string()))?;
    let keys = parse(&text, found.extension().and_then(|e| e.to_str())).map_err(fail)?;
    Ok(Some(ConfigFile {
        path: path.to_owned(),
        keys,
    }))
}

/// The exact file, or the first with one of the known extensions.
fn find(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    // `.kosli` without more is a name, not an extension, for the path type too.
    EXTENSIONS
        .iter()
        .map(|extension| path.with_extension(extension))
        .find(|candidate| candidate.is_file())
}

/// A config file in the working directory that is not read any more, if there is one.
pub fn stray() -> Option<String> {
    STRAY_NAMES.iter().find_map(|name| {
        EXTENSIONS
            .iter()
            .map(|extension| format!("{name}.{extension}"))
            .find(|candidate| Path::new(candidate).is_file())
    })
}

fn parse(text: &str, extension: Option<&str>) -> Result<BTreeMap<String, String>, String> {
    let value: Value = match extension {
        Some("json") => serde_json::from_str(text).map_err(|error| error.to_string())?,
        Some("toml") => {
            let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
            serde_json::to_value(table).map_err(|error| error.to_string())?
        }
        Some("env" | "dotenv") => {
            return Ok(dotenv(text));
        }
        _ => yaml(text)?,
    };
    match value {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(object) => Ok(object
            .into_iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), flat(&value)))
            .collect()),
        _ => Err("the file holds no keys".to_owned()),
    }
}

/// A YAML document as a JSON value; an empty one is null.
fn yaml(text: &str) -> Result<Value, String> {
    let blank = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    if blank {
        return Ok(Value::Null);
    }
    // `y`, `no` and `on` are texts, as in the files people have.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The rest of the message is a picture of the place.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    })
}

fn dotenv(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(key, value)| {
            let value = value.trim();
            let value = ['"', '\'']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
                .unwrap_or(value);
            (key.trim().to_ascii_lowercase(), value.to_owned())
        })
        .collect()
}

/// A value as the text its flag is set to: lists joined by commas, maps as pairs.
fn flat(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items
            .iter()
            .map(|item| csv_field(&flat(item)))
            .collect::<Vec<_>>()
            .join(","),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| csv_field(&format!("{key}={}", flat(value))))
            .collect::<Vec<_>>()
            .join(","),
    }
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// `keys` as YAML with sorted keys.
pub fn to_yaml(keys: &BTreeMap<String, Value>) -> Result<String, String> {
    serde_saphyr::to_string(keys).map_err(|error| error.to_string())
}

/// Writes `text` to `path` so that only the user can read it, replacing the file in one step.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A config file is often a link into a folder of dot files; the link stays.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut new = target.clone().into_os_string();
    new.push(format!(".{}.new", std::process::id()));
    let result = create_private(Path::new(&new))
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, &target));
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

fn create_private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The file that holds the key for tokens at rest. It lies apart from the config file, so that
/// a shared or published config file does not give the token away.
fn key_path(home: Option<&Path>) -> PathBuf {
    home.unwrap_or(Path::new(""))
        .join(".config/runstone/config.key")
}

/// Encrypts `token` for the config file (AES-256-GCM, nonce before the ciphertext, base64).
pub fn encrypt(token: &str, home: Option<&Path>) -> Result<String, String> {
    let path = key_path(home);
    let key = match read_key(&path) {
        Ok(key) => key,
        Err(KeyError::Absent) => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| error.to_string())?;
            write_private(&path, &STANDARD_NO_PAD.encode(key))
                .map_err(|error| error.to_string())?;
            key
        }
        Err(KeyError::Unusable(reason)) => return Err(reason),
    };
    let mut nonce = [0; aead::NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
    let mut sealed = token.as_bytes().to_vec();
    sealing(&key)
        .seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(ENCRYPTED),
            &mut sealed,
        )
        .map_err(|_| "the token is too long".to_owned())?;
    let mut bytes = nonce.to_vec();
    bytes.extend(sealed);
    Ok(format!("{ENCRYPTED}{}", STANDARD_NO_PAD.encode(bytes)))
}

/// Why a stored token is used as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecryptable {
    /// It never was encrypted.
    Plain,
    /// It cannot be read with this machine's key.
    Failed(String),
}

/// The token that `stored` holds.
pub fn decrypt(stored: &str, home: Option<&Path>) -> Result<String, Undecryptable> {
    let text = stored.strip_prefix(ENCRYPTED).ok_or(Undecryptable::Plain)?;
    let failed = |reason: &str| Undecryptable::Failed(reason.to_owned());
    let key = read_key(&key_path(home)).map_err(|error| match error {
        KeyError::Absent => failed("there is no key on this machine"),
        KeyError::Unusable(reason) => Undecryptable::Failed(reason),
    })?;
    let bytes = STANDARD_NO_PAD
        .decode(text)
        .map_err(|error| failed(&error.to_string()))?;
    let Some((nonce, sealed)) = bytes.split_at_checked(aead::NONCE_LEN) else {
        return Err(failed("it is too short"));
    };
    let nonce =
        aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed("it is too short"))?;
    let mut sealed = sealed.to_vec();
    let opened = sealing(&key)
        .open_in_place(nonce, aead::Aad::from(ENCRYPTED), &mut sealed)
        .map_err(|_| failed("it was changed or belongs to another key"))?;
    String::from_utf8(opened.to_vec()).map_err(|_| failed("it holds no text"))
}

enum KeyError {
    Absent,
    Unusable(String),
}

fn read_key(path: &Path) -> Result<[u8; 32], KeyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(KeyError::Absent);
        }
        Err(error) => {
            return Err(KeyError::Unusable(format!("{}: {error}", path.display())));
        }
    };
    STANDARD_NO_PAD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| KeyError::Unusable(format!("{} holds no key", path.display())))
}

fn sealing(key: &[u8; 32]) -> aead::LessSafeKey {
    aead::LessSafeKey::new(
        aead::UnboundKey::new(&aead::AES_256_GCM, key).expect("the key has the cipher's length"),
    )
}

/// What `dev` leaves for the command line on the same machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Local {
    /// URL of the server.
    pub host: String,
    /// Its organization.
    pub org: String,
    /// A key for it.
    pub api_token: String,
}

/// Where that file lies.
pub fn local_path(home: Option<&Path>) -> PathBuf {
    home.unwrap_or(Path::new(""))
        .join(".config/runstone/local.json")
}

impl Local {
    /// Reads the file; nothing if it is absent or unreadable.
    pub fn read(home: Option<&Path>) -> Option<Self> {
        let text = fs::read(local_path(home)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the file so that only the user can read it.
    pub fn write(&self, home: Option<&Path>) -> std::io::Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        text.push('\n');
        write_private(&local_path(home), &text)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn all_formats_give_flat_keys() {
        let check = |text: &str, extension: &str, expected: &[(&str, &str)]| {
            assert_eq!(
                parse(text, Some(extension)).unwrap(),
                map(expected),
                "{text}"
            );
        };
        check(
            "ORG: acme\nmax-api-retries: 5\n",
            "yml",
            &[("org", "acme"), ("max-api-retries", "5")],
        );
        check(
            "set:\n  a: b\n  c: d,e\nunset: [x, y]\n",
            "yaml",
            &[("set", "a=b,\"c=d,e\""), ("unset", "x,y")],
        );
        check(
            "{\"Org\":\"acme\",\"debug\":true}",
            "json",
            &[("org", "acme"), ("debug", "true")],
        );
        check("org = \"acme\"\n", "toml", &[("org", "acme")]);
        check("# note\nexport ORG='acme'\n", "env", &[("org", "acme")]);
        check("", "yml", &[]);
        check("# only a note\n", "yml", &[]);
        assert!(parse("a: [", Some("yml")).is_err());
        assert!(parse("- a\n", Some("yml")).is_err());
    }

    #[test]
    fn the_exact_path_comes_before_other_extensions() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("c.json"), "{\"org\":\"json\"}").unwrap();
        fs::write(path("c.toml"), "org = \"toml\"").unwrap();
        let org = |name: &str| {
            read(path(name).to_str().unwrap())
                .unwrap()
                .map(|config| config.keys["org"].clone())
        };
        assert_eq!(org("c.toml").as_deref(), Some("toml"));
        assert_eq!(org("c.yaml").as_deref(), Some("json"));
        assert_eq!(org("c").as_deref(), Some("json"));
        assert_eq!(org("other.yml"), None);
    }

    #[test]
    fn tokens_survive_encryption_and_only_that() {
        let home = tempfile::tempdir().unwrap();
        let home = Some(home.path());
        let stored = encrypt("secret", home).unwrap();
        assert!(!stored.contains("secret"));
        assert_eq!(decrypt(&stored, home), Ok("secret".to_owned()));
        assert_eq!(decrypt("secret", home), Err(Undecryptable::Plain));
        let mut damaged = stored.clone();
        damaged.replace_range(20..21, if &stored[20..21] == "A" { "B" } else { "A" });
        assert!(matches!(
            decrypt(&damaged, home),
            Err(Undecryptable::Failed(_))
        ));
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(matches!(
            decrypt(&stored, Some(elsewhere.path())),
            Err(Undecryptable::Failed(_))
        ));
    }

    #[test]
    fn files_are_for_the_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let local = Local {
            host: "http://127.0.0.1:8080".to_owned(),
            org: "local".to_owned(),
            api_token: "t".to_owned(),
        };
        local.write(Some(home.path())).unwrap();
        assert_eq!(Local::read(Some(home.path())), Some(local));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(local_path(Some(home.path())))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn the_lookup_follows_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let at = |flag: &str, environment: &[(&str, &str)], compat: bool| {
            let found = lookup(flag, &map(environment), Some(home), compat);
            found.path.replace(home.to_str().unwrap(), "HOME")
        };
        assert_eq!(at("", &[], false), "HOME/.runstone.yml");
        assert_eq!(at("", &[], true), "HOME/.kosli.yml");
        fs::write(home.join(".kosli.yml"), "").unwrap();
        assert_eq!(at("", &[], false), "HOME/.kosli.yml");
        fs::write(home.join(".runstone.yml"), "").unwrap();
        assert_eq!(at("", &[], true), "HOME/.runstone.yml");
        assert_eq!(at("", &[("KOSLI_CONFIG_FILE", "k")], true), "k");
        assert_eq!(
            at(
                "",
                &[("KOSLI_CONFIG_FILE", "k"), ("RUNSTONE_CONFIG_FILE", "r")],
                true
            ),
            "r"
        );
        assert_eq!(at("f", &[("RUNSTONE_CONFIG_FILE", "r")], false), "f");
    }
}
