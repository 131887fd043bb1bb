//! The event stream, and the tickets that open one.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, post, web};

use super::examples;
use super::views::Ticket;
use crate::principal::{Principal, charge, charge_address, wrong_key};
use crate::rules::Faults;
use crate::rules::rights::Reach;
use crate::stream::client::{Listener, Permission};
use crate::stream::lens::Lens;
use crate::stream::local::Local;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_hub::hub::Hub;
use hxa_hub::ws_tickets::LIFETIME_S;
use hxa_web::Answer;
use hxa_web::answer::ok;
use hxa_web::client::client;
use hxa_web::middleware::is_head;
use hxa_web::stream::Gate;
use hxa_web::ws::connection::Connection;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Neither kept nor rewritten on the way.
const FRESH: HeaderValue = HeaderValue::from_static("no-cache, no-transform");
/// Tells a common proxy to pass on what comes as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Listen to changes of requests
///
/// Server-sent events. `connected` comes first; then `state_change` for every state that a request reaches and the caller
/// may see, with `request_id`, `state`, `agent_id`, `responder_id`, `intent`, `urgency`, `timeout_at` and `at`: agents their
/// own requests, responders what asks them and what is taken from them, coordinators, auditors and admins all. Every event has an id; a client that comes back with `Last-Event-ID` gets what it has missed, or a `gap`
/// when that is not remembered: then it should read its list anew. A comment comes every 15 seconds. The stream ends with
/// the credential.
///
/// Browsers' `EventSource` sends no headers: it comes with a session's cookie or with a `ticket`.
#[utoipa::path(
    tag = "Coordination", operation_id = "events_listen",
    params(
        ("agent_id" = Option<String>, Query, description = "Only requests of the agent of this name",
            example = json!("ada")),
        ("responder_id" = Option<String>, Query, description = "Only requests that ask, or asked, this responder",
            example = json!("ops-lead")),
        ("ticket" = Option<String>, Query, description = "A ticket instead of a credential",
            example = json!(examples::TICKET)),
        ("last_event_id" = Option<String>, Query, description = "As the header", example = json!(examples::EVENT)),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on behind this event",
            example = json!(examples::EVENT)),
    ),
    responses(
        (status = 200, description = "The stream",
            content_type = "text/event-stream", body = String, example = json!(examples::stream())),
        (status = 401, description = "`INVALID_TICKET`: a ticket that is unknown, used or expired"),
        (status = 429, description = "`RATE_LIMITED`: too many streams are open"),
    ),
)]
#[get("/v1/events")]
pub async fn listen(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let wanted = Wanted::read(request.query_string())?;
    let principal = match &wanted.ticket {
        Some(ticket) => by_ticket(&hub, &request, ticket).await?,
        None => Principal::from_request(&request, &mut Payload::None).await?,
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        .insert_header((CACHE_CONTROL, FRESH))
        .insert_header(UNBUFFERED);
    if is_head(&request) {
        return Ok(response.finish());
    }
    let local = local(&request)?;
    let header = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let last = header.or(wanted.last_event_id.as_deref()).filter(|id| !id.is_empty());
    let (org, member) = (principal.org().clone(), principal.member());
    let lens = Lens::new(Reach::of(&principal.who), wanted.agent_id.as_deref(), wanted.responder_id.as_deref());
    let listener = Listener {
        lens: Arc::new(lens),
        org,
        expires_at: principal.expires_at,
        connection: connection(&request),
        permission: permission(hub, principal),
    };
    let body = local.open(listener, member, last)?;
    Ok(response.body(body.on(request.conn_data::<Rc<Gate>>().cloned())))
}

/// What a client asks for.
#[derive(Default)]
struct Wanted {
    agent_id: Option<String>,
    responder_id: Option<String>,
    ticket: Option<String>,
    last_event_id: Option<String>,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Faults> {
        let (mut wanted, mut faults) = (Self::default(), Faults::none());
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match key.as_ref() {
                "agent_id" => &mut wanted.agent_id,
                "responder_id" => &mut wanted.responder_id,
                "ticket" => &mut wanted.ticket,
                "last_event_id" => &mut wanted.last_event_id,
                _ => continue,
            };
            if place.is_some() {
                faults.add(key.as_ref(), "Must be given once");
            }
            *place = Some(value.into_owned());
        }
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        wanted.agent_id = filled(wanted.agent_id);
        wanted.responder_id = filled(wanted.responder_id);
        faults.or(wanted)
    }
}

/// Who comes with a ticket.
async fn by_ticket(hub: &Hub, request: &HttpRequest, ticket: &str) -> ApiResult<Principal> {
    let address = client(request, hub.config()).address;
    charge_address(hub, address)?;
    let Some(holder) = local(request)?.streams().tickets().redeem(ticket, hub.uptime_ms()) else {
        let unknown = || ApiError::new(ErrorCode::InvalidTicket, "The ticket is unknown, used or expired");
        return Err(wrong_key(hub, address).unwrap_or_else(unknown));
    };
    let principal = Principal::again(hub, holder.org, &holder.credential).await?;
    charge(hub, &principal)?;
    Ok(principal)
}

fn local(request: &HttpRequest) -> ApiResult<&Rc<Local>> {
    request.app_data::<Rc<Local>>().ok_or_else(ApiError::internal)
}

/// The connection, of which the kernel keeps little, so that it shows whether the client reads.
fn connection(request: &HttpRequest) -> Option<Connection> {
    let connection = request.conn_data::<Connection>().cloned()?;
    if let Err(error) = connection.limit_unsent() {
        log::debug!(error:% = error; "cannot limit the kernel's send buffer of a connection");
    }
    Some(connection)
}

/// Whether somebody still is who they were when they came.
fn permission(hub: web::Data<Hub>, principal: Principal) -> Permission {
    let principal = Rc::new(principal);
    Rc::new(move || {
        let (hub, principal) = (hub.clone(), principal.clone());
        Box::pin(async move { principal.is_still(&hub).await })
    })
}

/// Create an event stream ticket
///
/// A ticket opens one event stream, within half a minute, as whoever asked for it.
#[utoipa::path(
    tag = "Coordination", operation_id = "event_tickets_create",
    responses(
        (status = 200, description = "The ticket", body = Ticket,
            example = json!({ "ticket": examples::TICKET, "expires_in": 30 })),
        (status = 429, description = "`RATE_LIMITED`: too many unused tickets"),
    ),
)]
#[post("/v1/events/ticket")]
pub async fn issue_ticket(hub: web::Data<Hub>, principal: Principal, request: HttpRequest) -> Answer {
    let ticket = local(&request)?.streams().tickets().issue(principal.holder()?, hub.uptime_ms())?;
    ok(&Ticket { ticket, expires_in: LIFETIME_S })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_given_once_and_an_empty_filter_is_none() {
        let wanted = Wanted::read("agent_id=a+b&responder_id=&x=1&x=2&last_event_id=e-1").unwrap();
        assert_eq!((wanted.agent_id.as_deref(), wanted.responder_id), (Some("a b"), None));
        assert_eq!((wanted.last_event_id.as_deref(), wanted.ticket), (Some("e-1"), None));
        assert!(Wanted::read("agent_id=a&agent_id=b").is_err());
    }
}
