//! The applications that are served: what the published suites of the protocols expect, and one with more to try.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hxa_socketio::engine::{Acceptor, Connection, Link, Message};
use hxa_socketio::{Accept, Args, Auth, CloseReason, ConnectError, Event, Handler, Socket};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Sends messages back.
pub struct BareEcho;

struct BareConnection(Link);

impl Acceptor for BareEcho {
    fn accept(&self, link: Link) -> Box<dyn Connection> {
        Box::new(BareConnection(link))
    }
}

impl Connection for BareConnection {
    fn on_message(&mut self, message: Message) -> Result<(), CloseReason> {
        let _ = match message {
            Message::Text(text) => self.0.send_text(&text),
            Message::Binary(bytes) => self.0.send_binary(bytes),
        };
        Ok(())
    }
}

/// What has happened to sockets, in words.
pub type Log = Arc<Mutex<Vec<String>>>;

/// `auth`, `message` and `message-with-ack` as the suites expect; and events that exercise the server.
#[derive(Default)]
pub struct Echo {
    pub log: Log,
}

impl Handler for Echo {
    fn connect(&self, socket: &Socket, auth: &Auth) -> Result<Accept, ConnectError> {
        let auth = auth.value();
        if auth["refuse"] == true {
            return Err(ConnectError::new("Not allowed").with_data(json!({ "code": 7 })));
        }
        assert_ne!(auth["panic"], true, "as the client wishes");
        if let Some(room) = auth["room"].as_str() {
            socket.join(room);
        }
        socket.emit("auth", &(auth,)).unwrap();
        socket.set_state(Instant::now());
        Ok(Accept::new())
    }

    fn event(&self, socket: &Socket, event: Event) {
        let first = event.args.value(0);
        match (event.name.as_str(), event.ack) {
            ("message", _) => drop(socket.emit("message-back", &event.args)),
            ("message-with-ack", Some(ack)) => drop(ack.send(&event.args)),
            ("join", _) => socket.join(first.as_str().unwrap()),
            ("leave", _) => socket.leave(first.as_str().unwrap()),
            ("say", _) => {
                let _ = socket.to(first.as_str().unwrap()).emit("said", &(event.args.value(1),));
            }
            ("ask-me", _) => self.ask(socket, &first),
            ("disconnect-me", _) => socket.disconnect(),
            ("close-me", _) => socket.close(),
            ("flood-me", _) => {
                let text = "x".repeat(10_000);
                while socket.emit("flood", &text).is_ok() {}
            }
            ("panic", _) => panic!("as the client wishes"),
            _ => {}
        }
    }

    fn disconnect(&self, socket: &Socket, reason: CloseReason) {
        assert!(socket.state::<Instant>().is_some());
        assert!(!socket.is_connected() && socket.emit("late", &()).is_err());
        self.log.lock().push(format!("{} {reason}", socket.namespace()));
    }

    fn limited(&self, _: &Socket, event: &str) -> Args {
        Args::new().json(&json!({ "error": "slow down", "event": event })).unwrap()
    }
}

impl Echo {
    /// Asks the client, and logs what came of it.
    fn ask(&self, socket: &Socket, milliseconds: &Value) {
        let timeout = Duration::from_millis(milliseconds.as_u64().unwrap_or(60_000));
        let (answer, log) = (socket.emit_with_ack("question", &("how", "many"), timeout), self.log.clone());
        actix_web::rt::spawn(async move {
            let answer = match answer.await {
                Ok(args) => format!("answered {} {:?}", args.value(0), args.attachments()),
                Err(error) => error.to_string(),
            };
            log.lock().push(answer);
        });
    }
}
