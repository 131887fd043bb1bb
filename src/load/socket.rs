//! A WebSocket client made for load: frames are parsed in place out of one read buffer and written in batches.
//!
//! `fill` is the only place that waits. It drives reading and writing together, so a hub that stops reading while its
//! own answers pile up cannot lock this side: reading always goes on. Compression, extensions and fragmented messages
//! are not spoken; a hub that fragments is reported as a protocol error.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::error::{LoadError, Result};
use crate::target::Target;

/// Frames above this are a fault of the hub.
const MAX_FRAME: usize = 16 << 20;
/// A handshake answer longer than this is not one.
const MAX_HEAD: usize = 16 << 10;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the hub sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One JSON text, not yet validated.
    Text(&'a [u8]),
    /// A close frame with its code (1005 when it has none) and reason.
    Close(u16, String),
    /// A ping or pong; a ping has been answered already.
    Control,
}

/// One open socket.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Unparsed bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    send_queue: Vec<u8>,
    written: usize,
    mask: u32,
}

impl Socket {
    /// Opens `/ws?ticket=…`; refusals of the ticket itself come later as close frames. `capacity` is the size of the read
    /// buffer, which grows if a frame needs more.
    pub async fn open(target: &Target, ticket: &str, nth: usize, capacity: usize) -> Result<Self> {
        let mut stream = target.connect(nth).await?;
        let mask = u32::try_from(nth).unwrap_or(7).wrapping_mul(0x9e37_79b9) | 1;
        let key = base64::engine::general_purpose::STANDARD.encode(u128::from(mask).to_le_bytes());
        let request = format!(
            "GET {}/ws?ticket={ticket} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
            target.base, target.host
        );
        stream.write_all(request.as_bytes()).await.map_err(LoadError::io("send a handshake"))?;
        let mut buffer = Vec::with_capacity(capacity);
        let body = read_handshake(&mut stream, &mut buffer).await?;
        let end = buffer.len();
        buffer.resize(capacity.max(end), 0);
        Ok(Self { stream, buffer, start: body, end, send_queue: Vec::new(), written: 0, mask })
    }

    /// Queues one text frame; `fill` or `flush` sends it.
    pub fn queue(&mut self, text: &str) {
        self.encode(TEXT, text.as_bytes());
    }

    /// Queues a close frame with code 1000.
    pub fn queue_close(&mut self) {
        self.encode(CLOSE, &1000_u16.to_be_bytes());
    }

    /// The next complete frame that has arrived, without waiting.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>> {
        let Some(header) = Header::parse(self.buffer.get(self.start..self.end).unwrap_or_default())? else {
            return Ok(None);
        };
        let from = self.start + header.size;
        let to = from + header.length;
        if to > self.end {
            return Ok(None);
        }
        self.start = to;
        if header.opcode == PING {
            let payload = self.buffer.get(from..to).unwrap_or_default().to_vec();
            self.encode(PONG, &payload);
        }
        let payload = self.buffer.get(from..to).unwrap_or_default();
        match header.opcode {
            TEXT => Ok(Some(Frame::Text(payload))),
            PING | PONG => Ok(Some(Frame::Control)),
            CLOSE => Ok(Some(close_frame(payload))),
            other => Err(LoadError::protocol(format!("a frame with opcode {other}"))),
        }
    }

    /// Waits until more bytes have arrived, writing what is queued meanwhile. False: the hub closed the connection.
    pub async fn fill(&mut self) -> Result<bool> {
        self.make_room();
        poll_fn(|context| self.poll_fill(context)).await.map_err(LoadError::io("use a socket"))
    }

    /// Writes everything that is queued.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_write(context)).await.map_err(LoadError::io("write to a socket"))
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        if let Poll::Ready(Err(why)) = self.poll_write(context) {
            return Poll::Ready(Err(why));
        }
        let mut free = ReadBuf::new(self.buffer.get_mut(self.end..).unwrap_or_default());
        match Pin::new(&mut self.stream).poll_read(context, &mut free) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(why)) => Poll::Ready(Err(why)),
            Poll::Ready(Ok(())) => {
                let arrived = free.filled().len();
                self.end += arrived;
                Poll::Ready(Ok(arrived > 0))
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.written < self.send_queue.len() {
            let rest = self.send_queue.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                Poll::Ready(Ok(count)) => self.written += count,
            }
        }
        self.send_queue.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Moves a partial frame to the front and grows the buffer if it would not fit.
    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len().max(512) * 2, 0);
        }
    }

    fn encode(&mut self, opcode: u8, payload: &[u8]) {
        let out = &mut self.send_queue;
        out.push(0x80 | opcode);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short @ 0..=125), _) => out.push(0x80 | short),
            (_, Ok(middle)) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&middle.to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend_from_slice(&u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
            }
        }
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        let mask = self.mask.to_le_bytes();
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}

struct Header {
    opcode: u8,
    size: usize,
    length: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0xf0 != 0x80 || second & 0x80 != 0 {
            return Err(LoadError::protocol(format!(
                "a frame header {first:#04x} {second:#04x}: fragmented or masked"
            )));
        }
        let (size, length) = match second {
            126 => match rest.first_chunk() {
                Some(two) => (4, u64::from(u16::from_be_bytes(*two))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(eight) => (10, u64::from_be_bytes(*eight)),
                None => return Ok(None),
            },
            short => (2, u64::from(short)),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(LoadError::protocol(format!("a frame of {length} bytes")));
        }
        Ok(Some(Self { opcode: first & 0x0f, size, length }))
    }
}

fn close_frame(payload: &[u8]) -> Frame<'static> {
    let code = payload.first_chunk().map_or(1005, |two| u16::from_be_bytes(*two));
    Frame::Close(code, String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned())
}

/// Reads the answer to the upgrade; returns where the frames begin that came in the same packet.
async fn read_handshake(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize> {
    loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(buffer.get(..at).unwrap_or_default());
            let status = head.split("\r\n").next().unwrap_or_default();
            if status.split(' ').nth(1) == Some("101") {
                return Ok(at + 4);
            }
            return Err(LoadError::protocol(format!("the upgrade was answered with {status:?}")));
        }
        let count = stream.read_buf(buffer).await.map_err(LoadError::io("read a handshake"))?;
        if count == 0 || buffer.len() > MAX_HEAD {
            return Err(LoadError::protocol("the upgrade was not answered"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_three_lengths() {
        let parsed =
            |bytes: &[u8]| Header::parse(bytes).unwrap().map(|header| (header.opcode, header.size, header.length));
        assert_eq!(parsed(&[0x81, 5]), Some((TEXT, 2, 5)));
        assert_eq!(parsed(&[0x81, 126, 1, 0]), Some((TEXT, 4, 256)));
        assert_eq!(parsed(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some((TEXT, 10, 65536)));
        assert_eq!(parsed(&[0x81]), None);
        assert_eq!(parsed(&[0x81, 126, 1]), None);
    }

    #[test]
    fn fragments_and_masks_are_refused() {
        assert!(Header::parse(&[0x01, 5]).is_err());
        assert!(Header::parse(&[0x81, 0x85]).is_err());
    }

    #[test]
    fn close_frames_without_code() {
        assert_eq!(close_frame(&[]), Frame::Close(1005, String::new()));
        assert_eq!(close_frame(&[0x03, 0xe9, b'x']), Frame::Close(1001, "x".into()));
    }
}
