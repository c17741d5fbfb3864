//! Use cases: who may do what, and the commands that change something.
//!
//! Owns the state that requests share. Only this room asks the store for the time and for random
//! bytes; only it submits commands.

pub(crate) mod access;
pub(crate) mod cache;
pub(crate) mod controls;
pub(crate) mod environments;
pub(crate) mod error;
mod evidence;
pub(crate) mod flows;
pub(crate) mod judging;
pub(crate) mod known;
pub(crate) mod lanes;
mod legacy;
pub(crate) mod lineages;
pub(crate) mod metrics;
pub(crate) mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runstone_model::command::{Action, Caller, Command};
use runstone_model::id::Micros;
use runstone_store::{Done, Read, Store, SubmitError};
use tokio::sync::Semaphore;

use crate::config::Config;
use cache::SnapshotCache;
use error::AppError;
use judging::Judges;
use known::Known;
use lanes::Lanes;
use lineages::Lineages;
use metrics::Metrics;

/// Memory for what ran before what.
const LINEAGES_BYTES_MAX: usize = 64 << 20;

/// What requests share.
pub(crate) type App = Arc<State>;

/// See [`App`].
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) known: Known,
    pub(crate) lanes: Lanes,
    pub(crate) judges: Judges,
    pub(crate) lineages: Lineages,
    pub(crate) snapshots: SnapshotCache,
    pub(crate) metrics: Metrics,
    pub(crate) slots: Semaphore,
    /// Large files that may be looked into at once.
    looks: Semaphore,
    request_prefix: String,
    requests: AtomicU64,
}

impl State {
    pub(crate) fn new(config: Config, store: Store) -> App {
        let mut prefix = [0; 6];
        store.fill_random(&mut prefix);
        Arc::new(Self {
            known: Known::default(),
            lanes: Lanes::new(config.lane_bytes_max),
            judges: Judges::new(),
            lineages: Lineages::new(LINEAGES_BYTES_MAX),
            snapshots: SnapshotCache::new(config.snapshot_cache_bytes_max),
            metrics: Metrics::new(),
            slots: Semaphore::new(config.requests_max.min(Semaphore::MAX_PERMITS)),
            looks: Semaphore::new(evidence::LOOKS_MAX),
            request_prefix: runstone_model::id::encode_hex(&prefix),
            requests: AtomicU64::new(0),
            config,
            store,
        })
    }

    pub(crate) fn now(&self) -> Micros {
        self.store.now()
    }

    /// A new id of a request, unique among servers.
    pub(crate) fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:x}", self.request_prefix)
    }

    pub(crate) async fn read(&self) -> Result<Read, AppError> {
        Ok(self.store.read().await?)
    }

    /// Hands a command to the writer; durable when it returns.
    pub(crate) async fn submit(
        &self,
        caller: Caller,
        organization: &str,
        action: Action,
    ) -> Result<Done, AppError> {
        let command = Command {
            caller,
            organization: organization.to_owned(),
            action,
            salt: self.store.salt(),
        };
        self.store.submit(command).await.map_err(|error| {
            if let SubmitError::Refused(refusal) = &error
                && let Some(limit) = refusal.limit()
            {
                self.metrics.limited(limit);
            }
            error.into()
        })
    }
}
