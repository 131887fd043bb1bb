//! The REST transport: one file per resource, and one middleware in front of all of them.
//!
//! A handler's signature says who may call it ([`guard`]) and what it takes ([`body`]); its few lines call an operation
//! of an actor or a query of the store and build the response. Every route is described with its examples for the
//! OpenAPI document, from which the middleware also learns the routes' templates: a route without a description does
//! not exist.

pub mod answer;
mod artifacts;
mod audit;
mod auth;
pub mod body;
mod bots;
mod catchup;
mod channels;
pub mod client;
pub mod collab_examples;
pub mod cors;
pub mod dialect;
mod document;
pub mod examples;
pub mod feature;
pub mod guard;
mod health;
mod inbox;
mod join_requests;
mod keys;
mod list;
mod me;
pub mod middleware;
mod org;
mod org_access;
mod org_threads;
mod orgs;
mod outgoing;
pub mod paced;
mod pages;
pub mod params;
mod participants;
mod people;
mod platform;
mod registration_tickets;
mod repeated;
mod request_id;
pub mod route_table;
pub mod routing;
mod search;
mod send;
mod shapes;
pub mod stream;
mod thread_access;
mod thread_messages;
mod threads;
pub mod v0;
mod views;
mod webhooks;
mod workspace;
pub mod ws;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

pub use document::Events;
pub use feature::{Feature, Features, Started};
pub use health::StatsView;
pub use keys::{KeyView, last_used as key_last_used};
pub use me::TokenView;
pub use middleware::middleware;
pub use orgs::{new_org_view, org_view};
pub use outgoing::Outgoing;
pub use people::{NewLinkView, PersonView};
pub use platform::{invite_view, listed_invite_view};

use hxa_domain::error::{ApiError, ApiResult};
use hxa_hub::hub::Hub;
use routing::Routes;

/// What a handler answers.
pub type Answer = ApiResult<HttpResponse>;

/// Registers every route of the hub and of the features, the socket's and what answers unknown paths.
pub fn configure(config: &mut web::ServiceConfig, features: &'static Features) {
    config.app_data(web::Data::new(features));
    routes(&mut Routes::serving(config), features);
    config.route("/ws", web::get().to(ws::handshake::connect)).default_service(web::to(unknown));
}

/// The described routes, the busiest first: they are tried in this order.
fn routes(routes: &mut Routes<'_>, features: &Features) {
    // Plain paths, which cost those that are tried after them next to nothing.
    send::routes(routes);
    inbox::routes(routes);
    catchup::routes(routes);
    thread_messages::routes(routes);
    channels::routes(routes);
    threads::routes(routes);
    artifacts::routes(routes);
    workspace::routes(routes);
    participants::routes(routes);
    join_requests::routes(routes);
    features.iter().for_each(|feature| (feature.routes)(routes));
    auth::routes(routes);
    me::routes(routes);
    bots::routes(routes);
    webhooks::routes(routes);
    org_threads::routes(routes);
    search::routes(routes);
    org::routes(routes);
    org_access::routes(routes);
    people::routes(routes);
    keys::routes(routes);
    audit::routes(routes);
    orgs::routes(routes);
    platform::routes(routes);
    health::routes(routes);
    pages::routes(routes);
    v0::routes(routes);
}

/// Answers every path that is no route: strangers learn nothing, callers that nothing is there, sockets that they are
/// elsewhere, and nothing is echoed.
async fn unknown(request: HttpRequest, hub: web::Data<Hub>) -> Answer {
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
        let mut refusal = ApiError::not_found("Route").with_status(405).error_response();
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE, OPTIONS"));
        return Ok(refusal);
    }
    if is_upgrade(&request) {
        return Err(ApiError::validation("A WebSocket is opened at /ws"));
    }
    guard::authenticated(&request, &hub).await?;
    Err(ApiError::not_found("Route"))
}

/// Whether a request wants to become a WebSocket.
fn is_upgrade(request: &HttpRequest) -> bool {
    let wanted = request.headers().get(UPGRADE).map(HeaderValue::as_bytes);
    wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(b"websocket"))
}
