//! What ran before what, by environment: read once from all its snapshots, kept, and followed from
//! then on (see `runstone_store::Lineage`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runstone_model::fact::{EnvironmentNo, OrganizationNo};
use runstone_store::Lineage;
use tokio::sync::Mutex as AsyncMutex;

/// Whose.
type Key = (OrganizationNo, EnvironmentNo);

/// Bounded by bytes; what was asked for first goes first, but never the one just asked for.
pub(crate) struct Lineages {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, (Arc<AsyncMutex<Lineage>>, usize)>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Lineages {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of an environment, as far as it was followed.
    pub(crate) fn of(
        &self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
    ) -> Arc<AsyncMutex<Lineage>> {
        let key = (organization, environment);
        let mut inner = self.lock();
        if let Some((lineage, _)) = inner.entries.get(&key) {
            return Arc::clone(lineage);
        }
        let lineage = Arc::new(AsyncMutex::new(Lineage::new(organization, environment)));
        inner.entries.insert(key, (Arc::clone(&lineage), 0));
        inner.order.push_back(key);
        lineage
    }

    /// It takes so many bytes now.
    pub(crate) fn weighs(
        &self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
        bytes: usize,
    ) {
        let key = (organization, environment);
        let mut inner = self.lock();
        let Some((_, known)) = inner.entries.get_mut(&key) else {
            return;
        };
        let before = std::mem::replace(known, bytes);
        inner.bytes = inner.bytes - before + bytes;
        while inner.bytes > self.bytes_max && inner.order.len() > 1 {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            if oldest == key {
                inner.order.push_back(oldest);
            } else if let Some((_, bytes)) = inner.entries.remove(&oldest) {
                inner.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_within_their_bound_and_the_last_stays() {
        let lineages = Lineages::new(100);
        let organization = OrganizationNo(1);
        let of = |no| lineages.of(organization, EnvironmentNo(no));
        let weighs = |no, bytes| lineages.weighs(organization, EnvironmentNo(no), bytes);
        let first = of(1);
        weighs(1, 60);
        weighs(1, 50);
        of(2);
        weighs(2, 50);
        assert!(Arc::ptr_eq(&first, &of(1)), "both fit");
        weighs(2, 60);
        assert!(!Arc::ptr_eq(&first, &of(1)), "the oldest went");
        let large = of(3);
        weighs(3, 1_000);
        assert!(Arc::ptr_eq(&large, &of(3)), "it is in use");
        assert_eq!(lineages.lock().bytes, 1_000);
    }
}
