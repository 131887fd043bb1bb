//! Acknowledgements of the events that have one of their own. An ack is sent where the client waits for one, and never else.

use serde_json::{Value, json};

use super::errors::SocketError;
use super::events::EventName;
use super::faults::Fault;
use super::words::{AccessCode, RegisterRefusal, Scope, UpdateResult};

/// The ack of `rpc-register`: `{ok: true}`, or `{ok: false, code}`.
#[must_use]
pub fn of_register(result: Result<(), RegisterRefusal>) -> Value {
    match result {
        Ok(()) => json!({ "ok": true }),
        Err(code) => json!({ "ok": false, "code": code }),
    }
}

/// The ack of `join`: `{ok: true}`, or `{ok: false}` with what the `error` event would say.
#[must_use]
pub fn of_join(result: Result<(), SocketError>) -> Value {
    match result {
        Ok(()) => json!({ "ok": true }),
        Err(error) => json!({ "ok": false, "error": error }),
    }
}

/// How a socket hears that an event of it was not accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// In the ack.
    Ack(Value),
    /// By the `error` event.
    Error(SocketError),
}

/// What a malformed event is answered with. `has_ack` says whether the client waits for an ack; what would be told in an ack is
/// told by the `error` event where it does not.
#[must_use]
pub fn of_malformed(name: EventName, fault: &Fault, has_ack: bool) -> Told {
    let error = SocketError::malformed(name.as_str(), fault);
    match name {
        _ if !has_ack || name.tells_by_error() => Told::Error(error),
        EventName::RpcRegister | EventName::RpcUnregister => Told::Ack(of_register(Err(RegisterRefusal::BadMethod))),
        EventName::Join => Told::Ack(of_join(Err(error))),
        _ => Told::Ack(json!({ "result": UpdateResult::Error })),
    }
}

/// What an event about something out of reach is answered with.
#[must_use]
pub fn of_no_access(name: EventName, code: AccessCode, scope: Scope, id: &str, has_ack: bool) -> Told {
    let error = SocketError::access(code, scope, id);
    match name {
        _ if !has_ack || name.tells_by_error() => Told::Error(error),
        EventName::Join => Told::Ack(of_join(Err(error))),
        _ => Told::Ack(json!({ "result": UpdateResult::Error, "reason": code })),
    }
}

/// The ack of an event that belongs to a part of the protocol that this hub does not have.
#[must_use]
pub fn declined() -> Value {
    json!({ "ok": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_say_what_happened() {
        assert_eq!(of_register(Ok(())), json!({"ok": true}));
        assert_eq!(of_register(Err(RegisterRefusal::NotJoined)), json!({"ok": false, "code": "not-joined"}));
        assert_eq!(of_join(Ok(())), json!({"ok": true}));
        let refused = of_join(Err(SocketError::access(AccessCode::NotFound, Scope::Session, "s")));
        assert_eq!(refused["error"]["code"], "not-found");
        assert_eq!(declined(), json!({"ok": false}));
    }

    #[test]
    fn refusals_go_where_the_client_looks() {
        let fault = Fault::new("sid", "Required");
        let malformed = |name, has_ack| of_malformed(name, &fault, has_ack);
        assert_eq!(malformed(EventName::UpdateState, true), Told::Ack(json!({"result": "error"})));
        let error = SocketError::malformed("update-state", &fault);
        assert_eq!(malformed(EventName::UpdateState, false), Told::Error(error));
        assert!(matches!(malformed(EventName::SessionAlive, true), Told::Error(_)));
        assert_eq!(malformed(EventName::RpcRegister, true), Told::Ack(json!({"ok": false, "code": "bad-method"})));
        assert!(matches!(malformed(EventName::Join, true), Told::Ack(_)));
        let (code, scope) = (AccessCode::AccessDenied, Scope::Session);
        let wanted = json!({"result": "error", "reason": "access-denied"});
        assert_eq!(of_no_access(EventName::UpdateMetadata, code, scope, "s", true), Told::Ack(wanted));
        let error = SocketError::access(code, scope, "s");
        assert_eq!(of_no_access(EventName::Message, code, scope, "s", true), Told::Error(error));
    }
}
