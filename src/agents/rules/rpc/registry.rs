//! Who answers to a method.
//!
//! The key holds the namespace, so that no socket takes a method of another one. Only a socket that has joined the room of the id
//! may register. Several may: the last one is called, and when it leaves the one before it is again, so that a client
//! which reconnects before its old socket is gone loses nothing.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::names::Method;
use crate::rules::limits;
use crate::rules::names::Namespace;
use crate::rules::words::{MissingTarget, RegisterRefusal};

/// The namespace and the method.
type Key = (Namespace, Method);

/// The methods of all namespaces; `S` names a socket.
#[derive(Debug, Clone)]
pub struct Registry<S> {
    owners: HashMap<Key, Vec<S>>,
    methods: HashMap<S, HashSet<Key>>,
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        Self { owners: HashMap::new(), methods: HashMap::new() }
    }
}

impl<S: Copy + Eq + Hash> Registry<S> {
    /// A socket answers to a method from now on, before all others.
    ///
    /// # Errors
    /// The name is none, the socket is not in the room of its id, or has too many methods.
    pub fn register(
        &mut self,
        namespace: Option<&Namespace>,
        socket: S,
        method: &str,
        is_joined: impl FnOnce(&str) -> bool,
    ) -> Result<(), RegisterRefusal> {
        let namespace = namespace.ok_or(RegisterRefusal::NamespaceMissing)?;
        let method = Method::parse(method).ok_or(RegisterRefusal::BadMethod)?;
        if !is_joined(&method.id) {
            return Err(RegisterRefusal::NotJoined);
        }
        let key = (namespace.clone(), method);
        let known = self.methods.entry(socket).or_default();
        if known.len() >= limits::METHODS_PER_SOCKET && !known.contains(&key) {
            return Err(RegisterRefusal::TooMany);
        }
        known.insert(key.clone());
        let owners = self.owners.entry(key.clone()).or_default();
        owners.retain(|owner| *owner != socket);
        owners.push(socket);
        if owners.len() > limits::OWNERS_PER_METHOD {
            let oldest = owners.remove(0);
            self.forget(oldest, &key);
        }
        Ok(())
    }

    /// A socket answers to a method no longer; what others registered stays.
    pub fn unregister(&mut self, namespace: &Namespace, socket: S, method: &str) {
        let Some(method) = Method::parse(method) else { return };
        let key = (namespace.clone(), method);
        self.forget(socket, &key);
        self.disown(socket, &key);
    }

    /// A socket is gone, with all its methods.
    pub fn left(&mut self, socket: S) {
        for key in self.methods.remove(&socket).unwrap_or_default() {
            self.disown(socket, &key);
        }
    }

    fn forget(&mut self, socket: S, key: &Key) {
        if let Some(methods) = self.methods.get_mut(&socket) {
            methods.remove(key);
            if methods.is_empty() {
                self.methods.remove(&socket);
            }
        }
    }

    fn disown(&mut self, socket: S, key: &Key) {
        if let Some(owners) = self.owners.get_mut(key) {
            owners.retain(|owner| *owner != socket);
            if owners.is_empty() {
                self.owners.remove(key);
            }
        }
    }

    /// The socket to call.
    ///
    /// # Errors
    /// No socket has registered the method.
    pub fn target(&self, namespace: &Namespace, method: &Method) -> Result<S, MissingTarget> {
        let key = (namespace.clone(), method.clone());
        self.owners.get(&key).and_then(|owners| owners.last()).copied().ok_or(MissingTarget::NotRegistered)
    }

    /// How many pairs of methods and sockets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.owners.values().map(Vec::len).sum()
    }

    /// Whether no method is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.methods.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Namespace {
        Namespace::parse(text).unwrap()
    }

    fn method(text: &str) -> Method {
        Method::parse(text).unwrap()
    }

    #[test]
    fn a_namespace_cannot_take_the_methods_of_another() {
        let (mut registry, alice, bob) = (Registry::default(), name("alice"), name("bob"));
        registry.register(Some(&alice), 1, "s:permission", |_| true).unwrap();
        assert_eq!(registry.register(Some(&bob), 2, "s:permission", |_| false), Err(RegisterRefusal::NotJoined));
        // Even where ids were equal, the keys are not.
        registry.register(Some(&bob), 2, "s:permission", |_| true).unwrap();
        assert_eq!(registry.target(&alice, &method("s:permission")), Ok(1));
        registry.unregister(&bob, 1, "s:permission");
        registry.unregister(&alice, 2, "s:permission");
        assert_eq!(registry.target(&alice, &method("s:permission")), Ok(1));
        assert_eq!(registry.register(None, 3, "s:a", |_| true), Err(RegisterRefusal::NamespaceMissing));
        assert_eq!(registry.register(Some(&bob), 3, "a", |_| true), Err(RegisterRefusal::BadMethod));
    }

    #[test]
    fn the_owner_before_answers_again() {
        let (mut registry, home) = (Registry::default(), name("default"));
        for socket in [1, 2, 1] {
            registry.register(Some(&home), socket, "s:abort", |id| id == "s").unwrap();
        }
        assert_eq!(registry.target(&home, &method("s:abort")), Ok(1));
        registry.left(1);
        assert_eq!(registry.target(&home, &method("s:abort")), Ok(2));
        registry.left(2);
        assert_eq!(registry.target(&home, &method("s:abort")), Err(MissingTarget::NotRegistered));
        assert!(registry.is_empty());
    }

    #[test]
    fn a_socket_has_a_limited_number_of_methods() {
        let (mut registry, home) = (Registry::default(), name("default"));
        for n in 0..limits::METHODS_PER_SOCKET {
            registry.register(Some(&home), 1, &format!("s:{n}"), |_| true).unwrap();
        }
        assert_eq!(registry.register(Some(&home), 1, "s:more", |_| true), Err(RegisterRefusal::TooMany));
        assert_eq!(registry.register(Some(&home), 1, "s:0", |_| true), Ok(()));
        for socket in 2..100 {
            registry.register(Some(&home), socket, "s:0", |_| true).unwrap();
        }
        assert_eq!(registry.len(), limits::METHODS_PER_SOCKET - 1 + limits::OWNERS_PER_METHOD);
        (1..100).for_each(|socket| registry.left(socket));
        assert!(registry.is_empty());
    }

    proptest! {
        /// A target is always a socket that is there and registered; once all have left, nothing is kept.
        #[test]
        fn targets_are_there(steps in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u8..3), 0..80)) {
            let (mut registry, home) = (Registry::default(), name("default"));
            let mut model: Vec<(u8, u8)> = Vec::new();
            for (what, socket, which) in steps {
                let text = format!("s:{which}");
                if what == 0 {
                    registry.register(Some(&home), socket, &text, |_| true).unwrap();
                    model.retain(|one| *one != (socket, which));
                    model.push((socket, which));
                } else if what == 1 {
                    registry.unregister(&home, socket, &text);
                    model.retain(|one| *one != (socket, which));
                } else {
                    registry.left(socket);
                    model.retain(|(owner, _)| *owner != socket);
                }
                for which in 0..3 {
                    let wanted = model.iter().rev().find(|one| one.1 == which).map(|one| one.0);
                    prop_assert_eq!(registry.target(&home, &method(&format!("s:{which}"))).ok(), wanted);
                }
                prop_assert_eq!(registry.len(), model.len());
            }
            (0..4).for_each(|socket| registry.left(socket));
            prop_assert!(registry.is_empty());
        }
    }
}
