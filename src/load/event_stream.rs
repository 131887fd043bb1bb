//! A stream of server-sent events that costs microseconds: of each event the load tester reads kind, number and data,
//! borrowed from the read buffer.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::chunks::Chunks;
use crate::error::{LoadError, Result};
use crate::target::Target;

/// Read buffer of a stream: the hub sends pieces of about this size.
const READ_BUFFER: usize = 64 << 10;
/// An event above this is a fault of the peer.
const MAX_EVENT: usize = 1 << 20;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its id: the stream's epoch and a number.
    pub id: &'a str,
    /// What it is.
    pub kind: &'a str,
    /// Its JSON.
    pub data: &'a str,
}

impl Event<'_> {
    /// The number of its id.
    pub fn number(&self) -> Result<u64> {
        let number = self.id.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        number.ok_or_else(|| LoadError::protocol(format!("the event id {:?}", self.id)))
    }
}

/// An open stream.
pub struct EventStream {
    stream: TcpStream,
    chunks: Chunks,
    piece: Vec<u8>,
    text: Vec<u8>,
    /// How much of the text was read.
    read: usize,
}

impl EventStream {
    /// Opens the stream of the bot with this token, behind the event `last` if one is given.
    pub async fn open(target: &Arc<Target>, nth: usize, token: &str, last: Option<&str>) -> Result<Self> {
        let mut stream = target.connect(nth).await?;
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {}/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n{last}\r\n",
            target.base, target.host
        );
        stream.write_all(request.as_bytes()).await.map_err(LoadError::io("open an event stream"))?;
        let mut head = Vec::with_capacity(1024);
        let end = loop {
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut head).await.map_err(LoadError::io("open an event stream"))? == 0 {
                return Err(LoadError::protocol("an event stream ended before its head"));
            }
        };
        check_head(&String::from_utf8_lossy(head.get(..end).unwrap_or_default()))?;
        let piece = Vec::with_capacity(READ_BUFFER);
        let mut opened = Self { stream, chunks: Chunks::default(), piece, text: Vec::new(), read: 0 };
        opened.chunks.decode(head.get(end..).unwrap_or_default(), &mut opened.text)?;
        Ok(opened)
    }

    /// Waits for more; false at the end. Nothing is lost when it is given up.
    pub async fn fill(&mut self) -> Result<bool> {
        if self.chunks.is_over() {
            return Ok(false);
        }
        self.piece.clear();
        let count = self.stream.read_buf(&mut self.piece).await.map_err(LoadError::io("read an event stream"))?;
        self.text.drain(..self.read.min(self.text.len()));
        self.read = 0;
        self.chunks.decode(&self.piece, &mut self.text)?;
        if self.text.len() > MAX_EVENT + 2 * READ_BUFFER {
            return Err(LoadError::protocol("an event without an end"));
        }
        Ok(count > 0)
    }

    /// The next event that has arrived; comments are passed over.
    pub fn next(&mut self) -> Result<Option<Event<'_>>> {
        let start = self.read;
        let Some((read, block)) = next_block(&self.text, start) else { return Ok(None) };
        self.read = read;
        let text = self.text.get(block).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| LoadError::protocol("an event that is no text"))?;
        Ok(Some(event(text)))
    }
}

/// Where the next event of a text begins and ends, and where to go on behind it.
fn next_block(text: &[u8], from: usize) -> Option<(usize, std::ops::Range<usize>)> {
    let (mut start, mut line, mut has_event) = (from, from, false);
    loop {
        let rest = text.get(line..)?;
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        has_event |= rest.starts_with(b"data:");
        line += length + 1;
        if length == 0 && has_event {
            return Some((line, start..line));
        }
        if length == 0 {
            start = line;
        }
    }
}

/// The event of a block that has data.
fn event(block: &str) -> Event<'_> {
    let mut event = Event { id: "", kind: "", data: "" };
    for (name, value) in block.lines().filter_map(|line| line.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = value,
            "event" => event.kind = value,
            "data" => event.data = value,
            _ => {}
        }
    }
    event
}

fn check_head(head: &str) -> Result<()> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let is_chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    if status.split(' ').nth(1) == Some("200") && is_chunked {
        return Ok(());
    }
    Err(LoadError::protocol(format!("GET /v1/events answered {status:?}, chunked {is_chunked}")))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const TEXT: &str = "retry: 2000\nid: e-4\nevent: connected\ndata: {}\n\n: still here\n\nid: e-5\nevent: state_change\ndata: {\"a\":1}\n\nid: e-6\n";

    #[test]
    fn events_are_found_behind_comments() {
        let text = TEXT.as_bytes();
        let (first, block) = next_block(text, 0).unwrap();
        let connected = event(std::str::from_utf8(&text[block]).unwrap());
        assert_eq!((connected.kind, connected.number().unwrap()), ("connected", 4));
        let (second, block) = next_block(text, first).unwrap();
        let change = event(std::str::from_utf8(&text[block]).unwrap());
        assert_eq!(change, Event { id: "e-5", kind: "state_change", data: "{\"a\":1}" });
        assert_eq!(next_block(text, second), None, "the third is not whole");
        assert!(event("id: e\ndata: 1\n\n").number().is_err());
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Target::parse(&url).await.unwrap());
        let serve = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let (first, second) = TEXT.split_at(60);
            for part in [head.to_owned(), chunk(first), chunk(second), "0\r\n\r\n".to_owned()] {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            String::from_utf8(request).unwrap()
        });
        let mut stream = EventStream::open(&target, 0, "t", Some("e-3")).await.unwrap();
        let mut numbers = Vec::new();
        let mut goes_on = true;
        while goes_on {
            goes_on = stream.fill().await.unwrap();
            while let Some(event) = stream.next().unwrap() {
                numbers.push(event.number().unwrap());
            }
        }
        assert_eq!(numbers, [4, 5]);
        assert!(serve.await.unwrap().contains("Last-Event-ID: e-3\r\n"));
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }
}
