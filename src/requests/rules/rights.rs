//! Who may do what with a request.
//!
//! Agents see what they asked themselves; a key that may respond answers any request of its organisation in the name of
//! people. A responder sees what is or was answered by them and what they are asked; coordinators and admins everything;
//! an auditor reads everything and changes nothing; a viewer sees none. What one may not see does not exist.

use super::request::{Request, is_same};
use super::who::{PersonRole, Who};
use hxa_domain::error::{ApiError, ErrorCode};

hxa_domain::wire_enum! {
    /// Something to do with a request.
    Action {
        Read = "read",
        Audit = "audit",
        Deliver = "deliver",
        Answer = "answer",
        Cancel = "cancel",
        Reassign = "reassign",
        Delegate = "delegate",
    }
}

/// What one may do with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each right")]
pub struct Rights {
    /// See it.
    pub read: bool,
    /// See its audit events.
    pub audit: bool,
    /// Take its answer, which delivers it.
    pub deliver: bool,
    /// Answer it.
    pub answer: bool,
    /// Withdraw it.
    pub cancel: bool,
    /// Have somebody else asked.
    pub reassign: bool,
    /// Let somebody else answer as well.
    pub delegate: bool,
}

/// Why one may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// What cannot be seen does not exist.
    Missing,
    /// Agents do not answer.
    AgentAnswer,
    /// Another reason.
    Forbidden(Action),
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            // The README's words.
            Denied::Missing => Self::new(ErrorCode::NotFound, "Not found"),
            Denied::AgentAnswer => {
                Self::forbidden("Agents do not answer requests; people do, or a key that was made with --allow-respond")
            }
            Denied::Forbidden(action) => Self::forbidden(format!("You may not {action} this request")),
        }
    }
}

/// What one may do with a request at this time.
#[must_use]
pub fn rights(request: &Request, who: &Who, now: i64) -> Rights {
    let all =
        Rights { read: true, audit: true, deliver: false, answer: true, cancel: true, reassign: true, delegate: true };
    match who {
        Who::System | Who::OrgAdmin { .. } => all,
        Who::Agent { id, may_respond, .. } => of_agent(*id == request.agent, *may_respond),
        Who::Slack { person: None, .. } => Rights { answer: true, ..Rights::default() },
        Who::Person { handle, role } | Who::Slack { person: Some((handle, role)), .. } => match role {
            PersonRole::Admin | PersonRole::Coordinator => all,
            PersonRole::Auditor => Rights { read: true, audit: true, ..Rights::default() },
            PersonRole::Viewer => Rights::default(),
            PersonRole::Responder => of_responder(request, handle, now),
        },
    }
}

fn of_agent(is_own: bool, may_respond: bool) -> Rights {
    let answer = may_respond;
    Rights { read: is_own, audit: is_own, deliver: is_own, cancel: is_own, answer, ..Rights::default() }
}

fn of_responder(request: &Request, handle: &str, now: i64) -> Rights {
    let is_asked = request.asks(handle, now);
    let has_answered =
        request.responded_by.as_ref().is_some_and(|by| is_same(by, handle)) || request.vote_of(handle).is_some();
    let read = is_asked || has_answered;
    let delegate = request.quorum().is_none() && is_same(&request.responder_id, handle);
    Rights { read, audit: read, answer: is_asked, delegate, ..Rights::default() }
}

impl Rights {
    /// Whether this is among them.
    #[must_use]
    pub const fn has(self, action: Action) -> bool {
        match action {
            Action::Read => self.read,
            Action::Audit => self.audit,
            Action::Deliver => self.deliver,
            Action::Answer => self.answer,
            Action::Cancel => self.cancel,
            Action::Reassign => self.reassign,
            Action::Delegate => self.delegate,
        }
    }
}

/// Whether one may do this.
///
/// # Errors
/// 404 where the request cannot be seen, 403 where it can.
pub fn check(request: &Request, who: &Who, action: Action, now: i64) -> Result<(), Denied> {
    let rights = rights(request, who, now);
    if rights.has(action) {
        return Ok(());
    }
    Err(match (rights.read, action, who) {
        (false, ..) => Denied::Missing,
        (true, Action::Answer, Who::Agent { .. }) => Denied::AgentAnswer,
        (true, ..) => Denied::Forbidden(action),
    })
}

/// Which requests one sees in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of the organisation.
    All,
    /// Those of this agent.
    Agent(hxa_domain::ids::BotId),
    /// Those that ask, or were answered by, the person of this handle.
    Responder(String),
    /// None.
    Nothing,
}

impl Reach {
    /// What one sees.
    #[must_use]
    pub fn of(who: &Who) -> Self {
        match who {
            Who::System | Who::OrgAdmin { .. } => Self::All,
            Who::Agent { id, .. } => Self::Agent(*id),
            Who::Person { handle, role } | Who::Slack { person: Some((handle, role)), .. } => match role {
                PersonRole::Admin | PersonRole::Coordinator | PersonRole::Auditor => Self::All,
                PersonRole::Responder => Self::Responder(handle.to_string()),
                PersonRole::Viewer => Self::Nothing,
            },
            Who::Slack { person: None, .. } => Self::Nothing,
        }
    }
}
