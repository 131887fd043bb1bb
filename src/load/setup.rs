//! The organisation and the bots that a run needs: made through the public API, like any operator would.
//!
//! The first bot registers with the organisation's secret and so is an admin; it lifts the rate limits and issues a
//! reusable ticket with which all others register as members.

use std::sync::Arc;

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

use crate::cli::Options;
use crate::error::{LoadError, Result};
use crate::http::{Auth, Http};
use crate::target::Target;

/// High enough for any run, small enough for 32 bits.
const UNLIMITED: u32 = 1_000_000_000;

/// A registered bot.
#[derive(Debug, Clone)]
pub struct Bot {
    /// Its id.
    pub id: String,
    /// Its primary token.
    pub token: String,
}

/// The organisation with its bots.
pub struct Fleet {
    /// Where the hub is.
    pub target: Arc<Target>,
    /// The organisation.
    pub org_id: String,
    /// All bots; the first is the admin. Scenarios take the first n.
    pub bots: Vec<Bot>,
    ticket: String,
    /// Makes names unique when an existing organisation is loaded again.
    nonce: String,
    workers: usize,
    super_cookie: Option<String>,
}

#[derive(Deserialize)]
struct NewOrg {
    #[serde(alias = "org_id")]
    id: String,
    org_secret: String,
}

#[derive(Deserialize)]
struct NewBot {
    bot_id: String,
    token: String,
}

#[derive(Deserialize)]
struct NewTicket {
    ticket: String,
}

#[derive(Deserialize)]
struct SocketTicket {
    ticket: String,
}

impl Fleet {
    /// Makes (or opens) the organisation and its admin bot.
    pub async fn make(options: &Options, target: Arc<Target>) -> Result<Self> {
        let mut http = Http::new(Arc::clone(&target), 0);
        let nonce = format!("{:08x}", rand::random::<u32>());
        let (org, super_cookie) = open_org(options, &mut http, &nonce).await?;
        let body = json!({"org_id": org.id, "org_secret": org.org_secret, "name": format!("load-{nonce}-admin")});
        let reply = http.must("POST", "/api/auth/register", Auth::Anonymous, Some(&body)).await?;
        let NewBot { bot_id, token } = reply.json()?;
        let admin = Auth::Bearer(&token);
        let limits = json!({"messages_per_minute_per_bot": UNLIMITED, "threads_per_hour_per_bot": UNLIMITED});
        http.must("PATCH", "/api/org/settings", admin, Some(&limits)).await?;
        let wanted = json!({"reusable": true, "skip_approval": true, "expires_in": 0});
        let NewTicket { ticket } = http.must("POST", "/api/org/tickets", admin, Some(&wanted)).await?.json()?;
        let bots = vec![Bot { id: bot_id, token }];
        Ok(Self { target, org_id: org.id, bots, ticket, nonce, workers: options.connections.max(1), super_cookie })
    }

    /// Registers bots until there are at least `count`.
    pub async fn grow(&mut self, count: usize) -> Result<()> {
        let have = self.bots.len();
        let fresh = self
            .each(count.saturating_sub(have), async |http, at| {
                let name = format!("load-{}-{}", self.nonce, have + at);
                let body = json!({"org_id": self.org_id, "ticket": self.ticket, "name": name});
                let reply = http.must("POST", "/api/auth/register", Auth::Anonymous, Some(&body)).await?;
                let NewBot { bot_id, token } = reply.json()?;
                Ok(Bot { id: bot_id, token })
            })
            .await?;
        self.bots.extend(fresh);
        Ok(())
    }

    /// The bot at this index.
    pub fn bot(&self, index: usize) -> Result<&Bot> {
        self.bots.get(index).ok_or_else(|| LoadError::Options(format!("bot {index} is not registered")))
    }

    /// A fresh socket ticket of this bot.
    pub async fn ticket(&self, http: &mut Http, bot: usize) -> Result<String> {
        let reply = http.must("POST", "/api/ws-ticket", Auth::Bearer(&self.bot(bot)?.token), None).await?;
        Ok(reply.json::<SocketTicket>()?.ticket)
    }

    /// Runs a job for each of `0..count` over several connections; results in order.
    pub async fn each<T>(&self, count: usize, job: impl AsyncFn(&mut Http, usize) -> Result<T>) -> Result<Vec<T>> {
        let next = std::cell::Cell::new(0);
        let worker = async |nth: usize| {
            let mut http = Http::new(Arc::clone(&self.target), nth);
            let mut done = Vec::new();
            loop {
                let at = next.get();
                if at >= count {
                    return Ok::<_, LoadError>(done);
                }
                next.set(at + 1);
                done.push((at, job(&mut http, at).await?));
            }
        };
        let parts = try_join_all((0..self.workers.min(count)).map(worker)).await?;
        let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, value)| value).collect())
    }

    /// Deletes the organisation that this run made.
    pub async fn remove(&self) -> Result<()> {
        let Some(cookie) = &self.super_cookie else { return Ok(()) };
        let mut http = Http::new(Arc::clone(&self.target), 0);
        http.must("DELETE", &format!("/api/orgs/{}", self.org_id), Auth::Session(cookie), None).await?;
        Ok(())
    }
}

/// The organisation by one of the three kinds of credentials; the cookie if it was made by super-admin login.
async fn open_org(options: &Options, http: &mut Http, nonce: &str) -> Result<(NewOrg, Option<String>)> {
    let name = format!("load-{nonce}");
    if let (Some(id), Some(org_secret)) = (&options.org_id, &options.org_secret) {
        return Ok((NewOrg { id: id.clone(), org_secret: org_secret.clone() }, None));
    }
    if let Some(code) = &options.invite_code {
        let body = json!({"invite_code": code, "name": name});
        let reply = http.must("POST", "/api/platform/orgs", Auth::Anonymous, Some(&body)).await?;
        return Ok((reply.json()?, None));
    }
    let Some(secret) = &options.admin_secret else {
        let text = "one of --admin-secret, --invite-code or --org-id with --org-secret is needed";
        return Err(LoadError::Options(text.into()));
    };
    let login = json!({"type": "super_admin", "admin_secret": secret});
    let reply = http.must("POST", "/api/auth/login", Auth::Anonymous, Some(&login)).await?;
    let cookie = reply.cookie.ok_or_else(|| LoadError::protocol("the login answered without a cookie"))?;
    let reply = http.must("POST", "/api/orgs", Auth::Session(&cookie), Some(&json!({"name": name}))).await?;
    Ok((reply.json()?, Some(cookie)))
}
