//! What these routes answer besides requests and audit events.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::queries::lists::Listed;
use crate::rows::{AuditRow, Kept};
use crate::rules::auto_approve::{AutoApprove, Policy};
use crate::rules::times::iso;
use crate::rules::views::{AuditView, RequestView};
use crate::rules::{ActorKind, AuditKind, Intent, JsonText, RequestId, Urgency};
use hxa_domain::cursor::Cursor;

hxa_domain::wire_enum! {
    /// What was done.
    Outcome {
        Cancelled = "cancelled",
        Responded = "responded",
        Voted = "voted",
        Delivered = "delivered",
    }
}

/// Something was done with a request.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationOutcome)]
pub struct Done {
    /// What.
    pub status: Outcome,
    /// The request.
    pub request_id: RequestId,
}

/// A part of the list of requests.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationRequests)]
pub struct RequestPage<'a> {
    /// The requests, newest first.
    #[serde(serialize_with = "requests")]
    #[schema(value_type = Vec<RequestView>)]
    requests: &'a [Kept],
    #[serde(flatten)]
    rest: Rest,
}

/// A part of the list of audit events.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationAuditEvents)]
pub struct AuditPage<'a> {
    /// The events, oldest first.
    #[serde(serialize_with = "events")]
    #[schema(value_type = Vec<AuditView>)]
    events: &'a [AuditRow],
    #[serde(flatten)]
    rest: Rest,
}

/// Where a list goes on, and how long it is.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationListRest)]
struct Rest {
    /// Rows on all pages, as far as they were counted.
    total: i64,
    /// Whether there are more than that.
    is_more_than_total: bool,
    /// Whether rows follow.
    has_more: bool,
    /// Where they follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

impl Rest {
    fn of<T>(listed: &Listed<T>, cursor: impl Fn(&T) -> Cursor) -> Self {
        let last = listed.rows.last().filter(|_| listed.has_more);
        Self {
            total: listed.total,
            is_more_than_total: listed.is_more_than_total,
            has_more: listed.has_more,
            next_cursor: last.map(|last| cursor(last).encode()),
        }
    }
}

impl<'a> RequestPage<'a> {
    /// The view of a part.
    #[must_use]
    pub fn of(listed: &'a Listed<Kept>) -> Self {
        let cursor = |kept: &Kept| Cursor::new(kept.request.submitted_at, kept.request.id);
        Self { requests: &listed.rows, rest: Rest::of(listed, cursor) }
    }
}

impl<'a> AuditPage<'a> {
    /// The view of a part.
    #[must_use]
    pub fn of(listed: &'a Listed<AuditRow>) -> Self {
        let cursor = |row: &AuditRow| Cursor::new(row.created_at, &row.event_id);
        Self { events: &listed.rows, rest: Rest::of(listed, cursor) }
    }
}

fn requests<S: Serializer>(rows: &[Kept], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|kept| RequestView::of(&kept.request)))
}

fn events<S: Serializer>(rows: &[AuditRow], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(Shown))
}

/// A row as an event.
struct Shown<'a>(&'a AuditRow);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let damaged =
            |column| serde::ser::Error::custom(format!("the audit event {} has a damaged {column}", row.event_id));
        let view = AuditView {
            event_id: &row.event_id,
            request_id: &row.request_id,
            event_type: AuditKind::parse(&row.event_type).ok_or_else(|| damaged("event_type"))?,
            actor: &row.actor,
            actor_type: ActorKind::parse(&row.actor_type).ok_or_else(|| damaged("actor_type"))?,
            payload: &JsonText::read(row.payload.clone()).ok_or_else(|| damaged("payload"))?,
            created_at: iso(row.created_at),
            seq: row.seq,
            hash: &row.hash,
        };
        view.serialize(serializer)
    }
}

/// A ticket that opens one event stream.
#[derive(Serialize, ToSchema)]
#[schema(as = EventStreamTicket)]
pub struct Ticket {
    /// The ticket.
    pub ticket: String,
    /// Seconds that it is good for.
    pub expires_in: i64,
}

/// What an organisation lets requests do by themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationPolicy)]
pub struct PolicyView<'a> {
    auto_approve: AutoApproveView<'a>,
    /// Whether Slack users who are no people of the organisation answer, as `slack:<name>`.
    slack_names: bool,
}

/// What may be approved by itself.
#[derive(Serialize, ToSchema)]
#[schema(as = CoordinationAutoApprove)]
struct AutoApproveView<'a> {
    /// Only these intents.
    intents: &'a [Intent],
    /// Only these urgencies.
    urgencies: &'a [Urgency],
}

impl<'a> PolicyView<'a> {
    /// The view of a policy.
    #[must_use]
    pub fn of(policy: &'a Policy) -> Self {
        let AutoApprove { intents, urgencies } = &policy.auto_approve;
        Self { auto_approve: AutoApproveView { intents, urgencies }, slack_names: policy.slack_names }
    }
}
