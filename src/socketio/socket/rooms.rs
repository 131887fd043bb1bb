//! Who is in which room.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Members by id, and the rooms they are in. A room exists while somebody is in it.
pub(crate) struct Rooms<M> {
    members: HashMap<Arc<str>, Membership<M>>,
    rooms: HashMap<Arc<str>, HashMap<Arc<str>, M>>,
}

struct Membership<M> {
    member: M,
    rooms: HashSet<Arc<str>>,
}

impl<M> Default for Rooms<M> {
    fn default() -> Self {
        Self { members: HashMap::new(), rooms: HashMap::new() }
    }
}

impl<M: Clone> Rooms<M> {
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn add(&mut self, id: Arc<str>, member: M) {
        self.members.insert(id, Membership { member, rooms: HashSet::new() });
    }

    pub fn remove(&mut self, id: &str) {
        let Some(membership) = self.members.remove(id) else { return };
        for room in membership.rooms {
            self.take_out(&room, id);
        }
    }

    pub fn join(&mut self, id: &Arc<str>, room: &str) {
        let Some(membership) = self.members.get_mut(id) else { return };
        let room = self.rooms.get_key_value(room).map_or_else(|| Arc::from(room), |(name, _)| name.clone());
        if membership.rooms.insert(room.clone()) {
            self.rooms.entry(room).or_default().insert(id.clone(), membership.member.clone());
        }
    }

    pub fn leave(&mut self, id: &str, room: &str) {
        if self.members.get_mut(id).is_some_and(|membership| membership.rooms.remove(room)) {
            self.take_out(room, id);
        }
    }

    pub fn of(&self, id: &str) -> Vec<Arc<str>> {
        self.members.get(id).map(|membership| membership.rooms.iter().cloned().collect()).unwrap_or_default()
    }

    pub fn is_in(&self, id: &str, room: &str) -> bool {
        self.members.get(id).is_some_and(|membership| membership.rooms.contains(room))
    }

    pub fn get(&self, id: &str) -> Option<&M> {
        self.members.get(id).map(|membership| &membership.member)
    }

    /// Calls for each member in one of the rooms, or for all if none is named, who is not excluded. An id stands for a
    /// room of its member alone. Nobody is called twice.
    pub fn for_each(&self, rooms: &[String], except: &[String], mut call: impl FnMut(&M)) {
        let is_excluded = |id: &str| except.iter().any(|excluded| &**excluded == id || self.is_in(id, excluded));
        match rooms {
            [] => {
                for (id, membership) in &self.members {
                    if !is_excluded(id) {
                        call(&membership.member);
                    }
                }
            }
            [room] => self.in_room(room).filter(|(id, _)| !is_excluded(id)).for_each(|(_, member)| call(member)),
            rooms => {
                let mut seen = HashSet::new();
                let all = rooms.iter().flat_map(|room| self.in_room(room));
                all.filter(|(id, _)| seen.insert(*id) && !is_excluded(id)).for_each(|(_, member)| call(member));
            }
        }
    }

    fn in_room<'a>(&'a self, room: &'a str) -> impl Iterator<Item = (&'a str, &'a M)> {
        let members = self.rooms.get(room).into_iter().flatten().map(|(id, member)| (&**id, member));
        members.chain(self.get(room).map(|member| (room, member)))
    }

    fn take_out(&mut self, room: &str, id: &str) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(id);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(rooms: &Rooms<u8>, to: &[&str], except: &[&str]) -> Vec<u8> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut reached = Vec::new();
        rooms.for_each(&names(to), &names(except), |member| reached.push(*member));
        reached.sort_unstable();
        reached
    }

    #[test]
    fn members_are_reached_by_room_and_id_once_each() {
        let mut rooms = Rooms::default();
        for (id, member) in [("ada", 1), ("bob", 2), ("cleo", 3)] {
            rooms.add(id.into(), member);
        }
        for (id, room) in [("ada", "x"), ("bob", "x"), ("bob", "y"), ("bob", "y"), ("nobody", "x")] {
            rooms.join(&id.into(), room);
        }
        assert_eq!(reached(&rooms, &[], &[]), [1, 2, 3]);
        assert_eq!(reached(&rooms, &["x"], &[]), [1, 2]);
        assert_eq!(reached(&rooms, &["x", "y", "bob", "cleo"], &[]), [1, 2, 3]);
        assert_eq!(reached(&rooms, &["cleo"], &[]), [3]);
        assert_eq!(reached(&rooms, &["x"], &["ada"]), [2]);
        assert_eq!(reached(&rooms, &[], &["y"]), [1, 3]);
        assert_eq!(reached(&rooms, &["empty"], &[]), [0; 0]);
    }

    #[test]
    fn nothing_stays_of_those_who_left() {
        let mut rooms = Rooms::default();
        rooms.add("ada".into(), 1);
        rooms.join(&"ada".into(), "x");
        rooms.join(&"ada".into(), "y");
        rooms.leave("ada", "x");
        assert_eq!((reached(&rooms, &["x"], &[]), rooms.rooms.len()), (vec![], 1));
        rooms.remove("ada");
        rooms.join(&"ada".into(), "x");
        assert!(rooms.members.is_empty() && rooms.rooms.is_empty());
    }
}
