//! Creating, changing and deleting the people of an organisation, their login links and their passwords.
//!
//! A change of a person's role or password, disabling and deleting end its sessions with the commit: in the database's
//! transaction, in the store of sessions, and the sockets. An admin cannot shut itself out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{actor_or_role, tell_session_store};
use crate::auth::{self, Client};
use crate::core::caller::{AdminCaller, Caller, PersonCaller};
use crate::core::org_state::{OrgState, Person};
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::PersonId;
use hxa_domain::limits::LOGIN_LINK_MS;
use hxa_domain::people::{LinkRequest, PasswordChange, PersonDraft, PersonPatch, handle_key};
use hxa_domain::secrets;
use hxa_domain::shares::Holder;
use hxa_store::people::PersonChanges;
use hxa_store::rows::{AuditRow, PersonLinkRow, PersonRow};
use hxa_store::sessions::Gone;
use hxa_store::{audit, people};

/// Hex digits of a login link's code.
const CODE_DIGITS: usize = 48;

/// Creates a person, who needs a login link to come in.
///
/// # Errors
/// 409 `LIMIT_REACHED` when there are enough, `CONFLICT` when the handle or the user in Slack is another one's.
pub async fn create_person(hub: &Hub, admin: &AdminCaller, draft: PersonDraft) -> ApiResult<Arc<Person>> {
    let now = hub.now();
    let row = PersonRow {
        id: PersonId::at(now),
        org_id: admin.org.id,
        handle_key: handle_key(draft.handle.as_str()),
        handle: draft.handle.as_str().to_owned(),
        display_name: draft.display_name,
        role: draft.role,
        slack_user_id: draft.slack_user_id,
        password_hash: None,
        is_disabled: false,
        created_at: now,
        updated_at: now,
    };
    let detail = json!({
        "handle": row.handle, "role": row.role, "slack_user_id": row.slack_user_id, "created_by": actor_or_role(admin),
    });
    let trail = trail(hub, admin, "person.create", row.id, detail);
    let (id, stored, most) = (row.id, row.clone(), hub.config().limits.people_per_org);
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            people::insert(conn, &stored, most)?;
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            org.put_person(row);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    now_of(admin, id)
}

/// Changes a person; returns it as it is then. Without its role, or disabled, its sessions end.
///
/// # Errors
/// 404 when there is no such person, 400 `SELF_DEMOTION`, 409 `CONFLICT` when the user in Slack is another one's.
pub async fn update_person(hub: &Hub, admin: &AdminCaller, id: &str, patch: PersonPatch) -> ApiResult<Arc<Person>> {
    let person = find(admin, id)?;
    let patch = without_same(patch, &person.row);
    if patch.is_empty() {
        return Ok(person);
    }
    let loses = patch.role.is_some_and(|role| !role.is_admin()) || patch.is_disabled == Some(true);
    if loses {
        refuse_self(admin, person.id, "take its own admin role away, or disable itself")?;
    }
    let (action, detail) = told(&patch, &person.row, admin);
    let changes = PersonChanges {
        display_name: patch.display_name,
        role: patch.role,
        slack_user_id: patch.slack_user_id,
        is_disabled: patch.is_disabled,
        ..PersonChanges::at(hub.now())
    };
    let trail = trail(hub, admin, action, person.id, detail);
    hub.charge(&Caller::Admin(admin.clone()), WriteClass::Admin, || 0)?;
    apply(hub, &admin.org, person.id, changes, trail).await?;
    now_of(admin, person.id)
}

/// What of a change is one: naming what is so already ends no sessions.
fn without_same(patch: PersonPatch, row: &PersonRow) -> PersonPatch {
    PersonPatch {
        display_name: patch.display_name.filter(|name| *name != row.display_name),
        role: patch.role.filter(|role| *role != row.role),
        slack_user_id: patch.slack_user_id.filter(|user| *user != row.slack_user_id),
        is_disabled: patch.is_disabled.filter(|is_disabled| *is_disabled != row.is_disabled),
    }
}

/// The action of a change and its detail, with what it replaces.
fn told(patch: &PersonPatch, row: &PersonRow, admin: &AdminCaller) -> (&'static str, Value) {
    let action = match (patch.is_disabled, patch.role) {
        (Some(true), _) => "person.disable",
        (Some(false), _) => "person.enable",
        (None, Some(_)) => "person.role_change",
        (None, None) => "person.update",
    };
    let mut detail = json!({ "handle": row.handle, "changed_by": actor_or_role(admin) });
    let mut note = |key: &str, value: Option<Value>| {
        if let (Some(fields), Some(value)) = (detail.as_object_mut(), value) {
            fields.insert(key.to_owned(), value);
        }
    };
    note("display_name", patch.display_name.as_ref().map(|name| json!(name)));
    note("old_role", patch.role.map(|_| json!(row.role)));
    note("role", patch.role.map(|role| json!(role)));
    note("slack_user_id", patch.slack_user_id.as_ref().map(|user| json!(user)));
    note("is_disabled", patch.is_disabled.map(Value::from));
    (action, detail)
}

/// Makes a change of columns that is paid for, with its audit row; the person in memory follows, and its sessions where
/// they end.
async fn apply(hub: &Hub, org: &Arc<OrgState>, id: PersonId, changes: PersonChanges, trail: AuditRow) -> ApiResult<()> {
    let ends = changes.ends_sessions();
    if ends {
        // Should the hub end right after the commit, no session of before is left behind.
        auth::end_sessions_with(hub.auth(), Gone::Person(id)).await?;
    }
    let owned = hub.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            let row = people::update(conn, id, &changes)?;
            audit::insert(conn, &trail)?;
            Ok(row)
        },
        move |org, row: &PersonRow| {
            org.put_person(row.clone());
            if ends {
                owned.auth().person_ended(org, id);
            }
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Hub(org.clone()), change).await?;
    if ends {
        tell_session_store(hub).await;
    }
    Ok(())
}

/// Deletes a person: its sessions end and its handle is free. What it did keeps its id.
///
/// # Errors
/// 404 when there is no such person, 400 `SELF_DEMOTION`.
pub async fn delete_person(hub: &Hub, admin: &AdminCaller, id: &str) -> ApiResult<()> {
    let person = find(admin, id)?;
    let id = person.id;
    refuse_self(admin, id, "delete itself")?;
    hub.charge(&Caller::Admin(admin.clone()), WriteClass::Admin, || 0)?;
    auth::end_sessions_with(hub.auth(), Gone::Person(id)).await?;
    let detail = json!({ "handle": person.handle(), "deleted_by": actor_or_role(admin) });
    let trail = trail(hub, admin, "person.delete", id, detail);
    let owned = hub.clone();
    let change = OrgChange::new(
        WriteClass::Admin,
        move |conn| {
            people::delete(conn, id)?;
            audit::insert(conn, &trail)
        },
        move |org, ()| {
            org.remove_person(id);
            owned.auth().person_ended(org, id);
            Vec::new()
        },
    );
    hub.orgs().ask(Caller::Hub(admin.org.clone()), change).await?;
    tell_session_store(hub).await;
    Ok(())
}

/// A login link that was just made.
pub struct NewLink {
    /// Its code; shown once.
    pub code: String,
    /// When it ends, ms.
    pub expires_at: i64,
}

impl NewLink {
    /// The path of the page that it opens.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/portal/login?code={}", self.code)
    }
}

/// Makes a login link for a person, in place of the one of before; it may end the person's password.
///
/// # Errors
/// 404 when there is no such person, 403 when it is disabled.
pub async fn create_link(hub: &Hub, admin: &AdminCaller, id: &str, request: LinkRequest) -> ApiResult<NewLink> {
    let person = find(admin, id)?;
    if !person.is_active() {
        return Err(ApiError::forbidden("The person is disabled; enable it first"));
    }
    let (id, now) = (person.id, hub.now());
    if request.resets_password && person.row.password_hash.is_some() {
        let changes = PersonChanges { password_hash: Some(None), ..PersonChanges::at(now) };
        let detail = json!({ "handle": person.handle(), "reset_by": actor_or_role(admin) });
        let trail = trail(hub, admin, "person.password_reset", id, detail);
        hub.charge(&Caller::Admin(admin.clone()), WriteClass::Admin, || 0)?;
        apply(hub, &admin.org, id, changes, trail).await?;
    }
    let link = NewLink { code: secrets::hex_token("lnk_", CODE_DIGITS), expires_at: now.saturating_add(LOGIN_LINK_MS) };
    let row = PersonLinkRow {
        code_hash: secrets::secret_hash(&link.code),
        person_id: id,
        org_id: admin.org.id,
        expires_at: link.expires_at,
        created_at: now,
    };
    let detail =
        json!({ "handle": person.handle(), "expires_at": link.expires_at, "created_by": actor_or_role(admin) });
    let trail = trail(hub, admin, "person.link_create", id, detail);
    let change = OrgChange::new(
        WriteClass::Credential,
        move |conn| {
            people::find(conn, id)?.ok_or_else(|| ApiError::not_found("Person"))?;
            people::put_link(conn, &row)?;
            audit::insert(conn, &trail)
        },
        |_, ()| Vec::new(),
    );
    hub.orgs().ask(Caller::Admin(admin.clone()), change).await?;
    Ok(link)
}

/// Sets the caller's own password. All its sessions end and a new one is opened; returns that and its cookie's value.
///
/// # Errors
/// 401 when `current_password` is wrong, 400 when it is missing and there is one, 429 while locked out.
pub async fn set_password(
    hub: &Hub,
    caller: &PersonCaller,
    change: PasswordChange,
    client: &Client,
) -> ApiResult<auth::Opened> {
    let person = &caller.person;
    hub.charge(&Caller::Person(caller.clone()), WriteClass::Credential, || 0)?;
    match (person.row.password_hash.is_some(), change.current) {
        (true, Some(current)) => auth::check_password(hub.auth(), caller, current, client).await?,
        (true, None) => return Err(ApiError::validation("current_password is required, because there is a password")),
        (false, _) => {}
    }
    let holders = (Holder::Org(caller.org.id), Holder::People);
    let hash = auth::hash_password(hub.auth(), holders, change.password).await?;
    let changes = PersonChanges { password_hash: Some(Some(hash)), ..PersonChanges::at(hub.now()) };
    let detail = json!({ "handle": person.handle(), "session": caller.session_ref });
    let (org, now) = (caller.org.id, hub.now());
    let trail = AuditRow::new(org, now, Some(caller.by()), "person.password_set", "person", person.id, Some(detail));
    apply(hub, &caller.org, person.id, changes, trail).await?;
    auth::open_again(hub.auth(), caller, client).await
}

fn find(admin: &AdminCaller, id: &str) -> ApiResult<Arc<Person>> {
    PersonId::parse(id).and_then(|id| admin.org.person(id)).ok_or_else(|| ApiError::not_found("Person"))
}

fn now_of(admin: &AdminCaller, id: PersonId) -> ApiResult<Arc<Person>> {
    admin.org.person(id).ok_or_else(|| ApiError::not_found("Person"))
}

fn refuse_self(admin: &AdminCaller, id: PersonId, what: &str) -> ApiResult<()> {
    if admin.person.as_ref().is_some_and(|own| own.id == id) {
        return Err(ApiError::new(ErrorCode::SelfDemotion, format!("An admin cannot {what}")));
    }
    Ok(())
}

fn trail(hub: &Hub, admin: &AdminCaller, action: &'static str, id: PersonId, detail: Value) -> AuditRow {
    AuditRow::new(admin.org.id, hub.now(), admin.actor(), action, "person", id, Some(detail))
}
