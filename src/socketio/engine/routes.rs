//! The requests of clients: handshakes, polls, POST requests, and WebSocket handshakes.

use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, UPGRADE, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::oneshot;

use super::Shared;
use super::link::Link;
use super::messages::{PollBegun, PollDropped, Posted, Signal};
use super::refusal::Refusal;
use super::session::Session;
use super::websocket;
use crate::reason::CloseReason;
use crate::stats::{Counted, count};
use crate::wire::Frame;
use crate::wire::engine::{decode_payload, encode_payload};

const TEXT: &str = "text/plain; charset=UTF-8";
/// The version of Engine.IO that is spoken.
const VERSION: &str = "4";

pub(super) fn register(shared: &Arc<Shared>, service: &mut web::ServiceConfig) {
    let path = shared.config.path.trim_end_matches('/');
    let shared = shared.clone();
    let handler = move |request: HttpRequest, payload: web::Payload| {
        let shared = shared.clone();
        async move { answer(&shared, &request, payload).await }
    };
    service.service(web::resource([format!("{path}/"), path.to_owned()]).route(web::route().to(handler)));
}

/// What the address of a request says.
struct Query {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

impl Query {
    fn of(request: &HttpRequest) -> Self {
        let fields = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let fields = fields.map(web::Query::into_inner).unwrap_or_default();
        let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Self { version: find("EIO"), transport: find("transport"), sid: find("sid") }
    }
}

async fn answer(shared: &Arc<Shared>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let _counted = Counted::new(&shared.counters, |counters| &counters.requests);
    let origin = request.headers().get(ORIGIN);
    if let Some(origin) = origin
        && !origin.to_str().is_ok_and(|origin| (shared.hooks.origin)(request, origin))
    {
        count(&shared.counters.refused);
        return Refusal::Origin.response();
    }
    let mut response = if request.method() == Method::OPTIONS {
        preflight(request)
    } else {
        served(shared, request, payload).await.unwrap_or_else(Refusal::response)
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

fn preflight(request: &HttpRequest) -> HttpResponse {
    let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
        .insert_header((
            ACCESS_CONTROL_ALLOW_HEADERS,
            wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
        ))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

async fn served(shared: &Arc<Shared>, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Refusal> {
    let query = Query::of(request);
    let is_websocket = match query.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(Refusal::UnknownTransport),
    };
    if query.version.as_deref() != Some(VERSION) {
        return Err(Refusal::UnsupportedVersion);
    }
    if is_websocket && !request.headers().contains_key(UPGRADE) {
        return Err(Refusal::BadRequest);
    }
    let Some(sid) = query.sid else {
        return handshake(shared, request, is_websocket.then_some(payload)).inspect_err(|_| {
            count(&shared.counters.refused);
        });
    };
    let (session, link) = shared.find(&sid).ok_or(Refusal::UnknownSession)?;
    if is_websocket {
        return websocket::start(shared, (session, link), None, request, payload).map_err(|_| Refusal::BadRequest);
    }
    match *request.method() {
        Method::GET => poll(session).await,
        Method::POST => post(shared, session, &link, payload).await,
        _ => Err(Refusal::BadMethod),
    }
}

/// Opens a session, on a WebSocket if that is the request of one.
fn handshake(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    websocket: Option<web::Payload>,
) -> Result<HttpResponse, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::BadMethod);
    }
    if shared.is_closed() {
        return Err(Refusal::ShuttingDown);
    }
    if websocket.is_some() && actix_web_actors::ws::handshake(request).is_err() {
        return Err(Refusal::BadRequest);
    }
    let client = (shared.hooks.client_key)(request);
    let admitted = shared.admission.admit(&client, &shared.config, Instant::now())?;
    let (session, link) = Session::open(shared, admitted).ok_or(Refusal::BadRequest)?;
    let open = open_packet(shared, &link, websocket.is_none());
    match websocket {
        None => Ok(text(open)),
        Some(payload) => websocket::start(shared, (session.clone(), link), Some(open.into()), request, payload)
            .map_err(|_| {
                session.do_send(Signal::Close(CloseReason::TransportError));
                Refusal::BadRequest
            }),
    }
}

fn open_packet(shared: &Shared, link: &Link, may_upgrade: bool) -> String {
    let upgrades: &[&str] = if may_upgrade { &["websocket"] } else { &[] };
    let parameters = json!({
        "sid": **link.sid(),
        "upgrades": upgrades,
        "pingInterval": u64::try_from(shared.config.ping_interval.as_millis()).unwrap_or(u64::MAX),
        "pingTimeout": u64::try_from(shared.config.ping_timeout.as_millis()).unwrap_or(u64::MAX),
        "maxPayload": shared.config.max_payload,
    });
    format!("0{parameters}")
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).insert_header((CACHE_CONTROL, "no-store")).body(body)
}

/// Tells the session when the request is given up before it has its answer.
struct Waiting(Option<Addr<Session>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.do_send(PollDropped);
        }
    }
}

async fn poll(session: Addr<Session>) -> Result<HttpResponse, Refusal> {
    let (reply, answered) = oneshot::channel();
    session.do_send(PollBegun { reply });
    let mut waiting = Waiting(Some(session));
    let answer: Result<Vec<Frame>, Refusal> = answered.await.unwrap_or(Err(Refusal::UnknownSession));
    waiting.0 = None;
    answer.map(|frames| text(encode_payload(&frames)))
}

async fn post(
    shared: &Shared,
    session: Addr<Session>,
    link: &Link,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    // Of two at once nobody could tell the order.
    let Some(_posting) = link.begin_post() else {
        session.do_send(Signal::Close(CloseReason::DuplicatePost));
        return Err(Refusal::BadRequest);
    };
    let body = match actix_web::rt::time::timeout(shared.config.post_timeout, read(payload, shared)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refusal)) => {
            if refusal == Refusal::TooLarge {
                session.do_send(Signal::Close(CloseReason::TooLarge));
            }
            return Err(refusal);
        }
        Err(_) => return Err(Refusal::BadRequest),
    };
    let packets = decode_payload(body, shared.config.packets_per_payload);
    session.send(Posted { packets }).await.unwrap_or(Err(Refusal::UnknownSession))?;
    Ok(text("ok".to_owned()))
}

async fn read(mut payload: web::Payload, shared: &Shared) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::BadRequest)?;
        if body.len().saturating_add(chunk.len()) > shared.config.max_payload {
            return Err(Refusal::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
