//! Who waits for a request to change, without a thread and without asking the database.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::{Notify, watch};

use crate::rules::RequestId;

/// Those who wait; see the module.
pub struct Waiters {
    waiting: DashMap<RequestId, Bell>,
    stopped: watch::Sender<bool>,
}

struct Bell {
    notify: Arc<Notify>,
    listeners: usize,
}

/// One who waits for a request, until it is dropped.
pub struct Waiter {
    of: Arc<Waiters>,
    id: RequestId,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Nobody waits yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { waiting: DashMap::new(), stopped: watch::Sender::new(false) })
    }

    /// Waits for a request; what happens from now on is noticed.
    #[must_use]
    pub fn join(self: &Arc<Self>, id: RequestId) -> Waiter {
        let mut bell = self.waiting.entry(id).or_insert_with(|| Bell { notify: Arc::default(), listeners: 0 });
        bell.listeners += 1;
        Waiter { of: self.clone(), id, notify: bell.notify.clone() }
    }

    /// A request has changed.
    pub fn ring(&self, id: RequestId) {
        if let Some(bell) = self.waiting.get(&id) {
            bell.notify.notify_waiters();
        }
    }

    /// Nobody waits any more: the hub stops.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Requests that somebody waits for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Waiter {
    /// Runs `look` now and after each change until it finds something, the time is over or the hub stops; what was found.
    pub async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        within: Duration,
        mut look: impl FnMut() -> F,
    ) -> Option<T> {
        let mut stopped = self.of.stopped.subscribe();
        let over = tokio::time::sleep(within);
        tokio::pin!(over);
        loop {
            let change = self.notify.notified();
            tokio::pin!(change);
            // From here on, so that nothing that happens while it looks is missed.
            change.as_mut().enable();
            if let Some(found) = look().await {
                return Some(found);
            }
            tokio::select! {
                () = &mut change => {}
                () = &mut over => return None,
                _ = stopped.wait_for(|stopped| *stopped) => return None,
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Entry::Occupied(mut bell) = self.of.waiting.entry(self.id) {
            bell.get_mut().listeners = bell.get().listeners.saturating_sub(1);
            if bell.get().listeners == 0 {
                bell.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn a_change_wakes_those_who_wait_for_it_and_nobody_else() {
        let (waiters, ids) = (Waiters::new(), [RequestId::at(1), RequestId::at(1)]);
        let looks = Arc::new(AtomicUsize::new(0));
        let wait = |id| {
            let (waiters, looks) = (waiters.clone(), looks.clone());
            tokio::spawn(async move {
                let waiter = waiters.join(id);
                let look = || {
                    let count = looks.fetch_add(1, Ordering::Relaxed);
                    std::future::ready((count >= 3).then_some(count))
                };
                waiter.until(LONG, look).await
            })
        };
        let (one, other) = (wait(ids[0]), wait(ids[1]));
        tokio::task::yield_now().await;
        assert_eq!((waiters.len(), looks.load(Ordering::Relaxed)), (2, 2));
        waiters.ring(ids[0]);
        tokio::task::yield_now().await;
        assert_eq!(looks.load(Ordering::Relaxed), 3);
        waiters.ring(ids[0]);
        assert_eq!(one.await.unwrap(), Some(3));
        waiters.stop();
        assert_eq!(other.await.unwrap(), None);
        assert!(waiters.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out() {
        let waiters = Waiters::new();
        let waiter = waiters.join(RequestId::at(1));
        assert_eq!(waiter.until(Duration::from_secs(60), || async { None::<()> }).await, None);
        drop(waiter);
        assert!(waiters.is_empty());
    }
}
