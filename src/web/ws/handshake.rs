//! `GET /ws?ticket=…`: from a ticket to a live socket.
//!
//! Under `/v0` a bot's token may replace the ticket. If either is invalid, the upgrade still succeeds and a close code
//! gives the reason. The socket is registered before the upgrade is answered, so that it receives every event after its
//! peer saw it open.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use super::connection::Connection;
use super::socket::resume;
use super::socket::{SocketSession, refuse};
use crate::dialect::Dialect;
use hxa_domain::error::ApiError;
use hxa_domain::query::Query;
use hxa_hub::admission::Admitted;
use hxa_hub::fanout::send_queue::{CloseNotice, SendQueue, close};
use hxa_hub::hub::Hub;
use hxa_hub::{admission, presence};

/// Answers the handshake.
///
/// # Errors
/// 400 when the request is no WebSocket handshake.
pub async fn connect(
    request: HttpRequest,
    hub: web::Data<Hub>,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    if !request.headers().contains_key("upgrade") {
        return Err(ApiError::validation("This route takes WebSocket handshakes only").into());
    }
    let query = Query::parse(request.query_string());
    if hub.is_draining() {
        return refuse(&close::SHUTDOWN, &request, payload);
    }
    let dialect = Dialect::of(&request.extensions());
    let Admitted { org, info, caller, credential } = match admit(&hub, &query, dialect).await {
        Ok(admitted) => admitted,
        Err(notice) => {
            hub.metrics().closed_with(notice.code);
            return refuse(&notice, &request, payload);
        }
    };
    let send_queue = SendQueue::new(info, hub.send_queue_limits());
    if let Some(connection) = request.conn_data::<Connection>().cloned() {
        if let Err(error) = connection.limit_unsent() {
            log::debug!(error:% = error; "cannot limit the kernel's send buffer of a connection");
        }
        send_queue.set_cut(move || connection.cut());
    }
    let point = resume::from_query(&query);
    let resumes = point.is_some();
    presence::enter(&hub, &org, &send_queue, point.as_ref());
    // From here on the session unregisters the socket, also when the request is given up.
    let session =
        SocketSession::new(hub.get_ref().clone(), org.clone(), caller, send_queue.clone()).with_dialect(dialect);
    if resumes {
        session.owe(resume::COST);
    }
    if let Some(notice) = admission::ended_meanwhile(&hub, org.id, &credential).await {
        send_queue.close(notice);
    }
    session.start(&request, payload)
}

/// Admits by the ticket in the address, or by the token that old clients write there.
async fn admit(hub: &Hub, query: &Query, dialect: Dialect) -> Result<Admitted, CloseNotice> {
    match (query.get("ticket"), query.get("token")) {
        (None, Some(token)) if dialect.opens_by_token() => admission::admit_by_token(hub, token).await,
        (ticket, _) => admission::admit(hub, ticket.unwrap_or_default()).await,
    }
}
