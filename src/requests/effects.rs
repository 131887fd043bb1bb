//! What follows a change of a request: how it becomes a commit, and who learns of it once it is durable.

use std::sync::{Arc, OnceLock};

use crate::agenda::Agenda;
use crate::events;
use crate::figures::Figures;
use crate::recent::Recent;
use crate::rows::{Kept, responder_key, seats};
use crate::rules::machine::without_channel;
use crate::rules::threads::news;
use crate::rules::{Notify, Request, State, Step};
use crate::stream::Streams;
use crate::threads::Teller;
use crate::waiters::Waiters;
use crate::writes::{SeatChange, Transition};
use hxa_domain::budget::WriteClass;
use hxa_domain::ids::OrgId;
use hxa_hub::commits::Change;
use hxa_hub::core::org_state::OrgState;
use hxa_store::FeatureWrite;

/// Why a request reaches nobody outside of the hub when no channel is set up.
const NO_CHANNEL: &str = "not_configured";

/// A channel to people outside of the hub.
pub trait Notifier: Send + Sync {
    /// Why the channel takes no messages of an organisation now, if it does not.
    fn refusal(&self, org: OrgId) -> Option<&'static str>;

    /// What a change owes to the channel; stored with the change.
    fn owe(&self, step: &Step, notify: Notify) -> Box<dyn FeatureWrite>;

    /// What is owed is durable. Runs on a writer's thread, so it must be short.
    fn wake(&self, request: &Arc<Request>);
}

/// Those who learn of changes.
pub struct Effects {
    /// The newest of what is stored.
    pub recent: Recent,
    /// Open requests.
    pub agenda: Arc<Agenda>,
    /// Those who wait for a change.
    pub waiters: Arc<Waiters>,
    /// Event streams.
    pub streams: Arc<Streams>,
    /// Threads that wait.
    pub teller: Arc<Teller>,
    /// Counters.
    pub figures: Figures,
    /// A channel outside, if there is one.
    pub notifier: OnceLock<Arc<dyn Notifier>>,
}

/// A change that is to be made: what is stored, and what follows.
pub struct Planned {
    /// The request as it will be.
    pub kept: Kept,
    /// What is stored, with the events of sockets and webhooks.
    pub change: Change,
    /// What the streams tell then.
    pub aftermath: Aftermath,
}

/// What follows once a change is durable.
pub struct Aftermath {
    kept: Kept,
    told: Vec<crate::rules::Told>,
    owes_thread: bool,
    notifies: bool,
    /// The state before.
    before: Option<State>,
}

/// What a step stores.
#[must_use]
pub fn transition(before: Option<&Kept>, step: &Step) -> Transition {
    let old = before.map(|kept| &*kept.request);
    let kept = Kept {
        request: Arc::new(step.request.clone()),
        revision: before.map_or(1, |kept| kept.revision.saturating_add(1)),
    };
    let moves = old.is_none_or(|old| {
        old.responder_id != step.request.responder_id || responder_key(old) != responder_key(&step.request)
    });
    Transition {
        is_new: before.is_none(),
        moves,
        thread_owed: news(old, step).map(|_| step.request.state),
        seats: changes_of_seats(old, &step.request),
        audit: step.audit.clone(),
        kept,
    }
}

fn changes_of_seats(old: Option<&Request>, new: &Request) -> Vec<SeatChange> {
    let (before, after) = (old.map(seats).unwrap_or_default(), seats(new));
    let gone = before.iter().filter(|(key, _)| !after.iter().any(|(kept, _)| kept == key));
    let put = after.iter().filter(|seat| !before.contains(seat));
    let take = gone.map(|(key, _)| SeatChange::Take(key.clone()));
    take.chain(put.map(|(key, until)| SeatChange::Put(key.clone(), *until))).collect()
}

impl Effects {
    /// Plans a change; `before` is the request as it is, unless it is new.
    #[must_use]
    pub fn plan(&self, org: &OrgState, before: Option<&Kept>, step: Step) -> Planned {
        let step = self.reachable(step);
        let transition = transition(before, &step);
        let kept = transition.kept.clone();
        let owes_thread = transition.thread_owed.is_some();
        let mut change = Change::new(WriteClass::Request).writing(transition);
        for event in events::of_step(org, &kept.request, &step.told) {
            change = change.telling(event);
        }
        let owed = self.owe(&step);
        let notifies = owed.is_some();
        if let Some(owed) = owed {
            change = change.writing(owed);
        }
        let aftermath = Aftermath {
            kept: kept.clone(),
            told: step.told,
            owes_thread,
            notifies,
            before: before.map(|kept| kept.request.state),
        };
        Planned { kept, change, aftermath }
    }

    /// A step that asks by the channel outside, only if that takes messages.
    fn reachable(&self, step: Step) -> Step {
        if step.notify != Some(Notify::Ask) {
            return step;
        }
        let refusal = match self.notifier.get() {
            Some(notifier) => notifier.refusal(step.request.org),
            None => Some(NO_CHANNEL),
        };
        match refusal {
            Some(why) => {
                let now = step.request.updated_at;
                without_channel(step, why, now)
            }
            None => step,
        }
    }

    /// What a change owes to the channel outside.
    #[must_use]
    pub fn owe(&self, step: &Step) -> Option<Box<dyn FeatureWrite>> {
        Some(self.notifier.get()?.owe(step, step.notify?))
    }

    /// A change is durable. Runs on a writer's thread, so it is short.
    pub fn follow(&self, aftermath: &Aftermath) {
        let Kept { request, revision } = &aftermath.kept;
        self.recent.put(request, *revision);
        self.agenda.follow(request);
        self.figures.count(aftermath.before, request, self.agenda.len());
        self.streams.publish(request, &aftermath.told, request.updated_at);
        self.waiters.ring(request.id);
        if let Some(thread) = request.thread.filter(|_| aftermath.owes_thread) {
            self.teller.touch(request.org, thread);
        }
        if let Some(notifier) = self.notifier.get().filter(|_| aftermath.notifies) {
            notifier.wake(request);
        }
    }

    /// What the deletion of a bot has done to its requests is durable.
    pub fn follow_deletion(&self, cancelled: &[(Kept, Step)]) {
        for (before, step) in cancelled {
            let Transition { kept, thread_owed, .. } = transition(Some(before), step);
            self.follow(&Aftermath {
                kept,
                told: step.told.clone(),
                owes_thread: thread_owed.is_some(),
                notifies: step.notify.is_some(),
                before: Some(before.request.state),
            });
        }
    }
}
