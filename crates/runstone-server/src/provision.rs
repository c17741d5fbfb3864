//! Provisioning: a YAML file that declares organizations, people, service accounts and keys.
//!
//! Owns the form of the file and turns it into ordinary commands with the actor
//! `system:provision`. What already holds writes nothing; nothing is ever deleted, and no key is
//! ever printed or logged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use runstone_model::command::{Action, Caller, Command, NewKey, Refusal, Reply};
use runstone_model::fact::OrganizationKind;
use runstone_model::id::{Digest, Micros, decode_hex_32, encode_hex};
use runstone_model::limit::{Limit, Limited, NoLimit};
use runstone_model::name::OrganizationName;
use runstone_model::role::Role;
use runstone_store::{Store, SubmitError};
use serde::Deserialize;

use crate::keys;

const CALLER: Caller = Caller::System("provision");
/// Longest name of a user or service account.
const NAME_BYTES_MAX: usize = 255;
/// Longest description or e-mail address.
const TEXT_BYTES_MAX: usize = 4_096;

/// A file cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// It is no YAML of the expected form.
    #[error("the file is not valid: {0}")]
    Form(String),
    /// Some members are wrong; every one is named.
    #[error("the file is not valid:{0}")]
    Fields(Fields),
    /// The store refused a part of it.
    #[error("{path}: {source}")]
    Refused {
        /// Which member.
        path: String,
        /// Why.
        #[source]
        source: SubmitError,
    },
}

/// What is wrong with which member, by dotted path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(pub BTreeMap<String, String>);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, text) in &self.0 {
            write!(f, "\n  {path}: {text}")?;
        }
        Ok(())
    }
}

impl Fields {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.entry(path.into()).or_insert_with(|| text.into());
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    organizations: Vec<OrganizationSection>,
    #[serde(default)]
    users: Vec<UserSection>,
    #[serde(default)]
    service_accounts: Vec<AccountSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationSection {
    name: String,
    kind: Option<String>,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    limits: BTreeMap<String, LimitValue>,
}

/// A limit as YAML has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum LimitValue {
    Number(i64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserSection {
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    roles: BTreeMap<String, String>,
    #[serde(default)]
    api_keys: Vec<KeySection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountSection {
    name: String,
    organization: String,
    role: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    api_keys: Vec<KeySection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySection {
    key: Option<String>,
    key_env: Option<String>,
    key_sha256: Option<String>,
    #[serde(default)]
    description: String,
    expires_at: Option<Expiry>,
}

// A key must not reach a log, not even through a debug print.
impl fmt::Debug for KeySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySection")
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expiry {
    Seconds(i64),
    Text(String),
}

/// Where a key is known from.
#[derive(Clone, PartialEq, Eq)]
enum Secret {
    Value(String),
    Sha256([u8; 32]),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A key to be provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlannedKey {
    secret: Secret,
    description: String,
    expires_at: Option<Micros>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Organization {
        name: String,
        kind: OrganizationKind,
        public: bool,
        description: String,
    },
    Limits {
        organization: String,
        limits: Vec<(Limited, Limit)>,
    },
    User {
        name: String,
        email: String,
    },
    Role {
        organization: String,
        user: String,
        role: Role,
    },
    UserKey {
        user: String,
        key: PlannedKey,
    },
    Account {
        organization: String,
        name: String,
        role: Role,
        description: String,
    },
    AccountKey {
        organization: String,
        account: String,
        key: PlannedKey,
    },
}

/// What a file asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    steps: Vec<(String, Step)>,
}

/// What applying a plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Things that were made.
    pub created: usize,
    /// Things that were changed.
    pub changed: usize,
    /// Things that were so already.
    pub unchanged: usize,
}

impl Plan {
    /// Reads a file. `variable` gives the value of an environment variable, for `key_env`.
    pub fn parse(
        yaml: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProvisionError> {
        let file: File = serde_saphyr::from_str(yaml)
            .map_err(|error| ProvisionError::Form(error.to_string()))?;
        let mut errors = Fields::default();
        let mut plan = Self::default();
        let mut names = BTreeSet::new();
        for (index, section) in file.organizations.into_iter().enumerate() {
            let path = format!("organizations[{index}]");
            if let Err(error) = OrganizationName::parse(&section.name) {
                errors.add(format!("{path}.name"), error.to_string());
            }
            if !names.insert(section.name.clone()) {
                errors.add(
                    format!("{path}.name"),
                    format!("'{}' is declared twice", section.name),
                );
            }
            check_text(&mut errors, &path, "description", &section.description);
            let kind = section.kind.as_deref().unwrap_or("shared");
            match OrganizationKind::parse(kind) {
                Some(kind) => plan.push(
                    path.clone(),
                    Step::Organization {
                        name: section.name.clone(),
                        kind,
                        public: section.public,
                        description: section.description,
                    },
                ),
                None => errors.add(
                    format!("{path}.kind"),
                    format!("'{kind}' is not a kind: shared or personal"),
                ),
            }
            let mut limits = Vec::new();
            for (name, value) in section.limits {
                let text = match value {
                    LimitValue::Number(number) => number.to_string(),
                    LimitValue::Text(text) => text,
                };
                match limit(&name, &text) {
                    Ok(limit) => limits.push(limit),
                    Err(text) => errors.add(format!("{path}.limits.{name}"), text),
                }
            }
            if !limits.is_empty() {
                let organization = section.name;
                plan.push(
                    format!("{path}.limits"),
                    Step::Limits {
                        organization,
                        limits,
                    },
                );
            }
        }
        let mut names = BTreeSet::new();
        for (index, section) in file.users.into_iter().enumerate() {
            let path = format!("users[{index}]");
            check_name(&mut errors, &path, &section.name);
            if !names.insert(section.name.clone()) {
                errors.add(
                    format!("{path}.name"),
                    format!("'{}' is declared twice", section.name),
                );
            }
            check_text(&mut errors, &path, "email", &section.email);
            plan.push(
                path.clone(),
                Step::User {
                    name: section.name.clone(),
                    email: section.email,
                },
            );
            for (organization, role) in section.roles {
                let path = format!("{path}.roles.{organization}");
                match role.parse::<Role>() {
                    Ok(role) => plan.push(
                        path,
                        Step::Role {
                            organization,
                            user: section.name.clone(),
                            role,
                        },
                    ),
                    Err(error) => errors.add(path, error.to_string()),
                }
            }
            for (index, key) in section.api_keys.into_iter().enumerate() {
                let path = format!("{path}.api_keys[{index}]");
                if let Some(key) = planned_key(&mut errors, &path, key, &variable) {
                    plan.push(
                        path,
                        Step::UserKey {
                            user: section.name.clone(),
                            key,
                        },
                    );
                }
            }
        }
        let mut names = BTreeSet::new();
        for (index, section) in file.service_accounts.into_iter().enumerate() {
            let path = format!("service_accounts[{index}]");
            check_name(&mut errors, &path, &section.name);
            if !names.insert((section.organization.clone(), section.name.clone())) {
                errors.add(
                    format!("{path}.name"),
                    format!("'{}' is declared twice", section.name),
                );
            }
            check_text(&mut errors, &path, "description", &section.description);
            match section.role.parse::<Role>() {
                Ok(role) => plan.push(
                    path.clone(),
                    Step::Account {
                        organization: section.organization.clone(),
                        name: section.name.clone(),
                        role,
                        description: section.description,
                    },
                ),
                Err(error) => errors.add(format!("{path}.role"), error.to_string()),
            }
            for (index, key) in section.api_keys.into_iter().enumerate() {
                let path = format!("{path}.api_keys[{index}]");
                if let Some(key) = planned_key(&mut errors, &path, key, &variable) {
                    plan.push(
                        path,
                        Step::AccountKey {
                            organization: section.organization.clone(),
                            account: section.name.clone(),
                            key,
                        },
                    );
                }
            }
        }
        if errors.0.is_empty() {
            Ok(plan)
        } else {
            Err(ProvisionError::Fields(errors))
        }
    }

    /// The plan of a first start: an organization with one administrator who holds `key`.
    pub fn first_start(organization: &str, user: &str, key: &str) -> Self {
        let mut plan = Self::default();
        plan.push(
            "organization",
            Step::Organization {
                name: organization.to_owned(),
                kind: OrganizationKind::Shared,
                public: false,
                description: String::new(),
            },
        );
        plan.push(
            "user",
            Step::User {
                name: user.to_owned(),
                email: String::new(),
            },
        );
        plan.push(
            "role",
            Step::Role {
                organization: organization.to_owned(),
                user: user.to_owned(),
                role: Role::Admin,
            },
        );
        plan.push(
            "key",
            Step::UserKey {
                user: user.to_owned(),
                key: PlannedKey {
                    secret: Secret::Value(key.to_owned()),
                    description: "made at the first start".to_owned(),
                    expires_at: None,
                },
            },
        );
        plan
    }

    fn push(&mut self, path: impl Into<String>, step: Step) {
        self.steps.push((path.into(), step));
    }

    /// Applies the plan; what already holds is left as it is.
    pub async fn apply(&self, store: &Store) -> Result<Applied, ProvisionError> {
        let mut applied = Applied::default();
        for (path, step) in &self.steps {
            let (organization, action) = action(store, step);
            let command = Command {
                caller: CALLER,
                organization,
                action,
                salt: store.salt(),
            };
            let done = match store.submit(command).await {
                Ok(done) => done,
                // It was closed on purpose and does not come back; that is no reason not to start.
                Err(SubmitError::Refused(refusal @ Refusal::OrganizationClosed { .. })) => {
                    tracing::warn!("{path} of the provision file is left out: {refusal}");
                    applied.unchanged += 1;
                    continue;
                }
                Err(source) => {
                    return Err(ProvisionError::Refused {
                        path: path.clone(),
                        source,
                    });
                }
            };
            match done.reply {
                Reply::Created | Reply::Snapshot(_) => applied.created += 1,
                Reply::Changed => applied.changed += 1,
                Reply::Unchanged | Reply::Replayed => applied.unchanged += 1,
            }
        }
        Ok(applied)
    }
}

/// A limit by its name and value.
fn limit(name: &str, value: &str) -> Result<(Limited, Limit), String> {
    let what = Limited::ALL
        .into_iter()
        .find(|what| what.as_str() == name)
        .ok_or_else(|| {
            format!("'{name}' is not limited: environments, entries_per_minute or bytes")
        })?;
    let limit = value.parse().map_err(|error: NoLimit| error.to_string())?;
    Ok((what, limit))
}

/// Limits by their names and values.
pub(crate) fn limits(set: &BTreeMap<String, String>) -> Result<Vec<(Limited, Limit)>, String> {
    set.iter().map(|(name, value)| limit(name, value)).collect()
}

/// A new API key from the store's randomness.
pub fn generate_key(store: &Store) -> String {
    keys::generate(&store.salt())
}

fn action(store: &Store, step: &Step) -> (String, Action) {
    match step.clone() {
        Step::Organization {
            name,
            kind,
            public,
            description,
        } => (
            String::new(),
            Action::PutOrganization {
                id: random_id(store),
                name,
                kind,
                public,
                description,
            },
        ),
        Step::Limits {
            organization,
            limits,
        } => (
            String::new(),
            Action::PutLimits {
                name: organization,
                limits,
            },
        ),
        Step::User { name, email } => (String::new(), Action::PutUser { name, email }),
        Step::Role {
            organization,
            user,
            role,
        } => (organization, Action::PutRole { user, role }),
        Step::UserKey { user, key } => (
            String::new(),
            Action::PutUserKey {
                user,
                key: new_key(store, key),
            },
        ),
        Step::Account {
            organization,
            name,
            role,
            description,
        } => (
            organization,
            Action::PutServiceAccount {
                name,
                role,
                description,
            },
        ),
        Step::AccountKey {
            organization,
            account,
            key,
        } => (
            organization,
            Action::PutServiceAccountKey {
                account,
                key: new_key(store, key),
            },
        ),
    }
}

fn new_key(store: &Store, key: PlannedKey) -> NewKey {
    NewKey {
        id: random_id(store),
        verifier: verifier(store, &key.secret),
        description: key.description,
        expires_at: key.expires_at,
    }
}

fn verifier(store: &Store, secret: &Secret) -> Digest {
    match secret {
        Secret::Value(key) => store.verifier(key),
        Secret::Sha256(digest) => store.verifier_of_sha256(digest),
    }
}

/// 16 hexadecimal digits.
fn random_id(store: &Store) -> String {
    let mut bytes = [0; 8];
    store.fill_random(&mut bytes);
    encode_hex(&bytes)
}

fn check_name(errors: &mut Fields, path: &str, name: &str) {
    if name.is_empty() {
        errors.add(format!("{path}.name"), "a name cannot be empty");
    } else if name.len() > NAME_BYTES_MAX {
        errors.add(
            format!("{path}.name"),
            format!("a name has at most {NAME_BYTES_MAX} bytes"),
        );
    } else if name.chars().any(char::is_control) {
        errors.add(
            format!("{path}.name"),
            "a name cannot contain control characters",
        );
    }
}

fn check_text(errors: &mut Fields, path: &str, member: &str, text: &str) {
    if text.len() > TEXT_BYTES_MAX {
        errors.add(
            format!("{path}.{member}"),
            format!("it has at most {TEXT_BYTES_MAX} bytes"),
        );
    }
}

fn planned_key(
    errors: &mut Fields,
    path: &str,
    section: KeySection,
    variable: &impl Fn(&str) -> Option<String>,
) -> Option<PlannedKey> {
    check_text(errors, path, "description", &section.description);
    let expires_at = match section.expires_at {
        None => None,
        Some(expiry) => match instant(&expiry) {
            Some(at) => Some(at),
            None => {
                errors.add(
                    format!("{path}.expires_at"),
                    "neither Unix seconds nor a date nor a time such as 2027-01-31T00:00:00Z",
                );
                return None;
            }
        },
    };
    let mut check = |member: &str, key: String| match keys::check(&key) {
        Ok(()) => Some(Secret::Value(key)),
        Err(error) => {
            errors.add(format!("{path}.{member}"), error.to_string());
            None
        }
    };
    let secret = match (section.key, section.key_env, section.key_sha256) {
        (Some(key), None, None) => check("key", key),
        (None, Some(name), None) => match variable(&name) {
            Some(key) => check("key_env", key),
            None => {
                errors.add(
                    format!("{path}.key_env"),
                    format!("the environment variable {name} is not set"),
                );
                None
            }
        },
        (None, None, Some(digits)) => {
            let digest = decode_hex_32(digits.to_ascii_lowercase().as_bytes());
            if digest.is_none() {
                errors.add(
                    format!("{path}.key_sha256"),
                    "it must be 64 hexadecimal digits, the SHA-256 of the key",
                );
            }
            digest.map(Secret::Sha256)
        }
        _ => {
            errors.add(
                path,
                "exactly one of key, key_env and key_sha256 must be given",
            );
            None
        }
    };
    Some(PlannedKey {
        secret: secret?,
        description: section.description,
        expires_at,
    })
}

fn instant(expiry: &Expiry) -> Option<Micros> {
    match expiry {
        Expiry::Seconds(seconds) => seconds.checked_mul(Micros::SECOND).map(Micros),
        Expiry::Text(text) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .or_else(|| {
                let date: jiff::civil::Date = text.parse().ok()?;
                let midnight = date.to_datetime(jiff::civil::Time::midnight());
                jiff::tz::TimeZone::UTC.to_timestamp(midnight).ok()
            })
            .map(|time| Micros(time.as_microsecond())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    fn parse(yaml: &str) -> Result<Plan, ProvisionError> {
        Plan::parse(yaml, |name| (name == "SET").then(|| "from-env".to_owned()))
    }

    #[test]
    fn a_file_becomes_steps() {
        let plan = parse(
            "organizations:\n  - name: acme\n    public: true\nusers:\n  - name: ada\n    \
             email: ada@example.com\n    roles: {acme: admin}\n    api_keys:\n      \
             - key: secret-1\n        expires_at: 2030-01-01\n      - key_env: SET\n\
             service_accounts:\n  - name: ci\n    organization: acme\n    role: snapshotter\n    \
             api_keys:\n      - key_sha256: \
             82e63f3427c5e01fe76b8210db985144d10088cf1eea61094353db37c7ef3e99\n        \
             expires_at: 1900000000\n",
        )
        .unwrap();
        let paths: Vec<&str> = plan.steps.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "organizations[0]",
                "users[0]",
                "users[0].roles.acme",
                "users[0].api_keys[0]",
                "users[0].api_keys[1]",
                "service_accounts[0]",
                "service_accounts[0].api_keys[0]",
            ]
        );
        assert!(!format!("{plan:?}").contains("secret-1"));
        let Step::UserKey { key, .. } = &plan.steps[3].1 else {
            panic!("a key");
        };
        assert_eq!(key.expires_at, Some(Micros(1_893_456_000_000_000)));
    }

    #[test]
    fn every_wrong_member_is_named() {
        let error = parse(
            "organizations:\n  - name: log\n    kind: big\n    limits: {bytes: -1, rooms: 3}\n  - name: a\n    limits: {bytes: unlimited, environments: 5, entries_per_minute: default}\n  - name: a\nusers:\n  \
             - name: ''\n    roles: {a: owner}\n    api_keys:\n      - key: a b\n      \
             - key_env: UNSET\n      - key_sha256: abc\n      - description: none\n      \
             - key: x\n        expires_at: soon\n",
        )
        .unwrap_err();
        let ProvisionError::Fields(fields) = &error else {
            panic!("{error}");
        };
        let paths: Vec<&str> = fields.0.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "organizations[0].kind",
                "organizations[0].limits.bytes",
                "organizations[0].limits.rooms",
                "organizations[0].name",
                "organizations[2].name",
                "users[0].api_keys[0].key",
                "users[0].api_keys[1].key_env",
                "users[0].api_keys[2].key_sha256",
                "users[0].api_keys[3]",
                "users[0].api_keys[4].expires_at",
                "users[0].name",
                "users[0].roles.a",
            ]
        );
        assert!(error.to_string().contains(
            "users[0].roles.a: 'owner' is not a role: admin, member, snapshotter or reader"
        ));
    }

    #[test]
    fn unknown_members_are_named() {
        let error = parse("organisations: []").unwrap_err().to_string();
        assert!(error.contains("organisations"), "{error}");
        let error = parse("users:\n  - email: a@b\n").unwrap_err().to_string();
        assert!(error.contains("name"), "{error}");
        assert_eq!(parse("{}").unwrap(), Plan::default());
    }
}
