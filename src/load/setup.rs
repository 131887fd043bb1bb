//! The organisation and the bots that a run needs: made through the public API, like any operator would.
//!
//! The first bot registers with the organisation's secret and so is an admin; it lifts the rate limits and issues a
//! reusable ticket with which all others register as members.

use std::sync::Arc;

use futures_util::future::try_join_all;
use hxa_client::{
    Client, Login, NewKey, NewOrganisation, NewPerson, NewTicket, OrgSettingsUpdate, PersonRole, Registration,
};
use serde_json::json;

use crate::cli::Options;
use crate::error::{LoadError, Result};
use crate::http::{Credential, Http};
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

/// A person who is asked.
#[derive(Debug, Clone, Default)]
pub struct Responder {
    /// Its handle.
    pub handle: String,
    /// The cookie of its session.
    pub cookie: String,
    /// A key that answers in its name.
    pub key: String,
    /// Requests that are meant to wait for it, where its queue is listed.
    pub open: u64,
}

/// The organisation with its bots.
pub struct Fleet {
    /// Where the hub is.
    pub target: Arc<Target>,
    /// The organisation.
    pub org_id: String,
    /// All bots; the first is the admin. Scenarios take the first n.
    pub bots: Vec<Bot>,
    hub: Client,
    ticket: String,
    /// Makes names unique when an existing organisation is loaded again.
    nonce: String,
    workers: usize,
    /// The platform's admin, if the organisation was made by it.
    operator: Option<Client>,
}

impl Fleet {
    /// Makes (or opens) the organisation and its admin bot.
    pub async fn create(options: &Options, target: Arc<Target>) -> Result<Self> {
        let hub = Client::builder(&options.url).use_proxy(false).build()?;
        let nonce = format!("{:08x}", rand::random::<u32>());
        let (org, operator) = open_org(options, &hub, &nonce).await?;
        let name = format!("load-{nonce}-admin");
        let entry = Registration { org_id: org.id.clone(), name, ..Registration::default() };
        let admin = hub.register(&Registration { org_secret: Some(org.org_secret), ..entry }).await?;
        let client = hub.with_token(&admin.token)?;
        let limits = OrgSettingsUpdate {
            messages_per_minute_per_bot: Some(UNLIMITED),
            threads_per_hour_per_bot: Some(UNLIMITED),
            ..OrgSettingsUpdate::default()
        };
        client.update_org_settings(&limits).await?;
        let ticket = NewTicket { reusable: true, skip_approval: true, expires_in: Some(0) };
        let ticket = client.create_ticket(ticket).await?.code;
        let bots = vec![Bot { id: admin.bot.id, token: admin.token }];
        let workers = options.connections.max(1);
        Ok(Self { target, org_id: org.id, bots, hub, ticket, nonce, workers, operator })
    }

    /// Registers bots until there are at least `count`.
    pub async fn ensure_bots(&mut self, count: usize) -> Result<()> {
        let have = self.bots.len();
        let fresh = self
            .each(count.saturating_sub(have), async |at| {
                let registration = Registration {
                    org_id: self.org_id.clone(),
                    name: format!("load-{}-{}", self.nonce, have + at),
                    ticket: Some(self.ticket.clone()),
                    ..Registration::default()
                };
                let registered = self.hub.register(&registration).await?;
                Ok(Bot { id: registered.bot.id, token: registered.token })
            })
            .await?;
        self.bots.extend(fresh);
        Ok(())
    }

    /// The hub, as nobody sees it.
    pub fn hub(&self) -> &Client {
        &self.hub
    }

    /// The hub, as the bot at this index sees it.
    pub fn client(&self, index: usize) -> Result<Client> {
        Ok(self.hub.with_token(&self.bot(index)?.token)?)
    }

    /// The bot at this index.
    pub fn bot(&self, index: usize) -> Result<&Bot> {
        self.bots.get(index).ok_or_else(|| LoadError::Options(format!("bot {index} is not registered")))
    }

    /// A new responder in a session, and a key that answers in its name.
    pub async fn responder(&self) -> Result<Responder> {
        let admin = self.client(0)?;
        let handle = format!("load-{}-{:08x}", self.nonce, rand::random::<u32>());
        let new =
            NewPerson { handle: handle.clone(), display_name: None, role: PersonRole::Responder, slack_user_id: None };
        let person = admin.create_person(&new).await?;
        let code = admin.create_login_link(&person.id, false).await?.code;
        let login = json!({ "type": "person_link", "code": code }).to_string();
        let mut http = Http::new(Arc::clone(&self.target), 0);
        let reply = http.call("POST", "/api/auth/login", Credential::Nobody, Some(&login)).await?;
        let cookie = reply.cookie.ok_or_else(|| LoadError::protocol("a login without a cookie"))?;
        let agent_id = format!("load-{}-gateway", self.nonce);
        let made = admin.create_key(&NewKey { agent_id, allow_respond: true, ..NewKey::default() }).await?;
        let key = made.key.ok_or_else(|| LoadError::protocol("a key was made and not shown"))?;
        Ok(Responder { handle, cookie, key, open: 0 })
    }

    /// Runs a job for each of `0..count`, several at a time; results in order.
    pub async fn each<T>(&self, count: usize, job: impl AsyncFn(usize) -> Result<T>) -> Result<Vec<T>> {
        self.run_concurrently(count, |_| (), async |(), at| job(at).await).await
    }

    /// The same, over connections whose requests are measured.
    pub async fn each_measured<T>(
        &self,
        count: usize,
        job: impl AsyncFn(&mut Http, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.run_concurrently(count, |nth| Http::new(Arc::clone(&self.target), nth), job).await
    }

    async fn run_concurrently<S, T>(
        &self,
        count: usize,
        init: impl Fn(usize) -> S,
        job: impl AsyncFn(&mut S, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let next = std::cell::Cell::new(0);
        let worker = async |nth: usize| {
            let mut state = init(nth);
            let mut done = Vec::new();
            loop {
                let at = next.get();
                if at >= count {
                    return Ok::<_, LoadError>(done);
                }
                next.set(at + 1);
                done.push((at, job(&mut state, at).await?));
            }
        };
        let parts = try_join_all((0..self.workers.min(count)).map(worker)).await?;
        let mut all: Vec<(usize, T)> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, value)| value).collect())
    }

    /// Deletes the organisation that this run made.
    pub async fn remove(&self) -> Result<()> {
        match &self.operator {
            Some(operator) => Ok(operator.delete_org(&self.org_id).await?),
            None => Ok(()),
        }
    }
}

/// An organisation to load.
struct Org {
    id: String,
    org_secret: String,
}

impl From<NewOrganisation> for Org {
    fn from(made: NewOrganisation) -> Self {
        Self { id: made.id, org_secret: made.org_secret }
    }
}

/// The organisation by one of the three kinds of credentials; the platform's admin if that made it.
async fn open_org(options: &Options, hub: &Client, nonce: &str) -> Result<(Org, Option<Client>)> {
    let name = format!("load-{nonce}");
    if let (Some(id), Some(org_secret)) = (&options.org_id, &options.org_secret) {
        return Ok((Org { id: id.clone(), org_secret: org_secret.clone() }, None));
    }
    if let Some(code) = &options.invite_code {
        return Ok((hub.found_org(code, &name).await?.into(), None));
    }
    let Some(admin_secret) = options.admin_secret.clone() else {
        let text = "one of --admin-secret, --invite-code or --org-id with --org-secret is needed";
        return Err(LoadError::Options(text.into()));
    };
    let (operator, _) = hub.log_in(&Login::SuperAdmin { admin_secret }).await?;
    Ok((operator.create_org(&name).await?.into(), Some(operator)))
}
