//! What the routes' own calls ask of agents and machines, and what they make of the answers.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answers::RpcFailure;
use super::calls::read_timeout;
use crate::rules::faults::Fault;
use crate::rules::fields::{Fields, checked, wrong_type};
use crate::rules::limits;
use crate::rules::words::RpcCode;

/// Longest path: the limit of common file systems.
const PATH_UNITS: usize = 4_096;

/// The params of `abort`.
#[must_use]
pub fn abort(reason: &str) -> Value {
    json!({ "reason": reason })
}

/// The params of `switch`: the web takes over.
#[must_use]
pub fn switch_to_remote() -> Value {
    json!({ "to": "remote" })
}

/// A call of any method.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyCall {
    /// Its params.
    pub params: Value,
    /// Its time.
    pub timeout_ms: i64,
}

impl AnyCall {
    /// Reads `{params?, timeoutMs?}`.
    ///
    /// # Errors
    /// The time is none.
    pub fn read(body: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(body)?;
        let params = fields.take("params").unwrap_or_else(|| json!({}));
        let timeout_ms = read_timeout(fields.optional_time("timeoutMs")?)?;
        Ok(Self { params, timeout_ms })
    }
}

/// Reads the body of a spawn, `{directory, …}`, into the params of the machine's method. What the hub does not know is the
/// machine's to judge.
///
/// # Errors
/// There is no directory.
pub fn spawn(body: Value) -> Result<Value, Fault> {
    let mut fields = Fields::of(body)?;
    let directory = fields.text("directory", PATH_UNITS)?;
    let mut params = Map::new();
    params.insert("type".to_owned(), json!("spawn-in-directory"));
    params.insert("directory".to_owned(), Value::from(directory));
    params.extend(fields.rest().into_iter().filter(|(key, _)| key != "type"));
    Ok(Value::Object(params))
}

/// The answer to a spawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SpawnView {
    /// There is a session.
    Success {
        /// Its id.
        #[serde(rename = "sessionId")]
        session_id: String,
    },
    /// There is none.
    Error {
        /// Why.
        message: String,
    },
}

impl SpawnView {
    /// Reads the machine's answer. Whatever is no success is an error with a message; that the machine did not answer
    /// stays a failure.
    ///
    /// # Errors
    /// The machine did not answer.
    pub fn of(answer: Result<Value, RpcFailure>) -> Result<Self, RpcFailure> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.code == RpcCode::Error => return Ok(Self::Error { message: failure.error }),
            Err(failure) => return Err(failure),
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let message = match (text("type"), text("sessionId")) {
            (Some("success"), Some(id)) => return Ok(Self::Success { session_id: id.to_owned() }),
            (Some("requestToApproveDirectoryCreation"), _) => {
                format!("The directory {} does not exist", text("directory").unwrap_or_default())
            }
            _ => {
                text("errorMessage").or_else(|| text("error")).unwrap_or("The machine gave no known answer").to_owned()
            }
        };
        Ok(Self::Error { message })
    }
}

/// Reads `{paths}`: trimmed, without repetitions and blanks. With none left there is nothing to call for.
///
/// # Errors
/// There are too many, or one is empty.
pub fn paths(body: Value) -> Result<Vec<String>, Fault> {
    let items = match Fields::of(body)?.need("paths")? {
        Value::Array(items) if items.len() <= limits::PATHS => items,
        Value::Array(_) => return Err(Fault::new("paths", format!("Must have at most {} entries", limits::PATHS))),
        other => return Err(wrong_type("paths", "array", &other)),
    };
    let (mut seen, mut paths) = (HashSet::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("paths.{index}");
        let path = match item {
            Value::String(text) => checked(&place, text, PATH_UNITS)?,
            other => return Err(wrong_type(&place, "string", &other)),
        };
        let path = path.trim().to_owned();
        if !path.is_empty() && seen.insert(path.clone()) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The answer `{exists: {path: bool}}` for each path that was asked; only true counts.
#[must_use]
pub fn existing(paths: &[String], answer: &Value) -> Value {
    let exists = |path: &String| answer.get("exists").and_then(|all| all.get(path)) == Some(&Value::Bool(true));
    let all: Map<String, Value> = paths.iter().map(|path| (path.clone(), Value::from(exists(path)))).collect();
    json!({ "exists": all })
}

#[cfg(test)]
mod tests {
    use serde_json::to_value;

    use super::*;
    use crate::rules::words::MissingTarget;

    #[test]
    fn spawns_pass_on_what_they_are_given() {
        let params = spawn(json!({"directory": "/p", "agent": "codex", "type": "x", "later": 1})).unwrap();
        assert_eq!(params, json!({"type": "spawn-in-directory", "directory": "/p", "agent": "codex", "later": 1}));
        assert!(spawn(json!({})).is_err() && spawn(json!({"directory": ""})).is_err());
    }

    #[test]
    fn answers_to_a_spawn_are_success_or_error() {
        let view = |answer| to_value(SpawnView::of(Ok(answer)).unwrap()).unwrap();
        let success = json!({"type": "success", "sessionId": "s"});
        assert_eq!(view(success.clone()), success);
        assert_eq!(view(json!({"type": "error", "errorMessage": "no"})), json!({"type": "error", "message": "no"}));
        let creation = json!({"type": "requestToApproveDirectoryCreation", "directory": "/p"});
        assert_eq!(view(creation), json!({"type": "error", "message": "The directory /p does not exist"}));
        assert_eq!(view(json!("?"))["type"], "error");
        assert_eq!(view(json!({"type": "success"}))["type"], "error");
        let failed = SpawnView::of(Err(RpcFailure::of_agent("boom"))).unwrap();
        assert_eq!(failed, SpawnView::Error { message: "boom".to_owned() });
        assert!(SpawnView::of(Err(RpcFailure::missing("m:s", MissingTarget::NotRegistered))).is_err());
    }

    #[test]
    fn paths_are_trimmed_and_only_true_counts() {
        let asked = paths(json!({"paths": [" /a ", "/b", "/a", "  "]})).unwrap();
        assert_eq!(asked, ["/a", "/b"]);
        assert!(paths(json!({"paths": [""]})).is_err() && paths(json!({"paths": [1]})).is_err());
        assert!(paths(json!({"paths": vec!["/a"; 1_001]})).is_err());
        let answer = json!({"exists": {"/a": true, "/b": "yes", "/c": true}});
        assert_eq!(existing(&asked, &answer), json!({"exists": {"/a": true, "/b": false}}));
        assert_eq!(existing(&[], &Value::Null), json!({"exists": {}}));
    }

    #[test]
    fn any_call_has_params_and_time() {
        let call = AnyCall::read(json!({"params": [1], "timeoutMs": 500})).unwrap();
        assert_eq!(call, AnyCall { params: json!([1]), timeout_ms: 500 });
        assert_eq!(AnyCall::read(json!({})).unwrap(), AnyCall { params: json!({}), timeout_ms: 30_000 });
        assert!(AnyCall::read(json!({"timeoutMs": "5"})).is_err());
        assert!(AnyCall::read(json!({"timeoutMs": 5})).is_err());
    }
}
