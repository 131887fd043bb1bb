//! What the hub keeps in memory of an organisation in use, shared by everybody who serves it.
//!
//! The state mirrors committed rows: it changes only in the completion of the commit that changed the database, so its
//! order is the order of commits. The directory of sockets and the event log live here too; numbering an event and
//! handing it to the outboxes happens under the log's lock, which is what makes `seq` monotone on every socket. Sockets
//! enter and leave the directory under it as well, so what is told of presence has the order in which it happened.

mod reading;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::budgets::Budgets;
use super::directory::Directory;
use super::event::{Audience, Event, EventLog, LogLimits, Missed};
use super::org::OrgActor;
use super::outbox::{CloseNotice, Outbox};
use super::presence::{self, Change, Waiting};
use super::thread::ThreadActor;
use crate::domain::ids::{BotId, OrgId, ThreadId, resembles_id};
use crate::domain::policy::PermissionPolicy;
use crate::domain::scope;
use crate::domain::settings::OrgSettings;
use crate::domain::webhook;
use crate::metrics::Metrics;
use crate::store::Load;
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

/// Bounds of what an organisation's sockets are told.
#[derive(Debug, Clone, Copy)]
pub struct FeedLimits {
    /// Of the event log.
    pub log: LogLimits,
    /// Presence told per second; see [`Waiting`].
    pub presence_per_second: u64,
}

/// What was told to the sockets, and what of presence is still to be told: one lock for both.
struct Feed {
    log: EventLog,
    waiting: Waiting,
}

/// An organisation in use.
pub struct OrgState {
    /// Identity.
    pub id: OrgId,
    row: RwLock<Arc<OrgRow>>,
    settings: RwLock<Arc<OrgSettings>>,
    default_policy: RwLock<Option<Arc<PermissionPolicy>>>,
    bots: RwLock<BotBook>,
    directory: RwLock<Directory>,
    feed: Mutex<Feed>,
    /// Thread actors in use.
    pub threads: DashMap<ThreadId, actix::Addr<ThreadActor>>,
    /// The organisation's own actor, set once it is started.
    pub actor: RwLock<Option<actix::Addr<OrgActor>>>,
    /// What it and its members have used of their rates.
    pub budgets: Budgets,
    /// Its commits that wait for a writer.
    pub load: Load,
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
    pub fn new(
        id: OrgId,
        stored: (OrgRow, OrgSettings, Vec<BotRow>),
        limits: FeedLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (row, settings, bots) = stored;
        let state = Self {
            id,
            row: RwLock::new(Arc::new(row)),
            settings: RwLock::new(Arc::new(OrgSettings::default())),
            default_policy: RwLock::new(None),
            bots: RwLock::new(BotBook::default()),
            directory: RwLock::new(Directory::default()),
            feed: Mutex::new(Feed {
                log: EventLog::new(limits.log),
                waiting: Waiting::new(limits.presence_per_second),
            }),
            threads: DashMap::new(),
            actor: RwLock::new(None),
            budgets: Budgets::default(),
            load: Load::default(),
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
        self.budgets.follow(&settings);
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

    /// A bot by exact name. What has the form of an id is no name, also where a bot of before is called so: nobody gets
    /// what was meant for another.
    #[must_use]
    pub fn bot_named(&self, name: &str) -> Option<Arc<Bot>> {
        if resembles_id(name) {
            return None;
        }
        let bots = self.bots.read();
        bots.by_name.get(name).and_then(|id| bots.by_id.get(id)).cloned()
    }

    /// A bot by id or else by exact name: how clients refer to bots.
    #[must_use]
    pub fn find_bot(&self, reference: &str) -> Option<Arc<Bot>> {
        match BotId::parse(reference) {
            Some(id) => self.bot(id),
            None => self.bot_named(reference),
        }
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

    /// How many bots there are.
    #[must_use]
    pub fn bot_count(&self) -> usize {
        self.bots.read().by_id.len()
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
        self.budgets.forget(id.uuid());
    }

    // --- sockets ---

    /// Registers a socket and hands `queue_missed` what it missed in one step under the log's lock, so that nothing
    /// published meanwhile falls between the two. The first socket of a bot makes it online, which is told or waits;
    /// returns true when presence waits. The caller wakes the sockets.
    pub fn join(
        &self,
        outbox: &Arc<Outbox>,
        resume: Option<(&str, u64)>,
        queue_missed: impl FnOnce(Missed, &EventLog),
    ) -> bool {
        let mut feed = self.feed.lock();
        if let Some((epoch, since)) = resume {
            queue_missed(feed.log.missed(epoch, since, feed.log.head()), &feed.log);
        }
        let came = self.directory.write().add(outbox);
        self.note(&mut feed, came.map(|bot| Change::now(bot, true)))
    }

    /// Forgets a socket and its subscriptions. The last one of a bot makes it offline; otherwise as [`Self::join`].
    pub fn part(&self, outbox: &Arc<Outbox>) -> bool {
        let mut feed = self.feed.lock();
        let went = self.directory.write().remove(outbox);
        self.note(&mut feed, went.map(|bot| Change::now(bot, false)))
    }

    /// Tells a change of presence at once, or keeps it for later when that would be too much.
    fn note(&self, feed: &mut Feed, change: Option<Change>) -> bool {
        if let Some(change) = change {
            let sockets = self.directory.read().count();
            if feed.waiting.is_calm(sockets, change.at) {
                let cost = self.tell(feed, &[change]);
                feed.waiting.pay(cost, change.at);
            } else {
                feed.waiting.add(change);
            }
        }
        feed.waiting.count() > 0
    }

    /// Tells some of the changes of presence that wait, unless the sockets have not yet taken what they were told
    /// before; returns what that cost.
    pub fn tell_waiting(&self) -> u64 {
        let mut feed = self.feed.lock();
        let Some(sockets) = self.directory.read().ready() else {
            return 0;
        };
        let now = Instant::now();
        let changes = feed.waiting.take(sockets, now);
        let cost = self.tell(&mut feed, &changes);
        feed.waiting.pay(cost, now);
        drop(feed);
        super::outbox::wake_pending();
        cost
    }

    /// Changes of presence that wait to be told.
    #[must_use]
    pub fn presence_waiting(&self) -> usize {
        self.feed.lock().waiting.count()
    }

    /// Numbers changes of presence and queues them, oldest first, in one pass over the sockets. Nobody is told of
    /// their own bot, of a bot that is gone, or of what was so before they came. Returns what it cost, in deliveries.
    fn tell(&self, feed: &mut Feed, changes: &[Change]) -> u64 {
        let started = Instant::now();
        let known = changes.iter().filter_map(|change| Some((change, self.bot(change.bot)?)));
        let told: Vec<_> = known
            .map(|(change, bot)| {
                let event = presence::event(&bot, change.is_online);
                self.metrics.event(event.kind);
                (change, feed.log.append(event))
            })
            .collect();
        if told.is_empty() {
            return 0;
        }
        let (mut deliveries, mut woken) = (0, 0);
        let need = scope::of_event("bot_online");
        let slow = self.directory.read().each(&Audience::Org { except: None }, need, |outbox| {
            let old = told.partition_point(|(change, _)| outbox.came_after(change.at));
            let others = told.iter().skip(old).filter(|(change, _)| outbox.info.bot != Some(change.bot));
            let before = deliveries;
            let is_slow = outbox.push_all(others.map(|(_, frame)| frame.clone()).inspect(|_| deliveries += 1));
            woken += u64::from(deliveries > before);
            is_slow
        });
        self.metrics.slow_sockets(slow);
        self.metrics.fanned_out(started.elapsed());
        deliveries + woken * presence::WAKING
    }

    /// Lets an admin socket hear the events of a channel or thread. Twice is once.
    pub fn subscribe(&self, outbox: &Arc<Outbox>, topic: Uuid) {
        self.directory.write().subscribe(outbox, topic);
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, outbox: &Arc<Outbox>, topic: Uuid) {
        self.directory.write().unsubscribe(outbox, topic);
    }

    /// True while the bot has a socket opened with a token.
    #[must_use]
    pub fn is_online(&self, bot: BotId) -> bool {
        self.directory.read().is_online(bot)
    }

    /// Live sockets of one bot.
    #[must_use]
    pub fn socket_count(&self, bot: BotId) -> usize {
        self.directory.read().count_of(bot)
    }

    /// Live sockets of all bots and admins together.
    #[must_use]
    pub fn socket_total(&self) -> usize {
        self.directory.read().count()
    }

    /// Every live socket.
    #[must_use]
    pub fn sockets(&self) -> Vec<Arc<Outbox>> {
        self.directory.read().all().cloned().collect()
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
        let mut feed = self.feed.lock();
        for event in events {
            self.metrics.event(event.kind);
            let (audience, need) = (event.audience.clone(), event.need);
            let frame = feed.log.append(event);
            let slow = self.directory.read().each(&audience, need, |outbox| outbox.push(frame.clone()));
            self.metrics.slow_sockets(slow);
        }
        drop(feed);
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
        let feed = self.feed.lock();
        (feed.log.epoch().to_owned(), feed.log.head())
    }
}
