//! Acknowledgements of the events that have one of their own. An ack is sent where the client waits for one, and never else.

use serde_json::{Value, json};

use super::errors::SocketError;
use super::faults::Fault;
use super::words::RegisterRefusal;

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

/// The ack of an event that is malformed, or whose sender is limited, for those whose refusals go into the ack.
#[must_use]
pub fn of_fault(event: &str, fault: &Fault) -> Value {
    json!({ "ok": false, "error": SocketError::malformed(event, fault) })
}

/// The ack of an event that belongs to a part of the protocol that this hub does not have.
#[must_use]
pub fn declined() -> Value {
    json!({ "ok": false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::words::{AccessCode, Scope};

    #[test]
    fn acks_say_what_happened() {
        assert_eq!(of_register(Ok(())), json!({"ok": true}));
        assert_eq!(of_register(Err(RegisterRefusal::NotJoined)), json!({"ok": false, "code": "not-joined"}));
        assert_eq!(of_join(Ok(())), json!({"ok": true}));
        let refused = of_join(Err(SocketError::access(AccessCode::NotFound, Scope::Session, "s")));
        assert_eq!(refused["error"]["code"], "not-found");
        let ack = of_fault("join", &Fault::new("", "Expected object"));
        assert_eq!(ack, json!({"ok": false, "error": {"message": "Invalid join: Expected object"}}));
        assert_eq!(declined(), json!({"ok": false}));
    }
}
