//! Replacing a bot's primary token.
//!
//! The new token is valid from the commit on. The old one ends with it, and so do the sockets and people's sessions
//! that were opened with it; or it continues for a grace period as a scoped token with full scope, so that it expires,
//! is listed and can be revoked like any other. The scoped tokens that it created are independent credentials and stay,
//! unless the rotation ends them too.

use serde_json::json;

use super::credentials::token_room;
use super::register::primary_token;
use super::tell_session_store;
use crate::core::caller::{BotCaller, Caller, refuse_scoped};
use crate::fanout::broker::{Credentials, Selection};
use crate::fanout::send_queue::close;
use crate::hub::Hub;
use crate::org::OrgChange;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::grants::{RotationRequest, expiry};
use hxa_domain::ids::{BotId, OrgId, TokenId};
use hxa_domain::scope::ScopeSet;
use hxa_domain::secrets;
use hxa_store::rows::{AuditRow, BotTokenRow};
use hxa_store::{accounts, audit, bots, sessions};

/// A new primary token; shown once.
pub struct NewPrimary {
    /// The token.
    pub token: String,
    /// When the old one ends, ms; `None` when it has ended.
    pub old_until: Option<i64>,
}

/// Replaces the caller's primary token; the old one lives on for a while, and the bot's scoped tokens end if asked for.
///
/// # Errors
/// 403 for a caller with a scoped token: the new primary token would not end with it; 409 when another rotation came
/// first.
pub async fn rotate_token(hub: &Hub, caller: &BotCaller, request: RotationRequest) -> ApiResult<NewPrimary> {
    refuse_scoped(caller.token, "replace the primary token")?;
    let (now, token, bot) = (hub.now(), primary_token(), &caller.bot.row);
    let old_until = (request.grace_ms > 0).then(|| expiry(now, request.grace_ms));
    let kept = old_until.map(|until| BotTokenRow {
        id: TokenId::at(now),
        bot_id: bot.id,
        token_hash: bot.token_hash.clone(),
        scopes: ScopeSet::FULL.to_stored(),
        label: Some("the primary token of before".to_owned()),
        expires_at: Some(until),
        created_at: now,
        last_used_at: None,
        parent_id: None,
    });
    let detail = json!({
        "old_until": old_until, "by_human": caller.human.is_some(), "revoke_tokens": request.revokes_tokens,
    });
    let own = Some(bot.id.to_string());
    let trail = AuditRow::new(caller.org.id, now, own, "bot.token_rotate", "bot", bot.id, Some(detail));
    let rotation = Rotation {
        org: caller.org.id,
        bot: caller.bot.id,
        old: bot.token_hash.clone(),
        new: secrets::secret_hash(&token),
        revokes_tokens: request.revokes_tokens,
    };
    hub.orgs().ask(Caller::Bot(caller.clone()), rotation.into_change(hub, kept, trail)).await?;
    tell_session_store(hub).await;
    Ok(NewPrimary { token, old_until })
}

/// Hashes of the two tokens of a bot, and whether its scoped tokens end as well.
struct Rotation {
    org: OrgId,
    bot: BotId,
    old: String,
    new: String,
    revokes_tokens: bool,
}

impl Rotation {
    fn into_change(self, hub: &Hub, kept: Option<BotTokenRow>, trail: AuditRow) -> OrgChange<Vec<BotTokenRow>> {
        let (hub, bot, old, new) = (hub.clone(), self.bot, self.old.clone(), self.new.clone());
        let room = token_room(&hub, self.org);
        OrgChange::new(
            WriteClass::Credential,
            move |conn| {
                if !bots::replace_token(conn, self.bot, &self.old, &self.new)? {
                    return Err(ApiError::new(ErrorCode::Conflict, "The token was replaced meanwhile").into());
                }
                let revoked = if self.revokes_tokens { accounts::delete_tokens(conn, self.bot)? } else { Vec::new() };
                if let Some(kept) = &kept {
                    accounts::insert_token(conn, kept, room)?;
                }
                sessions::delete_of_primary(conn, self.bot)?;
                audit::insert(conn, &trail)?;
                Ok(revoked)
            },
            move |org, revoked: &Vec<BotTokenRow>| {
                org.change_bot(bot, |row| row.token_hash = new);
                let ended = hub.auth().primary_replaced(bot, &old);
                let ended = Credentials { primary_of: Some(bot), sessions: ended, ..Credentials::default() };
                org.channel().close(&close::TOKEN_ENDED, &Selection::Credentials(ended));
                hub.auth().tokens_revoked(org, bot, revoked);
                Vec::new()
            },
        )
    }
}
