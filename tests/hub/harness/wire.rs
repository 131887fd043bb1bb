//! A socket by hand: any bytes go out, and what the hub frames is read, so that what no client library sends can be tried.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, TestHub, Value};

pub struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
}

/// A client's frame with this first byte (`0x81`: a whole text). Its mask of zeros leaves the payload as it is.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame_head(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The head of such a frame, whatever follows.
pub fn frame_head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..=125 => head.push(0x80 | length as u8),
        126..=65_535 => {
            head.push(0xfe);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(0xff);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

impl Wire {
    /// Opens `/ws?ticket=…`; whether the ticket is good shows later.
    pub async fn open(hub: &TestHub, ticket: &str) -> Self {
        Self::open_at(hub, &format!("/ws?ticket={ticket}")).await
    }

    /// As [`Self::open`], at another address.
    pub async fn open_at(hub: &TestHub, path: &str) -> Self {
        let mut stream = TcpStream::connect(hub.address()).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut wire = Self { stream, inbox: Vec::new() };
        let end = loop {
            if let Some(at) = wire.inbox.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(wire.more().await, "the hub ends the handshake");
        };
        assert!(wire.inbox.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&wire.inbox));
        wire.inbox.drain(..end);
        wire
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The connection itself.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The code the hub closes with, and then the end of the connection, without a close of ours.
    pub async fn closed(&mut self) -> u16 {
        let code = loop {
            match self.frame().await {
                Some((0x8, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
                Some(_) => {}
                None => panic!("the connection ended without a close"),
            }
        };
        while self.more().await {}
        code
    }

    /// The next frame of text, as JSON.
    pub async fn json(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some((0x1, payload)) => return serde_json::from_slice(&payload).expect("JSON"),
                Some((0x8, payload)) => panic!("closed: {payload:?}"),
                Some(_) => {}
                None => panic!("the connection ended"),
            }
        }
    }

    /// The next frame of text, as it is.
    pub async fn text(&mut self) -> String {
        loop {
            if let (0x1, payload) = self.frame().await.expect("the connection is open") {
                return String::from_utf8(payload).expect("UTF-8");
            }
        }
    }

    /// Opcode and payload of the next frame; `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, from, to)) = self.bounds() {
                let payload = self.inbox[from..to].to_vec();
                self.inbox.drain(..to);
                return Some((opcode, payload));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    fn bounds(&self) -> Option<(u8, usize, usize)> {
        let (first, second) = (self.inbox.first()?, self.inbox.get(1)?);
        let (from, length) = match second {
            126 => (4, u64::from(u16::from_be_bytes(self.inbox.get(2..4)?.try_into().unwrap()))),
            127 => (10, u64::from_be_bytes(self.inbox.get(2..10)?.try_into().unwrap())),
            short => (2, u64::from(*short)),
        };
        let to = from + length as usize;
        (self.inbox.len() >= to).then_some((first & 0x0f, from, to))
    }

    /// Reads on; false at the end, also one by force.
    async fn more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = timeout(DEADLINE, self.stream.read(&mut chunk)).await.expect("the hub says something or ends");
        let size = read.unwrap_or(0);
        self.inbox.extend(&chunk[..size]);
        size > 0
    }
}
