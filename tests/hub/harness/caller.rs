//! HTTP: who calls ([`Caller`]), one request being built ([`Call`]) and what came back ([`Reply`]).

use std::future::{Future, IntoFuture};
use std::ops::Index;
use std::pin::Pin;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::document::{self, error_of_answer};
use super::{Socket, TestHub};

/// Somebody with (or without) a credential.
#[derive(Clone)]
pub struct Caller {
    pub hub: TestHub,
    credential: Credential,
}

#[derive(Clone)]
enum Credential {
    None,
    Bearer(String),
    Cookie(String),
}

impl Caller {
    pub fn anonymous(hub: &TestHub) -> Self {
        Self { hub: hub.clone(), credential: Credential::None }
    }

    pub fn bearer(hub: &TestHub, token: &str) -> Self {
        Self { hub: hub.clone(), credential: Credential::Bearer(token.to_owned()) }
    }

    pub fn cookie(hub: &TestHub, session: &str) -> Self {
        Self { hub: hub.clone(), credential: Credential::Cookie(session.to_owned()) }
    }

    /// Logs in with the given body and becomes the owner of the session cookie.
    pub async fn login(hub: &TestHub, body: Value) -> (Self, Value) {
        let reply = Self::anonymous(hub).post("/api/auth/login", body).await;
        let session = reply.session_cookie();
        (Self::cookie(hub, &session), reply.ok()["session"].clone())
    }

    /// The secret part of the credential.
    pub fn secret(&self) -> &str {
        match &self.credential {
            Credential::None => "",
            Credential::Bearer(secret) | Credential::Cookie(secret) => secret,
        }
    }

    /// A request with this caller's credential; a cookie brings the hub's own `Origin`, as a browser would.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        match &self.credential {
            Credential::None => {}
            Credential::Bearer(token) => {
                headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            Credential::Cookie(session) => {
                headers.insert("cookie", format!("hxa_session={session}").parse().unwrap());
                headers.insert(ORIGIN, self.hub.url().parse().unwrap());
            }
        }
        let request = self.hub.http().request(method.clone(), format!("{}{path}", self.hub.url()));
        Call { request, headers, what: format!("{method} {path}") }
    }

    pub fn get(&self, path: impl AsRef<str>) -> Call {
        self.call("GET", path.as_ref())
    }

    pub fn post(&self, path: impl AsRef<str>, body: Value) -> Call {
        self.call("POST", path.as_ref()).json(&body)
    }

    pub fn patch(&self, path: impl AsRef<str>, body: Value) -> Call {
        self.call("PATCH", path.as_ref()).json(&body)
    }

    pub fn delete(&self, path: impl AsRef<str>) -> Call {
        self.call("DELETE", path.as_ref())
    }

    /// Audit rows with this action, newest first.
    pub async fn audit(&self, action: &str) -> Vec<Value> {
        self.get(format!("/api/audit?action={action}")).await.list()
    }

    /// Opens a live socket with a fresh ticket.
    pub async fn socket(&self) -> Socket {
        let ticket = self.ws_ticket().await;
        Socket::connect(&self.hub, &format!("?ticket={ticket}")).await
    }

    /// A live socket, or `None` when the hub cannot be reached or does not want it now.
    pub async fn try_socket(&self) -> Option<Socket> {
        let reply = self.call("POST", "/api/ws-ticket").attempt().await?;
        let query = format!("/ws?ticket={}", reply.body["ticket"].as_str()?);
        let opening = Socket::try_connect(&self.hub, &query);
        tokio::time::timeout(super::DEADLINE, opening).await.ok()?.ok()
    }

    pub async fn ws_ticket(&self) -> String {
        let reply = self.call("POST", "/api/ws-ticket").await.ok();
        assert_eq!(reply["expires_in"], 30);
        reply["ticket"].as_str().unwrap().to_owned()
    }
}

/// A request that is sent when it is awaited.
pub struct Call {
    request: RequestBuilder,
    headers: HeaderMap,
    what: String,
}

impl Call {
    /// Sets (or replaces) a header.
    pub fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value.as_ref()).unwrap());
        self
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    /// `If-Match: "<revision>"`.
    pub fn if_match(self, revision: impl std::fmt::Display) -> Self {
        self.header("if-match", format!("\"{revision}\""))
    }

    pub fn if_none_match(self, tag: impl AsRef<str>) -> Self {
        self.header("if-none-match", tag)
    }

    pub fn json(mut self, body: &Value) -> Self {
        let body = body.to_string();
        self.what.push_str(&format!(" {body:.200}"));
        self.request = self.request.body(body);
        self.header("content-type", "application/json")
    }

    /// A body exactly as given.
    pub fn raw(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self.header("content-type", content_type)
    }

    /// The answer, which must come.
    pub async fn answered(self) -> Reply {
        self.send().await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The answer, or `None` when the hub went away before it had answered.
    pub async fn attempt(self) -> Option<Reply> {
        self.send().await.ok()
    }

    /// The answer, its body still to be read.
    pub async fn open(self) -> reqwest::Response {
        self.request.headers(self.headers).send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.what))
    }

    async fn send(self) -> Result<Reply, String> {
        let failed = |error: reqwest::Error| format!("{} was not answered: {error:?}", self.what);
        let response = self.request.headers(self.headers).send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        // A stream of events has no end.
        let text = match kind.starts_with("text/event-stream") {
            true => String::new(),
            false => String::from_utf8_lossy(&response.bytes().await.map_err(failed)?).into_owned(),
        };
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let is_json = kind.starts_with("application/json");
        let mut words = self.what.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some(error) = error_of_answer(method, path, status, is_json.then_some(&body)) {
            document::report(&error);
        }
        Ok(Reply { what: self.what, status, headers, text, body })
    }
}

impl IntoFuture for Call {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answered())
    }
}

/// An answer. Indexing looks into its JSON body.
#[derive(Debug)]
pub struct Reply {
    pub what: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Reply {
    /// The body of a 200.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.status(200)
    }

    /// The body of an answer with exactly this status.
    #[track_caller]
    pub fn status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered {}", self.what, self.text);
        self.body
    }

    /// The body of a refusal with exactly this status and code; its shape is checked too.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let got = (self.status, self.body["code"].as_str().unwrap_or("no code"));
        assert_eq!(got, (status, code), "{} answered {}", self.what, self.text);
        assert!(self.body["error"].as_str().is_some_and(|text| !text.is_empty()), "no sentence in {}", self.text);
        assert!(self.body.get("stack").is_none(), "a stack in {}", self.text);
        self.body
    }

    /// 400 `VALIDATION_ERROR`.
    #[track_caller]
    pub fn invalid(self) -> Value {
        self.refused(400, "VALIDATION_ERROR")
    }

    /// 404 `NOT_FOUND`.
    #[track_caller]
    pub fn missing(self) -> Value {
        self.refused(404, "NOT_FOUND")
    }

    /// 403 `FORBIDDEN`.
    #[track_caller]
    pub fn forbidden(self) -> Value {
        self.refused(403, "FORBIDDEN")
    }

    /// The array of a 200.
    #[track_caller]
    pub fn list(self) -> Vec<Value> {
        match self.ok() {
            Value::Array(items) => items,
            other => panic!("not an array: {other}"),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("{} has no ETag", self.what)).to_owned()
    }

    /// The value of the session cookie that the answer sets.
    #[track_caller]
    pub fn session_cookie(&self) -> String {
        let cookie = self.header("set-cookie").unwrap_or_else(|| panic!("{}: no cookie: {}", self.what, self.text));
        let pair = cookie.split(';').next().unwrap();
        pair.strip_prefix("hxa_session=").unwrap_or_else(|| panic!("odd cookie {cookie}")).to_owned()
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.body[key]
    }
}
