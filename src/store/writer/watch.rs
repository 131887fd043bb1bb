//! The watchdog of the writers: a database that accepts statements and never responds must not block callers.
//!
//! A writer registers the completions of its batch in its [`InFlightBatch`] before it calls the database. If the
//! database has not responded for longer than the store's patience, the watchdog completes them and everything queued
//! behind as unknown, poisons their fences, and from then on the writer refuses immediately, until its database call
//! returns. Code that removes a completion from the in-flight batch calls it, so each is called exactly once. An
//! abandoned commit is not committed any more, unless COMMIT itself was already in progress.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::super::Health;
use super::{Commit, Done, Fence};
use hxa_domain::error::{ApiError, ApiResult};

/// Between two looks at the writers.
const LOOK: Duration = Duration::from_millis(100);

/// When the database last gave a sign of life to a writer.
pub struct Life {
    since: Instant,
    ms: AtomicU64,
}

impl Default for Life {
    fn default() -> Self {
        Self { since: Instant::now(), ms: AtomicU64::new(0) }
    }
}

impl Life {
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// It has just answered, or is just being asked.
    pub fn sign(&self) {
        self.ms.store(self.now(), Ordering::Release);
    }

    fn silent_for(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.ms.load(Ordering::Acquire)))
    }
}

/// What is called when a commit is durable or has failed.
struct Completion {
    fence: Option<Fence>,
    done: Option<Done>,
}

impl Completion {
    fn finish(self, outcome: ApiResult<()>) {
        if outcome.is_err()
            && let Some(fence) = &self.fence
        {
            fence.poison();
        }
        if let Some(done) = self.done {
            done(outcome);
        }
    }
}

/// The batch a writer has under way.
#[derive(Default)]
struct Batch {
    under_way: bool,
    open: Vec<Completion>,
}

/// A writer's queue and the completions of the batch it has under way.
pub struct InFlightBatch {
    /// The writer's queue; ends with the writer, who owns the in-flight batch.
    pub queue: Receiver<Commit>,
    /// Taken out of the queue, and left for a later batch.
    put_off: Mutex<VecDeque<Commit>>,
    waiting: Arc<AtomicUsize>,
    given_up: Arc<AtomicBool>,
    life: Arc<Life>,
    batch: Mutex<Batch>,
}

impl InFlightBatch {
    /// An in-flight batch for a queue, with its counter, the flag that its database call was abandoned, and its lifetime.
    pub fn new(queue: Receiver<Commit>, waiting: Arc<AtomicUsize>, given_up: Arc<AtomicBool>, life: Arc<Life>) -> Self {
        Self { queue, put_off: Mutex::default(), waiting, given_up, life, batch: Mutex::default() }
    }

    /// Hands over the commits that were left for a later batch.
    pub fn put_off(&self) -> VecDeque<Commit> {
        std::mem::take(&mut self.put_off.lock())
    }

    /// Leaves commits for a later batch; they come before those of the queue.
    pub fn put_off_again(&self, commits: VecDeque<Commit>) {
        if !commits.is_empty() {
            *self.put_off.lock() = commits;
        }
    }

    /// Notes the start of a batch.
    pub fn begin(&self, commits: &mut [Commit]) {
        let mut batch = self.batch.lock();
        self.life.sign();
        batch.under_way = true;
        let completion = |commit: &mut Commit| Completion { fence: commit.borne().cloned(), done: commit.done.take() };
        batch.open = commits.iter_mut().map(completion).collect();
    }

    /// Completes the batch, unless the watch has done so.
    pub fn end(&self, outcomes: Vec<ApiResult<()>>) {
        let mut batch = self.batch.lock();
        batch.under_way = false;
        let open = std::mem::take(&mut batch.open);
        let was_given_up = self.given_up.swap(false, Ordering::AcqRel);
        drop(batch);
        let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if was_given_up && stored > 0 {
            log::warn!(commits = stored; "commits were stored after their callers had been told that the outcome is unknown");
        }
        for (completion, outcome) in open.into_iter().zip(outcomes) {
            completion.finish(outcome);
        }
    }

    /// Answers everybody who waits for a database that has been silent for too long; true if there was somebody.
    fn give_up(&self, patience: Duration) -> bool {
        let mut batch = self.batch.lock();
        if !batch.under_way || self.life.silent_for() < patience {
            return false;
        }
        self.given_up.store(true, Ordering::Release);
        let open = std::mem::take(&mut batch.open);
        let mut queued: Vec<Commit> = self.put_off().into_iter().chain(self.queue.try_iter()).collect();
        queued.iter_mut().for_each(Commit::leave_queue);
        self.waiting.fetch_sub(queued.len(), Ordering::Relaxed);
        // Under the lock, so that the writer cannot go on behind a fence that is about to break.
        let fences = open.iter().map(|completion| completion.fence.as_ref()).chain(queued.iter().map(Commit::borne));
        fences.flatten().for_each(Fence::poison);
        drop(batch);
        let found = !open.is_empty() || !queued.is_empty();
        for completion in open {
            let message = "The database does not answer; whether the change is stored is unknown";
            completion.finish(Err(ApiError::unavailable(message)));
        }
        for mut commit in queued {
            commit.finish(Err(ApiError::unavailable("The database does not answer")));
        }
        found
    }
}

/// The thread that watches all writers of a store.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts it. Abandoned commits are answered within `around`.
    pub fn start(
        in_flight_batches: Vec<Weak<InFlightBatch>>,
        patience: Duration,
        health: Arc<Health>,
        around: fn(&mut dyn FnMut()),
    ) -> Result<Self, String> {
        let (stop, stopped) = bounded::<()>(0);
        let watch = move || {
            while stopped.recv_timeout(LOOK) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                around(&mut || {
                    let in_flight_batches = in_flight_batches.iter().filter_map(Weak::upgrade);
                    if in_flight_batches.filter(|in_flight_batch| in_flight_batch.give_up(patience)).count() > 0 {
                        health.set(false);
                    }
                });
            }
        };
        let thread = std::thread::Builder::new().name("writers-watch".to_owned()).spawn(watch);
        Ok(Self { stop, thread: thread.map_err(|error| format!("cannot start the watch of the writers: {error}"))? })
    }

    /// Ends it.
    pub fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            log::error!("the watchdog of the writers panicked");
        }
    }
}
