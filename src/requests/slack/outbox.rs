//! The outbox of a running hub: what changes of requests owe to Slack, and whose turn it is.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify as Bell;

use super::figures::Figures;
use super::rows::{News, Owed};
use super::turns::{Turn, Turns};
use crate::effects::Notifier;
use crate::rules::{AuditKind, Notify, Request, SlackStatus, Step};
use hxa_domain::ids::OrgId;
use hxa_store::FeatureWrite;

/// Why a message is refused when too many of its organisation wait.
const FULL: &str = "outbox_full";

/// The outbox; see the module.
pub struct Outbox {
    turns: Mutex<Turns>,
    bell: Bell,
    /// Requests of one organisation whose messages may wait.
    most: usize,
    figures: Arc<Figures>,
}

impl Outbox {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(most: usize, figures: Arc<Figures>) -> Self {
        Self { turns: Mutex::default(), bell: Bell::new(), most, figures }
    }

    /// There is something to do about a request.
    pub fn touch(&self, turn: Turn) {
        self.change(|turns| turns.touch(turn));
        self.bell.notify_one();
    }

    /// Whose turn it is.
    pub fn next(&self, now: i64) -> Option<Turn> {
        self.turns.lock().next(now)
    }

    /// When somebody has a turn again, ms.
    pub fn due_at(&self) -> Option<i64> {
        self.turns.lock().due_at()
    }

    /// The work on a request is done, for good or until a time.
    pub fn done(&self, turn: Turn, until: Option<i64>) {
        self.change(|turns| turns.done(turn, until));
        self.bell.notify_one();
    }

    /// Resolves when there may be something to do.
    pub async fn rings(&self) {
        self.bell.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut Turns)) {
        let mut turns = self.turns.lock();
        change(&mut turns);
        self.figures.waiting(turns.total());
    }
}

impl Notifier for Outbox {
    fn refusal(&self, org: OrgId) -> Option<&'static str> {
        (self.turns.lock().count(org) >= self.most).then_some(FULL)
    }

    fn owe(&self, step: &Step, notify: Notify) -> Box<dyn FeatureWrite> {
        let request = &step.request;
        let news = match notify {
            Notify::Ask => asked(step),
            Notify::Close => News::Over { by: who_cancelled(step) },
        };
        Box::new(Owed { request: request.id, org: request.org, news, at: request.updated_at })
    }

    fn wake(&self, request: &Arc<Request>) {
        self.touch((request.org, request.id));
    }
}

fn asked(step: &Step) -> News {
    let request = &step.request;
    let is_delegate = step.audit.iter().any(|event| event.kind == AuditKind::Delegated);
    let delegate = request.delegated_to.as_ref().filter(|_| is_delegate);
    let is_needed = request.slack.as_ref().is_some_and(|slack| slack.status == SlackStatus::Pending);
    News::Asked { name: delegate.unwrap_or(&request.responder_id).to_string(), is_delegate, is_needed }
}

fn who_cancelled(step: &Step) -> String {
    let event = step.audit.iter().find(|event| event.kind == AuditKind::Cancelled);
    event.map(|event| event.actor.clone()).unwrap_or_default()
}
