//! Direct messages: to a bot, or into an existing channel.

use std::sync::Arc;

use actix::prelude::*;

use super::channels::{Channel, Pair, insert, pair};
use super::{OrgActor, OrgOperation};
use crate::core::call::{Operation, Reply};
use crate::core::caller::{BotCaller, Caller};
use crate::core::shard;
use crate::fanout::event::{Audience, Event};
use crate::fanout::send_queue::WakeBatch;
use crate::outcome::Outcome;
use crate::thread::next_time;
use crate::wire::{self, events};
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, ChannelId, MessageId};
use hxa_domain::message::{ChannelMessageDraft, DirectMessageDraft};
use hxa_domain::parts::Composed;
use hxa_store::Write;
use hxa_store::rows::{ChannelMessageRow, ChannelRow};

/// A bot writes to another.
pub struct SendDm {
    /// To whom and what.
    pub message: Parsed<DirectMessageDraft>,
}

/// A bot writes into a channel it is in.
pub struct SendToChannel {
    /// Which channel.
    pub channel: ChannelId,
    /// What.
    pub message: Parsed<ChannelMessageDraft>,
}

/// A direct message that is stored.
#[derive(Debug, Clone)]
pub struct SentDm {
    /// Its row.
    pub row: Arc<ChannelMessageRow>,
    /// Who sent it.
    pub sender_name: Arc<str>,
}

impl Operation for SendDm {
    type Answer = SentDm;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Message)
    }

    fn bytes(&self) -> usize {
        self.message.bytes()
    }
}

impl Operation for SendToChannel {
    type Answer = SentDm;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Message)
    }

    fn bytes(&self) -> usize {
        self.message.bytes()
    }
}

impl OrgOperation for SendDm {
    fn run(self, actor: &mut OrgActor, caller: Caller, reply: Reply<SentDm>, context: &mut actix::Context<OrgActor>) {
        let checked = sender(caller).and_then(|caller| {
            let (target, composed) = check_dm(self.message, &caller, actor.orgs.core.config().messages.max_length)?;
            Ok((caller, target, composed))
        });
        let (caller, target, composed) = match checked {
            Ok(checked) => checked,
            Err(error) => return reply.send(Err(error)),
        };
        actor.with_channel(pair(caller.bot.id, target), context, move |actor, ready| match ready {
            Ok(pair) => actor.store_dm(pair, &caller, composed, reply),
            Err(error) => reply.send(Err(error)),
        });
    }
}

impl OrgOperation for SendToChannel {
    fn run(self, actor: &mut OrgActor, caller: Caller, reply: Reply<SentDm>, context: &mut actix::Context<OrgActor>) {
        let caller = match sender(caller) {
            Ok(caller) => caller,
            Err(error) => return reply.send(Err(error)),
        };
        let (store, org, id) = (actor.orgs.core.store().clone(), actor.org.id, self.channel);
        let find = async move { store.read_for(org, move |conn| hxa_store::channels::find(conn, org, id)).await };
        // One read per message: this operation is of old clients, new ones address bots.
        context.wait(find.into_actor(actor).map(move |found, actor, context| {
            let _batch = WakeBatch::begin();
            let max = actor.orgs.core.config().messages.max_length;
            let pair = found.and_then(|row| member_pair(row, caller.bot.id, caller.via_socket));
            match pair.and_then(|pair| Ok((pair, self.message.draft()?.0.check_length(max)?))) {
                Err(error) => reply.send(Err(error)),
                Ok((pair, composed)) => actor.with_channel(pair, context, move |actor, ready| match ready {
                    Ok(pair) => actor.store_dm(pair, &caller, composed, reply),
                    Err(error) => reply.send(Err(error)),
                }),
            }
        }));
    }
}

/// The bot that sends.
fn sender(caller: Caller) -> ApiResult<BotCaller> {
    match caller {
        Caller::Bot(caller) => caller.may_send_dm().map(|()| caller),
        Caller::Admin(_) | Caller::Person(_) | Caller::Hub(_) => {
            Err(ApiError::forbidden("Only a bot may send direct messages"))
        }
    }
}

fn check_dm(message: Parsed<DirectMessageDraft>, caller: &BotCaller, max_units: usize) -> ApiResult<(BotId, Composed)> {
    let DirectMessageDraft { to, composed } = message.draft()?;
    let target = caller.org.find_bot(&to).ok_or_else(|| ApiError::not_found("Bot"))?;
    if target.id == caller.bot.id {
        return Err(ApiError::validation("Cannot send to yourself"));
    }
    // The length is checked last: an unknown recipient is reported first.
    Ok((target.id, composed.check_length(max_units)?))
}

/// The pair of a channel the caller is in. A socket does not tell an unknown channel from a foreign one.
fn member_pair(row: Option<ChannelRow>, bot: BotId, via_socket: bool) -> ApiResult<Pair> {
    let not_member = || ApiError::forbidden("Not a member of this channel");
    let row = row.ok_or_else(|| if via_socket { not_member() } else { ApiError::not_found("Channel") })?;
    let pair = (row.bot_low, row.bot_high);
    if pair.0 == bot || pair.1 == bot { Ok(pair) } else { Err(not_member()) }
}

impl OrgActor {
    fn store_dm(&mut self, pair: Pair, caller: &BotCaller, composed: Composed, reply: Reply<SentDm>) {
        let now = self.orgs.core.now();
        let Some(channel) = self.channels.ready(pair) else {
            return reply.send(Err(ApiError::unavailable("The channel is being loaded; try again")));
        };
        let at = next_time(&mut channel.newest, now);
        let row = Arc::new(ChannelMessageRow {
            channel_id: channel.id,
            created_at: at,
            id: MessageId::at(at),
            sender_id: caller.bot.id.to_string(),
            content: composed.content,
            content_type: composed.content_type.into_owned(),
            parts: composed.parts,
            via_socket: caller.via_socket,
        });
        let mut writes = Vec::with_capacity(3);
        let mut events = Vec::with_capacity(2);
        let makes_channel = channel.is_new;
        if makes_channel {
            channel.is_new = false;
            writes.push(insert(channel.row.clone()));
            events.push(created_event(channel, pair));
        }
        writes.push(Write::ChannelMessage(row.clone()));
        channel.row.last_activity_at = at;
        let is_due = channel.activity.touch(&self.org.channel_activity, channel.id, at);
        writes.extend(is_due.then_some(Write::ChannelActivity(channel.id, at)));
        let sent = SentDm { row, sender_name: caller.bot.name.clone() };
        let linked = self.orgs.core.linked_parts(caller, sent.row.parts.as_deref());
        events.push(message_event(channel, pair, &sent, linked.as_deref()).by(caller.bot.id));
        let (key, fence) = (shard(channel.id.uuid()), channel.fence.clone());
        let commit = self.publisher().commit(key, Outcome { writes, events, answer: Ok(sent) }, reply, || {});
        let commit = commit.behind(&fence).counted_in(&self.org.load);
        // Later messages need the channel, but not each other.
        self.orgs.core.store().submit(if makes_channel { commit } else { commit.bearing_nothing() });
    }
}

/// Told to the two members and the admins only: who talks to whom is nobody else's business.
pub(super) fn created_event(channel: &Channel, pair: Pair) -> Event {
    let fields = events::ChannelCreated { channel: (&channel.row).into(), members: [pair.0, pair.1] };
    let audience = Audience::MembersAndAdmins { bots: Arc::from([pair.0, pair.1]), topic: channel.id.uuid() };
    Event::new("channel_created", &fields, audience)
}

fn message_event(channel: &Channel, pair: Pair, sent: &SentDm, linked: Option<&str>) -> Event {
    let fields = events::MessageSent {
        kind: "message",
        channel_id: channel.id,
        message: wire::ChannelMessage::new(&sent.row).with_parts(linked),
        sender_name: &sent.sender_name,
    };
    let audience = Audience::Members { bots: Arc::from([pair.0, pair.1]), topic: channel.id.uuid() };
    Event::tagged("message", &fields, audience)
}
