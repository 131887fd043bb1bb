//! Events: their content, their audience, and the log from which a client resumes.
//!
//! An event's body is serialized once, without its closing brace; publishing appends `seq` and `epoch` of the
//! organisation's log and shares the bytes with every recipient. Numbering and fan-out happen under one lock per
//! organisation, so the numbers on a socket only increase.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fanout::outgoing::Outgoing;
use hxa_domain::ids::BotId;
use hxa_domain::scope::{self, Need};
use hxa_domain::{secrets, webhook};

/// The audience of an event.
#[derive(Debug, Clone)]
pub enum Audience {
    /// All sockets of these bots (the acting one included), and the admin sockets subscribed to `topic`.
    Members {
        /// Members of the channel or thread at the moment of the change.
        bots: Arc<[BotId]>,
        /// The channel or thread.
        topic: Uuid,
    },
    /// All sockets of these bots and every admin socket.
    MembersAndAdmins {
        /// Members of the channel or thread at the moment of the change.
        bots: Arc<[BotId]>,
        /// The channel or thread.
        topic: Uuid,
    },
    /// Every socket of the organisation except those of one bot.
    Org {
        /// Whose sockets are left out.
        except: Option<BotId>,
    },
    /// Admin sockets and the sockets of these (active admin) bots, which are in order.
    Admins(Arc<[BotId]>),
}

impl Audience {
    /// The channel or thread whose members hear it.
    const fn topic(&self) -> Option<Uuid> {
        match self {
            Audience::Members { topic, .. } | Audience::MembersAndAdmins { topic, .. } => Some(*topic),
            Audience::Org { .. } | Audience::Admins(_) => None,
        }
    }
}

/// What an event says of a bot's place in its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It takes part from now on.
    In,
    /// It takes part no more.
    Out,
    /// As before: a request of it was decided.
    Same,
}

/// Something that happened, ready to be published.
#[derive(Debug, Clone)]
pub struct Event {
    /// The wire name, for metrics.
    pub kind: &'static str,
    /// The JSON object without its closing brace.
    pub body: String,
    /// Its audience.
    pub audience: Audience,
    /// What a credential must cover to hear it.
    pub need: Need,
    /// Whether webhooks receive it.
    pub is_for_webhooks: bool,
    /// Whether sockets receive it.
    pub is_for_sockets: bool,
    /// Whose webhook does not get it, because this bot said it.
    pub author: Option<BotId>,
    /// The bot whose place in the thread it tells of.
    pub place: Option<(BotId, Place)>,
    /// The bot that it is about, when the whole organisation receives it; then it may be delayed, see
    /// [`super::waiting::Waiting`].
    pub subject: Option<BotId>,
}

impl Event {
    /// Serializes `fields` (a struct or map with at least one field) as the event `kind`.
    pub fn new<T: Serialize>(kind: &'static str, fields: &T, audience: Audience) -> Self {
        #[derive(Serialize)]
        struct Tagged<'a, T: Serialize> {
            #[serde(rename = "type")]
            kind: &'static str,
            #[serde(flatten)]
            fields: &'a T,
        }
        Self::tagged(kind, &Tagged { kind, fields }, audience)
    }

    /// Serializes an object that holds its own `type`; for events of the hot path.
    pub fn tagged<T: Serialize>(kind: &'static str, object: &T, audience: Audience) -> Self {
        // Serializing plain structs into memory cannot fail; an event without a body is better than a panic.
        let mut body = serde_json::to_string(object).unwrap_or_else(|error| {
            log::error!(event = kind, error:% = error; "cannot serialize an event");
            format!("{{\"type\":\"{kind}\"}}")
        });
        body.pop();
        Self {
            kind,
            body,
            audience,
            need: scope::of_event(kind),
            is_for_webhooks: webhook::is_sent(kind),
            is_for_sockets: true,
            author: None,
            place: None,
            subject: None,
        }
    }

    /// Says what a credential must cover to hear it; an event of a kind that is not in the kernel's table is otherwise for
    /// those who may do everything.
    #[must_use]
    pub fn needing(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    /// Has the webhooks of the bots in its audience told of it, whichever kind it is.
    #[must_use]
    pub fn for_webhooks(mut self) -> Self {
        self.is_for_webhooks = true;
        self
    }

    /// Has webhooks alone told of it: sockets hear of the same in another form.
    #[must_use]
    pub fn only_for_webhooks(mut self) -> Self {
        (self.is_for_webhooks, self.is_for_sockets) = (true, false);
        self
    }

    /// Names the sender: it receives its own event on its sockets, but not by webhook.
    #[must_use]
    pub fn by(mut self, author: BotId) -> Self {
        self.author = Some(author);
        self
    }

    /// The channel or thread it is about, if any.
    #[must_use]
    pub const fn conversation(&self) -> Option<Uuid> {
        self.audience.topic()
    }

    /// Names the bot whose place in the thread it tells of: that much it may know also when it is out.
    #[must_use]
    pub fn placing(mut self, bot: BotId, place: Place) -> Self {
        self.place = Some((bot, place));
        self
    }

    /// Names the bot that it tells the whole organisation about.
    #[must_use]
    pub fn telling_of(mut self, subject: BotId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Tells of an earlier event of its kind as well, which nobody has been told: what was before is what was before that.
    pub fn take_over(&mut self, earlier: &Self) {
        const BEFORE: [&str; 2] = ["old_name", "previous_status"];
        let fields = |event: &Self| serde_json::from_str::<Map<String, Value>>(&event.whole());
        let (Ok(mut own), Ok(earlier)) = (fields(self), fields(earlier)) else { return };
        for name in BEFORE {
            if let (Some(own), Some(before)) = (own.get_mut(name), earlier.get(name)) {
                own.clone_from(before);
            }
        }
        self.body = Value::Object(own).to_string();
        self.body.pop();
    }

    /// The whole object, without a number.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{}}}", self.body)
    }

    /// The members that receive it by webhook, if this kind of event goes to webhooks.
    pub fn webhook_audience(&self) -> impl Iterator<Item = BotId> {
        let bots = match &self.audience {
            Audience::Members { bots, .. } | Audience::MembersAndAdmins { bots, .. } | Audience::Admins(bots) => {
                Some(bots)
            }
            Audience::Org { .. } => None,
        };
        let bots = bots.filter(|_| self.is_for_webhooks);
        bots.into_iter().flat_map(|bots| bots.iter().copied()).filter(|bot| Some(*bot) != self.author)
    }
}

/// The newest events of an organisation with their numbers.
pub struct EventLog {
    epoch: String,
    head: u64,
    entries: VecDeque<LogEntry>,
    bytes: usize,
    limits: LogLimits,
}

/// Bounds of an organisation's log.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Most events kept.
    pub events: usize,
    /// Most bytes kept.
    pub bytes: usize,
}

/// An event that was published.
#[derive(Clone)]
pub struct LogEntry {
    /// Its number in the log.
    pub seq: u64,
    /// The whole frame.
    pub frame: Outgoing,
    /// Who was meant to hear it.
    pub audience: Audience,
    /// What a credential must cover to hear it.
    pub need: Need,
    /// The bot whose place in the thread it tells of.
    pub place: Option<(BotId, Place)>,
}

/// The conversations that a bot was a member of when these events happened and is not now, and the number of the event
/// that told of it: what REST would not let it read any more.
#[must_use]
pub fn departures(missed: &[LogEntry], bot: BotId) -> HashMap<Uuid, u64> {
    let mut left = HashMap::new();
    for entry in missed {
        if let (Some((who, place)), Some(topic)) = (entry.place, entry.audience.topic())
            && who == bot
        {
            match place {
                Place::In => drop(left.remove(&topic)),
                Place::Out => drop(left.insert(topic, entry.seq)),
                Place::Same => {}
            }
        }
    }
    left
}

impl LogEntry {
    /// Whether it stands before such a departure, and is not about the bot's own place.
    #[must_use]
    pub fn is_lost(&self, left: &HashMap<Uuid, u64>, bot: BotId) -> bool {
        let departure = self.audience.topic().and_then(|topic| left.get(&topic));
        departure.is_some_and(|seq| self.seq < *seq) && self.place.is_none_or(|(who, _)| who != bot)
    }
}

/// What a client missed.
pub enum Missed {
    /// Every event after its number, oldest first.
    Entries(Vec<LogEntry>),
    /// The log cannot tell: other epoch, too old, or ahead of the head.
    Unknown,
}

impl EventLog {
    /// An empty log with a new random epoch.
    #[must_use]
    pub fn new(limits: LogLimits) -> Self {
        Self { epoch: secrets::hex_token("", 16), head: 0, entries: VecDeque::new(), bytes: 0, limits }
    }

    /// The log's random name; numbers of different epochs have nothing to do with each other.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Number of the newest event, 0 before the first.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Numbers and keeps an event; returns the frame to send.
    pub fn append(&mut self, mut event: Event) -> Outgoing {
        self.head += 1;
        let mut frame = std::mem::take(&mut event.body);
        frame.reserve(48);
        frame.push_str(",\"seq\":");
        frame.push_str(&self.head.to_string());
        frame.push_str(",\"epoch\":\"");
        frame.push_str(&self.epoch);
        frame.push_str("\"}");
        let frame = Outgoing::new(frame);
        self.bytes += frame.len();
        let Event { audience, need, place, .. } = event;
        self.entries.push_back(LogEntry { seq: self.head, frame: frame.clone(), audience, need, place });
        while self.entries.len() > self.limits.events || self.bytes > self.limits.bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.frame.len();
        }
        frame
    }

    /// What was published after `since` of `epoch`, up to `until` inclusive.
    #[must_use]
    pub fn missed(&self, epoch: &str, since: u64, until: u64) -> Missed {
        let reaches_back = match self.entries.front() {
            Some(oldest) => since.saturating_add(1) >= oldest.seq,
            None => since == self.head,
        };
        if epoch != self.epoch || since > self.head || !reaches_back {
            return Missed::Unknown;
        }
        let entries = self.entries.iter().filter(|entry| entry.seq > since && entry.seq <= until).cloned();
        Missed::Entries(entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u32) -> Event {
        Event::new("message", &serde_json::json!({ "n": n }), Audience::Org { except: None })
    }

    fn missed(log: &EventLog, since: u64) -> Option<Vec<u64>> {
        match log.missed(log.epoch(), since, u64::MAX) {
            Missed::Entries(entries) => Some(entries.iter().map(|entry| entry.seq).collect()),
            Missed::Unknown => None,
        }
    }

    #[test]
    fn frames_are_whole_json_objects_with_their_number() {
        let mut log = EventLog::new(LogLimits { events: 2, bytes: 10_000 });
        let frame = log.append(event(7));
        let value: serde_json::Value = serde_json::from_str(frame.text()).unwrap();
        assert_eq!(value["type"], "message");
        assert_eq!((value["n"].as_u64(), value["seq"].as_u64()), (Some(7), Some(1)));
        assert_eq!(value["epoch"], log.epoch());
    }

    #[test]
    fn who_left_is_told_of_that_and_of_what_came_before_only_when_back() {
        let (bot, topic) = (BotId::random(), Uuid::new_v4());
        let bots: Arc<[BotId]> = Arc::from([bot]);
        let of_thread = |kind| {
            let audience = Audience::Members { bots: bots.clone(), topic };
            Event::new(kind, &serde_json::json!({ "n": 1 }), audience)
        };
        let heard = |places: &[Place]| {
            let mut log = EventLog::new(LogLimits { events: 100, bytes: 10_000 });
            log.append(of_thread("thread_message"));
            for place in places {
                log.append(of_thread("thread_participant").placing(bot, *place));
                log.append(event(1));
            }
            let Missed::Entries(entries) = log.missed(log.epoch(), 0, u64::MAX) else { panic!("all are in the log") };
            let left = departures(&entries, bot);
            entries.iter().filter(|entry| !entry.is_lost(&left, bot)).map(|entry| entry.seq).collect::<Vec<_>>()
        };
        assert_eq!(heard(&[Place::Out]), [2, 3]);
        assert_eq!(heard(&[Place::Out, Place::In]), [1, 2, 3, 4, 5]);
        assert_eq!(heard(&[Place::Out, Place::In, Place::Out]), [2, 3, 4, 5, 6, 7]);
        assert_eq!(heard(&[Place::Same]), [1, 2, 3]);
    }

    #[test]
    fn what_two_events_tell_can_be_told_by_one() {
        let renamed = |old: &str, new: &str| {
            let fields = serde_json::json!({ "old_name": old, "new_name": new });
            Event::new("bot_renamed", &fields, Audience::Org { except: None })
        };
        let mut second = renamed("b", "c");
        second.take_over(&renamed("a", "b"));
        assert_eq!(second.whole(), renamed("a", "c").whole());
    }

    #[test]
    fn the_log_tells_the_truth_about_what_it_holds() {
        let mut log = EventLog::new(LogLimits { events: 3, bytes: 10_000 });
        assert_eq!(missed(&log, 0), Some(vec![]));
        assert_eq!(missed(&log, 1), None, "ahead of the head");
        for n in 0..5 {
            log.append(event(n));
        }
        assert_eq!(missed(&log, 5), Some(vec![]));
        assert_eq!(missed(&log, 3), Some(vec![4, 5]));
        assert_eq!(missed(&log, 2), Some(vec![3, 4, 5]), "exactly the size of the log");
        assert_eq!(missed(&log, 1), None, "too old");
        assert!(matches!(log.missed("another", 4, 9), Missed::Unknown));
    }
}
