//! Acknowledgements that the server waits for: a bounded table for each socket, and the future of each.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep_until};

use crate::stats::{Counted, Counters};
use crate::wire::Args;

/// Why an acknowledgement did not come.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// The client did not acknowledge in time.
    #[error("the client did not acknowledge in time")]
    Timeout,
    /// The socket was disconnected before, or while the acknowledgement was waited for.
    #[error("the socket is disconnected")]
    Disconnected,
    /// As many acknowledgements are waited for as [`Config::pending_acks`](crate::Config::pending_acks) allows.
    #[error("too many acknowledgements are waited for")]
    TooMany,
    /// The client reads too slowly; its session is being closed.
    #[error("the outbound queue of the session is full")]
    Full,
    /// The arguments have no JSON form.
    #[error("the arguments cannot be serialized: {0}")]
    Json(#[from] serde_json::Error),
}

/// The acknowledgement of an event, to be awaited on a thread with a tokio runtime. Dropping it gives up waiting.
#[must_use = "an acknowledgement is only waited for when this is awaited"]
pub struct Ack(Result<Waiting, Option<AckError>>);

struct Waiting {
    answered: oneshot::Receiver<Args>,
    deadline: Instant,
    /// Made when it is first needed: the event may be sent by a thread without a runtime.
    sleep: Option<Pin<Box<Sleep>>>,
    table: Arc<AckTable>,
    id: u64,
}

impl Ack {
    /// One that will not come.
    pub(crate) fn failed(error: AckError) -> Self {
        Self(Err(Some(error)))
    }

    /// The id for the event's packet; `None` if it will not come.
    pub(crate) fn id(&self) -> Option<u64> {
        self.0.as_ref().ok().map(|waiting| waiting.id)
    }
}

impl Future for Ack {
    type Output = Result<Args, AckError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waiting = match &mut self.0 {
            Ok(waiting) => waiting,
            Err(error) => return Poll::Ready(Err(error.take().unwrap_or(AckError::Disconnected))),
        };
        if let Poll::Ready(answer) = Pin::new(&mut waiting.answered).poll(context) {
            return Poll::Ready(answer.map_err(|_| AckError::Disconnected));
        }
        let deadline = waiting.deadline;
        let sleep = waiting.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        sleep.as_mut().poll(context).map(|()| Err(AckError::Timeout))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.table.0.lock().waiting.remove(&self.id);
    }
}

/// The acknowledgements that are waited for from one socket.
#[derive(Default)]
pub(crate) struct AckTable(Mutex<Table>);

#[derive(Default)]
struct Table {
    last_id: u64,
    waiting: HashMap<u64, (oneshot::Sender<Args>, Counted)>,
    is_closed: bool,
}

impl AckTable {
    /// Waits for another one.
    pub fn expect(self: &Arc<Self>, most: usize, timeout: Duration, counters: &Arc<Counters>) -> Ack {
        let mut table = self.0.lock();
        if table.is_closed {
            return Ack::failed(AckError::Disconnected);
        }
        if table.waiting.len() >= most {
            return Ack::failed(AckError::TooMany);
        }
        table.last_id += 1;
        let id = table.last_id;
        let (answer, answered) = oneshot::channel();
        table.waiting.insert(id, (answer, Counted::new(counters, |counters| &counters.pending_acks)));
        let now = Instant::now();
        // Beyond what the clock can tell there is no deadline; a day is as good.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(24));
        Ack(Ok(Waiting { answered, deadline, sleep: None, table: self.clone(), id }))
    }

    /// One has come; one that is not waited for, or no longer, means nothing.
    pub fn answer(&self, id: u64, args: Args) {
        let waiting = self.0.lock().waiting.remove(&id);
        if let Some((answer, _)) = waiting {
            let _ = answer.send(args);
        }
    }

    /// None will come any more.
    pub fn close(&self) {
        let mut table = self.0.lock();
        table.is_closed = true;
        let waiting = std::mem::take(&mut table.waiting);
        drop(table);
        drop(waiting);
    }
}
