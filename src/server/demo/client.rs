//! A minimal client of the hub: JSON over HTTP, and a socket whose frames are kept until they are asked for.
//!
//! It knows only the public protocol. Every wait has a deadline: after it the error names who waited for what.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::DemoError;

/// How long a peer may take to receive what it should.
const DEADLINE: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Clone)]
enum Credential {
    None,
    Token(String),
    Cookie(String),
}

/// The REST interface, as one caller sees it.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    credential: Credential,
}

impl Api {
    /// The hub at `url`, without a credential.
    pub fn anonymous(url: &str) -> Result<Self, DemoError> {
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().map_err(failed("HTTP"))?;
        Ok(Self { http, url: url.to_owned(), credential: Credential::None })
    }

    /// The same hub with a bot's token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { credential: Credential::Token(token.to_owned()), ..self.clone() }
    }

    /// Logs in and carries the session's cookie from then on.
    pub async fn log_in(&self, body: Value) -> Result<Self, DemoError> {
        let request = self.request(Method::POST, "/api/auth/login").json(&body);
        let response = request.send().await.map_err(failed("logging in"))?;
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|value| value.split(';').next()).map(str::to_owned);
        read("POST /api/auth/login", response).await?;
        let cookie = cookie.ok_or_else(|| DemoError::new("the login set no cookie"))?;
        Ok(Self { credential: Credential::Cookie(cookie), ..self.clone() })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.credential {
            Credential::None => request,
            Credential::Token(token) => request.bearer_auth(token),
            Credential::Cookie(cookie) => request.header(COOKIE, cookie).header(ORIGIN, &self.url),
        }
    }

    /// `GET` and the JSON it answers.
    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        let response = self.request(Method::GET, path).send().await.map_err(failed(path))?;
        read(&format!("GET {path}"), response).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, DemoError> {
        let response = self.request(Method::POST, path).json(&body).send().await.map_err(failed(path))?;
        read(&format!("POST {path}"), response).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Result<Value, DemoError> {
        let response = self.request(Method::PATCH, path).json(&body).send().await.map_err(failed(path))?;
        read(&format!("PATCH {path}"), response).await
    }
}

async fn read(what: &str, response: Response) -> Result<Value, DemoError> {
    let status = response.status();
    let text = response.text().await.map_err(failed(what))?;
    if !status.is_success() {
        return Err(DemoError::new(format!("{what} answered {status}: {text}")));
    }
    serde_json::from_str(&text).map_err(|error| DemoError::new(format!("{what} answered no JSON ({error}): {text}")))
}

/// A text inside a JSON value, by its pointer.
pub fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str, DemoError> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.ok_or_else(|| DemoError::new(format!("no text at {pointer} in {value}")))
}

/// A whole number inside a JSON value, by its pointer.
pub fn number(value: &Value, pointer: &str) -> Result<i64, DemoError> {
    let found = value.pointer(pointer).and_then(Value::as_i64);
    found.ok_or_else(|| DemoError::new(format!("no number at {pointer} in {value}")))
}

fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> DemoError {
    move |error| DemoError::new(format!("{what}: {error}"))
}

/// A bot with its token and, while it is online, its socket.
pub struct Bot {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The REST interface with its token.
    pub api: Api,
    socket: Option<Socket>,
}

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    backlog: VecDeque<Value>,
    refs: u32,
}

impl Bot {
    /// Registers with `org_secret` or `ticket`, whichever `entry` holds beside `org_id`.
    pub async fn register(visitor: &Api, name: &str, mut entry: Value) -> Result<Self, DemoError> {
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("name".to_owned(), name.into());
        }
        let bot = visitor.post("/api/auth/register", entry).await?;
        let api = visitor.with_token(text(&bot, "/token")?);
        Ok(Self { name: name.to_owned(), id: text(&bot, "/bot_id")?.to_owned(), api, socket: None })
    }

    /// Its token, for the audience.
    pub fn token(&self) -> &str {
        match &self.api.credential {
            Credential::Token(token) => token,
            Credential::None | Credential::Cookie(_) => "",
        }
    }

    /// Opens its socket with a fresh ticket.
    pub async fn go_online(&mut self) -> Result<(), DemoError> {
        let ticket = self.api.post("/api/ws-ticket", json!({})).await?;
        let url = format!("{}/ws?ticket={}", self.api.url.replacen("http", "ws", 1), text(&ticket, "/ticket")?);
        let (stream, _) = connect_async(url).await.map_err(failed("opening a socket"))?;
        self.socket = Some(Socket { stream, backlog: VecDeque::new(), refs: 0 });
        Ok(())
    }

    /// Closes its socket.
    pub async fn go_offline(&mut self) -> Result<(), DemoError> {
        match self.socket.take() {
            Some(mut socket) => socket.stream.close(None).await.map_err(failed("closing a socket")),
            None => Ok(()),
        }
    }

    fn socket(&mut self) -> Result<&mut Socket, DemoError> {
        self.socket.as_mut().ok_or_else(|| DemoError::new(format!("{} is offline", self.name)))
    }

    /// Sends an operation and waits for its answer, an `ack` or an `error` frame.
    pub async fn ask(&mut self, mut frame: Value) -> Result<Value, DemoError> {
        let socket = self.socket()?;
        socket.refs += 1;
        let reference = json!(socket.refs);
        if let Some(fields) = frame.as_object_mut() {
            fields.insert("ref".to_owned(), reference.clone());
        }
        socket.stream.send(Message::text(frame.to_string())).await.map_err(failed("sending a frame"))?;
        self.take(&format!("the answer to {frame}"), |answer| answer.get("ref") == Some(&reference)).await
    }

    /// Sends an operation that must be acknowledged; the ack's `result`.
    pub async fn op(&mut self, frame: Value) -> Result<Value, DemoError> {
        let mut answer = self.ask(frame).await?;
        if answer.get("type").and_then(Value::as_str) != Some("ack") {
            return Err(DemoError::new(format!("{} was refused: {answer}", self.name)));
        }
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }

    /// The next event of this kind for which `pointer` holds `value`.
    pub async fn hear(&mut self, kind: &str, pointer: &str, value: &str) -> Result<Value, DemoError> {
        let is_it = |frame: &Value| {
            frame.get("type").and_then(Value::as_str) == Some(kind)
                && frame.pointer(pointer).and_then(Value::as_str) == Some(value)
        };
        self.take(&format!("`{kind}` with {pointer} = {value:?}"), is_it).await
    }

    async fn take(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, DemoError> {
        let name = self.name.clone();
        let socket = self.socket()?;
        let known = socket.backlog.iter().position(&fits);
        if let Some(frame) = known.and_then(|at| socket.backlog.remove(at)) {
            return Ok(frame);
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let received = timeout_at(until, socket.stream.next()).await;
            let text = match received {
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    return Err(DemoError::new(format!("{name}'s socket closed before it received {what}")));
                }
                Ok(Some(Ok(_))) => continue,
                Err(_) => {
                    let seen = Value::from_iter(std::mem::take(&mut socket.backlog));
                    return Err(DemoError::new(format!("{name} did not receive {what} in time, only {seen}")));
                }
            };
            let frame: Value = serde_json::from_str(&text).map_err(failed("a frame that is no JSON"))?;
            if fits(&frame) {
                return Ok(frame);
            }
            socket.backlog.push_back(frame);
        }
    }
}
