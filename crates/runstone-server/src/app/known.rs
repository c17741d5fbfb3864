//! What was found out about callers and environments, kept with the state of the store it was
//! found in (design D14, D18).
//!
//! What is kept is true without asking while the store says that nothing has been committed
//! since. An older finding only spares a write its first look: the writer, or the lane of the
//! environment, looks again before anything comes of it. Refusals are never kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runstone_model::fact::{ApiKey, Environment, Organization, OrganizationNo};
use runstone_model::id::Digest;
use runstone_model::role::Role;
use runstone_store::{Stamp, Version};

use super::access::Naming;

/// Findings kept; when there are more, all are dropped.
const COUNT_MAX: usize = 16_384;

/// Bytes of texts in one finding; a larger one is not kept.
const BYTES_MAX: usize = 1_024;

/// A key that is part of an organization.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) version: Version,
    pub(crate) key: Arc<ApiKey>,
    pub(crate) organization: Arc<Organization>,
    pub(crate) role: Role,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Known {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    count: usize,
    /// By verifier; a key is used for few organizations.
    memberships: HashMap<Digest, Vec<(Naming, Box<str>, Membership)>>,
    environments: HashMap<OrganizationNo, Named>,
    /// What organizations know of where artifacts come from.
    provenance: HashMap<OrganizationNo, (Version, Stamp)>,
}

/// Live environments of an organization by name.
type Named = HashMap<Box<str>, (Version, Arc<Environment>)>;

impl Inner {
    fn count_one(&mut self) {
        if self.count >= COUNT_MAX {
            *self = Self::default();
        }
        self.count += 1;
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last found out about a key and an organization.
    pub(crate) fn membership(
        &self,
        verifier: &Digest,
        naming: Naming,
        organization: &str,
    ) -> Option<Membership> {
        self.lock()
            .memberships
            .get(verifier)?
            .iter()
            .find(|(how, name, _)| *how == naming && **name == *organization)
            .map(|(_, _, found)| found.clone())
    }

    pub(crate) fn keep_membership(&self, naming: Naming, organization: &str, found: Membership) {
        if found.key.description.len() + found.organization.description.len() > BYTES_MAX {
            return;
        }
        let mut inner = self.lock();
        let verifier = found.key.verifier;
        if let Some(list) = inner.memberships.get_mut(&verifier)
            && let Some((_, _, older)) = list
                .iter_mut()
                .find(|(how, name, _)| *how == naming && **name == *organization)
        {
            if older.version < found.version {
                *older = found;
            }
            return;
        }
        inner.count_one();
        inner
            .memberships
            .entry(verifier)
            .or_default()
            .push((naming, organization.into(), found));
    }

    /// A key is not what it was.
    pub(crate) fn forget_key(&self, verifier: &Digest) {
        let mut inner = self.lock();
        if let Some(list) = inner.memberships.remove(verifier) {
            inner.count -= list.len();
        }
    }

    /// What an organization was last found to know of where artifacts come from.
    pub(crate) fn provenance(&self, organization: OrganizationNo) -> Option<(Version, Stamp)> {
        self.lock().provenance.get(&organization).copied()
    }

    pub(crate) fn keep_provenance(
        &self,
        organization: OrganizationNo,
        version: Version,
        stamp: Stamp,
    ) {
        let mut inner = self.lock();
        if let Some(older) = inner.provenance.get_mut(&organization) {
            if older.0 < version {
                *older = (version, stamp);
            }
            return;
        }
        inner.count_one();
        inner.provenance.insert(organization, (version, stamp));
    }

    /// The live environment a name was last found to lead to.
    pub(crate) fn environment(
        &self,
        organization: OrganizationNo,
        name: &str,
    ) -> Option<(Version, Arc<Environment>)> {
        self.lock()
            .environments
            .get(&organization)?
            .get(name)
            .cloned()
    }

    pub(crate) fn keep_environment(
        &self,
        name: &str,
        version: Version,
        environment: &Arc<Environment>,
    ) {
        let tags: usize = environment
            .tags
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if environment.description.len() + tags + 4 * environment.members.len() > BYTES_MAX {
            return;
        }
        let mut inner = self.lock();
        if let Some(known) = inner.environments.get_mut(&environment.organization)
            && let Some(older) = known.get_mut(name)
        {
            if older.0 < version {
                *older = (version, Arc::clone(environment));
            }
            return;
        }
        inner.count_one();
        inner
            .environments
            .entry(environment.organization)
            .or_default()
            .insert(name.into(), (version, Arc::clone(environment)));
    }
}
