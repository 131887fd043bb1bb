//! Changes to a thread: their fields, and the order of errors.
//!
//! A [`ThreadPatch`] contains the outcome of reading each field, refusals included. The order of checks is the
//! protocol's: at least one field; the right to manage (checked by the owner of the thread, between reading and
//! [`ThreadPatch::check`]); settings; terminal state; topic; tags; status; reason. The result is a
//! [`RequestedChanges`]; only policy, transition and revision remain to be checked before it is applied atomically.

use serde_json::Value;

use super::{CloseReason, JoinPolicy, ThreadStatus, Visibility, choice, context, tags};
use crate::draft::Draft;
use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::policy::{self, Action, PermissionPolicy};
use crate::text::{Fields, limit_units, refuse_nul, wrong_type};

/// Through which operation a change comes; each takes other fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchTransport {
    /// A bot's PATCH, or `thread_update` on its socket: all fields.
    Bot,
    /// An organisation admin's PATCH: status, reason and settings, the latter on terminal threads too.
    Org,
}

/// A field that is absent, or what came of reading it.
type Given<T> = Option<ApiResult<T>>;

/// A change that a participant asks for.
#[derive(Debug, Clone, Default)]
pub struct ThreadPatch {
    status: Given<ThreadStatus>,
    close_reason: Given<CloseReason>,
    context: Given<Option<String>>,
    topic: Given<String>,
    tags: Given<Option<Vec<String>>>,
    permission_policy: Given<Option<PermissionPolicy>>,
    visibility: Given<Option<Visibility>>,
    join_policy: Given<Option<JoinPolicy>>,
}

/// A change that an organisation's admin asks for: no texts.
#[derive(Debug, Clone)]
pub struct OrgThreadPatch(pub ThreadPatch);

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

impl Draft for ThreadPatch {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let texts = Self {
            context: given(body, "context", |value| Ok(context(Some(value))?.flatten())),
            topic: given(body, "topic", new_topic),
            tags: given(body, "tags", |value| tags(Some(value))),
            ..Self::default()
        };
        let patch = texts.with_settings(body);
        if patch.is_empty() { Err(nothing_given()) } else { Ok(patch) }
    }

    fn form() -> Form {
        let form = Form::new("A change of a thread; at least one field. All of it happens or nothing.");
        status_fields(form)
            .takes("context", form::any(), "New background, kept as text; null clears it.")
            .takes("topic", form::filled(limits::TOPIC_UNITS), "The new headline.")
            .takes("tags", super::tags_schema(), "The new tags; null clears them.")
            .and(settings_fields())
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<policy::PermissionPolicy>()
    }
}

impl Draft for OrgThreadPatch {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let patch = ThreadPatch::default().with_settings(body);
        // A reason without a status changes nothing, so here it counts as an empty body.
        let changes_nothing = ThreadPatch { close_reason: None, ..patch.clone() }.is_empty();
        if changes_nothing { Err(nothing_given()) } else { Ok(Self(patch)) }
    }

    fn form() -> Form {
        let form =
            Form::new("A change of a thread by the organisation's admin; at least one field but `close_reason`.");
        status_fields(form).and(settings_fields())
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<policy::PermissionPolicy>()
    }
}

schemas_of_drafts!(ThreadPatch, OrgThreadPatch);

fn status_fields(form: Form) -> Form {
    form.takes("status", form::one_of(ThreadStatus::ALL.iter().map(|word| word.as_str())), "The state to go to.").takes(
        "close_reason",
        form::one_of(CloseReason::ALL.iter().map(|word| word.as_str())),
        "Why; required with status `closed`, and only allowed with it.",
    )
}

fn settings_fields() -> Form {
    Form::default()
        .takes("permission_policy", form::nullable(policy::schema()), "Who may do what; null clears it.")
        .takes("visibility", super::visibility_schema(), "Who can find it; null keeps what is.")
        .takes("join_policy", super::join_policy_schema(), "How it is joined; null keeps what is.")
}

fn nothing_given() -> ApiError {
    ApiError::validation("At least one field to change is required")
}

/// What comes of reading a field, unless it is absent.
fn given<T>(body: &Fields, field: &str, read: impl FnOnce(&Value) -> ApiResult<T>) -> Given<T> {
    body.get(field).map(read)
}

impl ThreadPatch {
    /// The same with the fields that every change knows.
    fn with_settings(self, body: &Fields) -> Self {
        Self {
            status: given(body, "status", |value| {
                required_choice("status", value, ThreadStatus::parse, ThreadStatus::accepted)
            }),
            close_reason: given(body, "close_reason", |value| {
                required_choice("close_reason", value, CloseReason::parse, CloseReason::accepted)
            }),
            permission_policy: given(body, "permission_policy", PermissionPolicy::from_request),
            visibility: given(body, "visibility", |value| {
                choice("visibility", value, Visibility::parse, Visibility::accepted)
            }),
            join_policy: given(body, "join_policy", |value| {
                choice("join_policy", value, JoinPolicy::parse, JoinPolicy::accepted)
            }),
            ..self
        }
    }

    fn is_empty(&self) -> bool {
        let has_texts = self.context.is_some() || self.topic.is_some() || self.tags.is_some();
        let has_status = self.status.is_some() || self.close_reason.is_some();
        !(has_texts || has_status || self.needs_manage())
    }

    /// Whether the change touches settings, for which the policy's `manage` is needed.
    #[must_use]
    pub fn needs_manage(&self) -> bool {
        self.permission_policy.is_some() || self.visibility.is_some() || self.join_policy.is_some()
    }

    /// The checks that need the body and the current state, in the protocol's order.
    ///
    /// # Errors
    /// The refusal of the first field that is wrong, or 409 `THREAD_CLOSED`.
    pub fn check(self, current: ThreadStatus, face: PatchTransport) -> ApiResult<RequestedChanges> {
        let visibility = self.visibility.transpose()?;
        let join_policy = self.join_policy.transpose()?;
        let permission_policy = self.permission_policy.transpose()?;
        if current.is_terminal() && self.status.is_none() && face != PatchTransport::Org {
            return Err(ApiError::new(ErrorCode::ThreadClosed, format!("Thread is {current}")));
        }
        let topic = self.topic.transpose()?;
        let tags = self.tags.transpose()?;
        let status = self.status.transpose()?;
        let close_reason = self.close_reason.transpose()?;
        check_reason(status, close_reason)?;
        let context = self.context.transpose()?;
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

/// A choice that may not be null.
fn required_choice<T>(
    field: &str,
    value: &Value,
    parse: fn(&str) -> Option<T>,
    accepted: fn() -> String,
) -> ApiResult<T> {
    choice(field, value, parse, accepted)?
        .ok_or_else(|| ApiError::validation(format!("{field} must be one of {}, not null", accepted())))
}

/// A new headline: a string that is not blank, trimmed.
fn new_topic(value: &Value) -> ApiResult<String> {
    let Value::String(text) = value else { return Err(wrong_type("topic", "a string", value)) };
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
        let mut body = body.as_object().unwrap().clone();
        let patch = match face {
            PatchTransport::Bot => ThreadPatch::read(&mut body)?,
            PatchTransport::Org => OrgThreadPatch::read(&mut body)?.0,
        };
        patch.check(current, face)
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
            assert!(ThreadPatch::read(&mut body.as_object().unwrap().clone()).unwrap().needs_manage());
        }
        let body = json!({"topic": "t", "status": "closed"});
        assert!(!ThreadPatch::read(&mut body.as_object().unwrap().clone()).unwrap().needs_manage());
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
