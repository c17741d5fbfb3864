//! Lanes: reports of one environment, one after another, in order of arrival (design D4, D7, D8).
//!
//! Owns the unchanged path: a report that says what the last one said is answered without a
//! command, and only the time is remembered, to be shared at most 2 s later. A lane trusts its
//! memory only while the environment's row is the one it was filled with, so that several
//! servers on one database, or a change of settings, never mislead it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use runstone_model::command::{Action, Caller, RecordReport, Refusal, Reply};
use runstone_model::event::Claim;
use runstone_model::fact::{
    Environment, EnvironmentNo, Organization, OrganizationNo, Seen, SnapshotNo,
};
use runstone_model::id::{Digest, Micros};
use runstone_model::name::EnvironmentKind;
use runstone_model::read::FieldErrors;
use runstone_model::report::{Report, ReportLimits, read_report, split_elements};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex as AsyncMutex;

use super::State;
use super::error::AppError;

/// Larger bodies are hashed and read on a thread that may block.
const INLINE_BYTES_MAX: usize = 128 << 10;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It made a snapshot.
    Snapshot,
    /// It changed nothing, or was a replay.
    Nothing,
}

/// A report as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) kind: EnvironmentKind,
    pub(crate) body: Bytes,
    pub(crate) claim: Option<Claim>,
}

/// One per environment that reported to this process.
pub(crate) struct Lane {
    organization: Arc<Organization>,
    environment: EnvironmentNo,
    /// Microseconds; 0 = not seen by this process.
    last_seen: AtomicI64,
    state: AsyncMutex<LaneState>,
}

#[derive(Default)]
struct LaneState {
    last: Option<Last>,
    unshared: Option<Seen>,
}

/// The last report that was accepted, and the row of its environment then.
struct Last {
    snapshots: SnapshotNo,
    modified_at: Micros,
    body: Digest,
    elements: Arc<Elements>,
    identities: Digest,
}

/// Hash of each raw element of a report and how often it occurs: the order means nothing.
type Elements = HashMap<Digest, u32>;

/// All lanes.
pub(crate) struct Lanes {
    elements_max: usize,
    elements: AtomicUsize,
    lanes: Mutex<HashMap<(OrganizationNo, EnvironmentNo), Arc<Lane>>>,
}

impl Lanes {
    pub(crate) fn new(elements_max: usize) -> Self {
        Self {
            elements_max,
            elements: AtomicUsize::new(0),
            lanes: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(OrganizationNo, EnvironmentNo), Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, organization: &Arc<Organization>, environment: EnvironmentNo) -> Arc<Lane> {
        let mut lanes = self.lock();
        let lane = lanes
            .entry((organization.no, environment))
            .or_insert_with(|| {
                Arc::new(Lane {
                    organization: Arc::clone(organization),
                    environment,
                    last_seen: AtomicI64::new(0),
                    state: AsyncMutex::default(),
                })
            });
        Arc::clone(lane)
    }

    fn all(&self) -> Vec<Arc<Lane>> {
        self.lock().values().cloned().collect()
    }

    /// When this process last saw an environment.
    pub(crate) fn last_seen(
        &self,
        organization: OrganizationNo,
        environment: EnvironmentNo,
    ) -> Option<Micros> {
        let seen = self
            .lock()
            .get(&(organization, environment))?
            .last_seen
            .load(Ordering::Relaxed);
        (seen > 0).then_some(Micros(seen))
    }

    /// Number of elements remembered.
    pub(crate) fn elements(&self) -> usize {
        self.elements.load(Ordering::Relaxed)
    }

    fn remember(&self, state: &mut LaneState, last: Last) {
        self.elements
            .fetch_add(last.elements.len(), Ordering::Relaxed);
        self.forget(state);
        state.last = Some(last);
        if self.elements() > self.elements_max {
            for lane in self.all() {
                // The lane in use stays locked, hence stays.
                if let Ok(mut other) = lane.state.try_lock() {
                    self.forget(&mut other);
                }
                if self.elements() <= self.elements_max {
                    break;
                }
            }
        }
    }

    fn forget(&self, state: &mut LaneState) {
        if let Some(last) = state.last.take() {
            self.elements
                .fetch_sub(last.elements.len(), Ordering::Relaxed);
        }
    }
}

impl Lane {
    fn note(&self, state: &mut LaneState, at: Micros, claim: Option<&Claim>) {
        let reporter = claim.map(|claim| claim.by.as_str()).unwrap_or_default();
        let seen = state.unshared.get_or_insert_with(|| Seen {
            from: at,
            to: at,
            reports: 0,
            longest_gap: 0,
            reporter: String::new(),
        });
        seen.longest_gap = seen.longest_gap.max(at.0 - seen.to.0);
        seen.to = seen.to.max(at);
        seen.reports += 1;
        if seen.reporter != reporter {
            reporter.clone_into(&mut seen.reporter);
        }
        self.last_seen.fetch_max(at.0, Ordering::Relaxed);
    }
}

/// A report whose elements were compared with those of the last one.
enum Compared {
    Same,
    Differs {
        elements: Elements,
        identities: Digest,
        report: Arc<Report>,
    },
}

fn compare(
    kind: EnvironmentKind,
    body: &[u8],
    limits: &ReportLimits,
    include_scaling: bool,
    last: Option<&Elements>,
) -> Result<Compared, FieldErrors> {
    let mut elements = Elements::new();
    for raw in split_elements(kind, body, limits)? {
        *elements.entry(Digest::of(raw)).or_default() += 1;
    }
    if last.is_some_and(|last| *last == elements) {
        return Ok(Compared::Same);
    }
    let report = read_report(kind, body, limits)?;
    let mut hash = Sha256::new();
    for artifact in &report.artifacts {
        if let Some(fingerprint) = artifact.fingerprint {
            hash.update(b"f");
            hash.update(fingerprint.as_bytes());
        }
        if include_scaling {
            hash.update(b"c");
            hash.update(artifact.detail.instances().to_be_bytes());
        }
        hash.update(b"n");
        hash.update((artifact.name.len() as u64).to_be_bytes());
        hash.update(&artifact.name);
    }
    Ok(Compared::Differs {
        elements,
        identities: Digest(hash.finalize().into()),
        report: Arc::new(report),
    })
}

/// Runs costly work where it may block, small work at once.
async fn costly<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    if bytes <= INLINE_BYTES_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| AppError::Internal(format!("reading a report failed: {error}")))
}

fn check_kind(known: &Environment, name: &str, kind: EnvironmentKind) -> Result<(), Refusal> {
    if known.kind == kind {
        Ok(())
    } else if known.kind.is_logical() {
        Err(Refusal::ReportToLogical {
            name: name.to_owned(),
        })
    } else {
        Err(Refusal::ReportOfOtherKind {
            name: name.to_owned(),
            kind: known.kind,
            reported: kind,
        })
    }
}

impl State {
    /// Records a report (section 4). The environment was read in this request's transaction.
    pub(crate) async fn record_report(
        self: &Arc<Self>,
        caller: Caller,
        organization: &Arc<Organization>,
        name: &str,
        known: &Environment,
        arrived: Arrived,
    ) -> Result<Recorded, AppError> {
        check_kind(known, name, arrived.kind)?;
        let lane = self.lanes.of(organization, known.no);
        let mut state = lane.state.lock().await;
        let bytes = arrived.body.len();
        let body = arrived.body.clone();
        let digest = costly(bytes, move || Digest::of(&body)).await?;

        // The row as it is now that it is this report's turn.
        let mut read = self.read().await?;
        let row = read.environment(organization.no, known.no).await?;
        drop(read);
        let Some(row) = row.filter(|row| row.archived_at.is_none()) else {
            self.lanes.forget(&mut state);
            return Err(Refusal::EnvironmentArchived {
                name: name.to_owned(),
                organization: organization.name.clone(),
            }
            .into());
        };
        if state.last.as_ref().is_some_and(|last| {
            last.snapshots != row.snapshots || last.modified_at != row.modified_at
        }) {
            self.lanes.forget(&mut state);
        }
        if let Some(last) = &state.last
            && last.body == digest
        {
            lane.note(&mut state, self.now(), arrived.claim.as_ref());
            self.metrics.report("identical");
            return Ok(Recorded::Nothing);
        }

        let limits = self.config.report;
        let include_scaling = row.include_scaling;
        let last = state.last.as_ref().map(|last| Arc::clone(&last.elements));
        let body = arrived.body.clone();
        let kind = arrived.kind;
        let compared = costly(bytes, move || {
            compare(kind, &body, &limits, include_scaling, last.as_deref())
        })
        .await??;
        let (elements, identities, report) = match compared {
            Compared::Same => {
                if let Some(last) = &mut state.last {
                    last.body = digest;
                }
                lane.note(&mut state, self.now(), arrived.claim.as_ref());
                self.metrics.report("same_elements");
                return Ok(Recorded::Nothing);
            }
            Compared::Differs {
                elements,
                identities,
                report,
            } => (elements, identities, report),
        };
        let mut last = Last {
            snapshots: row.snapshots,
            modified_at: row.modified_at,
            body: digest,
            elements: Arc::new(elements),
            identities,
        };
        if state
            .last
            .as_ref()
            .is_some_and(|known| known.identities == identities)
        {
            self.lanes.remember(&mut state, last);
            lane.note(&mut state, self.now(), arrived.claim.as_ref());
            self.metrics.report("same_artifacts");
            return Ok(Recorded::Nothing);
        }

        let unshared = state.unshared.take();
        let action = Action::RecordReport(RecordReport {
            environment: name.to_owned(),
            kind: arrived.kind,
            report,
            claim: arrived.claim.clone(),
            unshared: unshared.clone(),
        });
        let done = match self.submit(caller, &organization.name, action).await {
            Ok(done) => done,
            Err(error) => {
                state.unshared = unshared;
                return Err(error);
            }
        };
        match done.reply {
            Reply::Snapshot(no) => {
                last.snapshots = no;
                self.lanes.remember(&mut state, last);
                lane.last_seen.fetch_max(self.now().0, Ordering::Relaxed);
                self.metrics.report("snapshot");
                Ok(Recorded::Snapshot)
            }
            Reply::Replayed => {
                state.unshared = unshared;
                self.metrics.report("replayed");
                Ok(Recorded::Nothing)
            }
            Reply::Created | Reply::Changed | Reply::Unchanged => {
                state.unshared = unshared;
                self.lanes.remember(&mut state, last);
                lane.note(&mut state, self.now(), arrived.claim.as_ref());
                self.metrics.report("same_artifacts");
                Ok(Recorded::Nothing)
            }
        }
    }

    /// Shares when environments were last seen: one command for all lanes that are free, one
    /// each for those in work, so that a share never falls behind an entry of its environment.
    pub(crate) async fn share_seen(&self) -> Result<(), AppError> {
        let mut together = Vec::new();
        let mut busy = Vec::new();
        for lane in self.lanes.all() {
            let locked = lane.state.try_lock().map(|state| state.unshared.is_some());
            match locked {
                Ok(false) => {}
                Ok(true) => together.push(lane),
                Err(_) => busy.push(lane),
            }
        }
        self.share(&together).await?;
        for lane in busy {
            self.share(&[lane]).await?;
        }
        Ok(())
    }

    async fn share(&self, lanes: &[Arc<Lane>]) -> Result<(), AppError> {
        // In one order everywhere, so that two rounds cannot wait for each other.
        let mut lanes: Vec<&Arc<Lane>> = lanes.iter().collect();
        lanes.sort_by_key(|lane| (lane.organization.no, lane.environment));
        let mut states = Vec::with_capacity(lanes.len());
        let mut seen = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let mut state = lane.state.lock().await;
            if let Some(unshared) = state.unshared.take() {
                seen.push((lane.organization.no, lane.environment, unshared));
                states.push(state);
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        let action = Action::ShareSeen(seen.clone());
        let shared = self.submit(Caller::System("observation"), "", action).await;
        if let Err(error) = shared {
            for (state, (_, _, unshared)) in states.iter_mut().zip(seen) {
                state.unshared = Some(unshared);
            }
            return Err(error);
        }
        Ok(())
    }

    /// Journals that environments reported without a change for as long as the period (D8).
    pub(crate) async fn record_observations(&self) -> Result<(), AppError> {
        let now = self.now();
        let period = i64::try_from(self.config.observation_period.as_micros()).unwrap_or(i64::MAX);
        let mut by_organization: HashMap<OrganizationNo, Vec<Arc<Lane>>> = HashMap::new();
        for lane in self.lanes.all() {
            by_organization
                .entry(lane.organization.no)
                .or_default()
                .push(lane);
        }
        for (organization, lanes) in by_organization {
            let numbers: Vec<EnvironmentNo> = lanes.iter().map(|lane| lane.environment).collect();
            let mut read = self.read().await?;
            let seen = read.seen(organization, &numbers).await?;
            drop(read);
            for lane in lanes {
                let due = seen
                    .get(&lane.environment)
                    .is_some_and(|seen| seen.reports > 0 && now.0 - seen.from.0 >= period);
                if !due {
                    continue;
                }
                let mut state = lane.state.lock().await;
                let unshared = state.unshared.take();
                let action = Action::RecordObservation {
                    environment: lane.environment,
                    unshared: unshared.clone(),
                };
                let name = &lane.organization.name;
                if let Err(error) = self
                    .submit(Caller::System("observation"), name, action)
                    .await
                {
                    state.unshared = unshared;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
