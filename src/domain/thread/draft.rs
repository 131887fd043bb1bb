//! A request for a new thread.
//!
//! Shapes are checked here in the protocol's order. Whether the named bots and the channel exist is for the caller to
//! check, which knows the organisation. The caller also removes a bot named twice and the initiator itself, because
//! only the caller can tell that an id and a name denote the same bot.

use serde_json::Value;

use super::{Access, JoinPolicy, Visibility, check_participant_count, choice, context, tags};
use crate::draft::Draft;
use crate::error::ApiResult;
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::policy::{self, PermissionPolicy};
use crate::text::{Fields, limit_units, optional, refuse_nul, required, wrong_type};

/// The checked fields of a new thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadDraft {
    /// The headline, exactly as given.
    pub topic: String,
    /// Tags; `None` when none were given at all.
    pub tags: Option<Vec<String>>,
    /// Ids or names of the bots to take part besides the initiator.
    pub participants: Vec<String>,
    /// Id of the channel the thread grew out of; a mere marker.
    pub channel_id: Option<String>,
    /// Background for participants.
    pub context: Option<String>,
    /// Who may do what.
    pub permission_policy: Option<PermissionPolicy>,
    /// How it is found and joined.
    pub access: Access,
}

impl Draft for ThreadDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let topic = required("topic", body.get("topic"))?;
        limit_units("topic", topic, limits::TOPIC_UNITS)?;
        let tags = tags(body.get("tags"))?;
        let participants = participants(body.get("participants"))?;
        let channel_id = optional("channel_id", body.get("channel_id"))?.map(str::to_owned);
        let context = context(body.get("context"))?.flatten();
        let permission_policy = match body.get("permission_policy") {
            Some(value) => PermissionPolicy::from_request(value)?,
            None => None,
        };
        let visibility = match body.get("visibility") {
            Some(value) => choice("visibility", value, Visibility::parse, Visibility::accepted)?,
            None => None,
        };
        let join_policy = match body.get("join_policy") {
            Some(value) => choice("join_policy", value, JoinPolicy::parse, JoinPolicy::accepted)?,
            None => None,
        };
        let access = Access::of_new(visibility, join_policy);
        Ok(Self { topic: topic.to_owned(), tags, participants, channel_id, context, permission_policy, access })
    }

    fn form() -> Form {
        let participants = form::list(form::text(), limits::PARTICIPANTS);
        Form::new("A new thread.")
            .needs("topic", form::filled(limits::TOPIC_UNITS), "Its headline.")
            .takes("tags", super::tags_schema(), "Its tags; blank ones are dropped.")
            .takes("participants", participants, "Ids or names of the bots that take part besides the caller.")
            .takes("channel_id", form::nullable(form::text()), "The channel it grew out of; only kept.")
            .takes("context", form::any(), "Background for participants, kept as text.")
            .takes("permission_policy", form::nullable(policy::schema()), "Who may do what.")
            .takes("visibility", super::visibility_schema(), "Who can find it; `public` if absent.")
            .takes("join_policy", super::join_policy_schema(), "How it is joined; `open` if absent.")
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<policy::PermissionPolicy>()
    }
}

schemas_of_drafts!(ThreadDraft);

/// The bots named in a request; absent is none, null is refused.
fn participants(value: Option<&Value>) -> ApiResult<Vec<String>> {
    let wanted = "an array of bot ids or names";
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("participants", wanted, other)),
    };
    check_participant_count(items.len())?;
    let names = items.iter().map(|item| match item {
        Value::String(name) => refuse_nul("participants", name).map(|()| name.clone()),
        other => Err(wrong_type("participants", wanted, other)),
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> ApiResult<ThreadDraft> {
        ThreadDraft::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn the_smallest_thread_has_a_topic() {
        let draft = read(json!({"topic": " ", "type": "request"})).unwrap();
        assert_eq!(draft.topic, " ");
        assert_eq!((draft.tags, draft.context, draft.permission_policy), (None, None, None));
        assert_eq!(draft.access, Access::of_new(None, None));
        assert!(read(json!({})).unwrap_err().message().contains("topic is required"));
    }

    #[test]
    fn every_field_is_read() {
        let draft = read(json!({
            "topic": "t", "tags": ["a"], "participants": ["bob"], "channel_id": "c", "context": {"k": 1},
            "permission_policy": {"write": ["*"]}, "visibility": "private", "join_policy": "open",
        }))
        .unwrap();
        assert_eq!(draft.participants, ["bob"]);
        assert_eq!(draft.channel_id.as_deref(), Some("c"));
        assert_eq!(draft.context.as_deref(), Some(r#"{"k":1}"#));
        assert_eq!(draft.permission_policy.unwrap().text(), r#"{"write":["*"]}"#);
        assert_eq!(draft.access.join_policy, JoinPolicy::InviteOnly);
    }

    #[test]
    fn wrong_shapes_are_refused_in_order() {
        let cases = [
            (json!({"topic": 1, "tags": 1}), "topic"),
            (json!({"topic": "t\u{0}"}), "topic"),
            (json!({"topic": "t".repeat(4097)}), "topic"),
            (json!({"topic": "t", "tags": 1, "participants": null}), "tags"),
            (json!({"topic": "t", "participants": null, "context": 1}), "participants"),
            (json!({"topic": "t", "participants": [1]}), "participants"),
            (json!({"topic": "t", "participants": vec!["b"; 201]}), "participants"),
            (json!({"topic": "t", "channel_id": 1, "permission_policy": 1}), "channel_id"),
            (json!({"topic": "t", "permission_policy": 1, "visibility": 1}), "permission_policy"),
            (json!({"topic": "t", "visibility": "secret", "join_policy": 1}), "visibility"),
            (json!({"topic": "t", "join_policy": "never"}), "join_policy"),
        ];
        for (body, field) in cases {
            let refusal = read(body).unwrap_err();
            assert_eq!(refusal.status(), 400);
            assert!(refusal.message().contains(field), "{field}: {}", refusal.message());
        }
    }

    #[test]
    fn null_means_the_default_where_there_is_one() {
        let draft = read(json!({
            "topic": "t", "tags": null, "channel_id": null, "context": null, "permission_policy": null,
            "visibility": null, "join_policy": null,
        }))
        .unwrap();
        assert_eq!(draft, read(json!({"topic": "t"})).unwrap());
    }
}
