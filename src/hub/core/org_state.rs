//! The in-memory state of an active organisation, shared by everything that serves it.
//!
//! The state mirrors committed rows: it changes only in the completion of the commit that changed the database, so its
//! order is the order of commits. Events and sockets belong to the organisation's channel of the broker
//! ([`crate::fanout::broker`]).

mod people;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use parking_lot::RwLock;

use crate::core::budgets::Budgets;
use crate::fanout::broker::{Broker, Channel, Roster};
use crate::fanout::event::Event;
use hxa_domain::ids::{BotId, OrgId, ThreadId, resembles_id};
use hxa_domain::policy::PermissionPolicy;
use hxa_domain::settings::OrgSettings;
use hxa_domain::standing::OrgStatus;
use hxa_domain::webhook;
use hxa_store::Load;
use hxa_store::orgs::StoredOrg;
use hxa_store::rows::{BotRow, OrgRow};
use people::PeopleBook;
pub use people::Person;

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
    fn new(row: BotRow, last_seen: Option<Arc<AtomicI64>>) -> Arc<Self> {
        let last_seen = last_seen.unwrap_or_else(|| Arc::new(AtomicI64::new(row.last_seen_at.unwrap_or(0))));
        Arc::new(Self {
            id: row.id,
            name: Arc::from(row.name.as_str()),
            name_lower: row.name.to_lowercase(),
            wanted: webhook::stored_filter(row.webhook_events.as_deref()),
            row,
            last_seen,
        })
    }

    /// True when the bot may act.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.row.join_status.may_act()
    }

    /// True for an active bot with the admin role.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.row.auth_role.is_admin(self.row.join_status)
    }

    /// True if its webhook receives events of this kind.
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

impl Roster for RwLock<BotBook> {
    fn name(&self, bot: BotId) -> Option<Arc<str>> {
        self.read().by_id.get(&bot).map(|bot| bot.name.clone())
    }

    fn is_admin(&self, bot: BotId) -> bool {
        self.read().by_id.get(&bot).is_some_and(|bot| bot.is_admin())
    }
}

/// An organisation in use.
pub struct OrgState {
    /// Identity.
    pub id: OrgId,
    row: RwLock<Arc<OrgRow>>,
    settings: RwLock<Arc<OrgSettings>>,
    default_policy: RwLock<Option<Arc<PermissionPolicy>>>,
    bots: Arc<RwLock<BotBook>>,
    people: RwLock<PeopleBook>,
    channel: Arc<dyn Channel>,
    /// What it and its members have used of their rates.
    pub budgets: Budgets,
    /// Its commits that wait for a writer.
    pub load: Load,
    /// Threads whose stored `last_activity_at` lags behind, with the true value.
    pub thread_activity: DashMap<ThreadId, i64>,
    /// Channels whose stored `last_activity_at` lags behind.
    pub channel_activity: DashMap<hxa_domain::ids::ChannelId, i64>,
    /// Set when the organisation is destroyed: this state must not be used any more.
    gone: OnceLock<()>,
}

impl OrgState {
    /// The state of an organisation just read from the store.
    #[must_use]
    pub fn new(id: OrgId, stored: StoredOrg, broker: &dyn Broker) -> Self {
        let StoredOrg { row, settings, bots, people } = stored;
        let book: Arc<RwLock<BotBook>> = Arc::default();
        let state = Self {
            id,
            row: RwLock::new(Arc::new(row)),
            settings: RwLock::new(Arc::new(OrgSettings::default())),
            default_policy: RwLock::new(None),
            channel: broker.open(id, book.clone()),
            bots: book,
            people: RwLock::default(),
            budgets: Budgets::default(),
            load: Load::default(),
            thread_activity: DashMap::new(),
            channel_activity: DashMap::new(),
            gone: OnceLock::new(),
        };
        state.set_settings(settings);
        bots.into_iter().for_each(|bot| state.put_bot(bot));
        people.into_iter().for_each(|person| state.put_person(person));
        state
    }

    /// Its events and sockets.
    #[must_use]
    pub fn channel(&self) -> &dyn Channel {
        &*self.channel
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
        self.gone.get().is_none() && self.row.read().status == OrgStatus::Active
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

    /// Ids of the active admin bots, in order.
    #[must_use]
    pub fn admin_bots(&self) -> Arc<[BotId]> {
        let bots = self.bots.read();
        let mut ids: Vec<BotId> = bots.by_id.values().filter(|bot| bot.is_admin()).map(|bot| bot.id).collect();
        ids.sort_unstable();
        ids.into()
    }

    /// The bots whose webhooks receive these events, event by event.
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
        let old = bots.by_id.get(&row.id).cloned();
        let bot = Bot::new(row, old.as_ref().map(|bot| bot.last_seen.clone()));
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
}
