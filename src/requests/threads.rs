//! Threads that wait for an answer: they are blocked while a request that names them is open, and go on with a message.
//!
//! The row of a request says what its thread must still be told; the mark is taken away in the commit of the thread that
//! tells it, so that nothing is told twice or never, whenever the hub stops. One thread is told one thing at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use crate::queries;
use crate::rows::Kept;
use crate::rules::State;
use crate::rules::request::Request;
use crate::rules::threads::{ThreadNews, standing};
use crate::writes::ThreadTold;
use hxa_domain::error::{ApiResult, ErrorCode};
use hxa_domain::ids::{OrgId, ThreadId};
use hxa_domain::thread::ThreadStatus;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::core::{Core, shard};
use hxa_hub::thread::{Tell, Threads};
use hxa_store::{DbConnection, FeatureWrite};

/// Threads that are told something at the same time.
const AT_ONCE: usize = 8;
/// Before it is tried again when it fails.
const PAUSE: Duration = Duration::from_secs(1);

/// The threads that must be told something; see the module.
pub struct Teller {
    core: Core,
    threads: Arc<Threads>,
    /// Threads that wait for their turn or have it; true when there is more to tell than they know of.
    known: Mutex<HashMap<ThreadId, bool>>,
    send: mpsc::UnboundedSender<(OrgId, ThreadId)>,
    receive: Mutex<Option<mpsc::UnboundedReceiver<(OrgId, ThreadId)>>>,
}

impl Teller {
    /// Over a hub's threads.
    #[must_use]
    pub fn new(core: Core, threads: Arc<Threads>) -> Arc<Self> {
        let (send, receive) = mpsc::unbounded_channel();
        Arc::new(Self { core, threads, known: Mutex::default(), send, receive: Mutex::new(Some(receive)) })
    }

    /// A thread must be told something that is durable. May be called on any thread.
    pub fn touch(&self, org: OrgId, thread: ThreadId) {
        let is_new = {
            let mut known = self.known.lock();
            let is_known = known.contains_key(&thread);
            known.insert(thread, is_known);
            !is_known
        };
        if is_new {
            // Nobody listens any more when the hub stops; its next start reads what is owed.
            let _ = self.send.send((org, thread));
        }
    }

    /// Tells threads for as long as the hub runs, beginning with what an earlier life of it left.
    ///
    /// # Errors
    /// When the database is unavailable at the beginning.
    pub async fn run(self: Arc<Self>) -> ApiResult<()> {
        let Some(mut receive) = self.receive.lock().take() else { return Ok(()) };
        for (org, thread) in self.core.store().read(queries::list_owed_threads).await? {
            self.touch(org, thread);
        }
        let seats = Arc::new(Semaphore::new(AT_ONCE));
        while let Some((org, thread)) = receive.recv().await {
            let Ok(seat) = seats.clone().acquire_owned().await else { break };
            let teller = self.clone();
            rt::spawn(async move {
                teller.tell_all(org, thread).await;
                drop(seat);
            });
        }
        Ok(())
    }

    /// Tells a thread everything.
    async fn tell_all(&self, org: OrgId, thread: ThreadId) {
        loop {
            match self.tell(org, thread).await {
                Ok(()) => {}
                Err(_) if self.core.is_draining() => return,
                Err(error) => {
                    log::warn!(org:% = org, thread:% = thread, error:% = error; "a thread could not be told of its requests; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            let mut known = self.known.lock();
            match known.get_mut(&thread) {
                Some(has_more) if *has_more => *has_more = false,
                _ => {
                    known.remove(&thread);
                    return;
                }
            }
        }
    }

    async fn tell(&self, org: OrgId, thread: ThreadId) -> ApiResult<()> {
        let Some(org) = self.core.org(org).await? else { return Ok(()) };
        let id = org.id;
        loop {
            let owed = self.core.store().read_for(id, move |conn| queries::list_owed(conn, id, thread)).await?;
            if owed.is_empty() {
                return Ok(());
            }
            for (kept, state) in owed {
                self.tell_of(&org, thread, &kept, state).await?;
            }
        }
    }

    /// Tells a thread that one of its requests was in a state.
    async fn tell_of(&self, org: &Arc<OrgState>, thread: ThreadId, kept: &Kept, state: State) -> ApiResult<()> {
        let told = ThreadTold { request: kept.request.id, state };
        // The agent may have read the answer meanwhile, which the thread does not need to know.
        let request = Request { state, ..Request::clone(&kept.request) };
        let is_waiting = self.core.store().read_for(org.id, move |conn| queries::is_waiting(conn, thread)).await?;
        let (blocked, going) =
            ((ThreadStatus::Active, ThreadStatus::Blocked), (ThreadStatus::Blocked, ThreadStatus::Active));
        let (status, message) = match standing(&request) {
            ThreadNews::Blocked => (is_waiting.then_some(blocked), None),
            ThreadNews::Goes { content, metadata } => ((!is_waiting).then_some(going), Some((content, metadata))),
        };
        let tell = Tell { status, message, with: Some(Box::new(told)) };
        match self.threads.ask(thread, Caller::Hub(org.clone()), tell).await {
            Err(error) if error.code() == ErrorCode::NotFound => self.mark(org, kept, state).await,
            outcome => outcome,
        }
    }

    /// The thread is gone, so there is nobody to tell.
    async fn mark(&self, org: &OrgState, kept: &Kept, state: State) -> ApiResult<()> {
        let request = kept.request.id;
        let mark = move |conn: &mut DbConnection| ThreadTold { request, state }.apply(conn);
        self.core.store().write(shard(org.id.uuid()), mark).await
    }
}
