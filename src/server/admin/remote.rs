//! Commands through the public interface of a running hub.
//!
//! The platform's commands log in with the admin secret of the configuration, those of an organisation with its secret,
//! those of a bot with its token; the last two come from the environment, where other users of the machine do not see
//! them. Sessions end with the command. Answers are printed as the hub gave them, so they are not read into types.

mod people;

use hxa_client::{Client, Login, Method};
use serde_json::{Value, json};

use super::keys::key_body;
use super::show::BOT_COLUMNS;
use super::{AdminError, done, invite_body, org_id, token_body};
use crate::cli::{AdminCommand, BotCommand, InviteCommand, KeyCommand, NewKeyArguments, OrgCommand, TokenCommand};
use hxa_hub::config::{Config, Flags};

const ORG_SECRET: &str = "HXA_CONNECT_ORG_SECRET";
const BOT_TOKEN: &str = "HXA_CONNECT_BOT_TOKEN";

impl From<hxa_client::Error> for AdminError {
    fn from(error: hxa_client::Error) -> Self {
        Self(error.to_string())
    }
}

/// Executes a command.
pub async fn execute(flags: &Flags, url: &str, command: &AdminCommand) -> Result<Value, AdminError> {
    // Whoever sits at the shell decides whether to try again.
    let hub = Client::builder(url).tries(1).build();
    let hub = hub.map_err(|_| AdminError("--url takes the hub's URL, such as http://127.0.0.1:4800".to_owned()))?;
    match command {
        AdminCommand::Stats => ask(&hub, Method::GET, "/api/stats", None).await,
        AdminCommand::Token(command) => {
            token(&hub.with_token(&variable(BOT_TOKEN, "the bot's token")?)?, command).await
        }
        AdminCommand::Person(command) => people::execute(&hub, url, command).await,
        AdminCommand::Bot(BotCommand::List { org }) => in_session(&hub, &org_admin(org)?, bots).await,
        AdminCommand::Key(command) => {
            let (KeyCommand::Create(NewKeyArguments { org, .. })
            | KeyCommand::List { org }
            | KeyCommand::Revoke { org, .. }) = command;
            let org =
                org.as_ref().ok_or_else(|| AdminError("with --url, --org names the organisation's id".to_owned()))?;
            in_session(&hub, &org_admin(org)?, async |hub| key(hub, command, org).await).await
        }
        AdminCommand::Org(command) => in_session(&hub, &super_admin(flags)?, async |hub| org(hub, command).await).await,
        AdminCommand::Invite(command) => {
            in_session(&hub, &super_admin(flags)?, async |hub| invite(hub, command).await).await
        }
    }
}

/// The login of the platform's admin.
fn super_admin(flags: &Flags) -> Result<Login, AdminError> {
    let config = Config::load(flags).map_err(|error| AdminError(error.to_string()))?.config;
    let secret = config.auth.admin_secret.ok_or_else(|| AdminError("set HXA_CONNECT_ADMIN_SECRET".to_owned()))?;
    Ok(Login::SuperAdmin { admin_secret: secret.expose().to_owned() })
}

/// The login of an organisation's admin.
fn org_admin(org: &str) -> Result<Login, AdminError> {
    let org_secret = variable(ORG_SECRET, "the organisation's secret")?;
    Ok(Login::OrgAdmin { org_id: org.to_owned(), org_secret })
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

/// Does something in a session, which ends with it.
async fn in_session(
    hub: &Client,
    login: &Login,
    what: impl AsyncFnOnce(&Client) -> Result<Value, AdminError>,
) -> Result<Value, AdminError> {
    let (session, _) = hub.log_in(login).await?;
    let outcome = what(&session).await;
    let logged_out = session.log_out().await;
    let answer = outcome?;
    logged_out?;
    Ok(answer)
}

/// The answer to a request, as the hub gave it.
async fn ask(hub: &Client, method: Method, path: &str, body: Option<Value>) -> Result<Value, AdminError> {
    match hub.request(method, path, body.as_ref()).await? {
        Value::Null => Ok(done()),
        answer => Ok(answer),
    }
}

/// All rows of a list.
async fn list(hub: &Client, path: &str) -> Result<Value, AdminError> {
    Ok(Value::Array(hub.request_list(path).await?))
}

async fn bots(hub: &Client) -> Result<Value, AdminError> {
    let bots = hub.request_list("/api/bots").await?;
    let shown = |bot: &Value| BOT_COLUMNS.iter().map(|key| ((*key).to_owned(), field(bot, key))).collect();
    Ok(bots.iter().map(|bot| Value::Object(shown(bot))).collect())
}

async fn org(hub: &Client, command: &OrgCommand) -> Result<Value, AdminError> {
    match command {
        OrgCommand::Create { name } => ask(hub, Method::POST, "/api/orgs", Some(json!({ "name": name }))).await,
        OrgCommand::List => list(hub, "/api/orgs").await,
        OrgCommand::Suspend { org } => set_status(hub, org, "suspended").await,
        OrgCommand::Reinstate { org } => set_status(hub, org, "active").await,
    }
}

async fn invite(hub: &Client, command: &InviteCommand) -> Result<Value, AdminError> {
    match command {
        InviteCommand::Create { max_uses, expires_in, label } => {
            let body = Value::Object(invite_body(*max_uses, label.as_ref(), *expires_in));
            ask(hub, Method::POST, "/api/platform/invite-codes", Some(body)).await
        }
        InviteCommand::List => list(hub, "/api/platform/invite-codes").await,
        InviteCommand::Revoke { id } => {
            hub.revoke_invite_code(id).await?;
            Ok(done())
        }
    }
}

async fn key(hub: &Client, command: &KeyCommand, org: &str) -> Result<Value, AdminError> {
    match command {
        KeyCommand::Create(arguments) => {
            ask(hub, Method::POST, "/api/org/keys", Some(Value::Object(key_body(arguments)))).await
        }
        KeyCommand::List { .. } => {
            let mut keys = hub.request_list("/api/org/keys").await?;
            for key in keys.iter_mut().filter_map(Value::as_object_mut) {
                key.insert("org".to_owned(), json!(org));
            }
            Ok(Value::Array(keys))
        }
        KeyCommand::Revoke { id, .. } => {
            hub.revoke_key(id).await?;
            Ok(done())
        }
    }
}

fn field(of: &Value, key: &str) -> Value {
    of.get(key).cloned().unwrap_or_default()
}

async fn set_status(hub: &Client, org: &str, status: &str) -> Result<Value, AdminError> {
    let known: Vec<(String, String)> = hub.orgs().await?.into_iter().map(|org| (org.id, org.name)).collect();
    let path = format!("/api/orgs/{}", org_id(&known, org)?);
    ask(hub, Method::PATCH, &path, Some(json!({ "status": status }))).await
}

async fn token(hub: &Client, command: &TokenCommand) -> Result<Value, AdminError> {
    match command {
        TokenCommand::Issue { scopes, label, expires_in, .. } => {
            let body = Value::Object(token_body(scopes, label.as_ref(), *expires_in));
            ask(hub, Method::POST, "/api/me/tokens", Some(body)).await
        }
        TokenCommand::List { .. } => list(hub, "/api/me/tokens").await,
        TokenCommand::Revoke { id, .. } => {
            hub.revoke_token(id).await?;
            Ok(done())
        }
    }
}
