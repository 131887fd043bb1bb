//! Queries on credentials: bot tokens, found by their hash, and the platform's invite codes.
//!
//! Secrets are stored as hashes only, except invite codes, which the operator can read again in the list.

pub mod keys;

use diesel::prelude::*;

use super::page::Page;
use super::rows::{BotTokenRow, InviteCodeRow};
use super::schema::{bot_tokens, bots, invite_codes};
use super::{DbConnection, DbError};
use hxa_domain::cursor::Cursor;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{BotId, InviteId, OrgId, TokenId};
use hxa_domain::scope::ScopeSet;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// The bot's organisation.
    pub org: OrgId,
    /// The bot.
    pub bot: BotId,
    /// The scoped token; `None` for the primary one.
    pub token: Option<TokenId>,
    /// What it covers.
    pub scopes: ScopeSet,
    /// When it ends, ms; only scoped tokens do.
    pub expires_at: Option<i64>,
}

/// Finds the bot behind a token's hash: primary tokens first, then scoped ones, expired or not.
///
/// # Errors
/// When the database fails.
pub fn find_credential(conn: &mut DbConnection, hash: &str) -> Result<Option<Credential>, DbError> {
    let primary: Option<(OrgId, BotId)> =
        bots::table.filter(bots::token_hash.eq(hash)).select((bots::org_id, bots::id)).first(conn).optional()?;
    if let Some((org, bot)) = primary {
        return Ok(Some(Credential { org, bot, token: None, scopes: ScopeSet::FULL, expires_at: None }));
    }
    type Scoped = (OrgId, BotId, TokenId, String, Option<i64>);
    let scoped: Option<Scoped> = bot_tokens::table
        .inner_join(bots::table.on(bots::id.eq(bot_tokens::bot_id)))
        .filter(bot_tokens::token_hash.eq(hash))
        .select((bots::org_id, bots::id, bot_tokens::id, bot_tokens::scopes, bot_tokens::expires_at))
        .first(conn)
        .optional()?;
    Ok(scoped.map(|(org, bot, token, scopes, expires_at)| {
        let scopes = ScopeSet::from_stored(&scopes);
        Credential { org, bot, token: Some(token), scopes, expires_at }
    }))
}

/// One scoped token.
///
/// # Errors
/// When the database fails.
pub fn find_token(conn: &mut DbConnection, id: TokenId) -> Result<Option<BotTokenRow>, DbError> {
    Ok(bot_tokens::table.find(id).select(BotTokenRow::as_select()).first(conn).optional()?)
}

/// The scoped tokens of a bot, newest first, expired ones included.
///
/// # Errors
/// When the database fails.
pub fn list_tokens(
    conn: &mut DbConnection,
    bot: BotId,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Page<BotTokenRow>, DbError> {
    use bot_tokens as t;
    let (at, id) = after.map_or((i64::MAX, ""), |after| (after.t, after.id.as_str()));
    let rows = t::table
        .filter(t::bot_id.eq(bot))
        .filter(t::created_at.lt(at).or(t::created_at.eq(at).and(t::id.lt(id))))
        .order((t::created_at.desc(), t::id.desc()))
        .limit(Page::<BotTokenRow>::asked(limit))
        .select(BotTokenRow::as_select())
        .load(conn)?;
    Ok(Page::cut(rows, limit))
}

/// How many tokens that have not ended there may be.
#[derive(Debug, Clone, Copy)]
pub struct TokenRoom {
    /// The bot's organisation.
    pub org: OrgId,
    /// Of one bot.
    pub per_bot: usize,
    /// Of all bots of the organisation.
    pub per_org: usize,
}

/// Refuses when the scoped token that makes something has ended since its bearer was let in.
///
/// # Errors
/// `INVALID_TOKEN`.
pub fn check_maker(conn: &mut DbConnection, maker: Option<TokenId>) -> Result<(), DbError> {
    let Some(maker) = maker else { return Ok(()) };
    let found: Option<TokenId> = bot_tokens::table.find(maker).select(bot_tokens::id).first(conn).optional()?;
    match found {
        Some(_) => Ok(()),
        None => Err(ApiError::new(ErrorCode::InvalidToken, "The token that asks has been revoked").into()),
    }
}

/// Adds a scoped token.
///
/// # Errors
/// `INVALID_TOKEN` when the one that makes it is gone, `LIMIT_REACHED` when there is no room for it.
pub fn insert_token(conn: &mut DbConnection, row: &BotTokenRow, room: TokenRoom) -> Result<(), DbError> {
    check_maker(conn, row.parent_id)?;
    let lives = || bot_tokens::expires_at.is_null().or(bot_tokens::expires_at.gt(row.created_at));
    let tokens = || bot_tokens::table.filter(lives());
    let of_bot: i64 = tokens().filter(bot_tokens::bot_id.eq(row.bot_id)).count().get_result(conn)?;
    if !has_room(of_bot, room.per_bot) {
        return Err(ApiError::limit_reached("bot", "scoped tokens", room.per_bot).into());
    }
    let bots = bots::table.filter(bots::org_id.eq(room.org)).select(bots::id);
    let of_org: i64 = tokens().filter(bot_tokens::bot_id.eq_any(bots)).count().get_result(conn)?;
    if !has_room(of_org, room.per_org) {
        return Err(ApiError::limit_reached("organisation", "scoped tokens", room.per_org).into());
    }
    diesel::insert_into(bot_tokens::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// Whether one more fits.
pub(super) fn has_room(count: i64, most: usize) -> bool {
    usize::try_from(count).unwrap_or(0) < most
}

/// Deletes a bot's scoped token and all that it made: tokens, what those made in turn, tickets, and the sessions opened
/// with any of them. Returns every token that is gone; nothing when the bot has no such token.
///
/// # Errors
/// When the database fails.
pub fn delete_token(conn: &mut DbConnection, bot: BotId, id: TokenId) -> Result<Vec<BotTokenRow>, DbError> {
    let gone = descent(all_tokens(conn, bot)?, id);
    if !gone.is_empty() {
        diesel::delete(bot_tokens::table.find(id)).execute(conn)?;
    }
    Ok(gone)
}

/// Deletes all scoped tokens of a bot, with what they made; returns them.
///
/// # Errors
/// When the database fails.
pub fn delete_tokens(conn: &mut DbConnection, bot: BotId) -> Result<Vec<BotTokenRow>, DbError> {
    let gone = all_tokens(conn, bot)?;
    diesel::delete(bot_tokens::table.filter(bot_tokens::bot_id.eq(bot))).execute(conn)?;
    Ok(gone)
}

/// All scoped tokens of a bot; there is a limit to how many it may have.
fn all_tokens(conn: &mut DbConnection, bot: BotId) -> Result<Vec<BotTokenRow>, DbError> {
    Ok(list_tokens(conn, bot, None, i64::MAX)?.rows)
}

/// A token of these and all that descend from it.
fn descent(mut others: Vec<BotTokenRow>, id: TokenId) -> Vec<BotTokenRow> {
    let mut found: Vec<BotTokenRow> = others.extract_if(.., |row| row.id == id).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|row| row.id) {
        found.extend(others.extract_if(.., |row| row.parent_id == Some(parent)));
        next += 1;
    }
    found
}

/// Notes when scoped tokens were last used.
///
/// # Errors
/// When the database fails.
pub fn touch_tokens(conn: &mut DbConnection, used: &[(TokenId, i64)]) -> Result<(), DbError> {
    for (id, at) in used {
        diesel::update(bot_tokens::table.find(id)).set(bot_tokens::last_used_at.eq(Some(*at))).execute(conn)?;
    }
    Ok(())
}

// --- invite codes ---

/// Adds an invite code.
///
/// # Errors
/// When the database fails.
pub fn insert_invite(conn: &mut DbConnection, row: &InviteCodeRow) -> Result<(), DbError> {
    diesel::insert_into(invite_codes::table).values(row.clone()).execute(conn)?;
    Ok(())
}

/// All invite codes, newest first.
///
/// # Errors
/// When the database fails.
pub fn list_invites(
    conn: &mut DbConnection,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Page<InviteCodeRow>, DbError> {
    use invite_codes as c;
    let (at, id) = after.map_or((i64::MAX, ""), |after| (after.t, after.id.as_str()));
    let rows = c::table
        .filter(c::created_at.lt(at).or(c::created_at.eq(at).and(c::id.lt(id))))
        .order((c::created_at.desc(), c::id.desc()))
        .limit(Page::<InviteCodeRow>::asked(limit))
        .select(InviteCodeRow::as_select())
        .load(conn)?;
    Ok(Page::cut(rows, limit))
}

/// Deletes an invite code; false when there is none.
///
/// # Errors
/// When the database fails.
pub fn delete_invite(conn: &mut DbConnection, id: InviteId) -> Result<bool, DbError> {
    Ok(diesel::delete(invite_codes::table.find(id)).execute(conn)? > 0)
}

/// Uses an invite code once; `None` when it is unknown, expired or exhausted. The condition and the count are one
/// statement, so of two takers of the last use one loses.
///
/// # Errors
/// When the database fails.
pub fn use_invite(conn: &mut DbConnection, hash: &str, now: i64) -> Result<Option<String>, DbError> {
    let is_alive = invite_codes::expires_at.eq(0).or(invite_codes::expires_at.gt(now));
    let is_left = invite_codes::max_uses.eq(0).or(invite_codes::use_count.lt(invite_codes::max_uses));
    let open = invite_codes::table.filter(invite_codes::code_hash.eq(hash)).filter(is_alive).filter(is_left);
    let used = diesel::update(open).set(invite_codes::use_count.eq(invite_codes::use_count + 1)).execute(conn)?;
    if used == 0 {
        return Ok(None);
    }
    let id = invite_codes::table.filter(invite_codes::code_hash.eq(hash)).select(invite_codes::id).first(conn)?;
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Ids in the order of their names.
    fn id_of(name: char) -> TokenId {
        TokenId::from_uuid(Uuid::from_u128(u128::from(name)))
    }

    fn token(name: char, parent: Option<char>) -> BotTokenRow {
        BotTokenRow {
            id: id_of(name),
            bot_id: BotId::random(),
            token_hash: String::new(),
            scopes: String::new(),
            label: None,
            expires_at: None,
            created_at: 0,
            last_used_at: None,
            parent_id: parent.map(id_of),
        }
    }

    #[test]
    fn what_a_token_made_descends_from_it() {
        let all = || {
            let pairs =
                [('a', None), ('b', Some('a')), ('c', Some('b')), ('d', Some('a')), ('e', None), ('f', Some('?'))];
            pairs.map(|(name, parent)| token(name, parent)).to_vec()
        };
        let found = |name: char| {
            let mut ids: Vec<TokenId> = descent(all(), id_of(name)).into_iter().map(|row| row.id).collect();
            ids.sort_unstable();
            ids
        };
        for (name, expected) in [('a', "abcd"), ('b', "bc"), ('d', "d"), ('e', "e"), ('f', "f"), ('x', "")] {
            assert_eq!(found(name), expected.chars().map(id_of).collect::<Vec<_>>(), "{name}");
        }
    }
}
