//! Health and statistics: `/health`, probes, `/metrics`, version, statistics and three old stubs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::client;
use super::routing::Routes;
use super::{Answer, answer, guard};
use hxa_domain::error::ApiError;
use hxa_domain::ids::BotId;
use hxa_domain::scope::Scope;
use hxa_hub::auth;
use hxa_hub::fanout::send_queue::{Peer, SendQueue};
use hxa_hub::hub::Hub;
use hxa_store::{orgs, stats};

/// Bots shown with the number of their sockets.
const TOP_BOTS: usize = 10;
const MINUTE_MS: i64 = 60_000;

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(show_health).service(live).service(ready).service(metrics);
    routes.service(show_version).service(show_old_health).service(show_presence).service(show_config);
    routes.service(show_stats);
}

/// Whether reads work, and writes, and this hub is the one that may do them.
struct Database {
    reads: bool,
    writes: bool,
}

impl Database {
    async fn of(hub: &Hub) -> Self {
        let store = hub.store();
        let reads = tokio::time::timeout(READY_WITHIN, store.read(orgs::ping));
        let (reads, writes) = tokio::join!(reads, store.can_write(READY_WITHIN));
        Self { reads: reads.is_ok_and(|read| read.is_ok()), writes: writes && store.holds_lease() }
    }

    fn is_up(&self) -> bool {
        self.reads && self.writes
    }

    fn status(&self) -> DatabaseStatus {
        match (self.reads, self.writes) {
            (true, true) => DatabaseStatus::Ok,
            (true, false) => DatabaseStatus::Readonly,
            (false, _) => DatabaseStatus::Error,
        }
    }
}

fn sockets(hub: &Hub) -> Vec<Arc<SendQueue>> {
    hub.orgs_in_use().iter().flat_map(|org| org.channel().local_sockets()).collect()
}

/// How the hub is.
#[derive(Serialize, ToSchema)]
struct Health<'a> {
    /// `degraded` while the database or the store of sessions is away.
    status: HealthStatus,
    /// The hub's time.
    #[schema(format = DateTime)]
    timestamp: String,
    uptime_ms: i64,
    connected_clients: usize,
    connected_bots: usize,
    /// Clients that listen to an event stream (SSE).
    sse_clients: usize,
    db: DatabaseStatus,
    /// Only where Redis keeps the sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sessions: Option<SessionsStatus>,
    /// Only with the admin secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ws: Option<SocketFigures>,
    /// What an operator should look at; only with the admin secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<String>>)]
    warnings: Option<Vec<&'a String>>,
}

hxa_domain::wire_enum! {
    /// Whether all is well.
    HealthStatus { Ok = "ok", Degraded = "degraded", }
}

hxa_domain::wire_enum! {
    /// Whether the database can be read and written.
    DatabaseStatus { Ok = "ok", Readonly = "readonly", Error = "error", }
}

hxa_domain::wire_enum! {
    /// Whether the store of sessions answers.
    SessionsStatus { Ok = "ok", Error = "error", }
}

/// Figures of live sockets.
#[derive(Serialize, ToSchema)]
struct SocketFigures {
    by_type: SocketsByType,
    by_bot: Vec<SocketsOfBot>,
    by_age: SocketsByAge,
    not_alive: usize,
    reconnect_rate_5m: usize,
    ws_metrics: SocketTotals,
}

/// Sockets by what opened them.
#[derive(Serialize, ToSchema)]
struct SocketsByType {
    bot_token: usize,
    session: usize,
}

/// A bot with many sockets.
#[derive(Serialize, ToSchema)]
struct SocketsOfBot {
    bot_id: BotId,
    count: usize,
}

/// Sockets by their age.
#[derive(Serialize, ToSchema)]
struct SocketsByAge {
    under_1m: usize,
    under_10m: usize,
    under_1h: usize,
    over_1h: usize,
}

/// What sockets did since the start.
#[derive(Serialize, ToSchema)]
struct SocketTotals {
    ops_total: u64,
    acks_total: u64,
    errors_total: u64,
    conflicts_total: u64,
    rate_limited_total: u64,
}

/// Get the hub's health
///
/// Open to all. With the admin secret as bearer token the answer also tells about sockets, and in `warnings` what an operator
/// should look at. 503 while the database is away (`db` is `error`) or cannot be written to (`readonly`).
/// Where Redis keeps the sessions, `sessions` tells whether it answers; while it does not, bots are served all the same.
#[utoipa::path(
    tag = "Health", operation_id = "health_get", security(()),
    responses((status = 200, description = "The hub is well.", body = Health, example = json!({
        "status": "ok", "timestamp": "2026-11-21T12:00:00.000Z", "uptime_ms": 86_400_000, "connected_clients": 42,
        "connected_bots": 40, "sse_clients": 2, "db": "ok"
    })), (status = 503, description = "The database is away or cannot be written to.", body = Health, example = json!({
        "status": "degraded", "timestamp": "2026-11-21T12:00:00.000Z", "uptime_ms": 86_400_000, "connected_clients": 42,
        "connected_bots": 40, "sse_clients": 2, "db": "error"
    }))),
)]
#[get("/health")]
async fn show_health(hub: web::Data<Hub>, request: HttpRequest) -> Answer {
    let (database, has_sessions, sockets) =
        (Database::of(&hub).await, hub.auth().sessions().is_up().await, sockets(&hub));
    let is_up = database.is_up();
    let bots: HashSet<BotId> = sockets.iter().filter_map(|socket| socket.info.bot).collect();
    let address = client(&request, hub.config()).address;
    let is_told = auth::shows_admin_secret(hub.auth(), &guard::parts(&request, ""), address);
    let (own, stored) = (hub.config().warnings(), hub.store().warnings());
    let view = Health {
        status: if is_up && has_sessions { HealthStatus::Ok } else { HealthStatus::Degraded },
        timestamp: iso_time(hub.now()),
        uptime_ms: hub.now().saturating_sub(hub.started_at()),
        connected_clients: sockets.len(),
        connected_bots: bots.len(),
        sse_clients: hub.features().iter().map(|feature| feature.stream_clients()).sum(),
        db: database.status(),
        sessions: hub.auth().sessions().is_shared().then_some(if has_sessions {
            SessionsStatus::Ok
        } else {
            SessionsStatus::Error
        }),
        ws: is_told.then(|| socket_figures(&hub, &sockets)),
        warnings: is_told.then(|| own.iter().chain(stored).collect()),
    };
    answer::with_status(if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &view)
}

/// A time as people and their programs read it.
fn iso_time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn socket_figures(hub: &Hub, sockets: &[Arc<SendQueue>]) -> SocketFigures {
    let now = hub.now();
    let count = |is_counted: &dyn Fn(&SendQueue) -> bool| sockets.iter().filter(|socket| is_counted(socket)).count();
    let age = |socket: &SendQueue| now.saturating_sub(socket.info.connected_at);
    let heartbeat_ms = hub.config().sockets.heartbeat_seconds.saturating_mul(1000);
    let [ops, acks, errors, conflicts, limited] = hub.metrics().socket_totals();
    SocketFigures {
        by_type: SocketsByType {
            bot_token: count(&|socket| matches!(socket.info.peer, Peer::Token(_))),
            session: count(&|socket| socket.info.peer.session().is_some()),
        },
        by_bot: top_bots(sockets),
        by_age: SocketsByAge {
            under_1m: count(&|socket| age(socket) < MINUTE_MS),
            under_10m: count(&|socket| (MINUTE_MS..10 * MINUTE_MS).contains(&age(socket))),
            under_1h: count(&|socket| (10 * MINUTE_MS..60 * MINUTE_MS).contains(&age(socket))),
            over_1h: count(&|socket| age(socket) >= 60 * MINUTE_MS),
        },
        not_alive: count(&|socket| socket.silent_ms() > heartbeat_ms.saturating_mul(3) / 2),
        reconnect_rate_5m: count(&|socket| age(socket) < 5 * MINUTE_MS),
        ws_metrics: SocketTotals {
            ops_total: ops,
            acks_total: acks,
            errors_total: errors,
            conflicts_total: conflicts,
            rate_limited_total: limited,
        },
    }
}

fn top_bots(sockets: &[Arc<SendQueue>]) -> Vec<SocketsOfBot> {
    let mut counts: HashMap<BotId, usize> = HashMap::new();
    for bot in sockets.iter().filter_map(|socket| socket.info.bot) {
        *counts.entry(bot).or_default() += 1;
    }
    let mut counts: Vec<(BotId, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.into_iter().take(TOP_BOTS).map(|(bot_id, count)| SocketsOfBot { bot_id, count }).collect()
}

/// It is well.
#[derive(Serialize, ToSchema)]
struct StatusOk {
    /// Always `ok`.
    status: &'static str,
}

const STATUS_OK: StatusOk = StatusOk { status: "ok" };

/// Liveness probe
#[utoipa::path(
    tag = "Health", operation_id = "live_get", security(()),
    responses((status = 200, description = "It lives.", body = StatusOk, example = json!({ "status": "ok" }))),
)]
#[get("/livez")]
async fn live() -> Answer {
    answer::ok(&STATUS_OK)
}

/// A database that takes longer to say anything is no use; probes commonly wait for a second.
const READY_WITHIN: std::time::Duration = std::time::Duration::from_millis(800);

/// Readiness probe
///
/// 503 while it is stopping, while the database cannot be read and written, and while the Redis that keeps the sessions is
/// away.
#[utoipa::path(
    tag = "Health", operation_id = "ready_get", security(()),
    responses((status = 200, description = "It does.", body = StatusOk, example = json!({ "status": "ok" }))),
)]
#[get("/readyz")]
async fn ready(hub: web::Data<Hub>) -> Answer {
    if hub.is_draining() {
        return Err(ApiError::unavailable("The hub is stopping"));
    }
    // Who asks wants to know now, not when the last read in line has given up.
    let database = Database::of(&hub).await;
    if !database.reads {
        return Err(ApiError::unavailable("The database is not available right now"));
    }
    if !database.writes {
        return Err(ApiError::unavailable("The database cannot be written to right now"));
    }
    if !hub.auth().sessions().is_up().await {
        return Err(ApiError::unavailable("The session store is not available right now"));
    }
    answer::ok(&STATUS_OK)
}

/// Get metrics
///
/// In Prometheus' text format.
#[utoipa::path(
    tag = "Health", operation_id = "metrics_get", security(()),
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain", example = json!("hub_db_up 1\n"))),
)]
#[get("/metrics")]
async fn metrics(hub: web::Data<Hub>) -> Answer {
    if !hub.config().server.metrics {
        return Err(ApiError::not_found("Route"));
    }
    let (store, load) = (hub.store(), hub.store().read_load());
    hub.metrics().set_service(store.queued(), load.queued, [load.busy, load.idle], store.health().is_up());
    hub.metrics().set_waiting_bytes(hub.room().held());
    hub.metrics().set_presence_waiting(hub.broker().changes_waiting());
    let text = hub.metrics().render().map_err(|error| {
        log::error!(error:% = error; "cannot render the metrics");
        ApiError::internal()
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// The version of the protocol's servers that this hub stands in for. Clients compare a server's version with the one that
/// brought what they need, so this is what they read as `version`; the hub's own is beside it.
const COMPAT: &str = "1.7.2";

/// What every answer about the hub begins with.
#[derive(Serialize, ToSchema)]
pub struct About {
    server: &'static str,
    /// The version of the protocol.
    version: &'static str,
    /// The same.
    compat: &'static str,
    /// The hub's own version.
    hub_version: &'static str,
}

/// This hub.
pub const ABOUT: About =
    About { server: "hxa-connect", version: COMPAT, compat: COMPAT, hub_version: env!("CARGO_PKG_VERSION") };

/// Get the version
///
/// `version` and `compat` are the version of the protocol that clients compare, `hub_version` is the hub's own.
#[utoipa::path(
    tag = "Health", operation_id = "version_get", security(()),
    responses((status = 200, description = "The version.", body = About, example = json!({
        "server": "hxa-connect", "version": "1.7.2", "compat": "1.7.2", "hub_version": "0.1.0"
    }))),
)]
#[get("/api/version")]
async fn show_version() -> Answer {
    answer::ok(&ABOUT)
}

/// The hub, and that it lives.
#[derive(Serialize, ToSchema)]
struct AboutOk {
    #[serde(flatten)]
    about: About,
    /// Always true.
    ok: bool,
}

/// Liveness probe (older path)
#[utoipa::path(
    tag = "Health", operation_id = "health_get_alias", security(()),
    responses((status = 200, description = "It is.", body = AboutOk, example = json!({
        "server": "hxa-connect", "version": "1.7.2", "compat": "1.7.2", "hub_version": "0.1.0", "ok": true
    }))),
)]
#[get("/api/health")]
async fn show_old_health() -> Answer {
    answer::ok(&AboutOk { about: ABOUT, ok: true })
}

/// An answer without anybody in it.
#[derive(Serialize, ToSchema)]
struct OldPresence {
    /// Always empty.
    bots: Vec<String>,
    online: bool,
    presence_ts: i64,
    note: &'static str,
}

/// Get presence (older path)
///
/// Always empty: presence belongs to an organisation and is in its list of bots.
#[utoipa::path(
    tag = "Health", operation_id = "presence_get", security(()),
    responses((status = 200, description = "Nobody.", body = OldPresence, example = json!({
        "bots": [], "online": true, "presence_ts": 1_732_170_000_000_i64, "note": "Use GET /api/bots with a token"
    }))),
)]
#[get("/api/system-presence")]
async fn show_presence(hub: web::Data<Hub>) -> Answer {
    let note = "Use GET /api/bots with a token";
    answer::ok(&OldPresence { bots: Vec::new(), online: true, presence_ts: hub.now(), note })
}

/// The hub, and what scopes there are.
#[derive(Serialize, ToSchema)]
struct ConfigView<'a> {
    #[serde(flatten)]
    about: About,
    env: &'a str,
    #[schema(value_type = Vec<Scope>)]
    scopes: &'a [Scope],
}

/// Get the hub's description (older path)
#[utoipa::path(
    tag = "Health", operation_id = "config_get", security(()),
    responses((status = 200, description = "The hub.", body = ConfigView, example = json!({
        "server": "hxa-connect", "version": "1.7.2", "compat": "1.7.2", "hub_version": "0.1.0", "env": "production", "scopes": ["full", "read", "thread", "message", "profile", "coordinate", "respond"]
    }))),
)]
#[get("/api/config/get")]
async fn show_config(hub: web::Data<Hub>) -> Answer {
    answer::ok(&ConfigView { about: ABOUT, env: &hub.config().server.node_env, scopes: Scope::ALL })
}

/// The figures as they are shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
pub struct StatsView {
    org_count: i64,
    bot_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    online_bot_count: Option<usize>,
    thread_count: i64,
    message_count: i64,
    active_thread_count: i64,
}

impl StatsView {
    /// The view of what was counted; how many bots are online is known to a running hub only.
    #[must_use]
    pub fn new(figures: stats::Stats, online: Option<usize>) -> Self {
        Self {
            org_count: figures.orgs,
            bot_count: figures.bots,
            online_bot_count: online,
            thread_count: figures.threads,
            message_count: figures.messages,
            active_thread_count: figures.active_threads,
        }
    }
}

/// Get the hub's statistics
///
/// Counted at most once a minute.
#[utoipa::path(
    tag = "Health", operation_id = "stats_get", security(()),
    responses((status = 200, description = "The figures.", body = StatsView, example = json!({
        "org_count": 3, "bot_count": 120, "online_bot_count": 40, "thread_count": 900, "message_count": 250_000, "active_thread_count": 31
    }))),
)]
#[get("/api/stats")]
async fn show_stats(hub: web::Data<Hub>) -> Answer {
    let figures = hub.store().stats(hub.now()).await?;
    let sockets = sockets(&hub);
    let by_token = sockets.iter().filter(|socket| matches!(socket.info.peer, Peer::Token(_)));
    let online: HashSet<BotId> = by_token.filter_map(|socket| socket.info.bot).collect();
    answer::ok(&StatsView::new(figures, Some(online.len())))
}
