//! Connecting and disconnecting sockets, and the presence events this causes.
//!
//! A bot is online while it has a socket opened with one of its tokens; people watching through its session do not
//! count. Presence is kept in memory only, so a crash leaves no bot online. Presence events are hints, and the list of
//! bots is authoritative: if too many bots connect or disconnect at once, the events are delayed and batched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use serde_json::json;

use crate::core::org_state::OrgState;
use crate::fanout::event::{EventLog, Missed};
use crate::fanout::outgoing::Outgoing;
use crate::fanout::send_queue::{Peer, SendQueue};
use crate::fanout::waiting::Budget;
use crate::hub::Hub;

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
pub fn enter(hub: &Hub, org: &Arc<OrgState>, send_queue: &Arc<SendQueue>, resume: Option<ResumePoint>) {
    hub.metrics().socket_opened(kind(send_queue));
    send_queue.set_org(Arc::<OrgState>::downgrade(org));
    if let Some(bot) = send_queue.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
        // A bot that is up again has its receiver up again, most likely.
        if bot.row.webhook_url.is_some() && matches!(send_queue.info.peer, Peer::Token(_)) {
            hub.webhooks().revive(org, bot.id);
        }
    }
    let point = resume.as_ref().map(|resume| (resume.epoch.as_str(), resume.since));
    org.join(send_queue, point, |missed, log| queue_missed(hub, org, send_queue, missed, log));
}

fn queue_missed(hub: &Hub, org: &OrgState, send_queue: &Arc<SendQueue>, missed: Missed, log: &EventLog) {
    let heard = match missed {
        Missed::Entries(entries) => Some(org.readable(send_queue, entries)),
        Missed::Unknown => None,
    };
    let answer = |resumed: bool, count: usize| {
        let (epoch, seq) = (log.epoch(), log.head());
        let answer = json!({ "type": "resumed", "resumed": resumed, "epoch": epoch, "seq": seq, "count": count });
        Outgoing::new(answer.to_string())
    };
    // The answer goes first. What finds no room beside what waits for others is not claimed to be known.
    let known = heard.as_ref().map(|heard| answer(true, heard.len()));
    let told = known.iter().chain(heard.iter().flatten().map(|entry| &entry.frame));
    let resumed = known.is_some() && send_queue.offer_all(told);
    if resumed {
        send_queue.set_resumed();
    } else {
        send_queue.push(answer(false, 0));
    }
    hub.metrics().resume(if resumed { "resumed" } else { "unknown" });
}

/// Unregisters a socket that is gone.
pub fn leave(hub: &Hub, org: &Arc<OrgState>, send_queue: &Arc<SendQueue>) {
    hub.metrics().socket_closed(kind(send_queue));
    if let Some(bot) = send_queue.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
    }
    org.part(send_queue);
}

/// Tells what waits, organisation by organisation, for as long as the hub runs; asleep while nothing waits.
///
/// All organisations together may cost what one of them may, so that a restart of a hub with many of them does not drown
/// in it either.
pub async fn tell_late(hub: Hub) {
    let mut budget = Budget::new(hub.config().sockets.presence_per_second);
    loop {
        hub.changes_wait().notified().await;
        loop {
            tokio::time::sleep(TICK).await;
            let mut orgs = hub.orgs_in_use();
            orgs.retain(|org| org.changes_waiting() > 0);
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

fn kind(send_queue: &SendQueue) -> &'static str {
    match send_queue.info.peer {
        Peer::Token(_) => "bot_token",
        Peer::Human { .. } => "session",
    }
}
