//! Changes of presence that wait because there are too many at once, and the budget that says when it is too much.
//!
//! When the bots of a large organisation all come back, each is to be told of all others: that grows with the square
//! of their number. So presence may cost so much per second; within that a change is told at once, and beyond it the
//! changes wait here and are told later, many in one pass over the sockets, since waking a socket costs more than one
//! event does. Of each bot only the newest change waits: what it is now is all that anybody needs to know.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::domain::ids::BotId;

/// A bot came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub bot: BotId,
    /// What it is since.
    pub is_online: bool,
    /// When. Who came later has found it so in the list of bots.
    pub at: Instant,
}

impl Change {
    /// A change that happens just now.
    #[must_use]
    pub fn now(bot: BotId, is_online: bool) -> Self {
        Self { bot, is_online, at: Instant::now() }
    }
}

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

/// The changes that wait, in the order in which they happened; see the module.
pub struct Waiting {
    budget: Budget,
    changes: BTreeMap<u64, Change>,
    /// The place of each bot's change.
    places: HashMap<BotId, u64>,
    next: u64,
}

impl Waiting {
    /// Nothing waits, and this many deliveries may be made per second.
    #[must_use]
    pub fn new(per_second: u64) -> Self {
        Self { budget: Budget::new(per_second), changes: BTreeMap::new(), places: HashMap::new(), next: 0 }
    }

    /// How many changes wait: one for each bot at most.
    #[must_use]
    pub fn count(&self) -> usize {
        self.changes.len()
    }

    /// True when a change may be told to so many sockets at once: nothing waits, and the budget covers it.
    #[must_use]
    pub fn is_calm(&self, sockets: usize, now: Instant) -> bool {
        let sockets = u64::try_from(sockets).unwrap_or(u64::MAX);
        self.changes.is_empty() && self.budget.covers(sockets.saturating_mul(1 + WAKING), now)
    }

    /// Pays for a pass over the sockets.
    pub fn pay(&mut self, cost: u64, now: Instant) {
        self.budget.pay(cost, now);
    }

    /// Keeps a change, behind all others and in place of what waits of the same bot.
    ///
    /// What came and went is told too, as gone: somebody may have read the list of bots in between.
    pub fn add(&mut self, change: Change) {
        if let Some(place) = self.places.insert(change.bot, self.next) {
            self.changes.remove(&place);
        }
        self.changes.insert(self.next, change);
        self.next += 1;
    }

    /// Takes out what may be told to so many sockets now, oldest first.
    pub fn take(&mut self, sockets: usize, now: Instant) -> Vec<Change> {
        let mut taken = Vec::new();
        if !self.budget.is_open(now) {
            return taken;
        }
        // At most what a second's budget is worth, so that the next pass is not far.
        let sockets = u64::try_from(sockets).unwrap_or(u64::MAX).max(1);
        let count = (self.budget.per_second / sockets).saturating_sub(WAKING).clamp(1, MOST);
        for _ in 0..count {
            let Some((_, change)) = self.changes.pop_first() else { break };
            self.places.remove(&change.bot);
            taken.push(change);
        }
        if self.changes.is_empty() {
            // The memory of a storm must not stay.
            self.places = HashMap::new();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND: u64 = 10_000;

    fn changes(count: usize) -> Vec<Change> {
        (0..count).map(|_| Change::now(BotId::random(), true)).collect()
    }

    /// What a pass of so many changes over so many sockets costs when everybody is told.
    fn cost(changes: usize, sockets: u64) -> u64 {
        (u64::try_from(changes).unwrap() + WAKING) * sockets
    }

    /// What waits when all of these were added, taken out with as much patience as it needs.
    fn told(changes: &[Change]) -> Vec<Change> {
        let mut waiting = Waiting::new(PER_SECOND);
        changes.iter().for_each(|change| waiting.add(*change));
        let (mut told, mut now) = (Vec::new(), Instant::now());
        while waiting.count() > 0 {
            let taken = waiting.take(50, now);
            waiting.pay(cost(taken.len(), 50), now);
            told.extend(taken);
            now += Duration::from_millis(100);
        }
        assert!(waiting.places.is_empty());
        told
    }

    #[test]
    fn everything_is_told_once_in_its_order() {
        let changes = changes(1000);
        assert_eq!(told(&changes), changes);
    }

    #[test]
    fn of_each_bot_the_newest_change_is_told_behind_the_others() {
        let [a, b] = changes(2)[..] else { panic!() };
        let gone = Change::now(a.bot, false);
        assert_eq!(told(&[a, b, gone]), [b, gone]);
        let back = Change::now(a.bot, true);
        assert_eq!(told(&[a, b, gone, back]), [b, back]);
    }

    #[test]
    fn calm_lasts_as_long_as_the_budget() {
        let (mut waiting, start) = (Waiting::new(PER_SECOND), Instant::now());
        // Eleven changes for 100 sockets with their waking.
        for _ in 0..11 {
            assert!(waiting.is_calm(100, start));
            waiting.pay(cost(1, 100), start);
        }
        assert!(!waiting.is_calm(100, start));
        assert!(waiting.is_calm(5, start), "a little is left");
        assert!(waiting.is_calm(100, start + Duration::from_millis(100)));
        waiting.add(Change::now(BotId::random(), true));
        assert!(!waiting.is_calm(1, start + Duration::from_secs(9)), "nobody overtakes what waits");
    }

    #[test]
    fn a_pass_is_paid_for_before_the_next_one() {
        let (mut waiting, start) = (Waiting::new(PER_SECOND), Instant::now());
        changes(1000).into_iter().for_each(|change| waiting.add(change));
        let first = waiting.take(400, start).len();
        assert_eq!(first, 17, "25 deliveries for each, less the waking");
        waiting.pay(cost(first, 400), start);
        assert!(waiting.take(400, start).is_empty());
        assert_eq!(waiting.take(400, start + Duration::from_millis(1)).len(), first);
    }

    #[test]
    fn passes_are_neither_empty_nor_large() {
        let mut waiting = Waiting::new(PER_SECOND);
        changes(1000).into_iter().for_each(|change| waiting.add(change));
        let now = Instant::now();
        assert_eq!(waiting.take(1_000_000, now).len(), 1, "however many sockets there are");
        assert_eq!(waiting.take(0, now).len(), 32, "however few");
    }
}
