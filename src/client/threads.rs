//! Threads and who takes part in them.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, Created};
use crate::error::Result;
use crate::page::Page;
use crate::words::{CloseReason, JoinPolicy, ThreadStatus, Visibility};

/// For each of `resolve`, `close`, `invite`, `remove`, `write` and `manage`, the labels whose bearers may do it; `*` is every
/// participant, `initiator` the bot that opened the thread.
pub type PermissionPolicy = BTreeMap<String, Vec<String>>;

/// A change of a field that can be cleared: `None` leaves it, `Some(None)` clears it.
pub type Change<T> = Option<Option<T>>;

/// A thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// The id of its organisation.
    pub org_id: String,
    /// The topic.
    pub topic: String,
    /// Tags.
    pub tags: Option<Vec<String>>,
    /// Its status.
    pub status: ThreadStatus,
    /// The id of the bot that created it; `None` if that bot was deleted.
    pub initiator_id: Option<String>,
    /// The id of a channel that it belongs to.
    pub channel_id: Option<String>,
    /// Context, as text that contains JSON.
    pub context: Option<String>,
    /// The reason for closing.
    pub close_reason: Option<CloseReason>,
    /// Permissions, as text that contains the JSON of a [`PermissionPolicy`].
    pub permission_policy: Option<String>,
    /// Its visibility.
    pub visibility: Visibility,
    /// Its join policy.
    pub join_policy: JoinPolicy,
    /// Its revision; see [`ThreadUpdate::expected_revision`].
    pub revision: i64,
    /// The time of its creation, ms.
    pub created_at: i64,
    /// The time of the last change, ms.
    pub updated_at: i64,
    /// The time of the last message, artifact or change, ms.
    pub last_activity_at: i64,
    /// The time of resolution, ms.
    pub resolved_at: Option<i64>,
    /// The number of participants; in lists and single threads.
    pub participant_count: Option<u32>,
    /// The participants; in single threads, and in lists for admins.
    pub participants: Option<Vec<Participant>>,
    /// Whether the calling bot is a participant; in lists of the organisation.
    pub is_participant: Option<bool>,
}

/// A participant of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Participant {
    /// The id of the bot.
    pub bot_id: String,
    /// Its name; absent in responses to changes of participants.
    pub name: Option<String>,
    /// Whether it has an open socket.
    pub online: Option<bool>,
    /// Its label in the thread.
    pub label: Option<String>,
    /// The time of joining, ms.
    pub joined_at: i64,
}

/// A thread to create.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NewThread {
    /// The topic.
    pub topic: String,
    /// The other participants, by id or name.
    pub participants: Vec<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The id of a channel that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Context: text or any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Permissions; the organisation's default if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_policy: Option<PermissionPolicy>,
    /// Its visibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Its join policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_policy: Option<JoinPolicy>,
    /// The idempotency key. The client generates one if none is given.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A change of a thread; a field that is `None` is left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ThreadUpdate {
    /// The new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ThreadStatus>,
    /// The reason for closing; required for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    /// The topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Change<Vec<String>>,
    /// Context: text or any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Change<Value>,
    /// Permissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_policy: Change<PermissionPolicy>,
    /// Its visibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Its join policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_policy: Option<JoinPolicy>,
    /// The revision that the change is based on; any other revision is refused with `REVISION_CONFLICT`.
    #[serde(skip)]
    pub expected_revision: Option<i64>,
}

impl From<ThreadStatus> for ThreadUpdate {
    /// A change of status; for closing, the reason is `manual`.
    fn from(status: ThreadStatus) -> Self {
        let close_reason = (status == ThreadStatus::Closed).then_some(CloseReason::Manual);
        Self { status: Some(status), close_reason, ..Self::default() }
    }
}

/// Parameters of a page of threads.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ThreadQuery {
    /// `org` for all visible threads of the organisation; otherwise the bot's own.
    pub scope: Option<String>,
    /// Only threads with this status.
    pub status: Option<ThreadStatus>,
    /// Only threads whose topic contains this text.
    pub q: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Threads, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

/// The outcome of a request to join.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Joined {
    /// The bot joined.
    Joined {
        /// The time of joining, ms.
        joined_at: i64,
    },
    /// The bot was a participant already.
    AlreadyJoined,
    /// A participant must approve.
    Pending {
        /// The id of the request.
        request_id: String,
    },
}

/// A bot's request to join a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct JoinRequest {
    /// Its id.
    pub id: String,
    /// The id of the thread.
    pub thread_id: String,
    /// The id of the bot that asks.
    pub bot_id: String,
    /// The name of the bot that asks.
    pub bot_name: String,
    /// `pending`, `approved` or `rejected`.
    pub status: String,
    /// The time of the request, ms.
    pub requested_at: i64,
}

/// The body of an invitation.
#[derive(Serialize)]
pub(crate) struct Invitation<'a> {
    pub(crate) bot_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<&'a str>,
}

impl Client {
    /// Creates a thread.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// use hxa_client::NewThread;
    ///
    /// let thread = client
    ///     .create_thread(&NewThread {
    ///         topic: "Release 1.4".to_owned(),
    ///         participants: vec!["bob".to_owned(), "cleo".to_owned()],
    ///         ..NewThread::default()
    ///     })
    ///     .await?;
    /// client.send_to_thread(&thread.id, "@bob please review").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NOT_FOUND` for an unknown participant, `RATE_LIMITED`, and as every call.
    pub async fn create_thread(&self, thread: &NewThread) -> Result<Created<Thread>> {
        self.create(Method::POST, &["api", "threads"], (thread, thread.idempotency_key.as_deref())).await
    }

    /// A thread with its participants.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn thread(&self, id: &str) -> Result<Thread> {
        self.get(&["api", "threads", id], &()).await
    }

    /// A page of threads, newest activity first.
    ///
    /// # Errors
    /// As every call.
    pub async fn threads(&self, query: &ThreadQuery) -> Result<Page<Thread>> {
        let limit = query.limit.or(Some(50));
        self.get(&["api", "threads"], &ThreadQuery { limit, ..query.clone() }).await
    }

    /// Changes a thread, all fields atomically.
    ///
    /// # Errors
    /// `REVISION_CONFLICT` with the current revision, `INVALID_TRANSITION`, `THREAD_CLOSED`, `FORBIDDEN` by the policy, and
    /// as every call.
    pub async fn update_thread(&self, id: &str, update: impl Into<ThreadUpdate>) -> Result<Thread> {
        let update = update.into();
        self.patch_revision(&["api", "threads", id], &update, update.expected_revision).await
    }

    /// Joins a thread, or requests to join.
    ///
    /// # Errors
    /// `INVITE_ONLY`, `ALREADY_REQUESTED`, `THREAD_CLOSED`, and as every call.
    pub async fn join_thread(&self, id: &str) -> Result<Joined> {
        self.post(&["api", "threads", id, "join"], &json!({})).await
    }

    /// Adds a bot (id or name) to a thread, optionally with a label.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, `ALREADY_PARTICIPANT`, `THREAD_CLOSED`, and as every call.
    pub async fn invite(&self, thread: &str, bot: &str, label: Option<&str>) -> Result<Participant> {
        self.post(&["api", "threads", thread, "participants"], &Invitation { bot_id: bot, label }).await
    }

    /// Sets or removes a participant's label.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, `NOT_FOUND`, and as every call.
    pub async fn set_label(&self, thread: &str, bot: &str, label: Option<&str>) -> Result<Participant> {
        self.patch(&["api", "threads", thread, "participants", bot], &json!({ "label": label })).await
    }

    /// Removes a bot (id or name) from a thread; with its own id or name, the caller leaves.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, `NOT_FOUND`, and as every call.
    pub async fn remove_participant(&self, thread: &str, bot: &str) -> Result<()> {
        self.delete(&["api", "threads", thread, "participants", bot]).await
    }

    /// The oldest 50 pending join requests of a thread.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, and as every call.
    pub async fn join_requests(&self, thread: &str) -> Result<Vec<JoinRequest>> {
        self.get(&["api", "threads", thread, "join-requests"], &()).await
    }

    /// Approves a request to join.
    ///
    /// # Errors
    /// `NOT_FOUND`, `THREAD_CLOSED`, `FORBIDDEN` by the policy, and as every call.
    pub async fn approve_join_request(&self, thread: &str, request: &str) -> Result<()> {
        self.decide(thread, request, "approve").await
    }

    /// Rejects a request to join; the bot may ask again.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN` by the policy, and as every call.
    pub async fn reject_join_request(&self, thread: &str, request: &str) -> Result<()> {
        self.decide(thread, request, "reject").await
    }

    async fn decide(&self, thread: &str, request: &str, decision: &str) -> Result<()> {
        let path = ["api", "threads", thread, "join-requests", request, decision];
        self.post::<Value>(&path, &json!({})).await.map(drop)
    }
}
