//! How metadata changes: what a new value takes over from the old one, and what the hub writes itself.

use serde_json::{Map, Value};

use super::faults::Fault;
use super::fields::Fields;
use super::limits;
use hxa_domain::limits::fits_utf16;

/// Keys that a new value of a session's metadata takes over where it lacks them: they say where the session runs and which
/// conversation it goes on with, and older clients leave them out.
const CARRIED_OVER: [&str; 13] = [
    "path",
    "host",
    "flavor",
    "machineId",
    "claudeSessionId",
    "codexSessionId",
    "geminiSessionId",
    "opencodeSessionId",
    "grokSessionId",
    "cursorSessionId",
    "kimiSessionId",
    "copilotSessionId",
    "piSessionId",
];
/// Carried over as well, unless the new value has another conversation, whose protocol may differ.
const CURSOR_PROTOCOL: &str = "cursorSessionProtocol";
/// The conversation that [`CURSOR_PROTOCOL`] belongs to.
const CURSOR_SESSION: &str = "cursorSessionId";
/// Keys that only the hub writes.
const HUB_OWNED: [&str; 2] = ["supersededBySessionId", "opencodeClearOperation"];
/// Keys of a machine's metadata that describe the running runner: it deletes them by leaving them out.
const OF_RUNNER: [&str; 4] = ["capabilities", "supervisedRestart", "startedCliMtimeMs", "installedCliMtimeMs"];

/// The metadata of a session that a client's value leads to. Null for a key that is carried over removes it.
#[must_use]
pub fn merge_session(old: &Value, next: Value) -> Value {
    let Value::Object(mut next) = next else { return next };
    let none = Map::new();
    let old = old.as_object().unwrap_or(&none);
    let has_new_conversation = next.contains_key(CURSOR_SESSION);
    for key in CARRIED_OVER {
        carry_over(old, &mut next, key);
    }
    if !has_new_conversation {
        carry_over(old, &mut next, CURSOR_PROTOCOL);
    }
    for key in HUB_OWNED {
        match old.get(key) {
            Some(value) => next.insert(key.to_owned(), value.clone()),
            None => next.shift_remove(key),
        };
    }
    Value::Object(next)
}

fn carry_over(old: &Map<String, Value>, next: &mut Map<String, Value>, key: &str) {
    match (next.get(key), old.get(key)) {
        (Some(Value::Null), _) => drop(next.shift_remove(key)),
        (None, Some(value)) => drop(next.insert(key.to_owned(), value.clone())),
        _ => {}
    }
}

/// The metadata of a session that a client brings when it makes the session: without the hub's own keys.
#[must_use]
pub fn first_of_session(given: Value) -> Value {
    merge_session(&Value::Null, given)
}

/// The metadata of a machine that registers once more: the new keys over the old ones. With the state of a runner it is the
/// runner that registers, and its keys that it leaves out are deleted.
#[must_use]
pub fn merge_machine(old: &Value, next: Value, is_runner: bool) -> Value {
    let Value::Object(next) = next else { return old.clone() };
    let mut merged = old.as_object().cloned().unwrap_or_default();
    if is_runner {
        OF_RUNNER.iter().filter(|key| !next.contains_key(**key)).for_each(|key| drop(merged.shift_remove(*key)));
    }
    merged.extend(next);
    Value::Object(merged)
}

/// The state of a runner that registers once more: what is known stays, as the runner changes it by updates, but for its
/// capabilities. A state that is not known yet is taken.
#[must_use]
pub fn merge_runner_state(old: &Value, next: Value) -> Value {
    let (Value::Object(old), Value::Object(mut next)) = (old, next.clone()) else {
        return if old.is_null() { next } else { old.clone() };
    };
    let mut merged = old.clone();
    if let Some(capabilities) = next.shift_remove("capabilities") {
        merged.insert("capabilities".to_owned(), capabilities);
    }
    Value::Object(merged)
}

/// Reads the body by which a person names a session: `{name}`, 1 to 255 characters.
///
/// # Errors
/// What is wrong with it.
pub fn read_session_name(body: Value) -> Result<String, Fault> {
    Fields::of(body)?.text("name", limits::SESSION_NAME_UNITS)
}

/// The metadata of a session with a name.
#[must_use]
pub fn with_session_name(metadata: &Value, name: &str) -> Value {
    let mut metadata = metadata.as_object().cloned().unwrap_or_default();
    metadata.insert("name".to_owned(), Value::from(name));
    Value::Object(metadata)
}

/// The metadata of a machine with a name for people: trimmed, at most 64 characters then, and blank removes it.
///
/// # Errors
/// It is too long.
pub fn with_display_name(metadata: &Value, name: &str) -> Result<Value, Fault> {
    let (name, most) = (name.trim(), limits::MACHINE_NAME_UNITS);
    if !fits_utf16(name, most) {
        return Err(Fault::new("displayName", format!("Must have at most {most} characters")));
    }
    let mut metadata = metadata.as_object().cloned().unwrap_or_default();
    if name.is_empty() {
        metadata.shift_remove("displayName");
    } else {
        metadata.insert("displayName".to_owned(), Value::from(name));
    }
    Ok(Value::Object(metadata))
}

/// The metadata of a session as clients see it: null unless it says path and host, without which they cannot show it.
#[must_use]
pub fn served_of_session(metadata: &Value) -> &Value {
    static NULL: Value = Value::Null;
    let has = |key: &str| metadata.get(key).is_some_and(Value::is_string);
    if has("path") && has("host") { metadata } else { &NULL }
}

/// The bot that a session says it is bound to, by name or id.
#[must_use]
pub fn bot_of_session(metadata: &Value) -> Option<&str> {
    metadata.get("hxa_bot").and_then(Value::as_str).filter(|bot| !bot.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn sessions_keep_where_they_run() {
        let old = json!({"path": "/p", "host": "h", "codexSessionId": "c", "agySessionId": "a", "summary": "s"});
        let merged = merge_session(&old, json!({"host": "other"}));
        assert_eq!(merged, json!({"host": "other", "path": "/p", "codexSessionId": "c"}));
        let merged = merge_session(&old, json!({"codexSessionId": null, "path": "/q", "note": null}));
        assert_eq!(merged, json!({"path": "/q", "note": null, "host": "h"}));
    }

    #[test]
    fn the_protocol_of_a_conversation_goes_with_it() {
        let old = json!({"cursorSessionId": "1", "cursorSessionProtocol": "acp"});
        assert_eq!(merge_session(&old, json!({})), old);
        assert_eq!(merge_session(&old, json!({"cursorSessionId": "2"})), json!({"cursorSessionId": "2"}));
        assert_eq!(merge_session(&old, json!({"cursorSessionId": null})), json!({}));
    }

    #[test]
    fn keys_of_the_hub_come_from_the_hub() {
        let old = json!({"supersededBySessionId": "x"});
        let given = json!({"supersededBySessionId": "forged", "opencodeClearOperation": {"a": 1}});
        assert_eq!(merge_session(&old, given.clone()), old);
        assert_eq!(first_of_session(given), json!({}));
        assert_eq!(merge_session(&old, json!({"supersededBySessionId": null})), old);
    }

    #[test]
    fn machines_merge_and_runners_delete() {
        let old = json!({"host": "h", "displayName": "d", "capabilities": ["a"], "startedCliMtimeMs": 5});
        assert_eq!(merge_machine(&old, json!({"host": "h"}), false), old);
        let merged = merge_machine(&old, json!({"host": "i", "startedCliMtimeMs": 6}), true);
        assert_eq!(merged, json!({"host": "i", "displayName": "d", "startedCliMtimeMs": 6}));
    }

    #[test]
    fn the_state_of_a_runner_stays_but_for_its_capabilities() {
        let old = json!({"status": "running", "pid": 5, "capabilities": ["a"]});
        let merged = merge_runner_state(&old, json!({"status": "new", "capabilities": ["b"]}));
        assert_eq!(merged, json!({"status": "running", "pid": 5, "capabilities": ["b"]}));
        assert_eq!(merge_runner_state(&old, json!({"status": "new"})), old);
        assert_eq!(merge_runner_state(&old, Value::Null), old);
        assert_eq!(merge_runner_state(&Value::Null, json!({"status": "new"})), json!({"status": "new"}));
    }

    #[test]
    fn names_are_set_and_cleared() {
        assert_eq!(with_session_name(&json!({"path": "/p"}), "n"), json!({"path": "/p", "name": "n"}));
        let read = |name: &str| read_session_name(json!({ "name": name }));
        assert!(read("").is_err() && read(&"x".repeat(256)).is_err() && read_session_name(json!({})).is_err());
        assert_eq!(read(&"x".repeat(255)), Ok("x".repeat(255)));
        let named = with_display_name(&json!({"host": "h"}), &format!("  {}  ", "x".repeat(64))).unwrap();
        assert_eq!(named["displayName"], "x".repeat(64));
        assert_eq!(with_display_name(&named, "  ").unwrap(), json!({"host": "h"}));
        assert!(with_display_name(&named, &"x".repeat(65)).is_err());
    }

    #[test]
    fn metadata_without_a_folder_is_not_shown() {
        let whole = json!({"path": "/p", "host": "h"});
        assert_eq!(served_of_session(&whole), &whole);
        assert_eq!(served_of_session(&json!({"path": "/p"})), &Value::Null);
        assert_eq!(served_of_session(&json!({"path": 5, "host": "h"})), &Value::Null);
    }

    #[test]
    fn a_session_may_name_its_bot() {
        assert_eq!(bot_of_session(&json!({"hxa_bot": "ada"})), Some("ada"));
        assert_eq!(bot_of_session(&json!({"hxa_bot": ""})), None);
        assert_eq!(bot_of_session(&json!({"hxa_bot": 5})), None);
    }

    proptest! {
        /// Whatever a client sends, what the hub owns stays.
        #[test]
        fn clients_never_change_what_the_hub_owns(owned in any::<bool>(), forged in any::<Option<bool>>(), id in any::<Option<bool>>()) {
            let old = if owned { json!({"supersededBySessionId": "x"}) } else { json!({}) };
            let merged = merge_session(&old, json!({"supersededBySessionId": forged, "path": id}));
            prop_assert_eq!(merged.get("supersededBySessionId"), old.get("supersededBySessionId"));
            prop_assert!(!merged.get("path").is_some_and(Value::is_null));
        }
    }
}
