//! Waking connections: once for everything that a batch has queued for them.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

use super::SendQueue;

thread_local! {
    /// Batches that are open on this thread, one within the other.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// Queues written to within them whose connections have not been woken yet.
    static PENDING: RefCell<Vec<Arc<SendQueue>>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, connections that this thread queues something for are not woken; they are when it is dropped, each
/// once. Outside of a batch a connection is woken at once.
#[must_use = "the batch ends when it is dropped"]
pub struct WakeBatch {
    /// It belongs to its thread, and so does not live across an await of work that may move.
    of_thread: PhantomData<*const ()>,
}

impl WakeBatch {
    /// Begins a batch, perhaps within another one: then that one's end counts.
    pub fn begin() -> Self {
        OPEN.set(OPEN.get() + 1);
        Self { of_thread: PhantomData }
    }

    /// Runs some work as a batch.
    pub fn run(work: &mut dyn FnMut()) {
        let _batch = Self::begin();
        work();
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        OPEN.set(OPEN.get().saturating_sub(1));
        if OPEN.get() == 0 {
            let pending = PENDING.with(|pending| std::mem::take(&mut *pending.borrow_mut()));
            pending.iter().for_each(|send_queue| send_queue.wake_connection());
        }
    }
}

/// Wakes a connection now, or at the end of the batch.
pub(super) fn wake(send_queue: &Arc<SendQueue>) {
    if OPEN.get() == 0 {
        send_queue.wake_connection();
    } else {
        PENDING.with(|pending| pending.borrow_mut().push(send_queue.clone()));
    }
}
