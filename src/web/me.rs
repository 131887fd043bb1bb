//! `/api/me*`: the current bot: its profile, its name, its scoped tokens, its owners' sessions, its deletion.

use actix_web::{HttpRequest, delete, get, patch, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::guard::{Bot, needs};
use super::org_access::SessionPage;
use super::params::Params;
use super::routing::Routes;
use super::shapes::{DELETED, DONE, Deleted, Done, DoneWithMessage};
use super::{Answer, answer, bots, examples, list, org_access};
use hxa_domain::cursor::Cursor;
use hxa_domain::grants::{RotationRequest, TokenRequest};
use hxa_domain::ids::{BotId, TokenId};
use hxa_domain::profile::{MetadataChange, ProfilePatch, Renaming};
use hxa_domain::query::Query;
use hxa_domain::scope::Scope;
use hxa_hub::hub::Hub;
use hxa_hub::identity::{self, Deleter};
use hxa_hub::wire::{BotView, StoredJson};
use hxa_store::rows::BotTokenRow;
use hxa_store::sessions::Holder;
use hxa_store::{DbConnection, accounts};

/// The routes of this file.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(show_me).service(delete_me).service(update_my_profile).service(rename_me);
    routes.service(replace_my_metadata);
    routes.service(list_my_sessions).service(end_my_session);
    routes.service(rotate_my_token).service(create_my_token).service(list_my_tokens).service(revoke_my_token);
}

/// Get the current bot
#[utoipa::path(
    tag = "Me", operation_id = "me_get",
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[get("/api/me")]
async fn show_me(caller: Bot<needs::Read>) -> Answer {
    answer::ok(&bots::view(&caller.org, &caller.bot))
}

/// Delete the current bot
///
/// Its credentials end, its sockets close, what it wrote stays, and its name is blocked until an admin releases it.
#[utoipa::path(
    tag = "Me", operation_id = "me_delete",
    responses((status = 200, description = "Deleted.", body = DoneWithMessage, example = json!({ "ok": true, "message": "Bot \"reviewer\" deleted" }))),
)]
#[delete("/api/me")]
async fn delete_me(hub: web::Data<Hub>, caller: Bot<needs::Full>) -> Answer {
    let name = identity::delete_bot(&hub, Deleter::Itself(&caller)).await?;
    answer::ok(&DoneWithMessage::new(format!("Bot {name:?} deleted")))
}

/// Update the current bot's profile
///
/// Any of the twelve profile fields; null clears one; other fields are ignored.
#[utoipa::path(
    tag = "Me", operation_id = "me_profile_update",
    request_body(content = ProfilePatch, example = json!({ "status_text": "on holiday", "tags": ["rust"], "bio": null })),
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[patch("/api/me/profile")]
async fn update_my_profile(hub: web::Data<Hub>, caller: Bot<needs::Profile>, mut body: Body<ProfilePatch>) -> Answer {
    let bot = identity::update_profile(&hub, &caller, &body.draft()?).await?;
    answer::ok(&bots::view(&caller.org, &bot))
}

/// Replace the current bot's metadata
///
/// Any JSON of at most 16 KiB, kept as it is and shown to everybody in the organisation; null takes it away.
#[utoipa::path(
    tag = "Me", operation_id = "me_metadata_replace",
    request_body(content = MetadataChange, example = json!({ "metadata": { "repository": "https://example.com/reviewer" } })),
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[patch("/api/me/metadata")]
async fn replace_my_metadata(
    hub: web::Data<Hub>,
    caller: Bot<needs::Profile>,
    mut body: Body<MetadataChange>,
) -> Answer {
    let bot = identity::set_metadata(&hub, &caller, body.draft()?.metadata).await?;
    answer::ok(&bots::view(&caller.org, &bot))
}

/// Rename the current bot
///
/// Everybody in the organisation hears `bot_renamed`. The old name is free at once.
#[utoipa::path(
    tag = "Me", operation_id = "me_rename",
    request_body(content = Renaming, example = json!({ "name": "reviewer-2" })),
    responses((status = 200, description = "The bot.", body = BotView, example = json!(examples::bot()))),
)]
#[patch("/api/me/name")]
async fn rename_me(hub: web::Data<Hub>, caller: Bot<needs::Profile>, mut body: Body<Renaming>) -> Answer {
    let name = body.draft()?.from(&caller.bot.row.name)?;
    let bot = identity::rename(&hub, &caller, name).await?;
    answer::ok(&bots::view(&caller.org, &bot))
}

/// A bot's new primary token.
#[derive(Serialize, ToSchema)]
struct RotatedToken<'a> {
    bot_id: BotId,
    token: &'a str,
    /// Until when the old one works, if it still does.
    #[schema(required)]
    old_token_expires_at: Option<i64>,
}

/// Rotate the current bot's primary token
///
/// The new token is shown once. Sockets and people's sessions opened with the old one end. With `grace_seconds` (at most
/// a day) the old one still works that long, as a scoped token that is listed and can be revoked. The bot's scoped tokens
/// stay, unless `revoke_tokens` is true. Only the primary token can do this, or a session that was opened with it.
#[utoipa::path(
    tag = "Me", operation_id = "me_token_rotate",
    request_body(content = RotationRequest, example = json!({ "grace_seconds": 600, "revoke_tokens": false })),
    responses(
        (status = 200, description = "The new token.", body = RotatedToken, example = json!({
            "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab", "token": "bot_1a2b…48 hex digits",
            "old_token_expires_at": 1_732_170_600_000_i64
        })),
        (status = 403, description = "`INSUFFICIENT_SCOPE`, or `FORBIDDEN` for a scoped token"),
        (status = 409, description = "`CONFLICT` when another rotation came first"),
    ),
)]
#[post("/api/me/rotate-token")]
async fn rotate_my_token(hub: web::Data<Hub>, caller: Bot<needs::Full>, mut body: Body<RotationRequest>) -> Answer {
    let new = identity::rotate_token(&hub, &caller, body.draft()?).await?;
    answer::ok(&RotatedToken { bot_id: caller.bot.id, token: &new.token, old_token_expires_at: new.old_until })
}

/// A scoped token as its owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView<'a> {
    id: TokenId,
    /// Only where it has just been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<&'a str>,
    #[schema(value_type = Vec<Scope>)]
    scopes: StoredJson<'a>,
    #[schema(required)]
    label: Option<&'a str>,
    /// Null when it never expires.
    #[schema(required)]
    expires_at: Option<i64>,
    created_at: i64,
    #[schema(required)]
    last_used_at: Option<i64>,
}

impl<'a> TokenView<'a> {
    /// The view of a row; with the token only where it has just been made.
    #[must_use]
    pub fn new(row: &'a BotTokenRow, token: Option<&'a str>, last_used_at: Option<i64>) -> Self {
        Self {
            id: row.id,
            token,
            scopes: StoredJson::or_empty_list(Some(&row.scopes)),
            label: row.label.as_deref(),
            expires_at: row.expires_at,
            created_at: row.created_at,
            last_used_at,
        }
    }
}

/// Create a scoped token
///
/// `expires_in` is in milliseconds. A token made with a scoped token ends with that, when it expires and when it is
/// revoked. The token is shown once.
#[utoipa::path(
    tag = "Me", operation_id = "me_tokens_create",
    request_body(content = TokenRequest, example = json!({ "scopes": ["read", "message"], "label": "phone", "expires_in": 86_400_000 })),
    responses((status = 200, description = "The token.", body = TokenView, example = json!({
        "id": "0192f0c2-2345-7abc-8def-0123456789ab", "token": "scoped_1a2b…48 hex digits", "scopes": ["read", "message"],
        "label": "phone", "expires_at": 1_732_256_400_000_i64, "created_at": 1_732_170_000_000_i64, "last_used_at": null
    }))),
)]
#[post("/api/me/tokens")]
async fn create_my_token(hub: web::Data<Hub>, caller: Bot<needs::Full>, mut body: Body<TokenRequest>) -> Answer {
    let new = identity::create_token(&hub, &caller, body.draft()?).await?;
    answer::ok(&TokenView::new(&new.row, Some(&new.token), None))
}

/// List the current bot's scoped tokens
///
/// Newest first, without the tokens themselves; expired ones stay until they are cleaned up. A list that does not fit into an
/// answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Me", operation_id = "me_tokens_list",
    params(("after" = Option<String>, Query, description = "Only tokens after this one, as the `Link` before said.")),
    responses((status = 200, description = "The tokens.", body = Vec<TokenView>, example = json!([{
        "id": "0192f0c2-2345-7abc-8def-0123456789ab", "scopes": ["read", "message"], "label": "phone",
        "expires_at": 1_732_256_400_000_i64, "created_at": 1_732_170_000_000_i64, "last_used_at": 1_732_170_500_000_i64
    }]))),
)]
#[get("/api/me/tokens")]
async fn list_my_tokens(hub: web::Data<Hub>, caller: Bot<needs::Full>, params: Params, request: HttpRequest) -> Answer {
    let (bot, after, most) =
        (caller.bot.id, params.filled("after").and_then(Cursor::decode), hub.config().server.max_answer_bytes);
    let known = hub.get_ref().clone();
    let read = move |conn: &mut DbConnection| {
        let page = accounts::list_tokens(conn, bot, after.as_ref(), list::ARRAY_ROWS)?;
        let view = |row| TokenView::new(row, None, last_used(&known, row));
        let next = |row: &BotTokenRow| ("after", Cursor::new(row.created_at, row.id).encode());
        Ok(list::array(most, &page, view, next)?)
    };
    list::answer(&hub, &request, hub.store().read_for(caller.org.id, read).await?)
}

/// When a token was last used; memory knows of it before the database does.
fn last_used(hub: &Hub, row: &BotTokenRow) -> Option<i64> {
    hub.auth().token_last_used(row.id).max(row.last_used_at)
}

/// Revoke a scoped token
///
/// It stops working at once, and so do the tokens and tickets that it made, and what those made in turn; sessions and
/// sockets opened with any of them end.
#[utoipa::path(
    tag = "Me", operation_id = "me_token_revoke",
    params(("id" = String, Path, description = "The token's id.")),
    responses((status = 200, description = "Revoked.", body = Done, example = json!({ "ok": true }))),
)]
#[delete("/api/me/tokens/{id}")]
async fn revoke_my_token(hub: web::Data<Hub>, caller: Bot<needs::Full>, id: web::Path<String>) -> Answer {
    identity::revoke_token(&hub, &caller, &id).await?;
    answer::ok(&DONE)
}

/// List the current bot's sessions
///
/// Live sessions of the people behind the bot, newest first, each under its reference.
#[utoipa::path(
    tag = "Me", operation_id = "me_sessions_list",
    params(
        ("limit" = Option<i64>, Query, description = "Rows per page, 1 to 100, 20 by default."),
        ("offset" = Option<i64>, Query, description = "Rows to skip."),
    ),
    responses((status = 200, description = "A page.", body = SessionPage, example = json!(examples::session_page()))),
)]
#[get("/api/me/sessions")]
async fn list_my_sessions(hub: web::Data<Hub>, caller: Bot<needs::Full>, request: HttpRequest) -> Answer {
    let query = Query::parse(request.query_string());
    answer::ok(&org_access::session_page(&hub, Holder::Bot(caller.bot.id), &query).await?)
}

/// End a session of the current bot
///
/// By its reference; its sockets close. The session that asks ends by logging out.
#[utoipa::path(
    tag = "Me", operation_id = "me_session_delete",
    params(("reference" = String, Path, description = "The session's reference, 16 hex digits.")),
    responses((status = 200, description = "Ended.", body = Deleted, example = json!({ "deleted": true }))),
)]
#[delete("/api/me/sessions/{reference}")]
async fn end_my_session(hub: web::Data<Hub>, caller: Bot<needs::Full>, reference: web::Path<String>) -> Answer {
    identity::end_own_session(&hub, &caller, &reference).await?;
    answer::ok(&DELETED)
}
