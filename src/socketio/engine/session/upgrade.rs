//! How a session that polls gets a WebSocket: one is opened, probes, and takes over.
//!
//! Only one may probe at a time. While it does, polls carry no message, so that none is lost with a poll that nobody waits
//! for any more; those that wait end, and the client, which has no poll in flight then, completes the upgrade.

use std::time::Duration;

use actix::prelude::*;

use super::{Session, Transport, close_code};
use crate::engine::messages::{Apply, HangUp, Probe, Upgrade, WebSocketRef};
use crate::engine::refusal::Refusal;
use crate::reason::CloseReason;
use crate::wire::Frame;

/// WebSockets of a session that have not probed.
const MOST_CANDIDATES: usize = 4;
/// How long a poll is held that waits when a probe begins, or arrives during one. A client that completes the upgrade
/// without waiting for its poll is told that it was too late.
const HOLD: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Upgrading {
    candidates: Vec<WebSocketRef>,
    attempt: Option<Attempt>,
    /// Tells polls that are held from each other.
    held: u64,
}

/// A WebSocket that probes.
struct Attempt {
    websocket: WebSocketRef,
    timeout: SpawnHandle,
}

impl Upgrading {
    pub fn is_probing(&self) -> bool {
        self.attempt.is_some()
    }

    /// Closes all WebSockets that have not taken over.
    pub fn dismiss_all(&mut self, code: u16) {
        let probing = self.attempt.take().map(|attempt| attempt.websocket);
        for websocket in self.candidates.drain(..).chain(probing) {
            websocket.hangup.do_send(HangUp(code));
        }
    }
}

impl Session {
    fn may_upgrade(&self) -> bool {
        !self.is_over() && !self.upgrade.is_probing() && matches!(self.transport, Transport::Polling(_))
    }

    /// Ends the poll that waits a little later, unless the upgrade is complete by then.
    pub(super) fn hold_poll(&mut self, context: &mut Context<Self>) {
        self.upgrade.held += 1;
        let held = self.upgrade.held;
        context.run_later(HOLD, move |session, _| {
            if session.upgrade.held == held {
                session.end_waiting_poll(Ok(vec![Frame::NOOP]));
            }
        });
    }

    pub(super) fn on_candidate_gone(&mut self, websocket: u64, context: &mut Context<Self>) {
        self.upgrade.candidates.retain(|candidate| candidate.id != websocket);
        if self.upgrade.attempt.as_ref().is_some_and(|attempt| attempt.websocket.id == websocket) {
            self.abandon_probe(context);
        }
    }

    /// The session goes on polling.
    fn abandon_probe(&mut self, context: &mut Context<Self>) {
        if let Some(attempt) = self.upgrade.attempt.take() {
            context.cancel_future(attempt.timeout);
            attempt.websocket.hangup.do_send(HangUp(close_code(CloseReason::TransportClose)));
            // A poll that is held is an ordinary one again.
            self.upgrade.held += 1;
            self.flush();
        }
    }
}

impl Handler<Apply> for Session {
    type Result = bool;

    fn handle(&mut self, Apply(websocket): Apply, _: &mut Self::Context) -> bool {
        let may = self.may_upgrade() && self.upgrade.candidates.len() < MOST_CANDIDATES;
        if may {
            self.upgrade.candidates.push(websocket);
        }
        may
    }
}

impl Handler<Probe> for Session {
    type Result = bool;

    fn handle(&mut self, Probe(websocket): Probe, context: &mut Self::Context) -> bool {
        if !self.may_upgrade() {
            return false;
        }
        let candidates = &mut self.upgrade.candidates;
        let Some(index) = candidates.iter().position(|candidate| candidate.id == websocket) else { return false };
        let websocket = candidates.swap_remove(index);
        let timeout = context.run_later(self.shared.config.upgrade_timeout, Self::abandon_probe);
        self.upgrade.attempt = Some(Attempt { websocket, timeout });
        self.hold_poll(context);
        true
    }
}

impl Handler<Upgrade> for Session {
    type Result = bool;

    fn handle(&mut self, Upgrade(websocket): Upgrade, context: &mut Self::Context) -> bool {
        let attempt = self.upgrade.attempt.take_if(|attempt| attempt.websocket.id == websocket);
        let Some(attempt) = attempt else { return false };
        context.cancel_future(attempt.timeout);
        self.end_waiting_poll(Err(Refusal::BadRequest));
        self.upgrade.dismiss_all(close_code(CloseReason::TransportClose));
        self.link.attach(websocket);
        self.transport = Transport::WebSocket(attempt.websocket);
        true
    }
}
