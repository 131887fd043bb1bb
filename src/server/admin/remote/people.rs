//! Commands about people through the public interface of a running hub, as an admin of their organisation.

use hxa_client::{Client, Login, Method, PersonQuery};
use serde_json::{Value, json};

use super::{ORG_SECRET, ask, in_session, variable};
use crate::admin::{AdminError, done, link_view, person_body};
use crate::cli::PersonCommand;

/// Executes a command.
pub async fn execute(hub: &Client, url: &str, command: &PersonCommand) -> Result<Value, AdminError> {
    let org_secret = variable(ORG_SECRET, "the organisation's secret")?;
    let org_id = command.org().org.clone();
    let org_id = org_id.ok_or_else(|| AdminError("--org is needed with --url: the organisation's id".to_owned()))?;
    let place = (url, org_id.clone());
    in_session(hub, &Login::OrgAdmin { org_id, org_secret }, async |hub| carry_out(hub, &place, command).await).await
}

async fn carry_out(hub: &Client, (url, org): &(&str, String), command: &PersonCommand) -> Result<Value, AdminError> {
    match command {
        PersonCommand::Add { handle, role, name, slack, .. } => {
            let body = Value::Object(person_body(handle, role, name.as_deref(), slack.as_deref()));
            let person = ask(hub, Method::POST, "/api/org/people", Some(body)).await?;
            let id = person.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let link = hub.create_login_link(&id, false).await?;
            Ok(link_view(person, org.as_str(), url, (&link.path, link.expires_at)))
        }
        PersonCommand::List { .. } => list(hub).await,
        PersonCommand::Disable { handle, .. } => update(hub, handle, json!({ "is_disabled": true })).await,
        PersonCommand::Enable { handle, .. } => update(hub, handle, json!({ "is_disabled": false })).await,
        PersonCommand::Role { handle, role, .. } => update(hub, handle, json!({ "role": role })).await,
        PersonCommand::Slack { handle, user, .. } => update(hub, handle, json!({ "slack_user_id": user })).await,
        PersonCommand::Link { handle, reset_password, .. } => {
            let id = id_of(hub, handle).await?;
            let link = hub.create_login_link(&id, *reset_password).await?;
            Ok(link_view(json!({ "id": id }), org.as_str(), url, (&link.path, link.expires_at)))
        }
        PersonCommand::Remove { handle, .. } => {
            hub.delete_person(&id_of(hub, handle).await?).await?;
            Ok(done())
        }
    }
}

/// All people, page by page.
async fn list(hub: &Client) -> Result<Value, AdminError> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let mut page = ask(hub, Method::GET, &format!("/api/org/people?limit=200{after}"), None).await?;
        if let Some(Value::Array(people)) = page.get_mut("items").map(Value::take) {
            all.extend(people);
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => return Ok(Value::Array(all)),
        }
    }
}

async fn id_of(hub: &Client, handle: &str) -> Result<String, AdminError> {
    let query = PersonQuery { handle: Some(handle.to_owned()), ..PersonQuery::default() };
    let found = hub.people(&query).await?.items.into_iter().next();
    found.map(|person| person.id).ok_or_else(|| AdminError(format!("there is no person {handle:?}")))
}

async fn update(hub: &Client, handle: &str, change: Value) -> Result<Value, AdminError> {
    let path = format!("/api/org/people/{}", id_of(hub, handle).await?);
    ask(hub, Method::PATCH, &path, Some(change)).await
}
