//! The broker: where an organisation's events are numbered and kept, and from where they reach its sockets.
//!
//! [`Broker`] and [`Channel`] are ports; [`local::LocalBroker`] implements them in the memory of this process. What is
//! above them must not assume that there is one process:
//!
//! * [`Channel::publish`] returns nothing. An event may reach the sockets of another process later than those of this one.
//! * Epochs and numbers are compared by the channel alone; callers hand them through.
//! * Sockets to close are named by a [`Selection`], which is data and could be sent to another process.
//! * Who is online, and how many sockets there are, is asked of the channel. Only [`Channel::local_sockets`] is about this
//!   process, for the connections that it holds itself.
//!
//! What an implementation must keep to is in `contract`, a suite that runs against any of them.

#[cfg(test)]
mod contract;
pub mod local;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::fanout::event::{Event, LogEntry};
use crate::fanout::send_queue::{CloseNotice, Peer, SendQueue, SocketInfo};
use hxa_domain::ids::{BotId, OrgId, PersonId, TokenId};

/// Opens the channels of organisations.
pub trait Broker: Send + Sync {
    /// The channel of an organisation that this process begins to use. `roster` knows its bots.
    fn open(&self, org: OrgId, roster: Arc<dyn Roster>) -> Arc<dyn Channel>;

    /// Changes of bots that wait to be published, of all open channels.
    fn changes_waiting(&self) -> usize;

    /// What the broker does by itself for as long as the hub runs.
    fn run(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The events and sockets of one organisation.
///
/// Every socket gets the events that it may hear in the order of their numbers. An event that is published after a socket
/// has joined reaches that socket; one that was published before reaches it by resuming only.
pub trait Channel: Send + Sync {
    /// Numbers the events and queues them for every socket that may hear them. What the whole organisation is told about a
    /// bot ([`Event::subject`]) may wait, and be replaced by what is newer, when there is too much of it.
    fn publish(&self, events: Vec<Event>);

    /// Publishes what happened to a bot whose sockets are about to be closed: the bot itself gets it at once, even if the
    /// others have to wait.
    fn publish_before_closing(&self, bot: BotId, event: Event);

    /// Registers a socket. With a resume point, the answer and what it missed are queued before anything newer can be. The
    /// first socket of a bot that was opened with a token makes it online.
    fn join(&self, socket: &Arc<SendQueue>, resume: Option<&ResumePoint>);

    /// Forgets a socket and its subscriptions. The last one of a bot makes it offline.
    fn part(&self, socket: &Arc<SendQueue>);

    /// What a socket that has joined already missed since a point of the log, as far as it may still read it. From then on
    /// the socket counts as resumed.
    fn resume(&self, socket: &SendQueue, point: &ResumePoint) -> Resumption;

    /// Lets an admin's socket hear the events of a channel or thread. Twice is once.
    fn subscribe(&self, socket: &Arc<SendQueue>, topic: uuid::Uuid);

    /// Ends a subscription.
    fn unsubscribe(&self, socket: &Arc<SendQueue>, topic: uuid::Uuid);

    /// Closes the sockets of a selection, in whichever process they are.
    fn close(&self, notice: &CloseNotice, which: &Selection);

    /// Counts the calls of [`Self::close`] that reached this process. Whoever holds a connection that is no socket looks at
    /// its credential again when the count has changed.
    fn closings(&self) -> u64;

    /// True while the bot has a socket that was opened with a token.
    fn is_online(&self, bot: BotId) -> bool;

    /// Live sockets of one bot.
    fn socket_count(&self, bot: BotId) -> usize;

    /// Live sockets of all bots and admins together.
    fn socket_total(&self) -> usize;

    /// The live sockets that end in this process.
    fn local_sockets(&self) -> Vec<Arc<SendQueue>>;
}

/// What a channel must know of the bots of its organisation.
pub trait Roster: Send + Sync {
    /// The bot's name as of the newest commit; `None` when it is gone.
    fn name(&self, bot: BotId) -> Option<Arc<str>>;

    /// True for an active bot with the admin role.
    fn is_admin(&self, bot: BotId) -> bool;
}

/// Where a reconnecting client left off.
#[derive(Debug, Clone)]
pub struct ResumePoint {
    /// The log it was reading.
    pub epoch: String,
    /// The newest event it has.
    pub since: u64,
}

/// The answer to a resume point.
pub struct Resumption {
    /// What the socket missed, oldest first; `None` when the log cannot tell.
    pub missed: Option<Vec<LogEntry>>,
    /// The log's epoch now.
    pub epoch: String,
    /// Number of the log's newest event.
    pub head: u64,
}

/// Sockets that something is done to.
#[derive(Debug, Clone)]
pub enum Selection {
    /// All of the organisation.
    All,
    /// Those of one bot, its owners' included.
    Bot(BotId),
    /// Those of people with the organisation's secret.
    Admins,
    /// Those of one person of the organisation.
    Person(PersonId),
    /// Those that were opened with credentials which have ended.
    Credentials(Credentials),
}

/// Credentials that sockets are opened with.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The primary token of this bot.
    pub primary_of: Option<BotId>,
    /// Scoped tokens.
    pub tokens: HashSet<TokenId>,
    /// Hashes of people's sessions.
    pub sessions: HashSet<String>,
}

impl Selection {
    /// The sockets of the session of this hash.
    #[must_use]
    pub fn session(hash: &str) -> Self {
        Self::Credentials(Credentials { sessions: HashSet::from([hash.to_owned()]), ..Credentials::default() })
    }

    /// Whether a socket belongs to it.
    #[must_use]
    pub fn includes(&self, socket: &SocketInfo) -> bool {
        match self {
            Self::All => true,
            Self::Bot(bot) => socket.bot == Some(*bot),
            Self::Admins => matches!(socket.peer, Peer::Human { is_admin: true, .. }),
            Self::Person(person) => matches!(&socket.peer, Peer::Person { person: own, .. } if own == person),
            Self::Credentials(ended) => match &socket.peer {
                Peer::Token(None) => socket.bot.is_some() && socket.bot == ended.primary_of,
                Peer::Token(Some(token)) => ended.tokens.contains(token),
                Peer::Human { session, .. } | Peer::Person { session, .. } => ended.sessions.contains(session),
            },
        }
    }
}
