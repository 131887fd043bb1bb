//! How many clients listen: bounded for each principal and for each organisation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;

/// Seconds after which a client may try again: streams end when their clients go.
const RETRY_AFTER_S: u64 = 5;

/// A principal of an organisation, or, without one, the organisation.
type Holder = (OrgId, Option<Uuid>);

/// The seats of a hub.
pub struct Seats {
    per_member: usize,
    per_org: usize,
    taken: AtomicUsize,
    counts: Mutex<HashMap<Holder, usize>>,
}

impl Seats {
    /// All free.
    #[must_use]
    pub fn new(per_member: usize, per_org: usize) -> Arc<Self> {
        Arc::new(Self { per_member, per_org, taken: AtomicUsize::new(0), counts: Mutex::default() })
    }

    /// Seats that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes a seat.
    ///
    /// # Errors
    /// 429 when the principal or its organisation has as many as it may.
    pub fn take(self: &Arc<Self>, org: OrgId, member: Uuid) -> ApiResult<Seat> {
        let holders =
            [((org, Some(member)), "principal", self.per_member), ((org, None), "organisation", self.per_org)];
        let mut counts = self.counts.lock();
        for (holder, whose, most) in holders {
            if counts.get(&holder).copied().unwrap_or(0) >= most {
                return Err(too_many(whose, most));
            }
        }
        holders.iter().for_each(|(holder, ..)| *counts.entry(*holder).or_default() += 1);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { of: self.clone(), org, member })
    }
}

fn too_many(whose: &str, most: usize) -> ApiError {
    let message = format!("The {whose} has {most} event streams open, as many as it may; close one first");
    ApiError::rate_limited(RETRY_AFTER_S).saying(message).with("limit", "streams").with("scope", whose)
}

/// The seat of one client; free again when it is dropped.
pub struct Seat {
    of: Arc<Seats>,
    org: OrgId,
    member: Uuid,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.of.counts.lock();
        for holder in [(self.org, Some(self.member)), (self.org, None)] {
            if let Entry::Occupied(mut count) = counts.entry(holder) {
                *count.get_mut() = count.get().saturating_sub(1);
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        self.of.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_and_organisations_have_so_many() {
        let seats = Seats::new(2, 3);
        let (org, other) = (OrgId::random(), OrgId::random());
        let [ada, bob] = [1, 2].map(Uuid::from_u128);
        let held = [seats.take(org, ada).ok(), seats.take(org, ada).ok()];
        assert!(held.iter().all(Option::is_some));
        assert_eq!(seats.take(org, ada).err().map(|refusal| refusal.status()), Some(429));
        let third = seats.take(org, bob);
        assert!(third.is_ok() && seats.take(org, bob).is_err() && seats.take(other, ada).is_ok());
        assert_eq!(seats.taken(), 3, "the seat of the other organisation is free again");
        drop(held);
        assert!(seats.take(org, ada).is_ok());
        drop(third);
        assert!(seats.counts.lock().is_empty());
    }
}
