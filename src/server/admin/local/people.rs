//! Commands about people, without `--url`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::orgs;
use crate::admin::place::Place;
use crate::admin::{AdminError, done, link_view, person_body};
use crate::cli::PersonCommand;
use hxa_domain::draft::Draft;
use hxa_domain::error::ApiError;
use hxa_domain::people::{LinkRequest, PersonDraft, PersonPatch, PersonRole};
use hxa_domain::text::Fields;
use hxa_hub::core::caller::AdminCaller;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, NewLink};
use hxa_store::rows::AuditRow;
use hxa_store::{audit, people};
use hxa_web::PersonView;

/// Executes a command.
pub async fn execute(place: &Place<'_>, command: &PersonCommand) -> Result<Value, AdminError> {
    if let PersonCommand::List { org } = command {
        let id = orgs::resolve(&place.read(orgs::rows).await?, org.org.as_deref())?;
        let rows = place.read(move |conn| people::list(conn, id)).await?;
        return Ok(rows.iter().map(|row| json!(PersonView::from(row))).collect());
    }
    place.change(async |hub| carry_out(hub, command).await).await
}

async fn carry_out(hub: &Hub, command: &PersonCommand) -> Result<Value, AdminError> {
    let org = orgs::find(hub, command.org().org.as_deref()).await?;
    match command {
        PersonCommand::Add { handle, role, name, slack, .. } => {
            let mut body = person_body(handle, role, name.as_deref(), slack.as_deref());
            add(hub, &org, &mut body).await
        }
        PersonCommand::List { .. } => Ok(done()),
        PersonCommand::Disable { handle, .. } => update(hub, &org, handle, disabled(true)).await,
        PersonCommand::Enable { handle, .. } => update(hub, &org, handle, disabled(false)).await,
        PersonCommand::Role { handle, role, .. } => {
            let role = PersonRole::parse(role)
                .ok_or_else(|| AdminError(format!("the role must be one of {}", PersonRole::accepted())))?;
            update(hub, &org, handle, PersonPatch { role: Some(role), ..PersonPatch::default() }).await
        }
        PersonCommand::Slack { handle, user, .. } => {
            let mut body = Fields::from_iter([("slack_user_id".to_owned(), json!(user))]);
            update(hub, &org, handle, PersonPatch::read(&mut body)?).await
        }
        PersonCommand::Link { handle, reset_password, .. } => link(hub, &org, handle, *reset_password).await,
        PersonCommand::Remove { handle, .. } => {
            let id = id_of(&org, handle)?;
            identity::delete_person(hub, &admin(&org), &id).await?;
            note(hub, &org, "person.delete", &id).await?;
            Ok(done())
        }
    }
}

fn disabled(is_disabled: bool) -> PersonPatch {
    PersonPatch { is_disabled: Some(is_disabled), ..PersonPatch::default() }
}

/// The operator acts as if it had the organisation's secret, which it could replace.
fn admin(org: &Arc<OrgState>) -> AdminCaller {
    AdminCaller::by_secret(org.clone(), None)
}

fn id_of(org: &OrgState, handle: &str) -> Result<String, AdminError> {
    let person = org.person_by_handle(handle).ok_or_else(|| ApiError::not_found("Person"))?;
    Ok(person.id.to_string())
}

async fn add(hub: &Hub, org: &Arc<OrgState>, body: &mut Fields) -> Result<Value, AdminError> {
    let person = identity::create_person(hub, &admin(org), PersonDraft::read(body)?).await?;
    let id = person.id.to_string();
    note(hub, org, "person.create", &id).await?;
    let link = identity::create_link(hub, &admin(org), &id, LinkRequest { resets_password: false }).await?;
    Ok(shown(hub, org, json!(PersonView::from(&person.row)), &link))
}

fn shown(hub: &Hub, org: &OrgState, person: Value, link: &NewLink) -> Value {
    let config = hub.config();
    link_view(person, org.id.to_string(), &config.base_url(config.server.port), (&link.path(), link.expires_at))
}

async fn update(hub: &Hub, org: &Arc<OrgState>, handle: &str, patch: PersonPatch) -> Result<Value, AdminError> {
    let id = id_of(org, handle)?;
    let person = identity::update_person(hub, &admin(org), &id, patch).await?;
    note(hub, org, "person.update", &id).await?;
    Ok(json!(PersonView::from(&person.row)))
}

async fn link(hub: &Hub, org: &Arc<OrgState>, handle: &str, resets_password: bool) -> Result<Value, AdminError> {
    let id = id_of(org, handle)?;
    let link = identity::create_link(hub, &admin(org), &id, LinkRequest { resets_password }).await?;
    note(hub, org, "person.link_create", &id).await?;
    Ok(shown(hub, org, json!({ "id": id }), &link))
}

/// The organisation's trail says that an admin did this; the platform's says who it was.
async fn note(hub: &Hub, org: &OrgState, action: &'static str, person: &str) -> Result<(), AdminError> {
    let detail = json!({ "org": org.id, "by": "command line" });
    let row = AuditRow::new(None, hub.now(), None, action, "person", person, Some(detail));
    hub.store().write(0, move |conn| audit::insert(conn, &row)).await?;
    Ok(())
}
