//! The client itself: the hub's address, the caller's credential, and how a call becomes requests and an answer.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, LINK, ORIGIN};
use reqwest::{Body, Method, multipart};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

pub use builder::ClientBuilder;

use crate::error::{ApiError, Error, Result};
use crate::retry;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

struct Inner {
    http: reqwest::Client,
    url: Url,
    origin: String,
    timeout: Duration,
    tries: u32,
    wait_for_rate: bool,
    roots: Vec<Vec<u8>>,
}

/// The caller's credential.
#[derive(Clone)]
enum Credential {
    None,
    Token(HeaderValue),
    Cookie(HeaderValue),
}

/// A rate limit, from the `RateLimit-*` headers of the last response that had them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// Requests admitted per window.
    pub limit: u64,
    /// Requests still admitted now.
    pub remaining: u64,
    /// Time until more are admitted.
    pub reset: Duration,
    /// The limit and its window, such as `120;w=60`.
    pub policy: String,
}

impl Rate {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        Some(Self {
            limit: number("ratelimit-limit")?,
            remaining: number("ratelimit-remaining")?,
            reset: Duration::from_secs(number("ratelimit-reset")?),
            policy: text("ratelimit-policy").unwrap_or_default().to_owned(),
        })
    }
}

/// The response to a request with an idempotency key. It dereferences to the created value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Created<T> {
    /// The created value.
    pub value: T,
    /// Whether an earlier request with the same key had created it.
    pub replayed: bool,
}

impl<T> std::ops::Deref for Created<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A client of one hub with one credential.
///
/// Cloning is cheap, and clones share their connections. Dropping the future of a call cancels it; whether a change in
/// flight took effect is then unknown.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    credential: Credential,
    rate: Arc<Mutex<Option<Rate>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credential is a secret.
        f.debug_struct("Client").field("origin", &self.inner.origin).finish_non_exhaustive()
    }
}

/// A request to be sent.
pub(crate) struct Call {
    method: Method,
    url: Url,
    body: Option<Bytes>,
    key: Option<HeaderValue>,
    if_match: Option<i64>,
}

impl Call {
    fn new(method: Method, url: Url, body: Option<Bytes>) -> Self {
        Self { method, url, body, key: None, if_match: None }
    }

    /// Whether it may be sent again: it only reads, or it has a key.
    fn repeats(&self) -> bool {
        self.method == Method::GET || self.key.is_some()
    }
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; an empty one as `null`.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let body: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| Error::Protocol(format!("an answer that cannot be read: {error}")))
    }

    /// The query of the address that a `Link` header names as the rest of a list.
    fn next(&self) -> Option<String> {
        let link = self.headers.get(LINK)?.to_str().ok()?;
        let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
        relation.contains("rel=\"next\"").then_some(())?;
        Some(address.split_once('?')?.1.to_owned())
    }
}

impl Client {
    /// A client of the hub at `url` (with its base path, if it has one) with a bot's token.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(url: &str, token: &str) -> Result<Self> {
        Self::builder(url).token(token).build()
    }

    /// A builder, for settings beyond URL and token.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    /// A client of the same hub with another bot's token.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the token contains characters that a header cannot.
    pub fn with_token(&self, token: &str) -> Result<Self> {
        let value = secret(&format!("Bearer {token}"))?;
        Ok(Self { inner: self.inner.clone(), credential: Credential::Token(value), rate: Arc::default() })
    }

    /// The same hub with a person's session, by its `Set-Cookie`.
    pub(crate) fn with_cookie(&self, set_cookie: &str) -> Result<Self> {
        let pair = set_cookie.split(';').next().unwrap_or_default();
        let credential = Credential::Cookie(secret(pair)?);
        Ok(Self { inner: self.inner.clone(), credential, rate: Arc::default() })
    }

    /// The rate limit in the last response that had one: sending messages and creating threads do.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate.lock().clone()
    }

    /// The timeout of one request.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    pub(crate) fn tries(&self) -> u32 {
        self.inner.tries
    }

    pub(crate) fn roots(&self) -> &[Vec<u8>] {
        &self.inner.roots
    }

    /// Sends any request and returns the JSON of the response, for routes or fields that this version does not know. `path`
    /// begins with a slash and may have a query. Only `GET` is retried. An empty response is `null`.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// let me = client.request(hxa_client::Method::GET, "/api/me", None).await?;
    /// println!("{}", me["name"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As every call.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = self.address(path)?;
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.exchange(&Call::new(method, url, body)).await?.json()
    }

    /// As [`Client::request`], for `GET` of a list that is a bare array: all items, page by page.
    ///
    /// # Errors
    /// As every call.
    pub async fn request_list(&self, path: &str) -> Result<Vec<Value>> {
        self.pages(self.address(path)?).await
    }

    fn address(&self, path: &str) -> Result<Url> {
        let text = format!("{}{path}", self.inner.url.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| Error::Protocol(format!("{path}: {error}")))
    }

    /// The address of a route. Each segment is encoded; one that would name another route is refused.
    pub(crate) fn url(&self, segments: &[&str]) -> Result<Url> {
        if let Some(odd) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(Error::Protocol(format!("{odd:?} is neither an id nor a name")));
        }
        let mut url = self.inner.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(url)
    }

    /// The address of a route that is read, with its query.
    fn read_url(&self, segments: &[&str], query: &impl Serialize) -> Result<Url> {
        let mut url = self.url(segments)?;
        write_query(&mut url, query)?;
        Ok(url)
    }

    /// The request for a change.
    fn changing(&self, method: Method, segments: &[&str], body: &impl Serialize) -> Result<Call> {
        Ok(Call::new(method, self.url(segments)?, Some(encode(body)?)))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str], query: &impl Serialize) -> Result<T> {
        self.fetch(segments, query).await?.json()
    }

    /// A read whose response is not JSON.
    pub(crate) async fn fetch(&self, segments: &[&str], query: &impl Serialize) -> Result<Answer> {
        self.exchange(&Call::new(Method::GET, self.read_url(segments, query)?, None)).await
    }

    /// All items of a list that is a bare array; follows the `Link` to the rest.
    pub(crate) async fn get_all<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &impl Serialize,
    ) -> Result<Vec<T>> {
        self.pages(self.read_url(segments, query)?).await
    }

    async fn pages<T: DeserializeOwned>(&self, mut url: Url) -> Result<Vec<T>> {
        let mut all = Vec::new();
        loop {
            let answer = self.exchange(&Call::new(Method::GET, url.clone(), None)).await?;
            all.append(&mut answer.json::<Vec<T>>()?);
            match answer.next() {
                Some(next) if url.query() != Some(next.as_str()) => url.set_query(Some(&next)),
                Some(_) => return Err(Error::Protocol("a list whose rest is itself".to_owned())),
                None => return Ok(all),
            }
        }
    }

    /// A change, sent once.
    async fn change<T: DeserializeOwned>(&self, method: Method, segments: &[&str], body: &impl Serialize) -> Result<T> {
        self.exchange(&self.changing(method, segments, body)?).await?.json()
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, segments: &[&str], body: &impl Serialize) -> Result<T> {
        self.change(Method::POST, segments, body).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, segments: &[&str], body: &impl Serialize) -> Result<T> {
        self.change(Method::PUT, segments, body).await
    }

    /// A change, sent once; the response with its headers.
    pub(crate) async fn post_answer(&self, segments: &[&str], body: &impl Serialize) -> Result<Answer> {
        self.exchange(&self.changing(Method::POST, segments, body)?).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, segments: &[&str], body: &impl Serialize) -> Result<T> {
        self.change(Method::PATCH, segments, body).await
    }

    /// A change that the hub makes only to this revision, if one is given.
    pub(crate) async fn patch_revision<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
        if_match: Option<i64>,
    ) -> Result<T> {
        self.exchange(&Call { if_match, ..self.changing(Method::PATCH, segments, body)? }).await?.json()
    }

    /// Deletes; the response's body is ignored.
    pub(crate) async fn delete(&self, segments: &[&str]) -> Result<()> {
        self.exchange(&Call::new(Method::DELETE, self.url(segments)?, None)).await?;
        Ok(())
    }

    /// Creates with an idempotency key, the given one or a new one, and so may be retried.
    pub(crate) async fn create<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        (body, key): (&impl Serialize, Option<&str>),
    ) -> Result<Created<T>> {
        let key = key.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let key = HeaderValue::from_str(&key).map_err(|_| Error::Protocol("an unusable idempotency key".to_owned()))?;
        let answer = self.exchange(&Call { key: Some(key), ..self.changing(method, segments, body)? }).await?;
        Ok(Created { value: answer.json()?, replayed: answer.headers.contains_key(REPLAYED) })
    }

    /// Sends a call, retries where that is safe and may help, and waits for rate limits if so configured.
    async fn exchange(&self, call: &Call) -> Result<Answer> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if self.inner.wait_for_rate
                && error.is_code("RATE_LIMITED")
                && let Some(wait) = error.retry_after()
            {
                tokio::time::sleep(retry::jittered(wait, 1.0)).await;
                continue;
            }
            failed += 1;
            match retry::before_next(&error, failed, self.inner.tries, rand::random()) {
                Some(pause) if call.repeats() => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer> {
        let mut request = self.authorized(call.method.clone(), call.url.clone()).timeout(self.inner.timeout);
        if let Some(body) = &call.body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(key) = &call.key {
            request = request.header(KEY, key);
        }
        if let Some(revision) = call.if_match {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        self.answer(request).await
    }

    /// Uploads a form, once: a body that is a stream cannot be sent again.
    pub(crate) async fn upload_form<T: DeserializeOwned>(&self, segments: &[&str], form: multipart::Form) -> Result<T> {
        self.answer(self.authorized(Method::POST, self.url(segments)?).multipart(form)).await?.json()
    }

    /// Sends a request and receives the whole response.
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = self.checked(request.send().await?).await?;
        let headers = response.headers().clone();
        Ok(Answer { headers, body: response.bytes().await? })
    }

    /// The response to a read, its body still to be received.
    pub(crate) async fn stream(&self, url: Url, range: Option<String>) -> Result<reqwest::Response> {
        let mut request = self.authorized(Method::GET, url);
        if let Some(range) = range {
            request = request.header(reqwest::header::RANGE, range);
        }
        self.checked(request.send().await?).await
    }

    fn authorized(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.inner.http.request(method, url);
        match &self.credential {
            Credential::None => request,
            Credential::Token(token) => request.header(AUTHORIZATION, token),
            // The hub's protection against forged requests of other sites.
            Credential::Cookie(cookie) => request.header(COOKIE, cookie).header(ORIGIN, &self.inner.origin),
        }
    }

    /// Keeps the rate limit, and turns an unsuccessful response into an error.
    async fn checked(&self, response: reqwest::Response) -> Result<reqwest::Response> {
        if let Some(rate) = Rate::read(response.headers()) {
            *self.rate.lock() = Some(rate);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        let mut refusal = ApiError::read(status.as_u16(), body);
        let header = |name: &HeaderName| headers.get(name)?.to_str().ok();
        if refusal.retry_after.is_none() {
            let seconds = header(&reqwest::header::RETRY_AFTER).and_then(|value| value.parse().ok());
            refusal.retry_after = seconds.map(Duration::from_secs);
        }
        refusal.request_id = refusal.request_id.or_else(|| header(&REQUEST_ID).map(str::to_owned));
        Err(Error::Api(Box::new(refusal)))
    }
}

fn encode(body: &impl Serialize) -> Result<Bytes> {
    let text = serde_json::to_vec(body).map_err(|error| Error::Protocol(format!("a body that is no JSON: {error}")))?;
    Ok(text.into())
}

/// Writes the fields of a struct into a query, except those that are null.
fn write_query(url: &mut Url, query: &impl Serialize) -> Result<()> {
    let fields = serde_json::to_value(query).map_err(|error| Error::Protocol(error.to_string()))?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(text) => drop(url.query_pairs_mut().append_pair(name, text)),
            other => drop(url.query_pairs_mut().append_pair(name, &other.to_string())),
        }
    }
    Ok(())
}

/// A header value that is not shown in debug output.
fn secret(text: &str) -> Result<HeaderValue> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Error::Protocol("a credential that no header can hold".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A body for [`Client::upload`]: bytes, text, or a stream.
pub type UploadBody = Body;

#[cfg(test)]
mod tests;
