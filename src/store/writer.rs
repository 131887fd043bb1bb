//! The group-commit writer: the only code that writes to the database.
//!
//! A writer thread drains its queue into one transaction per batch and completes every commit of the batch after COMMIT
//! returned, in order. The invariants: nothing is acknowledged before it is durable; commits with equal keys keep their
//! order; a failing commit fails alone (the batch is rolled back and retried one by one); after a failed commit every
//! later one behind the same [`Fence`] fails too, because it was computed on state that was discarded; a connection
//! lost during COMMIT is resolved by reading the writer's batch mark, never by guessing.

mod apply;
mod batch;
mod changes;
mod feature;
pub mod proof;
mod turn;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;

use self::turn::Turn;
use super::connector::Connector;
use super::page::Weigh;
use super::rows::{
    ArtifactRow, AuditRow, CatchupRow, ChannelMessageRow, DeliveryRow, PayloadRow, ReceiptRow, ThreadMessageRow,
};
use super::threads::ThreadUpdate;
use super::{Backend, DbConnection, DbError, Health, StoreConfig};
use crate::metrics::Metrics;
pub use changes::Changes;
pub use feature::FeatureWrite;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{ChannelId, ThreadId};
use proof::Proof;

/// Why a commit failed; converts into the answer of the call that made it.
pub type WriteError = ApiError;

/// One change of the database. The first seven kinds are gathered into multi-row statements per batch.
pub enum Write {
    /// A message in a thread.
    ThreadMessage(Arc<ThreadMessageRow>),
    /// A direct message.
    ChannelMessage(Arc<ChannelMessageRow>),
    /// A version of an artifact.
    Artifact(Arc<ArtifactRow>),
    /// A row of the audit trail.
    Audit(AuditRow),
    /// A catchup event that cannot be read out of other rows.
    Catchup(CatchupRow),
    /// The payload of an event for webhooks.
    Payload(Box<PayloadRow>),
    /// An event for a bot's webhook.
    Webhook(Box<DeliveryRow>),
    /// What was answered under an idempotency key; refused when the key was used meanwhile.
    Receipt(Box<ReceiptRow>),
    /// Newest activity of a thread; several in a batch become one statement.
    ThreadActivity(ThreadId, i64),
    /// Newest activity of a channel.
    ChannelActivity(ChannelId, i64),
    /// A change of a thread's row, guarded by its revision.
    Thread(Box<ThreadUpdate>),
    /// A change of a feature's own rows.
    Feature(Box<dyn FeatureWrite>),
    /// Anything else. May run more than once, so it must only touch the database.
    Run(InTransaction),
}

impl Write {
    /// About what it writes, where that may be much.
    fn bytes(&self) -> usize {
        match self {
            Self::ThreadMessage(row) => row.bytes(),
            Self::ChannelMessage(row) => row.bytes(),
            Self::Artifact(row) => row.bytes(),
            Self::Payload(row) => row.body.len(),
            Self::Feature(write) => write.bytes(),
            _ => 0,
        }
    }
}

/// A change that runs inside the writer's transaction.
pub type InTransaction = Box<dyn Fn(&mut DbConnection) -> Result<(), DbError> + Send>;

/// Shared by the commits of one actor's lifetime: once one failed, those behind it must not be applied.
#[derive(Debug, Clone, Default)]
pub struct Fence(Arc<AtomicBool>);

impl Fence {
    /// True after a commit behind this fence failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(self) fn poison(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// How many commits of one organisation wait for a writer.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicUsize>);

impl Load {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take_away(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn waiting(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether both count for the same organisation.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What happens after a commit is durable or has failed. Runs on the writer's thread and must be short.
pub type Done = Box<dyn FnOnce(ApiResult<()>) + Send>;

/// Writes that become durable together or not at all.
pub struct Commit {
    key: u64,
    writes: Vec<Write>,
    fence: Option<Fence>,
    load: Option<Load>,
    bears: bool,
    done: Option<Done>,
}

impl Commit {
    /// Commits with equal `key` are applied in the order they were submitted.
    pub fn new(key: u64, writes: Vec<Write>, done: impl FnOnce(ApiResult<()>) + Send + 'static) -> Self {
        Self { key, writes, fence: None, load: None, bears: true, done: Some(Box::new(done)) }
    }

    /// Counts this commit among those of an organisation while it waits.
    #[must_use]
    pub fn counted_in(mut self, load: &Load) -> Self {
        self.load = Some(load.clone());
        self
    }

    /// Makes this commit fail when an earlier one behind the same fence failed.
    #[must_use]
    pub fn behind(mut self, fence: &Fence) -> Self {
        self.fence = Some(fence.clone());
        self
    }

    /// Says that nothing later rests on this commit, so that its failure is its own.
    #[must_use]
    pub fn bearing_nothing(mut self) -> Self {
        self.bears = false;
        self
    }

    /// The fence that breaks when this commit fails.
    fn borne(&self) -> Option<&Fence> {
        self.fence.as_ref().filter(|_| self.bears)
    }

    fn is_fenced_off(&self) -> bool {
        self.fence.as_ref().is_some_and(Fence::is_poisoned)
    }

    /// About what it writes.
    fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }

    /// It waits no more.
    pub(self) fn leave_queue(&mut self) {
        if let Some(load) = self.load.take() {
            load.take_away();
        }
    }

    fn finish(&mut self, outcome: ApiResult<()>) {
        if outcome.is_err()
            && let Some(fence) = self.borne()
        {
            fence.poison();
        }
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

/// Who learns of what is written.
#[derive(Clone)]
pub struct Told {
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Whether the database answers.
    pub health: Arc<Health>,
    /// What has changed.
    pub changes: Arc<Changes>,
    /// That writing works.
    pub proof: Arc<Proof>,
}

/// All writer threads of the store.
pub struct Writers {
    senders: Vec<QueueHead>,
    /// Commits that may wait before further ones are refused.
    congested: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    watch: Mutex<Option<watch::Watch>>,
    closed: AtomicBool,
}

struct QueueHead {
    waiting: Arc<AtomicUsize>,
    /// The writer's database call does not return and was abandoned.
    given_up: Arc<AtomicBool>,
    sender: Mutex<Option<Sender<Commit>>>,
}

impl Writers {
    /// Starts one thread on SQLite, several on PostgreSQL.
    pub fn start(config: &StoreConfig, connector: &Connector, told: &Told) -> Result<Self, String> {
        let count = match config.backend {
            Backend::Sqlite(_) => 1,
            Backend::Postgres(_) => config.writers.max(1),
        };
        let (mut senders, mut threads, mut in_flight_batches) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let (sender, receiver) = unbounded();
            let (waiting, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let life = Arc::<watch::Life>::default();
            let in_flight_batch =
                Arc::new(watch::InFlightBatch::new(receiver, waiting.clone(), given_up.clone(), life.clone()));
            in_flight_batches.push(Arc::downgrade(&in_flight_batch));
            let thread = WriterThread {
                in_flight_batch,
                waiting: waiting.clone(),
                batch: batch::Batcher::new(
                    connector.clone(),
                    index,
                    told.health.clone(),
                    batch::Watched { given_up: given_up.clone(), life },
                ),
                limit: config.batch_rows.max(1),
                told: told.clone(),
                around_batch: config.around_batch,
                slow: config.slow_commit,
            };
            let spawned = std::thread::Builder::new().name(format!("writer-{index}")).spawn(move || thread.run());
            threads.push(spawned.map_err(|error| format!("cannot start a writer thread: {error}"))?);
            senders.push(QueueHead { waiting, given_up, sender: Mutex::new(Some(sender)) });
        }
        let watch = watch::Watch::start(in_flight_batches, config.patience, told.health.clone(), config.around_batch)?;
        let (threads, watch) = (Mutex::new(threads), Mutex::new(Some(watch)));
        Ok(Self { senders, congested: config.queue, threads, watch, closed: AtomicBool::new(false) })
    }

    fn head(&self, key: u64) -> Option<&QueueHead> {
        let count = u64::try_from(self.senders.len()).unwrap_or(1).max(1);
        self.senders.get(usize::try_from(key % count).unwrap_or(0))
    }

    /// See [`super::Store::submit`].
    pub fn submit(&self, mut commit: Commit) {
        let Some(head) = self.head(commit.key) else {
            return commit.finish(Err(ApiError::internal()));
        };
        if head.given_up.load(Ordering::Acquire) {
            return commit.finish(Err(ApiError::unavailable("The database does not answer")));
        }
        head.waiting.fetch_add(1, Ordering::Relaxed);
        if let Some(load) = &commit.load {
            load.add();
        }
        let refused = match head.sender.lock().as_ref() {
            Some(sender) => sender.send(commit).err().map(|back| back.0),
            None => Some(commit),
        };
        if let Some(mut commit) = refused {
            head.waiting.fetch_sub(1, Ordering::Relaxed);
            commit.leave_queue();
            commit.finish(Err(ApiError::unavailable("The hub is stopping")));
        }
    }

    /// See [`super::Store::is_congested`].
    pub fn is_congested(&self, key: u64, load: &Load) -> bool {
        let is_full = self.head(key).is_some_and(|head| head.waiting.load(Ordering::Relaxed) > self.congested);
        // No organisation has more waiting than there is still room for, so that a lone one fills half of the queues.
        let room = self.congested.saturating_mul(self.senders.len()).saturating_sub(self.queued());
        is_full || load.waiting() > room
    }

    /// Commits waiting in all queues.
    pub fn queued(&self) -> usize {
        self.senders.iter().map(|head| head.waiting.load(Ordering::Relaxed)).sum()
    }

    /// Finishes the queued commits and joins the threads.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        for head in &self.senders {
            head.sender.lock().take();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                log::error!("a writer thread panicked");
            }
        }
        if let Some(watch) = self.watch.lock().take() {
            watch.end();
        }
    }
}

struct WriterThread {
    in_flight_batch: Arc<watch::InFlightBatch>,
    waiting: Arc<AtomicUsize>,
    batch: batch::Batcher,
    limit: usize,
    told: Told,
    around_batch: fn(&mut dyn FnMut()),
    slow: Duration,
}

impl WriterThread {
    fn note(&self, commits: usize, rows: usize, elapsed: Duration) {
        self.told.metrics.commit(rows, elapsed);
        if elapsed > self.slow {
            log::warn!(duration_ms:? = elapsed.as_millis(), commits, rows; "slow commit");
        }
    }

    /// Takes the commits of the next batch, those first that were put off before, and counts their rows; none when the queue
    /// is closed and empty.
    fn take(&self, commits: &mut Vec<Commit>) -> Option<usize> {
        let mut before = self.in_flight_batch.put_off();
        if before.is_empty() {
            let first = self.in_flight_batch.queue.recv().ok()?;
            before.push_back(first);
        }
        let (mut turn, mut rows, mut put_off) = (Turn::new(), 0, VecDeque::new());
        while rows < self.limit {
            let Some(commit) = before.pop_front().or_else(|| self.in_flight_batch.queue.try_recv().ok()) else { break };
            if turn.admits(commit.key, commit.load.as_ref(), commit.bytes()) {
                rows += commit.writes.len();
                commits.push(commit);
            } else {
                put_off.push_back(commit);
            }
        }
        put_off.append(&mut before);
        self.in_flight_batch.put_off_again(put_off);
        Some(rows)
    }

    /// Takes what is queued, commits it, completes it; ends when the queue is closed and empty.
    fn run(mut self) {
        let mut commits = Vec::with_capacity(self.limit);
        while let Some(rows) = self.take(&mut commits) {
            self.waiting.fetch_sub(commits.len(), Ordering::Relaxed);
            commits.iter_mut().for_each(Commit::leave_queue);
            let started = std::time::Instant::now();
            self.in_flight_batch.begin(&mut commits);
            let outcomes = self.batch.commit(&commits);
            self.note(commits.len(), rows, started.elapsed());
            if outcomes.iter().any(Result::is_ok) {
                self.told.proof.worked();
            }
            // A failed commit may still have been applied.
            self.told.changes.note(commits.iter().flat_map(|commit| &commit.writes));
            let mut outcomes = Some(outcomes);
            (self.around_batch)(&mut || self.in_flight_batch.end(outcomes.take().unwrap_or_default()));
            commits.clear();
        }
    }
}
