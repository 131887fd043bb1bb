//! The event stream: every change of a request's state, told to those who may see it, by server-sent events.
//!
//! Each organisation that has listeners has one `ring::Ring` of the newest events, each encoded once. A client holds no
//! queue, only its place in the ring, so what it costs does not grow however slowly it reads; one that falls behind the
//! ring, or reads nothing for long, is cut and told of the gap when it comes back. Whoever publishes wakes one task per
//! thread ([`local::Local`]), not one per client; that task looks which of its clients have something to read and pauses
//! a little in between, so that what is published meanwhile leaves in one piece.

pub mod body;
pub mod client;
pub mod frame;
pub mod lens;
pub mod local;
mod ring;
mod seats;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::Notify;
use uuid::Uuid;

use self::frame::StateChange;
use self::ring::{Bounds, News, Ring};
use self::seats::{Seat, Seats};
use crate::rules::request::handle_key;
use crate::rules::times::iso;
use crate::rules::{Request, Told};
use hxa_domain::error::ApiResult;
use hxa_domain::ids::OrgId;
use hxa_hub::config::Config;
use hxa_hub::ws_tickets::WsTickets;

/// How long a ring is kept for clients that come back.
const KEPT: Duration = Duration::from_secs(600);

/// Tickets that open a stream: of one principal, and of all together. Each is good for half a minute.
const TICKETS: (usize, usize) = (100, 20_000);

/// The streams of a hub.
pub struct Streams {
    bounds: Bounds,
    rings: RwLock<HashMap<OrgId, Arc<Ring>>>,
    /// Of each thread that has clients.
    pulses: RwLock<Vec<Arc<Notify>>>,
    seats: Arc<Seats>,
    tickets: WsTickets,
    is_stopping: AtomicBool,
}

impl Streams {
    /// No client yet.
    #[must_use]
    pub fn new(config: &Config) -> Arc<Self> {
        let bounds = Bounds { events: config.resume.log_events.max(1), bytes: config.resume.log_bytes };
        let seats = Seats::new(config.coordination.streams_per_member, config.coordination.streams_per_org);
        Arc::new(Self {
            bounds,
            rings: RwLock::default(),
            pulses: RwLock::default(),
            seats,
            tickets: WsTickets::new(TICKETS.0, TICKETS.1),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Tells of a change that is durable: the states that the request went through, in order. `at` is when, ms. Short, for it
    /// runs on a writer's thread; nothing at all in an organisation without listeners.
    pub fn publish(&self, request: &Request, told: &[Told], at: i64) {
        let Some(ring) = self.rings.read().get(&request.org).cloned() else { return };
        for told in told {
            let change = StateChange {
                request_id: request.id,
                state: told.state,
                agent_id: &request.agent_id,
                responder_id: &request.responder_id,
                intent: request.intent,
                urgency: request.urgency,
                timeout_at: iso(request.timeout_at),
                at: iso(at),
            };
            ring.push(News {
                data: change.json(),
                agent: request.agent,
                agent_id: request.agent_id.clone(),
                responders: told.responders.iter().map(|responder| handle_key(responder).into()).collect(),
            });
        }
        self.wake();
    }

    /// Clients that listen.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.seats.taken()
    }

    /// Tickets that are not used yet.
    #[must_use]
    pub fn tickets(&self) -> &WsTickets {
        &self.tickets
    }

    /// Ends all streams: the hub stops.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// Forgets the events of an organisation that is gone.
    pub fn forget(&self, org: OrgId) {
        self.rings.write().remove(&org);
    }

    /// Forgets the events of organisations in which nobody has listened for long.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.rings.write().retain(|_, ring| Arc::strong_count(ring) > 1 || ring.idle_for(now) < KEPT);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    fn wake(&self) {
        self.pulses.read().iter().for_each(|pulse| pulse.notify_one());
    }

    fn seat(&self, org: OrgId, member: Uuid) -> ApiResult<Seat> {
        self.seats.take(org, member)
    }

    /// The ring of an organisation, from the first client on.
    fn ring(&self, org: OrgId) -> Arc<Ring> {
        let ring = self.rings.write().entry(org).or_insert_with(|| Arc::new(Ring::new(self.bounds))).clone();
        ring.touch();
        ring
    }

    fn join(&self, pulse: &Arc<Notify>) {
        self.pulses.write().push(pulse.clone());
    }

    fn part(&self, pulse: &Arc<Notify>) {
        self.pulses.write().retain(|known| !Arc::ptr_eq(known, pulse));
    }
}
