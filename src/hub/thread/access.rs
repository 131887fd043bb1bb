//! Permission checks of a thread, the same for every operation.
//!
//! The order of the checks is part of the protocol: a thread that the caller may not see looks absent, a thread that
//! has ended is reported before missing membership, and membership is checked before permissions.

use serde_json::json;

use super::Context;
use super::state::{Participant, ThreadState};
use crate::core::caller::{BotCaller, Caller};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::policy::{Action, evaluate};
use hxa_store::Write;
use hxa_store::audit::noting_socket;
use hxa_store::rows::AuditRow;

/// Whether an operation is possible in a thread that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is.
    Allowed,
    /// It is refused with `THREAD_CLOSED`.
    Refused,
}

impl ThreadState {
    /// The caller as a participant, or the refusal the protocol has for the case.
    ///
    /// # Errors
    /// 404 when the thread must look absent, 409 `THREAD_CLOSED`, 403 `JOIN_REQUIRED`.
    pub fn member(&self, caller: &BotCaller, ended: Ended) -> ApiResult<&Participant> {
        let found = self.participant(caller.bot.id);
        // A socket says JOIN_REQUIRED where REST says 404; both hide what only members may know to exist.
        let outsider = || self.row.visibility.refuse_outsider(self.id);
        if found.is_none() && !self.row.visibility.shows_outside() {
            return Err(outsider());
        }
        if ended == Ended::Refused {
            self.still_open()?;
        }
        found.ok_or_else(outsider)
    }

    /// Refuses when the thread is resolved or closed.
    ///
    /// # Errors
    /// 409 `THREAD_CLOSED`.
    pub fn still_open(&self) -> ApiResult<()> {
        if self.row.status.is_terminal() {
            return Err(ApiError::new(ErrorCode::ThreadClosed, format!("The thread is {}", self.row.status)));
        }
        Ok(())
    }

    /// Whether the thread's policy lets a participant do `action`.
    #[must_use]
    pub fn permits(&self, caller: &BotCaller, participant: &Participant, action: Action) -> bool {
        let default = caller.org.default_policy();
        let is_initiator = self.row.initiator_id == Some(participant.bot);
        evaluate(self.policy.as_ref(), default.as_deref(), action, is_initiator, participant.label.as_deref())
    }

    /// Whether a participant may invite with `label`: nobody hands out a right that it lacks, or whoever may invite could
    /// take the thread over by a bot of its own. The initiator and managers give any label; without them a policy that
    /// names labels only could never come to life.
    #[must_use]
    pub fn may_give(&self, caller: &BotCaller, participant: &Participant, label: &str) -> bool {
        let default = caller.org.default_policy();
        let grants = |action| evaluate(self.policy.as_ref(), default.as_deref(), action, false, Some(label));
        self.row.initiator_id == Some(participant.bot)
            || self.permits(caller, participant, Action::Manage)
            || Action::ALL.iter().all(|&action| !grants(action) || self.permits(caller, participant, action))
    }

    /// Refuses, with an audit row, when the participant may not write.
    ///
    /// # Errors
    /// 403 `WRITE_PERMISSION_DENIED`.
    pub fn may_write(&self, caller: &BotCaller, participant: &Participant, context: &mut Context<'_>) -> ApiResult<()> {
        if self.permits(caller, participant, Action::Write) {
            return Ok(());
        }
        context.deny("thread.write_denied", self, json!({ "action": "write" }));
        Err(ApiError::new(ErrorCode::WriteDenied, "The thread's policy does not let you write"))
    }
}

impl Context<'_> {
    /// The acting bot; operations of bots are only ever called by bots.
    ///
    /// # Errors
    /// 403 `FORBIDDEN` for anybody else.
    pub fn bot(&self) -> ApiResult<BotCaller> {
        match self.caller {
            Caller::Bot(caller) => Ok(caller.clone()),
            Caller::Admin(_) | Caller::Person(_) | Caller::Hub(_) => Err(ApiError::forbidden("Only a bot may do this")),
        }
    }

    /// An audit row about this thread; rows caused through a socket say so.
    #[must_use]
    pub fn audit(&self, action: &str, thread: &ThreadState, detail: serde_json::Value) -> Write {
        self.audit_of(self.caller.audit_bot(), action, thread, detail)
    }

    /// An audit row about this thread in another's name than the caller's usual one.
    #[must_use]
    pub fn audit_of(&self, by: Option<String>, action: &str, thread: &ThreadState, detail: serde_json::Value) -> Write {
        let detail = noting_socket(detail, self.caller.via_socket());
        let row = AuditRow::new(self.org.id, self.now, by, action, "thread", thread.row.id, Some(detail));
        Write::Audit(row)
    }

    /// Notes a refusal in the audit trail; it is stored although nothing else is.
    pub fn deny(&mut self, action: &str, thread: &ThreadState, detail: serde_json::Value) {
        let row = self.audit(action, thread, detail);
        self.denials.push(row);
    }
}
