//! Channels and their messages, threads, their participants and join requests.
//!
//! A channel here is a unique pair of bots. If one of the two was deleted, the author of its messages replaces it; if
//! two channels have the same pair, they are merged.

use std::collections::HashMap;

use diesel::prelude::*;

use super::super::source::Table;
use super::super::target::{Parent, Stored};
use super::super::{ImportError, Move};
use super::fields::{Fields, Shape, Skip};
use super::{cleaned_row, found, simple, walk};
use crate::rows::{ChannelMessageRow, ChannelRow, JoinRequestRow, ParticipantRow, ThreadRow};
use crate::schema::channels as c;
use crate::timed_ids;
use hxa_domain::ids::{BotId, ChannelId, OrgId};
use hxa_domain::thread::{CloseReason, JoinPolicy, RequestStatus, ThreadStatus, Visibility};

const NO_ORG: Skip = "its organisation is gone";
const NO_THREAD: Skip = "its thread is gone";
const NO_BOT: Skip = "its bot is gone";
const SAME_PAIR: Skip = "another channel joins the same bots; its messages are there now";
const PARTICIPATION: [(&str, Parent); 2] = [("thread_id", Parent::Thread), ("bot_id", Parent::Bot)];

/// What became one with which channel.
pub type Merged = HashMap<ChannelId, ChannelId>;

const CHANNELS: Table = Table {
    name: "channels",
    key: &["id"],
    extra: &[
        ("members", "SELECT count(*) FROM channel_members m WHERE m.channel_id = t.id"),
        ("member_low", "SELECT min(m.bot_id) FROM channel_members m WHERE m.channel_id = t.id"),
        ("member_high", "SELECT max(m.bot_id) FROM channel_members m WHERE m.channel_id = t.id"),
        ("newest", "SELECT max(m.created_at) FROM messages m WHERE m.channel_id = t.id"),
        (
            "sender_low",
            "CASE WHEN (SELECT count(*) FROM channel_members m WHERE m.channel_id = t.id) < 2 THEN \
             (SELECT min(m.sender_id) FROM messages m WHERE m.channel_id = t.id) END",
        ),
        (
            "sender_high",
            "CASE WHEN (SELECT count(*) FROM channel_members m WHERE m.channel_id = t.id) < 2 THEN \
             (SELECT max(m.sender_id) FROM messages m WHERE m.channel_id = t.id) END",
        ),
    ],
};

/// Moves the channels.
pub fn channels(all: &mut Move) -> Result<Merged, ImportError> {
    let mut merged = Merged::new();
    walk(all, &CHANNELS, &[("org_id", Parent::Org)], |all, page| {
        for (name, mut fields) in page {
            let cleaned = channel(&mut fields);
            let Some(row) = cleaned_row(all, CHANNELS.name, &name, fields, cleaned) else { continue };
            if ChannelRow::insert(all.target.conn(), std::slice::from_ref(&row))? == 1 {
                all.report.table(CHANNELS.name).stored += 1;
            } else {
                let lost = merge(all, row, &mut merged)?;
                all.report.table(CHANNELS.name).skip(SAME_PAIR, &lost.to_string());
            }
        }
        Ok(())
    })?;
    found::<ChannelRow>(all, CHANNELS.name)?;
    Ok(merged)
}

fn channel(row: &mut Fields<'_>) -> Result<ChannelRow, Skip> {
    let (id, org_id): (ChannelId, OrgId) = (row.id()?, row.parent("org_id", Parent::Org, NO_ORG)?);
    let kind = row.text("type").unwrap_or_else(|| "direct".to_owned());
    let members = row.int("members").unwrap_or(0);
    if kind != "direct" || members > 2 {
        return Err("it is a group, which there are no more; threads took their place");
    }
    let created_at = row.time("created_at");
    let mut pair: Vec<BotId> = Vec::with_capacity(2);
    for place in ["member_low", "member_high", "sender_low", "sender_high"] {
        let bot = row.text(place).and_then(|bot| BotId::parse(&bot)).filter(|bot| !pair.contains(bot));
        pair.extend(bot.filter(|_| pair.len() < 2));
    }
    if members < 2 {
        row.changed("a bot of it was deleted; its history stays");
    }
    while pair.len() < 2 {
        // Nobody has this id, and the same import makes it again.
        pair.push(timed_ids::derived(created_at, &format!("{id}/{}", pair.len())));
    }
    pair.sort_unstable();
    let [bot_low, bot_high] = pair.try_into().map_err(|_| "it joins no two bots")?;
    let last_activity_at = row.int("newest").unwrap_or(created_at).max(created_at);
    Ok(ChannelRow { id, org_id, bot_low, bot_high, created_at, last_activity_at })
}

/// Makes one of a channel and the one that has its pair already, under the id of the older one; the id that is lost.
fn merge(all: &mut Move, row: ChannelRow, merged: &mut Merged) -> Result<ChannelId, ImportError> {
    let conn = all.target.conn();
    let same = c::table.filter(c::bot_low.eq(row.bot_low).and(c::bot_high.eq(row.bot_high)));
    let there: ChannelRow = same.select(ChannelRow::as_select()).first(conn)?;
    let (kept, lost) = if row.created_at < there.created_at { (&row, &there) } else { (&there, &row) };
    let active = there.last_activity_at.max(row.last_activity_at);
    let change = (c::id.eq(kept.id), c::created_at.eq(kept.created_at), c::last_activity_at.eq(active));
    diesel::update(c::table.find(there.id)).set(change).execute(conn)?;
    merged.values_mut().filter(|id| **id == lost.id).for_each(|id| *id = kept.id);
    merged.insert(lost.id, kept.id);
    Ok(lost.id)
}

/// Moves the messages of channels.
pub fn messages(all: &mut Move, merged: &Merged) -> Result<(), ImportError> {
    let table = Table { name: "messages", key: &["id"], extra: &[] };
    simple::<ChannelMessageRow>(all, &table, &[("channel_id", Parent::Channel)], |row| {
        let kept = row.text("channel_id").and_then(|id| merged.get(&ChannelId::parse(&id)?).copied());
        let channel_id = match kept {
            Some(kept) => kept,
            None => row.parent("channel_id", Parent::Channel, "its channel is gone")?,
        };
        Ok(ChannelMessageRow {
            channel_id,
            created_at: row.time("created_at"),
            id: row.id()?,
            sender_id: row.required("sender_id", "it has no sender")?,
            content: row.text("content").unwrap_or_default(),
            content_type: row.text("content_type").unwrap_or_else(|| "text".to_owned()),
            parts: row.json("parts", Shape::List),
            via_socket: false,
        })
    })
}

/// Moves threads, participants and requests to join.
pub fn threads(all: &mut Move, merged: &Merged) -> Result<(), ImportError> {
    let table = Table { name: "threads", key: &["id"], extra: &[] };
    let parents = [("org_id", Parent::Org), ("initiator_id", Parent::Bot), ("channel_id", Parent::Channel)];
    simple::<ThreadRow>(all, &table, &parents, |row| thread(row, merged))?;
    let table = Table { name: "thread_participants", key: &["thread_id", "bot_id"], extra: &[] };
    simple::<ParticipantRow>(all, &table, &PARTICIPATION, |row| {
        Ok(ParticipantRow {
            thread_id: row.parent("thread_id", Parent::Thread, NO_THREAD)?,
            bot_id: row.parent("bot_id", Parent::Bot, NO_BOT)?,
            label: row.text("label"),
            joined_at: row.time("joined_at"),
        })
    })?;
    let table = Table { name: "thread_join_requests", key: &["id"], extra: &[] };
    let [thread, bot] = PARTICIPATION;
    simple::<JoinRequestRow>(all, &table, &[thread, bot, ("resolved_by", Parent::Bot)], join_request)
}

fn thread(row: &mut Fields<'_>, merged: &Merged) -> Result<ThreadRow, Skip> {
    let channel = row.text("channel_id").and_then(|id| merged.get(&ChannelId::parse(&id)?).copied());
    let channel_id =
        channel.or_else(|| row.reference("channel_id", Parent::Channel, "the channel it came from is gone"));
    let parse = |text: &str| CloseReason::parse(text).map(Some);
    let close_reason = row.word("close_reason", parse, None, "the reason of its closing is unknown and dropped");
    let created_at = row.time("created_at");
    let updated_at = row.int("updated_at").unwrap_or(created_at);
    Ok(ThreadRow {
        id: row.id()?,
        org_id: row.parent("org_id", Parent::Org, NO_ORG)?,
        topic: row.text("topic").unwrap_or_default(),
        tags: row.json("tags", Shape::List),
        status: row.word(
            "status",
            ThreadStatus::parse,
            ThreadStatus::Active,
            "its status is unknown; it is active now",
        ),
        initiator_id: row.reference("initiator_id", Parent::Bot, "the bot that opened it is gone"),
        channel_id,
        context: row.text("context"),
        close_reason,
        permission_policy: row.text("permission_policy"),
        visibility: row.word(
            "visibility",
            Visibility::parse,
            if row.has("visibility") { Visibility::Private } else { Visibility::Public },
            "its visibility is unknown; it is private now",
        ),
        join_policy: row.word(
            "join_policy",
            JoinPolicy::parse,
            if row.has("join_policy") { JoinPolicy::InviteOnly } else { JoinPolicy::Open },
            "who may join is unknown; only invited bots may now",
        ),
        revision: row.int("revision").unwrap_or(1).max(1),
        created_at,
        updated_at,
        last_activity_at: row.int("last_activity_at").unwrap_or(updated_at),
        resolved_at: row.int("resolved_at"),
    })
}

fn join_request(row: &mut Fields<'_>) -> Result<JoinRequestRow, Skip> {
    Ok(JoinRequestRow {
        id: row.id()?,
        thread_id: row.parent("thread_id", Parent::Thread, NO_THREAD)?,
        bot_id: row.parent("bot_id", Parent::Bot, NO_BOT)?,
        status: row.word(
            "status",
            RequestStatus::parse,
            RequestStatus::Rejected,
            "its status is unknown; it is rejected now",
        ),
        requested_at: row.time("requested_at"),
        resolved_at: row.int("resolved_at"),
        resolved_by: row.reference("resolved_by", Parent::Bot, "the bot that resolved it is gone"),
    })
}
