//! Changing a thread's status, topic, context and settings: one transaction, one revision, one event.
//!
//! Participants are subject to the thread's policy, organisation admins are not; both use the same status machine.

use serde_json::{Value, json};

use super::access::Ended;
use super::requests::resolved_event;
use super::state::{PendingRequest, ThreadState};
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::fanout::event::Event;
use crate::wire::events;
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::etag::Revisions;
use hxa_domain::ids::BotId;
use hxa_domain::policy::Action;
use hxa_domain::thread::{
    Access, CloseReason, OrgThreadPatch, PatchTransport, RequestStatus, RequestedChanges as Asked, ThreadPatch,
    ThreadStatus, Transitions, check_transition,
};
use hxa_store::Write;
use hxa_store::rows::ThreadRow;
use hxa_store::threads::{MemberChange, ThreadChanges};

/// A participant changes the thread.
pub struct UpdateThread {
    /// The fields to change.
    pub patch: Parsed<ThreadPatch>,
    /// The revision the caller believes is current.
    pub expected_revision: Option<Revisions>,
    /// How a new status is judged.
    pub transitions: Transitions,
}

/// The thread after a change.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The row.
    pub row: ThreadRow,
    /// What changed, in the words of the protocol.
    pub changes: Vec<&'static str>,
}

impl Operation for UpdateThread {
    type Answer = Updated;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Thread)
    }

    fn bytes(&self) -> usize {
        self.patch.bytes()
    }
}

impl ThreadOperation for UpdateThread {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Updated>> {
        let caller = context.bot()?;
        let participant = thread.member(&caller, Ended::Allowed)?.clone();
        let patch = self.patch.draft()?;
        if patch.needs_manage() && !thread.permits(&caller, &participant, Action::Manage) {
            context.deny("thread.permission_denied", thread, json!({ "action": "manage" }));
            return Err(ApiError::forbidden("The thread's policy does not let you manage it"));
        }
        let mut asked = patch.check(thread.row.status, PatchTransport::Bot)?;
        if let Some(action) = asked.governed_by()
            && !thread.permits(&caller, &participant, action)
        {
            context.deny("thread.permission_denied", thread, json!({ "action": action, "status": asked.status }));
            return Err(ApiError::forbidden(format!("The thread's policy does not let you {action} it")));
        }
        if let Some(to) = asked.status {
            let judged = self.transitions.judge(thread.row.status, to);
            asked.status = judged.map_err(|error| error.with_status(400))?;
        }
        if self.expected_revision.as_ref().is_some_and(|expected| !expected.admit(thread.row.revision)) {
            return Err(stale(thread));
        }
        if asked == Asked::default() {
            return Ok(Applied::unchanged(Updated { row: thread.row.clone(), changes: Vec::new() }));
        }
        Ok(change(thread, context, &asked, PatchTransport::Bot))
    }
}

/// The admin's form: no policy, settings also on ended threads, 409 for a bad transition.
pub fn apply_as_admin(
    patch: Parsed<OrgThreadPatch>,
    thread: &mut ThreadState,
    context: &mut Context<'_>,
) -> ApiResult<Applied<Updated>> {
    let OrgThreadPatch(patch) = patch.draft()?;
    let asked = patch.check(thread.row.status, PatchTransport::Org)?;
    if let Some(to) = asked.status {
        check_transition(thread.row.status, to)?;
    }
    Ok(change(thread, context, &asked, PatchTransport::Org))
}

/// The hub's own closing of an idle thread.
pub fn close_for_hub(thread: &mut ThreadState, context: &mut Context<'_>, reason: CloseReason) -> Applied<Updated> {
    let asked = Asked { status: Some(ThreadStatus::Closed), close_reason: Some(reason), ..Asked::default() };
    change(thread, context, &asked, PatchTransport::Org)
}

/// Another status, by the hub itself.
pub fn set_status_for_hub(thread: &mut ThreadState, context: &mut Context<'_>, to: ThreadStatus) -> Applied<Updated> {
    change(thread, context, &Asked { status: Some(to), ..Asked::default() }, PatchTransport::Org)
}

fn stale(thread: &ThreadState) -> ApiError {
    let revision = thread.row.revision;
    ApiError::new(ErrorCode::RevisionConflict, format!("The thread is at revision {revision}"))
        .with("revision", revision)
}

/// Applies a checked change: columns, revision, audit, events.
fn change(
    thread: &mut ThreadState,
    context: &mut Context<'_>,
    asked: &Asked,
    face: PatchTransport,
) -> Applied<Updated> {
    let at = thread.next_time(context.now);
    let (topic, status, access) = (thread.row.topic.clone(), thread.row.status, thread.access());
    let by_bot = context.bot().ok().map(|caller| caller.bot.id);
    let mut step = Step { at, columns: ThreadChanges::default(), names: Vec::new(), refused: Vec::new() };
    if let Some(to) = asked.status {
        step.set_status(thread, to, asked.close_reason);
    }
    step.set_texts(thread, asked);
    let members = step.set_access(thread, asked, by_bot);
    let Step { columns, names: changes, refused, .. } = step;
    let mut writes = vec![thread.revise(at, columns, members)];
    let mut events = Vec::new();
    if status != thread.row.status {
        let detail = json!({ "from": status, "to": thread.row.status, "close_reason": thread.row.close_reason });
        writes.push(status_audit(context, thread, detail, &topic, at));
        if face == PatchTransport::Org {
            events.push(status_event(thread, context, status));
        }
    }
    writes.extend(access_audits(context, thread, access));
    let has_settings = changes.iter().any(|name| !matches!(*name, "status" | "close_reason" | "resolved_at"));
    if face != PatchTransport::Org || has_settings {
        events.push(updated_event(thread, &changes));
    }
    events.extend(refused.iter().map(|request| resolved_event(thread, request, RequestStatus::Rejected)));
    Applied { writes, events, answer: Updated { row: thread.row.clone(), changes } }
}

/// One change on its way: the columns to write, what the event will name, and who waited to be let in for nothing.
struct Step {
    at: i64,
    columns: ThreadChanges,
    names: Vec<&'static str>,
    refused: Vec<PendingRequest>,
}

impl Step {
    fn set_status(&mut self, thread: &mut ThreadState, to: ThreadStatus, reason: Option<CloseReason>) {
        let outcome = thread.row.status.outcome(to, reason, thread.row.resolved_at, self.at);
        let close_reason = outcome.close_reason;
        self.names.push("status");
        if close_reason != thread.row.close_reason {
            self.names.push("close_reason");
        }
        if outcome.resolved_at != thread.row.resolved_at {
            self.names.push("resolved_at");
        }
        thread.row.status = to;
        thread.row.close_reason = close_reason;
        thread.row.resolved_at = outcome.resolved_at;
        self.columns.status = Some(to);
        self.columns.close_reason = Some(close_reason);
        self.columns.resolved_at = Some(thread.row.resolved_at);
    }

    fn set_texts(&mut self, thread: &mut ThreadState, asked: &Asked) {
        if let Some(context) = &asked.context {
            thread.row.context.clone_from(context);
            self.columns.context = Some(context.clone());
            self.names.push("context");
        }
        if let Some(topic) = &asked.topic {
            thread.row.topic.clone_from(topic);
            self.columns.topic = Some(topic.clone());
            self.names.push("topic");
        }
        if let Some(tags) = &asked.tags {
            thread.row.tags = tags.clone().map(|tags| Value::from(tags).to_string());
            self.columns.tags = Some(thread.row.tags.clone());
            self.names.push("tags");
        }
        if let Some(policy) = &asked.permission_policy {
            thread.policy.clone_from(policy);
            thread.row.permission_policy = policy.as_ref().map(|policy| policy.text().to_owned());
            self.columns.permission_policy = Some(thread.row.permission_policy.clone());
            self.names.push("permission_policy");
        }
    }

    /// Visibility and join policy; shutting the door turns the bots that wait for it away.
    fn set_access(&mut self, thread: &mut ThreadState, asked: &Asked, by: Option<BotId>) -> Vec<MemberChange> {
        if !asked.touches_access() {
            return Vec::new();
        }
        let was = thread.access();
        let is = was.changed(asked.visibility.flatten(), asked.join_policy.flatten());
        if asked.visibility.is_some() {
            self.names.push("visibility");
        }
        if asked.join_policy.is_some() || was.join_policy != is.join_policy {
            self.names.push("join_policy");
        }
        (thread.row.visibility, thread.row.join_policy) = (is.visibility, is.join_policy);
        self.columns.visibility = Some(is.visibility);
        self.columns.join_policy = Some(is.join_policy);
        if !was.ends_requests(is) || thread.requests.is_empty() {
            return Vec::new();
        }
        self.refused = std::mem::take(&mut thread.requests);
        vec![MemberChange::Resolve { request: None, status: RequestStatus::Rejected, by, at: self.at }]
    }
}

/// The audit row of a status change is also what catchup reads, so it carries the topic of the moment and who did it.
fn status_audit(context: &Context<'_>, thread: &ThreadState, mut detail: Value, topic: &str, at: i64) -> Write {
    if let Some(fields) = detail.as_object_mut() {
        fields.insert("topic".to_owned(), topic.into());
        fields.insert("by".to_owned(), context.caller.by().into());
    }
    let mut write = context.audit("thread.status_changed", thread, detail);
    if let Write::Audit(row) = &mut write {
        row.created_at = at;
        row.id = hxa_domain::ids::AuditId::at(at);
    }
    write
}

fn access_audits(context: &Context<'_>, thread: &ThreadState, was: Access) -> Vec<Write> {
    let is = thread.access();
    let mut rows = Vec::new();
    if was.visibility != is.visibility {
        let detail = json!({ "from": was.visibility, "to": is.visibility });
        rows.push(context.audit("thread.visibility_changed", thread, detail));
    }
    if was.join_policy != is.join_policy {
        let detail = json!({ "from": was.join_policy, "to": is.join_policy });
        rows.push(context.audit("thread.join_policy_changed", thread, detail));
    }
    rows
}

fn status_event(thread: &ThreadState, context: &Context<'_>, from: ThreadStatus) -> Event {
    let fields = events::ThreadStatusChanged {
        thread_id: thread.row.id,
        topic: &thread.row.topic,
        from,
        to: thread.row.status,
        by: context.caller.by(),
    };
    Event::new("thread_status_changed", &fields, thread.audience())
}

/// The event that carries the whole thread.
pub fn updated_event(thread: &ThreadState, changes: &[&'static str]) -> Event {
    Event::new("thread_updated", &events::ThreadUpdated { thread: (&thread.row).into(), changes }, thread.audience())
}
