//! Whose messages are sent next: requests wait for their turn in their organisation's queue, and organisations take turns.
//!
//! A request is in work once at a time. What becomes due later waits in the order of time. Pure: the times are arguments.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::rules::RequestId;
use hxa_domain::ids::OrgId;

/// A request and its organisation.
pub type Turn = (OrgId, RequestId);

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In its organisation's queue.
    Ready,
    /// In work; true when there is more to do than its worker knows of.
    InWork(bool),
    /// Nothing to do before this time, ms.
    Later(i64),
}

/// The requests whose messages wait; see the module.
#[derive(Debug, Default)]
pub struct Turns {
    places: HashMap<RequestId, Place>,
    /// The organisations that have somebody ready, in the order of their turns.
    orgs: VecDeque<OrgId>,
    ready: HashMap<OrgId, VecDeque<RequestId>>,
    later: BTreeSet<(i64, OrgId, RequestId)>,
    counts: HashMap<OrgId, usize>,
}

impl Turns {
    /// There is something to do about a request.
    pub fn touch(&mut self, (org, id): Turn) {
        match self.places.get_mut(&id) {
            Some(Place::Ready) => {}
            Some(Place::InWork(has_more)) => *has_more = true,
            Some(Place::Later(at)) => {
                let at = *at;
                self.later.remove(&(at, org, id));
                self.enqueue((org, id));
            }
            None => {
                *self.counts.entry(org).or_default() += 1;
                self.enqueue((org, id));
            }
        }
    }

    fn enqueue(&mut self, (org, id): Turn) {
        self.places.insert(id, Place::Ready);
        let queue = self.ready.entry(org).or_default();
        if queue.is_empty() {
            self.orgs.push_back(org);
        }
        queue.push_back(id);
    }

    /// Whose turn it is now; it is in work from now on.
    pub fn next(&mut self, now: i64) -> Option<Turn> {
        while let Some((at, org, id)) = self.later.first().copied().filter(|(at, ..)| *at <= now) {
            self.later.remove(&(at, org, id));
            self.enqueue((org, id));
        }
        let org = self.orgs.pop_front()?;
        let queue = self.ready.get_mut(&org)?;
        let id = queue.pop_front()?;
        if queue.is_empty() {
            self.ready.remove(&org);
        } else {
            self.orgs.push_back(org);
        }
        self.places.insert(id, Place::InWork(false));
        Some((org, id))
    }

    /// The work on a request is done, for good or until a time.
    pub fn done(&mut self, (org, id): Turn, until: Option<i64>) {
        let has_more = matches!(self.places.get(&id), Some(Place::InWork(true)));
        match until {
            _ if has_more => self.enqueue((org, id)),
            Some(at) => {
                self.places.insert(id, Place::Later(at));
                self.later.insert((at, org, id));
            }
            None => self.remove((org, id)),
        }
    }

    fn remove(&mut self, (org, id): Turn) {
        self.places.remove(&id);
        if let Some(count) = self.counts.get_mut(&org) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&org);
            }
        }
    }

    /// When somebody has a turn again, ms; now, if anybody is ready.
    #[must_use]
    pub fn due_at(&self) -> Option<i64> {
        if self.orgs.is_empty() { self.later.first().map(|(at, ..)| *at) } else { Some(i64::MIN) }
    }

    /// Requests of an organisation whose messages wait.
    #[must_use]
    pub fn count(&self, org: OrgId) -> usize {
        self.counts.get(&org).copied().unwrap_or_default()
    }

    /// The same of all organisations.
    #[must_use]
    pub fn total(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn ids(count: usize) -> Vec<RequestId> {
        (0..count).map(|_| RequestId::at(NOW)).collect()
    }

    #[test]
    fn organisations_take_turns() {
        let (busy, quiet) = (OrgId::at(1), OrgId::at(2));
        let (many, one) = (ids(3), ids(1));
        let mut turns = Turns::default();
        many.iter().for_each(|id| turns.touch((busy, *id)));
        turns.touch((quiet, one[0]));
        turns.touch((quiet, one[0]));
        assert_eq!((turns.count(busy), turns.count(quiet), turns.total()), (3, 1, 4));
        let order: Vec<Turn> = std::iter::from_fn(|| turns.next(NOW)).collect();
        assert_eq!(order, [(busy, many[0]), (quiet, one[0]), (busy, many[1]), (busy, many[2])]);
    }

    #[test]
    fn a_request_is_in_work_once_and_comes_again_if_there_is_more() {
        let (org, id) = (OrgId::at(1), ids(1)[0]);
        let mut turns = Turns::default();
        turns.touch((org, id));
        assert_eq!(turns.next(NOW), Some((org, id)));
        turns.touch((org, id));
        assert_eq!(turns.next(NOW), None);
        turns.done((org, id), None);
        assert_eq!(turns.next(NOW), Some((org, id)));
        turns.done((org, id), None);
        assert_eq!((turns.next(NOW), turns.total(), turns.count(org), turns.due_at()), (None, 0, 0, None));
    }

    #[test]
    fn what_is_due_later_waits_unless_something_happens() {
        let (org, id) = (OrgId::at(1), ids(1)[0]);
        let mut turns = Turns::default();
        turns.touch((org, id));
        turns.next(NOW);
        turns.done((org, id), Some(NOW + 10));
        assert_eq!((turns.due_at(), turns.next(NOW + 9)), (Some(NOW + 10), None));
        assert_eq!(turns.next(NOW + 10), Some((org, id)));
        turns.done((org, id), Some(NOW + 20));
        turns.touch((org, id));
        assert_eq!((turns.due_at(), turns.next(NOW + 11)), (Some(i64::MIN), Some((org, id))));
        turns.done((org, id), None);
        assert_eq!(turns.due_at(), None);
    }
}
