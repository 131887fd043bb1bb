//! The stream of changes, as server-sent events.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};

/// Longest event that is read; those of the hub are below 1 kB.
const LONGEST: usize = 64 * 1024;

/// An event of the stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CoordinationEvent {
    /// Its id, for going on behind it.
    pub id: String,
    /// `connected`, `state_change` or `gap`.
    pub kind: String,
    /// What it tells.
    pub data: Value,
}

/// An open stream. It does not reconnect; whoever reads it opens the next one behind the last id.
pub struct CoordinationEvents {
    pieces: BoxStream<'static, Result<Bytes>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for CoordinationEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoordinationEvents").finish_non_exhaustive()
    }
}

impl CoordinationEvents {
    /// The next event; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the connection breaks, or an event cannot be read.
    pub async fn next(&mut self) -> Result<Option<CoordinationEvent>> {
        loop {
            while let Some(block) = self.block() {
                if let Some(event) = read(&block)? {
                    return Ok(Some(event));
                }
            }
            if self.buffer.len() > LONGEST {
                return Err(Error::Protocol("an event without an end".to_owned()));
            }
            match self.pieces.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece?),
                None => return Ok(None),
            }
        }
    }

    /// The lines up to the next empty one.
    fn block(&mut self) -> Option<String> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = self.buffer.drain(..end.saturating_add(2)).collect();
        Some(String::from_utf8_lossy(&block).into_owned())
    }
}

/// The event of a block; none for comments.
fn read(block: &str) -> Result<Option<CoordinationEvent>> {
    let field = |name: &str| {
        let mut lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.next().map(|value| value.strip_prefix(' ').unwrap_or(value))
    };
    let (Some(kind), Some(data)) = (field("event"), field("data")) else { return Ok(None) };
    let data = serde_json::from_str(data).map_err(|error| Error::Protocol(format!("an event's data: {error}")))?;
    Ok(Some(CoordinationEvent { id: field("id").unwrap_or_default().to_owned(), kind: kind.to_owned(), data }))
}

impl Client {
    /// Opens the stream of changes of the requests that the caller may see, behind the event `last` if one is given.
    ///
    /// # Errors
    /// `RATE_LIMITED` when too many are open, and as every call.
    pub async fn coordination_events(&self, last: Option<&str>) -> Result<CoordinationEvents> {
        let mut url = self.url(&["v1", "events"])?;
        if let Some(last) = last {
            url.query_pairs_mut().append_pair("last_event_id", last);
        }
        let response = self.stream(url, None).await?;
        Ok(CoordinationEvents { pieces: response.bytes_stream().map_err(Error::from).boxed(), buffer: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let text = "retry: 2000\nid: e-1\nevent: connected\ndata: {\"client_id\":\"c\"}\n\n: still here\n\nid: e-2\nevent: state_change\ndata: {\"a\":1}\n\n";
        for size in [1, 2, 7, text.len()] {
            let pieces: Vec<Result<Bytes>> =
                text.as_bytes().chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let mut events =
                CoordinationEvents { pieces: futures_util::stream::iter(pieces).boxed(), buffer: Vec::new() };
            let first = events.next().await.unwrap().unwrap();
            assert_eq!((first.id.as_str(), first.kind.as_str()), ("e-1", "connected"));
            let second = events.next().await.unwrap().unwrap();
            assert_eq!((second.id.as_str(), &second.data["a"]), ("e-2", &serde_json::json!(1)));
            assert_eq!(events.next().await.unwrap(), None);
        }
    }
}
