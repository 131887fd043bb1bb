//! Dividing a bounded resource between tenants: bytes of bodies being read, of responses in flight, of queued events.
//!
//! There are two levels of shares, an organisation and a member of it (a bot; callers without a credential form one
//! organisation of strangers whose members are addresses). Nobody may take more than what is still free at its level: a
//! lone organisation gets half of the whole, two get a third each, and something is always left for the next one; the
//! same rule divides an organisation's share between its members. This is the dynamic threshold of shared packet
//! buffers (Choudhury and Hahne, 1998): it is fair without a list of tenants, and no reserved share stays idle.
//!
//! A [`Share`] is released on drop. The tables contain only current holders.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::address::network;
use super::ids::{BotId, OrgId};

/// Organisations and members, as shares of the whole hub name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The organisation of all callers without a credential.
    Strangers,
    /// One of them, by the network that one caller can choose addresses from.
    Address(IpAddr),
    /// An organisation.
    Org(OrgId),
    /// One of its bots.
    Bot(BotId),
    /// Its people, who act for no bot.
    People,
}

impl Holder {
    /// A stranger at an address, as organisation and member. IPv6 callers count by their /64, which is what one of them
    /// can change at will.
    #[must_use]
    pub fn stranger(address: IpAddr) -> (Self, Self) {
        (Self::Strangers, Self::Address(network(address)))
    }

    /// A bot of an organisation.
    #[must_use]
    pub fn bot(org: OrgId, bot: BotId) -> (Self, Self) {
        (Self::Org(org), Self::Bot(bot))
    }
}

/// A bounded resource and who holds how much of it. `K` names organisations and members alike.
#[derive(Debug)]
pub struct Shares<K> {
    total: usize,
    held: Mutex<Held<K>>,
}

/// What is held, in the resource's unit.
#[derive(Debug)]
struct Held<K> {
    all: usize,
    orgs: HashMap<K, usize>,
    members: HashMap<(K, K), usize>,
}

/// Why nothing was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The member holds as much as it may.
    Member,
    /// Its organisation does.
    Org,
    /// More than the whole was asked for, or others hold nearly all of it.
    Whole,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// A resource of `total` units, all free.
    #[must_use]
    pub fn new(total: usize) -> Arc<Self> {
        let held = Held { all: 0, orgs: HashMap::new(), members: HashMap::new() };
        Arc::new(Self { total, held: Mutex::new(held) })
    }

    /// Takes `amount` for a member of an organisation.
    ///
    /// # Errors
    /// When it would hold more than its share afterwards; nothing is taken then.
    pub fn take(self: &Arc<Self>, org: K, member: K, amount: usize) -> Result<Share<K>, Full> {
        let mut share = Share { of: self.clone(), org, member, amount: 0 };
        share.grow(amount)?;
        Ok(share)
    }

    /// Units held by all together.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.lock().all
    }

    /// Units there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl<K: Hash + Eq + Clone> Held<K> {
    /// What the level allows: no more than is free of what it may hold at most.
    fn check(&self, total: usize, org: &K, member: &K, amount: usize) -> Result<(), Full> {
        let of_org = self.orgs.get(org).copied().unwrap_or(0);
        let of_member = self.members.get(&(org.clone(), member.clone())).copied().unwrap_or(0);
        let free = total.checked_sub(self.all.saturating_add(amount)).ok_or(Full::Whole)?;
        let org_after = of_org.saturating_add(amount);
        if org_after > free {
            return Err(if of_org > 0 { Full::Org } else { Full::Whole });
        }
        // The most the organisation could hold with nobody else changing: half of what others have left it.
        let most_of_org = total.saturating_sub(self.all.saturating_sub(of_org)) / 2;
        if of_member.saturating_add(amount) > most_of_org.saturating_sub(org_after) {
            return Err(if of_member > 0 { Full::Member } else { Full::Org });
        }
        Ok(())
    }
}

/// What one holder has taken; given back when dropped.
#[derive(Debug)]
pub struct Share<K: Hash + Eq + Clone> {
    of: Arc<Shares<K>>,
    org: K,
    member: K,
    amount: usize,
}

impl<K: Hash + Eq + Clone> Share<K> {
    /// Takes more.
    ///
    /// # Errors
    /// As [`Shares::take`]; what is held already stays.
    pub fn grow(&mut self, more: usize) -> Result<(), Full> {
        if more == 0 {
            return Ok(());
        }
        let mut held = self.of.held.lock();
        held.check(self.of.total, &self.org, &self.member, more)?;
        held.all += more;
        *held.orgs.entry(self.org.clone()).or_default() += more;
        *held.members.entry((self.org.clone(), self.member.clone())).or_default() += more;
        self.amount += more;
        Ok(())
    }

    /// Gives back a part; all of it when that is less.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.amount);
        if less == 0 {
            return;
        }
        let mut held = self.of.held.lock();
        held.all = held.all.saturating_sub(less);
        release(held.orgs.entry(self.org.clone()), less);
        release(held.members.entry((self.org.clone(), self.member.clone())), less);
        self.amount -= less;
    }

    /// Units held by this share.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl<K: Hash + Eq + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        self.shrink(self.amount);
    }
}

/// Removes entries that hold nothing any more.
fn release<K>(entry: Entry<'_, K, usize>, less: usize) {
    if let Entry::Occupied(mut entry) = entry {
        *entry.get_mut() = entry.get().saturating_sub(less);
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lone_bot_gets_a_quarter_and_its_organisation_half() {
        let shares = Shares::new(1200);
        let one = shares.take("acme", "ada", 300).unwrap();
        assert_eq!(shares.take("acme", "ada", 1).unwrap_err(), Full::Member);
        let two = shares.take("acme", "bob", 150).unwrap();
        assert_eq!(shares.take("acme", "bob", 1).unwrap_err(), Full::Member);
        let other = shares.take("other", "cleo", 150).unwrap();
        assert_eq!(shares.held(), 600);
        drop((one, two, other));
        assert_eq!(shares.held(), 0);
        assert!(shares.held.lock().orgs.is_empty() && shares.held.lock().members.is_empty());
    }

    #[test]
    fn more_than_there_is_is_never_given() {
        let shares = Shares::new(100);
        assert_eq!(shares.take("acme", "ada", 101).unwrap_err(), Full::Whole);
        assert_eq!(shares.take("acme", "ada", usize::MAX).unwrap_err(), Full::Whole);
        let mut share = shares.take("acme", "ada", 10).unwrap();
        assert!(share.grow(usize::MAX).is_err());
        assert_eq!(share.amount(), 10);
        share.shrink(4);
        assert_eq!((share.amount(), shares.held()), (6, 6));
    }

    proptest! {
        #[test]
        fn something_is_left_for_whoever_comes_next(
            steps in proptest::collection::vec((0u8..4, 0u8..4, 1usize..400, any::<bool>()), 1..120),
        ) {
            let shares = Shares::new(1000);
            let mut taken = Vec::new();
            for (org, member, amount, gives_back) in steps {
                if gives_back {
                    taken.pop();
                } else {
                    taken.extend(shares.take(org, member, amount));
                }
                let sum: usize = taken.iter().map(Share::amount).sum();
                prop_assert_eq!(shares.held(), sum);
                prop_assert!(sum < shares.total());
                // Four organisations of full size leave a fifth of a share each; a small newcomer still fits.
                prop_assert!(shares.take(9, 9, 1).is_ok());
            }
        }
    }
}
