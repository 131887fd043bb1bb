//! Decodes a client's messages from the bytes of its connection (RFC 6455, the receiving half of a server).
//!
//! A frame is checked by its header, before any of its payload is buffered: an invalid length ends the connection
//! immediately. A message is assembled as its bytes arrive, so a decoder buffers at most one message of the configured
//! size and the chunk that is being decoded. Pings, pongs and fragments carry no operation that could be charged, so
//! they are counted here.

use std::time::Instant;

use bytes::{Buf, Bytes};

use hxa_domain::ratelimit::TokenBucket;

/// Payload of a control frame at most.
const CONTROL_BYTES: u64 = 125;
/// Fragments of this size and more are paid for by their bytes.
const FRAGMENT_BYTES: u64 = 1024;
/// A head at most: two bytes, a length of eight, a mask of four.
const HEAD_BYTES: usize = 14;

/// What a client has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping, to be answered with its payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The client closes, for this reason if it gave one.
    Close(Option<u16>),
}

/// Why nothing more can be taken from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A message is larger than allowed.
    TooLarge,
    /// The bytes are not those of a WebSocket client.
    Protocol,
    /// A text that is not UTF-8.
    NotText,
    /// Too many frames that are no message.
    TooMany,
}

impl Broken {
    /// The close code that says so.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::Protocol => 1002,
            Self::NotText => 1007,
            Self::TooMany => 1008,
        }
    }

    /// The same in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "message too large",
            Self::Protocol => "protocol error",
            Self::NotText => "text is not UTF-8",
            Self::TooMany => "too many control frames",
        }
    }
}

/// Bounds of a decoder.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Largest message in bytes.
    pub message_bytes: usize,
    /// Control frames and small fragments per second; ten seconds' worth may come at once.
    pub frames_per_second: u64,
}

/// Decodes the bytes of one connection.
#[derive(Debug)]
pub struct Decoder {
    bounds: Bounds,
    started: Instant,
    frames: TokenBucket,
    /// What has come and is not decoded.
    chunk: Bytes,
    /// The beginning of a head whose rest is in the next chunk.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// The text or binary message that is being put together, over one frame or several.
    message: Option<Message>,
    control: Vec<u8>,
}

#[derive(Debug)]
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    is_final: bool,
    kind: Kind,
    left: u64,
    mask: [u8; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl Message {
    fn incoming(self) -> Result<Incoming, Broken> {
        if !self.is_text {
            return Ok(Incoming::Binary(self.bytes));
        }
        String::from_utf8(self.bytes).map(Incoming::Text).map_err(|_| Broken::NotText)
    }
}

impl Frame {
    fn is_whole_message(self) -> bool {
        self.is_final && matches!(self.kind, Kind::Text | Kind::Binary)
    }
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            started: Instant::now(),
            frames: TokenBucket::default(),
            chunk: Bytes::new(),
            head: Vec::new(),
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// Takes the bytes that came next. Only to be called when [`Self::decode`] has found nothing more.
    pub fn feed(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "what came before is decoded first");
        self.chunk = chunk;
    }

    /// The next thing the client has sent, if its bytes are there.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub fn decode(&mut self) -> Result<Option<Incoming>, Broken> {
        if self.frame.is_none()
            && self.message.is_none()
            && self.head.is_empty()
            && let Some(message) = self.whole_message()?
        {
            return Ok(Some(message));
        }
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin()? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let Some(frame) = self.take_payload(frame) else { return Ok(None) };
            if let Some(incoming) = self.end(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// The usual case, without any state: a message in one frame that lies in the chunk as a whole.
    fn whole_message(&mut self) -> Result<Option<Incoming>, Broken> {
        let Some((frame, head)) = parse_head(&self.chunk)? else { return Ok(None) };
        let size = usize::try_from(frame.left).unwrap_or(usize::MAX);
        if !frame.is_whole_message() || size > self.bounds.message_bytes {
            return Ok(None);
        }
        let Some(payload) = self.chunk.get(head..head.saturating_add(size)) else { return Ok(None) };
        let mut bytes = payload.to_vec();
        unmask(&mut bytes, frame.mask);
        self.chunk.advance(head + size);
        Message { is_text: frame.kind == Kind::Text, bytes }.incoming().map(Some)
    }

    /// Reads the head of the next frame and decides whether it may follow.
    fn begin(&mut self) -> Result<Option<Frame>, Broken> {
        let whole = if self.head.is_empty() { self.head_in_chunk()? } else { self.head_over_chunks()? };
        let Some(frame) = whole else { return Ok(None) };
        self.admit(&frame)?;
        if matches!(frame.kind, Kind::Text | Kind::Binary) {
            self.message = Some(Message { is_text: frame.kind == Kind::Text, bytes: Vec::new() });
        }
        Ok(Some(frame))
    }

    fn head_in_chunk(&mut self) -> Result<Option<Frame>, Broken> {
        let (frame, size) = match parse_head(&self.chunk)? {
            Some(whole) => whole,
            None => {
                // The length may be known before the mask is.
                self.head.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                return Ok(None);
            }
        };
        self.chunk.advance(size);
        Ok(Some(frame))
    }

    fn head_over_chunks(&mut self) -> Result<Option<Frame>, Broken> {
        while self.chunk.has_remaining() && self.head.len() < HEAD_BYTES {
            self.head.push(self.chunk.get_u8());
            if let Some((frame, _)) = parse_head(&self.head)? {
                self.head = Vec::new();
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn admit(&mut self, frame: &Frame) -> Result<(), Broken> {
        let is_within_message = frame.kind == Kind::Continuation;
        if !frame.kind.is_control() {
            if is_within_message != self.message.is_some() {
                return Err(Broken::Protocol);
            }
            let so_far = self.message.as_ref().map_or(0, |message| message.bytes.len());
            let most = self.bounds.message_bytes.saturating_sub(so_far);
            if usize::try_from(frame.left).map_or(true, |length| length > most) {
                return Err(Broken::TooLarge);
            }
        }
        let is_charged = !frame.is_whole_message() && (frame.kind.is_control() || frame.left < FRAGMENT_BYTES);
        if is_charged && !self.charge() {
            return Err(Broken::TooMany);
        }
        Ok(())
    }

    fn charge(&mut self) -> bool {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.frames.take(now, 1, self.bounds.frames_per_second).is_ok()
    }

    /// Takes what has come of a frame's payload; the frame comes back when that was the rest.
    fn take_payload(&mut self, mut frame: Frame) -> Option<Frame> {
        let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
        let size = left.min(self.chunk.len());
        if size > 0 {
            let into = match &mut self.message {
                Some(message) if !frame.kind.is_control() => &mut message.bytes,
                _ => &mut self.control,
            };
            let from = into.len();
            let most =
                if frame.is_whole_message() { left } else { self.bounds.message_bytes.saturating_sub(from).max(size) };
            make_room(into, size, most);
            into.extend_from_slice(self.chunk.get(..size).unwrap_or_default());
            unmask(into.get_mut(from..).unwrap_or_default(), frame.mask);
            self.chunk.advance(size);
            frame.left -= u64::try_from(size).unwrap_or(frame.left);
            frame.mask.rotate_left(size % 4);
        }
        if frame.left == 0 {
            self.frame = None;
            return Some(frame);
        }
        self.frame = Some(frame);
        None
    }

    /// What a frame whose payload is there amounts to.
    fn end(&mut self, frame: Frame) -> Result<Option<Incoming>, Broken> {
        match frame.kind {
            Kind::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Kind::Pong => {
                self.control.clear();
                Ok(Some(Incoming::Pong))
            }
            Kind::Close => close_code(&std::mem::take(&mut self.control)).map(|code| Some(Incoming::Close(code))),
            Kind::Continuation | Kind::Text | Kind::Binary if !frame.is_final => Ok(None),
            Kind::Continuation | Kind::Text | Kind::Binary => match self.message.take() {
                Some(message) => message.incoming().map(Some),
                None => Err(Broken::Protocol),
            },
        }
    }
}

/// Makes room for `size` more bytes of at most `most`: for little at first, because a length is a promise and not yet
/// memory's worth of bytes, and for all of it once the client has shown that it means it.
fn make_room(message: &mut Vec<u8>, size: usize, most: usize) {
    const EARNEST: usize = 32 * 1024;
    if message.capacity() - message.len() < size {
        let arrived = message.len().saturating_add(size);
        let step = if arrived < EARNEST { arrived.saturating_mul(2) } else { most };
        message.reserve_exact(step.min(most).max(size));
    }
}

/// The head at the start of these bytes and how long it is; `None` when more is needed to tell.
fn parse_head(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Broken> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let kind = match first & 0x0f {
        0x0 => Kind::Continuation,
        0x1 => Kind::Text,
        0x2 => Kind::Binary,
        0x8 => Kind::Close,
        0x9 => Kind::Ping,
        0xa => Kind::Pong,
        _ => return Err(Broken::Protocol),
    };
    let (has_reserved, is_final, is_masked) = (first & 0x70 != 0, first & 0x80 != 0, second & 0x80 != 0);
    let short = second & 0x7f;
    if has_reserved || !is_masked || (kind.is_control() && (!is_final || u64::from(short) > CONTROL_BYTES)) {
        return Err(Broken::Protocol);
    }
    let (left, rest, size) = match short {
        126 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest, 8),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest, 14),
            None => return Ok(None),
        },
        short => (u64::from(short), rest, 6),
    };
    let Some(mask) = rest.first_chunk() else { return Ok(None) };
    Ok(Some((Frame { is_final, kind, left, mask: *mask }, size)))
}

/// Takes a client's mask off.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
}

/// The code in a close frame's payload; one that may not be sent breaks the protocol.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Broken> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Broken::Protocol);
            }
            std::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| Broken::NotText)
        }
        [_] => Err(Broken::Protocol),
    }
}

#[cfg(test)]
mod tests;
