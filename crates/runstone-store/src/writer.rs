//! The writer: decides what waits, in order, and commits it in one transaction (D3, D4).
//!
//! One writer per process, on its own thread with SQLite, a task with PostgreSQL. Nothing is
//! answered before COMMIT. A batch that fails as a whole drops everything it had cached and is
//! decided again; a command that is refused spoils nothing.

mod peers;
mod seal;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runstone_model::command::{Action, Caller, Command, Refusal};
use runstone_model::decide::{Decision, PREVIOUS_IN_BATCH, Stop, decide, needs};
use runstone_model::event::{Body, Entry, Event, Stored};
use runstone_model::fact::{OrganizationNo, SERVER, SERVER_NAME};
use runstone_model::id::{Digest, Micros, encode_hex};
use runstone_model::project::{Misfit, project};
use runstone_model::view::{Fact, FactKey, View};

use self::peers::Peers;
pub(crate) use self::seal::seal_bundles;
use crate::blobs::Blobs;
use crate::conn::{Conn, Guard, Mode};
use crate::engine::{Database, Place};
use crate::keys::Secrets;
use crate::log::Log;
use crate::pause::Erasing;
use crate::queue::{Job, Queue};
use crate::rows::{self, Pending};
use crate::table;
use crate::value::DbError;
use crate::{Clock, Done, Random, SubmitError};

/// Most commands in one transaction.
const BATCH_COUNT_MAX: usize = 1_024;
/// Most bytes of commands in one transaction.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Facts are loaded in at most so many rounds for a batch, and so many for one command more.
const NEED_ROUNDS_MAX: usize = 4;
/// A batch that loses races is decided again so often.
const ATTEMPTS_MAX: u32 = 8;
/// A batch whose connection is lost is decided again so often, a second in all.
const LOST_ATTEMPTS_MAX: u32 = 5;
/// A head further ahead of the clock than this refuses writes.
const CLOCK_AHEAD_MAX: i64 = 60 * Micros::SECOND;
/// A jump back by more than this is journalled.
const CLOCK_BACK_NOTED: i64 = 5 * Micros::SECOND;
/// The cache is cut when heads weigh more.
const CACHE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Or when there are more facts.
const CACHE_FACTS_MAX: usize = 100_000;
/// A blob store that took no body is left alone for so long, and callers are told to wait as long.
const BLOBS_AWAY: Duration = Duration::from_secs(5);
/// How long the writer's thread looks out for the next command before it sleeps.
const PATIENCE: Duration = Duration::from_micros(100);

/// What the writer has done, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) batches: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// The writer and all it keeps between batches.
pub(crate) struct Writer {
    pub(crate) database: Database,
    pub(crate) secrets: Secrets,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) blobs: Blobs,
    pub(crate) host: String,
    pub(crate) counts: Arc<Counts>,
    conn: Option<Conn>,
    view: View,
    logs: HashMap<OrganizationNo, Log>,
    /// PostgreSQL: what is known of other servers.
    peers: Peers,
    /// How many bundles of each log are sealed; of a log that is not in it, nobody has looked.
    sealed: HashMap<OrganizationNo, u64>,
    /// Logs with complete bundles that are not.
    unsealed: BTreeSet<OrganizationNo>,
    clock_noted: HashSet<OrganizationNo>,
    /// Large bodies of the batch at hand that lie in the blob store already.
    uploaded: HashSet<(OrganizationNo, Digest)>,
    /// Why the blob store took no body, and until when it is not asked again.
    blobs_away: Option<(Instant, String)>,
    /// Why the body of the command at hand could not be stored, or erased.
    unstored: Option<String>,
    /// Held while a batch erases bodies.
    erasing: Option<Erasing>,
}

type Outcome = Result<Done, SubmitError>;

/// A batch while it is decided.
#[derive(Default)]
struct Draft {
    /// Its random id.
    batch: [u8; 16],
    pending: Pending,
    /// Logs that it appends to.
    touched: BTreeSet<OrganizationNo>,
    /// Its first entry.
    first: Option<(OrganizationNo, u64)>,
    /// What must hold when it is written, if nothing is locked.
    guard: Option<Guard>,
}

impl Writer {
    pub(crate) fn new(
        database: Database,
        secrets: Secrets,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        blobs: Blobs,
        host: String,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            database,
            secrets,
            clock,
            random,
            blobs,
            host,
            counts,
            conn: None,
            view: View::default(),
            logs: HashMap::new(),
            peers: Peers::default(),
            sealed: HashMap::new(),
            unsealed: BTreeSet::new(),
            clock_noted: HashSet::new(),
            uploaded: HashSet::new(),
            blobs_away: None,
            unstored: None,
            erasing: None,
        }
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) async fn run(mut self, queue: Arc<Queue>) {
        // Only a thread of its own may look out; a task would keep others waiting.
        let patience = match self.database.place {
            Place::Sqlite { .. } => PATIENCE,
            Place::Postgres { .. } => Duration::ZERO,
        };
        loop {
            let next = queue.take(BATCH_COUNT_MAX, BATCH_BYTES_MAX, patience);
            let jobs = if self.unsealed.is_empty() {
                next.await
            } else if let Ok(jobs) = tokio::time::timeout(seal::PAUSE, next).await {
                jobs
            } else {
                self.seal_some(1).await;
                continue;
            };
            let Some(jobs) = jobs else { break };
            self.serve(jobs).await;
            self.seal_some(seal::AT_ONCE).await;
        }
        self.forget();
    }

    async fn serve(&mut self, jobs: Vec<Job>) {
        let (commands, answers): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| (job.command, job.answer))
            .unzip();
        let result = self.commit_with_retries(&commands).await;
        self.uploaded.clear();
        if let Some(erasing) = self.erasing.take()
            && let Some(conn) = &mut self.conn
            && erasing.end(conn).await.is_err()
        {
            self.forget();
        }
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts
            .commands
            .fetch_add(commands.len() as u64, Ordering::Relaxed);
        match result {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    if let Err(SubmitError::Refused(_)) = &outcome {
                        self.counts.refusals.fetch_add(1, Ordering::Relaxed);
                    }
                    // A caller that has gone away has its change all the same.
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, commands = commands.len(), "a batch could not be committed");
                for answer in answers {
                    let _ = answer.send(Err(SubmitError::Unavailable {
                        reason: error.to_string(),
                        retry_after_seconds: 5,
                    }));
                }
            }
        }
    }

    async fn commit_with_retries(&mut self, commands: &[Command]) -> Result<Vec<Outcome>, DbError> {
        let mut attempt = 0;
        let mut withheld = BTreeMap::new();
        loop {
            let mut batch = [0; 16];
            self.random.fill(&mut batch);
            let error = match self.commit(commands, &withheld, &batch).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(Failed::Unstored { number, reason }) => {
                    // The others need not wait for the blob store: they are decided without it.
                    self.abandon().await;
                    withheld.insert(number, reason);
                    continue;
                }
                Err(Failed::Before(error)) => {
                    self.abandon().await;
                    error
                }
                Err(Failed::AtCommit {
                    error,
                    outcomes,
                    first,
                }) => {
                    // The reply to COMMIT is missing: look for the batch instead of guessing.
                    self.forget();
                    match self.find_batch(first, &batch).await {
                        Ok(true) => return Ok(outcomes),
                        Ok(false) => error,
                        Err(search) => {
                            return Err(DbError::Unavailable(format!(
                                "{error}; whether the change was stored could not be found out: {search}"
                            )));
                        }
                    }
                }
            };
            attempt += 1;
            let again = match &error {
                DbError::Race(_) => attempt < ATTEMPTS_MAX,
                DbError::Lost(_) => attempt < LOST_ATTEMPTS_MAX,
                _ => false,
            };
            if !again {
                return Err(error);
            }
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, attempt, "deciding a batch again");
            let mut jitter = [0; 1];
            self.random.fill(&mut jitter);
            let pause = match &error {
                DbError::Lost(_) => 40 << attempt,
                _ => 1 << attempt.min(6),
            };
            tokio::time::sleep(Duration::from_millis(pause + u64::from(jitter[0]) % 8)).await;
        }
    }

    /// Ends a failed transaction and forgets what it decided.
    async fn abandon(&mut self) {
        if let Some(conn) = &mut self.conn {
            conn.rollback().await;
        }
        self.forget_facts();
    }

    fn forget_facts(&mut self) {
        self.view = View::default();
        self.logs.clear();
        self.peers = Peers::default();
        self.sealed.clear();
        self.unsealed.clear();
    }

    /// Drops connection and caches; the next batch starts anew.
    fn forget(&mut self) {
        self.conn = None;
        self.forget_facts();
    }

    async fn find_batch(
        &mut self,
        first: Option<(OrganizationNo, u64)>,
        batch: &[u8; 16],
    ) -> Result<bool, DbError> {
        // Without an entry nothing was promised: doing it again is harmless.
        let Some((organization, position)) = first else {
            return Ok(false);
        };
        let mut last = DbError::Lost("not tried".to_owned());
        for _ in 0..20 {
            match self.look_for_batch(organization, position, batch).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    last = error;
                    self.conn = None;
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
        Err(last)
    }

    async fn look_for_batch(
        &mut self,
        organization: OrganizationNo,
        position: u64,
        batch: &[u8; 16],
    ) -> Result<bool, DbError> {
        let conn = connect(&self.database, &mut self.conn).await?;
        conn.begin(Mode::Write).await?;
        // The lock waits for a COMMIT that is still under way.
        let result = async {
            Log::load(conn, organization, &self.secrets, true).await?;
            conn.query_one(
                "SELECT batch FROM entries WHERE organization = $1 AND position = $2",
                &[organization.0.into(), position.into()],
            )
            .await
        }
        .await;
        conn.rollback().await;
        Ok(result?.is_some_and(|row| row.blob(0).is_ok_and(|found| *found == batch[..])))
    }

    async fn commit(
        &mut self,
        commands: &[Command],
        withheld: &BTreeMap<usize, String>,
        batch: &[u8; 16],
    ) -> Result<Vec<Outcome>, Failed> {
        connect(&self.database, &mut self.conn).await?;
        let alone = self.guess(commands);
        let (now, guard) = match alone {
            Some((now, guard)) => (now, Some(guard)),
            None => (self.lock(commands).await?, None),
        };
        self.load_needs(commands).await?;
        let mut draft = Draft {
            batch: *batch,
            guard,
            ..Draft::default()
        };
        let mut outcomes = Vec::with_capacity(commands.len());
        for (number, command) in commands.iter().enumerate() {
            if let Some(reason) = withheld.get(&number) {
                outcomes.push(Err(SubmitError::Unavailable {
                    reason: reason.clone(),
                    retry_after_seconds: BLOBS_AWAY.as_secs(),
                }));
                continue;
            }
            let outcome = self.decide_one(command, now, &mut draft).await;
            let outcome = outcome.map_err(|error| match self.unstored.take() {
                Some(reason) => Failed::Unstored { number, reason },
                None => Failed::Before(error),
            })?;
            outcomes.push(outcome.map_err(SubmitError::Refused));
        }
        let Draft {
            mut pending,
            touched,
            first,
            guard,
            ..
        } = draft;
        for organization in &touched {
            let log = self
                .logs
                .get_mut(organization)
                .expect("a log that was appended to is loaded");
            log.publish(batch, &mut pending)?;
        }
        let conn = self.conn.as_mut().expect("connected above");
        let written = if guard.is_some() && !pending.needs_transaction() {
            // One statement is a transaction of its own: one exchange, durable when answered. Also
            // a batch that changes nothing asks whether what it was decided on still holds.
            let committing = self.database.commits.begin();
            let written = pending.write(conn, guard.as_ref()).await;
            drop(committing);
            match written {
                Ok(clock) => Ok(clock),
                Err(error @ DbError::Lost(_)) => Err(error),
                Err(error) => return Err(Failed::Before(error)),
            }
        } else if pending.len() == 0 && guard.is_none() {
            conn.rollback().await;
            Ok(None)
        } else {
            if guard.is_some() {
                conn.begin(Mode::Write).await?;
            }
            let clock = pending.write(conn, guard.as_ref()).await?;
            // Until it has ended, nobody can tell which side of it a reader is on.
            let committing = self.database.commits.begin();
            let committed = conn.commit().await;
            drop(committing);
            match committed {
                Ok(()) => Ok(clock),
                Err(error @ DbError::Lost(_)) => Err(error),
                Err(error) => return Err(Failed::Before(error)),
            }
        };
        match written {
            Ok(clock) => {
                if let Some(clock) = clock {
                    self.peers.heard(clock, self.clock.now());
                }
                for organization in touched {
                    let size = self.logs[&organization].size();
                    self.peers.sizes.insert(organization, size);
                    self.grown(organization, size);
                }
                self.cut_cache();
                Ok(outcomes)
            }
            Err(error) => Err(Failed::AtCommit {
                error,
                outcomes,
                first,
            }),
        }
    }

    async fn load_needs(&mut self, commands: &[Command]) -> Result<(), DbError> {
        let conn = self.conn.as_mut().expect("connected before loading");
        for _ in 0..NEED_ROUNDS_MAX {
            let mut keys: Vec<FactKey> = commands
                .iter()
                .flat_map(|command| needs(command, &self.view))
                .collect();
            if keys.is_empty() {
                break;
            }
            keys.sort_unstable();
            keys.dedup();
            let last = !keys.iter().any(FactKey::leads_on);
            rows::load(conn, keys, &mut self.view).await?;
            if last {
                break;
            }
        }
        Ok(())
    }

    async fn load_one(&mut self, key: FactKey) -> Result<(), DbError> {
        let conn = self.conn.as_mut().expect("connected before loading");
        rows::load(conn, vec![key], &mut self.view).await
    }

    async fn log(&mut self, organization: OrganizationNo) -> Result<&mut Log, DbError> {
        if !self.logs.contains_key(&organization) {
            let conn = self.conn.as_mut().expect("connected before loading");
            let log = Log::load(conn, organization, &self.secrets, false)
                .await?
                .ok_or_else(|| {
                    DbError::Corrupt(format!(
                        "the log of organization {} is missing",
                        organization.0
                    ))
                })?;
            self.logs.insert(organization, log);
        }
        Ok(self.logs.get_mut(&organization).expect("inserted above"))
    }

    async fn decide_one(
        &mut self,
        command: &Command,
        now: Micros,
        draft: &mut Draft,
    ) -> Result<Result<Done, Refusal>, DbError> {
        let decision = loop {
            let received = self.received(command, now, draft).await?;
            match decide(command, received, &self.view) {
                Ok(decision) => break decision,
                Err(Stop::Refused(refusal)) => return Ok(Err(refusal)),
                Err(Stop::Need(key)) => self.load_one(key).await?,
            }
        };
        let Decision {
            reply,
            entries,
            seen,
        } = decision;
        if let Err(refusal) = self.within_limits(command, &entries, now).await? {
            return Ok(Err(refusal));
        }
        let mut placed = Vec::with_capacity(entries.len());
        for (organization, entry) in entries {
            let position = self.append(organization, entry, draft).await?;
            placed.push((organization, position));
        }
        for (organization, environment, seen) in seen {
            if let Some(guard) = &mut draft.guard {
                let known = self.view.seen(organization, environment).ok().flatten();
                let of = |(o, e, _): &(_, _, _)| *o == organization && *e == environment;
                if !guard.seen.iter().any(of) {
                    guard.seen.push((organization, environment, known));
                }
            }
            draft.pending.put(
                &table::SEEN,
                rows::seen_row(organization, environment, &seen),
            );
            self.view
                .insert(FactKey::Seen(organization, environment), Fact::Seen(seen));
        }
        Ok(Ok(Done {
            reply,
            entries: placed,
        }))
    }

    /// Whether the organization may write so much, and as fast (D21). System commands are not
    /// held up; what they write counts all the same.
    async fn within_limits(
        &mut self,
        command: &Command,
        entries: &[(OrganizationNo, Entry)],
        now: Micros,
    ) -> Result<Result<(), Refusal>, DbError> {
        let Some((organization, _)) = entries.first() else {
            return Ok(Ok(()));
        };
        let Ok(Some(known)) = self.view.organization(*organization) else {
            return Ok(Ok(()));
        };
        let log = self.log(*organization).await?;
        Ok(crate::limits::check(command, &known, log, now))
    }

    /// The received time of the command's entries: the clock, but after the log's last entry.
    async fn received(
        &mut self,
        command: &Command,
        now: Micros,
        draft: &mut Draft,
    ) -> Result<Micros, DbError> {
        if matches!(command.action, Action::ShareSeen(_)) {
            return Ok(now);
        }
        let organization = if command.organization.is_empty() {
            SERVER
        } else {
            match self.view.organization_named(&command.organization) {
                Ok(Some(organization)) => organization,
                Ok(None) | Err(_) => return Ok(now),
            }
        };
        let last = self.log(organization).await?.last_at;
        let ahead = last.0 - now.0;
        if ahead > CLOCK_AHEAD_MAX {
            return Err(DbError::Unavailable(format!(
                "the clock is {} seconds behind the last entry of this log",
                ahead / Micros::SECOND
            )));
        }
        if ahead > CLOCK_BACK_NOTED && self.clock_noted.insert(organization) {
            let noted = Command {
                caller: Caller::System("clock"),
                organization: command.organization.clone(),
                action: Action::NoteClockMovedBack { by: ahead },
                salt: [0; 32],
            };
            let decision = loop {
                match decide(&noted, Micros(last.0 + 1), &self.view) {
                    Ok(decision) => break decision,
                    Err(Stop::Need(key)) => self.load_one(key).await?,
                    Err(Stop::Refused(refusal)) => return Err(DbError::Other(refusal.to_string())),
                }
            };
            for (organization, entry) in decision.entries {
                self.append(organization, entry, draft).await?;
            }
        } else if ahead <= 0 {
            self.clock_noted.remove(&organization);
        }
        let last = self.log(organization).await?.last_at;
        Ok(Micros(now.0.max(last.0 + 1)))
    }

    async fn append(
        &mut self,
        organization: OrganizationNo,
        mut entry: Entry,
        draft: &mut Draft,
    ) -> Result<u64, DbError> {
        let Draft {
            batch,
            pending,
            touched,
            first,
            ..
        } = draft;
        let log = self.log(organization).await?;
        let position = log.size();
        entry.received = entry.received.max(Micros(log.last_at.0 + 1));
        log.last_at = entry.received;
        for (subject, previous) in &mut entry.subjects {
            if *previous == Some(PREVIOUS_IN_BATCH) {
                *previous = self
                    .view
                    .subject(organization, *subject)
                    .map_err(|need| DbError::Other(format!("{need:?} not loaded")))?;
            }
        }
        if let Event::EpochBegun {
            origin, size, root, ..
        } = &mut entry.event
        {
            // What the epoch continues from is known only now.
            let log = self.log(organization).await?;
            log.origin.clone_into(origin);
            *size = position;
            *root = Digest(log.edge.root());
        }
        if let Event::KeyRotated { generation, vkey } = &mut entry.event {
            let secrets = self.secrets.clone();
            let log = self.log(organization).await?;
            *vkey = crate::log::vkey(&secrets, &log.origin, *generation)?;
        }
        let (bytes, bodies) = entry.encode();
        let rows = loop {
            match project(organization, position, &entry, &mut self.view) {
                Ok(rows) => break rows,
                Err(Misfit::Need(key)) => self.load_one(key).await?,
                Err(misfit) => return Err(DbError::Corrupt(misfit.to_string())),
            }
        };
        for row in &rows {
            pending.put_row(row);
        }
        if let Event::BodiesErased { bodies, .. } = &entry.event {
            self.erase(organization, bodies, pending).await?;
        }
        let body_bytes: u64 = bodies.iter().map(Body::len).sum();
        for (number, body) in bodies.iter().enumerate() {
            let (encoding, stored) = match &body.content {
                Stored::Here(bytes) => crate::bodies::encode(bytes),
                Stored::Before { .. } => (crate::bodies::OPAQUE, Vec::new()),
            };
            let inline = if encoding == crate::bodies::OPAQUE {
                None
            } else if stored.len() > crate::bodies::INLINE_BYTES_MAX {
                self.put_blob(organization, body.digest(), stored).await?;
                None
            } else {
                Some(stored)
            };
            pending.put(
                &table::BODIES,
                vec![
                    organization.0.into(),
                    position.into(),
                    (number as u64).into(),
                    body.private.into(),
                    encoding.into(),
                    body.len().into(),
                    inline.into(),
                ],
            );
        }
        match &entry.event {
            Event::OrganizationCreated { no, id, name, .. } => {
                let log = Log::new(*no, id, name, &self.host, self.new_epoch(), &self.secrets)?;
                log.put_identity(pending);
                self.logs.insert(*no, log);
                touched.insert(*no);
            }
            Event::KeyRotated { generation, .. } => {
                let secrets = self.secrets.clone();
                let log = self.log(organization).await?;
                log.rotate(*generation, entry.received, &secrets, pending)?;
            }
            Event::EpochBegun { epoch, .. } => {
                let secrets = self.secrets.clone();
                let log = self.log(organization).await?;
                log.begin_epoch(epoch, &secrets, pending)?;
            }
            _ => {}
        }
        let mark = first.is_none();
        first.get_or_insert((organization, position));
        let log = self.log(organization).await?;
        log.append(&bytes, mark.then_some(&batch[..]), pending);
        log.body_bytes += body_bytes;
        let limits = self.view.organization(organization).ok().flatten();
        if let Some(known) = limits {
            let log = self.log(organization).await?;
            log.paced_to = crate::limits::paced(log.paced_to, entry.received, &known.limits);
        }
        touched.insert(organization);
        self.counts.entries.fetch_add(1, Ordering::Relaxed);
        Ok(position)
    }

    /// Stores a large body outside, once for all attempts at a batch. While the blob store is
    /// away it is asked only now and then: everybody's writes wait for the answer.
    async fn put_blob(
        &mut self,
        organization: OrganizationNo,
        digest: Digest,
        stored: Vec<u8>,
    ) -> Result<(), DbError> {
        if self.uploaded.contains(&(organization, digest)) {
            return Ok(());
        }
        if matches!(&self.blobs_away, Some((until, _)) if Instant::now() >= *until) {
            self.blobs_away = None;
        }
        let reason = match &self.blobs_away {
            Some((_, reason)) => reason.clone(),
            None => {
                let id = &self.logs[&organization].id;
                match self.blobs.put(id, &digest, stored).await {
                    Ok(()) => {
                        self.uploaded.insert((organization, digest));
                        return Ok(());
                    }
                    Err(reason) => {
                        tracing::error!(%reason, "the blob store takes no bodies");
                        self.blobs_away = Some((Instant::now() + BLOBS_AWAY, reason.clone()));
                        reason
                    }
                }
            }
        };
        self.unstored = Some(reason.clone());
        Err(DbError::Blobs(reason))
    }

    /// Has the transaction erase bodies, which are measured while they are there.
    async fn erase(
        &mut self,
        organization: OrganizationNo,
        bodies: &[(u64, u32, Digest)],
        pending: &mut Pending,
    ) -> Result<(), DbError> {
        let conn = self.conn.as_mut().expect("connected before erasing");
        // Also where an earlier attempt held it: its connection may be gone.
        match Erasing::begin(&self.database.place, conn).await? {
            Some(erasing) => self.erasing = Some(erasing),
            None => {
                let reason = "a backup is being made, and nothing is erased until it is complete";
                self.unstored = Some(reason.to_owned());
                return Err(DbError::Unavailable(reason.to_owned()));
            }
        }
        for (entry, position, digest) in bodies {
            let conn = self.conn.as_mut().expect("connected before erasing");
            let (bytes, outside) =
                crate::erase::measure(conn, organization, *entry, *position).await?;
            let log = self.log(organization).await?;
            log.body_bytes = log.body_bytes.saturating_sub(bytes);
            pending.erased.push(crate::erase::Erased {
                organization,
                outside: outside.then(|| log.id.clone()),
                entry: *entry,
                position: *position,
                digest: *digest,
            });
        }
        Ok(())
    }

    fn new_epoch(&self) -> String {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        encode_hex(&bytes)
    }

    /// Keeps the cache within its bounds: heads first, then everything.
    fn cut_cache(&mut self) {
        if self.view.len() > CACHE_FACTS_MAX {
            self.view = View::default();
            return;
        }
        // Records are found again by the heads that hold them.
        if !self
            .counts
            .batches
            .load(Ordering::Relaxed)
            .is_multiple_of(64)
        {
            return;
        }
        let mut weight = 0;
        self.view.retain(|_, fact| match fact {
            Fact::Head(head) => {
                weight += head.weight();
                weight <= CACHE_BYTES_MAX
            }
            _ => true,
        });
    }

    /// Makes the server's own log if the store is new.
    pub(crate) async fn found(&mut self) -> Result<(), DbError> {
        let conn = connect(&self.database, &mut self.conn).await?;
        conn.begin(Mode::Write).await?;
        if conn
            .query_one("SELECT size FROM heads WHERE organization = 0", &[])
            .await?
            .is_some()
        {
            conn.rollback().await;
            return Ok(());
        }
        let mut log = Log::new(
            SERVER,
            SERVER_NAME,
            SERVER_NAME,
            &self.host,
            self.new_epoch(),
            &self.secrets,
        )?;
        let mut pending = Pending::default();
        log.put_identity(&mut pending);
        log.publish(&[0; 16], &mut pending)?;
        let conn = self.conn.as_mut().expect("connected above");
        let written = pending.write(conn, None).await;
        match written {
            Ok(_) => conn.commit().await,
            Err(error) => {
                conn.rollback().await;
                Err(error)
            }
        }
    }
}

/// Why a batch failed.
enum Failed {
    /// Nothing of it was stored.
    Before(DbError),
    /// The same, because a large body of one command, by its number, could not be stored.
    Unstored { number: usize, reason: String },
    /// Nobody knows.
    AtCommit {
        error: DbError,
        outcomes: Vec<Outcome>,
        first: Option<(OrganizationNo, u64)>,
    },
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self::Before(error)
    }
}

async fn connect<'a>(
    database: &Database,
    conn: &'a mut Option<Conn>,
) -> Result<&'a mut Conn, DbError> {
    if matches!(conn, Some(Conn::Postgres(postgres)) if postgres.is_closed()) {
        *conn = None;
    }
    if conn.is_none() {
        *conn = Some(database.connect_writer().await?);
    }
    Ok(conn.as_mut().expect("connected above"))
}
