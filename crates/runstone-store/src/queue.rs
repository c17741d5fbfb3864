//! The bounded queue in front of the writer: fair between organizations, no timer.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runstone_model::command::Command;
use tokio::sync::{Notify, oneshot};

use crate::{Done, SubmitError};

/// Most commands that may wait.
const WAITING_MAX: usize = 4_096;
/// Most commands one organization may have waiting while others wait too.
const SHARE_MAX: usize = 2_048;

/// A command and who waits for it.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Result<Done, SubmitError>>,
}

#[derive(Default)]
struct State {
    lanes: HashMap<String, VecDeque<Job>>,
    /// Organizations with waiting commands, in the order they are served.
    turn: VecDeque<String>,
    waiting: usize,
    closed: bool,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// As many as wait, readable without the lock.
    pushed: AtomicUsize,
    wake: Notify,
}

impl Queue {
    /// Adds a job, or gives it back: the queue is full, or closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), SubmitError> {
        let mut state = self
            .state
            .lock()
            .expect("the queue's lock is never poisoned");
        if state.closed {
            return Err(SubmitError::Unavailable {
                reason: "the server is stopping".to_owned(),
                retry_after_seconds: 5,
            });
        }
        let others = state.turn.len() > 1;
        let lane = state
            .lanes
            .entry(job.command.organization.clone())
            .or_default();
        let share_is_full = lane.len() >= WAITING_MAX || (others && lane.len() >= SHARE_MAX);
        let first = lane.is_empty();
        if share_is_full {
            return Err(SubmitError::Busy {
                retry_after_seconds: 1,
            });
        }
        let organization = job.command.organization.clone();
        if state.waiting >= 2 * WAITING_MAX {
            return Err(SubmitError::Busy {
                retry_after_seconds: 1,
            });
        }
        state
            .lanes
            .entry(organization.clone())
            .or_default()
            .push_back(job);
        if first {
            state.turn.push_back(organization);
        }
        state.waiting += 1;
        self.pushed.store(state.waiting, Ordering::Release);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes what waits, one of each organization in turn, up to `count` and `bytes`. Waits for
    /// the first; none means the queue is closed and empty.
    ///
    /// Before the thread sleeps it looks out for `patience`: a caller that is answered often has
    /// its next command at once, and waking a sleeping thread costs more than a small write.
    pub(crate) async fn take(
        &self,
        count: usize,
        bytes: usize,
        patience: Duration,
    ) -> Option<Vec<Job>> {
        let mut since = None;
        loop {
            let jobs = self.try_take(count, bytes);
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if self.is_closed() {
                return None;
            }
            if patience.is_zero() || since.get_or_insert_with(Instant::now).elapsed() >= patience {
                self.wake.notified().await;
                since = None;
                continue;
            }
            while self.pushed.load(Ordering::Acquire) == 0
                && since.is_some_and(|since| since.elapsed() < patience)
            {
                std::thread::yield_now();
            }
        }
    }

    fn is_closed(&self) -> bool {
        let state = self
            .state
            .lock()
            .expect("the queue's lock is never poisoned");
        state.closed && state.waiting == 0
    }

    fn try_take(&self, count: usize, bytes: usize) -> Vec<Job> {
        let mut state = self
            .state
            .lock()
            .expect("the queue's lock is never poisoned");
        let mut jobs = Vec::new();
        let mut taken = 0;
        while jobs.len() < count && taken < bytes {
            let Some(organization) = state.turn.pop_front() else {
                break;
            };
            let Some(lane) = state.lanes.get_mut(&organization) else {
                continue;
            };
            if let Some(job) = lane.pop_front() {
                taken += job.bytes;
                jobs.push(job);
            }
            if lane.is_empty() {
                state.lanes.remove(&organization);
            } else {
                state.turn.push_back(organization);
            }
        }
        state.waiting -= jobs.len();
        self.pushed.store(state.waiting, Ordering::Release);
        jobs
    }

    /// Takes no more; what waits is still served.
    pub(crate) fn close(&self) {
        self.state
            .lock()
            .expect("the queue's lock is never poisoned")
            .closed = true;
        self.wake.notify_one();
    }
}
