//! The way out: the only place where the hub opens connections to addresses that its users chose.
//!
//! A host is looked up before each request by our own resolver, and the connection goes to what that found: if any of the
//! addresses is special, none is used. Hosts that the operator allows are not judged. No redirect is followed, no proxy
//! of the environment is used, an answer may take only so long, and of its body nothing is kept.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response};
use uuid::Uuid;

use super::resolver::{Failure, LookUp, Resolver};
use crate::actors::org_state::Bot;
use crate::config::Config;
use crate::domain::address::{AllowList, WebhookUrl, is_public};
use crate::domain::webhook::signature;
use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::store::rows::{BotRow, DeliveryRow};

/// Of an answer's body so much is read, that its connection may serve again; with more to come the connection ends.
const BODY_BYTES: usize = 16 * 1024;
const BODY_TIME: Duration = Duration::from_millis(500);
/// Connections do not outlive a burst of deliveries by much.
const IDLE: Duration = Duration::from_secs(20);

/// The clients: one for the public internet, one for hosts the operator trusts.
pub struct Outside {
    allowed: AllowList,
    allow_http: bool,
    send_secret: bool,
    resolver: Arc<Resolver>,
    guarded: Option<Client>,
    trusted: Option<Client>,
}

/// What came of posting a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// There was an answer with this status.
    Answered(u16),
    /// There was none; why.
    Failed(&'static str),
}

impl Outside {
    /// Clients after the settings; hosts are found by `look_up`.
    pub fn new(config: &Config, look_up: LookUp) -> Self {
        let own = &config.webhooks;
        let timeout = Duration::from_millis(own.timeout_ms);
        let resolver = Arc::new(Resolver::new(look_up, own.resolvers));
        Self {
            allowed: AllowList::parse(own.allow.iter().map(String::as_str)).unwrap_or_default(),
            allow_http: config.server.dev_mode,
            send_secret: own.send_secret,
            guarded: client(timeout, Known { resolver: resolver.clone(), is_guarded: true }),
            trusted: client(timeout, Known { resolver: resolver.clone(), is_guarded: false }),
            resolver,
        }
    }

    /// Checks what can be said of a URL without asking anybody.
    ///
    /// # Errors
    /// 400 for one that may not be used.
    pub fn check_text(&self, url: &str) -> ApiResult<()> {
        self.parse(url).map(|_| ())
    }

    fn parse(&self, url: &str) -> ApiResult<WebhookUrl> {
        WebhookUrl::parse(url, self.allow_http, &self.allowed)
    }

    /// Checks a URL and every address its host has now, for a bot of an organisation.
    ///
    /// # Errors
    /// 400 for one that may not be used; 429 while too many other hosts are being looked up for them.
    pub async fn check(&self, org: Uuid, bot: Uuid, url: &str) -> ApiResult<()> {
        let webhook = self.parse(url)?;
        if webhook.is_allowed || webhook.literal_address().is_some() {
            return Ok(());
        }
        match self.resolver.look_up(org, bot, &webhook.host).await {
            Ok(found) => webhook.check_addresses(&found),
            Err(Failure::Unknown) => {
                Err(ApiError::validation(format!("webhook_url: {} cannot be resolved right now", webhook.host)))
            }
            Err(Failure::Busy) => Err(too_many("Too many hosts of webhooks are being looked up")),
        }
    }

    /// Posts a delivery to its bot's webhook.
    pub async fn post(&self, org: Uuid, bot: &Bot, delivery: &DeliveryRow, now: i64) -> Posted {
        let url = bot.row.webhook_url.as_deref().unwrap_or_default();
        // Checked again: the rules may have become stricter since the URL was stored.
        let Ok(webhook) = self.parse(url) else {
            return Posted::Failed("the URL is not allowed");
        };
        let client = if webhook.is_allowed { &self.trusted } else { &self.guarded };
        let (Some(client), Some(headers)) = (client, headers(&bot.row, delivery, now, self.send_secret)) else {
            return Posted::Failed("the request cannot be made");
        };
        if webhook.literal_address().is_none() {
            match self.resolver.look_up(org, bot.id.uuid(), &webhook.host).await {
                Ok(_) => {}
                Err(Failure::Unknown) => return Posted::Failed("the host cannot be resolved"),
                Err(Failure::Busy) => return Posted::Failed("too many hosts are being looked up"),
            }
        }
        let request = client.post(webhook.url).headers(headers).body(delivery.payload.clone());
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                drain(answer).await;
                Posted::Answered(status)
            }
            Err(error) => Posted::Failed(reason(&error)),
        }
    }
}

/// A refusal by a bound on what is under way for webhooks.
pub fn too_many(what: &'static str) -> ApiError {
    const RETRY_AFTER_S: u64 = 5;
    let message = format!("{what} for this bot or organisation; try again in {RETRY_AFTER_S} s");
    ApiError::new(ErrorCode::RateLimited, message).with("retry_after", RETRY_AFTER_S)
}

fn client(timeout: Duration, hosts: Known) -> Option<Client> {
    let builder = Client::builder()
        .user_agent(concat!("hxa-connect/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE)
        .dns_resolver(Arc::new(hosts));
    builder.build().inspect_err(|error| log::error!(error:% = error; "webhooks cannot be sent")).ok()
}

/// What a receiver checks: `Authorization` and the signatures only if there is a secret. While a secret is being
/// replaced, the old one signs along under a name of its own.
fn headers(bot: &BotRow, delivery: &DeliveryRow, now: i64, send_secret: bool) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-hub-delivery", HeaderValue::from_str(&delivery.id).ok()?);
    headers.insert("x-hub-event", HeaderValue::from_str(&delivery.event).ok()?);
    let Some(secret) = bot.webhook_secret.as_deref() else { return Some(headers) };
    let sign = |secret: &str| HeaderValue::from_str(&signature(secret, now, &delivery.payload)).ok();
    headers.insert("x-hub-timestamp", HeaderValue::from(now));
    headers.insert("x-hub-signature-256", sign(secret)?);
    if send_secret {
        let mut bearer = HeaderValue::from_bytes(format!("Bearer {secret}").as_bytes()).ok()?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    let old = bot.webhook_old_secret.as_deref();
    if let Some(old) = old.filter(|_| bot.webhook_old_secret_until.is_some_and(|until| until > now)) {
        headers.insert("x-hub-signature-256-old", sign(old)?);
    }
    Some(headers)
}

/// Reads a short body, so that the connection can be used again; a long or slow one costs its connection.
async fn drain(mut answer: Response) {
    let read = async {
        let mut left = BODY_BYTES;
        while let Ok(Some(chunk)) = answer.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Nothing is done with the body, so it does not matter how reading it ended.
    let _ = tokio::time::timeout(BODY_TIME, read).await;
}

/// Why there was no answer, in words that tell nothing about the hub's own network.
fn reason(error: &reqwest::Error) -> &'static str {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return "the host has no public address";
        }
        source = cause.source();
    }
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// Hosts whose addresses were found before the request.
struct Known {
    resolver: Arc<Resolver>,
    /// Whether hosts with any address that is not of the public internet are refused.
    is_guarded: bool,
}

impl Resolve for Known {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.resolver.known(name.as_str()).unwrap_or_else(|| Arc::from([]));
        let judged = judged(&found, self.is_guarded);
        Box::pin(async move { judged.map_err(Into::into) })
    }
}

fn judged(found: &[IpAddr], is_guarded: bool) -> Result<Addrs, NotPublic> {
    if found.is_empty() || is_guarded && !found.iter().copied().all(is_public) {
        return Err(NotPublic);
    }
    // The port is the URL's.
    let found: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(*address, 0)).collect();
    Ok(Box::new(found.into_iter()))
}

/// A host leads (also) to a private or special address.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no public address")
    }
}

impl Error for NotPublic {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::webhooks::resolver::system_look_up;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn one_special_address_spoils_all() {
        assert_eq!(judged(&addresses(&["8.8.8.8", "2606:4700::1"]), true).ok().map(Iterator::count), Some(2));
        for bad in [&["127.0.0.1"][..], &["8.8.8.8", "10.0.0.1"], &["8.8.8.8", "::1"], &["::ffff:127.0.0.1"], &[]] {
            assert!(judged(&addresses(bad), true).is_err(), "{bad:?}");
            assert_eq!(judged(&addresses(bad), false).is_ok(), !bad.is_empty(), "{bad:?}");
        }
    }

    #[actix_web::test]
    async fn names_that_lead_home_are_refused_when_they_are_registered_and_when_they_are_used() {
        let mut config = Config::default();
        config.server.dev_mode = true;
        let outside = Outside::new(&config, system_look_up);
        let nobody = Uuid::nil();
        for url in ["http://localhost/", "https://LOCALHOST/", "http://localhost:1/x"] {
            let refusal = outside.check(nobody, nobody, url).await.unwrap_err();
            assert!(refusal.message().contains("private or special"), "{url}: {}", refusal.message());
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let sent = outside.guarded.as_ref().unwrap().post(url).send().await;
        assert_eq!(reason(&sent.unwrap_err()), "the host has no public address");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody connected");
    }
}
