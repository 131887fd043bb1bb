//! The Redis server for tests, and a line to it that can be cut and frozen.

use std::sync::Arc;

use hxa_connect::hub::config::{Config, SessionStore};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Db, TestHub, run};

const SERVER: &str = "HXA_TEST_REDIS_URL";

/// The server's address, or `None` when there is none (never in CI).
pub fn redis_address() -> Option<String> {
    let url = std::env::var(SERVER).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{SERVER} must name a Redis server in CI");
        println!("note: {SERVER} is not set; this test did not run");
    }
    url.map(|url| url.trim_start_matches("redis://").trim_end_matches('/').to_owned())
}

/// A prefix that no other test uses.
pub fn redis_prefix() -> String {
    format!("hxa-test:{}:", uuid::Uuid::new_v4().simple())
}

/// Runs a test body against a fresh hub that keeps its sessions in Redis; used by `on_redis!`.
pub fn run_on_redis<Fut: Future<Output = ()>>(db: Db, body: impl FnOnce(TestHub) -> Fut) {
    if redis_address().is_some() {
        run(db, &[with_redis], body);
    }
}

fn with_redis(config: &mut Config) {
    let address = redis_address().expect("asked before");
    config.auth.session_store = SessionStore::Redis;
    config.auth.redis_url = Some(format!("redis://{address}").as_str().into());
    config.auth.redis_prefix = redis_prefix();
}

/// A line between a hub and Redis.
pub struct Line {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Frozen,
    Cut,
}

impl Line {
    pub async fn to(redis: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(State::Open));
        let watched = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, redis.clone(), watched.subscribe()));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections and refuses new ones.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Takes what is sent and answers nothing.
    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    pub fn restore(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn forward(mut client: TcpStream, redis: String, mut state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let mut server = TcpStream::connect(redis).await.unwrap();
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Cut => return,
            State::Frozen => state.changed().await.unwrap_or(()),
            State::Open => tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                _ = state.changed() => {}
            },
        }
    }
}
