//! The audit events of requests.

use actix_web::{HttpRequest, get, web};

use super::examples;
use super::views::AuditPage;
use crate::principal::Principal;
use crate::rules::AuditFilters;
use crate::service::Requests;
use hxa_hub::hub::Hub;
use hxa_web::Answer;
use hxa_web::answer::{json, written};

/// List audit events
///
/// Oldest first; filters are exact and all must match. Of the requests that the caller sees; auditors, coordinators and
/// admins see all. `seq` and `hash` are the event's place in the organisation's chain, which `hxa-connect audit verify`
/// checks.
#[utoipa::path(
    tag = "Coordination", operation_id = "requests_audit",
    params(
        ("request_id" = Option<String>, Query, description = "Only of this request", example = json!(examples::REQUEST)),
        ("event_type" = Option<String>, Query, description = "Only of this kind", example = json!("CR_RESPONDED")),
        ("actor" = Option<String>, Query, description = "Only by this actor", example = json!("ops-lead")),
        ("since" = Option<String>, Query, description = "At or after this time, ISO 8601 or ms",
            example = json!("2026-12-01")),
        ("until" = Option<String>, Query, description = "Before this time", example = json!("2026-12-02")),
        ("limit" = Option<i64>, Query, description = "At most so many, 0 to 1,000, 100 by default", example = json!(100)),
        ("offset" = Option<i64>, Query, description = "After so many; not together with `cursor`", example = json!(0)),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before",
            example = json!(examples::CURSOR)),
    ),
    responses(
        (status = 200, description = "The events", body = AuditPage, example = json!(examples::audit_page())),
        (status = 400, description = "A filter that can never match, naming what can; a key given twice"),
    ),
)]
#[get("/v1/audit")]
pub async fn list(
    hub: web::Data<Hub>,
    requests: web::Data<Requests>,
    principal: Principal,
    request: HttpRequest,
) -> Answer {
    let (filters, page) = AuditFilters::read(request.query_string())?;
    let listed = requests.audit(&principal, filters, page).await?;
    let work = move || json(&AuditPage::of(&listed));
    written(hub.store().work_for(Some(principal.org().id), work).await??)
}
