//! Delayed changes of bots, and the budget that decides when to delay them.
//!
//! Changes of a bot's presence, registration, name and status are published to its whole organisation. If all bots of a
//! large organisation reconnect, each is announced to all others, which grows with the square of their number. So these
//! events have a budget per second; within it a change is published immediately, and beyond it changes wait here and
//! are published later, many in one pass over the sockets, since waking a socket costs more than one event. Of each bot
//! only the newest change of a kind waits, because only its current state matters. A bot that changes continually is
//! delayed on its own before the others are.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::fanout::event::Event;
use hxa_domain::ids::BotId;

/// Something has changed about a bot.
#[derive(Debug, Clone)]
pub struct BotChange {
    /// Which.
    pub bot: BotId,
    /// What.
    pub what: What,
    /// When. Who came later has found it so in the list of bots.
    pub at: Instant,
}

/// What has changed.
#[derive(Debug, Clone)]
pub enum What {
    /// Whether it is online.
    Online(bool),
    /// What the event says.
    Told(Event),
    /// It is gone for good, as the event says.
    Gone(Event),
}

impl BotChange {
    /// A change that happens just now.
    #[must_use]
    pub fn now(bot: BotId, what: What) -> Self {
        Self { bot, what, at: Instant::now() }
    }

    /// Of changes with the same key only the newest matters.
    fn key(&self) -> Key {
        let kind = match &self.what {
            What::Online(_) | What::Gone(_) => "",
            What::Told(event) => event.kind,
        };
        (self.bot, kind)
    }

    /// Takes the place of one that nobody was told of.
    fn replace(&mut self, earlier: &Self) {
        if let (What::Told(event), What::Told(earlier)) = (&mut self.what, &earlier.what) {
            event.take_over(earlier);
        }
    }
}

/// A bot and a kind of change; presence is the kind without a name.
type Key = (BotId, &'static str);

/// Waking one socket costs about as much as this many more events for it.
pub const WAKING: u64 = 8;
/// Most changes in one pass. A socket's buffers grow with what it has to write at once, and keep their size.
const MOST: u64 = 32;

/// Deliveries that may be made per second; what is not used is kept for a second.
pub struct Budget {
    per_second: u64,
    /// What was paid is used up by then.
    used_until: Instant,
}

impl Budget {
    const KEPT: Duration = Duration::from_secs(1);

    /// A full budget of this many deliveries per second.
    #[must_use]
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), used_until: Instant::now() }
    }

    /// True while something is left. Who finds it so may spend more than that, and the next one waits.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        self.used_until.saturating_duration_since(now) < Self::KEPT
    }

    fn covers(&self, cost: u64, now: Instant) -> bool {
        self.used_until.saturating_duration_since(now) + self.time(cost) <= Self::KEPT
    }

    /// Takes this many deliveries out of the budget.
    pub fn pay(&mut self, cost: u64, now: Instant) {
        self.used_until = self.used_until.max(now) + self.time(cost);
    }

    /// How long it takes until this much may be spent again.
    fn time(&self, cost: u64) -> Duration {
        Duration::from_micros(cost.saturating_mul(1_000_000) / self.per_second)
    }
}

/// How often each bot's changes are published, apart from its presence.
struct Paces {
    at_once: Duration,
    /// What each has used up, until when; those not named have used nothing.
    used_until: HashMap<BotId, Instant>,
}

impl Paces {
    /// One more change of a bot may be told after this time; what may be told at once is counted in it.
    const EACH: Duration = Duration::from_secs(1);
    /// So many are looked through for those that have passed.
    const MANY: usize = 1024;

    fn is_open(&self, bot: BotId, now: Instant) -> bool {
        let used = self.used_until.get(&bot).map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        used + Self::EACH <= self.at_once
    }

    fn pay(&mut self, bot: BotId, now: Instant) {
        if self.used_until.len() >= Self::MANY && !self.used_until.contains_key(&bot) {
            self.used_until.retain(|_, until| *until > now);
        }
        let until = self.used_until.entry(bot).or_insert(now);
        *until = (*until).max(now) + Self::EACH;
    }
}

/// Changes in the order in which they happened, one of each key.
#[derive(Default)]
struct Line {
    changes: BTreeMap<u64, BotChange>,
    places: HashMap<Key, u64>,
    /// How many of each bot there are.
    bots: HashMap<BotId, usize>,
    next: u64,
}

impl Line {
    /// Puts a change behind all others and in place of one with its key.
    fn push(&mut self, mut change: BotChange) {
        if let Some(earlier) = self.remove(change.key()) {
            change.replace(&earlier);
        }
        self.places.insert(change.key(), self.next);
        *self.bots.entry(change.bot).or_default() += 1;
        self.changes.insert(self.next, change);
        self.next += 1;
    }

    fn remove(&mut self, key: Key) -> Option<BotChange> {
        let change = self.places.remove(&key).and_then(|place| self.changes.remove(&place))?;
        if let Some(count) = self.bots.get_mut(&key.0) {
            *count -= 1;
            if *count == 0 {
                self.bots.remove(&key.0);
            }
        }
        if self.changes.is_empty() {
            // The memory of a storm must not stay.
            *self = Self { next: self.next, ..Self::default() };
        }
        Some(change)
    }

    /// Forgets everything about a bot.
    fn forget(&mut self, bot: BotId) {
        if self.bots.contains_key(&bot) {
            let keys: Vec<Key> = self.places.keys().filter(|(other, _)| *other == bot).copied().collect();
            keys.into_iter().for_each(|key| drop(self.remove(key)));
        }
    }

    /// The oldest change, taken out.
    fn pop(&mut self) -> Option<BotChange> {
        let key = self.changes.first_key_value()?.1.key();
        self.remove(key)
    }
}

/// The changes that wait; see the module.
pub struct Waiting {
    budget: Budget,
    paces: Paces,
    /// What waits for the budget.
    ready: Line,
    /// What waits for its bot's pace.
    paced: Line,
}

impl Waiting {
    /// Empty, with this budget of deliveries per second and this many immediate changes per bot.
    #[must_use]
    pub fn new(per_second: u64, at_once: u64) -> Self {
        let paces = Paces { at_once: Duration::from_secs(at_once.max(1)), used_until: HashMap::new() };
        Self { budget: Budget::new(per_second), paces, ready: Line::default(), paced: Line::default() }
    }

    /// How many changes wait: one of each kind for each bot at most.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ready.changes.len() + self.paced.changes.len()
    }

    /// True when a change may be told to so many sockets at once: nothing is before it, and its bot's pace and the budget
    /// cover it.
    #[must_use]
    pub fn is_calm(&self, change: &BotChange, sockets: usize) -> bool {
        let sockets = u64::try_from(sockets).unwrap_or(u64::MAX);
        self.ready.changes.is_empty()
            && self.is_in_pace(change)
            && self.budget.covers(sockets.saturating_mul(1 + WAKING), change.at)
    }

    fn is_in_pace(&self, change: &BotChange) -> bool {
        match change.what {
            What::Online(_) => true,
            What::Gone(_) => !self.paced.bots.contains_key(&change.bot),
            What::Told(_) => !self.paced.bots.contains_key(&change.bot) && self.paces.is_open(change.bot, change.at),
        }
    }

    /// Records that a change is published immediately.
    pub fn pass(&mut self, change: &BotChange) {
        if matches!(change.what, What::Told(_)) {
            self.paces.pay(change.bot, change.at);
        }
    }

    /// Pays for a pass over the sockets.
    pub fn pay(&mut self, cost: u64, now: Instant) {
        self.budget.pay(cost, now);
    }

    /// Keeps a change, behind all others and in place of what waits of the same bot and kind.
    ///
    /// A bot that came and went is published as offline: a client may have read the list of bots in between.
    pub fn add(&mut self, change: BotChange) {
        if matches!(change.what, What::Gone(_)) {
            self.ready.forget(change.bot);
            self.paced.forget(change.bot);
        }
        if self.ready.places.contains_key(&change.key()) {
            self.ready.push(change);
        } else if self.is_in_pace(&change) {
            self.pass(&change);
            self.ready.push(change);
        } else {
            self.paced.push(change);
        }
    }

    /// Lets those go on whose bot's pace allows it by now.
    fn release(&mut self, now: Instant) {
        if self.paced.changes.is_empty() {
            return;
        }
        let keys: Vec<Key> = self.paced.changes.values().map(BotChange::key).collect();
        for key in keys {
            if self.paces.is_open(key.0, now)
                && let Some(change) = self.paced.remove(key)
            {
                self.paces.pay(key.0, now);
                self.ready.push(change);
            }
        }
    }

    /// Takes out what may be told to so many sockets now, oldest first.
    pub fn take(&mut self, sockets: usize, now: Instant) -> Vec<BotChange> {
        self.release(now);
        let mut taken = Vec::new();
        if !self.budget.is_open(now) {
            return taken;
        }
        // At most what a second's budget is worth, so that the next pass is not far.
        let sockets = u64::try_from(sockets).unwrap_or(u64::MAX).max(1);
        let count = (self.budget.per_second / sockets).saturating_sub(WAKING).clamp(1, MOST);
        for _ in 0..count {
            let Some(change) = self.ready.pop() else { break };
            taken.push(change);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::event::Audience;

    const PER_SECOND: u64 = 10_000;

    fn is_calm(waiting: &Waiting, sockets: usize, at: Instant) -> bool {
        waiting.is_calm(&BotChange { at, ..online(BotId::random(), true) }, sockets)
    }

    fn online(bot: BotId, is_online: bool) -> BotChange {
        BotChange::now(bot, What::Online(is_online))
    }

    fn renamed(bot: BotId, old: &str, new: &str) -> BotChange {
        let fields = serde_json::json!({ "old_name": old, "new_name": new });
        BotChange::now(
            bot,
            What::Told(Event::new("bot_renamed", &fields, Audience::Org { except: None }).telling_of(bot)),
        )
    }

    /// Which bot, and what of it.
    fn said(changes: &[BotChange]) -> Vec<(BotId, String)> {
        let what = |change: &BotChange| match &change.what {
            What::Online(is_online) => is_online.to_string(),
            What::Told(event) | What::Gone(event) => event.whole(),
        };
        changes.iter().map(|change| (change.bot, what(change))).collect()
    }

    fn changes(count: usize) -> Vec<BotChange> {
        (0..count).map(|_| online(BotId::random(), true)).collect()
    }

    /// The cost of a pass of this many changes over this many sockets.
    fn cost(changes: usize, sockets: u64) -> u64 {
        (u64::try_from(changes).unwrap() + WAKING) * sockets
    }

    /// What waits when all of these were added, taken out with as much patience as it needs.
    fn told(changes: &[BotChange]) -> Vec<(BotId, String)> {
        let mut waiting = Waiting::new(PER_SECOND, 2);
        changes.iter().for_each(|change| waiting.add(change.clone()));
        let (mut told, mut now) = (Vec::new(), Instant::now());
        while waiting.count() > 0 {
            let taken = waiting.take(50, now);
            waiting.pay(cost(taken.len(), 50), now);
            told.extend(taken);
            now += Duration::from_millis(100);
        }
        for line in [waiting.ready, waiting.paced] {
            assert!(line.places.is_empty() && line.bots.is_empty());
        }
        said(&told)
    }

    #[test]
    fn everything_is_told_once_in_its_order() {
        let changes = changes(1000);
        assert_eq!(told(&changes), said(&changes));
    }

    #[test]
    fn of_each_bot_the_newest_change_is_told_behind_the_others() {
        let (a, b) = (BotId::random(), BotId::random());
        let (both, gone, back) = ([online(a, true), online(b, true)], online(a, false), online(a, true));
        let expected = |last: &BotChange| said(&[both[1].clone(), last.clone()]);
        assert_eq!(told(&[&both[..], std::slice::from_ref(&gone)].concat()), expected(&gone));
        assert_eq!(told(&[&both[..], &[gone, back.clone()]].concat()), expected(&back));
    }

    #[test]
    fn who_keeps_changing_waits_before_the_others_do() {
        let (a, b) = (BotId::random(), BotId::random());
        let names = ["0", "1", "2", "3", "4", "5", "6"];
        let mut waiting = Waiting::new(1_000_000, 2);
        let start = Instant::now();
        let mut at_once = 0;
        for pair in names.windows(2) {
            let change = renamed(a, pair[0], pair[1]);
            if waiting.is_calm(&change, 10) {
                waiting.pass(&change);
                at_once += 1;
            } else {
                waiting.add(change);
            }
        }
        assert_eq!((at_once, waiting.count()), (2, 1));
        assert!(waiting.is_calm(&renamed(b, "x", "y"), 10) && waiting.is_calm(&online(a, true), 10));
        assert!(waiting.take(10, start).is_empty());
        let later = waiting.take(10, start + Duration::from_millis(1100));
        assert_eq!(said(&later), said(&[renamed(a, "2", "6")]), "four at once");
    }

    #[test]
    fn of_who_is_gone_nothing_else_is_told() {
        let (a, b) = (BotId::random(), BotId::random());
        let gone = BotChange::now(a, What::Gone(Event::new("bot_offline", &"", Audience::Org { except: None })));
        let before: Vec<_> = (0..5).map(|_| renamed(a, "x", "y")).collect();
        let all = [&before[..], &[online(a, true), online(b, true), gone.clone()]].concat();
        assert_eq!(told(&all), said(&[online(b, true), gone]));
    }

    #[test]
    fn calm_lasts_as_long_as_the_budget() {
        let (mut waiting, start) = (Waiting::new(PER_SECOND, 2), Instant::now());
        // Eleven changes for 100 sockets with their waking.
        for _ in 0..11 {
            assert!(is_calm(&waiting, 100, start));
            waiting.pay(cost(1, 100), start);
        }
        assert!(!is_calm(&waiting, 100, start));
        assert!(is_calm(&waiting, 5, start), "a little is left");
        assert!(is_calm(&waiting, 100, start + Duration::from_millis(100)));
        waiting.add(online(BotId::random(), true));
        assert!(!is_calm(&waiting, 1, start + Duration::from_secs(9)), "nobody overtakes what waits");
    }

    #[test]
    fn a_pass_is_paid_for_before_the_next_one() {
        let (mut waiting, start) = (Waiting::new(PER_SECOND, 2), Instant::now());
        changes(1000).into_iter().for_each(|change| waiting.add(change));
        let first = waiting.take(400, start).len();
        assert_eq!(first, 17, "25 deliveries for each, less the waking");
        waiting.pay(cost(first, 400), start);
        assert!(waiting.take(400, start).is_empty());
        assert_eq!(waiting.take(400, start + Duration::from_millis(1)).len(), first);
    }

    #[test]
    fn passes_are_neither_empty_nor_large() {
        let mut waiting = Waiting::new(PER_SECOND, 2);
        changes(1000).into_iter().for_each(|change| waiting.add(change));
        let now = Instant::now();
        assert_eq!(waiting.take(1_000_000, now).len(), 1, "however many sockets there are");
        assert_eq!(waiting.take(0, now).len(), 32, "however few");
    }
}
