//! Lockout after failed guesses of secrets.
//!
//! Failures are counted per address, and per address and target; too many lock either for a while, after which counting
//! starts anew. If the clock is set back meanwhile, no lockout gets longer. Successful attempts are never limited and
//! reset nothing. IPv6 callers are counted by their /64, which one caller can vary at will. Memory is bounded, whatever
//! strangers send: only a keyed hash of a target is stored, and a full table evicts idle counters first and then the
//! least recently changed ones.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use parking_lot::Mutex;

use hxa_domain::address::network;
use hxa_domain::error::{Allowance, ApiError, ApiResult};

const MINUTE_MS: i64 = 60_000;
/// A count that has not moved for so long is forgotten.
const IDLE_MS: i64 = 30 * MINUTE_MS;
/// No lock lasts longer.
const LONGEST_LOCK_MS: i64 = 30 * MINUTE_MS;
/// Counts kept, some 10 MB: beyond all that a hub sees on a bad day, and 65,536 networks may fail before it is reached.
const MOST: usize = 131_072;

/// What is being guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guess {
    /// A token, at the login.
    BotLogin,
    /// An organisation's secret, at the login.
    OrgLogin,
    /// The admin secret, at the login.
    SuperLogin,
    /// A person's password, at the login or at its change.
    PersonLogin,
    /// A person's login link.
    PersonLink,
    /// An organisation's secret or ticket, at the registration.
    Registration,
    /// A platform invite code.
    InviteCode,
    /// The admin secret, at the health route.
    Health,
    /// A key of an agent.
    Key,
}

impl Guess {
    /// Failures allowed per address and target, and how long the lock is then.
    const fn per_target(self) -> (u32, i64) {
        match self {
            Guess::BotLogin | Guess::OrgLogin | Guess::PersonLogin | Guess::PersonLink => (5, 15 * MINUTE_MS),
            Guess::SuperLogin => (3, LONGEST_LOCK_MS),
            Guess::Registration | Guess::InviteCode | Guess::Key => (100, 15 * MINUTE_MS),
            Guess::Health => (20, 15 * MINUTE_MS),
        }
    }

    /// Failures allowed per address over all targets. Logins share one count; elsewhere clients behind one address may
    /// fail often without ill will (a used ticket passed around), so those counts are apart and generous.
    const fn per_address(self) -> (&'static str, u32, i64) {
        match self {
            Guess::BotLogin | Guess::OrgLogin | Guess::SuperLogin | Guess::PersonLogin | Guess::PersonLink => {
                ("login", 20, 15 * MINUTE_MS)
            }
            Guess::Registration => ("register", 100, 15 * MINUTE_MS),
            Guess::InviteCode => ("invite", 100, 15 * MINUTE_MS),
            Guess::Health => ("health", 20, 15 * MINUTE_MS),
            Guess::Key => ("key", 100, 15 * MINUTE_MS),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(&'static str, IpAddr),
    /// The target by its hash: it is a stranger's text, of any length.
    Target(Guess, IpAddr, u64),
}

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    newest: i64,
    locked_until: i64,
}

/// The counts.
#[derive(Default)]
pub struct Limiter {
    counts: Mutex<HashMap<Key, Count>>,
    /// Keyed by chance, so that nobody can find a target that counts as another one.
    hasher: RandomState,
}

impl Limiter {
    /// Refuses an attempt while its address or its target is locked.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED` with the seconds to wait.
    pub fn check(&self, guess: Guess, address: IpAddr, target: &str, now: i64) -> ApiResult<()> {
        let mut counts = self.counts.lock();
        let (_, address_limit, address_lock) = guess.per_address();
        let rules = [(address_limit, address_lock), guess.per_target()];
        for (key, (limit, lock)) in self.keys(guess, address, target).iter().zip(rules) {
            let until = counts.get_mut(key).map_or(0, |count| count.locked_at_most(now, lock));
            if until > now {
                let reset_s = u64::try_from(until.saturating_sub(now)).unwrap_or(0).div_ceil(1000);
                let window_s = u64::try_from(lock / 1000).unwrap_or(0);
                let allowance = Allowance { limit, remaining: 0, reset_s, window_s };
                return Err(ApiError::rate_limited(reset_s).under(allowance));
            }
        }
        Ok(())
    }

    /// Counts a failed attempt.
    pub fn failed(&self, guess: Guess, address: IpAddr, target: &str, now: i64) {
        let (_, address_limit, address_lock) = guess.per_address();
        let (target_limit, target_lock) = guess.per_target();
        let [by_address, by_target] = self.keys(guess, address, target);
        let mut counts = self.counts.lock();
        make_room(&mut counts, now);
        counts.entry(by_address).or_default().fail(now, address_limit, address_lock);
        counts.entry(by_target).or_default().fail(now, target_limit, target_lock);
    }

    /// Drops what no longer counts.
    pub fn sweep(&self, now: i64) {
        self.counts.lock().retain(|_, count| {
            count.locked_at_most(now, LONGEST_LOCK_MS);
            !count.is_idle(now)
        });
    }

    /// The two counts of an attempt, the address first.
    fn keys(&self, guess: Guess, address: IpAddr, target: &str) -> [Key; 2] {
        let address = network(address);
        let target = self.hasher.hash_one(target);
        [Key::Address(guess.per_address().0, address), Key::Target(guess, address, target)]
    }
}

/// Leaves room for the two counts of an attempt: without the idle ones first, then without the quarter that has not moved
/// for longest. Locks are evicted last, because otherwise an attacker could evict its own lock and continue guessing.
fn make_room(counts: &mut HashMap<Key, Count>, now: i64) {
    if counts.len().saturating_add(2) <= MOST {
        return;
    }
    counts.retain(|_, count| !count.is_idle(now));
    if counts.len() <= MOST / 4 * 3 {
        return;
    }
    let rank = |count: &Count| (count.locked_until > now, count.newest);
    let mut ranks: Vec<(bool, i64)> = counts.values().map(rank).collect();
    let (_, &mut last_to_go, _) = ranks.select_nth_unstable(MOST / 4);
    let mut left = MOST / 4;
    counts.retain(|_, count| {
        let goes = left > 0 && rank(count) <= last_to_go;
        left -= usize::from(goes);
        !goes
    });
}

impl Count {
    fn fail(&mut self, now: i64, limit: u32, lock: i64) {
        let lock_ended = self.locked_until != 0 && self.locked_until <= now;
        if lock_ended || self.is_idle(now) {
            *self = Self::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.newest = now;
        if self.failures >= limit {
            self.locked_until = now.saturating_add(lock);
        }
    }

    /// When the lock ends; one that would last longer than any of its kind was made by a clock that was ahead.
    fn locked_at_most(&mut self, now: i64, lock: i64) -> i64 {
        self.locked_until = self.locked_until.min(now.saturating_add(lock));
        self.locked_until
    }

    fn is_idle(&self, now: i64) -> bool {
        now.abs_diff(self.newest) >= IDLE_MS.unsigned_abs() && self.locked_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_failures_lock_one_target_for_a_quarter_of_an_hour() {
        let (limiter, me) = (Limiter::default(), ip("10.0.0.1"));
        for n in 0..5 {
            assert!(limiter.check(Guess::OrgLogin, me, "a", n).is_ok());
            limiter.failed(Guess::OrgLogin, me, "a", n);
        }
        let refusal = limiter.check(Guess::OrgLogin, me, "a", 4).unwrap_err();
        assert_eq!(refusal.retry_after(), Some(900));
        assert!(limiter.check(Guess::OrgLogin, me, "b", 5).is_ok());
        assert!(limiter.check(Guess::OrgLogin, ip("10.0.0.2"), "a", 5).is_ok());
        let later = 4 + 15 * MINUTE_MS;
        assert!(limiter.check(Guess::OrgLogin, me, "a", later).is_ok());
        limiter.failed(Guess::OrgLogin, me, "a", later);
        assert!(limiter.check(Guess::OrgLogin, me, "a", later).is_ok(), "counting starts anew after a lock");
    }

    #[test]
    fn twenty_failed_logins_lock_an_address_but_not_its_registrations() {
        let (limiter, me) = (Limiter::default(), ip("2001:db8::1"));
        for n in 0..20 {
            limiter.failed(Guess::BotLogin, me, &n.to_string(), 0);
        }
        assert!(limiter.check(Guess::SuperLogin, ip("2001:db8::2"), "", 1).is_err(), "one /64 is one caller");
        assert!(limiter.check(Guess::SuperLogin, ip("2001:db8:0:1::1"), "", 1).is_ok());
        assert!(limiter.check(Guess::Registration, me, "", 1).is_ok());
    }

    /// A lock made while the clock was a day ahead lasted for a day.
    #[test]
    fn a_lock_from_a_clock_that_was_ahead_does_not_last() {
        let (limiter, me, ahead) = (Limiter::default(), ip("10.0.0.1"), 24 * 60 * MINUTE_MS);
        for n in 0..5 {
            limiter.failed(Guess::OrgLogin, me, "a", ahead + n);
        }
        assert_eq!(limiter.check(Guess::OrgLogin, me, "a", 0).unwrap_err().retry_after(), Some(900));
        assert_eq!(limiter.check(Guess::OrgLogin, me, "a", 60_000).unwrap_err().retry_after(), Some(840));
        assert!(limiter.check(Guess::OrgLogin, me, "a", 15 * MINUTE_MS).is_ok());
        limiter.sweep(15 * MINUTE_MS);
        assert!(limiter.counts.lock().is_empty());
    }

    /// An `org_id` of a MiB stayed in the table for half an hour, as often as one address may fail.
    #[test]
    fn a_target_of_any_length_takes_the_same_room() {
        let (limiter, me) = (Limiter::default(), ip("10.0.0.1"));
        let long = "x".repeat(1 << 20);
        for n in 0..5 {
            limiter.failed(Guess::OrgLogin, me, &long, n);
        }
        assert!(limiter.check(Guess::OrgLogin, me, &long, 5).is_err());
        assert!(limiter.check(Guess::OrgLogin, me, long.get(1..).unwrap(), 5).is_ok());
        assert!(std::mem::size_of::<(Key, Count)>() <= 64, "a row is small");
    }

    /// Every network of a large IPv6 allocation may fail once.
    #[test]
    fn a_full_table_forgets_who_failed_longest_ago_and_locks_last() {
        let (limiter, locked) = (Limiter::default(), ip("10.0.0.1"));
        for _ in 0..3 {
            limiter.failed(Guess::SuperLogin, locked, "", 0);
        }
        let far = |n: u128| IpAddr::V6((0x2001_0db8_u128 << 96 | n << 64).into());
        for n in 0..100_000_u32 {
            limiter.failed(Guess::OrgLogin, far(n.into()), "a", i64::from(n));
        }
        let counts = limiter.counts.lock().len();
        assert!(counts <= MOST, "{counts}");
        assert!(counts > MOST / 2, "{counts}");
        assert!(limiter.check(Guess::SuperLogin, locked, "", 100_000).is_err(), "the lock holds");
        let newest = limiter.keys(Guess::OrgLogin, far(99_999), "a");
        let oldest = limiter.keys(Guess::OrgLogin, far(0), "a");
        let counts = limiter.counts.lock();
        assert!(newest.iter().all(|key| counts.contains_key(key)));
        assert!(!oldest.iter().any(|key| counts.contains_key(key)));
    }

    #[test]
    fn idle_counts_are_forgotten() {
        let (limiter, me) = (Limiter::default(), ip("10.0.0.1"));
        limiter.failed(Guess::SuperLogin, me, "", 0);
        limiter.sweep(IDLE_MS - 1);
        assert_eq!(limiter.counts.lock().len(), 2);
        limiter.sweep(IDLE_MS);
        assert!(limiter.counts.lock().is_empty());
    }
}
