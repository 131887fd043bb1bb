//! Rows of this feature's tables, and requests as they are stored.
//!
//! JSON is stored as its text. A row that holds anything else than a request is an error of the read, never a gap in a list.

use std::sync::Arc;

use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::rules::request::{Vote, handle_key};
use crate::rules::times::iso;
use crate::rules::{Intent, JsonText, Request, RequestId, State, Urgency};
use crate::schema::coordination_requests;
use hxa_domain::ids::{BotId, OrgId, ThreadId};
use hxa_store::DbError;
use hxa_store::page::Weigh;

/// A request and the revision of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The request.
    pub request: Arc<Request>,
    /// Counts the changes of its row.
    pub revision: i64,
}

/// A row of `coordination_requests`, with its columns in their order.
#[derive(Debug, Clone, Queryable, Insertable, Serialize)]
#[diesel(table_name = coordination_requests)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct RequestRow {
    pub id: RequestId,
    pub org_id: OrgId,
    pub bot_id: BotId,
    pub agent_id: String,
    pub intent: Intent,
    pub urgency: Urgency,
    pub state: State,
    pub context: String,
    pub response_schema: Option<String>,
    pub allow_edit: bool,
    pub timeout_policy: String,
    pub routing_hints: String,
    pub trace_id: Option<String>,
    pub idempotency_key: Option<String>,
    pub body_hash: Option<String>,
    pub responder_id: String,
    pub responder_key: String,
    pub thread_id: Option<String>,
    pub thread_owed: Option<State>,
    pub level: i32,
    pub progress: Option<String>,
    pub response_data: Option<String>,
    pub responded_by: Option<String>,
    pub responded_at: Option<i64>,
    pub submitted_at: i64,
    pub updated_at: i64,
    pub timeout_at: i64,
    pub delivered_at: Option<i64>,
    pub due_at: Option<i64>,
    pub slack: Option<String>,
    pub revision: i64,
}

/// Its columns, as a query names them that reads whole rows.
pub const COLUMNS: &str = "id, org_id, bot_id, agent_id, intent, urgency, state, context, response_schema, allow_edit, \
    timeout_policy, routing_hints, trace_id, idempotency_key, body_hash, responder_id, responder_key, thread_id, \
    thread_owed, level, progress, response_data, responded_by, responded_at, submitted_at, updated_at, timeout_at, \
    delivered_at, due_at, slack, revision";

/// A row of the chain, with its columns in their order.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Serialize)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct AuditRow {
    pub org_id: String,
    pub event_id: String,
    pub seq: i64,
    pub request_id: String,
    pub event_type: String,
    pub actor: String,
    pub actor_type: String,
    pub payload: String,
    pub created_at: i64,
    pub hash: String,
}

impl AuditRow {
    /// The row as a line of JSON, with its payload as it is stored.
    #[must_use]
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            org_id: &'a str,
            seq: i64,
            event_id: &'a str,
            request_id: &'a str,
            event_type: &'a str,
            actor: &'a str,
            actor_type: &'a str,
            payload: Option<&'a serde_json::value::RawValue>,
            created_at: String,
            created_at_ms: i64,
            hash: &'a str,
        }
        json(&Line {
            org_id: &self.org_id,
            seq: self.seq,
            event_id: &self.event_id,
            request_id: &self.request_id,
            event_type: &self.event_type,
            actor: &self.actor,
            actor_type: &self.actor_type,
            payload: serde_json::from_str(&self.payload).ok(),
            created_at: iso(self.created_at),
            created_at_ms: self.created_at,
            hash: &self.hash,
        })
    }
}

/// Its columns.
pub const AUDIT_COLUMNS: &str =
    "org_id, event_id, seq, request_id, event_type, actor, actor_type, payload, created_at, hash";

/// What comes about while a request waits.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    votes: Vec<Vote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegated_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegated_until: Option<i64>,
}

impl Progress {
    fn text(request: &Request) -> Option<String> {
        let Request { votes, delegated_to, delegated_until, .. } = request;
        if votes.is_empty() && delegated_to.is_none() {
            return None;
        }
        let progress = Self {
            votes: votes.to_vec(),
            delegated_to: delegated_to.as_deref().map(str::to_owned),
            delegated_until: *delegated_until,
        };
        Some(json(&progress))
    }
}

/// JSON of something that can always be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn owned(text: Option<&Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

/// Under which key a responder's queue finds the request: none while a quorum is asked instead, whose members have seats.
#[must_use]
pub fn responder_key(request: &Request) -> String {
    if request.quorum().is_some() { String::new() } else { handle_key(&request.responder_id) }
}

/// When something is to be done about it, while it is open.
#[must_use]
pub fn due_at(request: &Request) -> Option<i64> {
    request.state.is_open().then_some(request.timeout_at)
}

impl RequestRow {
    /// The row of a request; `owed` is what its thread must be told.
    #[must_use]
    pub fn of(kept: &Kept, owed: Option<State>) -> Self {
        let request = &kept.request;
        Self {
            id: request.id,
            org_id: request.org,
            bot_id: request.agent,
            agent_id: request.agent_id.to_string(),
            intent: request.intent,
            urgency: request.urgency,
            state: request.state,
            context: request.context.as_str().to_owned(),
            response_schema: request.response_schema.as_deref().map(json),
            allow_edit: request.allow_edit,
            timeout_policy: json(&*request.timeout),
            routing_hints: json(&*request.routing),
            trace_id: owned(request.trace_id.as_ref()),
            idempotency_key: owned(request.idempotency_key.as_ref()),
            body_hash: request.idempotency_key.is_some().then(|| request.body_hash.to_string()),
            responder_id: request.responder_id.to_string(),
            responder_key: responder_key(request),
            thread_id: request.thread.map(|thread| thread.to_string()),
            thread_owed: owed,
            level: i32::from(request.level),
            progress: Progress::text(request),
            response_data: request.response_data.as_ref().map(|data| data.as_str().to_owned()),
            responded_by: owned(request.responded_by.as_ref()),
            responded_at: request.responded_at,
            submitted_at: request.submitted_at,
            updated_at: request.updated_at,
            timeout_at: request.timeout_at,
            delivered_at: request.delivered_at,
            due_at: due_at(request),
            slack: request.slack.as_deref().map(json),
            revision: kept.revision,
        }
    }

    /// The request.
    ///
    /// # Errors
    /// When the row holds something else.
    pub fn kept(self) -> Result<Kept, DbError> {
        let progress: Progress = read_optional(self.id, self.progress)?.unwrap_or_default();
        let thread =
            self.thread_id.as_deref().map(|id| ThreadId::parse(id).ok_or_else(|| damaged(self.id, "thread_id")));
        let request = Request {
            id: self.id,
            org: self.org_id,
            agent: self.bot_id,
            agent_id: self.agent_id.into(),
            intent: self.intent,
            urgency: self.urgency,
            state: self.state,
            context: read_text(self.id, self.context)?,
            response_schema: read_optional(self.id, self.response_schema)?.map(Arc::new),
            allow_edit: self.allow_edit,
            timeout: Arc::new(read(self.id, &self.timeout_policy)?),
            routing: Arc::new(read(self.id, &self.routing_hints)?),
            trace_id: self.trace_id.map(Arc::from),
            idempotency_key: self.idempotency_key.map(Arc::from),
            body_hash: self.body_hash.unwrap_or_default().into(),
            responder_id: self.responder_id.into(),
            thread: thread.transpose()?,
            level: u16::try_from(self.level).map_err(|_| damaged(self.id, "level"))?,
            votes: Arc::new(progress.votes),
            response_data: self.response_data.map(|data| read_text(self.id, data)).transpose()?,
            responded_by: self.responded_by.map(Arc::from),
            responded_at: self.responded_at,
            submitted_at: self.submitted_at,
            updated_at: self.updated_at,
            timeout_at: self.timeout_at,
            delivered_at: self.delivered_at,
            delegated_to: progress.delegated_to.map(Arc::from),
            delegated_until: progress.delegated_until,
            slack: read_optional(self.id, self.slack)?.map(Arc::new),
        };
        Ok(Kept { request: Arc::new(request), revision: self.revision })
    }
}

impl Weigh for RequestRow {
    fn bytes(&self) -> usize {
        let optional = [&self.response_schema, &self.progress, &self.response_data, &self.slack];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        // The rest is about a kilobyte.
        1024 + self.context.len() + self.timeout_policy.len() + self.routing_hints.len() + optional
    }
}

impl Weigh for AuditRow {
    fn bytes(&self) -> usize {
        400 + self.payload.len()
    }
}

fn damaged(id: RequestId, what: &str) -> DbError {
    let text = format!("the row of request {id} is damaged: {what}");
    DbError::Database(diesel::result::Error::DeserializationError(text.into()))
}

fn read<T: DeserializeOwned>(id: RequestId, text: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|error| damaged(id, &error.to_string()))
}

fn read_optional<T: DeserializeOwned>(id: RequestId, text: Option<String>) -> Result<Option<T>, DbError> {
    text.map(|text| read(id, &text)).transpose()
}

fn read_text(id: RequestId, text: String) -> Result<JsonText, DbError> {
    JsonText::read(text).ok_or_else(|| damaged(id, "a text is no JSON"))
}

/// Who sees a request besides its responder, by the keys of their handles: until when they are asked, 0 where they only have
/// answered.
#[must_use]
pub fn seats(request: &Request) -> Vec<(String, i64)> {
    let own = responder_key(request);
    let answered = request.votes.iter().map(|vote| vote.responder_id.as_str()).chain(request.responded_by.as_deref());
    // Names of the hub's own, such as `system:auto_reject`, are nobody's.
    let answered = answered.filter(|name| !name.contains(':')).map(|name| (handle_key(name), 0));
    let members = request.quorum().into_iter().flat_map(|quorum| &quorum.of).map(|name| (handle_key(name), i64::MAX));
    let delegate =
        request.delegated_to.as_deref().zip(request.delegated_until).map(|(name, until)| (handle_key(name), until));
    let mut seats: Vec<(String, i64)> =
        answered.chain(members).chain(delegate).filter(|(key, _)| *key != own).collect();
    // Of one key the latest time counts, except that who has answered always sees it.
    seats.sort_unstable();
    let mut kept: Vec<(String, i64)> = Vec::with_capacity(seats.len());
    for seat in seats {
        match kept.last_mut().filter(|last| last.0 == seat.0) {
            Some(last) if seat.1 == i64::MAX => *last = seat,
            Some(last) if last.1 != 0 => *last = seat,
            Some(_) => {}
            None => kept.push(seat),
        }
    }
    kept
}
