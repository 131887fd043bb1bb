//! Rooms of sockets: one for each session and machine.
//!
//! A room belongs to a namespace. Two namespaces may have machines of the same id, and their sockets never share a room.

use std::fmt;

use super::handshake::{Handshake, Identity, Joining};
use super::names::Namespace;
use super::words::Scope;

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Room {
    /// Where it belongs.
    pub namespace: Namespace,
    /// Of what kind it is.
    pub scope: Scope,
    /// Of which session or machine it is.
    pub id: String,
}

/// The name of a room: `<namespace>/session:<id>` or `<namespace>/machine:<id>`. Names of namespaces have no slash, so that no two
/// rooms have one name.
impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.scope, self.id)
    }
}

/// The rooms that a handshake asks for. The caller checks that what they belong to exists, and joins those alone.
#[must_use]
pub fn rooms_of(handshake: &Handshake) -> Vec<Room> {
    let Identity::Of(namespace) = &handshake.identity else { return Vec::new() };
    let room = |(scope, joining): (Scope, &Joining)| match joining {
        Joining::Id(id) => Some(Room { namespace: namespace.clone(), scope, id: id.clone() }),
        Joining::Nothing | Joining::Bad(_) => None,
    };
    let asked = [(Scope::Session, &handshake.session_id), (Scope::Machine, &handshake.machine_id)];
    asked.into_iter().filter_map(room).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(identity: Identity) -> Handshake {
        let session_id = Joining::Id("s".to_owned());
        Handshake { identity, session_id, machine_id: Joining::Id("m".to_owned()) }
    }

    #[test]
    fn rooms_name_their_namespace() {
        let bob = Namespace::parse("bob").unwrap();
        let names: Vec<String> = rooms_of(&handshake(Identity::Of(bob))).iter().map(Room::to_string).collect();
        assert_eq!(names, ["bob/session:s", "bob/machine:m"]);
    }

    #[test]
    fn without_a_namespace_there_are_no_rooms() {
        assert!(rooms_of(&handshake(Identity::Missing)).is_empty());
    }
}
