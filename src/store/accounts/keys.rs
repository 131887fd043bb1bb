//! Queries on agents' keys: scoped tokens that cover requests to people and nothing else.
//!
//! A key is a row like that of every scoped token; its scopes alone tell that it is one. So a token that a bot made for
//! itself with the same scopes is listed and revoked as a key, too.

use diesel::prelude::*;

use super::{TokenRoom, insert_token};
use crate::connection::MultiBackend;
use crate::page::Page;
use crate::rows::BotTokenRow;
use crate::schema::{bot_tokens, bots};
use crate::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::ApiError;
use hxa_domain::ids::{BotId, OrgId, TokenId};

/// The scopes of keys as they are stored.
const SCOPES: [&str; 4] =
    [r#"["coordinate"]"#, r#"["coordinate","respond"]"#, r#"["respond","coordinate"]"#, r#"["respond"]"#];

/// A key, and whose it is.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// The token.
    pub token: BotTokenRow,
    /// The name of its bot.
    pub agent: String,
    /// The bot's organisation.
    pub org: OrgId,
}

impl From<(BotTokenRow, String, OrgId)> for KeyRow {
    fn from((token, agent, org): (BotTokenRow, String, OrgId)) -> Self {
        Self { token, agent, org }
    }
}

/// A key, whichever organisation it belongs to.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: TokenId) -> Result<Option<KeyRow>, DbError> {
    let found = bot_tokens::table
        .inner_join(bots::table.on(bots::id.eq(bot_tokens::bot_id)))
        .filter(bot_tokens::id.eq(id))
        .filter(bot_tokens::scopes.eq_any(SCOPES))
        .select((BotTokenRow::as_select(), bots::name, bots::org_id))
        .first::<(BotTokenRow, String, OrgId)>(conn)
        .optional()?;
    Ok(found.map(KeyRow::from))
}

/// The keys of an organisation, or of all, newest first; expired ones included.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &mut DbConnection,
    org: Option<OrgId>,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Page<KeyRow>, DbError> {
    use bot_tokens as t;
    let (at, id) = after.map_or((i64::MAX, ""), |after| (after.t, after.id.as_str()));
    let mut keys = t::table
        .inner_join(bots::table.on(bots::id.eq(t::bot_id)))
        .filter(t::scopes.eq_any(SCOPES))
        .filter(t::created_at.lt(at).or(t::created_at.eq(at).and(t::id.lt(id))))
        .into_boxed::<MultiBackend>();
    if let Some(org) = org {
        keys = keys.filter(bots::org_id.eq(org));
    }
    let newest_first = keys.order((t::created_at.desc(), t::id.desc())).limit(Page::<KeyRow>::asked(limit));
    let rows: Vec<(BotTokenRow, String, OrgId)> =
        newest_first.select((BotTokenRow::as_select(), bots::name, bots::org_id)).load(conn)?;
    Ok(Page::cut(rows, limit).map(KeyRow::from))
}

/// Adds a key of a bot.
///
/// # Errors
/// `NOT_FOUND` when the bot was deleted meanwhile, `LIMIT_REACHED` when there is no room for it.
pub fn insert(conn: &mut DbConnection, row: &BotTokenRow, room: TokenRoom) -> Result<(), DbError> {
    let bot: Option<BotId> = bots::table.find(row.bot_id).select(bots::id).first(conn).optional()?;
    if bot.is_none() {
        return Err(ApiError::not_found("Bot").into());
    }
    insert_token(conn, row, room)
}

#[cfg(test)]
mod tests {
    use hxa_domain::scope::ScopeSet;

    use super::*;

    #[test]
    fn stored_scopes_of_keys_are_known() {
        for text in SCOPES {
            let set = ScopeSet::from_stored(text);
            assert!(set.is_key() && set.to_stored() == text, "{text}");
        }
        for set in [ScopeSet::KEY, ScopeSet::RESPONDING_KEY] {
            assert!(SCOPES.contains(&set.to_stored().as_str()), "{set:?}");
        }
    }
}
