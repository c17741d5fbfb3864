//! The installation's secrets: the seed of all log keys and the pepper of all API keys.
//!
//! A text file of four lines, readable by its owner only: format, seed, pepper (64 hexadecimal
//! digits each) and SHA-256 of the lines before, so that damage is noticed before it signs.

use std::io::Write as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use runstone_model::id::{Digest, decode_hex_32, encode_hex};
use sha2::{Digest as _, Sha256};

use crate::{OpenError, Random};

const FORMAT: &str = "runstone-keys-v1";

/// The secrets; never printed.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) seed: [u8; 32],
    pepper: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the file, or makes it when `create` and it is missing.
    pub(crate) fn load(path: &Path, create: bool, random: &dyn Random) -> Result<Self, OpenError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).ok_or_else(|| OpenError::DamagedKeyFile {
                path: path.to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
                let mut secrets = Self {
                    seed: [0; 32],
                    pepper: [0; 32],
                };
                random.fill(&mut secrets.seed);
                random.fill(&mut secrets.pepper);
                secrets.write(path)?;
                Ok(secrets)
            }
            Err(error) => Err(OpenError::KeyFile {
                path: path.to_owned(),
                source: error,
            }),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let body_end = text.trim_end_matches('\n').rfind('\n')? + 1;
        let (body, sum) = text.split_at(body_end);
        if sum.strip_suffix('\n')? != encode_hex(&Sha256::digest(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FORMAT {
            return None;
        }
        let secrets = Self {
            seed: decode_hex_32(lines.next()?.as_bytes())?,
            pepper: decode_hex_32(lines.next()?.as_bytes())?,
        };
        lines.next().is_none().then_some(secrets)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), OpenError> {
        let body = format!(
            "{FORMAT}\n{}\n{}\n",
            encode_hex(&self.seed),
            encode_hex(&self.pepper)
        );
        let text = format!("{body}{}\n", encode_hex(&Sha256::digest(body.as_bytes())));
        let save = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if let Some(folder) = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
            {
                std::fs::File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        save().map_err(|source| OpenError::KeyFile {
            path: path.to_owned(),
            source,
        })
    }

    /// What is stored of an API key: HMAC-SHA-256(pepper, SHA-256(key)).
    pub(crate) fn verifier(&self, key: &str) -> Digest {
        self.verifier_of_sha256(&Sha256::digest(key.as_bytes()).into())
    }

    /// The same from the key's SHA-256.
    pub(crate) fn verifier_of_sha256(&self, key_sha256: &[u8; 32]) -> Digest {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.pepper).expect("HMAC takes keys of any length");
        mac.update(key_sha256);
        Digest(mac.finalize().into_bytes().into())
    }

    /// A value that tells whether a store was made with this file, and nothing else.
    pub(crate) fn check_value(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"runstone key check\n");
        hash.update(self.verifier("runstone key check").as_bytes());
        hash.update(self.seed);
        hash.finalize().into()
    }
}
