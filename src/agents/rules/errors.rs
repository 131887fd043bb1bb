//! What a socket is told when an event of it is not accepted: the `error` event.

use serde::Serialize;

use super::faults::Fault;
use super::handshake::{Handshake, Identity, Joining};
use super::names::Namespace;
use super::words::{AccessCode, Scope};

/// The payload of the `error` event: `{message, code?, scope?, id?}`. `code` is only there for access; what is malformed has a
/// message alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SocketError {
    /// For people.
    pub message: String,
    /// Why there is no access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<AccessCode>,
    /// To what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// To which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl SocketError {
    /// The socket has no access to a session or machine.
    #[must_use]
    pub fn access(code: AccessCode, scope: Scope, id: impl Into<String>) -> Self {
        let message = match code {
            AccessCode::NamespaceMissing => "Namespace missing".to_owned(),
            AccessCode::AccessDenied => format!("{scope} access denied"),
            AccessCode::NotFound => format!("{scope} not found"),
        };
        Self { message, code: Some(code), scope: Some(scope), id: Some(id.into()) }
    }

    /// The socket named no namespace.
    #[must_use]
    pub fn namespace_missing() -> Self {
        Self {
            message: "Namespace missing".to_owned(),
            code: Some(AccessCode::NamespaceMissing),
            scope: None,
            id: None,
        }
    }

    /// An event is malformed.
    #[must_use]
    pub fn malformed(event: &str, fault: &Fault) -> Self {
        Self { message: format!("Invalid {event}: {fault}"), code: None, scope: None, id: None }
    }
}

/// What a socket is told right after connect, besides the ids that it cannot join: a missing namespace, and ids that are none.
#[must_use]
pub fn errors_of_handshake(handshake: &Handshake) -> Vec<SocketError> {
    if handshake.identity == Identity::Missing {
        return vec![SocketError::namespace_missing()];
    }
    let bad = |joining: &Joining| match joining {
        Joining::Bad(fault) => Some(SocketError::malformed("auth", fault)),
        Joining::Nothing | Joining::Id(_) => None,
    };
    [&handshake.session_id, &handshake.machine_id].into_iter().filter_map(bad).collect()
}

/// Where an id is found, as far as a namespace may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In the namespace.
    Here,
    /// In another one.
    Elsewhere,
    /// Nowhere.
    Nowhere,
}

impl Found {
    /// Whether an event may go on.
    ///
    /// # Errors
    /// Why not. That an id exists elsewhere is told, since clients tell the two apart; ids are random.
    pub const fn access(self) -> Result<(), AccessCode> {
        match self {
            Self::Here => Ok(()),
            Self::Elsewhere => Err(AccessCode::AccessDenied),
            Self::Nowhere => Err(AccessCode::NotFound),
        }
    }
}

/// The namespace in which an event may go on. `find` looks its subject up, as far as that namespace may know.
///
/// # Errors
/// The socket has no namespace, or its namespace has no such thing.
pub fn authorize(identity: &Identity, find: impl FnOnce(&Namespace) -> Found) -> Result<&Namespace, AccessCode> {
    match identity {
        Identity::Missing => Err(AccessCode::NamespaceMissing),
        Identity::Of(namespace) => find(namespace).access().map(|()| namespace),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn errors_have_the_protocols_shape() {
        let error = SocketError::access(AccessCode::AccessDenied, Scope::Session, "s1");
        let wanted =
            json!({"message": "session access denied", "code": "access-denied", "scope": "session", "id": "s1"});
        assert_eq!(to_value(error).unwrap(), wanted);
        let error = SocketError::access(AccessCode::NotFound, Scope::Machine, "m1");
        assert_eq!(error.message, "machine not found");
        let wanted = json!({"message": "Namespace missing", "code": "namespace-missing"});
        assert_eq!(to_value(SocketError::namespace_missing()).unwrap(), wanted);
        let error = SocketError::malformed("session-alive", &Fault::new("sid", "Required"));
        assert_eq!(to_value(error).unwrap(), json!({"message": "Invalid session-alive: sid: Required"}));
    }

    #[test]
    fn a_handshake_is_answered_with_what_is_wrong() {
        let handshake = |identity, session_id| Handshake { identity, session_id, machine_id: Joining::Nothing };
        let bad = Joining::Bad(Fault::new("sessionId", "Must not be empty"));
        let named = Identity::Of(Namespace::default_name());
        assert_eq!(errors_of_handshake(&handshake(Identity::Missing, bad.clone())), [SocketError::namespace_missing()]);
        let told = errors_of_handshake(&handshake(named.clone(), bad));
        assert_eq!(told[0].message, "Invalid auth: sessionId: Must not be empty");
        assert!(errors_of_handshake(&handshake(named, Joining::Id("s".to_owned()))).is_empty());
    }

    #[test]
    fn only_what_is_here_is_accessible() {
        assert_eq!(Found::Here.access(), Ok(()));
        assert_eq!(Found::Elsewhere.access(), Err(AccessCode::AccessDenied));
        assert_eq!(Found::Nowhere.access(), Err(AccessCode::NotFound));
    }

    #[test]
    fn without_a_namespace_nothing_is_looked_up() {
        let looked_up = |_: &Namespace| panic!("looked up");
        assert_eq!(authorize(&Identity::Missing, looked_up), Err(AccessCode::NamespaceMissing));
        let identity = Identity::Of(Namespace::default_name());
        assert_eq!(authorize(&identity, |_| Found::Here), Ok(&Namespace::default_name()));
        assert_eq!(authorize(&identity, |_| Found::Elsewhere), Err(AccessCode::AccessDenied));
    }
}
