//! The outbound client: the only place where the hub opens connections to addresses that its users chose.
//!
//! A host is resolved before each request by our own resolver, and the connection goes to one of these addresses: if
//! any of them is special-purpose, none is used. Hosts that the operator allows are not checked. Redirects are not
//! followed, proxy settings of the environment are ignored, responses have a time limit, and their bodies are
//! discarded. Requests run on dedicated threads: a response with endless interim responses keeps its reader busy, and
//! nothing else.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::resolver::{Failure, LookUp, Resolver};
use crate::config::Config;
use crate::core::org_state::Bot;
use hxa_domain::address::{AllowList, WebhookUrl, is_public};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::EventId;
use hxa_domain::webhook::{retry_after, signature};
use hxa_store::rows::BotRow;

/// Of an answer's body so much is read, that its connection may serve again; with more to come the connection ends.
const BODY_BYTES: usize = 16 * 1024;
const BODY_TIME: Duration = Duration::from_millis(500);
/// Threads for requests. They only wait, but for answers that are made to keep their reader busy.
const THREADS: usize = 2;
/// Connections do not outlive a burst of deliveries by much.
const IDLE: Duration = Duration::from_secs(20);

/// The clients: one for the public internet, one for hosts the operator trusts.
pub struct OutboundClient {
    allowed: AllowList,
    allow_http: bool,
    send_secret: bool,
    /// The longest that a receiver's `Retry-After` is honoured, ms.
    retry_after: u64,
    resolver: Arc<Resolver>,
    threads: Threads,
    guarded: Option<Client>,
    trusted: Option<Client>,
}

/// What is posted.
pub struct Request {
    /// The delivery's id.
    pub id: EventId,
    /// The event's type.
    pub event: String,
    /// The body.
    pub body: String,
}

/// What came of posting a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// There was an answer.
    Answered {
        /// Its status.
        status: u16,
        /// How long the receiver wants to be left alone, ms.
        retry_after: Option<u64>,
    },
    /// It was sent, and there was no answer in time.
    Unanswered,
    /// It was not taken; why.
    Failed(&'static str),
}

impl OutboundClient {
    /// Clients after the settings; hosts are found by `look_up`.
    pub fn new(config: &Config, look_up: LookUp) -> Self {
        let own = &config.webhooks;
        // What cannot be connected to in half the time was surely not sent.
        let connect = Duration::from_millis(own.timeout_ms / 2);
        let answer = Duration::from_millis(own.answer_ms.max(own.timeout_ms));
        let resolver = Arc::new(Resolver::new(look_up, own.resolvers));
        Self {
            allowed: AllowList::parse(own.allow.iter().map(String::as_str)).unwrap_or_default(),
            allow_http: config.server.dev_mode,
            send_secret: own.send_secret,
            retry_after: own.retry_after_seconds.saturating_mul(1000),
            guarded: client(connect, answer, Known { resolver: resolver.clone(), is_guarded: true }),
            trusted: client(connect, answer, Known { resolver: resolver.clone(), is_guarded: false }),
            resolver,
            threads: Threads::start(),
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

    /// Finds a bot's webhook, judged anew: the rules may have become stricter since the URL was stored.
    ///
    /// # Errors
    /// Why nothing can be sent there.
    pub async fn find(&self, org: Uuid, bot: &Bot) -> Result<WebhookUrl, &'static str> {
        let url = bot.row.webhook_url.as_deref().unwrap_or_default();
        let webhook = self.parse(url).map_err(|_| "the URL is not allowed")?;
        if webhook.literal_address().is_none() {
            let found = self.resolver.look_up(org, bot.id.uuid(), &webhook.host).await;
            found.map_err(|failure| match failure {
                Failure::Unknown => "the host cannot be resolved",
                Failure::Busy => "too many hosts are being looked up",
            })?;
        }
        Ok(webhook)
    }

    /// Posts a delivery to its bot's webhook.
    pub async fn post(&self, webhook: WebhookUrl, bot: &BotRow, request: Request, now: i64) -> Posted {
        let client = if webhook.is_allowed { &self.trusted } else { &self.guarded };
        let (Some(client), Some(headers)) = (client, headers(bot, &request, now, self.send_secret)) else {
            return Posted::Failed("the request cannot be made");
        };
        let request = client.post(webhook.url).headers(headers).body(request.body);
        self.threads.run(send(request, now, self.retry_after)).await
    }
}

/// Sends a request and judges whether there was an answer; `Retry-After` counts up to `most`, ms.
async fn send(request: RequestBuilder, now: i64, most: u64) -> Posted {
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let wait = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let retry_after = wait.and_then(|wait| retry_after(wait, now, most));
            drain(answer).await;
            Posted::Answered { status, retry_after }
        }
        Err(error) if error.is_timeout() && !error.is_connect() => Posted::Unanswered,
        Err(error) => Posted::Failed(reason(&error)),
    }
}

/// The threads that requests and their connections run on.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("webhooks").enable_all().build();
        Self(
            runtime
                .inspect_err(|error| log::error!(error:% = error; "cannot create the HTTP client for webhooks"))
                .ok(),
        )
    }

    /// Runs a request there; it is cut when nobody waits for it any more.
    async fn run(&self, request: impl Future<Output = Posted> + Send + 'static) -> Posted {
        let Some(runtime) = &self.0 else { return Posted::Failed("the request cannot be made") };
        let mut task = JoinSet::new();
        task.spawn_on(request, runtime.handle());
        task.join_next().await.and_then(Result::ok).unwrap_or(Posted::Failed("the request was cut short"))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for it here would block the thread of somebody else.
            runtime.shutdown_background();
        }
    }
}

/// A refusal by a bound on what is under way for webhooks.
pub fn too_many(what: &'static str) -> ApiError {
    const RETRY_AFTER_S: u64 = 5;
    let message = format!("{what} for this bot or organisation; try again in {RETRY_AFTER_S} s");
    ApiError::new(ErrorCode::RateLimited, message).with("retry_after", RETRY_AFTER_S)
}

fn client(connect: Duration, answer: Duration, hosts: Known) -> Option<Client> {
    let builder = Client::builder()
        .user_agent(concat!("hxa-connect/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(answer)
        .connect_timeout(connect)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE)
        .dns_resolver(Arc::new(hosts));
    builder.build().inspect_err(|error| log::error!(error:% = error; "cannot create the HTTP client for webhooks")).ok()
}

/// What a receiver checks: `Authorization` and the signatures only if there is a secret. While a secret is being
/// replaced, the old one signs along under a name of its own.
fn headers(bot: &BotRow, request: &Request, now: i64, send_secret: bool) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-hub-delivery", HeaderValue::from_str(&request.id.to_string()).ok()?);
    headers.insert("x-hub-event", HeaderValue::from_str(&request.event).ok()?);
    let Some(secret) = bot.webhook_secret.as_deref() else { return Some(headers) };
    let sign = |secret: &str| HeaderValue::from_str(&signature(secret, now, &request.body)).ok();
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

/// Why there was no response, without details of the hub's own network.
fn reason(error: &reqwest::Error) -> &'static str {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return "the host has no public address";
        }
        source = cause.source();
    }
    if error.is_connect() { "no connection" } else { "the connection broke" }
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
    use crate::webhooks::resolver::system_look_up;

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
        let outside = OutboundClient::new(&config, system_look_up);
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
