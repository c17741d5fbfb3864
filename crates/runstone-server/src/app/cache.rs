//! Rendered latest snapshots. What runs in a snapshot never changes, and everything else that is
//! shown with it is part of the key, so that nothing has to be invalidated.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use runstone_model::fact::{EnvironmentNo, OrganizationNo, SnapshotNo};
use runstone_store::Stamp;

/// What determines the bytes of a latest snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SnapshotKey {
    pub(crate) organization: OrganizationNo,
    pub(crate) environment: EnvironmentNo,
    pub(crate) snapshot: SnapshotNo,
    /// What is known of where its artifacts come from.
    pub(crate) provenance: Stamp,
    /// Address of its page: origin and names.
    pub(crate) html_url: String,
    /// Whether it is compressed.
    pub(crate) gzip: bool,
}

/// Bounded by bytes; what was put first goes first.
pub(crate) struct SnapshotCache {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<SnapshotKey, Bytes>,
    order: VecDeque<SnapshotKey>,
    bytes: usize,
}

impl SnapshotCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &SnapshotKey) -> Option<Bytes> {
        self.lock().entries.get(key).cloned()
    }

    pub(crate) fn put(&self, key: SnapshotKey, bytes: Bytes) {
        if bytes.len() > self.bytes_max / 4 {
            return;
        }
        let mut inner = self.lock();
        inner.bytes += bytes.len();
        if let Some(old) = inner.entries.insert(key.clone(), bytes) {
            inner.bytes -= old.len();
        } else {
            inner.order.push_back(key);
        }
        while inner.bytes > self.bytes_max {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            if let Some(gone) = inner.entries.remove(&oldest) {
                inner.bytes -= gone.len();
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bound() {
        let cache = SnapshotCache::new(100);
        let key = |snapshot| SnapshotKey {
            organization: OrganizationNo(1),
            environment: EnvironmentNo(1),
            snapshot,
            provenance: Stamp::default(),
            html_url: String::new(),
            gzip: false,
        };
        for snapshot in 1..=10 {
            cache.put(key(snapshot), Bytes::from(vec![0; 20]));
            cache.put(key(snapshot), Bytes::from(vec![1; 20]));
        }
        assert_eq!(cache.bytes(), 100);
        assert_eq!(cache.get(&key(1)), None);
        assert_eq!(cache.get(&key(10)), Some(Bytes::from(vec![1; 20])));
        cache.put(key(11), Bytes::from(vec![0; 26]));
        assert_eq!(cache.get(&key(11)), None, "too large for one entry");
    }
}
