//! The request for an agent's key.
//!
//! A key is a token of the agent's bot that covers requests to people and nothing else. The agent is named as its
//! program is configured: by a bot's name, which is a new bot's if there is none, or by a bot's id.

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::grants::{grant_label, label_schema};
use crate::limits;
use crate::profile::bot_reference;
use crate::query::integer;
use crate::scope::ScopeSet;
use crate::text::{Fields, kind};

/// Longest lifetime of a key, in seconds.
const LIFETIME_MAX_S: i64 = limits::LIFETIME_MAX_MS / 1000;

/// A request for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// The agent: a bot's id, or its name.
    pub agent: String,
    /// A note for admins.
    pub label: Option<String>,
    /// What the key covers.
    pub scopes: ScopeSet,
    /// Its lifetime in ms; `None` is without end.
    pub lifetime_ms: Option<i64>,
}

impl Draft for KeyRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let agent = bot_reference("agent_id", body.get("agent_id"))?;
        let label = grant_label(body)?;
        let scopes = match body.get("allow_respond") {
            None | Some(Value::Null | Value::Bool(false)) => ScopeSet::KEY,
            Some(Value::Bool(true)) => ScopeSet::RESPONDING_KEY,
            Some(other) => {
                return Err(ApiError::validation(format!("allow_respond must be true or false, not {}", kind(other))));
            }
        };
        Ok(Self { agent, label, scopes, lifetime_ms: lifetime_ms(body.get("expires_in"))? })
    }

    fn form() -> Form {
        Form::new("An agent's key.")
            .needs(
                "agent_id",
                form::filled(limits::BOT_NAME_BYTES),
                "The agent: the name of a bot, which is made if there is none, or a bot's id.",
            )
            .takes("label", label_schema(), "A note for admins.")
            .takes(
                "allow_respond",
                form::nullable(form::flag()),
                "Whether the key may also answer requests; false if absent.",
            )
            .takes(
                "expires_in",
                form::nullable(form::whole(1, LIFETIME_MAX_S)),
                "Its lifetime in seconds; endless if absent.",
            )
    }
}

schemas_of_drafts!(KeyRequest);

/// A lifetime in whole seconds above 0, in ms.
fn lifetime_ms(value: Option<&Value>) -> ApiResult<Option<i64>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let seconds = integer(value).filter(|seconds| (1..=LIFETIME_MAX_S).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        ApiError::validation(format!("expires_in must be an integer of seconds from 1 to {LIFETIME_MAX_S}"))
    })?;
    Ok(Some(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorCode;

    fn read(body: Value) -> ApiResult<KeyRequest> {
        KeyRequest::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn a_key_needs_an_agent_only() {
        let key = KeyRequest { agent: "ada".to_owned(), label: None, scopes: ScopeSet::KEY, lifetime_ms: None };
        assert_eq!(read(json!({"agent_id": "ada"})).unwrap(), key);
        let nulls = json!({"agent_id": "ada", "label": null, "allow_respond": null, "expires_in": null});
        assert_eq!(read(nulls).unwrap(), key);
        let full = json!({"agent_id": "ada", "label": "phone", "allow_respond": true, "expires_in": 60});
        let full = read(full).unwrap();
        assert_eq!((full.scopes, full.lifetime_ms), (ScopeSet::RESPONDING_KEY, Some(60_000)));
        assert_eq!(full.label.as_deref(), Some("phone"));
    }

    #[test]
    fn an_agent_is_a_bot_or_could_be_one() {
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(read(json!({"agent_id": id})).unwrap().agent, id);
        for (bad, words) in [
            (json!(null), "agent_id is required"),
            (json!(""), "agent_id is required"),
            (json!(7), "agent_id must be a string"),
            (json!("my agent"), "agent_id may only hold letters"),
            (json!("ops:lead"), "agent_id may only hold letters"),
            (json!("é"), "agent_id may only hold letters"),
            (json!("a".repeat(129)), "agent_id is too long"),
        ] {
            let refusal = read(json!({ "agent_id": bad })).unwrap_err();
            assert!(refusal.message().contains(words), "{words}: {}", refusal.message());
        }
        assert_eq!(read(json!({"agent_id": "all"})).unwrap_err().code(), ErrorCode::ReservedName);
    }

    #[test]
    fn lifetimes_are_whole_seconds() {
        assert_eq!(
            read(json!({"agent_id": "a", "expires_in": LIFETIME_MAX_S})).unwrap().lifetime_ms,
            Some(limits::LIFETIME_MAX_MS)
        );
        for bad in [json!(0), json!(-1), json!(1.5), json!("5"), json!(1e303), json!(LIFETIME_MAX_S + 1), json!([])] {
            assert!(read(json!({"agent_id": "a", "expires_in": bad})).is_err(), "{bad}");
        }
        for bad in [json!(1), json!("true"), json!({})] {
            assert!(read(json!({"agent_id": "a", "allow_respond": bad})).is_err(), "{bad}");
        }
        assert!(read(json!({"agent_id": "a", "label": 5})).is_err());
        assert!(read(json!({"agent_id": "a", "label": "l".repeat(257)})).is_err());
    }
}
