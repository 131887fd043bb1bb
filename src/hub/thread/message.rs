//! Sending a message to a thread: the hot path of the hub.
//!
//! One row is written per message. Catch-up summaries, the audit of sends and the latest activity are derived from
//! these rows later instead of being written again for every participant.

use std::cell::LazyCell;
use std::sync::Arc;

use super::access::Ended;
use super::state::ThreadState;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::core::caller::BotCaller;
use crate::fanout::event::Event;
use crate::wire::{self, events};
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, MessageId};
use hxa_domain::mentions::{self, Mentions};
use hxa_domain::message::ThreadMessageDraft;
use hxa_domain::parts::Composed;
use hxa_domain::provenance::Author;
use hxa_store::Write;
use hxa_store::messages;
use hxa_store::rows::ThreadMessageRow;

/// A participant says something.
pub struct SendMessage {
    message: Parsed<Attributed>,
    parent: Parent,
}

/// A message whose metadata says what the hub knows of its author.
struct Attributed {
    reply_to: Option<String>,
    /// The message and its metadata; refused once the message replied to is found.
    said: ApiResult<(Composed, Option<String>)>,
}

/// The message replied to.
enum Parent {
    /// None asked for, or not looked up yet.
    None,
    /// Found in this thread.
    Found(Box<messages::Parent>),
    /// Not in this thread.
    Missing,
}

/// A message that is stored.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// Its row.
    pub row: Arc<ThreadMessageRow>,
    /// Who sent it.
    pub sender_name: Arc<str>,
    /// What it replies to.
    pub replied_to: Option<wire::RepliedTo>,
}

impl SendMessage {
    /// A message of the caller.
    #[must_use]
    pub fn new(message: Parsed<ThreadMessageDraft>, caller: &BotCaller) -> Self {
        let author = match &caller.human {
            Some(human) => Author::Human { owner_name: human.owner_name.as_deref() },
            None => Author::Bot,
        };
        let attributed = |message: ThreadMessageDraft| {
            Ok(Attributed { reply_to: message.reply_to, said: message.said.and_then(|said| said.by(author)) })
        };
        Self { message: message.and_then(attributed), parent: Parent::None }
    }
}

impl Parent {
    /// What a message that names this one replies to.
    fn replied_to(&self, context: &Context<'_>) -> ApiResult<wire::RepliedTo> {
        match self {
            Self::Found(parent) => {
                let sender = parent.sender_id.as_deref().and_then(BotId::parse).and_then(|id| context.org.bot(id));
                Ok(wire::RepliedTo::new(parent, sender.as_ref().map(|bot| &bot.row)))
            }
            Self::None | Self::Missing => {
                Err(ApiError::new(ErrorCode::NotFound, "reply_to names no message of this thread").with_status(400))
            }
        }
    }
}

impl Operation for SendMessage {
    type Answer = SentMessage;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Message)
    }

    fn bytes(&self) -> usize {
        self.message.bytes()
    }
}

impl ThreadOperation for SendMessage {
    // A message is a row of its own, and the times that it moves only grow.
    const BEARS: bool = false;

    fn parent(&self) -> Option<&str> {
        self.message.peek()?.reply_to.as_deref()
    }

    fn set_parent(&mut self, parent: Option<ThreadMessageRow>) {
        self.parent = parent.map_or(Parent::Missing, |row| Parent::Found(Box::new(row.into())));
    }

    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<SentMessage>> {
        let caller = context.bot()?;
        let participant = thread.member(&caller, Ended::Refused)?;
        thread.may_write(&caller, participant, context)?;
        let Attributed { reply_to, said } = self.message.draft()?;
        let replied_to = reply_to.map(|_| self.parent.replied_to(context)).transpose()?;
        let (composed, metadata) = said?;
        let composed = composed.check_length(context.core.config().messages.max_length)?;
        let mentions = find_mentions(thread, context, &composed.content);
        let at = thread.next_time(context.now);
        let row = Arc::new(ThreadMessageRow {
            thread_id: thread.id,
            created_at: at,
            id: MessageId::at(at),
            sender_id: Some(caller.bot.id.to_string()),
            content: composed.content,
            content_type: composed.content_type.into_owned(),
            parts: composed.parts,
            metadata,
            mentions: stored_mentions(&mentions),
            mention_all: mentions.all,
            reply_to_id: replied_to.as_ref().map(|parent| parent.id.to_string()),
            via_socket: caller.via_socket,
        });
        let mut writes = vec![Write::ThreadMessage(row.clone())];
        writes.extend(thread.touch(context.org, at));
        let sent = SentMessage { row, sender_name: caller.bot.name.clone(), replied_to };
        let event = message_event(thread, &sent, context, &caller).by(caller.bot.id);
        Ok(Applied { writes, events: vec![event], answer: sent })
    }
}

fn find_mentions(thread: &ThreadState, context: &Context<'_>, content: &str) -> Mentions {
    // By name, for a long message of a large thread may have tens of thousands of names. Of one name the first comes first.
    let bots = LazyCell::new(|| {
        let bots = thread.participants.iter().filter_map(|participant| context.org.bot(participant.bot));
        let mut bots: Vec<_> = bots.collect();
        bots.sort_by(|a, b| a.name_lower.cmp(&b.name_lower));
        bots
    });
    mentions::scan(content, |lower| {
        let at = bots.partition_point(|bot| bot.name_lower.as_str() < lower);
        bots.get(at).filter(|bot| bot.name_lower == lower).map(|bot| (bot.id, bot.name.clone()))
    })
}

fn stored_mentions(mentions: &Mentions) -> Option<String> {
    if mentions.refs.is_empty() {
        return None;
    }
    serde_json::to_string(&mentions.refs).ok()
}

fn message_event(thread: &ThreadState, sent: &SentMessage, context: &Context<'_>, caller: &BotCaller) -> Event {
    let linked = context.core.linked_parts(caller, sent.row.parts.as_deref());
    let message = wire::ThreadMessage::new(&sent.row, Some(&sent.sender_name), sent.replied_to.as_ref());
    let message = message.with_parts(linked.as_deref());
    Event::tagged(
        "thread_message",
        &events::ThreadMessageSent { kind: "thread_message", thread_id: thread.id, message },
        thread.audience(),
    )
}
