//! The vocabulary of old clients: a pure translation between them and the hub's own protocol.
//!
//! Clients from before 1.1 call bots agents, give a thread a `type`, read a message's metadata as text and know fields
//! that were removed. The code that talks to them, REST under `/v0` or a socket opened there, translates input and
//! output through this file; actors, store and domain know one protocol only. Objects are recognised by their fields,
//! and user data (metadata of bots, parts, details) is never changed.

use actix_web::dev::Extensions;
use actix_web::{HttpMessage, HttpRequest};
use serde_json::{Map, Value};

use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::frame::{Labelled, REF};
use hxa_domain::text::{Fields, wrong_type};
use hxa_domain::thread::Transitions;

/// The kinds of thread that old clients know; newer ones have tags of that name.
const THREAD_TYPES: [&str; 3] = ["discussion", "request", "collab"];
/// The kind of a thread that carries none of these tags.
const DEFAULT_TYPE: &str = "discussion";
/// Fields whose content belongs to users.
const OPAQUE: [&str; 4] = ["metadata", "protocols", "parts", "detail"];

/// Which words a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Those of the documentation.
    #[default]
    Current,
    /// Those of clients from before 1.1.
    V0,
}

impl Dialect {
    /// The dialect noted in a request's extensions.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// The dialect that a request is written in.
    #[must_use]
    pub fn of_request(request: &HttpRequest) -> Self {
        Self::of(&request.extensions())
    }

    /// Whether a socket may be opened with a token in its address, as it was done before there were tickets.
    #[must_use]
    pub fn opens_by_token(self) -> bool {
        self == Self::V0
    }

    /// How a thread's change of state is judged.
    #[must_use]
    pub fn transitions(self) -> Transitions {
        match self {
            Self::Current => Transitions::Strict,
            Self::V0 => Transitions::Lenient,
        }
    }

    /// Translates the body of a request to `route` (`METHOD /template`).
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a `type` of thread that never was.
    pub fn request(self, route: &str, body: &mut Fields) -> ApiResult<()> {
        match (self, route) {
            (Self::V0, "POST /api/threads") => type_to_tag(body),
            (Self::V0, "POST /api/threads/{id}/messages") => {
                quote_metadata(body);
                Ok(())
            }
            (Self::V0, "POST /api/threads/{id}/participants" | "POST /api/org/threads/{id}/participants") => {
                agent_to_bot(body);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Translates a frame of a client; `kind` is the operation it names.
    pub fn operation(self, kind: &str, fields: &mut Fields) {
        match (self, kind) {
            (Self::V0, "send_thread_message") => quote_metadata(fields),
            (Self::V0, "thread_invite" | "thread_remove_participant") => agent_to_bot(fields),
            _ => {}
        }
    }

    /// The status that a list is filtered by: what old clients call open is active from the start.
    #[must_use]
    pub fn status_filter(self, status: Option<&str>) -> Option<&str> {
        match (self, status) {
            (Self::V0, Some("open")) => Some("active"),
            (_, status) => status,
        }
    }

    /// Translates the JSON of an answer.
    pub fn answer(self, value: &mut Value) {
        if self == Self::V0 {
            walk(value);
        }
    }

    /// [`Self::answer`] for a body; none when it is no JSON.
    #[must_use]
    pub fn translate_body(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut value = serde_json::from_slice(body).ok()?;
        self.answer(&mut value);
        serde_json::to_vec(&value).ok()
    }

    /// Translates a frame of the hub: an event, an answer, or an answer that holds events. `None` when it stays as it is.
    #[must_use]
    pub fn frame(self, frame: &str) -> Option<String> {
        if self == Self::Current {
            return None;
        }
        // The hub's own frames are JSON objects; anything else is none of the dialect's business.
        let Ok(Labelled { reference, mut fields }) = serde_json::from_str(frame) else { return None };
        if let Some(Value::Array(events)) = fields.get_mut("result").and_then(|result| result.get_mut("events")) {
            for event in events.iter_mut().filter_map(Value::as_object_mut) {
                *event = rename(std::mem::take(event));
            }
        }
        let mut frame = Value::Object(rename(fields));
        walk(&mut frame);
        let text = frame.to_string();
        // A `ref` is the client's own and comes back as it was.
        Some(match (reference, text.strip_prefix('{')) {
            (Some(reference), Some(rest)) => format!("{{\"{REF}\":{},{rest}", reference.get()),
            _ => text,
        })
    }
}

/// A thread's `type` becomes its first tag, from which it is read again.
fn type_to_tag(body: &mut Fields) -> ApiResult<()> {
    let accepted = THREAD_TYPES.join(", ");
    let kind = match body.shift_remove("type") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(kind)) if THREAD_TYPES.contains(&kind.as_str()) => kind,
        Some(Value::String(kind)) => {
            return Err(ApiError::validation(format!("Invalid type {kind:?} (accepted: {accepted})")));
        }
        Some(other) => return Err(wrong_type("type", &format!("one of {accepted}"), &other)),
    };
    match body.get_mut("tags") {
        None | Some(Value::Null) => {
            body.insert("tags".to_owned(), Value::Array(vec![kind.into()]));
        }
        Some(Value::Array(tags)) => {
            tags.retain(|tag| tag.as_str() != Some(&kind));
            tags.insert(0, kind.into());
        }
        // Refused by whoever reads the tags.
        Some(_) => {}
    }
    Ok(())
}

/// Text that is no JSON structure is quoted, so that it comes back as the text that it was.
fn quote_metadata(body: &mut Fields) {
    if let Some(Value::String(text)) = body.get_mut("metadata")
        && matches!(serde_json::from_str(text), Err(_) | Ok(Value::String(_)))
    {
        *text = Value::from(text.as_str()).to_string();
    }
}

fn agent_to_bot(body: &mut Fields) {
    if !body.contains_key("bot_id")
        && let Some(agent) = body.shift_remove("agent_id")
    {
        body.insert("bot_id".to_owned(), agent);
    }
}

/// A top-level frame: bots are agents, and the one error code that old clients look at is in small letters.
fn rename(fields: Map<String, Value>) -> Map<String, Value> {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "error" && fields.get("code").and_then(Value::as_str) == Some(ErrorCode::RateLimited.token()) {
        let mut fields = fields;
        fields.insert("code".to_owned(), ErrorCode::RateLimited.token().to_lowercase().into());
        return fields;
    }
    let Some(what) = kind.strip_prefix("bot_").map(|what| format!("agent_{what}")) else { return fields };
    let translate = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("type", _) => (key, Value::from(what.as_str())),
        ("bot", Value::Object(mut bot)) => {
            bot.insert("display_name".to_owned(), Value::Null);
            ("agent".to_owned(), Value::Object(bot))
        }
        (_, value) => (key, value),
    };
    fields.into_iter().map(translate).collect()
}

/// Completes every object of an answer that old clients know with other fields.
fn walk(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(fields) => {
            fields.iter_mut().filter(|(key, _)| !OPAQUE.contains(&key.as_str())).for_each(|(_, value)| walk(value));
            complete(fields);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn complete(fields: &mut Map<String, Value>) {
    for (new, old) in [("bot_id", "agent_id"), ("bot_name", "agent_name")] {
        if let Some(value) = fields.get(new).cloned() {
            fields.entry(old).or_insert(value);
        }
    }
    let has = |keys: &[&str]| keys.iter().all(|key| fields.contains_key(*key));
    let (is_thread, is_bot) = (has(&["topic", "join_policy"]), has(&["name", "online"]));
    let is_message = has(&["thread_id", "content_type", "metadata"]);
    if is_thread {
        let kind = thread_type(fields.get("tags"));
        fields.entry("type").or_insert_with(|| kind.into());
    }
    if is_bot {
        fields.entry("display_name").or_insert(Value::Null);
    }
    if is_message && let Some(metadata) = fields.get_mut("metadata") {
        let text = match metadata.take() {
            Value::Null => Value::Null,
            Value::String(text) => Value::String(text),
            other => Value::String(other.to_string()),
        };
        *metadata = text;
    }
}

/// The first tag that is a type.
fn thread_type(tags: Option<&Value>) -> &'static str {
    let mut tags = tags.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    tags.find_map(|tag| THREAD_TYPES.into_iter().find(|kind| *kind == tag)).unwrap_or(DEFAULT_TYPE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requested(route: &str, body: Value) -> ApiResult<Value> {
        let Value::Object(mut fields) = body else { return Ok(body) };
        Dialect::V0.request(route, &mut fields).map(|()| Value::Object(fields))
    }

    fn answered(mut value: Value) -> Value {
        Dialect::V0.answer(&mut value);
        value
    }

    fn framed(frame: &Value) -> Value {
        serde_json::from_str(&Dialect::V0.frame(&frame.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn a_type_is_the_first_tag() {
        let create = |body| requested("POST /api/threads", body);
        assert_eq!(create(json!({"type": "request"})).unwrap(), json!({"tags": ["request"]}));
        let tagged = json!({"type": "collab", "tags": ["request", "a", "collab"]});
        assert_eq!(create(tagged).unwrap(), json!({"tags": ["collab", "request", "a"]}));
        for none in [json!({"type": null, "tags": ["a"]}), json!({"tags": ["a"]})] {
            assert_eq!(create(none).unwrap(), json!({"tags": ["a"]}));
        }
        assert!(create(json!({"type": "party"})).unwrap_err().message().contains("discussion, request, collab"));
        assert!(create(json!({"type": 1})).is_err());
    }

    #[test]
    fn metadata_is_text_and_comes_back_as_it_was() {
        let stored = |metadata: Value| {
            let body = requested("POST /api/threads/{id}/messages", json!({"metadata": metadata})).unwrap();
            match &body["metadata"] {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                other => other.clone(),
            }
        };
        let shown = |metadata: Value| {
            answered(json!({"thread_id": "t", "content_type": "text", "metadata": metadata}))["metadata"].clone()
        };
        for text in ["plain", "\"quoted\"", "{\"a\":1}", "[1]", "5", ""] {
            assert_eq!(shown(stored(text.into())), text, "{text}");
        }
        assert_eq!(shown(stored(json!({"a": [1, "x"]}))), "{\"a\":[1,\"x\"]}");
        assert_eq!(shown(stored(Value::Null)), Value::Null);
    }

    #[test]
    fn agents_are_named_beside_bots() {
        let participant = answered(json!([{"bot_id": "b", "bot_name": "x", "name": "x", "online": true}]));
        let expected = json!([{
            "bot_id": "b", "bot_name": "x", "name": "x", "online": true,
            "agent_id": "b", "agent_name": "x", "display_name": null,
        }]);
        assert_eq!(participant, expected);
        let invite = requested("POST /api/threads/{id}/participants", json!({"agent_id": "b"})).unwrap();
        assert_eq!(invite, json!({"bot_id": "b"}));
    }

    #[test]
    fn threads_show_their_type() {
        let of = |tags: Value| answered(json!({"topic": "t", "join_policy": "open", "tags": tags}))["type"].clone();
        assert_eq!(of(json!(null)), "discussion");
        assert_eq!(of(json!(["a", "collab", "request"])), "collab");
        assert_eq!(of(json!(["a"])), "discussion");
    }

    #[test]
    fn what_users_put_in_is_left_alone() {
        let own = json!({"bot_id": "x", "topic": "t", "join_policy": "j", "name": "n", "online": 1});
        for key in OPAQUE {
            assert_eq!(answered(json!({key: own})), json!({key: own}), "{key}");
        }
    }

    #[test]
    fn events_of_bots_are_events_of_agents() {
        let online = json!({"type": "bot_online", "bot": {"id": "b", "name": "x"}, "seq": 1});
        let agent = json!({"type": "agent_online", "agent": {"id": "b", "name": "x", "display_name": null}, "seq": 1});
        assert_eq!(framed(&online), agent);
        let resumed = json!({"type": "ack", "ref": 1, "result": {"events": [online]}});
        assert_eq!(framed(&resumed)["result"]["events"][0], agent);
        let odd = r#"{"type":"ack","ref":{"bot_id":1.0,"n":1e3},"result":{"bot_id":"b","name":"n"}}"#;
        let translated = Dialect::V0.frame(odd).unwrap();
        assert!(translated.starts_with(r#"{"ref":{"bot_id":1.0,"n":1e3},"type":"ack","#), "{translated}");
        assert_eq!(framed(&json!({"type": "error", "code": "RATE_LIMITED"}))["code"], "rate_limited");
        assert_eq!(framed(&json!({"type": "error", "code": "FORBIDDEN"}))["code"], "FORBIDDEN");
        assert_eq!(Dialect::Current.frame(&online.to_string()), None);
    }

    #[test]
    fn the_current_dialect_is_left_alone() {
        let mut body = json!({"type": "party"}).as_object().cloned().unwrap();
        Dialect::Current.request("POST /api/threads", &mut body).unwrap();
        assert_eq!(body.len(), 1);
        let mut answer = json!({"bot_id": "b"});
        Dialect::Current.answer(&mut answer);
        assert_eq!(answer, json!({"bot_id": "b"}));
        assert_eq!(Dialect::Current.status_filter(Some("open")), Some("open"));
        assert_eq!(Dialect::V0.status_filter(Some("open")), Some("active"));
    }
}
