//! The heartbeat of a session: the server pings, the client answers in time.
//!
//! The deadline is also kept as a time, because a poll may arrive in the moment in which the timer is due.

use std::time::Instant;

use actix::prelude::*;

use super::Session;
use crate::reason::CloseReason;
use crate::wire::Frame;

#[derive(Default)]
pub(super) struct Heartbeat {
    timer: Option<SpawnHandle>,
    /// When the pong must be there; `None` while no ping waits for one.
    deadline: Option<Instant>,
}

impl Heartbeat {
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl Session {
    /// Pings after the interval.
    pub(super) fn expect_ping(&mut self, context: &mut Context<Self>) {
        let interval = self.shared.config.ping_interval;
        let due = Instant::now().checked_add(interval);
        let timer = context.run_later(interval, move |session, context| session.ping(due, context));
        self.heartbeat = Heartbeat { timer: Some(timer), deadline: None };
    }

    /// A pong that no ping has asked for means nothing.
    pub(super) fn on_pong(&mut self, context: &mut Context<Self>) {
        if self.heartbeat.deadline.is_some() {
            if let Some(timer) = self.heartbeat.timer.take() {
                context.cancel_future(timer);
            }
            self.expect_ping(context);
        }
    }

    fn ping(&mut self, due: Option<Instant>, context: &mut Context<Self>) {
        let (now, timeout) = (Instant::now(), self.shared.config.ping_timeout);
        // If the link does not accept it, the session is being closed.
        let _ = self.link.send(&[Frame::PING]);
        // Timers are a little late, which is not to add up; a server that is very late does not make its clients pay.
        let late = due.map(|due| now.saturating_duration_since(due)).unwrap_or_default();
        let left = timeout.saturating_sub(late.min(timeout / 10));
        let timer = context.run_later(left, |session, context| session.close(CloseReason::PingTimeout, context));
        self.heartbeat = Heartbeat { timer: Some(timer), deadline: now.checked_add(left) };
    }
}
