//! Coordination requests: an agent that must not act alone asks a person, and goes on with the answer.
//!
//! A feature: nothing below this crate names it. From the bottom up:
//!
//! * [`rules`]: what a request and an answer may be, who may do what, and the state machine, without I/O
//! * [`rows`], [`queries`], [`writes`], [`chain`]: requests and their audit chain in the database
//! * [`agenda`], [`recent`], [`waiters`]: what is kept in memory of open requests, of recent ones, and of those who wait
//! * [`principal`]: who calls
//! * [`events`], [`stream`], [`threads`], [`effects`]: who learns of a change
//! * [`actor`], [`deadlines`], [`recovery`]: where requests change, when their time has come, and after a start
//! * [`slack`]: messages to Slack and their outbox
//! * [`service`]: the running feature: its duties and what it does when a bot or an organisation goes
//! * [`clicks`]: what people click in Slack
//! * [`routes`]: the REST transport
//! * [`import`]: the database of the original service, for `hxa-connect import`

pub mod actor;
pub mod agenda;
pub mod chain;
pub mod clicks;
pub mod deadlines;
pub mod effects;
pub mod events;
pub mod figures;
pub mod import;
pub mod principal;
pub mod queries;
pub mod recent;
pub mod recovery;
pub mod routes;
pub mod rows;
pub mod rules;
#[cfg(test)]
mod samples;
#[expect(missing_docs, reason = "the columns are described in the migrations")]
pub mod schema;
pub mod service;
pub mod slack;
pub mod stream;
pub mod threads;
pub mod waiters;
pub mod writes;

use std::sync::Arc;

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use clicks::Clicks;
use events::CoordinationRequest;
use hxa_hub::hub::Hub;
use hxa_store::catalogue::{Schema, Table};
use hxa_web::{Events, Feature, Started};
pub use service::Requests;
use stream::local::Local;

static SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/requests/sqlite");
static POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/requests/postgres");

/// The tables, each behind those that its rows refer to. The heads of the chains are the last, and so the first that an import
/// empties: without them the audit rows may be deleted.
const TABLES: [Table; 6] = [
    Table { name: "coordination_requests", key: &["id"] },
    Table { name: "request_seats", key: &["org_id", "responder_key", "request_id"] },
    Table { name: "slack_outbox", key: &["request_id", "seq"] },
    Table { name: "request_policies", key: &["org_id"] },
    Table { name: "request_audit", key: &["org_id", "event_id"] },
    Table { name: "request_audit_heads", key: &["org_id"] },
];

/// The feature, for the list of the composition root.
pub const FEATURE: Feature = Feature {
    name: "requests",
    schema: Schema::new(&SQLITE, &POSTGRES, &TABLES),
    tags: &[routes::TAG],
    routes: routes::routes,
    needs: routes::NEEDS,
    events: describe,
    start,
};

fn describe(document: &mut Events) {
    document.add::<CoordinationRequest<'_>>(events::KIND);
    events::WEBHOOK_KINDS.iter().for_each(|kind| document.add::<CoordinationRequest<'_>>(kind));
}

fn start(hub: &Hub) -> Result<Started, String> {
    let requests = Arc::new(Requests::new(hub)?);
    let clicks = web::Data::new(Clicks::new(requests.clone(), &hub.config().slack));
    let (data, core, streams) = (web::Data::from(requests.clone()), hub.core().clone(), requests.streams().clone());
    let register = move |config: &mut web::ServiceConfig| {
        config.app_data(data.clone()).app_data(clicks.clone()).app_data(Local::new(core.clone(), streams.clone()));
    };
    Ok(Started { running: requests, data: Box::new(register) })
}
