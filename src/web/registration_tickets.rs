//! Registration tickets for the organisation's secret: the old login, which opens no session.

use actix_web::HttpRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::client::client;
use super::{Answer, answer};
use hxa_domain::ids::OrgId;
use hxa_domain::login::TicketLogin;
use hxa_hub::hub::Hub;
use hxa_hub::{auth, identity};

/// A registration ticket for the organisation's secret.
#[derive(Serialize, ToSchema)]
pub struct SecretTicket {
    ticket: String,
    /// 0 when it never expires.
    expires_at: i64,
    reusable: bool,
    org: NamedOrg,
}

/// An organisation by its name.
#[derive(Serialize, ToSchema)]
struct NamedOrg {
    id: OrgId,
    name: String,
}

/// Answers a registration ticket for the organisation's secret.
///
/// # Errors
/// 401 when the secret is wrong, 429 while locked out.
pub async fn issue(hub: &Hub, request: &HttpRequest, login: TicketLogin) -> Answer {
    let TicketLogin { org_id, secret, ticket } = login;
    let client = client(request, hub.config());
    let admin = auth::org_admin_by_secret(hub.auth(), &org_id, &secret, &client).await?;
    let ticket = identity::create_ticket(hub, &admin, ticket).await?;
    // A secret that is rotated ends the tickets made with it; this one may have come a moment too late for that.
    if let Err(refusal) = auth::check_secret(&admin.org, &secret) {
        identity::delete_ticket(hub, &admin, ticket.code).await?;
        return Err(refusal);
    }
    let row = admin.org.row();
    answer::ok(&SecretTicket {
        ticket: ticket.code,
        expires_at: ticket.expires_at,
        reusable: ticket.reusable,
        org: NamedOrg { id: row.id, name: row.name.clone() },
    })
}
