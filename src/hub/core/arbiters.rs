//! The threads that run actors: dedicated ones, or those that serve HTTP.
//!
//! On the threads that serve HTTP a call often stays on the thread it arrived on, instead of waking another one twice;
//! with one core that is always so. During shutdown each of these threads ends as soon as it has no request left, so an
//! actor may end before the last call to it: it is then started again on the caller's thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};
use parking_lot::RwLock;

/// The threads that run actors, and how many calls of actors wait for their answer.
pub struct Arbiters {
    handles: RwLock<Vec<ArbiterHandle>>,
    asked: AtomicUsize,
}

impl Arbiters {
    /// Actors run on these threads.
    #[must_use]
    pub fn of(handles: Vec<ArbiterHandle>) -> Self {
        Self { handles: RwLock::new(handles), asked: AtomicUsize::new(0) }
    }

    /// From now on actors run on this thread too, and on none that has ended.
    pub fn add(&self, handle: ArbiterHandle) {
        let mut handles = self.handles.write();
        handles.retain(|handle| handle.spawn(async {}));
        handles.push(handle);
    }

    /// From now on actors run on the thread that starts them.
    pub fn forget(&self) {
        self.handles.write().clear();
    }

    /// The thread for the actors of this key.
    #[must_use]
    pub fn of_key(&self, key: u64) -> ArbiterHandle {
        let handles = self.handles.read();
        let count = u64::try_from(handles.len()).unwrap_or(1).max(1);
        let chosen = usize::try_from(key % count).ok().and_then(|index| handles.get(index));
        chosen.cloned().unwrap_or_else(Arbiter::current)
    }

    /// Somebody waits for the answer of an actor until the guard is dropped.
    pub fn asking(&self) -> Asking<'_> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        Asking(self)
    }

    /// Waits until nobody waits for an answer any more, at most `patience`.
    pub async fn answered(&self, patience: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let quiet = async {
            while self.asked.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // Who has waited that long is told by the hub's end.
        drop(tokio::time::timeout(patience, quiet).await);
    }
}

/// A call that waits for its answer.
pub struct Asking<'a>(&'a Arbiters);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::AcqRel);
    }
}
