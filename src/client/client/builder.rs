//! Settings of a client, and the client made of them.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{Client, Credential, Inner};
use crate::error::{Error, Result};

/// The hub ends a connection on which nothing came for five seconds; one that was idle that long is not used again.
const IDLE: Duration = Duration::from_secs(4);

/// Settings of a [`Client`] beyond the hub's URL.
///
/// ```no_run
/// # fn main() -> hxa_client::Result<()> {
/// use std::time::Duration;
///
/// let client = hxa_client::Client::builder("https://hub.example/base")
///     .token("bot_…")
///     .timeout(Duration::from_secs(10))
///     .wait_for_rate(true)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    url: String,
    token: Option<String>,
    timeout: Duration,
    user_agent: String,
    tries: u32,
    wait_for_rate: bool,
    use_proxy: bool,
    roots: Vec<Vec<u8>>,
}

impl ClientBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            token: None,
            timeout: Duration::from_secs(30),
            user_agent: concat!("hxa-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            tries: 4,
            wait_for_rate: false,
            use_proxy: true,
            roots: Vec::new(),
        }
    }

    /// Calls with this bot's token, primary or scoped.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long the hub may take to answer one request (30 seconds by default). Uploads and downloads may take longer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The `User-Agent` header.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How many times a call that may be retried is tried (4 by default); 1 disables retries.
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// Waits when a rate limit is exhausted, for as long as the hub says, instead of failing with `RATE_LIMITED`.
    pub fn wait_for_rate(mut self, wait: bool) -> Self {
        self.wait_for_rate = wait;
        self
    }

    /// Whether REST calls use the proxy settings of the environment (they do by default). Sockets connect directly.
    pub fn use_proxy(mut self, use_proxy: bool) -> Self {
        self.use_proxy = use_proxy;
        self
    }

    /// Also trusts this certificate authority (DER), for a hub with a private one.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Protocol`] when the URL is not `http` or `https`, or the token or a certificate is unusable.
    pub fn build(self) -> Result<Client> {
        let wrong =
            || Error::Protocol(format!("{:?} is not the URL of a hub: it begins with http:// or https://", self.url));
        let url = Url::parse(self.url.trim_end_matches('/')).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong());
        }
        // Redirects are not followed: a secret goes where it was sent and nowhere else.
        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        http = http.connect_timeout(self.timeout).pool_idle_timeout(IDLE).user_agent(self.user_agent);
        if !self.use_proxy {
            http = http.no_proxy();
        }
        for root in &self.roots {
            http = http.add_root_certificate(reqwest::Certificate::from_der(root)?);
        }
        let inner = Inner {
            http: http.build()?,
            origin: url.origin().ascii_serialization(),
            url,
            timeout: self.timeout,
            tries: self.tries,
            wait_for_rate: self.wait_for_rate,
            roots: self.roots,
        };
        let client = Client { inner: Arc::new(inner), credential: Credential::None, rate: Arc::default() };
        match self.token {
            Some(token) => client.with_token(&token),
            None => Ok(client),
        }
    }
}
