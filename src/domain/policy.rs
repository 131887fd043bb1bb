//! The permission policy of a thread.
//!
//! For each action, a policy lists the labels that grant it; `*` means everybody and `initiator` the bot that opened
//! the thread. A thread's own policy replaces the organisation's default. Without a list for an action everybody may do
//! it, except that only the initiator manages. A stored policy that cannot be parsed denies everything. Labels are free
//! text given by inviters, so a label `initiator` or `*` grants nothing: otherwise anyone with the right to invite
//! could make managers.

use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema};
use crate::limits;
use crate::text::{kind, limit_units, refuse_nul};

/// The entry that stands for every participant.
const EVERYBODY: &str = "*";
/// The entry that stands for the bot that opened the thread.
const INITIATOR: &str = "initiator";

wire_enum! {
    /// What a policy can govern.
    Action {
        Resolve = "resolve",
        Close = "close",
        Invite = "invite",
        Remove = "remove",
        Write = "write",
        Manage = "manage",
    }
}

/// A permission policy and the JSON text it is stored and shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionPolicy {
    text: String,
    rules: Rules,
}

/// What the text of a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rules {
    /// The actions that have a list.
    Lists(Vec<(Action, Vec<String>)>),
    /// Stored text that is no policy: nobody may do anything.
    Unreadable,
}

impl PermissionPolicy {
    /// Reads a policy from a request: `null` is none, anything but an object of lists of at most five labels is
    /// refused.
    pub fn from_request(value: &Value) -> ApiResult<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        let lists = read_lists(value)?;
        Ok(Some(Self { text: value.to_string(), rules: Rules::Lists(lists) }))
    }

    /// Reads a stored policy. Never fails: an unreadable one denies everything.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let rules = match serde_json::from_str::<Value>(text) {
            // Older hubs took an empty array for a policy without rules.
            Ok(Value::Array(items)) if items.is_empty() => Rules::Lists(Vec::new()),
            Ok(value) => read_lists(&value).map_or(Rules::Unreadable, Rules::Lists),
            Err(_) => Rules::Unreadable,
        };
        Self { text: text.to_owned(), rules }
    }

    /// The policy as JSON text, keys in the order they were given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The policy as a JSON value; `null` when it is unreadable.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The labels listed for an action, or `None` without such a list.
    fn list(&self, action: Action) -> Option<Verdict<'_>> {
        match &self.rules {
            Rules::Unreadable => Some(Verdict::Deny),
            Rules::Lists(lists) => {
                lists.iter().find(|(listed, _)| *listed == action).map(|(_, labels)| Verdict::Ask(labels))
            }
        }
    }
}

impl utoipa::PartialSchema for PermissionPolicy {
    fn schema() -> AnySchema {
        let labels = form::nullable(form::list(form::short(limits::LABEL_UNITS), limits::POLICY_LABELS));
        let actions = Action::ALL.iter().map(|action| action.as_str());
        let about = "For each action the labels whose bearers may do it; `*` is everybody, `initiator` the bot that \
                     opened the thread. Without a list everybody may, except that only the initiator manages.";
        form::table(actions, labels).description(Some(about)).into()
    }
}

impl utoipa::ToSchema for PermissionPolicy {}

/// A policy, as other schemas refer to it.
#[must_use]
pub fn schema() -> AnySchema {
    form::named(&<PermissionPolicy as utoipa::ToSchema>::name())
}

/// What a policy says about one action.
enum Verdict<'a> {
    Deny,
    Ask(&'a [String]),
}

/// The lists of a policy's JSON, or what is wrong with it.
fn read_lists(value: &Value) -> ApiResult<Vec<(Action, Vec<String>)>> {
    let Value::Object(map) = value else {
        return Err(ApiError::validation(format!("permission_policy must be an object or null, not {}", kind(value))));
    };
    let mut lists = Vec::with_capacity(map.len());
    for (key, entry) in map {
        let action = Action::parse(key).ok_or_else(|| {
            let accepted = Action::accepted();
            ApiError::validation(format!("permission_policy has no action {key:?} (accepted: {accepted})"))
        })?;
        if !entry.is_null() {
            lists.push((action, read_labels(action, entry)?));
        }
    }
    Ok(lists)
}

/// The labels of one action.
fn read_labels(action: Action, entry: &Value) -> ApiResult<Vec<String>> {
    let refusal = || {
        let most = limits::POLICY_LABELS;
        ApiError::validation(format!("permission_policy.{action} must be null or an array of at most {most} labels"))
    };
    let items = entry.as_array().filter(|items| items.len() <= limits::POLICY_LABELS).ok_or_else(refusal)?;
    items
        .iter()
        .map(|item| {
            let label = item.as_str().ok_or_else(refusal)?;
            refuse_nul("permission_policy", label)?;
            limit_units("permission_policy label", label, limits::LABEL_UNITS)?;
            Ok(label.to_owned())
        })
        .collect()
}

/// Whether a participant may do something. `label` is its label in the thread.
#[must_use]
pub fn evaluate(
    thread: Option<&PermissionPolicy>,
    org_default: Option<&PermissionPolicy>,
    action: Action,
    is_initiator: bool,
    label: Option<&str>,
) -> bool {
    match thread.or(org_default).and_then(|policy| policy.list(action)) {
        None => action != Action::Manage || is_initiator,
        Some(Verdict::Deny) => false,
        Some(Verdict::Ask(entries)) => entries.iter().any(|entry| match entry.as_str() {
            EVERYBODY => true,
            INITIATOR => is_initiator,
            "" => false,
            entry => label == Some(entry),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn policy(value: Value) -> PermissionPolicy {
        PermissionPolicy::from_request(&value).unwrap().unwrap()
    }

    #[test]
    fn text_keeps_the_order_of_keys() {
        let policy = policy(json!({"write": ["dev"], "close": null, "invite": []}));
        assert_eq!(policy.text(), r#"{"write":["dev"],"close":null,"invite":[]}"#);
        assert_eq!(PermissionPolicy::from_stored(policy.text()), policy);
    }

    #[test]
    fn shapes_that_are_no_policy_are_refused() {
        for value in [
            json!([]),
            json!("x"),
            json!({"fly": []}),
            json!({"write": "dev"}),
            json!({"write": [1]}),
            json!({"write": ["a", "b", "c", "d", "e", "f"]}),
            json!({"write": ["a\u{0}"]}),
            json!({"write": ["a".repeat(129)]}),
        ] {
            assert_eq!(PermissionPolicy::from_request(&value).unwrap_err().status(), 400, "{value}");
        }
        assert_eq!(PermissionPolicy::from_request(&Value::Null).unwrap(), None);
    }

    #[test]
    fn without_a_list_everybody_may_and_the_initiator_manages() {
        for thread in [None, Some(policy(json!({}))), Some(policy(json!({"manage": null, "write": null})))] {
            assert!(evaluate(thread.as_ref(), None, Action::Write, false, None));
            assert!(evaluate(thread.as_ref(), None, Action::Manage, true, None));
            assert!(!evaluate(thread.as_ref(), None, Action::Manage, false, Some("dev")));
        }
    }

    #[test]
    fn the_threads_own_policy_stands_alone() {
        let org = policy(json!({"write": ["dev"], "close": []}));
        assert!(!evaluate(None, Some(&org), Action::Write, true, None));
        assert!(evaluate(None, Some(&org), Action::Write, false, Some("dev")));
        assert!(!evaluate(None, Some(&org), Action::Close, true, Some("dev")));
        let own = policy(json!({}));
        assert!(evaluate(Some(&own), Some(&org), Action::Write, false, None));
    }

    #[test]
    fn a_list_without_the_initiator_locks_it_out() {
        let own = policy(json!({"manage": ["lead"], "write": []}));
        assert!(!evaluate(Some(&own), None, Action::Manage, true, None));
        assert!(evaluate(Some(&own), None, Action::Manage, false, Some("lead")));
        assert!(!evaluate(Some(&own), None, Action::Write, true, Some("lead")));
    }

    #[test]
    fn labels_cannot_pose_as_the_initiator_or_as_everybody() {
        let own = policy(json!({"manage": ["initiator"], "close": ["*"], "write": [""]}));
        assert!(!evaluate(Some(&own), None, Action::Manage, false, Some("initiator")));
        assert!(evaluate(Some(&own), None, Action::Manage, true, None));
        assert!(evaluate(Some(&own), None, Action::Close, false, None));
        assert!(!evaluate(Some(&own), None, Action::Write, false, Some("")));
        let other = policy(json!({"manage": ["dev"]}));
        assert!(!evaluate(Some(&other), None, Action::Manage, false, Some("*")));
    }

    #[test]
    fn an_unreadable_policy_denies_everything() {
        for text in ["", "{", "7", r#"{"write":"dev"}"#, r#"{"fly":[]}"#] {
            let broken = PermissionPolicy::from_stored(text);
            for action in Action::ALL {
                assert!(!evaluate(Some(&broken), None, *action, true, None), "{text} {action}");
                assert!(!evaluate(None, Some(&broken), *action, true, None), "{text} {action}");
            }
        }
        assert!(evaluate(Some(&PermissionPolicy::from_stored("[]")), None, Action::Write, false, None));
    }

    proptest! {
        #[test]
        fn a_listed_label_admits_and_no_other_does(
            labels in proptest::collection::vec("[a-z*]{1,4}|initiator", 0..5),
            label in proptest::option::of("[a-z*]{0,4}|initiator"),
            is_initiator: bool,
        ) {
            let own = policy(json!({"write": labels}));
            let reserved = |text: &str| text == "*" || text == "initiator";
            let expected = labels.iter().any(|entry| entry == "*")
                || (is_initiator && labels.iter().any(|entry| entry == "initiator"))
                || label.as_deref().is_some_and(|label| {
                    !label.is_empty() && !reserved(label) && labels.iter().any(|entry| entry == label)
                });
            prop_assert_eq!(evaluate(Some(&own), None, Action::Write, is_initiator, label.as_deref()), expected);
        }

        #[test]
        fn stored_text_never_panics(text in any::<String>()) {
            let _ = PermissionPolicy::from_stored(&text);
        }
    }
}
