//! Access: which organization a request is about, who asks, and whether they may.
//!
//! A caller learns nothing about organizations it may not see: an unknown one is answered like a
//! foreign one (`api-organisation.md` section 3.1).

use std::sync::Arc;

use runstone_model::command::{Caller, Refusal};
use runstone_model::decide::is_active;
use runstone_model::fact::{Organization, OrganizationKind, Principal, SERVER, SERVER_NAME};
use runstone_model::id::{Digest, Micros};
use runstone_model::limit::Limits;
use runstone_model::role::{Right, Role};
use runstone_store::{Read, Version};

use super::State;
use super::error::AppError;
use super::known::Membership;

/// What a request brings to prove who sends it: texts that may be keys, the likeliest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Credential {
    pub(crate) candidates: Vec<String>,
}

/// A caller who was let in.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) organization: Arc<Organization>,
    pub(crate) caller: Caller,
    /// None: let in because the organization is public.
    pub(crate) role: Option<Role>,
}

/// How an organization is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By its name.
    Name,
    /// By its name or id, the server's own log included.
    NameOrId,
}

async fn find(
    read: &mut Read,
    text: &str,
    naming: Naming,
) -> Result<Option<Arc<Organization>>, AppError> {
    if naming == Naming::NameOrId && text == SERVER_NAME {
        return Ok(Some(Arc::new(Organization {
            no: SERVER,
            id: SERVER_NAME.to_owned(),
            name: SERVER_NAME.to_owned(),
            kind: OrganizationKind::Shared,
            public: false,
            description: String::new(),
            created_at: Micros(0),
            modified_at: Micros(0),
            closed_at: None,
            limits: Limits::default(),
        })));
    }
    let named = read.organization_named(text).await?;
    if named.is_some() || naming == Naming::Name {
        return Ok(named.filter(|organization| organization.no != SERVER));
    }
    let all = read.organizations().await?;
    Ok(all
        .into_iter()
        .find(|organization| organization.id == text && organization.no != SERVER)
        .map(Arc::new))
}

/// What a caller asks to be let in for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) credential: Credential,
    pub(crate) organization: String,
    pub(crate) naming: Naming,
    pub(crate) right: Right,
}

impl State {
    /// Lets a caller in without asking the store, as it was last found out; with the state of the
    /// store that was true in.
    pub(crate) fn recall(&self, asked: &Asked) -> Option<(Version, Granted)> {
        // Of several candidates the first usable one counts, and which that is may have changed.
        let [candidate] = &asked.credential.candidates[..] else {
            return None;
        };
        let verifier = self.store.verifier(candidate);
        let found = self
            .known
            .membership(&verifier, asked.naming, &asked.organization)?;
        (is_active(&found.key, self.now()) && found.role.allows(asked.right)).then(|| {
            let granted = Granted {
                organization: found.organization,
                caller: Caller::Key(verifier),
                role: Some(found.role),
            };
            (found.version, granted)
        })
    }

    /// Lets a caller in or says why not, in the given read transaction.
    pub(crate) async fn admit(&self, read: &mut Read, asked: &Asked) -> Result<Granted, AppError> {
        for candidate in &asked.credential.candidates {
            let verifier = self.store.verifier(candidate);
            let Some(found) = read.admission(verifier, &asked.organization).await? else {
                continue;
            };
            if !is_active(&found.key, self.now()) {
                continue;
            }
            let Some(role) = found.role.filter(|role| role.allows(asked.right)) else {
                break;
            };
            if found.organization.no == SERVER || found.organization.closed_at.is_some() {
                break;
            }
            if let Some(version) = read.version() {
                let membership = Membership {
                    version,
                    key: Arc::new(found.key),
                    organization: Arc::clone(&found.organization),
                    role,
                };
                self.known
                    .keep_membership(asked.naming, &asked.organization, membership);
            }
            return Ok(Granted {
                organization: found.organization,
                caller: Caller::Key(verifier),
                role: Some(role),
            });
        }
        self.admit_otherwise(read, asked).await
    }

    /// For everyone who is no member with the right: public organizations, the server's own log,
    /// and what a refusal says.
    async fn admit_otherwise(&self, read: &mut Read, asked: &Asked) -> Result<Granted, AppError> {
        let Asked {
            credential,
            organization,
            naming,
            right,
        } = asked;
        let (naming, right) = (*naming, *right);
        for candidate in &credential.candidates {
            self.known.forget_key(&self.store.verifier(candidate));
        }
        let principal = self.principal(read, credential).await?;
        let found = find(read, organization, naming).await?;
        // The server's own log is for those who administer the server.
        let right = match &found {
            Some(found) if found.no == SERVER => Right::Administer,
            _ => right,
        };
        let role = match (&found, principal) {
            (Some(found), Some((_, principal))) => read.role(found.no, principal).await?,
            _ => None,
        };
        // Nobody gets into a closed one.
        let found = found.filter(|found| found.closed_at.is_none());
        if let Some(organization) = found {
            if let (Some(role), Some((verifier, _))) = (role, principal)
                && role.allows(right)
            {
                return Ok(Granted {
                    organization,
                    caller: Caller::Key(verifier),
                    role: Some(role),
                });
            }
            if organization.public && right == Right::Read {
                return Ok(Granted {
                    organization,
                    caller: Caller::Anonymous,
                    role: None,
                });
            }
        }
        let refusal = if principal.is_none() {
            Refusal::Unauthorized
        } else if role.is_some() && right == Right::ArchiveEnvironment {
            Refusal::ForbiddenToArchive
        } else {
            Refusal::Forbidden
        };
        Err(refusal.into())
    }

    /// Whose credential it is, if it is usable at all.
    async fn principal(
        &self,
        read: &mut Read,
        credential: &Credential,
    ) -> Result<Option<(Digest, Principal)>, AppError> {
        for candidate in &credential.candidates {
            let verifier = self.store.verifier(candidate);
            if let Some(key) = read.key(verifier).await?
                && is_active(&key, self.now())
            {
                return Ok(Some((verifier, key.principal)));
            }
        }
        Ok(None)
    }
}
