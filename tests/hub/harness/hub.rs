//! The hub under test: started in this process on a fresh database, on its own actix system and thread.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::rt::System;
use hxa_client::Client;
use hxa_connect::StopKind;
use hxa_connect::features::FEATURES;
use hxa_connect::hub::config::Config;
use hxa_connect::hub::core::Clock;
use hxa_connect::hub::hub::{Effects, Hub};
use hxa_connect::web::Features;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, oneshot};

use super::{Caller, Database, Db, Fields, Org};

/// The admin secret of every hub under test.
pub const ADMIN_SECRET: &str = "test-admin-secret-0123456789abcdef";

/// A hub as its clients see it. Cloning is cheap; all clones talk to the same hub.
#[derive(Clone)]
pub struct TestHub(Arc<Inner>);

struct Inner {
    url: String,
    http: reqwest::Client,
    super_admin: OnceCell<Caller>,
}

impl TestHub {
    pub fn at(url: &str) -> Self {
        // A connection opened in advance is told after five seconds that it was too slow; who uses it at that moment hears
        // that instead of an answer.
        let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(2));
        let http = http.timeout(Duration::from_secs(60)).build().unwrap();
        Self(Arc::new(Inner { url: url.to_owned(), http, super_admin: OnceCell::new() }))
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = Caller::anonymous(self).get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// `127.0.0.1:<port>`, for raw TCP.
    pub fn address(&self) -> &str {
        self.0.url.trim_start_matches("http://")
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub fn anonymous(&self) -> Caller {
        Caller::anonymous(self)
    }

    /// The Rust client, without a credential.
    pub fn client(&self) -> Client {
        Client::builder(self.url()).use_proxy(false).build().unwrap()
    }

    /// The platform's super admin (one login per hub).
    pub async fn super_admin(&self) -> &Caller {
        let login =
            || async { Caller::login(self, json!({"type": "super_admin", "admin_secret": ADMIN_SECRET})).await.0 };
        self.0.super_admin.get_or_init(login).await
    }

    /// A new invite code of the platform's.
    pub async fn invite_code(&self, fields: Value) -> String {
        let made = self.super_admin().await.post("/api/platform/invite-codes", fields).await.status(201);
        made.text("code")
    }

    pub async fn with_org(&self, name: &str) -> Org {
        Org::create(self, name).await
    }
}

/// Runs one test body against a fresh hub; used by `on_both_databases!`.
pub fn run<Fut: Future<Output = ()>>(db: Db, tunes: &[fn(&mut Config)], body: impl FnOnce(TestHub) -> Fut) {
    let Some(database) = Database::fresh(db) else { return };
    run_on_database(&database, tunes, body);
}

/// The same on a database that the test looks into.
pub fn run_on_database<Fut: Future<Output = ()>>(
    database: &Database,
    tunes: &[fn(&mut Config)],
    body: impl FnOnce(TestHub) -> Fut,
) {
    run_beside(database, tunes, |hub, _| body(hub));
}

/// The same with the hub's own handle, for duties that otherwise wait for their hour.
pub fn run_beside<Fut: Future<Output = ()>>(
    database: &Database,
    tunes: &[fn(&mut Config)],
    body: impl FnOnce(TestHub, Hub) -> Fut,
) {
    run_at(hxa_connect::hub::core::system_clock(), database, tunes, body);
}

/// The same by another clock.
pub fn run_at<Fut: Future<Output = ()>>(
    clock: Clock,
    database: &Database,
    tunes: &[fn(&mut Config)],
    body: impl FnOnce(TestHub, Hub) -> Fut,
) {
    run_with(Effects { clock, ..Effects::of_system() }, database, tunes, body);
}

/// The same in another world: by another clock, or with other addresses of hosts.
pub fn run_with<Fut: Future<Output = ()>>(
    effects: Effects,
    database: &Database,
    tunes: &[fn(&mut Config)],
    body: impl FnOnce(TestHub, Hub) -> Fut,
) {
    run_all_with(&FEATURES, effects, database, tunes, body);
}

/// A hub with other features than the program's.
pub fn run_with_features<Fut: Future<Output = ()>>(
    features: &'static Features,
    database: &Database,
    body: impl FnOnce(TestHub) -> Fut,
) {
    run_all_with(features, Effects::of_system(), database, &[], |hub, _| body(hub));
}

fn run_all_with<Fut: Future<Output = ()>>(
    features: &'static Features,
    effects: Effects,
    database: &Database,
    tunes: &[fn(&mut Config)],
    body: impl FnOnce(TestHub, Hub) -> Fut,
) {
    let running = InProcess::start(features, database, tunes, effects);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hub = TestHub::at(&running.url);
    let handle = running.hub.clone();
    let work = || runtime.block_on(async { body(hub, handle).await });
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    drop(runtime);
    let stopped = running.stop();
    match outcome {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(()) => stopped.expect("the hub stops cleanly"),
    }
}

struct InProcess {
    url: String,
    hub: Hub,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl InProcess {
    fn start(features: &'static Features, database: &Database, tunes: &[fn(&mut Config)], effects: Effects) -> Self {
        let mut config = config(database);
        tunes.iter().for_each(|tune| tune(&mut config));
        let (url_out, url_in) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async move {
                let hub = hxa_connect::start_with_features(features, config, effects).await.expect("the hub starts");
                url_out.send((hub.url().to_owned(), hub.hub().clone())).unwrap();
                let _ = stopped.await;
                hub.stop(StopKind::Shutdown).await;
            });
        });
        let (url, hub) = url_in.recv_timeout(Duration::from_secs(30)).expect("the hub is up");
        Self { url: url.trim_end_matches('/').to_owned(), hub, stop, thread }
    }

    fn stop(self) -> std::thread::Result<()> {
        let _ = self.stop.send(());
        self.thread.join()
    }
}

/// Small pools, so that many hubs fit one machine; two of each kind, so that what can race does.
fn config(database: &Database) -> Config {
    let mut config = Config::default();
    config.server.host = "127.0.0.1".to_owned();
    config.server.port = 0;
    config.server.workers = 2;
    config.server.drain_seconds = 2;
    config.auth.admin_secret = Some(ADMIN_SECRET.into());
    config.database.data_dir = database.data_dir().to_owned();
    config.database.url = database.postgres_url().map(Into::into);
    config.database.readers = 2;
    config.database.pool = 2;
    config.database.writers = 2;
    config
}
