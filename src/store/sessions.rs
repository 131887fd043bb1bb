//! Storage of human sessions, behind one enum: in the main database or in Redis.
//!
//! A session is found by the hash of its cookie. Adding one and evicting those over the limit is one atomic step of the
//! store, so parallel logins cannot exceed the limit together. Readers compare a session's expiry with the clock;
//! expired rows are only purged later.

mod redis;
mod scripts;
mod sql;

pub use self::redis::RedisSessions;
pub use sql::{delete_of_admins, delete_of_person, delete_of_primary};

use super::Store;
use super::rows::SessionRow;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{BotId, OrgId, PersonId, TokenId};

/// Writes of sessions share a key, so that they keep their order.
const KEY: u64 = 0x5e55;

/// The place of the sessions.
#[derive(Clone)]
pub enum Sessions {
    /// The main database.
    Sql(Store),
    /// Redis, perhaps shared with other hubs.
    Redis(RedisSessions),
}

/// Something that takes sessions with it. The main database ends these by itself, in the transaction of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The secret that let the admins of an organisation in: their sessions end.
    OrgSecret(OrgId),
    /// A scoped token: the sessions opened with it end.
    Token(BotId, TokenId),
    /// A bot's primary token: the sessions opened with it end.
    Primary(BotId),
    /// A person, or what its sessions were opened with: they end.
    Person(PersonId),
    /// A bot: its sessions are not listed any more. They stay until they expire, so that their owners are told.
    Bot(BotId),
    /// An organisation: as with a bot.
    Org(OrgId),
}

/// Whose sessions are listed.
#[derive(Debug, Clone, Copy)]
pub enum Holder {
    /// Those of an organisation: of its admins, of its people and of the owners of its bots.
    Org(OrgId),
    /// Those of a bot's owners.
    Bot(BotId),
}

impl Sessions {
    /// True when others may end or extend the sessions here, so that each use must look.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Sessions::Redis(_))
    }

    /// Whether the store answers; the database is asked elsewhere.
    pub async fn is_up(&self) -> bool {
        match self {
            Sessions::Sql(_) => true,
            Sessions::Redis(redis) => redis.ping().await.is_ok(),
        }
    }

    /// The session of a cookie's hash, ended or not.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn find(&self, id_hash: String) -> ApiResult<Option<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| sql::find(conn, &id_hash)).await,
            Sessions::Redis(redis) => redis.find(&id_hash).await,
        }
    }

    /// Adds a session; when that makes more than `limit` live ones that were opened with its token (of its bot, scoped or
    /// primary), of its person or, for admins, of its role and organisation, the oldest of those end. Returns their hashes. So whoever
    /// has a scoped token displaces nobody who came with another.
    ///
    /// # Errors
    /// 401 when the bot, token or person behind it is gone; 503 when the store is unavailable.
    pub async fn insert(&self, row: SessionRow, limit: i64) -> ApiResult<Vec<String>> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| sql::insert(conn, &row, limit)).await,
            Sessions::Redis(redis) => redis.insert(&row, limit).await,
        }
    }

    /// Moves the end of sessions.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn extend(&self, ends: Vec<(String, i64)>) -> ApiResult<()> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| sql::extend(conn, &ends)).await,
            Sessions::Redis(redis) => redis.extend(&ends).await,
        }
    }

    /// Deletes a session; deleting what is gone is no error.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn delete(&self, id_hash: String) -> ApiResult<()> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| sql::delete(conn, &id_hash)).await,
            Sessions::Redis(redis) => redis.delete(&id_hash).await,
        }
    }

    /// Live sessions, newest first.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn list(&self, holder: Holder, now: i64, offset: i64, limit: i64) -> ApiResult<Vec<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| sql::list(conn, holder, now, offset, limit)).await,
            Sessions::Redis(redis) => redis.list(holder, now, offset, limit).await,
        }
    }

    /// The live session of an organisation that has this public reference.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn find_by_reference(&self, org: OrgId, reference: String, now: i64) -> ApiResult<Option<SessionRow>> {
        match self {
            Sessions::Sql(store) => store.read(move |conn| sql::find_by_reference(conn, org, &reference, now)).await,
            Sessions::Redis(redis) => redis.find_by_reference(org, &reference, now).await,
        }
    }

    /// Deletes sessions that have ended.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn delete_ended(&self, now: i64) -> ApiResult<usize> {
        match self {
            Sessions::Sql(store) => store.write(KEY, move |conn| sql::delete_ended(conn, now)).await,
            // Redis drops what has ended by itself.
            Sessions::Redis(_) => Ok(0),
        }
    }

    /// Ends or unlists the sessions that went with something.
    ///
    /// # Errors
    /// 503 when the store is unavailable.
    pub async fn end_with(&self, gone: Gone) -> ApiResult<()> {
        match self {
            Sessions::Sql(_) => Ok(()),
            Sessions::Redis(redis) => redis.end_with(gone).await,
        }
    }
}
