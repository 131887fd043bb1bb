//! Sockets coming and going, and what the rest of the organisation is told about it.
//!
//! A bot is online while it has a socket opened with one of its tokens; people watching through its session do not
//! count. Presence lives in memory only, so a crash leaves nobody online by mistake.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::event::{Audience, Event, EventLog, Missed};
use super::hub::Hub;
use super::org_state::{Bot, OrgState};
use super::outbox::{Outbox, Peer};
use crate::domain::ids::BotId;

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
    let point = resume.as_ref().map(|resume| (resume.epoch.as_str(), resume.since));
    let is_first = org.join(point, |missed, log| {
        if let Some(missed) = missed {
            queue_missed(hub, org, outbox, missed, log);
        }
        org.add_socket(outbox)
    });
    if let Some(bot) = outbox.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
        // A bot that is up again has its receiver up again, most likely.
        if bot.row.webhook_url.is_some() && matches!(outbox.info.peer, Peer::Token(_)) {
            hub.webhooks().revive(hub, org, bot.id);
        }
        if is_first {
            org.publish([presence_event("bot_online", &bot)]);
        }
    }
}

fn queue_missed(hub: &Hub, org: &OrgState, outbox: &Arc<Outbox>, missed: Missed, log: &EventLog) {
    let entries = match missed {
        Missed::Entries(entries) => Some(entries),
        Missed::Unknown => None,
    };
    let mut heard: Vec<_> =
        entries.iter().flatten().filter(|entry| outbox.info.hears_events && org.may_hear(outbox, entry)).collect();
    // More than a socket may have waiting would cut it off at once, and again at every return.
    let fits = heard.iter().map(|entry| entry.frame.len()).sum::<usize>() < hub.config().sockets.outbox_bytes / 2;
    let resumed = entries.is_some() && fits;
    if !resumed {
        heard.clear();
    }
    hub.metrics().resume(if resumed { "resumed" } else { "unknown" });
    let answer = json!({
        "type": "resumed", "resumed": resumed, "epoch": log.epoch(), "seq": log.head(), "count": heard.len(),
    });
    outbox.push(answer.to_string().into());
    for entry in heard {
        outbox.push(entry.frame.clone());
    }
}

/// Unregisters a socket that is gone.
pub fn leave(hub: &Hub, org: &Arc<OrgState>, outbox: &Arc<Outbox>) {
    hub.metrics().socket_closed(kind(outbox));
    let is_last = org.remove_socket(outbox);
    if let Some(bot) = outbox.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
        if is_last {
            org.publish([presence_event("bot_offline", &bot)]);
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
fn presence_event(kind: &'static str, bot: &Bot) -> Event {
    let fields = json!({ "bot": { "id": bot.id, "name": bot.row.name } });
    Event::new(kind, &fields, Audience::Org { except: Some(bot.id) })
}

/// `bot_offline` of a bot that was deleted: everybody hears it.
#[must_use]
pub fn deleted_event(id: BotId, name: &str) -> Event {
    Event::new("bot_offline", &json!({ "bot": { "id": id, "name": name } }), Audience::Org { except: None })
}
