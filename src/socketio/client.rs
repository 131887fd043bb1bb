//! A session as Socket.IO sees it: its packets, and its sockets in namespaces.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytestring::ByteString;

use crate::bucket::{Bucket, Rate};
use crate::config::Config;
use crate::engine::{Acceptor, Connection, Link, Message};
use crate::handler::{Auth, ConnectError, Event, Handler, Reply};
use crate::reason::CloseReason;
use crate::socket::{Socket, Space};
use crate::stats::{Counted, count};
use crate::wire::{Args, Decoder, Malformed, Packet};

/// What all sessions share.
pub(crate) struct Namespaces {
    pub config: Config,
    pub by_name: HashMap<ByteString, Namespace>,
}

/// A namespace and its application.
#[derive(Clone)]
pub(crate) struct Namespace {
    pub space: Arc<Space>,
    pub handler: Arc<dyn Handler>,
}

/// Makes a [`Client`] of each session.
pub(crate) struct Clients(pub Arc<Namespaces>);

impl Acceptor for Clients {
    fn accept(&self, link: Link) -> Box<dyn Connection> {
        let config = &self.0.config;
        Box::new(Client {
            decoder: Decoder::new(config.wire_limits()),
            rate: Rate::per_second(config.events_per_second, config.event_burst),
            bucket: Bucket::full(Instant::now()),
            namespaces: self.0.clone(),
            link,
            sockets: Vec::new(),
            last_number: 0,
        })
    }
}

struct Client {
    namespaces: Arc<Namespaces>,
    link: Link,
    decoder: Decoder,
    rate: Option<Rate>,
    bucket: Bucket,
    /// One for each namespace that it is connected to, or about to be.
    sockets: Vec<Entry>,
    last_number: u64,
}

/// A socket of a client.
struct Entry {
    namespace: Namespace,
    socket: Socket,
    _counted: Counted,
}

type Outcome = Result<(), CloseReason>;

impl From<Malformed> for CloseReason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge => Self::TooLarge,
            _ => Self::ParseError,
        }
    }
}

impl Connection for Client {
    fn on_message(&mut self, message: Message) -> Outcome {
        let packet = match message {
            Message::Text(text) => self.decoder.text(&text)?,
            Message::Binary(bytes) => self.decoder.binary(bytes)?,
        };
        match packet {
            None => Ok(()),
            Some(Packet::Connect(namespace, auth)) => self.connect(&namespace, auth),
            Some(Packet::Event { namespace, ack, name, args }) => {
                self.on_event(&namespace, ack, name, args);
                Ok(())
            }
            Some(Packet::Ack { namespace, id, args }) => {
                if let Some(entry) = self.find(&namespace) {
                    entry.socket.acks().answer(id, args);
                }
                Ok(())
            }
            Some(Packet::Disconnect(namespace)) => {
                self.end(CloseReason::ClientDisconnect, |socket| *socket.namespace() == *namespace);
                Ok(())
            }
            Some(Packet::ConnectError(..)) => Err(CloseReason::ParseError),
        }
    }

    /// A socket was disconnected by the application.
    fn on_signal(&mut self, number: u64) -> Outcome {
        self.end(CloseReason::ServerDisconnect, |socket| socket.number() == number);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        // A client that has been connected may stay without being so.
        self.last_number > 0
    }

    fn on_close(&mut self, reason: CloseReason) {
        for Entry { namespace, socket, .. } in self.sockets.drain(..) {
            if socket.end() {
                let told = catch_unwind(AssertUnwindSafe(|| namespace.handler.disconnect(&socket, reason)));
                if told.is_err() {
                    log::error!(namespace = socket.namespace(); "a handler panicked when a socket ended");
                }
            }
        }
    }
}

impl Client {
    /// The socket of a namespace. Packets may still come for one that has just ended; they mean nothing.
    fn find(&self, namespace: &str) -> Option<&Entry> {
        self.sockets.iter().find(|entry| entry.socket.namespace() == namespace)
    }

    fn connect(&mut self, name: &ByteString, auth: Option<ByteString>) -> Outcome {
        if !self.bucket.take(self.rate, Instant::now()) {
            // A refusal would keep the client away for good; a lost connection does not.
            return Err(CloseReason::TooManyConnects);
        }
        let Some(namespace) = self.namespaces.by_name.get(name).cloned() else {
            self.refuse(name, &ConnectError::new("Invalid namespace"));
            return Ok(());
        };
        if self.find(name).is_some() {
            return Err(CloseReason::DuplicateConnect);
        }
        self.last_number += 1;
        let socket = Socket::new(self.last_number, self.link.clone(), namespace.space.clone());
        if !namespace.space.admit(&socket, self.namespaces.config.sockets_per_namespace) {
            return Err(CloseReason::NamespaceFull);
        }
        // From here on it is ended with the session, also when the application panics.
        let counted = Counted::new(&namespace.space.counters, |counters| &counters.sockets);
        self.sockets.push(Entry { namespace: namespace.clone(), socket: socket.clone(), _counted: counted });
        let auth = Auth::new(auth.map(|auth| auth.to_string()));
        match namespace.handler.connect(&socket, &auth) {
            Ok(mut accept) => {
                accept.fields.insert("sid".to_owned(), (**socket.id()).into());
                socket.open(serde_json::Value::Object(accept.fields).to_string());
            }
            Err(error) => {
                self.sockets.pop();
                socket.end();
                self.refuse(name, &error);
            }
        }
        Ok(())
    }

    fn refuse(&self, namespace: &ByteString, error: &ConnectError) {
        let packet = Packet::ConnectError(namespace.clone(), error.json().into());
        // If it does not reach the client, the session is being closed.
        let _ = self.link.send(&packet.encode());
    }

    fn on_event(&mut self, namespace: &str, ack: Option<u64>, name: String, args: Args) {
        let is_allowed = self.bucket.take(self.rate, Instant::now());
        let Some(Entry { namespace, socket, .. }) = self.find(namespace) else { return };
        let ack = ack.map(|id| Reply::new(socket.clone(), id));
        let counters = &socket.space().counters;
        if is_allowed {
            count(&counters.events_in);
            namespace.handler.event(socket, Event { name, args, ack });
            return;
        }
        count(&counters.limited);
        let answer = namespace.handler.limited(socket, &name);
        if let Some(ack) = ack {
            // If it does not reach the client, the session is being closed.
            let _ = ack.send(&answer);
        }
    }

    fn end(&mut self, reason: CloseReason, is_meant: impl Fn(&Socket) -> bool) {
        let Some(index) = self.sockets.iter().position(|entry| is_meant(&entry.socket)) else { return };
        let Entry { namespace, socket, .. } = self.sockets.swap_remove(index);
        if socket.end() {
            namespace.handler.disconnect(&socket, reason);
        }
    }
}
