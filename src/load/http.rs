//! A keep-alive HTTP/1.1 client that costs microseconds: the measured REST calls use it. What is not measured uses
//! `hxa-client`.
//!
//! One request at a time per connection. A connection that was idle for longer than a server's usual keep-alive is
//! opened anew before it is used, so that a request never meets a half-closed connection and is never sent twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{LoadError, Result};
use crate::target::Target;

/// Idle connections older than this are not trusted.
const MAX_IDLE: Duration = Duration::from_secs(2);
/// Bodies above this are a fault of the peer.
const MAX_BODY: usize = 64 << 20;

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// Nobody in particular.
    Nobody,
    /// A bot or an agent, with a token or a key.
    Token(&'a str),
    /// A person, with the cookie of a session.
    Cookie(&'a str),
}

/// An answer, body complete.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The decoded body.
    pub body: Vec<u8>,
    /// Name and value of the cookie that it sets.
    pub cookie: Option<String>,
}

impl Reply {
    /// The body as JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|why| LoadError::protocol(format!("{why} in {}", self.excerpt())))
    }

    /// The start of the body, for messages.
    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(200).collect()
    }
}

#[derive(Deserialize)]
struct SocketTicket {
    ticket: String,
}

/// One connection.
pub struct Http {
    target: Arc<Target>,
    nth: usize,
    stream: Option<TcpStream>,
    used: Instant,
    buffer: Vec<u8>,
}

impl Http {
    /// A connection that opens itself at its first request.
    pub fn new(target: Arc<Target>, nth: usize) -> Self {
        Self { target, nth, stream: None, used: Instant::now(), buffer: Vec::with_capacity(4096) }
    }

    /// A request with this credential; anything but success is an error.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        credential: Credential<'_>,
        body: Option<&str>,
    ) -> Result<Reply> {
        let request = self.encode(method, path, credential, body);
        let answer = self.exchange(&request).await;
        match &answer {
            Ok(_) => self.used = Instant::now(),
            Err(_) => self.stream = None,
        }
        let reply = answer?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(LoadError::Refused { request: format!("{method} {path}"), status: reply.status, body: reply.excerpt() })
    }

    /// A fresh socket ticket of the bot with this token.
    pub async fn ticket(&mut self, token: &str) -> Result<String> {
        let reply = self.call("POST", "/api/ws-ticket", Credential::Token(token), None).await?;
        Ok(reply.json::<SocketTicket>()?.ticket)
    }

    fn encode(&self, method: &str, path: &str, credential: Credential<'_>, body: Option<&str>) -> Vec<u8> {
        let target = &self.target;
        let mut request = Vec::with_capacity(256 + body.map_or(0, str::len));
        let mut line = |text: &[&str]| {
            text.iter().for_each(|piece| request.extend_from_slice(piece.as_bytes()));
            request.extend_from_slice(b"\r\n");
        };
        line(&[method, " ", &target.base, path, " HTTP/1.1"]);
        line(&["Host: ", &target.host]);
        match credential {
            Credential::Nobody => {}
            Credential::Token(token) => line(&["Authorization: Bearer ", token]),
            Credential::Cookie(cookie) => line(&["Cookie: ", cookie]),
        }
        if body.is_some() {
            line(&["Content-Type: application/json"]);
        }
        if method != "GET" {
            line(&["Content-Length: ", &body.map_or(0, str::len).to_string()]);
        }
        line(&[]);
        request.extend_from_slice(body.unwrap_or_default().as_bytes());
        request
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        if self.used.elapsed() > MAX_IDLE {
            self.stream = None;
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.target.connect(self.nth).await?,
        };
        self.buffer.clear();
        stream.write_all(request).await.map_err(LoadError::io("send a request"))?;
        let (reply, may_stay) = read_reply(&mut stream, &mut self.buffer).await?;
        if may_stay {
            self.stream = Some(stream);
        }
        Ok(reply)
    }
}

struct Head {
    status: u16,
    length: Option<usize>,
    is_chunked: bool,
    closes: bool,
    cookie: Option<String>,
}

async fn read_reply(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(Reply, bool)> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        read_more(stream, buffer).await?;
    };
    let head = parse_head(buffer.get(..end).unwrap_or_default())?;
    let body = if head.is_chunked {
        read_chunks(stream, buffer, end).await?
    } else {
        let length = head.length.unwrap_or(0);
        if length > MAX_BODY {
            return Err(LoadError::protocol(format!("a body of {length} bytes")));
        }
        while buffer.len() < end + length {
            read_more(stream, buffer).await?;
        }
        buffer.get(end..end + length).unwrap_or_default().to_vec()
    };
    Ok((Reply { status: head.status, body, cookie: head.cookie }, !head.closes))
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(buffer).await.map_err(LoadError::io("read an answer"))? {
        0 => Err(LoadError::protocol("the hub closed a connection before its answer was complete")),
        _ => Ok(()),
    }
}

fn parse_head(bytes: &[u8]) -> Result<Head> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| LoadError::protocol(format!("status line {status_line:?}")))?;
    let mut head = Head { status, length: None, is_chunked: false, closes: false, cookie: None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok(),
            "transfer-encoding" => head.is_chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => head.closes = value.eq_ignore_ascii_case("close"),
            "set-cookie" => head.cookie = value.split(';').next().map(str::to_owned),
            _ => {}
        }
    }
    Ok(head)
}

/// Decodes a chunked body that starts at `at`; trailers are not expected from a hub.
async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut at: usize) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let rest = buffer.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            read_more(stream, buffer).await?;
            continue;
        };
        let size_text = String::from_utf8_lossy(rest.get(..line).unwrap_or_default()).into_owned();
        let size = usize::from_str_radix(size_text.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| LoadError::protocol(format!("chunk size {size_text:?}")))?;
        let (from, to) = (at + line + 2, at + line + 2 + size);
        if size > MAX_BODY {
            return Err(LoadError::protocol(format!("a chunk of {size} bytes")));
        }
        while buffer.len() < to + 2 {
            read_more(stream, buffer).await?;
        }
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(buffer.get(from..to).unwrap_or_default());
        at = to + 2;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request on one connection with the next of these texts, cut into two packets.
    async fn serve(answers: &'static [&'static str]) -> (Http, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let target = Arc::new(Target::parse(&url).await.unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut requests = Vec::new();
            for answer in answers {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"}") {
                    stream.read_buf(&mut request).await.unwrap();
                }
                requests.push(String::from_utf8(request).unwrap());
                let (first, second) = answer.as_bytes().split_at(answer.len() - 3);
                stream.write_all(first).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                stream.write_all(second).await.unwrap();
            }
            requests
        });
        (Http::new(target, 0), server)
    }

    #[tokio::test]
    async fn answers_of_both_kinds_on_one_connection() {
        let (mut http, server) = serve(&[
            "HTTP/1.1 200 OK\r\nset-cookie: s=1; Path=/\r\ncontent-length: 8\r\n\r\n{\"a\": 1}",
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n4;x=y\r\n: 2}\r\n0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone",
        ])
        .await;
        let first = http.call("GET", "/x", Credential::Token("t"), None).await.unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, &b"{\"a\": 1}"[..]));
        assert_eq!(first.cookie.as_deref(), Some("s=1"));
        let second = http.call("POST", "/y", Credential::Cookie("s=1"), Some("{}")).await.unwrap();
        assert_eq!((second.status, second.body.as_slice()), (201, &b"{\"a\": 2}"[..]));
        let third = http.call("GET", "/z", Credential::Nobody, None).await.unwrap_err();
        assert_eq!(third.to_string(), "GET /z answered 404: none");
        let requests = server.await.unwrap();
        assert!(
            requests[0].starts_with("GET /base/x HTTP/1.1\r\n") && requests[0].contains("Authorization: Bearer t\r\n")
        );
        assert!(requests[1].contains("Cookie: s=1\r\n") && requests[1].ends_with("\r\n\r\n{}"));
        assert!(!requests[2].contains("Cookie") && !requests[2].contains("Authorization"));
    }
}
