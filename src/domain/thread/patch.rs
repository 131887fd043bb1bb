//! Changes to a thread: their fields, and the order of errors.
//!
//! A [`ThreadPatch`] contains the body as received, each field absent, null or given. The order of checks is the
//! protocol's: at least one field; the right to manage (checked by the owner of the thread, between
//! [`ThreadPatch::read`] and [`ThreadPatch::check`]); settings; terminal state; topic; tags; status; reason. The result
//! is a [`RequestedChanges`]; only policy, transition and revision remain to be checked before it is applied
//! atomically.

use serde_json::Value;

use super::{CloseReason, JoinPolicy, ThreadStatus, Visibility, choice, context, tags};
use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::limits;
use crate::policy::{Action, PermissionPolicy};
use crate::text::{Fields, limit_units, refuse_nul, wrong_type};

/// Through which operation a change comes; each takes other fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchTransport {
    /// A bot's PATCH, or `thread_update` on its socket: all fields.
    Bot,
    /// An organisation admin's PATCH: status, reason and settings, the latter on terminal threads too.
    Org,
}

/// The body of a change as it came: absent, null (`Some(None)`) or given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThreadPatch {
    /// The state to go to.
    pub status: Option<Option<Value>>,
    /// Why the thread is closed.
    pub close_reason: Option<Option<Value>>,
    /// New background.
    pub context: Option<Option<Value>>,
    /// New headline.
    pub topic: Option<Option<Value>>,
    /// New tags.
    pub tags: Option<Option<Value>>,
    /// Who may do what.
    pub permission_policy: Option<Option<Value>>,
    /// Who can find the thread.
    pub visibility: Option<Option<Value>>,
    /// How it is joined.
    pub join_policy: Option<Option<Value>>,
}

/// A checked change, ready for the checks that need the thread itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedChanges {
    /// The state to go to.
    pub status: Option<ThreadStatus>,
    /// Why; given exactly with `closed`.
    pub close_reason: Option<CloseReason>,
    /// New background; `Some(None)` clears it.
    pub context: Option<Option<String>>,
    /// New headline, trimmed.
    pub topic: Option<String>,
    /// New tags; `Some(None)` clears them.
    pub tags: Option<Option<Vec<String>>>,
    /// New policy; `Some(None)` clears it.
    pub permission_policy: Option<Option<PermissionPolicy>>,
    /// New visibility; `Some(None)` was given as null and keeps the old one.
    pub visibility: Option<Option<Visibility>>,
    /// New join policy; `Some(None)` was given as null and keeps the old one.
    pub join_policy: Option<Option<JoinPolicy>>,
}

impl ThreadPatch {
    /// Takes the fields this operation knows; refuses a body without any.
    pub fn read(body: &Fields, face: PatchTransport) -> ApiResult<Self> {
        let take = |field: &str, is_known: bool| {
            let value = if is_known { body.get(field) } else { None };
            value.map(|value| Some(value).filter(|value| !value.is_null()).cloned())
        };
        let has_texts = face != PatchTransport::Org;
        let patch = Self {
            status: take("status", true),
            close_reason: take("close_reason", true),
            context: take("context", has_texts),
            topic: take("topic", has_texts),
            tags: take("tags", has_texts),
            permission_policy: take("permission_policy", true),
            visibility: take("visibility", true),
            join_policy: take("join_policy", true),
        };
        // An admin's reason without a status changes nothing, and there it counts as an empty body.
        let only_reason = Self { close_reason: patch.close_reason.clone(), ..Self::default() };
        if patch == Self::default() || (face == PatchTransport::Org && patch == only_reason) {
            return Err(ApiError::validation("At least one field to change is required"));
        }
        Ok(patch)
    }

    /// Whether the change touches settings, for which the policy's `manage` is needed.
    #[must_use]
    pub fn needs_manage(&self) -> bool {
        self.permission_policy.is_some() || self.visibility.is_some() || self.join_policy.is_some()
    }

    /// The checks that need the body and the current state, in the protocol's order.
    pub fn check(&self, current: ThreadStatus, face: PatchTransport) -> ApiResult<RequestedChanges> {
        let visibility = parse_given(self.visibility.as_ref(), |value| {
            choice("visibility", value, Visibility::parse, Visibility::accepted)
        })?;
        let join_policy = parse_given(self.join_policy.as_ref(), |value| {
            choice("join_policy", value, JoinPolicy::parse, JoinPolicy::accepted)
        })?;
        let permission_policy = parse_given(self.permission_policy.as_ref(), PermissionPolicy::from_request)?;
        if current.is_terminal() && self.status.is_none() && face != PatchTransport::Org {
            return Err(ApiError::new(ErrorCode::ThreadClosed, format!("Thread is {current}")));
        }
        let topic = self.topic.as_ref().map(|topic| new_topic(topic.as_ref())).transpose()?;
        let tags = self.tags.as_ref().map(|given| tags(given.as_ref())).transpose()?;
        let status = must_choose("status", self.status.as_ref(), ThreadStatus::parse, ThreadStatus::accepted)?;
        let close_reason =
            must_choose("close_reason", self.close_reason.as_ref(), CloseReason::parse, CloseReason::accepted)?;
        check_reason(status, close_reason)?;
        let context = match &self.context {
            Some(value) => context(Some(value.as_ref().unwrap_or(&Value::Null)))?,
            None => None,
        };
        Ok(RequestedChanges { status, close_reason, context, topic, tags, permission_policy, visibility, join_policy })
    }
}

impl RequestedChanges {
    /// The right the change of state needs, if any.
    #[must_use]
    pub fn governed_by(&self) -> Option<Action> {
        match self.status? {
            ThreadStatus::Resolved => Some(Action::Resolve),
            ThreadStatus::Closed => Some(Action::Close),
            ThreadStatus::Active | ThreadStatus::Blocked | ThreadStatus::Reviewing => None,
        }
    }

    /// Whether visibility or join policy was given, even as null.
    #[must_use]
    pub fn touches_access(&self) -> bool {
        self.visibility.is_some() || self.join_policy.is_some()
    }
}

/// Checks a setting that may be null.
fn parse_given<T>(
    field: Option<&Option<Value>>,
    check: impl Fn(&Value) -> ApiResult<Option<T>>,
) -> ApiResult<Option<Option<T>>> {
    match field {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(value)) => check(value).map(Some),
    }
}

/// Checks a choice that may not be null.
fn must_choose<T>(
    field: &str,
    value: Option<&Option<Value>>,
    parse: fn(&str) -> Option<T>,
    accepted: fn() -> String,
) -> ApiResult<Option<T>> {
    match value {
        None => Ok(None),
        Some(Some(value)) => choice(field, value, parse, accepted),
        Some(None) => Err(ApiError::validation(format!("{field} must be one of {}, not null", accepted()))),
    }
}

/// A new headline: a string that is not blank, trimmed.
fn new_topic(value: Option<&Value>) -> ApiResult<String> {
    let Some(Value::String(text)) = value else {
        return Err(wrong_type("topic", "a string", value.unwrap_or(&Value::Null)));
    };
    let topic = text.trim();
    if topic.is_empty() {
        return Err(ApiError::validation("topic must not be blank"));
    }
    refuse_nul("topic", topic)?;
    limit_units("topic", topic, limits::TOPIC_UNITS)?;
    Ok(topic.to_owned())
}

/// A thread is closed for a reason, and only then has one.
fn check_reason(status: Option<ThreadStatus>, reason: Option<CloseReason>) -> ApiResult<()> {
    match (status, reason) {
        (Some(ThreadStatus::Closed), None) => {
            let accepted = CloseReason::accepted();
            Err(ApiError::validation(format!("close_reason is required with status closed (accepted: {accepted})")))
        }
        (Some(ThreadStatus::Closed), Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(ApiError::validation("close_reason is only allowed with status closed")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(body: Value, current: ThreadStatus, face: PatchTransport) -> ApiResult<RequestedChanges> {
        ThreadPatch::read(body.as_object().unwrap(), face)?.check(current, face)
    }

    fn bot(body: Value) -> ApiResult<RequestedChanges> {
        run(body, ThreadStatus::Active, PatchTransport::Bot)
    }

    #[test]
    fn a_body_without_known_fields_is_refused() {
        for (body, face) in [
            (json!({}), PatchTransport::Bot),
            (json!({"labels": []}), PatchTransport::Bot),
            (json!({"policy": {}, "revision": 1}), PatchTransport::Bot),
            (json!({"topic": "t", "context": 1, "tags": []}), PatchTransport::Org),
            (json!({"close_reason": "manual"}), PatchTransport::Org),
        ] {
            let refusal = run(body.clone(), ThreadStatus::Active, face).unwrap_err();
            assert_eq!(refusal.message(), "At least one field to change is required", "{body}");
        }
    }

    #[test]
    fn settings_need_manage_even_as_null() {
        for field in ["permission_policy", "visibility", "join_policy"] {
            let body = json!({ field: null });
            assert!(ThreadPatch::read(body.as_object().unwrap(), PatchTransport::Bot).unwrap().needs_manage());
        }
        let body = json!({"topic": "t", "status": "closed"});
        assert!(!ThreadPatch::read(body.as_object().unwrap(), PatchTransport::Bot).unwrap().needs_manage());
    }

    #[test]
    fn checks_come_in_order() {
        let closed = ThreadStatus::Closed;
        let cases = [
            (json!({"visibility": 1, "join_policy": 1}), "visibility"),
            (json!({"join_policy": "x", "permission_policy": 1}), "join_policy"),
            (json!({"permission_policy": [], "topic": 1}), "permission_policy"),
            (json!({"topic": 1}), "Thread is closed"),
            (json!({"topic": null, "status": 1}), "topic"),
            (json!({"topic": " ", "status": 1}), "topic must not be blank"),
            (json!({"status": 1, "tags": "x"}), "tags"),
            (json!({"status": null, "close_reason": 1}), "status"),
            (json!({"status": "open"}), "status"),
            (json!({"status": "closed", "close_reason": "bored"}), "close_reason"),
            (json!({"status": "closed", "close_reason": null}), "close_reason"),
            (json!({"status": "closed", "context": "\u{0}"}), "close_reason is required"),
            (json!({"status": "active", "close_reason": "manual"}), "only allowed with status closed"),
            (json!({"status": "active", "context": "\u{0}"}), "context"),
        ];
        for (body, words) in cases {
            let refusal = run(body.clone(), closed, PatchTransport::Bot).unwrap_err();
            assert!(refusal.message().contains(words), "{body}: {}", refusal.message());
        }
        assert!(bot(json!({"close_reason": "manual"})).is_err());
    }

    #[test]
    fn terminal_threads_need_a_status_except_from_admins() {
        let refusal = run(json!({"context": 1}), ThreadStatus::Resolved, PatchTransport::Bot).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::ThreadClosed);
        assert!(run(json!({"visibility": "members"}), ThreadStatus::Resolved, PatchTransport::Org).is_ok());
        assert!(run(json!({"status": "active", "topic": " t "}), ThreadStatus::Resolved, PatchTransport::Bot).is_ok());
    }

    #[test]
    fn what_is_given_comes_out_checked() {
        let changes = bot(json!({
            "status": "closed", "close_reason": "error", "context": null, "topic": " new ",
            "permission_policy": null, "visibility": "private", "join_policy": null, "tags": [" x ", ""],
        }))
        .unwrap();
        let expected = RequestedChanges {
            status: Some(ThreadStatus::Closed),
            close_reason: Some(CloseReason::Error),
            context: Some(None),
            topic: Some("new".into()),
            tags: Some(Some(vec!["x".into()])),
            permission_policy: Some(None),
            visibility: Some(Some(Visibility::Private)),
            join_policy: Some(None),
        };
        assert_eq!(changes, expected);
        assert_eq!(changes.governed_by(), Some(Action::Close));
        assert!(changes.touches_access());
        assert_eq!(bot(json!({"status": "blocked"})).unwrap().governed_by(), None);
    }
}
