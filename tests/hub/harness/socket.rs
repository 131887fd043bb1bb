//! A live socket: operations with their ack, events in arrival order, raw frames and close codes.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{DEADLINE, TestHub, document};

/// Events that come and go with other sockets; `quiet` and `events` look past them.
const PRESENCE: [&str; 4] = ["bot_online", "bot_offline", "agent_online", "agent_offline"];

pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    backlog: VecDeque<Value>,
    refs: u32,
    /// Whether it speaks the words of old clients.
    is_old: bool,
}

/// What a socket receives.
#[derive(Debug)]
enum Received {
    Frame(Value),
    Closed(u16, String),
}

impl Socket {
    /// Opens `/ws<query>`; the handshake itself must succeed (refusals come as close codes).
    pub async fn connect(hub: &TestHub, query: &str) -> Self {
        Self::try_connect(hub, &format!("/ws{query}")).await.expect("the upgrade was refused")
    }

    pub async fn try_connect(hub: &TestHub, path: &str) -> Result<Self, Error> {
        let url = format!("{}{path}", hub.url().replacen("http", "ws", 1));
        let (stream, _) = connect_async(url).await?;
        Ok(Self { stream, backlog: VecDeque::new(), refs: 0, is_old: path.starts_with("/v0") })
    }

    /// Sends an operation with a fresh ref and waits for its ack or error; events that come first are kept.
    #[track_caller]
    pub fn op(&mut self, frame: Value) -> impl Future<Output = Answer> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let reference = self.start(frame).await;
            let answer = self.answer(&reference).await;
            answer.unwrap_or_else(|why| panic!("no answer: {why} (at {caller})"))
        }
    }

    /// As [`Self::op`]; `None` when the connection went away (or silent) before the answer came.
    pub async fn attempt(&mut self, mut frame: Value) -> Option<Answer> {
        self.refs += 1;
        let reference = json!(format!("r{}", self.refs));
        frame["ref"] = reference.clone();
        self.stream.send(Message::text(frame.to_string())).await.ok()?;
        self.answer(&reference).await.ok()
    }

    /// The next frame in order of arrival, `None` when there is none within this time.
    ///
    /// # Errors
    /// The close code, once the connection is over.
    pub async fn arrival(&mut self, within: std::time::Duration) -> Result<Option<Value>, u16> {
        if let Some(frame) = self.backlog.pop_front() {
            return Ok(Some(frame));
        }
        match timeout(within, self.receive()).await {
            Ok(Received::Frame(frame)) => Ok(Some(frame)),
            Ok(Received::Closed(code, _)) => Err(code),
            Err(_) => Ok(None),
        }
    }

    /// Sends an operation with a fresh ref and returns the ref without waiting.
    pub async fn start(&mut self, mut frame: Value) -> Value {
        self.refs += 1;
        let reference = json!(format!("r{}", self.refs));
        frame["ref"] = reference.clone();
        self.send(&frame).await;
        reference
    }

    /// The ack or error that carries this ref.
    pub async fn answer(&mut self, reference: &Value) -> Result<Answer, String> {
        let is_mine =
            |frame: &Value| frame["ref"] == *reference && matches!(frame["type"].as_str(), Some("ack" | "error"));
        self.take(is_mine).await.map(Answer)
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_message(Message::text(frame.to_string())).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.expect("the hub took the frame");
    }

    /// Sends one text message in pieces of `size` bytes (a fragmented message).
    pub async fn send_fragmented(&mut self, text: &str, size: usize) {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let opcode = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
            let frame = Frame::message(piece.to_vec(), opcode, at + 1 == pieces.len());
            self.stream.feed(Message::Frame(frame)).await.unwrap();
        }
        self.stream.flush().await.unwrap();
    }

    /// The next frame of this type; frames of other types are kept for later.
    #[track_caller]
    pub fn next<'a>(&'a mut self, kind: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let found = self.take(|frame| frame["type"] == kind).await;
            found.unwrap_or_else(|why| panic!("no `{kind}`: {why} (at {caller})"))
        }
    }

    /// The next `n` frames in arrival order, presence of others left out.
    #[track_caller]
    pub fn events(&mut self, n: usize) -> impl Future<Output = Vec<Value>> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let mut events = Vec::new();
            while events.len() < n {
                let event = self.take(|frame| !is_presence(frame)).await;
                events
                    .push(event.unwrap_or_else(|why| panic!("event {} of {n}: {why} (at {caller})", events.len() + 1)));
            }
            events
        }
    }

    /// Everything that has arrived and nobody asked for yet, in order, presence left out. A ping and its pong make sure
    /// that what the hub had queued for this socket is here.
    pub async fn drain(&mut self) -> Vec<Value> {
        self.everything().await.into_iter().filter(|frame| !is_presence(frame)).collect()
    }

    /// As [`Self::drain`], with presence.
    pub async fn everything(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "ping"})).await;
        let pong = self.take(|frame| frame["type"] == "pong").await;
        pong.unwrap_or_else(|why| panic!("no pong: {why}"));
        self.backlog.drain(..).collect()
    }

    /// As [`Self::drain`]; `None` when the connection is over.
    pub async fn try_drain(&mut self) -> Option<Vec<Value>> {
        self.stream.send(Message::text(r#"{"type": "ping"}"#)).await.ok()?;
        self.take(|frame| frame["type"] == "pong").await.ok()?;
        Some(self.backlog.drain(..).filter(|frame| !is_presence(frame)).collect())
    }

    /// Nothing is waiting for this socket, presence of others aside.
    #[track_caller]
    pub fn quiet(&mut self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let rest = self.drain().await;
            assert!(rest.is_empty(), "not quiet (at {caller}): {}", Value::Array(rest));
        }
    }

    /// Waits for the hub to close the socket and returns the code (1006 when no close frame came).
    pub async fn closed(&mut self) -> u16 {
        self.closed_with_reason().await.0
    }

    pub async fn closed_with_reason(&mut self) -> (u16, String) {
        loop {
            match timeout(DEADLINE, self.receive()).await.expect("the hub closes the socket") {
                Received::Closed(code, reason) => return (code, reason),
                Received::Frame(frame) => self.backlog.push_back(frame),
            }
        }
    }

    /// `None` when the socket answers a ping, else the code it was closed with.
    pub async fn pong_or_close(&mut self) -> Option<u16> {
        loop {
            match timeout(DEADLINE, self.receive()).await.expect("a pong or a close") {
                Received::Frame(frame) if frame["type"] == "pong" => return None,
                Received::Frame(_) => {}
                Received::Closed(code, _) => return Some(code),
            }
        }
    }

    /// Closes from our side and waits until the hub has answered.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        let _ = timeout(DEADLINE, async { while self.stream.next().await.is_some_and(|m| m.is_ok()) {} }).await;
    }

    /// Sends operations, sixteen in flight, until the hub is gone; the message ids that were acknowledged, in order.
    pub async fn acked_until_gone(mut self, op: impl Fn(usize) -> Value) -> Vec<String> {
        let (mut acked, mut sent) = (Vec::new(), 0);
        loop {
            while sent < acked.len() + 16 {
                let mut frame = op(sent);
                frame["ref"] = json!(sent + 1);
                sent += 1;
                if self.stream.send(Message::text(frame.to_string())).await.is_err() {
                    return acked;
                }
            }
            let text = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return acked,
            };
            // Parsing events, which nobody asks for here, would be most of the work.
            if !text.contains("\"epoch\"") {
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(frame["type"], "ack", "{frame}");
                acked.push(frame["result"]["message_id"].as_str().expect("a message id").to_owned());
            }
        }
    }

    /// As [`Self::acked_until_gone`], for a hub that may refuse while it stops.
    pub async fn acked_until_stopped(mut self, op: impl Fn(usize) -> Value) -> Vec<String> {
        let mut acked = Vec::new();
        for n in 0.. {
            match self.attempt(op(n)).await {
                Some(Answer(frame)) if frame["type"] == "ack" => {
                    acked.push(frame["result"]["message_id"].as_str().expect("a message id").to_owned());
                }
                Some(answer) => drop(answer.refused("UNAVAILABLE")),
                None => break,
            }
        }
        acked
    }

    /// Stops reading and keeps the connection open: a stalled or silent peer.
    pub fn into_stream(self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.stream
    }

    /// First frame that fits, from the backlog or from the wire, within the deadline.
    async fn take(&mut self, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        if let Some(at) = self.backlog.iter().position(&fits) {
            return Ok(self.backlog.remove(at).unwrap());
        }
        let until = tokio::time::Instant::now() + DEADLINE;
        loop {
            match tokio::time::timeout_at(until, self.receive()).await {
                Ok(Received::Frame(frame)) if fits(&frame) => return Ok(frame),
                Ok(Received::Frame(frame)) => self.backlog.push_back(frame),
                Ok(Received::Closed(code, reason)) => return Err(format!("closed with {code} {reason:?}")),
                Err(_) => return Err(format!("nothing within {DEADLINE:?}; seen: {:?}", self.backlog)),
            }
        }
    }

    async fn receive(&mut self) -> Received {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(frame) => {
                        if !self.is_old
                            && let Some(error) = document::error_of_event(&frame)
                        {
                            document::report(&error);
                        }
                        return Received::Frame(frame);
                    }
                    Err(error) => panic!("the hub sent no JSON ({error}): {text}"),
                },
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Received::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Binary(bytes))) => panic!("the hub sent a binary frame: {bytes:?}"),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Received::Closed(1006, String::new()),
            }
        }
    }
}

fn is_presence(frame: &Value) -> bool {
    frame["type"].as_str().is_some_and(|kind| PRESENCE.contains(&kind))
}

/// The one ack or error of an operation.
#[derive(Debug)]
pub struct Answer(pub Value);

impl Answer {
    /// `result` of an ack.
    #[track_caller]
    pub fn ack(self) -> Value {
        assert_eq!(self.0["type"], "ack", "{}", self.0);
        self.0["result"].clone()
    }

    /// The error frame, with exactly this code.
    #[track_caller]
    pub fn refused(self, code: &str) -> Value {
        let got = (self.0["type"].as_str(), self.0["code"].as_str());
        assert_eq!(got, (Some("error"), Some(code)), "{}", self.0);
        assert!(self.0["message"].as_str().is_some_and(|text| !text.is_empty()), "no sentence in {}", self.0);
        self.0
    }

    /// `VALIDATION_ERROR` whose sentence contains `part`.
    #[track_caller]
    pub fn invalid(self, part: &str) -> Value {
        let frame = self.refused("VALIDATION_ERROR");
        assert!(frame["message"].as_str().unwrap().contains(part), "`{part}` is not in {frame}");
        frame
    }
}
