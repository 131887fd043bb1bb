//! All threads of the organisation, for its admins.

use serde::Serialize;

use crate::artifacts::Artifact;
use crate::client::Client;
use crate::error::Result;
use crate::messages::{PageOf, ThreadMessage};
use crate::page::Page;
use crate::threads::{Invitation, Participant, Thread, ThreadUpdate};
use crate::words::ThreadStatus;

/// Parameters of a page of the organisation's threads.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OrgThreadQuery {
    /// Only threads with this status.
    pub status: Option<ThreadStatus>,
    /// Only threads whose topic contains this text.
    pub search: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Threads, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

impl Client {
    /// A page of the organisation's threads with their participants, newest activity first.
    ///
    /// # Errors
    /// As every call.
    pub async fn org_threads(&self, query: &OrgThreadQuery) -> Result<Page<Thread>> {
        let limit = query.limit.or(Some(50));
        self.get(&["api", "org", "threads"], &OrgThreadQuery { limit, ..query.clone() }).await
    }

    /// Any thread of the organisation.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn org_thread(&self, id: &str) -> Result<Thread> {
        self.get(&["api", "org", "threads", id], &()).await
    }

    /// Changes any thread, whatever its revision.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_TRANSITION`, `THREAD_TERMINAL`, and as every call.
    pub async fn update_org_thread(&self, id: &str, update: impl Into<ThreadUpdate>) -> Result<Thread> {
        self.patch(&["api", "org", "threads", id], &update.into()).await
    }

    /// A page of any thread's messages, newest first: those before the message `before`, or the newest.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn org_thread_messages(&self, id: &str, before: Option<&str>, limit: u32) -> Result<Page<ThreadMessage>> {
        self.get(&["api", "org", "threads", id, "messages"], &PageOf::before(before, limit)).await
    }

    /// The newest version of each artifact of any thread.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn org_thread_artifacts(&self, id: &str) -> Result<Vec<Artifact>> {
        self.get_all(&["api", "org", "threads", id, "artifacts"], &()).await
    }

    /// Adds a bot to any thread.
    ///
    /// # Errors
    /// `NOT_FOUND`, `THREAD_TERMINAL`, and as every call.
    pub async fn org_invite(&self, thread: &str, bot_id: &str, label: Option<&str>) -> Result<Participant> {
        self.post(&["api", "org", "threads", thread, "participants"], &Invitation { bot_id, label }).await
    }

    /// Removes a bot from any thread.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn org_remove_participant(&self, thread: &str, bot_id: &str) -> Result<()> {
        self.delete(&["api", "org", "threads", thread, "participants", bot_id]).await
    }
}
