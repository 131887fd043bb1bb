//! Commands about agents' keys.
//!
//! Without `--org` a key belongs to the only organisation; where there is none, one named `default` is made, so that the
//! first key of a new hub is one command.

use serde_json::{Map, Value, json};

use super::orgs::{self, ALL};
use super::place::Place;
use super::{AdminError, done};
use crate::cli::{KeyCommand, NewKeyArguments};
use hxa_domain::draft::Draft;
use hxa_domain::error::ApiError;
use hxa_domain::ids::TokenId;
use hxa_domain::keys::KeyRequest;
use hxa_domain::text::Fields;
use hxa_hub::core::caller::AdminCaller;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Founder};
use hxa_store::accounts::keys::{self, KeyRow};
use hxa_store::audit;
use hxa_store::rows::{AuditRow, OrgRow};
use hxa_web::{KeyView, key_last_used};

/// The organisation that is made for the first key of a hub.
const DEFAULT_ORG: &str = "default";

/// Executes a command.
pub async fn execute(place: &Place<'_>, command: &KeyCommand) -> Result<Value, AdminError> {
    match command {
        KeyCommand::Create(arguments) => {
            // Refused before anything is made or opened.
            let request = KeyRequest::read(&mut key_body(arguments))?;
            place.change(async |hub| create(hub, arguments.org.as_deref(), request).await).await
        }
        KeyCommand::List { org } => list(place, org.as_deref()).await,
        KeyCommand::Revoke { id, org } => place.change(async |hub| revoke(hub, id, org.as_deref()).await).await,
    }
}

/// The body of a request for a key.
pub fn key_body(arguments: &NewKeyArguments) -> Fields {
    let mut body = Map::new();
    body.insert("agent_id".to_owned(), json!(arguments.agent_id));
    if let Some(label) = &arguments.label {
        body.insert("label".to_owned(), json!(label));
    }
    if arguments.allow_respond {
        body.insert("allow_respond".to_owned(), json!(true));
    }
    if let Some(seconds) = arguments.expires_in {
        body.insert("expires_in".to_owned(), json!(seconds));
    }
    body
}

async fn create(hub: &Hub, org: Option<&str>, request: KeyRequest) -> Result<Value, AdminError> {
    let is_first = org.is_none() && hub.store().read(orgs::rows).await?.is_empty();
    if is_first {
        let persist = hub.config().messages.persist;
        identity::create_org(hub, Founder::SuperAdmin(None), DEFAULT_ORG.to_owned(), persist).await?;
    }
    let org = orgs::find(hub, org).await?;
    let row = org.row();
    let new = identity::create_key(hub, &AdminCaller::by_secret(org, None), request).await?;
    note(hub, &row, "key.create", new.row.token.id).await?;
    let mut shown = view(&KeyView::new(&new.row, Some(&new.key), None), &row);
    if is_first {
        shown.insert("org_created".to_owned(), json!(true));
    }
    Ok(Value::Object(shown))
}

/// The organisation's trail says that an admin did this; the platform's says who it was.
async fn note(hub: &Hub, org: &OrgRow, action: &'static str, key: TokenId) -> Result<(), AdminError> {
    let detail = json!({ "org": org.id, "by": "command line" });
    let row = AuditRow::new(None, hub.now(), None, action, "token", key, Some(detail));
    hub.store().write(0, move |conn| audit::insert(conn, &row)).await?;
    Ok(())
}

/// What is shown of a key, with its organisation.
fn view(key: &KeyView<'_>, org: &OrgRow) -> Map<String, Value> {
    let mut shown = match json!(key) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    shown.insert("org".to_owned(), json!(org.name));
    shown.insert("org_id".to_owned(), json!(org.id));
    shown
}

async fn list(place: &Place<'_>, org: Option<&str>) -> Result<Value, AdminError> {
    let known = place.read(orgs::rows).await?;
    let only = org.map(|given| orgs::resolve(&known, Some(given))).transpose()?;
    let rows = place.read(move |conn| keys::list(conn, only, None, ALL)).await?.rows;
    let used = |row: &KeyRow| match place {
        Place::Hub(hub) => key_last_used(hub, row),
        Place::Database(_) => row.token.last_used_at,
    };
    // Those of an organisation that is being deleted are gone in a moment.
    let shown = rows.iter().filter_map(|row| {
        let org = known.iter().find(|org| org.id == row.org)?;
        Some(Value::Object(view(&KeyView::new(row, None, used(row)), org)))
    });
    Ok(shown.collect())
}

async fn revoke(hub: &Hub, id: &str, org: Option<&str>) -> Result<Value, AdminError> {
    let unknown = || ApiError::not_found("Key");
    let token = TokenId::parse(id).ok_or_else(unknown)?;
    let found = hub.store().read(move |conn| keys::find(conn, token)).await?;
    let owner = found.ok_or_else(unknown)?.org;
    let org = match org {
        Some(_) => orgs::find(hub, org).await?,
        None => hub.org(owner).await?.ok_or_else(unknown)?,
    };
    let row = org.row();
    identity::revoke_key(hub, &AdminCaller::by_secret(org, None), id).await?;
    note(hub, &row, "key.revoke", token).await?;
    Ok(done())
}
