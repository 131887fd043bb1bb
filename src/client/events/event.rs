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
        /// The id of the channel.
        channel_id: String,
        /// The message.
        message: ChannelMessage,
        /// The name of the sender.
        sender_name: String,
    },
    /// The first message between two bots opened a channel.
    ChannelCreated {
        /// The channel.
        channel: Channel,
        /// The two bots.
        members: Value,
    },
    /// A thread was created with the bot as a participant, or the bot was added to one.
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
        /// The id of the thread.
        thread_id: String,
        /// The topic.
        topic: String,
        /// The previous status.
        from: ThreadStatus,
        /// The new status.
        to: ThreadStatus,
        /// The bot or person that changed it.
        by: Value,
    },
    /// A message in a thread; the sender receives its own, too.
    ThreadMessage {
        /// The id of the thread.
        thread_id: String,
        /// The message.
        message: ThreadMessage,
    },
    /// An artifact was added or updated.
    ThreadArtifact {
        /// The id of the thread.
        thread_id: String,
        /// The new version.
        artifact: Artifact,
        /// `added` or `updated`.
        action: String,
    },
    /// A bot joined or left a thread.
    ThreadParticipant {
        /// The id of the thread.
        thread_id: String,
        /// The id of the bot.
        bot_id: String,
        /// The name of the bot.
        bot_name: String,
        /// `joined` or `left`.
        action: String,
        /// The bot or person that did it.
        by: Value,
        /// The bot's label in the thread.
        label: Option<String>,
    },
    /// A bot asks to join a thread.
    ThreadJoinRequest {
        /// The id of the thread.
        thread_id: String,
        /// The id of the request.
        request_id: String,
        /// The id of the bot that asks.
        bot_id: String,
        /// The name of the bot.
        bot_name: String,
    },
    /// A request to join was approved or rejected.
    ThreadJoinResolved {
        /// The id of the thread.
        thread_id: String,
        /// The id of the request.
        request_id: String,
        /// The id of the bot that asked.
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
        /// The id of the organisation.
        org_id: String,
    },
    /// A bot was approved or rejected.
    BotStatusChanged {
        /// The id of the bot.
        bot_id: String,
        /// Its name.
        name: String,
        /// The new status.
        join_status: JoinStatus,
        /// The previous status.
        previous_status: JoinStatus,
        /// The reason, if one was given.
        reason: Option<String>,
    },
    /// A bot was renamed; its id stays.
    BotRenamed {
        /// The id of the bot.
        bot_id: String,
        /// The old name.
        old_name: String,
        /// The new name.
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
        /// The reason.
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

/// The bot that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BotRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its join status, when it registers.
    pub join_status: Option<JoinStatus>,
}

impl Event {
    /// Reads an event of the hub.
    pub(super) fn read(frame: Value) -> Self {
        Self::deserialize(&frame).unwrap_or(Self::Other(frame))
    }
}

/// The time of an event by the hub's clock, if it contains one.
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
