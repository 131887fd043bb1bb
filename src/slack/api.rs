//! The client of Slack's Web API: posting a message, changing it, answering a click.
//!
//! Every call ends within a fixed time, reads a bounded answer, follows no redirect and becomes an [`Outcome`]; what
//! follows from that is for the [outbox](crate::outbox). The token goes to the configured address alone, never into an
//! error, a log line or a `Debug` text, and over plain HTTP only to this machine. Response URLs are secrets as well,
//! and come from outside: only Slack's own hosts and the configured one are called, without the token.
//!
//! Proxy settings of the environment are ignored, as they are for webhooks.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use url::{Host, Origin, Url};

use crate::blocks::{Block, Message};
use answer::Heard;
pub use outcome::{Outcome, Posted, Trouble};

mod answer;
mod outcome;

/// Where Slack's Web API is.
pub const BASE: &str = "https://slack.com/api";
/// Hosts of response URLs.
const HOOKS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];
const JSON: &str = "application/json; charset=utf-8";

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Duration,
    /// For all of it, up to the last byte of the answer.
    pub total: Duration,
}

impl Timeouts {
    /// Slack usually answers within a second.
    pub const DEFAULT: Self = Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) };
}

/// Why there can be no client. It does not repeat the values, because they may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The address is not one.
    #[error("the address of Slack's API must be an http or https URL without user, query and fragment")]
    Base,
    /// The token would be readable on the way.
    #[error("the address of Slack's API must be an https URL, unless it is on this machine")]
    Plain,
    /// The token cannot be sent.
    #[error("Slack's token must be visible ASCII characters")]
    Token,
    /// The library refused.
    #[error("the HTTP client cannot be created")]
    Client,
}

/// Answers to a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A message that only the person who clicked sees.
    Private,
    /// The message takes the place of the one that was clicked.
    Replace,
}

/// The client; clones share their connections.
#[derive(Clone)]
pub struct Api {
    client: Client,
    /// Without a slash at its end.
    base: String,
    origin: Origin,
    token: HeaderValue,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).field("token", &"***").finish_non_exhaustive()
    }
}

impl Api {
    /// A client of the API at `base` (see [`BASE`]), with a bot's token.
    ///
    /// # Errors
    /// Why it cannot work.
    pub fn new(base: &str, token: &str, timeouts: Timeouts) -> Result<Self, Unusable> {
        let url = parse_base(base)?;
        let client = Client::builder()
            .user_agent(concat!("hxa-connect/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            .pool_max_idle_per_host(2)
            .build()
            .map_err(|_| Unusable::Client)?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base, origin: url.origin(), token: bearer(token)? })
    }

    /// Posts a message (`chat.postMessage`).
    pub async fn post_message(&self, channel: &str, message: &Message) -> Outcome<Posted> {
        let body = PostMessage {
            message: Body::new(message),
            channel,
            link_names: false,
            unfurl_links: false,
            unfurl_media: false,
        };
        self.call("chat.postMessage", &body).await
    }

    /// Changes a message (`chat.update`) that is where [`Posted`] says, which need not be the channel it was posted to.
    pub async fn update(&self, posted: &Posted, message: &Message) -> Outcome<Posted> {
        let body = Update { message: Body::new(message), channel: &posted.channel, ts: &posted.ts, link_names: false };
        self.call("chat.update", &body).await
    }

    /// Answers a click at the address that came with it. An address that is not Slack's is not called.
    pub async fn respond(&self, response_url: &str, reply: Reply, message: &Message) -> Outcome<()> {
        let url = Url::parse(response_url).ok().filter(|url| self.is_slacks(url));
        let Some(url) = url else { return Outcome::permanent("foreign_response_url") };
        let is_replacement = reply == Reply::Replace;
        let body = Response {
            message: Body::new(message),
            response_type: (!is_replacement).then_some("ephemeral"),
            replace_original: is_replacement,
        };
        match self.send(self.client.post(url), &body).await {
            Ok(heard) => heard.responded(),
            Err(why) => why.into(),
        }
    }

    async fn call(&self, method: &str, body: &impl Serialize) -> Outcome<Posted> {
        let request = self.client.post(format!("{}/{method}", self.base)).header(AUTHORIZATION, self.token.clone());
        match self.send(request, body).await {
            Ok(heard) => heard.posted(),
            Err(why) => why.into(),
        }
    }

    async fn send(&self, request: RequestBuilder, body: &impl Serialize) -> Result<Heard, answer::Unheard> {
        let body = serde_json::to_vec(body).map_err(|_| answer::Unheard::Unwritable)?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(JSON))]);
        answer::hear(request.headers(headers).body(body)).await
    }

    fn is_slacks(&self, url: &Url) -> bool {
        let is_named = url.username().is_empty() && url.password().is_none();
        let is_hook =
            url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(|host| HOOKS.contains(&host));
        is_named && (is_hook || url.origin() == self.origin)
    }
}

fn parse_base(base: &str) -> Result<Url, Unusable> {
    let url = Url::parse(base.trim()).map_err(|_| Unusable::Base)?;
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(Unusable::Base);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here(&url) => Ok(url),
        "http" => Err(Unusable::Plain),
        _ => Err(Unusable::Base),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Unusable> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unusable::Token);
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Unusable::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

/// What every message has. Blocks are there even if there are none: an update without the field keeps the old ones.
#[derive(Serialize)]
struct Body<'m> {
    text: &'m str,
    blocks: &'m [Block],
    /// Names and addresses without markup stay text.
    parse: &'static str,
}

impl<'m> Body<'m> {
    fn new(message: &'m Message) -> Self {
        Self { text: message.text(), blocks: message.blocks(), parse: "none" }
    }
}

#[derive(Serialize)]
struct PostMessage<'m> {
    channel: &'m str,
    #[serde(flatten)]
    message: Body<'m>,
    link_names: bool,
    /// Slack would open links to show what is there.
    unfurl_links: bool,
    unfurl_media: bool,
}

#[derive(Serialize)]
struct Update<'m> {
    channel: &'m str,
    ts: &'m str,
    #[serde(flatten)]
    message: Body<'m>,
    link_names: bool,
}

#[derive(Serialize)]
struct Response<'m> {
    #[serde(flatten)]
    message: Body<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    replace_original: bool,
}

#[cfg(test)]
mod tests;
