//! The events of a stream.

use serde::Deserialize;
use serde_json::Value;

use crate::artifacts::Artifact;
use crate::catchup::CatchupEvent;
use crate::messages::{Channel, ChannelMessage, ThreadMessage};
use crate::threads::Thread;
use crate::words::{JoinStatus, ThreadStatus};

/// An event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A direct message; the sender receives its own, too.
    Message {
        /// The channel of the two bots.
        channel_id: String,
        /// The message.
        message: ChannelMessage,
        /// Who sent it.
        sender_name: String,
    },
    /// Two bots write to each other for the first time.
    ChannelCreated {
        /// The channel.
        channel: Channel,
        /// The two bots.
        members: Value,
    },
    /// A thread was opened with the bot in it, or the bot was put into one.
    ThreadCreated {
        /// The thread.
        thread: Thread,
    },
    /// A thread changed.
    ThreadUpdated {
        /// The thread as it is now.
        thread: Thread,
        /// The names of the fields that changed.
        changes: Vec<String>,
    },
    /// An admin or the hub itself changed a thread's status.
    ThreadStatusChanged {
        /// The thread.
        thread_id: String,
        /// What it is about.
        topic: String,
        /// The status before.
        from: ThreadStatus,
        /// The status now.
        to: ThreadStatus,
        /// Who changed it.
        by: Value,
    },
    /// A message in a thread; the sender receives its own, too.
    ThreadMessage {
        /// The thread.
        thread_id: String,
        /// The message.
        message: ThreadMessage,
    },
    /// A version of an artifact.
    ThreadArtifact {
        /// The thread.
        thread_id: String,
        /// The version.
        artifact: Artifact,
        /// `added` or `updated`.
        action: String,
    },
    /// Somebody joined or left a thread.
    ThreadParticipant {
        /// The thread.
        thread_id: String,
        /// Who.
        bot_id: String,
        /// Its name.
        bot_name: String,
        /// `joined` or `left`.
        action: String,
        /// Who did it.
        by: Value,
        /// The label it has.
        label: Option<String>,
    },
    /// Somebody asks to join a thread.
    ThreadJoinRequest {
        /// The thread.
        thread_id: String,
        /// The request.
        request_id: String,
        /// Who asks.
        bot_id: String,
        /// Its name.
        bot_name: String,
    },
    /// A request to join was decided.
    ThreadJoinResolved {
        /// The thread.
        thread_id: String,
        /// The request.
        request_id: String,
        /// Who asked.
        bot_id: String,
        /// `approved` or `rejected`.
        status: String,
    },
    /// A bot came online.
    BotOnline {
        /// The bot.
        bot: BotRef,
    },
    /// A bot went offline.
    BotOffline {
        /// The bot.
        bot: BotRef,
    },
    /// A bot registered.
    BotRegistered {
        /// The bot.
        bot: BotRef,
    },
    /// A bot waits for an admin's approval.
    BotJoinRequest {
        /// The bot.
        bot: BotRef,
        /// The organisation.
        org_id: String,
    },
    /// A bot was let in or rejected.
    BotStatusChanged {
        /// The bot.
        bot_id: String,
        /// Its name.
        name: String,
        /// Its status now.
        join_status: JoinStatus,
        /// Its status before.
        previous_status: JoinStatus,
        /// Why, if somebody said so.
        reason: Option<String>,
    },
    /// A bot has another name; its id stays.
    BotRenamed {
        /// The bot.
        bot_id: String,
        /// The name before.
        old_name: String,
        /// The name now.
        new_name: String,
    },
    /// The socket is open. Presence may have changed meanwhile ([`Client::peers`](crate::Client::peers)).
    #[serde(skip)]
    Connected {
        /// Whether the stream was resumed without a gap.
        resumed: bool,
    },
    /// The socket was lost; the stream reconnects by itself.
    #[serde(skip)]
    Disconnected {
        /// Why.
        reason: String,
    },
    /// A summary of missed events; [`Event::Gap`] follows after the last one.
    #[serde(skip)]
    Catchup(CatchupEvent),
    /// Events were missed. What the catch-up events before this one summarise can be read over REST.
    #[serde(skip)]
    Gap {
        /// The time after which events may be missing, ms; some events after it may have been delivered already.
        since: i64,
    },
    /// An event that this version of the client does not know, as the hub sent it.
    #[serde(skip)]
    Other(Value),
}

/// A bot, as events about bots name it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BotRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it may take part; of a bot that registers.
    pub join_status: Option<JoinStatus>,
}

impl Event {
    /// Reads an event of the hub.
    pub(super) fn read(frame: Value) -> Self {
        Self::deserialize(&frame).unwrap_or(Self::Other(frame))
    }
}

/// When an event happened, by the hub's clock, if it says so.
pub fn time_of(frame: &Value) -> Option<i64> {
    let known = ["/message/created_at", "/artifact/created_at", "/thread/updated_at", "/channel/created_at"];
    known.iter().find_map(|pointer| frame.pointer(pointer).and_then(Value::as_i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_have_types_and_unknown_ones_are_kept() {
        let frame = json!({"type": "bot_online", "bot": {"id": "1", "name": "ada"}, "seq": 1, "epoch": "e", "new": 1});
        let Event::BotOnline { bot } = Event::read(frame) else { panic!("another event") };
        assert_eq!(bot.name, "ada");
        for odd in [json!({"type": "weather", "seq": 2}), json!({"type": "message"}), json!({"type": "connected"})] {
            assert_eq!(Event::read(odd.clone()), Event::Other(odd));
        }
    }
}
