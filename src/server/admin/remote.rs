//! Commands through the public interface of a running hub.
//!
//! The platform's commands log in with the admin secret of the configuration, those of an organisation with its secret,
//! those of a bot with its token; the last two come from the environment, where other users of the machine do not see
//! them. Sessions end with the command. Redirects are not followed, so that a secret never goes to another host.

use std::time::Duration;

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::show::BOT_COLUMNS;
use super::{AdminError, done, invite_body, org_id, token_body};
use crate::cli::{AdminCommand, BotCommand, InviteCommand, OrgCommand, TokenCommand};
use hxa_hub::config::{Config, Flags};

/// How long the hub may take.
const PATIENCE: Duration = Duration::from_secs(30);
const ORG_SECRET: &str = "HXA_CONNECT_ORG_SECRET";
const BOT_TOKEN: &str = "HXA_CONNECT_BOT_TOKEN";

/// Who asks.
enum Credential {
    None,
    Token(String),
    Cookie(String),
}

struct Remote {
    http: reqwest::Client,
    url: String,
    credential: Credential,
}

/// Carries out a command.
pub async fn carry_out(flags: &Flags, url: &str, command: &AdminCommand) -> Result<Value, AdminError> {
    let mut remote = Remote::new(url)?;
    match command {
        AdminCommand::Stats => remote.get("/api/stats").await,
        AdminCommand::Token(command) => {
            remote.credential = Credential::Token(variable(BOT_TOKEN, "the bot's token")?);
            token(&remote, command).await
        }
        AdminCommand::Bot(BotCommand::List { org }) => {
            let secret = variable(ORG_SECRET, "the organisation's secret")?;
            let login = json!({ "type": "org_admin", "org_id": org, "org_secret": secret });
            remote.in_session(login, bots).await
        }
        AdminCommand::Org(command) => {
            remote.in_session(super_admin(flags)?, async |remote| org(remote, command).await).await
        }
        AdminCommand::Invite(command) => {
            remote.in_session(super_admin(flags)?, async |remote| invite(remote, command).await).await
        }
    }
}

/// The login of the platform's admin.
fn super_admin(flags: &Flags) -> Result<Value, AdminError> {
    let config = Config::load(flags).map_err(|error| AdminError(error.to_string()))?.config;
    let secret = config.auth.admin_secret.ok_or_else(|| AdminError("set HXA_CONNECT_ADMIN_SECRET".to_owned()))?;
    Ok(json!({ "type": "super_admin", "admin_secret": secret.expose() }))
}

fn variable(name: &str, what: &str) -> Result<String, AdminError> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(value) = given(name) {
        return Ok(value);
    }
    let file = format!("{name}_FILE");
    let Some(path) = given(&file) else {
        return Err(AdminError(format!("set {name} to {what}, or {file} to a file with it")));
    };
    let text = std::fs::read_to_string(path);
    text.map(|text| text.trim().to_owned())
        .map_err(|error| AdminError(format!("{file}: the file cannot be read: {error}")))
}

async fn bots(remote: &Remote) -> Result<Value, AdminError> {
    let bots = remote.get("/api/bots").await?;
    let shown = |bot: &Value| BOT_COLUMNS.iter().map(|key| ((*key).to_owned(), field(bot, key))).collect();
    Ok(bots.as_array().into_iter().flatten().map(|bot| Value::Object(shown(bot))).collect())
}

async fn org(remote: &Remote, command: &OrgCommand) -> Result<Value, AdminError> {
    match command {
        OrgCommand::Create { name } => remote.post("/api/orgs", json!({ "name": name })).await,
        OrgCommand::List => remote.get("/api/orgs").await,
        OrgCommand::Suspend { org } => set_status(remote, org, "suspended").await,
        OrgCommand::Reinstate { org } => set_status(remote, org, "active").await,
    }
}

async fn invite(remote: &Remote, command: &InviteCommand) -> Result<Value, AdminError> {
    match command {
        InviteCommand::Create { max_uses, expires_in, label } => {
            let body = invite_body(*max_uses, label.as_ref(), *expires_in);
            remote.post("/api/platform/invite-codes", Value::Object(body)).await
        }
        InviteCommand::List => remote.get("/api/platform/invite-codes").await,
        InviteCommand::Revoke { id } => remote.delete(&format!("/api/platform/invite-codes/{}", segment(id))).await,
    }
}

fn field(of: &Value, key: &str) -> Value {
    of.get(key).cloned().unwrap_or_default()
}

async fn set_status(remote: &Remote, org: &str, status: &str) -> Result<Value, AdminError> {
    let orgs = remote.get("/api/orgs").await?;
    let text = |org: &Value, key: &str| org.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let known: Vec<(String, String)> =
        orgs.as_array().into_iter().flatten().map(|org| (text(org, "id"), text(org, "name"))).collect();
    let path = format!("/api/orgs/{}", org_id(&known, org)?);
    remote.send(Method::PATCH, &path, Some(json!({ "status": status }))).await
}

async fn token(remote: &Remote, command: &TokenCommand) -> Result<Value, AdminError> {
    match command {
        TokenCommand::Issue { scopes, label, expires_in, .. } => {
            let body = token_body(scopes, label.as_ref(), *expires_in);
            remote.post("/api/me/tokens", Value::Object(body)).await
        }
        TokenCommand::List { .. } => remote.get("/api/me/tokens").await,
        TokenCommand::Revoke { id, .. } => remote.delete(&format!("/api/me/tokens/{}", segment(id))).await,
    }
}

/// Text as one segment of a path.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

impl Remote {
    fn new(url: &str) -> Result<Self, AdminError> {
        let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if parsed.is_none() {
            return Err(AdminError("--url takes the hub's URL, such as http://127.0.0.1:4800".to_owned()));
        }
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
        let http = http.map_err(|error| AdminError(format!("HTTP: {error}")))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), credential: Credential::None })
    }

    /// Does something in a session, which ends with it.
    async fn in_session(
        mut self,
        login: Value,
        what: impl AsyncFnOnce(&Self) -> Result<Value, AdminError>,
    ) -> Result<Value, AdminError> {
        self.log_in(login).await?;
        let outcome = what(&self).await;
        let logged_out = self.post("/api/auth/logout", json!({})).await;
        let answer = outcome?;
        logged_out?;
        Ok(answer)
    }

    async fn log_in(&mut self, body: Value) -> Result<(), AdminError> {
        let request = self.request(Method::POST, "/api/auth/login").json(&body);
        let response = request.send().await.map_err(unreachable)?;
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|value| value.split(';').next()).map(str::to_owned);
        read(response).await?;
        self.credential = Credential::Cookie(cookie.ok_or_else(|| AdminError("the login set no cookie".to_owned()))?);
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.credential {
            Credential::None => request,
            Credential::Token(token) => request.bearer_auth(token),
            Credential::Cookie(cookie) => request.header(COOKIE, cookie).header(ORIGIN, origin(&self.url)),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, AdminError> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.send().await.map_err(unreachable)?).await
    }

    async fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, AdminError> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Result<Value, AdminError> {
        self.send(Method::DELETE, path, None).await
    }
}

/// A URL without its path, as a browser would name the page that asks.
fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}

fn unreachable(error: reqwest::Error) -> AdminError {
    // The URL may hold a password of a proxy in front of the hub.
    AdminError(format!("the hub cannot be reached: {}", error.without_url()))
}

async fn read(response: Response) -> Result<Value, AdminError> {
    let status = response.status();
    let text = response.text().await.map_err(unreachable)?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(if text.is_empty() { done() } else { answer });
    }
    let part = |key: &str| answer.get(key).and_then(Value::as_str);
    match (part("error"), part("code")) {
        (Some(error), Some(code)) => Err(AdminError(format!("{error} ({code})"))),
        (Some(error), None) => Err(AdminError(error.to_owned())),
        _ => Err(AdminError(format!("the hub answered {status}"))),
    }
}
