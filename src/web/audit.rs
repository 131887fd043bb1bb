//! `/api/audit`: an organisation's audit trail, for its admins and auditors.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::{OrgReader, rights};
use super::routing::Routes;
use super::{Answer, answer, examples, list};
use hxa_domain::ids::{AuditId, OrgId};
use hxa_domain::query::Query;
use hxa_domain::schema::Json;
use hxa_hub::hub::Hub;
use hxa_hub::wire::StoredJson;
use hxa_store::DbConnection;
use hxa_store::audit::{self, AuditFilter};
use hxa_store::page::Page;
use hxa_store::rows::AuditRow;

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(list_audit);
}

/// An entry as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry<'a> {
    id: AuditId,
    #[schema(value_type = OrgId)]
    org_id: &'a str,
    /// Whoever did it: mostly a bot's id; `person:<id>` for a person.
    #[schema(required)]
    bot_id: Option<&'a str>,
    action: &'a str,
    target_type: &'a str,
    target_id: &'a str,
    /// What belongs to the action.
    #[schema(value_type = Json)]
    detail: StoredJson<'a>,
    created_at: i64,
}

impl<'a> From<&'a AuditRow> for Entry<'a> {
    fn from(row: &'a AuditRow) -> Self {
        Self {
            id: row.id,
            org_id: &row.org_id,
            bot_id: row.bot_id.as_deref(),
            action: &row.action,
            target_type: &row.target_type,
            target_id: &row.target_id,
            detail: StoredJson::or_null(row.detail.as_deref()),
            created_at: row.created_at,
        }
    }
}

/// List the audit trail
///
/// Newest first; all filters are exact. `before` (an entry's id or a time) gives the page after that entry. A list that does
/// not fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Organisation", operation_id = "audit_list",
    params(
        ("since" = Option<i64>, Query, description = "Only entries after this time in ms."),
        ("action" = Option<String>, Query, description = "Only this action."),
        ("target_type" = Option<String>, Query, description = "Only targets of this kind."),
        ("target_id" = Option<String>, Query, description = "Only this target."),
        ("bot_id" = Option<String>, Query, description = "Only entries of this actor."),
        ("before" = Option<String>, Query, description = "Only entries before this id or time in ms."),
        ("limit" = Option<i64>, Query, description = "At most so many, 1 to 200, 50 by default."),
    ),
    responses((status = 200, description = "The entries.", body = Vec<Entry>, example = json!([examples::audit_entry()]))),
)]
#[get("/api/audit")]
async fn list_audit(hub: web::Data<Hub>, reader: OrgReader<rights::Everything>, request: HttpRequest) -> Answer {
    let query = Query::parse(request.query_string());
    let filter = filter_of(&query, hub.now())?;
    let Some(org) = reader.0 else {
        let none: [Entry<'_>; 0] = [];
        return answer::ok(&none);
    };
    let (org, most) = (org.id, hub.config().server.max_answer_bytes);
    let read = move |conn: &mut DbConnection| {
        let page = Page { rows: audit::list(conn, org, &filter)?, has_more: false };
        Ok(list::array(most, &page, Entry::from, |last| ("before", last.id.to_string()))?)
    };
    // Much of the trail is computed from other rows, and a filter may match few of them.
    list::answer(&hub, &request, hub.store().read_slowly(Some(org), read).await?)
}

fn filter_of(query: &Query, now: i64) -> hxa_domain::error::ApiResult<AuditFilter> {
    let text = |key: &str| query.filled(key).map(str::to_owned);
    Ok(AuditFilter {
        since: query.optional_time("since")?.filter(|since| *since != 0),
        action: text("action"),
        target_type: text("target_type"),
        target_id: text("target_id"),
        bot_id: text("bot_id"),
        before: audit::position(query.filled("before")),
        limit: query.limit("limit", 50, 200),
        now,
    })
}
