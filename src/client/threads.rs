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
    /// Its organisation.
    pub org_id: String,
    /// What it is about.
    pub topic: String,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// Its state.
    pub status: ThreadStatus,
    /// The bot that opened it; `None` when that bot is gone.
    pub initiator_id: Option<String>,
    /// A channel it belongs to.
    pub channel_id: Option<String>,
    /// Background, as text that holds JSON.
    pub context: Option<String>,
    /// Why it was closed.
    pub close_reason: Option<CloseReason>,
    /// Who may do what, as text that holds the JSON of a [`PermissionPolicy`].
    pub permission_policy: Option<String>,
    /// Who can find it.
    pub visibility: Visibility,
    /// How it is joined.
    pub join_policy: JoinPolicy,
    /// How often it has changed; see [`ThreadUpdate::expected_revision`].
    pub revision: i64,
    /// When it was opened, ms.
    pub created_at: i64,
    /// Its newest change, ms.
    pub updated_at: i64,
    /// Its newest message, artifact or change, ms.
    pub last_activity_at: i64,
    /// When it was resolved, ms.
    pub resolved_at: Option<i64>,
    /// How many take part; in lists and single threads.
    pub participant_count: Option<u32>,
    /// Who takes part; of single threads, and in lists of admins.
    pub participants: Option<Vec<Participant>>,
    /// Whether the calling bot takes part; in lists of the organisation.
    pub is_participant: Option<bool>,
}

/// A bot in a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Participant {
    /// The bot.
    pub bot_id: String,
    /// Its name; not in answers to changes of participants.
    pub name: Option<String>,
    /// Whether a socket of one of its tokens is open.
    pub online: Option<bool>,
    /// Its label in the thread.
    pub label: Option<String>,
    /// When it joined, ms.
    pub joined_at: i64,
}

/// A thread to be opened.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NewThread {
    /// What it is about.
    pub topic: String,
    /// Who takes part beside the caller, by id or name.
    pub participants: Vec<String>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// A channel it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Background: text or any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Who may do what; the organisation's default if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_policy: Option<PermissionPolicy>,
    /// Who can find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// How it is joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_policy: Option<JoinPolicy>,
    /// Names the request, so that it can be sent again without harm. The client makes one if none is given.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A change of a thread; what is `None` is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ThreadUpdate {
    /// The state to go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ThreadStatus>,
    /// Why; needed to close a thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<CloseReason>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Change<Vec<String>>,
    /// Background: text or any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Change<Value>,
    /// Who may do what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_policy: Change<PermissionPolicy>,
    /// Who can find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// How it is joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_policy: Option<JoinPolicy>,
    /// The revision that the change is based on: if another change came first, it is refused with `REVISION_CONFLICT`.
    #[serde(skip)]
    pub expected_revision: Option<i64>,
}

impl From<ThreadStatus> for ThreadUpdate {
    /// A change of status; closing has the reason `manual`.
    fn from(status: ThreadStatus) -> Self {
        let close_reason = (status == ThreadStatus::Closed).then_some(CloseReason::Manual);
        Self { status: Some(status), close_reason, ..Self::default() }
    }
}

/// Which threads a list has.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ThreadQuery {
    /// `org` for all visible threads of the organisation; otherwise the bot's own.
    pub scope: Option<String>,
    /// Only those in this state.
    pub status: Option<ThreadStatus>,
    /// Only those whose topic has this in it.
    pub q: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Threads, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

/// What became of the wish to join.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Joined {
    /// The bot takes part.
    Joined {
        /// Since when, ms.
        joined_at: i64,
    },
    /// The bot took part before.
    AlreadyJoined,
    /// A participant has to approve.
    Pending {
        /// The request.
        request_id: String,
    },
}

/// A bot's wish to join a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct JoinRequest {
    /// Its id.
    pub id: String,
    /// The thread.
    pub thread_id: String,
    /// Who asks.
    pub bot_id: String,
    /// The name of who asks.
    pub bot_name: String,
    /// `pending`, `approved` or `rejected`.
    pub status: String,
    /// Since when, ms.
    pub requested_at: i64,
}

impl Client {
    /// Opens a thread.
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

    /// Changes a thread, all fields as one step.
    ///
    /// # Errors
    /// `REVISION_CONFLICT` with the current revision, `INVALID_TRANSITION`, `THREAD_CLOSED`, `FORBIDDEN` by the policy, and
    /// as every call.
    pub async fn update_thread(&self, id: &str, update: impl Into<ThreadUpdate>) -> Result<Thread> {
        let update = update.into();
        self.patch_revision(&["api", "threads", id], &update, update.expected_revision).await
    }

    /// Joins a thread, or asks to.
    ///
    /// # Errors
    /// `INVITE_ONLY`, `ALREADY_REQUESTED`, `THREAD_CLOSED`, and as every call.
    pub async fn join_thread(&self, id: &str) -> Result<Joined> {
        self.post(&["api", "threads", id, "join"], &json!({})).await
    }

    /// Puts a bot (id or name) into a thread, with a label if one is given.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, `ALREADY_PARTICIPANT`, `THREAD_CLOSED`, and as every call.
    pub async fn invite(&self, thread: &str, bot: &str, label: Option<&str>) -> Result<Participant> {
        let body = match label {
            Some(label) => json!({ "bot_id": bot, "label": label }),
            None => json!({ "bot_id": bot }),
        };
        self.post(&["api", "threads", thread, "participants"], &body).await
    }

    /// Sets a participant's label, or takes it away.
    ///
    /// # Errors
    /// `FORBIDDEN` by the policy, `NOT_FOUND`, and as every call.
    pub async fn set_label(&self, thread: &str, bot: &str, label: Option<&str>) -> Result<Participant> {
        self.patch(&["api", "threads", thread, "participants", bot], &json!({ "label": label })).await
    }

    /// Takes a bot (id or name) out of a thread; its own id or name leaves.
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

    /// Lets a bot into a thread.
    ///
    /// # Errors
    /// `NOT_FOUND`, `THREAD_CLOSED`, `FORBIDDEN` by the policy, and as every call.
    pub async fn approve_join_request(&self, thread: &str, request: &str) -> Result<()> {
        let path = ["api", "threads", thread, "join-requests", request, "approve"];
        self.post::<Value>(&path, &json!({})).await.map(drop)
    }

    /// Keeps a bot out of a thread; it may ask again.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN` by the policy, and as every call.
    pub async fn reject_join_request(&self, thread: &str, request: &str) -> Result<()> {
        let path = ["api", "threads", thread, "join-requests", request, "reject"];
        self.post::<Value>(&path, &json!({})).await.map(drop)
    }
}
