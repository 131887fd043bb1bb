//! What the hub keeps in memory of an organisation in use, shared by everybody who serves it.
//!
//! The state mirrors committed rows: it changes only in the completion of the commit that changed the database, so its
//! order is the order of commits. The session directory and the event log live here too; numbering an event and
//! handing it to the outboxes happens under the log's lock, which is what makes `seq` monotone on every socket.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::event::{Audience, Event, EventLog, LogEntry, LogLimits, Missed};
use super::org::OrgActor;
use super::outbox::{CloseNotice, Outbox, Peer};
use super::thread::ThreadActor;
use crate::domain::ids::{BotId, OrgId, ThreadId};
use crate::domain::policy::PermissionPolicy;
use crate::domain::ratelimit::SlidingWindow;
use crate::domain::settings::OrgSettings;
use crate::domain::webhook;
use crate::metrics::Metrics;
use crate::store::rows::{BotRow, OrgRow};

/// A bot as of the newest commit; replaced as a whole when it changes.
#[derive(Debug)]
pub struct Bot {
    /// Identity.
    pub id: BotId,
    /// Name, for events and lists.
    pub name: Arc<str>,
    /// Name in lower case, for mentions.
    pub name_lower: String,
    /// The stored row.
    pub row: BotRow,
    /// Newest request or socket event in ms; ahead of the row until it is flushed.
    pub last_seen: Arc<AtomicI64>,
    /// Events its webhook wants; `None` is all.
    wanted: Option<Vec<String>>,
}

impl Bot {
    fn new(row: BotRow, last_seen: Option<Arc<AtomicI64>>) -> Option<Arc<Self>> {
        let id = BotId::parse(&row.id)?;
        let last_seen = last_seen.unwrap_or_else(|| Arc::new(AtomicI64::new(row.last_seen_at.unwrap_or(0))));
        Some(Arc::new(Self {
            id,
            name: Arc::from(row.name.as_str()),
            name_lower: row.name.to_lowercase(),
            wanted: webhook::stored_filter(row.webhook_events.as_deref()),
            row,
            last_seen,
        }))
    }

    /// True when the bot may act.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.row.join_status == "active"
    }

    /// True for an active bot with the admin role.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.row.auth_role == "admin" && self.is_active()
    }

    /// True when it is told of events of this kind by webhook.
    #[must_use]
    pub fn has_webhook_for(&self, kind: &str) -> bool {
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|event| event == kind));
        self.row.webhook_url.is_some() && self.is_active() && is_wanted
    }

    /// When the bot was last seen, in ms.
    #[must_use]
    pub fn last_seen_at(&self) -> Option<i64> {
        Some(self.last_seen.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// The bots of an organisation by id and by exact name.
#[derive(Default)]
struct BotBook {
    by_id: HashMap<BotId, Arc<Bot>>,
    by_name: HashMap<Arc<str>, BotId>,
    /// How many have a webhook: most organisations have none and then no event needs a look at its audience.
    webhooks: usize,
}

/// The live sockets of an organisation.
#[derive(Default)]
struct Sessions {
    by_bot: HashMap<BotId, Vec<Arc<Outbox>>>,
    admins: Vec<Arc<Outbox>>,
    topics: HashMap<Uuid, Vec<Arc<Outbox>>>,
}

/// Rate windows of one bot.
#[derive(Default)]
pub struct Windows {
    /// Messages of the last minute.
    pub messages: SlidingWindow,
    /// Threads created in the last hour.
    pub threads: SlidingWindow,
}

/// An organisation in use.
pub struct OrgState {
    /// Identity.
    pub id: OrgId,
    row: RwLock<Arc<OrgRow>>,
    settings: RwLock<Arc<OrgSettings>>,
    default_policy: RwLock<Option<Arc<PermissionPolicy>>>,
    bots: RwLock<BotBook>,
    sessions: RwLock<Sessions>,
    log: Mutex<EventLog>,
    /// Thread actors in use.
    pub threads: DashMap<ThreadId, actix::Addr<ThreadActor>>,
    /// The organisation's own actor, set once it is started.
    pub actor: RwLock<Option<actix::Addr<OrgActor>>>,
    /// Rate windows by bot.
    pub windows: DashMap<BotId, Windows>,
    /// Threads whose stored `last_activity_at` lags behind, with the true value.
    pub thread_activity: DashMap<ThreadId, i64>,
    /// Channels whose stored `last_activity_at` lags behind.
    pub channel_activity: DashMap<crate::domain::ids::ChannelId, i64>,
    metrics: Arc<Metrics>,
    /// Set when the organisation is destroyed: this state must not be used any more.
    gone: OnceLock<()>,
}

impl OrgState {
    /// The state of an organisation just read from the store: its row, settings and bots.
    #[must_use]
    pub fn new(id: OrgId, stored: (OrgRow, OrgSettings, Vec<BotRow>), log: LogLimits, metrics: Arc<Metrics>) -> Self {
        let (row, settings, bots) = stored;
        let state = Self {
            id,
            row: RwLock::new(Arc::new(row)),
            settings: RwLock::new(Arc::new(OrgSettings::default())),
            default_policy: RwLock::new(None),
            bots: RwLock::new(BotBook::default()),
            sessions: RwLock::new(Sessions::default()),
            log: Mutex::new(EventLog::new(log)),
            threads: DashMap::new(),
            actor: RwLock::new(None),
            windows: DashMap::new(),
            thread_activity: DashMap::new(),
            channel_activity: DashMap::new(),
            metrics,
            gone: OnceLock::new(),
        };
        state.set_settings(settings);
        for bot in bots {
            state.put_bot(bot);
        }
        state
    }

    /// The organisation's row.
    #[must_use]
    pub fn row(&self) -> Arc<OrgRow> {
        self.row.read().clone()
    }

    /// Replaces the organisation's row.
    pub fn set_row(&self, row: OrgRow) {
        *self.row.write() = Arc::new(row);
    }

    /// True while the organisation may be used.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.gone.get().is_none() && self.row.read().status == "active"
    }

    /// True once the organisation has been destroyed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.get().is_some()
    }

    /// Marks the organisation as destroyed.
    pub fn set_gone(&self) {
        // Destroying twice is the same as once.
        let _ = self.gone.set(());
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<OrgSettings> {
        self.settings.read().clone()
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: OrgSettings) {
        let policy = settings.default_thread_permission_policy.clone();
        *self.default_policy.write() = policy.map(Arc::new);
        *self.settings.write() = Arc::new(settings);
    }

    /// The organisation's default thread policy, parsed.
    #[must_use]
    pub fn default_policy(&self) -> Option<Arc<PermissionPolicy>> {
        self.default_policy.read().clone()
    }

    // --- bots ---

    /// A bot by id.
    #[must_use]
    pub fn bot(&self, id: BotId) -> Option<Arc<Bot>> {
        self.bots.read().by_id.get(&id).cloned()
    }

    /// A bot by exact name.
    #[must_use]
    pub fn bot_named(&self, name: &str) -> Option<Arc<Bot>> {
        let bots = self.bots.read();
        bots.by_name.get(name).and_then(|id| bots.by_id.get(id)).cloned()
    }

    /// A bot by id or else by exact name: how clients refer to bots.
    #[must_use]
    pub fn find_bot(&self, reference: &str) -> Option<Arc<Bot>> {
        BotId::parse(reference).and_then(|id| self.bot(id)).or_else(|| self.bot_named(reference))
    }

    /// The name of a bot, `"unknown"` when it is gone.
    #[must_use]
    pub fn bot_name(&self, id: Option<BotId>) -> Arc<str> {
        id.and_then(|id| self.bot(id)).map_or_else(|| Arc::from("unknown"), |bot| bot.name.clone())
    }

    /// Every bot, ordered by name.
    #[must_use]
    pub fn all_bots(&self) -> Vec<Arc<Bot>> {
        let mut bots: Vec<_> = self.bots.read().by_id.values().cloned().collect();
        bots.sort_by(|a, b| a.name.cmp(&b.name));
        bots
    }

    /// Ids of the active admin bots.
    #[must_use]
    pub fn admin_bots(&self) -> Arc<[BotId]> {
        self.bots.read().by_id.values().filter(|bot| bot.is_admin()).map(|bot| bot.id).collect()
    }

    /// Names the bots that are told of these events by webhook, event by event.
    pub fn webhook_targets<'e>(&self, events: &'e [Event]) -> Vec<(&'e Event, BotId)> {
        let bots = self.bots.read();
        if bots.webhooks == 0 {
            return Vec::new();
        }
        let targets = events.iter().flat_map(|event| event.webhook_audience().map(move |id| (event, id)));
        let wants =
            |(event, id): &(&Event, BotId)| bots.by_id.get(id).is_some_and(|bot| bot.has_webhook_for(event.kind));
        targets.filter(wants).collect()
    }

    /// Inserts or replaces a bot.
    pub fn put_bot(&self, row: BotRow) {
        let mut bots = self.bots.write();
        let old = BotId::parse(&row.id).and_then(|id| bots.by_id.get(&id).cloned());
        let Some(bot) = Bot::new(row, old.as_ref().map(|bot| bot.last_seen.clone())) else {
            return log::error!(org:% = self.id; "a bot row has an unusable id");
        };
        if let Some(old) = old {
            bots.by_name.remove(&old.name);
            bots.webhooks -= usize::from(old.row.webhook_url.is_some());
        }
        bots.webhooks += usize::from(bot.row.webhook_url.is_some());
        bots.by_name.insert(bot.name.clone(), bot.id);
        bots.by_id.insert(bot.id, bot);
    }

    /// Changes a bot's row in place.
    pub fn change_bot(&self, id: BotId, change: impl FnOnce(&mut BotRow)) {
        if let Some(bot) = self.bot(id) {
            let mut row = bot.row.clone();
            change(&mut row);
            self.put_bot(row);
        }
    }

    /// Removes a bot.
    pub fn remove_bot(&self, id: BotId) {
        let mut bots = self.bots.write();
        if let Some(bot) = bots.by_id.remove(&id) {
            bots.by_name.remove(&bot.name);
            bots.webhooks -= usize::from(bot.row.webhook_url.is_some());
        }
        drop(bots);
        self.windows.remove(&id);
    }

    // --- sockets ---

    /// Adds a live socket; returns true when it is the first token socket of its bot.
    pub fn add_socket(&self, outbox: &Arc<Outbox>) -> bool {
        let mut sessions = self.sessions.write();
        let Some(bot) = outbox.info.bot else {
            sessions.admins.push(outbox.clone());
            return false;
        };
        let sockets = sessions.by_bot.entry(bot).or_default();
        let is_first = is_token(outbox) && !sockets.iter().any(is_token);
        sockets.push(outbox.clone());
        is_first
    }

    /// Forgets a socket and its subscriptions; returns true when it was the last token socket of its bot.
    pub fn remove_socket(&self, outbox: &Arc<Outbox>) -> bool {
        let mut sessions = self.sessions.write();
        let Some(bot) = outbox.info.bot else {
            sessions.admins.retain(|other| !Arc::ptr_eq(other, outbox));
            sessions.topics.retain(|_, sockets| {
                sockets.retain(|other| !Arc::ptr_eq(other, outbox));
                !sockets.is_empty()
            });
            return false;
        };
        let Some(sockets) = sessions.by_bot.get_mut(&bot) else {
            return false;
        };
        let before = sockets.len();
        sockets.retain(|other| !Arc::ptr_eq(other, outbox));
        let removed = sockets.len() < before;
        let is_last = removed && is_token(outbox) && !sockets.iter().any(is_token);
        if sockets.is_empty() {
            sessions.by_bot.remove(&bot);
        }
        is_last
    }

    /// Lets an admin socket hear the events of a channel or thread. Twice is once.
    pub fn subscribe(&self, outbox: &Arc<Outbox>, topic: Uuid) {
        let mut sessions = self.sessions.write();
        let sockets = sessions.topics.entry(topic).or_default();
        if !sockets.iter().any(|other| Arc::ptr_eq(other, outbox)) {
            sockets.push(outbox.clone());
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, outbox: &Arc<Outbox>, topic: Uuid) {
        let mut sessions = self.sessions.write();
        if let Some(sockets) = sessions.topics.get_mut(&topic) {
            sockets.retain(|other| !Arc::ptr_eq(other, outbox));
            if sockets.is_empty() {
                sessions.topics.remove(&topic);
            }
        }
    }

    /// True while the bot has a socket opened with a token.
    #[must_use]
    pub fn is_online(&self, bot: BotId) -> bool {
        self.sessions.read().by_bot.get(&bot).is_some_and(|sockets| sockets.iter().any(is_token))
    }

    /// Live sockets of one bot.
    #[must_use]
    pub fn socket_count(&self, bot: BotId) -> usize {
        self.sessions.read().by_bot.get(&bot).map_or(0, Vec::len)
    }

    /// Live sockets of all bots and admins together.
    #[must_use]
    pub fn socket_total(&self) -> usize {
        let sessions = self.sessions.read();
        sessions.admins.len() + sessions.by_bot.values().map(Vec::len).sum::<usize>()
    }

    /// Every live socket.
    #[must_use]
    pub fn sockets(&self) -> Vec<Arc<Outbox>> {
        let sessions = self.sessions.read();
        sessions.by_bot.values().flatten().chain(&sessions.admins).cloned().collect()
    }

    /// Closes the sockets that `chosen` picks; returns how many.
    pub fn close_sockets(&self, notice: &CloseNotice, chosen: impl Fn(&Outbox) -> bool) -> usize {
        let sockets = self.sockets();
        let mut closed = 0;
        for outbox in sockets.iter().filter(|outbox| chosen(outbox)) {
            outbox.close(notice.clone());
            closed += 1;
        }
        super::outbox::wake_pending();
        closed
    }

    // --- events ---

    /// Numbers the events and queues them for everybody who may hear them. The caller wakes the sockets.
    pub fn deliver(&self, events: impl IntoIterator<Item = Event>) {
        let started = Instant::now();
        let mut log = self.log.lock();
        for event in events {
            self.metrics.event(event.kind);
            let audience = event.audience.clone();
            let frame = log.append(event);
            let sessions = self.sessions.read();
            let slow = sessions.each(&audience, |outbox| outbox.push(frame.clone()));
            self.metrics.slow_sockets(slow);
        }
        drop(log);
        self.metrics.fanned_out(started.elapsed());
    }

    /// [`Self::deliver`], then wakes the sockets.
    pub fn publish(&self, events: impl IntoIterator<Item = Event>) {
        self.deliver(events);
        super::outbox::wake_pending();
    }

    /// The log's epoch and head.
    #[must_use]
    pub fn log_position(&self) -> (String, u64) {
        let log = self.log.lock();
        (log.epoch().to_owned(), log.head())
    }

    /// Registers a socket and reads what it missed in one step under the log's lock, so that nothing published
    /// meanwhile falls between the two. `answer` gets the missed entries this socket may hear and the head.
    pub fn join<T>(&self, resume: Option<(&str, u64)>, join: impl FnOnce(Option<Missed>, &EventLog) -> T) -> T {
        let log = self.log.lock();
        let missed = resume.map(|(epoch, since)| log.missed(epoch, since, log.head()));
        join(missed, &log)
    }

    /// Whether `outbox` belongs to an event's audience; membership is the one recorded with the event.
    #[must_use]
    pub fn may_hear(&self, outbox: &Outbox, entry: &LogEntry) -> bool {
        match (&entry.audience, outbox.info.bot) {
            (Audience::Members { bots, .. }, Some(bot))
            | (Audience::MembersAndAdmins(bots) | Audience::Admins(bots), Some(bot)) => bots.contains(&bot),
            (Audience::Org { except }, bot) => bot.is_none() || *except != bot,
            (Audience::Members { topic, .. }, None) => {
                let sessions = self.sessions.read();
                sessions
                    .topics
                    .get(topic)
                    .is_some_and(|sockets| sockets.iter().any(|other| std::ptr::eq(&**other, outbox)))
            }
            (Audience::MembersAndAdmins(_) | Audience::Admins(_), None) => true,
        }
    }
}

fn is_token(outbox: &Arc<Outbox>) -> bool {
    matches!(outbox.info.peer, Peer::Token(_))
}

impl Sessions {
    /// Calls `push` for every socket of the audience that hears events; counts the calls that answered true.
    fn each(&self, audience: &Audience, mut push: impl FnMut(&Arc<Outbox>) -> bool) -> u64 {
        let mut count = 0;
        let mut visit = |outbox: &Arc<Outbox>| {
            if outbox.info.hears_events && push(outbox) {
                count += 1;
            }
        };
        match audience {
            Audience::Members { bots, topic } => {
                self.of_bots(bots).for_each(&mut visit);
                self.topics.get(topic).into_iter().flatten().for_each(&mut visit);
            }
            Audience::MembersAndAdmins(bots) | Audience::Admins(bots) => {
                self.of_bots(bots).for_each(&mut visit);
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

    fn of_bots(&self, bots: &[BotId]) -> impl Iterator<Item = &Arc<Outbox>> {
        bots.iter().filter_map(|bot| self.by_bot.get(bot)).flatten()
    }
}
