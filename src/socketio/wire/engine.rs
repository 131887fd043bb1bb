//! Engine.IO packets, and the payloads that carry several of them over HTTP polling.
//!
//! On a WebSocket a packet is one frame: text begins with the digit of its type, and a binary frame is a message. In a
//! payload, packets are separated by [`SEPARATOR`], and binary ones are `b` and base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;

use super::Malformed;

/// What separates packets in a payload.
pub const SEPARATOR: char = '\u{1e}';
/// What a frame costs in memory besides its bytes, so that empty frames count as well.
const OVERHEAD: usize = 48;

/// An Engine.IO packet, encoded for a WebSocket frame. Clones share their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text packet with the digit of its type.
    Text(ByteString),
    /// The bytes of a binary message.
    Binary(Bytes),
}

impl Frame {
    /// Asks the peer for a sign of life.
    pub const PING: Self = Self::Text(ByteString::from_static("2"));
    /// Tells the peer that the session is closed.
    pub const CLOSE: Self = Self::Text(ByteString::from_static("1"));
    /// Ends a poll without a message.
    pub const NOOP: Self = Self::Text(ByteString::from_static("6"));

    /// Bytes on the wire, without those of the transport.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// What the frame counts while it is queued.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.size().saturating_add(OVERHEAD)
    }
}

/// An Engine.IO packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnginePacket {
    /// `0`: the parameters of a session, from the server.
    Open(ByteString),
    /// `1`: the session ends.
    Close,
    /// `2`: a sign of life is wanted; with `probe` when a transport is tested.
    Ping(ByteString),
    /// `3`: the answer to a ping.
    Pong(ByteString),
    /// `4`: a text message.
    Message(ByteString),
    /// `5`: the tested transport replaces the other.
    Upgrade,
    /// `6`: nothing.
    Noop,
    /// A binary message.
    Binary(Bytes),
}

impl EnginePacket {
    /// Reads a text frame of a WebSocket, or a text packet of a payload.
    ///
    /// # Errors
    /// If it is empty or of an unknown type.
    pub fn decode(text: &ByteString) -> Result<Self, Malformed> {
        let kind = text.as_bytes().first().ok_or(Malformed::Empty)?;
        let rest = || text.get(1..).map(|rest| text.slice_ref(rest)).ok_or(Malformed::Type);
        Ok(match kind {
            b'0' => Self::Open(rest()?),
            b'1' => Self::Close,
            b'2' => Self::Ping(rest()?),
            b'3' => Self::Pong(rest()?),
            b'4' => Self::Message(rest()?),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            _ => return Err(Malformed::Type),
        })
    }

    /// The packet as a frame of a WebSocket.
    #[must_use]
    pub fn encode(&self) -> Frame {
        let text = |kind: &str, data: &str| Frame::Text([kind, data].concat().into());
        match self {
            Self::Open(data) => text("0", data),
            Self::Close => Frame::CLOSE,
            Self::Ping(data) => text("2", data),
            Self::Pong(data) => text("3", data),
            Self::Message(data) => text("4", data),
            Self::Upgrade => text("5", ""),
            Self::Noop => Frame::NOOP,
            Self::Binary(bytes) => Frame::Binary(bytes.clone()),
        }
    }
}

/// Reads the body of a POST request.
///
/// # Errors
/// If it is not UTF-8, a packet of it is malformed, or there are more than `most` packets.
pub fn decode_payload(body: Bytes, most: usize) -> Result<Vec<EnginePacket>, Malformed> {
    let body = ByteString::try_from(body).map_err(|_| Malformed::Text)?;
    let mut packets = Vec::new();
    for part in body.split(SEPARATOR) {
        if packets.len() >= most {
            return Err(Malformed::TooManyPackets);
        }
        packets.push(match part.strip_prefix('b') {
            Some(encoded) => EnginePacket::Binary(STANDARD.decode(encoded).map_err(|_| Malformed::Base64)?.into()),
            None => EnginePacket::decode(&body.slice_ref(part))?,
        });
    }
    Ok(packets)
}

/// Writes the body of an answer to a GET request.
#[must_use]
pub fn encode_payload(frames: &[Frame]) -> String {
    let size = frames.iter().map(|frame| frame.size().saturating_mul(4) / 3 + 5).sum();
    let mut body = String::with_capacity(size);
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            body.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => body.push_str(text),
            Frame::Binary(bytes) => {
                body.push('b');
                STANDARD.encode_string(bytes, &mut body);
            }
        }
    }
    body
}
