//! Lanes: reports of one environment, one after another, in order of arrival (design D4, D7, D8).
//!
//! Owns the unchanged path: a report that says what the last one said is answered without a
//! command, and only the time is remembered, to be shared at most 2 s later. A lane trusts its
//! memory only while the environment's row is the one it was filled with, so that several
//! servers on one database, or a change of settings, never mislead it. How two reports are
//! compared is the model's business.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use runstone_model::command::{Action, Caller, RecordReport, Refusal, Reply};
use runstone_model::event::Claim;
use runstone_model::fact::{
    Environment, EnvironmentNo, Organization, OrganizationNo, Seen, SnapshotNo,
};
use runstone_model::id::Micros;
use runstone_model::name::EnvironmentKind;
use runstone_model::report::{Compared, LastReport, Same, read_report};
use runstone_store::Version;
use tokio::sync::Mutex as AsyncMutex;

use super::State;
use super::access::Asked;
use super::error::AppError;

/// Larger bodies are read on a thread that may block.
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
    pub(crate) organization: Arc<Organization>,
    /// Name of the environment in the request.
    pub(crate) name: String,
    /// What that led to when the request came.
    pub(crate) environment: Arc<Environment>,
    /// The state of the store in which all this, and that the caller may report, was found out;
    /// none if nobody can tell.
    pub(crate) version: Option<Version>,
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
    report: Arc<LastReport>,
}

/// All lanes.
pub(crate) struct Lanes {
    bytes_max: usize,
    bytes: AtomicUsize,
    lanes: Mutex<HashMap<(OrganizationNo, EnvironmentNo), Arc<Lane>>>,
}

impl Lanes {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: AtomicUsize::new(0),
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

    /// Bytes of the reports remembered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn remember(&self, state: &mut LaneState, last: Last) {
        self.forget(state);
        let bytes = last.report.bytes();
        if bytes > self.bytes_max {
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        state.last = Some(last);
        if self.bytes() > self.bytes_max {
            for lane in self.all() {
                // The lane in use stays locked, hence stays.
                if let Ok(mut other) = lane.state.try_lock() {
                    self.forget(&mut other);
                }
                if self.bytes() <= self.bytes_max {
                    break;
                }
            }
        }
    }

    fn forget(&self, state: &mut LaneState) {
        if let Some(last) = state.last.take() {
            self.bytes.fetch_sub(last.report.bytes(), Ordering::Relaxed);
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

impl Last {
    /// Whether nothing about the environment has changed since.
    fn is_of(&self, row: &Environment) -> bool {
        self.snapshots == row.snapshots && self.modified_at == row.modified_at
    }
}

impl State {
    /// Answers for a report that says what the last one said, where that takes no time: nothing
    /// has changed in the store since the request was let in, and nobody is before it. None: it
    /// is not known to, and has to be recorded.
    pub(crate) fn recognise_report(&self, arrived: &Arrived) -> Option<Recorded> {
        let row = &arrived.environment;
        if arrived.body.len() > INLINE_BYTES_MAX
            || !arrived
                .version
                .is_some_and(|version| self.store.is_current(version))
        {
            return None;
        }
        let lane = self.lanes.of(&arrived.organization, row.no);
        let mut state = lane.state.try_lock().ok()?;
        let last = state.last.as_ref().filter(|last| last.is_of(row))?;
        let same = last
            .report
            .recognise(arrived.kind, &arrived.body, &self.config.report)?;
        let outcome = match same {
            Same::Body => "identical",
            Same::Elements => "same_elements",
        };
        Some(self.nothing_new(&lane, &mut state, arrived, outcome))
    }

    fn nothing_new(
        &self,
        lane: &Lane,
        state: &mut LaneState,
        arrived: &Arrived,
        outcome: &'static str,
    ) -> Recorded {
        lane.note(state, self.now(), arrived.claim.as_ref());
        self.metrics.report(outcome);
        Recorded::Nothing
    }

    /// The environment as it is now, if the caller may still report to it.
    async fn environment_now(
        &self,
        asked: &Asked,
        arrived: &Arrived,
    ) -> Result<Arc<Environment>, AppError> {
        let known = &arrived.environment;
        if let Some(version) = arrived.version
            && self.store.is_current(version)
        {
            return Ok(Arc::clone(known));
        }
        let mut read = self.read().await?;
        let granted = self.admit(&mut read, asked).await?;
        let organization = granted.organization.no;
        let named = read.environment_named(organization, &arrived.name).await?;
        match named {
            Some(row) if row.no == known.no && row.archived_at.is_none() => {
                let row = Arc::new(row);
                if let Some(version) = read.version() {
                    self.known.keep_environment(&arrived.name, version, &row);
                }
                return Ok(row);
            }
            _ => {}
        }
        // It has another name by now, or none.
        read.environment(organization, known.no)
            .await?
            .filter(|row| row.archived_at.is_none())
            .map(Arc::new)
            .ok_or_else(|| {
                Refusal::EnvironmentArchived {
                    name: arrived.name.clone(),
                    organization: arrived.organization.name.clone(),
                }
                .into()
            })
    }

    /// Records a report (section 4).
    pub(crate) async fn record_report(
        self: &Arc<Self>,
        caller: Caller,
        asked: &Asked,
        arrived: Arrived,
    ) -> Result<Recorded, AppError> {
        check_kind(&arrived.environment, &arrived.name, arrived.kind)?;
        let lane = self.lanes.of(&arrived.organization, arrived.environment.no);
        let mut state = lane.state.lock().await;
        // As it is now that it is this report's turn.
        let row = match self.environment_now(asked, &arrived).await {
            Ok(row) => row,
            Err(error) => {
                self.lanes.forget(&mut state);
                return Err(error);
            }
        };
        if state.last.as_ref().is_some_and(|last| !last.is_of(&row)) {
            self.lanes.forget(&mut state);
        }

        let limits = self.config.report;
        let include_scaling = row.include_scaling;
        let last = state.last.as_ref().map(|last| Arc::clone(&last.report));
        let body = arrived.body.clone();
        let kind = arrived.kind;
        let compared = costly(arrived.body.len(), move || {
            LastReport::compare(last.as_deref(), kind, &body, &limits, include_scaling)
        })
        .await??;
        let last = |report| Last {
            snapshots: row.snapshots,
            modified_at: row.modified_at,
            report: Arc::new(report),
        };
        let (report, next) = match compared {
            Compared::Identical => {
                return Ok(self.nothing_new(&lane, &mut state, &arrived, "identical"));
            }
            Compared::SameElements => {
                return Ok(self.nothing_new(&lane, &mut state, &arrived, "same_elements"));
            }
            Compared::SameArtifacts(next) => {
                self.lanes.remember(&mut state, last(next));
                return Ok(self.nothing_new(&lane, &mut state, &arrived, "same_artifacts"));
            }
            Compared::Differs { report, next } => (report, next),
        };
        let mut last = last(next);

        let unshared = state.unshared.take();
        let action = Action::RecordReport(RecordReport {
            environment: arrived.name.clone(),
            kind: arrived.kind,
            report: Arc::new(report),
            claim: arrived.claim.clone(),
            unshared: unshared.clone(),
        });
        let done = match self
            .submit(caller, &arrived.organization.name, action)
            .await
        {
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
                Ok(self.nothing_new(&lane, &mut state, &arrived, "same_artifacts"))
            }
        }
    }

    /// Records a report of the past. It is no observation: it passes by the lane, which sees by the
    /// number of snapshots that something else was recorded.
    pub(crate) async fn import_report(
        &self,
        caller: Caller,
        arrived: Arrived,
    ) -> Result<Recorded, AppError> {
        check_kind(&arrived.environment, &arrived.name, arrived.kind)?;
        let (kind, body, limits) = (arrived.kind, arrived.body.clone(), self.config.report);
        let report = costly(arrived.body.len(), move || {
            read_report(kind, &body, &limits)
        })
        .await??;
        let action = Action::RecordReport(RecordReport {
            environment: arrived.name,
            kind,
            report: Arc::new(report),
            claim: None,
            unshared: None,
        });
        let done = self
            .submit(caller, &arrived.organization.name, action)
            .await?;
        self.metrics.report("imported");
        Ok(match done.reply {
            Reply::Snapshot(_) => Recorded::Snapshot,
            Reply::Created | Reply::Changed | Reply::Unchanged | Reply::Replayed => {
                Recorded::Nothing
            }
        })
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
