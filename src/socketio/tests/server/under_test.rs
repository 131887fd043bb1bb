//! The server under test, on a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use hxa_socketio::engine::{Engine, Hooks};
use hxa_socketio::{Builder, Config, SocketIo, Stats};
use tokio::time::sleep;

use crate::applications::{BareEcho, Echo, Log};
use crate::http::{Answer, request};
use crate::websocket::WebSocket;

/// The times of the published suites; with limits that only their own tests meet.
pub fn config() -> Config {
    Config {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_millis(1000),
        max_payload: 1_000_000,
        handshakes_per_second: 0,
        events_per_second: 0,
        ..Config::default()
    }
}

/// The same without a heartbeat that would come in between.
pub fn calm() -> Config {
    Config { ping_interval: Duration::from_secs(60), ..config() }
}

#[derive(Clone)]
enum Kind {
    Engine(Engine),
    Socket(SocketIo),
}

pub struct Server {
    pub address: SocketAddr,
    pub path: &'static str,
    pub log: Log,
    kind: Kind,
    handle: ServerHandle,
}

impl Server {
    /// Bare Engine.IO that sends messages back.
    pub fn engine(config: Config) -> Self {
        let config = Config { path: "/engine.io/".to_owned(), ..config };
        let engine = Engine::new(config, Hooks::default(), BareEcho);
        Self::start(Kind::Engine(engine), "/engine.io/", Log::default())
    }

    /// Socket.IO with the namespaces `/` and `/custom`.
    pub fn socket(config: Config) -> Self {
        Self::built(config, |builder| builder)
    }

    pub fn built(config: Config, more: impl FnOnce(Builder) -> Builder) -> Self {
        let log = Log::default();
        let echo = || Echo { log: log.clone() };
        let builder = SocketIo::builder(config).namespace("/", echo()).namespace("/custom", echo());
        Self::start(Kind::Socket(more(builder).build()), "/socket.io/", log)
    }

    fn start(kind: Kind, path: &'static str, log: Log) -> Self {
        let (started, starting) = mpsc::channel();
        let served = kind.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let served = served.clone();
                    App::new().configure(move |service: &mut ServiceConfig| match &served {
                        Kind::Engine(engine) => engine.routes(service),
                        Kind::Socket(io) => io.routes(service),
                    })
                });
                // For tests of connections that are cut.
                let server = server.on_connect(|connection, data| {
                    use std::os::fd::AsFd;
                    let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>().unwrap();
                    data.insert(std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap()));
                });
                // Two, so that a WebSocket may be on another thread than its session.
                let server =
                    server.workers(2).h1_allow_half_closed(false).disable_signals().bind(("127.0.0.1", 0)).unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = starting.recv().unwrap();
        Self { address, path, log, kind, handle }
    }

    pub fn stats(&self) -> Stats {
        match &self.kind {
            Kind::Engine(engine) => engine.stats(),
            Kind::Socket(io) => io.stats(),
        }
    }

    pub fn io(&self) -> &SocketIo {
        match &self.kind {
            Kind::Socket(io) => io,
            Kind::Engine(_) => panic!("no Socket.IO server"),
        }
    }

    /// The path with this query besides the protocol's version.
    pub fn url(&self, query: &str) -> String {
        format!("{}?EIO=4&{query}", self.path)
    }

    pub fn polling(&self, sid: &str) -> String {
        self.url(&format!("transport=polling&sid={sid}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, "", "").await
    }

    pub async fn poll(&self, sid: &str) -> Answer {
        self.get(&self.polling(sid)).await
    }

    pub async fn post(&self, sid: &str, body: &str) -> Answer {
        request(self.address, "POST", &self.polling(sid), "", body).await
    }

    /// Opens a session that polls.
    pub async fn open_polling(&self) -> String {
        let answer = self.get(&self.url("transport=polling")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let open: serde_json::Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        open["sid"].as_str().unwrap().to_owned()
    }

    /// Opens a session on a WebSocket.
    pub async fn open_websocket(&self) -> WebSocket {
        let mut socket = WebSocket::open(self.address, &self.url("transport=websocket")).await;
        assert!(socket.text().await.starts_with("0{"));
        socket
    }

    /// A WebSocket for a session that polls, before it is probed.
    pub async fn open_candidate(&self, sid: &str) -> WebSocket {
        WebSocket::open(self.address, &self.url(&format!("transport=websocket&sid={sid}"))).await
    }

    /// Opens a session on a WebSocket and connects it to `/`.
    pub async fn connect(&self) -> WebSocket {
        self.connect_with("40", "").await
    }

    /// The same with this packet and answers that begin like that.
    pub async fn connect_with(&self, packet: &str, prefix: &str) -> WebSocket {
        let mut socket = self.open_websocket().await;
        socket.send(packet).await;
        assert!(socket.message().await.starts_with(&format!("40{prefix}{{\"sid\":\"")));
        assert!(socket.message().await.starts_with(&format!("42{prefix}[\"auth\",")));
        socket
    }

    /// Waits until something is true.
    pub async fn until(&self, what: &str, mut is_true: impl FnMut(&Stats) -> bool) {
        let begun = Instant::now();
        while !is_true(&self.stats()) {
            assert!(begun.elapsed() < Duration::from_secs(15), "{what}: {:?} {:?}", self.stats(), self.log.lock());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until this was logged.
    pub async fn until_logged(&self, entry: &str) {
        self.until(entry, |_| self.log.lock().iter().any(|logged| logged == entry)).await;
    }

    /// Waits until nothing is left of any client.
    pub async fn until_empty(&self) {
        self.until("nothing is left", |stats| {
            let Stats { sessions, sockets, websockets, requests, pending_acks, .. } = stats;
            sessions + sockets + websockets + requests + pending_acks == 0
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
