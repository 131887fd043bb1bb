//! Catch-up: the events that a bot missed, and their number.

use actix_web::{get, web};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::answer::{json, written};
use super::guard::{Bot, needs};
use super::list::{self, Shape};
use super::params::Params;
use super::routing::Routes;
use super::{Answer, collab_examples as examples};
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{ChannelId, EventId, ThreadId};
use hxa_domain::thread::ThreadStatus;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::hub::Hub;
use hxa_store::catchup::{self, CatchupEvent, CatchupQuery, Kind};
use hxa_store::{DbConnection, DbError};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(events).service(counts);
}

/// An event with the fields of its kind beside its own.
struct Flat<'a>(&'a CatchupEvent);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(Some(event.payload.len() + 3))?;
        map.serialize_entry("event_id", &event.id)?;
        map.serialize_entry("occurred_at", &event.occurred_at)?;
        map.serialize_entry("type", &event.kind)?;
        for (key, value) in &event.payload {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What a bot missed, by kind, for the OpenAPI document.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "events are written with the fields that their sources have; this is their shape")]
#[schema(as = CatchupEvent)]
enum CatchupEventView {
    /// The bot was invited.
    ThreadInvited { event_id: EventId, occurred_at: i64, thread_id: ThreadId, topic: String, inviter: String },
    /// The bot was removed.
    ThreadParticipantRemoved {
        event_id: EventId,
        occurred_at: i64,
        thread_id: ThreadId,
        topic: String,
        removed_by: String,
    },
    /// An admin or the hub itself changed the status.
    ThreadStatusChanged {
        event_id: EventId,
        occurred_at: i64,
        thread_id: ThreadId,
        #[schema(required)]
        topic: Option<String>,
        #[schema(required)]
        from: Option<ThreadStatus>,
        #[schema(required)]
        to: Option<ThreadStatus>,
        #[schema(required)]
        by: Option<String>,
    },
    /// Messages in a thread.
    ThreadMessageSummary {
        event_id: EventId,
        occurred_at: i64,
        thread_id: ThreadId,
        topic: String,
        count: i64,
        last_at: i64,
    },
    /// Versions of an artifact.
    ThreadArtifactAdded {
        event_id: EventId,
        occurred_at: i64,
        thread_id: ThreadId,
        artifact_key: String,
        version: i64,
        /// How many, if more than one.
        #[schema(nullable = false)]
        count: Option<i64>,
    },
    /// Direct messages.
    ChannelMessageSummary { event_id: EventId, occurred_at: i64, channel_id: ChannelId, count: i64, last_at: i64 },
}

/// A page of what a bot missed.
#[derive(Serialize, ToSchema)]
struct CatchupPage {
    events: Vec<CatchupEventView>,
    has_more: bool,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

/// What the caller asks.
fn query(hub: &Hub, caller: &BotCaller, params: &Params) -> ApiResult<CatchupQuery> {
    Ok(CatchupQuery {
        org: caller.org.id,
        bot: caller.bot.id,
        since: params.required_time("since")?,
        cursor: params.get("cursor").and_then(EventId::parse),
        limit: params.limit("limit", 50, 200),
        now: hub.now(),
    })
}

/// The answer that was given before while it is true, else a new one.
async fn answer<F>(hub: &Hub, caller: &BotCaller, kind: Kind, query: CatchupQuery, read: F) -> Answer
where
    F: FnOnce(&mut DbConnection) -> Result<Vec<u8>, DbError> + Send + 'static,
{
    let (answers, org) = (hub.store().answers(), caller.org.id);
    if let Some(body) = answers.find(kind, &query) {
        return written(body);
    }
    let begun = answers.begin();
    // Only memory knows of the newest activities.
    hub.flush_activity(&caller.org).await?;
    written(hub.store().read_for(org, move |conn| answers.read(conn, (kind, &query), begun, read)).await?)
}

/// List missed events
///
/// Events after `since`, oldest first: summaries of messages and artifacts per conversation, invitations, removals and
/// status changes. With `cursor` the list goes on after that event. Reading consumes nothing; events are kept 30 days.
#[utoipa::path(
    tag = "Collaboration", operation_id = "catchup_list",
    params(
        ("since" = i64, Query, description = "Only events after this time in ms", example = json!(0)),
        ("cursor" = Option<String>, Query, description = "`cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 200, 50 by default"),
    ),
    responses(
        (status = 200, description = "A page of events; `cursor` only when there are more", body = CatchupPage,
            example = json!({
                "events": examples::catchup_events(), "has_more": true,
                "cursor": "0199c831-2db0-8e16-b4a9-40c1d7f3a552",
            })),
        (status = 400, description = "`since` is missing or no number"),
    ),
)]
#[get("/api/me/catchup")]
async fn events(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params) -> Answer {
    let query = query(&hub, &caller, &params)?;
    let (timelines, most) = (hub.store().timelines(), hub.config().server.max_answer_bytes);
    let read = move |conn: &mut DbConnection| {
        let page = catchup::page(conn, &timelines, &query)?;
        Ok(list::page((Shape::EVENTS, most), &page, |event| event.id.to_string(), Flat)?)
    };
    answer(&hub, &caller, Kind::Page, query, read).await
}

/// How much a bot missed.
#[derive(Serialize, ToSchema)]
struct CatchupCounts {
    thread_invites: i64,
    thread_status_changes: i64,
    thread_activities: i64,
    channel_messages: i64,
    total: i64,
}

/// Count missed events
///
/// How many events `GET /api/me/catchup` has for the same `since`, by kind. A summary counts as one, however many
/// messages it stands for.
#[utoipa::path(
    tag = "Collaboration", operation_id = "catchup_count",
    params(("since" = i64, Query, description = "Only events after this time in ms", example = json!(0))),
    responses(
        (status = 200, description = "The counts", body = CatchupCounts, example = json!({
            "thread_invites": 1, "thread_status_changes": 0, "thread_activities": 2, "channel_messages": 1, "total": 4,
        })),
        (status = 400, description = "`since` is missing or no number"),
    ),
)]
#[get("/api/me/catchup/count")]
async fn counts(hub: web::Data<Hub>, caller: Bot<needs::Read>, params: Params) -> Answer {
    let query = query(&hub, &caller, &params)?;
    let read = move |conn: &mut DbConnection| {
        let counts = catchup::counts(conn, &query)?;
        let parts = [counts.invites, counts.status_changes, counts.activities, counts.channels];
        let view = CatchupCounts {
            thread_invites: counts.invites,
            thread_status_changes: counts.status_changes,
            thread_activities: counts.activities,
            channel_messages: counts.channels,
            total: parts.into_iter().fold(0, i64::saturating_add),
        };
        Ok(json(&view)?)
    };
    answer(&hub, &caller, Kind::Counts, query, read).await
}
