//! Registration tickets for the organisation's secret: the old login, which opens no session.

use actix_web::HttpRequest;
use serde_json::json;

use super::client::client;
use super::{Answer, answer};
use hxa_domain::grants::TicketRequest;
use hxa_domain::text::{Fields, required};
use hxa_hub::hub::Hub;
use hxa_hub::{auth, identity};

/// Whether a body is the old login: the organisation's secret, and no word of what is wanted.
#[must_use]
pub fn is_asked_for(body: &Fields) -> bool {
    let has = |field: &str| body.get(field).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    !body.contains_key("type") && has("org_id") && has("org_secret")
}

/// Answers a registration ticket for the organisation's secret.
///
/// # Errors
/// 400 when a field is missing, 401 when the secret is wrong, 429 while locked out.
pub async fn issue(hub: &Hub, request: &HttpRequest, body: &Fields) -> Answer {
    let (org_id, secret) = (required("org_id", body.get("org_id"))?, required("org_secret", body.get("org_secret"))?);
    let client = client(request, hub.config());
    let admin = auth::org_admin_by_secret(hub.auth(), org_id, secret, &client).await?;
    let ticket = identity::create_ticket(hub, &admin, TicketRequest::read(body)).await?;
    // A secret that is rotated ends the tickets made with it; this one may have come a moment too late for that.
    if let Err(refusal) = auth::check_secret(&admin.org, secret) {
        identity::delete_ticket(hub, &admin, ticket.code).await?;
        return Err(refusal);
    }
    let row = admin.org.row();
    answer::ok(&json!({
        "ticket": ticket.code, "expires_at": ticket.expires_at, "reusable": ticket.reusable,
        "org": { "id": row.id, "name": row.name },
    }))
}
