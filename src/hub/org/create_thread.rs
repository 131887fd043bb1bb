//! Starting a thread: the row, its participants, and the events.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::{Value, json};

use super::{OrgActor, OrgOperation};
use crate::core::call::{Operation, Reply};
use crate::core::caller::{BotCaller, Caller};
use crate::core::org_state::{Bot, OrgState};
use crate::core::shard;
use crate::fanout::event::{Audience, Event, Place};
use crate::fanout::send_queue::WakeBatch;
use crate::outcome::Outcome;
use crate::thread::invited_catchup;
use crate::wire::events;
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, ChannelId, ThreadId};
use hxa_domain::thread::{ThreadDraft, ThreadStatus, check_participant_count};
use hxa_store::audit::noting_socket;
use hxa_store::rows::{AuditRow, ParticipantRow, ThreadRow};
use hxa_store::{Write, channels, threads};

/// A bot starts a thread.
pub struct CreateThread {
    /// What it shall be.
    pub draft: Parsed<ThreadDraft>,
}

/// The new thread.
#[derive(Debug, Clone)]
pub struct CreatedThread {
    /// Its row.
    pub row: ThreadRow,
}

impl Operation for CreateThread {
    type Answer = CreatedThread;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Thread)
    }

    fn bytes(&self) -> usize {
        self.draft.bytes()
    }
}

impl OrgOperation for CreateThread {
    fn run(
        self,
        actor: &mut OrgActor,
        caller: Caller,
        reply: Reply<CreatedThread>,
        context: &mut actix::Context<OrgActor>,
    ) {
        let Caller::Bot(caller) = caller else {
            return reply.send(Err(ApiError::forbidden("Only a bot may start a thread")));
        };
        let plan = match self.draft.draft().and_then(|draft| Plan::new(draft, &caller)) {
            Ok(plan) => plan,
            Err(error) => return reply.send(Err(error)),
        };
        let Some(channel) = plan.draft.channel_id.clone() else {
            return actor.start_thread(plan, None, &caller, reply);
        };
        // The channel is only a marker, so the bot need not be in it; one of another organisation is as good as none.
        let (store, org) = (actor.orgs.core.store().clone(), actor.org.id);
        let find = async move {
            let Some(id) = ChannelId::parse(&channel) else { return Ok(None) };
            store.read_for(org, move |conn| channels::find(conn, org, id)).await
        };
        context.spawn(find.into_actor(actor).map(move |found, actor, _| {
            let _batch = WakeBatch::begin();
            match found {
                Ok(Some(channel)) => actor.start_thread(plan, Some(channel.id), &caller, reply),
                Ok(None) => reply.send(Err(ApiError::validation("channel_id names no channel of this organisation"))),
                Err(error) => reply.send(Err(error)),
            }
        }));
    }
}

/// A checked request: what to create and who takes part, the initiator first.
struct Plan {
    draft: ThreadDraft,
    members: Vec<Arc<Bot>>,
}

impl Plan {
    fn new(draft: ThreadDraft, caller: &BotCaller) -> ApiResult<Self> {
        let mut members = vec![caller.bot.clone()];
        for reference in &draft.participants {
            let bot = caller.org.find_bot(reference);
            let bot = bot.ok_or_else(|| ApiError::validation(format!("Bot not found: {reference:?}")))?;
            if !members.iter().any(|member| member.id == bot.id) {
                members.push(bot);
            }
        }
        // The initiator is one of them, and some references may have named the same bot.
        check_participant_count(members.len())?;
        Ok(Self { draft, members })
    }
}

impl OrgActor {
    fn start_thread(&self, plan: Plan, channel: Option<ChannelId>, caller: &BotCaller, reply: Reply<CreatedThread>) {
        let at = self.orgs.core.now();
        let id = ThreadId::at(at);
        let row = ThreadRow { channel_id: channel, ..thread_row(&self.org, id, plan.draft, caller, at) };
        let participants: Vec<_> = plan.members.iter().map(|bot| participant_row(&row, bot, at)).collect();
        let mut writes = vec![insert(row.clone(), participants), audit(&self.org, caller, &row, at)];
        let inviter = caller.bot.id.to_string();
        writes.extend(plan.members.iter().skip(1).map(|bot| invited_catchup(&row, bot.id, &inviter, at)));
        let events = events(&row, &plan.members, caller);
        let outcome = Outcome { writes, events, answer: Ok(CreatedThread { row }) };
        let commit = self.publisher().commit(shard(id.uuid()), outcome, reply, || {});
        self.orgs.core.store().submit(commit.counted_in(&self.org.load));
    }
}

fn thread_row(org: &OrgState, id: ThreadId, draft: ThreadDraft, caller: &BotCaller, at: i64) -> ThreadRow {
    ThreadRow {
        id,
        org_id: org.id,
        topic: draft.topic,
        tags: draft.tags.map(|tags| Value::from(tags).to_string()),
        status: ThreadStatus::Active,
        initiator_id: Some(caller.bot.id),
        channel_id: None,
        context: draft.context,
        close_reason: None,
        permission_policy: draft.permission_policy.map(|policy| policy.text().to_owned()),
        visibility: draft.access.visibility,
        join_policy: draft.access.join_policy,
        revision: 1,
        created_at: at,
        updated_at: at,
        last_activity_at: at,
        resolved_at: None,
    }
}

fn participant_row(row: &ThreadRow, bot: &Bot, at: i64) -> ParticipantRow {
    ParticipantRow { thread_id: row.id, bot_id: bot.id, label: None, joined_at: at }
}

fn insert(row: ThreadRow, participants: Vec<ParticipantRow>) -> Write {
    Write::Run(Box::new(move |conn| threads::insert(conn, &row, &participants)))
}

fn audit(org: &OrgState, caller: &BotCaller, row: &ThreadRow, at: i64) -> Write {
    let tags = row.tags.as_deref().and_then(|tags| serde_json::from_str::<Value>(tags).ok());
    let detail = noting_socket(json!({ "topic": row.topic, "tags": tags }), caller.via_socket);
    let by = Some(caller.bot.id.to_string());
    Write::Audit(AuditRow::new(org.id, at, by, "thread.create", "thread", row.id, Some(detail)))
}

/// `thread_created` to members and admins, then one `thread_participant` per member, the initiator first.
fn events(row: &ThreadRow, members: &[Arc<Bot>], caller: &BotCaller) -> Vec<Event> {
    let bots: Arc<[BotId]> = members.iter().map(|bot| bot.id).collect();
    let topic = row.id.uuid();
    let mut events = Vec::with_capacity(members.len() + 1);
    let created = events::ThreadCreated { thread: row.into() };
    events.push(Event::new("thread_created", &created, Audience::MembersAndAdmins { bots: bots.clone(), topic }));
    let by = caller.bot.id.to_string();
    for bot in members {
        let fields = events::ParticipantChanged {
            thread_id: row.id,
            bot_id: bot.id,
            bot_name: &bot.row.name,
            action: events::ParticipantAction::Joined,
            by: &by,
            label: None,
        };
        let audience = Audience::Members { bots: bots.clone(), topic };
        events.push(Event::new("thread_participant", &fields, audience).placing(bot.id, Place::In));
    }
    events
}
