//! What is kept in memory of open requests: when something is to be done about each, and how many there are.
//!
//! An entry is a few numbers; the request itself stays in the database until something happens to it. Entries change in the
//! completion of the commit that changed the row, so they are as the rows are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::queries::OpenRequest;
use crate::rules::{Request, RequestId};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, OrgId};

/// How many open requests there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of one bot.
    pub per_bot: usize,
    /// Of one organisation.
    pub per_org: usize,
}

/// Whose an open request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The organisation.
    pub org: OrgId,
    /// The agent.
    pub bot: BotId,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    at: i64,
    owner: Owner,
}

#[derive(Debug, Default)]
struct Held {
    due: BTreeMap<(i64, RequestId), Owner>,
    places: HashMap<RequestId, Place>,
    /// Those of `due`, and those that are on their way.
    bots: HashMap<BotId, usize>,
    orgs: HashMap<OrgId, usize>,
}

/// The open requests of a hub.
#[derive(Debug)]
pub struct Agenda {
    bounds: Bounds,
    held: Mutex<Held>,
    /// Told when something is due sooner than all else.
    sooner: Notify,
}

/// Room for one more request, given back when it is dropped before the request is [entered](Agenda::enter).
#[derive(Debug)]
pub struct Room {
    of: Arc<Agenda>,
    owner: Owner,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.held.lock().leave(self.owner);
    }
}

impl Held {
    fn join(&mut self, owner: Owner) {
        *self.bots.entry(owner.bot).or_default() += 1;
        *self.orgs.entry(owner.org).or_default() += 1;
    }

    fn leave(&mut self, owner: Owner) {
        take_one(&mut self.bots, owner.bot);
        take_one(&mut self.orgs, owner.org);
    }

    /// Whether it is due sooner than all others.
    fn put(&mut self, id: RequestId, at: i64, owner: Owner) -> bool {
        match self.places.insert(id, Place { at, owner }) {
            Some(old) => drop(self.due.remove(&(old.at, id))),
            None => self.join(owner),
        }
        self.due.insert((at, id), owner);
        self.due.first_key_value().is_some_and(|((_, first), _)| *first == id)
    }

    fn remove(&mut self, id: RequestId) {
        if let Some(Place { at, owner }) = self.places.remove(&id) {
            self.due.remove(&(at, id));
            self.leave(owner);
        }
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Agenda {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, held: Mutex::default(), sooner: Notify::new() })
    }

    /// Takes room for one more request of an agent.
    ///
    /// # Errors
    /// 409 `LIMIT_REACHED`.
    pub fn reserve(self: &Arc<Self>, owner: Owner) -> ApiResult<Room> {
        let mut held = self.held.lock();
        let (bot, org) = (held.bots.get(&owner.bot), held.orgs.get(&owner.org));
        if bot.is_some_and(|count| *count >= self.bounds.per_bot) {
            return Err(ApiError::limit_reached("bot", "open requests", self.bounds.per_bot));
        }
        if org.is_some_and(|count| *count >= self.bounds.per_org) {
            return Err(ApiError::limit_reached("organisation", "open requests", self.bounds.per_org));
        }
        held.join(owner);
        drop(held);
        Ok(Room { of: self.clone(), owner })
    }

    /// Follows a request's change once it is durable.
    pub fn follow(&self, request: &Request) {
        let owner = Owner { org: request.org, bot: request.agent };
        if request.state.is_open() {
            self.enter(request.id, request.timeout_at, owner);
        } else {
            self.held.lock().remove(request.id);
        }
    }

    /// Has an open request looked at when its time has come.
    pub fn enter(&self, id: RequestId, at: i64, owner: Owner) {
        let is_first = self.held.lock().put(id, at, owner);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Adds requests that were read; what is known of one already is newer.
    pub fn fill(&self, rows: &[OpenRequest]) {
        let mut held = self.held.lock();
        for row in rows {
            if !held.places.contains_key(&row.id) {
                held.put(row.id, row.due_at, Owner { org: row.org, bot: row.bot });
            }
        }
        drop(held);
        self.sooner.notify_one();
    }

    /// Those whose time has come, the earliest first; each stays entered until it is followed or put off.
    #[must_use]
    pub fn due(&self, now: i64, most: usize) -> Vec<(RequestId, OrgId)> {
        let held = self.held.lock();
        let due = held.due.iter().take_while(|((at, _), _)| *at <= now).take(most);
        due.map(|((_, id), owner)| (*id, owner.org)).collect()
    }

    /// Looks at a request again at another time, because what was to be done now failed.
    pub fn put_off(&self, id: RequestId, at: i64) {
        let mut held = self.held.lock();
        if let Some(place) = held.places.get(&id).copied() {
            held.put(id, at, place.owner);
        }
    }

    /// Forgets a request that is not there.
    pub fn forget(&self, id: RequestId) {
        self.held.lock().remove(id);
    }

    /// Forgets the requests of an organisation that is gone.
    pub fn forget_org(&self, org: OrgId) {
        let mut held = self.held.lock();
        let gone: Vec<RequestId> =
            held.places.iter().filter(|(_, place)| place.owner.org == org).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| held.remove(id));
    }

    /// When the next one is due, ms.
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        self.held.lock().due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Resolves when one is entered that is due sooner than the others.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// Open requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.lock().places.len()
    }

    /// Whether nothing is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { org: OrgId::random(), bot: BotId::random() }
    }

    fn ids(count: usize) -> Vec<RequestId> {
        (0..count).map(|_| RequestId::at(5)).collect()
    }

    const BOUNDS: Bounds = Bounds { per_bot: 2, per_org: 3 };

    #[test]
    fn what_is_due_comes_in_order_and_stays_until_it_is_done() {
        let (agenda, own, ids) = (Agenda::new(BOUNDS), owner(), ids(3));
        for (id, at) in ids.iter().zip([30, 10, 20]) {
            agenda.enter(*id, at, own);
        }
        let due = |now, most| agenda.due(now, most).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!((due(9, 9), due(20, 9), due(99, 1)), (vec![], vec![ids[1], ids[2]], vec![ids[1]]));
        agenda.put_off(ids[1], 40);
        assert_eq!((due(99, 9), agenda.next()), (vec![ids[2], ids[0], ids[1]], Some(20)));
        agenda.forget(ids[2]);
        agenda.put_off(ids[2], 1);
        assert_eq!((agenda.len(), agenda.next()), (2, Some(30)), "what is gone stays gone");
    }

    #[test]
    fn bots_and_organisations_have_so_many() {
        let (agenda, ada) = (Agenda::new(BOUNDS), owner());
        let bob = Owner { bot: BotId::random(), ..ada };
        let rooms = [agenda.reserve(ada).unwrap(), agenda.reserve(ada).unwrap()];
        let refused = agenda.reserve(ada).unwrap_err();
        assert_eq!((refused.status(), refused.code().token()), (409, "LIMIT_REACHED"));
        let third = agenda.reserve(bob).unwrap();
        assert!(agenda.reserve(bob).unwrap_err().message().contains("organisation"));
        assert!(agenda.reserve(owner()).is_ok());
        drop((rooms, third));
        assert!(agenda.reserve(ada).is_ok());
        assert!(agenda.held.lock().bots.is_empty() && agenda.held.lock().orgs.is_empty());
    }

    #[test]
    fn an_entered_request_keeps_its_room_and_a_row_does_not_undo_what_is_newer() {
        let (agenda, ada, ids) = (Agenda::new(BOUNDS), owner(), ids(2));
        let room = agenda.reserve(ada).unwrap();
        agenda.enter(ids[0], 10, ada);
        drop(room);
        let row = OpenRequest {
            id: ids[0],
            org: ada.org,
            bot: ada.bot,
            state: crate::rules::State::PendingResponse,
            due_at: 5,
        };
        agenda.fill(&[row.clone(), OpenRequest { id: ids[1], ..row }]);
        assert_eq!((agenda.due(99, 9).len(), agenda.due(7, 9).len()), (2, 1));
        assert!(agenda.reserve(ada).is_err());
        agenda.forget_org(ada.org);
        assert!(agenda.is_empty() && agenda.reserve(ada).is_ok());
    }
}
