//! The active channels of an organisation: found or created once per pair of bots, also under concurrency.
//!
//! A call that needs a channel which is not in memory waits in its slot while it is read; then all waiters run in order
//! of arrival. A channel that is not used for some minutes is dropped from memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::OrgActor;
use crate::core::activity::ActivityMark;
use crate::fanout::send_queue::WakeBatch;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{BotId, ChannelId};
use hxa_store::rows::ChannelRow;
use hxa_store::{Fence, Write};

/// How long an unused channel stays in memory.
const KEEP: Duration = Duration::from_secs(600);

/// Two bots, the smaller id first.
pub type Pair = (BotId, BotId);

/// The pair of two bots.
#[must_use]
pub fn pair(a: BotId, b: BotId) -> Pair {
    if a < b { (a, b) } else { (b, a) }
}

/// A channel in memory.
#[derive(Debug)]
pub struct Channel {
    /// Identity.
    pub id: ChannelId,
    /// The stored row.
    pub row: ChannelRow,
    /// Breaks when a commit of this channel failed; the channel is then read anew.
    pub fence: Fence,
    /// True until the first commit that stores the row is submitted.
    pub is_new: bool,
    pub(super) newest: i64,
    pub(super) activity: ActivityMark,
    used: Instant,
}

impl Channel {
    fn new(row: ChannelRow, is_new: bool) -> Self {
        let newest = row.last_activity_at;
        Self {
            id: row.id,
            row,
            fence: Fence::default(),
            is_new,
            newest,
            activity: ActivityMark::default(),
            used: Instant::now(),
        }
    }
}

type Waiter = Box<dyn FnOnce(&mut OrgActor, ApiResult<Pair>) + 'static>;

enum Slot {
    Loading(Vec<Waiter>),
    Ready(Box<Channel>),
}

/// All channels in use.
#[derive(Default)]
pub struct Channels {
    slots: HashMap<Pair, Slot>,
}

impl Channels {
    /// Drops unused channels from time to time.
    pub fn watch(&self, context: &mut actix::Context<OrgActor>) {
        context.run_interval(KEEP, |actor, _| {
            actor.channels.slots.retain(|_, slot| match slot {
                Slot::Ready(channel) => channel.used.elapsed() < KEEP,
                Slot::Loading(_) => true,
            });
        });
    }

    /// The channel of a pair that is ready.
    pub fn ready(&mut self, pair: Pair) -> Option<&mut Channel> {
        match self.slots.get_mut(&pair) {
            Some(Slot::Ready(channel)) => {
                channel.used = Instant::now();
                Some(channel)
            }
            _ => None,
        }
    }
}

impl OrgActor {
    /// Runs `then` once the pair's channel is in memory: at once when it is, else after it was read or made.
    pub(super) fn with_channel(
        &mut self,
        pair: Pair,
        context: &mut actix::Context<Self>,
        then: impl FnOnce(&mut Self, ApiResult<Pair>) + 'static,
    ) {
        match self.channels.slots.get_mut(&pair) {
            Some(Slot::Ready(channel)) if !channel.fence.is_poisoned() => then(self, Ok(pair)),
            Some(Slot::Loading(waiters)) => waiters.push(Box::new(then)),
            Some(Slot::Ready(_)) | None => {
                self.channels.slots.insert(pair, Slot::Loading(vec![Box::new(then)]));
                self.load_channel(pair, context);
            }
        }
    }

    fn load_channel(&mut self, pair: Pair, context: &mut actix::Context<Self>) {
        let (store, org, low, high) = (self.orgs.core.store().clone(), self.org.id, pair.0, pair.1);
        let read =
            async move { store.read_for(org, move |conn| hxa_store::channels::find_pair(conn, low, high)).await };
        context.spawn(read.into_actor(self).map(move |found, actor, _| {
            let _batch = WakeBatch::begin();
            let channel = found.map(|row| actor.found_or_new(pair, row));
            let slot = match channel {
                Ok(channel) => {
                    actor.channels.slots.insert(pair, Slot::Ready(Box::new(channel))).map(|slot| (slot, None))
                }
                Err(error) => actor.channels.slots.remove(&pair).map(|slot| (slot, Some(error))),
            };
            if let Some((Slot::Loading(waiters), error)) = slot {
                for waiter in waiters {
                    waiter(actor, error.clone().map_or(Ok(pair), Err));
                }
            }
        }));
    }

    fn found_or_new(&self, pair: Pair, found: Option<ChannelRow>) -> Channel {
        if let Some(row) = found {
            return Channel::new(row, false);
        }
        let now = self.orgs.core.now();
        let row = ChannelRow {
            id: ChannelId::at(now),
            org_id: self.org.id,
            bot_low: pair.0,
            bot_high: pair.1,
            created_at: now,
            last_activity_at: now,
        };
        Channel::new(row, true)
    }
}

/// The write that stores a new channel. Another hub may have made the pair's channel first: the commit then fails,
/// the fence is poisoned, and the next call reads the channel that won.
pub fn insert(row: ChannelRow) -> Write {
    Write::Run(Box::new(move |conn| hxa_store::channels::insert(conn, &row)))
}
