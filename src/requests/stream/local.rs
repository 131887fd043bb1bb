//! The clients of one thread that serves, and the task that wakes them.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::Streams;
use super::body::Body;
use super::client::{Client, Listener};
use super::frame;
use crate::rules::RequestId;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_hub::core::Core;

/// Between two looks at clients to whom nothing happens.
const TICK: Duration = Duration::from_secs(1);

/// The pause between two pieces for the same clients: as long as it takes to write to them all, more or less, so that
/// many events leave with one write; never longer than anybody notices.
const PAUSE_OF_CLIENT: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The clients; see the module.
pub struct Local {
    core: Core,
    streams: Arc<Streams>,
    pulse: Arc<Notify>,
    clients: RefCell<Vec<Weak<Client>>>,
    is_running: Cell<bool>,
}

impl Local {
    /// Without clients, on the thread that calls.
    #[must_use]
    pub fn new(core: Core, streams: Arc<Streams>) -> Rc<Self> {
        Rc::new(Self {
            core,
            streams,
            pulse: Arc::default(),
            clients: RefCell::default(),
            is_running: Cell::new(false),
        })
    }

    /// The streams of the hub.
    #[must_use]
    pub fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// Begins the stream of a client, who is `member` of its organisation and comes back from behind the event `last`.
    ///
    /// # Errors
    /// 429 when too many listen already, 503 while the hub stops.
    pub fn open(self: &Rc<Self>, listener: Listener, member: Uuid, last: Option<&str>) -> ApiResult<Body> {
        if self.streams.is_stopping() {
            return Err(ApiError::unavailable("The hub is stopping"));
        }
        let org = listener.org.id;
        let seat = self.streams.seat(org, member)?;
        let ring = self.streams.ring(org);
        let (next, gap) = ring.begin(last);
        let id = ring.id_before(next);
        let mut opening = frame::connected(&id, &RequestId::at(self.core.now()).to_string());
        if let Some(gap) = gap {
            opening.push_str(&frame::gap(&id, gap));
        }
        let client = Rc::new(Client::new(listener, ring, next, seat));
        self.clients.borrow_mut().push(Rc::downgrade(&client));
        self.run();
        Ok(Body::new(client, opening.into()))
    }

    /// Starts the task that wakes the clients, unless it runs.
    fn run(self: &Rc<Self>) {
        if self.is_running.replace(true) {
            return;
        }
        self.streams.join(&self.pulse);
        let local = self.clone();
        actix_web::rt::spawn(async move {
            local.tend_all().await;
            local.streams.part(&local.pulse);
            local.is_running.set(false);
        });
    }

    /// Serves the clients until there are none.
    async fn tend_all(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        while self.is_told(&mut ticks).await {
            let clients = self.clients.borrow().len();
            sleep(PAUSE_OF_CLIENT.saturating_mul(u32::try_from(clients).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)).await;
        }
    }

    /// Waits until something was published, and wakes those who see it; false when nobody listens any more.
    async fn is_told(&self, ticks: &mut Interval) -> bool {
        loop {
            let (told, tick) = (std::pin::pin!(self.pulse.notified()), std::pin::pin!(ticks.tick()));
            let is_told = matches!(select(told, tick).await, Either::Left(_));
            let is_stopping = self.streams.is_stopping();
            let (now, now_ms) = (Instant::now(), self.core.now());
            self.each(|client| match is_told {
                _ if is_stopping => client.end(),
                true => client.look(),
                false => client.tend(now, now_ms),
            });
            if self.clients.borrow().is_empty() {
                return false;
            }
            if is_told {
                return true;
            }
        }
    }

    fn each(&self, visit: impl Fn(&Client)) {
        self.clients.borrow_mut().retain(|client| match client.upgrade() {
            Some(client) => {
                visit(&client);
                true
            }
            None => false,
        });
    }
}
