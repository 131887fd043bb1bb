//! `/api/org/keys*`: keys with which an organisation's agents ask people.

use crate::routing::Routes;
use actix_web::{HttpRequest, delete, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::OrgAdmin;
use super::params::Params;
use super::shapes::{DELETED, Deleted};
use super::{Answer, answer, list};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::{BotId, TokenId};
use hxa_domain::keys::KeyRequest;
use hxa_domain::scope::{Scope, ScopeSet};
use hxa_hub::hub::Hub;
use hxa_hub::identity;
use hxa_store::DbConnection;
use hxa_store::accounts::keys::{self, KeyRow};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(create_key).service(list_keys).service(revoke_key);
}

/// An agent's key as an organisation's admins see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView<'a> {
    id: TokenId,
    /// Only where it has just been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<&'a str>,
    /// The name of the agent's bot.
    agent_id: &'a str,
    bot_id: BotId,
    #[schema(required)]
    label: Option<&'a str>,
    /// Whether it may answer requests, too.
    allow_respond: bool,
    /// Null when it never expires.
    #[schema(required)]
    expires_at: Option<i64>,
    created_at: i64,
    #[schema(required)]
    last_used_at: Option<i64>,
}

impl<'a> KeyView<'a> {
    /// The view of a row; with the key only where it has just been made.
    #[must_use]
    pub fn new(row: &'a KeyRow, key: Option<&'a str>, last_used_at: Option<i64>) -> Self {
        let token = &row.token;
        Self {
            id: token.id,
            key,
            agent_id: &row.agent,
            bot_id: token.bot_id,
            label: token.label.as_deref(),
            allow_respond: ScopeSet::from_stored(&token.scopes).holds(Scope::Respond),
            expires_at: token.expires_at,
            created_at: token.created_at,
            last_used_at,
        }
    }
}

/// When a key was last used; memory knows of it before the database does.
#[must_use]
pub fn last_used(hub: &Hub, row: &KeyRow) -> Option<i64> {
    hub.auth().token_last_used(row.token.id).max(row.token.last_used_at)
}

/// Create an agent's key
///
/// The agent is a bot, by its name or id. If there is no bot of that name, it is made: active, and without a primary
/// token that anybody knows. The key covers requests to people and nothing else; only with `allow_respond` it may answer
/// them, too. `expires_in` is in seconds. The key is shown once. Admin bots need their primary token for this.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_keys_create",
    request_body(content = KeyRequest, example = json!({ "agent_id": "deployer", "label": "production", "expires_in": 7_776_000 })),
    responses(
        (status = 201, description = "The key.", body = KeyView, example = json!({
            "id": "0192f0c6-2345-7abc-8def-0123456789ab", "key": "hcp_1a2b…64 hex digits", "agent_id": "deployer",
            "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "label": "production", "allow_respond": false,
            "expires_at": 1_739_946_000_000_i64, "created_at": 1_732_170_000_000_i64, "last_used_at": null
        })),
        (status = 403, description = "`INSUFFICIENT_SCOPE`, `FORBIDDEN` for a scoped token, or `BOT_NOT_ACTIVE`"),
        (status = 409, description = "`NAME_TOMBSTONED` for the name of a deleted bot, or `LIMIT_REACHED`"),
    ),
)]
#[post("/api/org/keys")]
async fn create_key(hub: web::Data<Hub>, admin: OrgAdmin, mut body: Body<KeyRequest>) -> Answer {
    let new = identity::create_key(&hub, &admin, body.draft()?).await?;
    answer::created(&KeyView::new(&new.row, Some(&new.key), None))
}

/// List agents' keys
///
/// Newest first, without the keys themselves; expired ones stay until they are cleaned up. Tokens with the same scopes that
/// bots made for themselves are among them. A list that does not fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_keys_list",
    params(("after" = Option<String>, Query, description = "Only keys after this one, as the `Link` before said.")),
    responses((status = 200, description = "The keys.", body = Vec<KeyView>, example = json!([{
        "id": "0192f0c6-2345-7abc-8def-0123456789ab", "agent_id": "deployer",
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "label": "production", "allow_respond": false,
        "expires_at": 1_739_946_000_000_i64, "created_at": 1_732_170_000_000_i64, "last_used_at": 1_732_170_500_000_i64
    }]))),
)]
#[get("/api/org/keys")]
async fn list_keys(hub: web::Data<Hub>, admin: OrgAdmin, params: Params, request: HttpRequest) -> Answer {
    let (org, after, most) =
        (admin.org.id, params.filled("after").and_then(Cursor::decode), hub.config().server.max_answer_bytes);
    let known = hub.get_ref().clone();
    let read = move |conn: &mut DbConnection| {
        let page = keys::list(conn, Some(org), after.as_ref(), list::ARRAY_ROWS)?;
        let view = |row| KeyView::new(row, None, last_used(&known, row));
        let next = |row: &KeyRow| ("after", Cursor::new(row.token.created_at, row.token.id).encode());
        Ok(list::array(most, &page, view, next)?)
    };
    list::answer(&hub, &request, hub.store().read_for(org, read).await?)
}

/// Revoke an agent's key
///
/// It stops working at once. Its bot stays, and so do the bot's other keys and tokens.
#[utoipa::path(
    tag = "Organisation", operation_id = "org_key_revoke",
    params(("id" = String, Path, description = "The key's id.")),
    responses((status = 200, description = "Revoked.", body = Deleted, example = json!({ "deleted": true }))),
)]
#[delete("/api/org/keys/{id}")]
async fn revoke_key(hub: web::Data<Hub>, admin: OrgAdmin, id: web::Path<String>) -> Answer {
    identity::revoke_key(&hub, &admin, &id).await?;
    answer::ok(&DELETED)
}
