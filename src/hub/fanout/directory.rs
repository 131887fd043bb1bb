//! The live sockets of an organisation: the bot of each, and its subscriptions.
//!
//! It belongs to a channel of the broker, which decides under which lock it changes.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::fanout::event::Audience;
use crate::fanout::send_queue::{Peer, SendQueue};
use hxa_domain::ids::BotId;
use hxa_domain::scope::Need;

/// The directory; see the module.
#[derive(Default)]
pub struct Directory {
    by_bot: HashMap<BotId, Vec<Arc<SendQueue>>>,
    admins: Vec<Arc<SendQueue>>,
    topics: HashMap<Uuid, Vec<Arc<SendQueue>>>,
    /// Sockets of all bots together.
    of_bots: usize,
}

impl Directory {
    /// Adds a live socket; returns the bot whose first token socket it is.
    pub fn add(&mut self, send_queue: &Arc<SendQueue>) -> Option<BotId> {
        let Some(bot) = send_queue.info.bot else {
            self.admins.push(send_queue.clone());
            return None;
        };
        let sockets = self.by_bot.entry(bot).or_default();
        let is_first = is_token(send_queue) && !sockets.iter().any(is_token);
        sockets.push(send_queue.clone());
        self.of_bots += 1;
        is_first.then_some(bot)
    }

    /// Forgets a socket and its subscriptions; returns the bot whose last token socket it was.
    pub fn remove(&mut self, send_queue: &Arc<SendQueue>) -> Option<BotId> {
        let Some(bot) = send_queue.info.bot else {
            self.admins.retain(|other| !Arc::ptr_eq(other, send_queue));
            self.topics.retain(|_, sockets| {
                sockets.retain(|other| !Arc::ptr_eq(other, send_queue));
                !sockets.is_empty()
            });
            return None;
        };
        let sockets = self.by_bot.get_mut(&bot)?;
        let before = sockets.len();
        sockets.retain(|other| !Arc::ptr_eq(other, send_queue));
        let removed = before - sockets.len();
        self.of_bots -= removed;
        let is_last = removed > 0 && is_token(send_queue) && !sockets.iter().any(is_token);
        if sockets.is_empty() {
            self.by_bot.remove(&bot);
        }
        is_last.then_some(bot)
    }

    /// Lets an admin socket hear the events of a channel or thread. Twice is once.
    pub fn subscribe(&mut self, send_queue: &Arc<SendQueue>, topic: Uuid) {
        if !self.is_subscribed(send_queue, topic) {
            self.topics.entry(topic).or_default().push(send_queue.clone());
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, send_queue: &Arc<SendQueue>, topic: Uuid) {
        if let Some(sockets) = self.topics.get_mut(&topic) {
            sockets.retain(|other| !Arc::ptr_eq(other, send_queue));
            if sockets.is_empty() {
                self.topics.remove(&topic);
            }
        }
    }

    /// True while the socket is subscribed to the channel or thread.
    #[must_use]
    pub fn is_subscribed(&self, send_queue: &SendQueue, topic: Uuid) -> bool {
        let sockets = self.topics.get(&topic);
        sockets.is_some_and(|sockets| sockets.iter().any(|other| std::ptr::eq(&**other, send_queue)))
    }

    /// True while the bot has a socket opened with a token.
    #[must_use]
    pub fn is_online(&self, bot: BotId) -> bool {
        self.by_bot.get(&bot).is_some_and(|sockets| sockets.iter().any(is_token))
    }

    /// Live sockets of one bot.
    #[must_use]
    pub fn count_of(&self, bot: BotId) -> usize {
        self.by_bot.get(&bot).map_or(0, Vec::len)
    }

    /// Live sockets of all bots and admins together.
    #[must_use]
    pub fn count(&self) -> usize {
        self.of_bots + self.admins.len()
    }

    /// Every live socket.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SendQueue>> {
        self.by_bot.values().flatten().chain(&self.admins)
    }

    /// As [`Self::count`]; `None` while many (an eighth) have not taken what they were told before, because the hub is too
    /// busy to write it or the network to carry it. A few that do not read at all hold nobody up.
    #[must_use]
    pub fn ready(&self) -> Option<usize> {
        let behind = self.all().filter(|send_queue| send_queue.waiting_bytes() > 0).count();
        Some(self.count()).filter(|all| behind <= 1 + all / 8)
    }

    /// Calls `push` for every socket of the audience whose credential covers the need; counts the calls that answered true.
    pub fn each(&self, audience: &Audience, need: Need, mut push: impl FnMut(&Arc<SendQueue>) -> bool) -> u64 {
        let mut count = 0;
        let mut visit = |send_queue: &Arc<SendQueue>| {
            if need.is_covered(send_queue.info.scopes) && push(send_queue) {
                count += 1;
            }
        };
        match audience {
            Audience::Members { bots, topic } => {
                self.of(bots).for_each(&mut visit);
                self.topics.get(topic).into_iter().flatten().for_each(&mut visit);
            }
            Audience::MembersAndAdmins { bots, .. } | Audience::Admins(bots) => {
                self.of(bots).for_each(&mut visit);
                self.admins.iter().for_each(&mut visit);
            }
            Audience::Org { except } => {
                let others = self.by_bot.iter().filter(|(bot, _)| Some(**bot) != *except);
                others.flat_map(|(_, sockets)| sockets).for_each(&mut visit);
                self.admins.iter().for_each(&mut visit);
            }
        }
        count
    }

    /// Whether a socket's credential covers the need, and it belongs to the audience.
    #[must_use]
    pub fn is_heard_by(&self, audience: &Audience, need: Need, send_queue: &SendQueue) -> bool {
        let is_of_audience = match (audience, send_queue.info.bot) {
            (Audience::Members { bots, .. } | Audience::MembersAndAdmins { bots, .. }, Some(bot)) => {
                bots.contains(&bot)
            }
            // As many as the organisation has bots, perhaps.
            (Audience::Admins(bots), Some(bot)) => bots.binary_search(&bot).is_ok(),
            (Audience::Org { except }, bot) => bot.is_none() || *except != bot,
            (Audience::Members { topic, .. }, None) => self.is_subscribed(send_queue, *topic),
            (Audience::MembersAndAdmins { .. } | Audience::Admins(_), None) => true,
        };
        is_of_audience && need.is_covered(send_queue.info.scopes)
    }

    fn of(&self, bots: &[BotId]) -> impl Iterator<Item = &Arc<SendQueue>> {
        bots.iter().filter_map(|bot| self.by_bot.get(bot)).flatten()
    }
}

fn is_token(send_queue: &Arc<SendQueue>) -> bool {
    matches!(send_queue.info.peer, Peer::Token(_))
}
