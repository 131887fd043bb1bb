//! Sockets coming and going, and what the rest of the organisation is told about it.
//!
//! A bot is online while it has a socket opened with one of its tokens; people watching through its session do not
//! count. Presence lives in memory only, so a crash leaves nobody online by mistake. What is told of it is a hint, and
//! the list of bots is the truth: when too many come or go at once, they are told of a little later, many together.

mod waiting;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use serde_json::json;

use super::event::{Audience, Event, EventLog, Missed};
use super::hub::Hub;
use super::org_state::{Bot, OrgState};
use super::outbox::{Outbox, Peer, wake_pending};
use crate::domain::ids::BotId;
pub use waiting::{Budget, Change, WAKING, Waiting};

/// Between two looks at what waits to be told.
const TICK: Duration = Duration::from_millis(100);

/// Where a reconnecting client left off.
#[derive(Debug, Clone)]
pub struct ResumePoint {
    /// The log it was reading.
    pub epoch: String,
    /// The newest event it has.
    pub since: u64,
}

/// Registers a socket. With a resume point, what it missed is queued before anything newer can be.
pub fn enter(hub: &Hub, org: &Arc<OrgState>, outbox: &Arc<Outbox>, resume: Option<ResumePoint>) {
    hub.metrics().socket_opened(kind(outbox));
    if let Some(bot) = outbox.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
        // A bot that is up again has its receiver up again, most likely.
        if bot.row.webhook_url.is_some() && matches!(outbox.info.peer, Peer::Token(_)) {
            hub.webhooks().revive(hub, org, bot.id);
        }
    }
    let point = resume.as_ref().map(|resume| (resume.epoch.as_str(), resume.since));
    let waits = org.join(outbox, point, |missed, log| queue_missed(hub, org, outbox, missed, log));
    told(hub, waits);
}

fn queue_missed(hub: &Hub, org: &OrgState, outbox: &Arc<Outbox>, missed: Missed, log: &EventLog) {
    let (is_known, mut heard) = match missed {
        Missed::Entries(entries) => (true, org.readable(outbox, entries)),
        Missed::Unknown => (false, Vec::new()),
    };
    // More than a socket may have waiting would cut it off at once, and again at every return.
    let fits = heard.iter().map(|entry| entry.frame.len()).sum::<usize>() < hub.config().sockets.outbox_bytes / 2;
    let resumed = is_known && fits;
    if resumed {
        outbox.set_resumed();
    } else {
        heard.clear();
    }
    hub.metrics().resume(if resumed { "resumed" } else { "unknown" });
    let answer = json!({
        "type": "resumed", "resumed": resumed, "epoch": log.epoch(), "seq": log.head(), "count": heard.len(),
    });
    outbox.push(answer.to_string().into());
    outbox.push_all(heard.into_iter().map(|entry| entry.frame));
}

/// Unregisters a socket that is gone.
pub fn leave(hub: &Hub, org: &Arc<OrgState>, outbox: &Arc<Outbox>) {
    hub.metrics().socket_closed(kind(outbox));
    if let Some(bot) = outbox.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
    }
    let waits = org.part(outbox);
    told(hub, waits);
}

/// A change was told, or waits.
fn told(hub: &Hub, waits: bool) {
    wake_pending();
    if waits {
        hub.presence_waits().notify_one();
    }
}

/// Tells what waits, organisation by organisation, for as long as the hub runs; asleep while nothing waits.
///
/// All organisations together may cost what one of them may, so that a restart of a hub with many of them does not drown
/// in it either.
pub async fn tell_late(hub: Hub) {
    let mut budget = Budget::new(hub.config().sockets.presence_per_second);
    loop {
        hub.presence_waits().notified().await;
        loop {
            tokio::time::sleep(TICK).await;
            let mut orgs = hub.orgs_in_use();
            orgs.retain(|org| org.presence_waiting() > 0);
            if orgs.is_empty() {
                break;
            }
            // Nobody is always the first to find the budget full.
            orgs.shuffle(&mut rand::rng());
            for org in orgs {
                let now = Instant::now();
                if budget.is_open(now) {
                    budget.pay(org.tell_waiting(), now);
                }
            }
        }
    }
}

fn kind(outbox: &Outbox) -> &'static str {
    match outbox.info.peer {
        Peer::Token(_) => "bot_token",
        Peer::Human { .. } => "session",
    }
}

/// `bot_online` or `bot_offline`, for everybody but the bot itself.
pub(super) fn event(bot: &Bot, is_online: bool) -> Event {
    let (name, except) = (&bot.row.name, Some(bot.id));
    if is_online {
        presence_event("bot_online", bot.id, name, except)
    } else {
        presence_event("bot_offline", bot.id, name, except)
    }
}

/// `bot_offline` of a bot that was deleted: everybody hears it.
#[must_use]
pub fn deleted_event(id: BotId, name: &str) -> Event {
    presence_event("bot_offline", id, name, None)
}

fn presence_event(kind: &'static str, id: BotId, name: &str, except: Option<BotId>) -> Event {
    Event::new(kind, &json!({ "bot": { "id": id, "name": name } }), Audience::Org { except })
}
