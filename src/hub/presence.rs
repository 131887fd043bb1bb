//! Connecting and disconnecting sockets, and the presence events this causes.
//!
//! A bot is online while it has a socket opened with one of its tokens; people watching through its session do not
//! count. Presence is kept in memory only, so a crash leaves no bot online. Presence events are hints, and the list of
//! bots is authoritative: if too many bots connect or disconnect at once, the events are delayed and batched.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::core::org_state::OrgState;
use crate::fanout::broker::ResumePoint;
use crate::fanout::send_queue::{Peer, SendQueue};
use crate::hub::Hub;

/// Registers a socket. With a resume point, what it missed is queued before anything newer can be.
pub fn enter(hub: &Hub, org: &Arc<OrgState>, send_queue: &Arc<SendQueue>, resume: Option<&ResumePoint>) {
    hub.metrics().socket_opened(kind(send_queue));
    if let Some(bot) = send_queue.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
        // A bot that is up again has its receiver up again, most likely.
        if bot.row.webhook_url.is_some() && matches!(send_queue.info.peer, Peer::Token(_)) {
            hub.webhooks().revive(org, bot.id);
        }
    }
    org.channel().join(send_queue, resume);
}

/// Unregisters a socket that is gone.
pub fn leave(hub: &Hub, org: &Arc<OrgState>, send_queue: &Arc<SendQueue>) {
    hub.metrics().socket_closed(kind(send_queue));
    if let Some(bot) = send_queue.info.bot.and_then(|bot| org.bot(bot)) {
        bot.last_seen.store(hub.now(), Ordering::Relaxed);
    }
    org.channel().part(send_queue);
}

fn kind(send_queue: &SendQueue) -> &'static str {
    match send_queue.info.peer {
        Peer::Token(_) => "bot_token",
        Peer::Human { .. } | Peer::Person { .. } => "session",
    }
}
