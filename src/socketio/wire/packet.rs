//! Socket.IO packets: their text form, and their assembly from a text message and binary ones.
//!
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, where the namespace `/` is left out.

use std::fmt::Write as _;

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::Value;

use super::json::{check_depth, check_placeholders, is_json, is_object};
use super::{Args, Frame, Limits, Malformed};

/// The namespace of packets that name none.
pub const ROOT: &str = "/";

/// Arguments of an event or acknowledgement, because each takes many times the memory that its text has.
const MOST_ARGS: usize = 1024;

/// Names that clients keep for themselves; an event of such a name is malformed.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A Socket.IO packet with its attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: a connection to a namespace is wanted, or made; with an object.
    Connect(ByteString, Option<ByteString>),
    /// `1`: the connection to a namespace ends.
    Disconnect(ByteString),
    /// `2` and `5`: an event.
    Event {
        /// The namespace.
        namespace: ByteString,
        /// The id of the acknowledgement that is wanted.
        ack: Option<u64>,
        /// The name of the event.
        name: String,
        /// The arguments.
        args: Args,
    },
    /// `3` and `6`: the acknowledgement of an event.
    Ack {
        /// The namespace.
        namespace: ByteString,
        /// The id that the event had.
        id: u64,
        /// The arguments.
        args: Args,
    },
    /// `4`: a connection to a namespace is refused; with an object or a text.
    ConnectError(ByteString, ByteString),
}

impl Packet {
    /// The frames of the packet: a text message, then one binary message for each attachment.
    #[must_use]
    pub fn encode(&self) -> Vec<Frame> {
        match self {
            Self::Connect(namespace, data) => vec![control('0', namespace, data.as_deref().unwrap_or_default())],
            Self::Disconnect(namespace) => vec![control('1', namespace, "")],
            Self::Event { namespace, ack, name, args } => encode_event(namespace, *ack, name, args),
            Self::Ack { namespace, id, args } => encode_ack(namespace, *id, args),
            Self::ConnectError(namespace, data) => vec![control('4', namespace, data)],
        }
    }

    fn args(&self) -> Option<&Args> {
        match self {
            Self::Event { args, .. } | Self::Ack { args, .. } => Some(args),
            _ => None,
        }
    }

    fn args_mut(&mut self) -> Option<&mut Args> {
        match self {
            Self::Event { args, .. } | Self::Ack { args, .. } => Some(args),
            _ => None,
        }
    }
}

/// The text message of a packet without arguments.
fn control(kind: char, namespace: &str, data: &str) -> Frame {
    let mut text = String::with_capacity(namespace.len() + data.len() + 4);
    text.push('4');
    text.push(kind);
    if namespace != ROOT {
        text.push_str(namespace);
        text.push(',');
    }
    text.push_str(data);
    Frame::Text(text.into())
}

/// The frames of an event.
#[must_use]
pub fn encode_event(namespace: &str, ack: Option<u64>, name: &str, args: &Args) -> Vec<Frame> {
    encode_args(['2', '5'], namespace, ack, Some(name), args)
}

/// The frames of an acknowledgement.
#[must_use]
pub fn encode_ack(namespace: &str, id: u64, args: &Args) -> Vec<Frame> {
    encode_args(['3', '6'], namespace, Some(id), None, args)
}

fn encode_args(
    [plain, binary]: [char; 2],
    namespace: &str,
    ack: Option<u64>,
    name: Option<&str>,
    args: &Args,
) -> Vec<Frame> {
    let size: usize = args.iter().map(|item| item.len() + 1).sum();
    let mut text = String::with_capacity(size + namespace.len() + name.map_or(0, str::len) + 32);
    text.push('4');
    if args.attachments().is_empty() {
        text.push(plain);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "{binary}{}-", args.attachments().len());
    }
    if namespace != ROOT {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = ack {
        let _ = write!(text, "{id}");
    }
    text.push('[');
    if let Some(name) = name {
        let _ = write!(text, "{}", Value::from(name));
    }
    for (index, item) in args.iter().enumerate() {
        if index > 0 || name.is_some() {
            text.push(',');
        }
        text.push_str(item);
    }
    text.push(']');
    let mut frames = Vec::with_capacity(1 + args.attachments().len());
    frames.push(Frame::Text(text.into()));
    frames.extend(args.attachments().iter().cloned().map(Frame::Binary));
    frames
}

/// Puts packets together from the messages of one session.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    pending: Option<Pending>,
}

/// A packet whose attachments are not all there.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    expected: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
}

impl Decoder {
    /// A decoder at the start of a session.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, pending: None }
    }

    /// Takes a text message; gives the packet unless attachments follow.
    ///
    /// # Errors
    /// If it is no packet, or a binary message was expected.
    pub fn text(&mut self, text: &ByteString) -> Result<Option<Packet>, Malformed> {
        if self.pending.is_some() {
            return Err(Malformed::Sequence);
        }
        if text.len() > self.limits.bytes {
            return Err(Malformed::TooLarge);
        }
        let (packet, expected) = Reader { text, at: 0 }.packet(self.limits)?;
        if expected == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Pending { packet, expected, attachments: Vec::new(), bytes: text.len() });
        Ok(None)
    }

    /// Takes a binary message; gives the packet if it was the last attachment.
    ///
    /// # Errors
    /// If no binary message was expected, or the packet becomes too large.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, Malformed> {
        let mut pending = self.pending.take().ok_or(Malformed::Sequence)?;
        pending.bytes = pending.bytes.saturating_add(bytes.len());
        if pending.bytes > self.limits.bytes {
            return Err(Malformed::TooLarge);
        }
        pending.attachments.push(bytes);
        if pending.attachments.len() < pending.expected {
            self.pending = Some(pending);
            return Ok(None);
        }
        if let Some(args) = pending.packet.args_mut() {
            args.attach(pending.attachments);
        }
        Ok(Some(pending.packet))
    }
}

/// Reads one text message from left to right.
struct Reader<'a> {
    text: &'a ByteString,
    at: usize,
}

impl Reader<'_> {
    /// The packet, and how many attachments follow it.
    fn packet(mut self, limits: Limits) -> Result<(Packet, usize), Malformed> {
        let kind = *self.text.as_bytes().first().ok_or(Malformed::Empty)?;
        self.at = 1;
        let expected = if matches!(kind, b'5' | b'6') { self.attachments(limits.attachments)? } else { 0 };
        let namespace = self.namespace();
        let ack = self.number().map_err(|()| Malformed::AckId)?;
        let data = self.rest();
        check_depth(&data, limits.depth)?;
        let packet = match kind {
            b'0' => Packet::Connect(namespace, object(data)?),
            b'1' if data.is_empty() => Packet::Disconnect(namespace),
            b'2' | b'5' => event(namespace, ack, &data)?,
            b'3' | b'6' => {
                Packet::Ack { namespace, id: ack.ok_or(Malformed::AckId)?, args: Args::read(&data, MOST_ARGS)? }
            }
            b'4' => Packet::ConnectError(namespace, object_or_text(data)?),
            b'1' => return Err(Malformed::Payload),
            _ => return Err(Malformed::Type),
        };
        if expected > 0 {
            packet.args().map_or(Ok(()), |args| args.iter().try_for_each(|item| check_placeholders(item, expected)))?;
        }
        Ok((packet, expected))
    }

    fn attachments(&mut self, most: usize) -> Result<usize, Malformed> {
        let count = self.number().ok().flatten().and_then(|count| usize::try_from(count).ok());
        let is_ended = self.remaining().starts_with('-');
        self.at += 1;
        count.filter(|count| is_ended && *count <= most).ok_or(Malformed::Attachments)
    }

    fn namespace(&mut self) -> ByteString {
        let remaining = self.remaining();
        if !remaining.starts_with('/') {
            return ByteString::from_static(ROOT);
        }
        let name = remaining.split(',').next().unwrap_or(remaining);
        let (name, length) = (self.text.slice_ref(name), name.len());
        // The comma may be missing at the end.
        self.at = (self.at + length + 1).min(self.text.len());
        name
    }

    /// The digits that come next, if there are any; an error if they are no number of 64 bits.
    fn number(&mut self) -> Result<Option<u64>, ()> {
        let digits = self.remaining().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.remaining().get(..digits).filter(|digits| !digits.is_empty());
        let number = number.map(str::parse).transpose().map_err(|_| ())?;
        self.at += digits;
        Ok(number)
    }

    fn rest(&self) -> ByteString {
        self.text.slice_ref(self.remaining())
    }

    fn remaining(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn event(namespace: ByteString, ack: Option<u64>, data: &ByteString) -> Result<Packet, Malformed> {
    let mut args = Args::read(data, MOST_ARGS)?;
    let name = args.take_first().ok_or(Malformed::Payload)?;
    let name = match name.as_bytes().first() {
        Some(b'"') => serde_json::from_str(&name).map_err(|_| Malformed::Payload)?,
        Some(b'-' | b'0'..=b'9') => name.to_string(),
        _ => return Err(Malformed::Payload),
    };
    if RESERVED.contains(&name.as_str()) {
        return Err(Malformed::Payload);
    }
    Ok(Packet::Event { namespace, ack, name, args })
}

fn object(data: ByteString) -> Result<Option<ByteString>, Malformed> {
    match data.is_empty() {
        true => Ok(None),
        false if is_object(&data) => Ok(Some(data)),
        false => Err(Malformed::Payload),
    }
}

fn object_or_text(data: ByteString) -> Result<ByteString, Malformed> {
    let is_text = data.trim_start().starts_with('"') && is_json(&data);
    if is_text || is_object(&data) { Ok(data) } else { Err(Malformed::Payload) }
}
