//! Frames of a socket: every operation with arbitrary fields, nearly right ones, and whatever is no operation at all.
//!
//! A frame with a `ref` gets exactly one answer, which is never an internal error; a ping is answered after any of them;
//! and the socket stays open unless the frame broke the WebSocket protocol or its limit.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hxa_connect::domain::operation::SocketOperation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Noise, Patient, on_patients, roomy_org, scaled};
use crate::harness::*;

on_patients! { operations, broken_connections }

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Frames between two pings.
const ROUND: usize = 250;

/// What frames may talk about.
struct World {
    bots: Vec<String>,
    threads: Vec<String>,
    channels: Vec<String>,
}

async fn operations(patient: &Patient, mut noise: Noise) -> usize {
    let org = roomy_org(patient.hub()).await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let other = patient.hub().with_org("other").await.bot("finn").await;
    let foreign = other.thread("foreign", &[]).await.id();
    let sockets = [ada.socket().await, bob.scoped(&["message", "thread"]).await.socket().await, org.socket().await];
    let mut lines: Vec<Line> = sockets.into_iter().map(Line::new).collect();
    let (mut sent, rounds) = (0, scaled(20_000) / ROUND);
    for round in 0..rounds {
        if round % 10 == 0 {
            let mut world = World {
                bots: vec![ada.id.clone(), bob.id.clone(), cleo.id.clone(), other.id.clone()],
                threads: vec![foreign.clone()],
                channels: Vec::new(),
            };
            for _ in 0..4 {
                let thread = ada.thread("fuzz", &[&bob]).await;
                ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "c"})).await.ok();
                world.threads.push(thread.id());
            }
            world.channels.push(ada.send(&bob, "c").await.ok().text("channel_id"));
            noise.words =
                [&world.bots[..], &world.threads, &world.channels, &["ada".into(), "bob".into(), "k".into()]].concat();
        }
        let line = &mut lines[round % 3];
        let frames = (0..ROUND).map(|_| frame(&mut noise)).collect();
        sent += line.play(frames).await;
        // What the others heard meanwhile must not pile up.
        for line in &mut lines {
            line.ping().await;
        }
    }
    sent
}

/// A frame that is right, or was.
fn frame(noise: &mut Noise) -> Message {
    let operation = noise.pick(SocketOperation::ALL).as_str().to_owned();
    let value = match noise.below(20) {
        0..=8 => {
            let good = good(noise, &operation);
            noise.mutated(good)
        }
        9..=10 => good(noise, &operation),
        11..=14 => {
            let mut fields = noise.object(3);
            fields.insert("type".into(), json!(operation));
            Value::Object(fields)
        }
        15 => json!({"type": noise.text(), "content": noise.json(2)}),
        16 => noise.json(4),
        17 => {
            let good = good(noise, &operation).to_string();
            let bytes = noise.garbled(&good);
            return String::from_utf8(bytes).map_or_else(|e| Message::binary(e.into_bytes()), Message::text);
        }
        18 => return Message::binary(noise.bytes(200)),
        _ => json!({"type": operation, "content": "x".repeat(noise.below(60_000)), "deep": deep(noise.below(300))}),
    };
    Message::text(value.to_string())
}

fn deep(levels: usize) -> Value {
    (0..levels.min(100)).fold(json!(1), |inside, _| json!([inside]))
}

/// An operation that could succeed.
fn good(noise: &mut Noise, operation: &str) -> Value {
    let (id, bot) = (noise.word(), noise.word());
    json!({
        "type": operation, "thread_id": id, "channel_id": id, "to": bot, "bot_id": bot, "content": "hello @ada",
        "content_type": "text", "parts": [{"type": "text", "content": "p"}, {"type": "link", "url": "https://e.example"}],
        "metadata": {"a": 1}, "reply_to": null, "topic": "t", "participants": [bot], "tags": ["a"], "context": {"b": 2},
        "permission_policy": {"write": ["*"]}, "visibility": "public", "join_policy": "open", "artifact_key": "k",
        "artifact_type": "json", "title": "t", "label": "l", "client_id": null, "since_seq": 1, "epoch": "e",
    })
}

/// A socket's two halves and what it owes.
struct Line {
    out: SplitSink<Stream, Message>,
    answers: SplitStream<Stream>,
    refs: u64,
}

impl Line {
    fn new(socket: Socket) -> Self {
        let (out, answers) = socket.into_stream().split();
        Self { out, answers, refs: 0 }
    }

    /// Sends frames while reading, each that is an object with a `ref` of its own, and waits for the answers due.
    async fn play(&mut self, frames: Vec<Message>) -> usize {
        let count = frames.len();
        let mut owed: HashMap<u64, String> = HashMap::new();
        let prepared: Vec<Message> = frames.into_iter().map(|frame| self.with_ref(frame, &mut owed)).collect();
        let out = &mut self.out;
        let send = async {
            for frame in prepared {
                out.send(frame).await.expect("the socket takes frames");
            }
        };
        let receive = async {
            while !owed.is_empty() {
                let answer = next(&mut self.answers).await;
                let Some(reference) = answer["ref"].as_u64() else { continue };
                let frame = owed.remove(&reference).unwrap_or_else(|| panic!("a second answer: {answer}"));
                let code = answer["code"].as_str().unwrap_or("ack");
                assert!(!["INTERNAL_ERROR", "UNAVAILABLE", "STORAGE_ERROR"].contains(&code), "{frame:.3000}\n{answer}");
            }
        };
        let both = futures_util::future::join(send, receive);
        if tokio::time::timeout(Duration::from_secs(60), both).await.is_err() {
            panic!("{} frames stay unanswered, such as {:?}", owed.len(), owed.values().next());
        }
        count
    }

    /// Gives the frame a fresh `ref` if it can have one.
    fn with_ref(&mut self, frame: Message, owed: &mut HashMap<u64, String>) -> Message {
        let Ok(text) = frame.to_text() else { return frame };
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(mut fields)) => {
                self.refs += 1;
                fields.insert("ref".into(), json!(self.refs));
                let text = Value::Object(fields).to_string();
                owed.insert(self.refs, text.clone());
                Message::text(text)
            }
            _ => frame,
        }
    }

    async fn ping(&mut self) {
        self.refs += 1;
        let end = json!({"type": "end of round", "ref": self.refs});
        self.out.send(Message::text(json!({"type": "ping"}).to_string())).await.expect("the socket is open");
        self.out.send(Message::text(end.to_string())).await.expect("the socket is open");
        while next(&mut self.answers).await["ref"] != self.refs {}
    }
}

async fn next(answers: &mut SplitStream<Stream>) -> Value {
    loop {
        let received =
            tokio::time::timeout(Duration::from_secs(30), answers.next()).await.expect("the socket is alive");
        match received.expect("the socket is open").expect("the socket is open") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Close(why) => panic!("closed: {why:?}"),
            _ => {}
        }
    }
}

/// Bytes after the handshake that no client library would send: each connection ends or goes on, and no other suffers.
async fn broken_connections(patient: &Patient, mut noise: Noise) -> usize {
    let org = roomy_org(patient.hub()).await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut witness = bob.socket().await;
    let rounds = scaled(500).div_ceil(AT_ONCE);
    for _ in 0..rounds {
        let broken = (0..AT_ONCE).map(|_| {
            let frames = (0..=noise.below(4)).map(|_| wire_frame(&mut noise)).collect();
            break_in(&ada, frames, noise.once_in(2))
        });
        futures_util::future::join_all(broken).await;
        witness.drain().await;
        ada.send(&bob, "alive").await.ok();
        assert_eq!(witness.next("message").await["message"]["content"], "alive");
    }
    rounds * AT_ONCE
}

/// Broken connections at a time.
const AT_ONCE: usize = 100;

/// Opens a socket by hand, writes the frames and leaves, with or without a word.
async fn break_in(ada: &Bot, frames: Vec<Vec<u8>>, is_polite: bool) {
    let ticket = ada.ws_ticket().await;
    let mut stream = TcpStream::connect(ada.hub.address()).await.unwrap();
    let head = format!(
        "GET /ws?ticket={ticket} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    for frame in &frames {
        if stream.write_all(frame).await.is_err() {
            return;
        }
    }
    if is_polite {
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let end = tokio::time::timeout(2 * DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "the hub keeps a connection that is shut down, after {frames:02x?}");
    }
}

/// One frame on the wire, with a random head: reserved bits, unknown opcodes, lengths that are lies, no mask.
fn wire_frame(noise: &mut Noise) -> Vec<u8> {
    let payload = match noise.below(3) {
        0 => noise.bytes(300),
        1 => b"{\"type\":\"ping\"}".to_vec(),
        _ => good(noise, "send_dm").to_string().into_bytes(),
    };
    let first = if noise.once_in(2) {
        noise.next() as u8
    } else {
        *noise.pick(&[0x81, 0x01, 0x80, 0x00, 0x82, 0x89, 0x8a, 0x88])
    };
    let mask_bit = if noise.once_in(6) { 0 } else { 0x80 };
    let mut frame = vec![first];
    match noise.below(6) {
        0 => {
            frame.push(127 | mask_bit);
            frame.extend(noise.next().to_be_bytes());
        }
        1 => {
            frame.push(126 | mask_bit);
            frame.extend((noise.next() as u16).to_be_bytes());
        }
        _ if payload.len() < 126 => frame.push(payload.len() as u8 | mask_bit),
        _ => {
            frame.push(126 | mask_bit);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
    }
    // A mask of zeros leaves the payload as it is.
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
