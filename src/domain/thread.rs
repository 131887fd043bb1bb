//! Threads: their statuses and transitions, visibility and join policy, and the limits of a new one.
//!
//! A thread starts `active`; `resolved` and `closed` are terminal and lead only back to `active`. A private thread
//! accepts participants by invitation only. Checks that need only the request and the current state are here and in the
//! files beside; the caller owns the thread's state, so that it cannot change between check and update.

mod draft;
mod members;
mod patch;

pub use draft::ThreadDraft;
pub use members::{Invitation, Labelling, OrgInvitation};
pub use patch::{OrgThreadPatch, PatchTransport, RequestedChanges, ThreadPatch};

use std::fmt::Display;

use serde_json::Value;

use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::form::{self, AnySchema};
use crate::limits;
use crate::text::{self, limit_bytes, limit_units, refuse_nul};

stored_enum! {
    /// Where a thread's work stands.
    ThreadStatus {
        Active = "active",
        Blocked = "blocked",
        Reviewing = "reviewing",
        Resolved = "resolved",
        Closed = "closed",
    }
}

stored_enum! {
    /// Why a thread was closed.
    CloseReason { Manual = "manual", Timeout = "timeout", Error = "error", }
}

stored_enum! {
    /// Who can find a thread.
    Visibility { Public = "public", Members = "members", Private = "private", }
}

stored_enum! {
    /// How a bot becomes a participant.
    JoinPolicy { Open = "open", Approval = "approval", InviteOnly = "invite_only", }
}

stored_enum! {
    /// Where a request to join stands.
    RequestStatus { Pending = "pending", Approved = "approved", Rejected = "rejected", }
}

impl Visibility {
    /// Whether bots that are not in the thread may know that it exists.
    #[must_use]
    pub const fn shows_outside(self) -> bool {
        matches!(self, Self::Public)
    }

    /// What a bot hears that wants to read or use a thread it is not in: a thread that it may know of can be joined first,
    /// every other one looks absent.
    #[must_use]
    pub fn refuse_outsider(self, thread: impl Display) -> ApiError {
        if !self.shows_outside() {
            return ApiError::not_found("Thread");
        }
        ApiError::new(ErrorCode::JoinRequired, "You are not a participant of this thread")
            .with("hint", format!("POST /api/threads/{thread}/join"))
    }
}

impl ThreadStatus {
    /// The states of threads that are over.
    pub const OVER: [Self; 2] = [Self::Resolved, Self::Closed];

    /// Whether the thread is over: no messages, artifacts, joins or invitations.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }

    /// Whether a thread in this state may be set to another. The same state is no change and therefore refused.
    #[must_use]
    pub const fn can_become(self, to: Self) -> bool {
        match self {
            Self::Active => !matches!(to, Self::Active),
            Self::Reviewing => matches!(to, Self::Active | Self::Resolved | Self::Closed),
            Self::Blocked | Self::Resolved | Self::Closed => matches!(to, Self::Active),
        }
    }

    /// What a change of state writes: `resolved` dates the thread, `closed` gives the reason, `active` clears both.
    /// `kept` is the date the thread carried before.
    #[must_use]
    pub fn outcome(self, to: Self, reason: Option<CloseReason>, kept: Option<i64>, now: i64) -> StatusOutcome {
        let (close_reason, resolved_at) = match to {
            Self::Resolved => (None, Some(now)),
            Self::Closed => (reason, None),
            Self::Active => (None, None),
            Self::Blocked | Self::Reviewing => (None, kept),
        };
        StatusOutcome { status: to, close_reason, resolved_at }
    }
}

/// The three columns a change of state writes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusOutcome {
    /// The new state.
    pub status: ThreadStatus,
    /// Why it was closed; only with `closed`.
    pub close_reason: Option<CloseReason>,
    /// When it was resolved.
    pub resolved_at: Option<i64>,
}

/// The refusal of a change of state that the state machine does not know (409).
pub fn check_transition(from: ThreadStatus, to: ThreadStatus) -> ApiResult<()> {
    if from.can_become(to) {
        return Ok(());
    }
    let open: Vec<&str> =
        ThreadStatus::ALL.iter().filter(|next| from.can_become(**next)).map(|next| next.as_str()).collect();
    let open = open.join(", ");
    Err(ApiError::new(
        ErrorCode::InvalidTransition,
        format!("Invalid status transition: {from} cannot become {to} (possible: {open})"),
    ))
}

/// How strictly a change of state is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transitions {
    /// As documented; naming the present state is refused.
    #[default]
    Strict,
    /// Setting an active thread active changes nothing, and a blocked thread may be closed.
    Lenient,
}

impl Transitions {
    /// The state to go to, none when it is the present one.
    ///
    /// # Errors
    /// 409 `INVALID_TRANSITION` for a state that cannot follow.
    pub fn judge(self, from: ThreadStatus, to: ThreadStatus) -> ApiResult<Option<ThreadStatus>> {
        match (self, from, to) {
            (Self::Lenient, ThreadStatus::Active, ThreadStatus::Active) => Ok(None),
            (Self::Lenient, ThreadStatus::Blocked, ThreadStatus::Closed) => Ok(Some(to)),
            _ => check_transition(from, to).map(|()| Some(to)),
        }
    }
}

/// How a thread is found and joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Who can find it.
    pub visibility: Visibility,
    /// How it is joined.
    pub join_policy: JoinPolicy,
}

impl Access {
    /// Access of a new thread: public and open unless asked otherwise; private forces invitation only.
    #[must_use]
    pub fn of_new(visibility: Option<Visibility>, join_policy: Option<JoinPolicy>) -> Self {
        let asked = Self {
            visibility: visibility.unwrap_or(Visibility::Public),
            join_policy: join_policy.unwrap_or(JoinPolicy::Open),
        };
        asked.resolved()
    }

    /// Access after a change. Leaving `private` keeps the join policy that it forced.
    #[must_use]
    pub fn changed(self, visibility: Option<Visibility>, join_policy: Option<JoinPolicy>) -> Self {
        let asked = Self {
            visibility: visibility.unwrap_or(self.visibility),
            join_policy: join_policy.unwrap_or(self.join_policy),
        };
        asked.resolved()
    }

    /// Whether going from `self` to `new` rejects the join requests still pending: nobody can be let in by request
    /// any more.
    #[must_use]
    pub fn ends_requests(self, new: Self) -> bool {
        self.join_policy != JoinPolicy::InviteOnly && new.join_policy == JoinPolicy::InviteOnly
    }

    fn resolved(self) -> Self {
        match self.visibility {
            Visibility::Private => Self { join_policy: JoinPolicy::InviteOnly, ..self },
            Visibility::Public | Visibility::Members => self,
        }
    }
}

/// The tags of a new thread: trimmed, empty ones dropped, repetitions kept; at most ten were given.
pub fn tags(value: Option<&Value>) -> ApiResult<Option<Vec<String>>> {
    let Some(given) = text::optional_list("tags", value)? else { return Ok(None) };
    if given.len() > limits::TAGS {
        return Err(ApiError::validation(format!("tags may have at most {} items, got {}", limits::TAGS, given.len())));
    }
    let kept: Vec<String> = given.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
    kept.iter().try_for_each(|tag| limit_units("tag", tag, limits::TAG_UNITS))?;
    Ok(Some(kept))
}

fn tags_schema() -> AnySchema {
    form::nullable(form::list(form::short(limits::TAG_UNITS), limits::TAGS))
}

fn visibility_schema() -> AnySchema {
    form::nullable(form::one_of(Visibility::ALL.iter().map(|choice| choice.as_str())))
}

fn join_policy_schema() -> AnySchema {
    form::nullable(form::one_of(JoinPolicy::ALL.iter().map(|choice| choice.as_str())))
}

/// The context as it is stored: absent is `None`, null clears, a string stays as it is, other JSON becomes its text.
pub fn context(value: Option<&Value>) -> ApiResult<Option<Option<String>>> {
    let text = match value {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(None)),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            text::refuse_nul_within("context", other)?;
            other.to_string()
        }
    };
    refuse_nul("context", &text)?;
    limit_bytes("context", &text, limits::CONTEXT_BYTES)?;
    Ok(Some(Some(text)))
}

/// The label an invited participant shall carry; absent and null are none.
pub fn label(value: Option<&Value>) -> ApiResult<Option<String>> {
    let Some(label) = text::optional("label", value)? else { return Ok(None) };
    limit_units("label", label, limits::LABEL_UNITS)?;
    Ok(Some(label.to_owned()))
}

/// Refuses one participant too many.
pub fn check_participant_count(count: usize) -> ApiResult<()> {
    if count <= limits::PARTICIPANTS {
        return Ok(());
    }
    Err(ApiError::validation(format!("A thread may have at most {} participants", limits::PARTICIPANTS)))
}

/// A field with one of a few texts; null counts as not given.
fn choice<T>(
    field: &str,
    value: &Value,
    parse: fn(&str) -> Option<T>,
    accepted: fn() -> String,
) -> ApiResult<Option<T>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => match parse(text) {
            Some(known) => Ok(Some(known)),
            None => Err(ApiError::validation(format!("Invalid {field} {text:?} (accepted: {})", accepted()))),
        },
        other => Err(ApiError::validation(format!("{field} must be one of {}, not {}", accepted(), text::kind(other)))),
    }
}

/// The status to filter a list by: absent and empty are none, an unknown one is refused.
pub fn status_filter(value: Option<&str>) -> ApiResult<Option<ThreadStatus>> {
    match value {
        None | Some("") => Ok(None),
        Some(text) => choice("status", &Value::from(text), ThreadStatus::parse, ThreadStatus::accepted),
    }
}

#[cfg(test)]
mod tests {
    use ThreadStatus::{Active, Blocked, Closed, Resolved, Reviewing};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_status() -> impl Strategy<Value = ThreadStatus> {
        proptest::sample::select(ThreadStatus::ALL)
    }

    #[test]
    fn only_public_threads_are_known_outside() {
        for visibility in Visibility::ALL {
            let refusal = visibility.refuse_outsider("t");
            let expected =
                if *visibility == Visibility::Public { ErrorCode::JoinRequired } else { ErrorCode::NotFound };
            assert_eq!(refusal.code(), expected, "{visibility}");
            assert_eq!(visibility.shows_outside(), expected == ErrorCode::JoinRequired);
        }
    }

    #[test]
    fn the_state_machine_is_the_documented_one() {
        let allowed = [
            (Active, vec![Blocked, Reviewing, Resolved, Closed]),
            (Blocked, vec![Active]),
            (Reviewing, vec![Active, Resolved, Closed]),
            (Resolved, vec![Active]),
            (Closed, vec![Active]),
        ];
        for (from, nexts) in allowed {
            for to in ThreadStatus::ALL {
                assert_eq!(from.can_become(*to), nexts.contains(to), "{from} -> {to}");
                assert_eq!(check_transition(from, *to).is_ok(), nexts.contains(to));
            }
        }
        let refusal = check_transition(Blocked, Closed).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (409, ErrorCode::InvalidTransition));
        assert!(refusal.message().contains("possible: active"), "{}", refusal.message());
    }

    #[test]
    fn lenient_transitions_differ_in_two() {
        for from in ThreadStatus::ALL {
            for to in ThreadStatus::ALL {
                let (strict, lenient) =
                    (Transitions::Strict.judge(*from, *to).ok(), Transitions::Lenient.judge(*from, *to).ok());
                match (*from, *to) {
                    (Active, Active) => assert_eq!((strict, lenient), (None, Some(None))),
                    (Blocked, Closed) => assert_eq!((strict, lenient), (None, Some(Some(Closed)))),
                    _ => assert_eq!(strict, lenient),
                }
            }
        }
    }

    #[test]
    fn enums_speak_the_wire() {
        assert_eq!(serde_json::to_value(JoinPolicy::InviteOnly).unwrap(), json!("invite_only"));
        assert_eq!(serde_json::from_value::<Visibility>(json!("members")).unwrap(), Visibility::Members);
        assert!(serde_json::from_value::<CloseReason>(json!("Manual")).is_err());
        assert_eq!(ThreadStatus::parse("open"), None);
    }

    #[test]
    fn private_forces_invitation_and_stays_so() {
        let open = Access::of_new(None, None);
        assert_eq!(open, Access { visibility: Visibility::Public, join_policy: JoinPolicy::Open });
        let private = open.changed(Some(Visibility::Private), Some(JoinPolicy::Open));
        assert_eq!(private.join_policy, JoinPolicy::InviteOnly);
        assert!(open.ends_requests(private));
        let again = private.changed(Some(Visibility::Public), None);
        assert_eq!(again, Access { visibility: Visibility::Public, join_policy: JoinPolicy::InviteOnly });
        assert!(!private.ends_requests(again));
        assert!(!open.ends_requests(open.changed(None, Some(JoinPolicy::Approval))));
    }

    #[test]
    fn tags_are_trimmed_and_counted_as_given() {
        assert_eq!(tags(None).unwrap(), None);
        assert_eq!(tags(Some(&json!([" a ", "", "a", " "]))).unwrap().unwrap(), ["a", "a"]);
        assert_eq!(tags(Some(&json!([]))).unwrap().unwrap(), Vec::<String>::new());
        assert!(tags(Some(&json!(vec![""; 11]))).is_err());
        assert!(tags(Some(&json!("a"))).is_err());
        assert!(tags(Some(&json!(["a".repeat(65)]))).is_err());
    }

    #[test]
    fn context_of_any_type_becomes_text() {
        assert_eq!(context(None).unwrap(), None);
        assert_eq!(context(Some(&Value::Null)).unwrap(), Some(None));
        assert_eq!(context(Some(&json!("a b"))).unwrap(), Some(Some("a b".into())));
        assert_eq!(context(Some(&json!(false))).unwrap(), Some(Some("false".into())));
        assert_eq!(context(Some(&json!({"b": 1, "a": [2]}))).unwrap(), Some(Some(r#"{"b":1,"a":[2]}"#.into())));
        assert!(context(Some(&json!("a\u{0}"))).is_err());
        assert!(context(Some(&json!({"a": "\u{0}"}))).is_err());
        assert!(context(Some(&json!("a".repeat(limits::CONTEXT_BYTES + 1)))).is_err());
    }

    #[test]
    fn filters_know_only_real_states() {
        assert_eq!(status_filter(Some("")).unwrap(), None);
        assert_eq!(status_filter(Some("closed")).unwrap(), Some(Closed));
        assert!(status_filter(Some("open")).is_err());
    }

    proptest! {
        #[test]
        fn a_change_of_state_keeps_the_columns_consistent(
            from in any_status(), to in any_status(), kept in proptest::option::of(0i64..9), now in 10i64..20,
        ) {
            let outcome = from.outcome(to, Some(CloseReason::Manual), kept, now);
            prop_assert_eq!(outcome.close_reason.is_some(), to == Closed);
            prop_assert_eq!(outcome.resolved_at == Some(now), to == Resolved);
            prop_assert!(to != Active || outcome.resolved_at.is_none());
        }

        #[test]
        fn terminal_states_only_reopen(from in any_status(), to in any_status()) {
            prop_assert!(!from.is_terminal() || from.can_become(to) == (to == Active));
            prop_assert!(!from.can_become(from));
        }
    }
}
