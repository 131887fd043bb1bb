//! Serves what the published test suites of the two protocols expect.
//!
//! ```text
//! cargo run --release --example socketio-echo
//! ENGINE_ONLY=1 PORT=3001 cargo run --release --example socketio-echo
//! ```
//!
//! `/` and `/custom` emit `auth` with what the client said when it connected, answer `message` with `message-back` and
//! the same arguments, and acknowledge `message-with-ack` with its arguments. With `ENGINE_ONLY` set, bare Engine.IO
//! sessions at `/engine.io/` send back what they receive. `PORT` is 3000 and `HOST` is `localhost` unless set, `WORKERS`
//! 1, and `PING_INTERVAL` and `PING_TIMEOUT` 300 and 200 milliseconds.

use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use hxa_socketio::engine::{Acceptor, Connection, Engine, Hooks, Link, Message};
use hxa_socketio::{Accept, Auth, CloseReason, Config, ConnectError, Event, Handler, Socket, SocketIo};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

fn config() -> Config {
    Config {
        ping_interval: Duration::from_millis(number("PING_INTERVAL", 300).into()),
        ping_timeout: Duration::from_millis(number("PING_TIMEOUT", 200).into()),
        connect_timeout: Duration::from_millis(1000),
        max_payload: 1_000_000,
        // Suites and load generators open and send as fast as they can.
        handshakes_per_second: 0,
        sessions_per_client: 10_000,
        events_per_second: 0,
        ..Config::default()
    }
}

struct Echo;

impl Handler for Echo {
    fn connect(&self, socket: &Socket, auth: &Auth) -> Result<Accept, ConnectError> {
        if let Err(error) = socket.emit("auth", &(auth.value(),)) {
            log::warn!(error:%; "auth was not sent");
        }
        Ok(Accept::new())
    }

    fn event(&self, socket: &Socket, event: Event) {
        let sent = match (event.name.as_str(), event.ack) {
            ("message", _) => socket.emit("message-back", &event.args),
            ("message-with-ack", Some(ack)) => ack.send(&event.args),
            _ => Ok(()),
        };
        if let Err(error) = sent {
            log::warn!(error:%; "an answer was not sent");
        }
    }
}

struct Bare;

struct BareEcho(Link);

impl Acceptor for Bare {
    fn accept(&self, link: Link) -> Box<dyn Connection> {
        Box::new(BareEcho(link))
    }
}

impl Connection for BareEcho {
    fn on_message(&mut self, message: Message) -> Result<(), CloseReason> {
        let sent = match message {
            Message::Text(text) => self.0.send_text(&text),
            Message::Binary(bytes) => self.0.send_binary(bytes),
        };
        sent.map_err(|_| CloseReason::QueueFull)
    }
}

/// A number of the environment.
fn number(name: &str, default: u16) -> u16 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let any_origin = |_: &actix_web::HttpRequest, _: &str| true;
    let (engine, io) = if std::env::var("ENGINE_ONLY").is_ok_and(|value| value == "1") {
        let config = Config { path: "/engine.io/".to_owned(), ..config() };
        (Some(Engine::new(config, Hooks::default().origin(any_origin), Bare)), None)
    } else {
        let io = SocketIo::builder(config()).namespace("/", Echo).namespace("/custom", Echo).origin(any_origin).build();
        (None, Some(io))
    };
    let host = std::env::var("HOST").unwrap_or_else(|_| "localhost".to_owned());
    let port = number("PORT", 3000);
    // A graceful stop waits for open connections.
    let close = {
        let (engine, io) = (engine.clone(), io.clone());
        move || {
            engine.iter().for_each(Engine::close_all);
            io.iter().for_each(SocketIo::close_all);
        }
    };
    let server = HttpServer::new(move || {
        let (engine, io) = (engine.clone(), io.clone());
        App::new().configure(move |service: &mut ServiceConfig| {
            if let Some(engine) = &engine {
                engine.routes(service);
            }
            if let Some(io) = &io {
                io.routes(service);
            }
        })
    });
    // A poll whose client is gone is noticed.
    let server = server.h1_allow_half_closed(false).tcp_nodelay(true).disable_signals();
    let server = server.workers(number("WORKERS", 1).into()).bind((host, port))?.run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        asked_to_stop().await;
        close();
        handle.stop(true).await;
    });
    server.await
}

/// Waits for one of the two signals that end a program.
async fn asked_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = ctrl_c() => {}
    }
}
