//! A cache of human sessions: found by the hash of their cookie, extended while used, ended everywhere at once.
//!
//! The store is authoritative. Ending a session deletes it from the store first and then from the cache, and a session
//! read before such an end is not cached after it. With a store that is shared with other hubs, memory contains only
//! what is not written yet. A session opened with a scoped token never outlives that token.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::Auth;
use super::memory::Memory;
use crate::core::org_state::OrgState;
use crate::fanout::broker::Selection;
use crate::fanout::send_queue::close;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{BotId, OrgId, PersonId};
use hxa_domain::scope::ScopeSet;
use hxa_domain::standing::SessionRole;
use hxa_store::accounts;
use hxa_store::rows::SessionRow;
use hxa_store::sessions::{Gone, Holder};

const HOUR_MS: i64 = 3_600_000;
/// However often it is used, a session ends after so long.
const LONGEST_MS: i64 = 7 * 24 * HOUR_MS;
/// An extension by less than this is not worth a write.
const WORTH_MS: i64 = 60_000;
/// Sessions remembered.
const MOST: usize = 100_000;

/// Whom a session makes of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Somebody who acts as a bot.
    BotOwner {
        /// The bot's organisation.
        org: OrgId,
        /// The bot.
        bot: BotId,
    },
    /// An admin of an organisation.
    OrgAdmin {
        /// The organisation.
        org: OrgId,
    },
    /// An admin of the platform.
    SuperAdmin,
    /// A person of an organisation, in its own name.
    Person {
        /// The organisation.
        org: OrgId,
        /// The person.
        person: PersonId,
    },
}

impl Role {
    /// Its name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> SessionRole {
        match self {
            Role::BotOwner { .. } => SessionRole::BotOwner,
            Role::OrgAdmin { .. } => SessionRole::OrgAdmin,
            Role::SuperAdmin => SessionRole::SuperAdmin,
            Role::Person { .. } => SessionRole::Person,
        }
    }

    /// How long a session lives without being used.
    #[must_use]
    pub const fn lifetime_ms(self) -> i64 {
        match self {
            Role::BotOwner { .. } => 24 * HOUR_MS,
            Role::OrgAdmin { .. } => 8 * HOUR_MS,
            Role::SuperAdmin => 4 * HOUR_MS,
            // A working day and the way home.
            Role::Person { .. } => 12 * HOUR_MS,
        }
    }

    /// Live sessions that may have been opened with one token of a bot, with an organisation's secret, by one person, or with
    /// the platform's secret.
    #[must_use]
    pub const fn most(self) -> i64 {
        match self {
            Role::BotOwner { .. } | Role::OrgAdmin { .. } | Role::Person { .. } => 5,
            Role::SuperAdmin => 3,
        }
    }

    /// The organisation it belongs to.
    #[must_use]
    pub const fn org(self) -> Option<OrgId> {
        match self {
            Role::BotOwner { org, .. } | Role::OrgAdmin { org } | Role::Person { org, .. } => Some(org),
            Role::SuperAdmin => None,
        }
    }

    /// The bot it acts as.
    #[must_use]
    pub const fn bot(self) -> Option<BotId> {
        match self {
            Role::BotOwner { bot, .. } => Some(bot),
            Role::OrgAdmin { .. } | Role::SuperAdmin | Role::Person { .. } => None,
        }
    }

    /// The person it is of.
    #[must_use]
    pub const fn person(self) -> Option<PersonId> {
        match self {
            Role::Person { person, .. } => Some(person),
            Role::BotOwner { .. } | Role::OrgAdmin { .. } | Role::SuperAdmin => None,
        }
    }

    /// What ends all sessions of it at once, where one change can.
    const fn ended_by(self) -> Option<Gone> {
        match self {
            Role::OrgAdmin { org } => Some(Gone::OrgSecret(org)),
            Role::Person { person, .. } => Some(Gone::Person(person)),
            Role::BotOwner { .. } | Role::SuperAdmin => None,
        }
    }

    fn of(row: &SessionRow) -> Option<Self> {
        Some(match SessionRole::parse(&row.role)? {
            SessionRole::BotOwner => Role::BotOwner { org: row.org_id?, bot: row.bot_id? },
            SessionRole::OrgAdmin => Role::OrgAdmin { org: row.org_id? },
            SessionRole::SuperAdmin => Role::SuperAdmin,
            SessionRole::Person => Role::Person { org: row.org_id?, person: row.person_id? },
        })
    }
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// As stored, except for its end.
    pub row: SessionRow,
    /// Whom it makes.
    pub role: Role,
    /// What it covers.
    pub scopes: ScopeSet,
    /// When that token ends, ms.
    pub token_expires_at: Option<i64>,
    ends_at: AtomicI64,
}

impl Session {
    /// A session as stored; `None` when the row makes no sense.
    pub(super) fn new(row: SessionRow, token_expires_at: Option<i64>) -> Option<Arc<Self>> {
        let role = Role::of(&row)?;
        // A bot's session without scopes is one of a primary token; scopes that cannot be read grant nothing.
        let scopes = row.scopes.as_deref().map_or(ScopeSet::FULL, ScopeSet::from_stored);
        let ends_at = AtomicI64::new(row.expires_at.min(token_expires_at.unwrap_or(i64::MAX)));
        Some(Arc::new(Self { row, role, scopes, token_expires_at, ends_at }))
    }

    /// When it ends, ms.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.ends_at.load(Ordering::Relaxed)
    }

    /// Moves the end once half of the lifetime is over; true when it was moved.
    fn extend(&self, now: i64) -> bool {
        let (end, lifetime) = (self.expires_at(), self.role.lifetime_ms());
        if end.saturating_sub(now) > lifetime / 2 {
            return false;
        }
        let longest = self.row.created_at.saturating_add(LONGEST_MS).min(self.token_expires_at.unwrap_or(i64::MAX));
        let later = now.saturating_add(lifetime).min(longest);
        let is_worth_it = later.saturating_sub(end) >= WORTH_MS;
        // Only one of two racing requests extends the session.
        is_worth_it && self.ends_at.compare_exchange(end, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The memory of sessions, by the hash of their cookie.
pub struct SessionCache {
    known: Memory<Arc<Session>>,
    /// Ends that were moved and are not written yet.
    extended: DashMap<String, i64>,
    /// The newest creation: no two sessions share a time, so that lists have one order.
    newest: AtomicI64,
    /// What went and whose sessions the store still has to end.
    owed: Mutex<Vec<Gone>>,
    /// Locked while ended sessions are deleted from the store, so that none is deleted twice.
    ending: tokio::sync::Mutex<()>,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            known: Memory::new(MOST),
            extended: DashMap::new(),
            newest: AtomicI64::default(),
            owed: Mutex::default(),
            ending: tokio::sync::Mutex::default(),
        }
    }
}

impl SessionCache {
    /// Whose a remembered session is; it may have ended.
    pub(super) fn known_role(&self, hash: &str) -> Option<Role> {
        self.known.get(hash).map(|session| session.role)
    }

    fn remove(&self, hash: &str) {
        self.known.remove(hash);
        self.extended.remove(hash);
    }

    /// Notes that the store has to end what went with `gone`; the janitor does it.
    pub(super) fn owe(&self, gone: Gone) {
        self.owed.lock().push(gone);
    }

    /// Whether a session only lives because the store was not told of its end yet.
    fn is_owed(&self, role: Role) -> bool {
        role.ended_by().is_some_and(|gone| self.owed.lock().contains(&gone))
    }

    /// Forgets the sessions that `ended` picks; returns their hashes.
    pub fn remove_where(&self, ended: impl Fn(&Session) -> bool) -> HashSet<String> {
        let hashes = Mutex::new(HashSet::new());
        self.known.remove_where(|hash, session| {
            let has_ended = ended(session);
            if has_ended {
                hashes.lock().insert(hash.to_owned());
            }
            has_ended
        });
        hashes.into_inner()
    }

    /// A creation time of its own, `now` if that is still free.
    pub(super) fn creation_time(&self, now: i64) -> i64 {
        let step = |newest: i64| Some(newest.saturating_add(1).max(now));
        let before = self.newest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        before.map_or(now, |newest| newest.saturating_add(1).max(now))
    }
}

/// The live session of a cookie's hash. A store that others use too is asked each time.
pub(super) async fn find(auth: &Auth, hash: &str) -> ApiResult<Option<Arc<Session>>> {
    let (memory, now) = (&auth.cache.sessions, auth.core.now());
    let is_live = |session: &Arc<Session>| session.expires_at() > now && !memory.is_owed(session.role);
    let known = memory.known.get(hash);
    if known.is_some() && !auth.sessions.is_shared() {
        return Ok(known.filter(is_live));
    }
    let generation = memory.known.generation();
    let Some(row) = auth.sessions.find(hash.to_owned()).await? else {
        memory.known.discard(hash);
        return Ok(None);
    };
    if let Some(session) = known {
        session.ends_at.fetch_max(row.expires_at, Ordering::Relaxed);
        return Ok(Some(session).filter(is_live));
    }
    let session = load(auth, row).await?.filter(is_live);
    if let Some(session) = &session {
        memory.known.remember(hash, session.clone(), generation);
    }
    Ok(session)
}

/// The session of a row; `None` when the token that opened it is gone.
async fn load(auth: &Auth, row: SessionRow) -> ApiResult<Option<Arc<Session>>> {
    let mut token_expires_at = None;
    if let Some(id) = row.token_id {
        let Some(token) = auth.core.store().read(move |conn| accounts::find_token(conn, id)).await? else {
            return Ok(None);
        };
        token_expires_at = token.expires_at;
    }
    Ok(Session::new(row, token_expires_at))
}

/// Extends a session that is being used; true when its cookie should be sent again.
pub(super) fn use_now(auth: &Auth, session: &Session) -> bool {
    let is_extended = session.extend(auth.core.now());
    if is_extended {
        auth.cache.sessions.extended.insert(session.row.id_hash.clone(), session.expires_at());
    }
    is_extended
}

/// Stores a new session, evicts the oldest over the limit and closes their sockets.
pub(super) async fn insert(auth: &Auth, session: &Arc<Session>) -> ApiResult<()> {
    // What ends older sessions must not end this one.
    end_owed_sessions(auth).await?;
    let memory = &auth.cache.sessions;
    let generation = memory.known.generation();
    let evicted = auth.sessions.insert(session.row.clone(), session.role.most()).await?;
    memory.known.remember(&session.row.id_hash, session.clone(), generation);
    let org = session.role.org().and_then(|org| auth.core.org_in_use(org));
    for hash in evicted {
        forget(auth, org.as_deref(), &hash);
    }
    Ok(())
}

/// Ends a session: nobody comes in with it any more, and its sockets close.
pub(super) async fn end(auth: &Auth, role: Role, hash: &str) -> ApiResult<()> {
    auth.sessions.delete(hash.to_owned()).await?;
    let org = role.org().and_then(|org| auth.core.org_in_use(org));
    forget(auth, org.as_deref(), hash);
    Ok(())
}

fn forget(auth: &Auth, org: Option<&OrgState>, hash: &str) {
    auth.cache.sessions.remove(hash);
    if let Some(org) = org {
        org.channel().close(&close::SESSION_ENDED, &Selection::session(hash));
    }
}

/// Live sessions, newest first, with the ends that are not written yet.
///
/// # Errors
/// 503 when the store is unavailable.
pub async fn list_sessions(auth: &Auth, holder: Holder, offset: i64, limit: i64) -> ApiResult<Vec<SessionRow>> {
    let mut rows = auth.sessions.list(holder, auth.core.now(), offset, limit).await?;
    for row in &mut rows {
        if let Some(session) = auth.cache.sessions.known.get(&row.id_hash) {
            row.expires_at = session.expires_at();
        }
    }
    Ok(rows)
}

/// Ends the session of an organisation that has this public reference, if `may_end` says so of whom it makes; `None`
/// when there is no such session.
///
/// # Errors
/// 503 when the store is unavailable.
pub async fn end_by_reference(
    auth: &Auth,
    org: OrgId,
    reference: &str,
    may_end: impl FnOnce(Role) -> bool,
) -> ApiResult<Option<Role>> {
    let Some(row) = auth.sessions.find_by_reference(org, reference.to_owned(), auth.core.now()).await? else {
        return Ok(None);
    };
    let role = Role::of(&row).unwrap_or(Role::OrgAdmin { org });
    if !may_end(role) {
        return Ok(None);
    }
    end(auth, role, &row.id_hash).await?;
    Ok(Some(role))
}

/// Writes the ends that were moved.
pub(super) async fn flush_extensions(auth: &Auth) -> ApiResult<()> {
    let waiting = &auth.cache.sessions.extended;
    let mut ends = Vec::new();
    waiting.retain(|hash, at| {
        ends.push((hash.clone(), *at));
        false
    });
    if ends.is_empty() {
        return Ok(());
    }
    let written = auth.sessions.extend(ends.clone()).await;
    if written.is_err() {
        for (hash, at) in ends {
            waiting.entry(hash).or_insert(at);
        }
    }
    written
}

/// Tells the store which sessions went with what is gone.
///
/// # Errors
/// 503 when the store is unavailable; it will be told later.
pub async fn end_owed_sessions(auth: &Auth) -> ApiResult<()> {
    let memory = &auth.cache.sessions;
    if memory.owed.lock().is_empty() {
        return Ok(());
    }
    let _guard = memory.ending.lock().await;
    let owed = memory.owed.lock().clone();
    for gone in owed {
        auth.sessions.end_with(gone).await?;
        let mut waiting = memory.owed.lock();
        if let Some(index) = waiting.iter().position(|other| *other == gone) {
            waiting.remove(index);
        }
    }
    Ok(())
}

/// Ends the sessions that go with something in a store that is not part of the transaction in which it goes.
///
/// # Errors
/// 503 when the store is unavailable.
pub async fn end_sessions_with(auth: &Auth, gone: Gone) -> ApiResult<()> {
    auth.sessions.end_with(gone).await
}

/// Closes sockets whose session has ended, and drops what has ended from memory.
pub async fn sweep_sessions(auth: &Auth) {
    if let Err(error) = close_ended(auth).await {
        log::warn!(error:% = error; "cannot check which sockets' sessions have ended; trying again at the next check");
    }
    let now = auth.core.now();
    auth.limiter().sweep(now);
    auth.cache.sessions.known.discard_where(|_, session| session.expires_at() <= now);
}

/// Deletes ended sessions in the store.
///
/// # Errors
/// 503 when the store is unavailable.
pub async fn purge_sessions(auth: &Auth) -> ApiResult<()> {
    auth.sessions.delete_ended(auth.core.now()).await.map(drop)
}

async fn close_ended(auth: &Auth) -> ApiResult<()> {
    for org in auth.core.orgs_in_use() {
        for socket in org.channel().local_sockets() {
            if let Some(session) = socket.info.peer.session()
                && find(auth, session).await?.is_none()
            {
                socket.close(close::SESSION_ENDED);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(token_expires_at: Option<i64>) -> Arc<Session> {
        let row = SessionRow {
            id_hash: "h".into(),
            reference: "r".into(),
            role: "super_admin".into(),
            org_id: None,
            bot_id: None,
            token_id: None,
            owner_name: None,
            scopes: None,
            is_scoped_token: false,
            created_at: 0,
            expires_at: 4 * HOUR_MS,
            person_id: None,
        };
        Session::new(row, token_expires_at).unwrap()
    }

    #[test]
    fn use_extends_after_half_of_the_lifetime_up_to_the_longest() {
        let session = session(None);
        assert!(!session.extend(2 * HOUR_MS - 1));
        assert!(session.extend(2 * HOUR_MS));
        assert_eq!(session.expires_at(), 6 * HOUR_MS);
        assert!(!session.extend(2 * HOUR_MS + 1));
        let mut now = 4 * HOUR_MS;
        while now < session.expires_at() {
            session.extend(now);
            now += HOUR_MS;
        }
        assert_eq!(session.expires_at(), LONGEST_MS);
    }

    #[test]
    fn a_session_ends_with_its_token() {
        let session = session(Some(3 * HOUR_MS));
        assert_eq!(session.expires_at(), 3 * HOUR_MS);
        assert!(!session.extend(2 * HOUR_MS + 1));
        assert_eq!(session.expires_at(), 3 * HOUR_MS);
    }

    #[test]
    fn creation_times_are_never_equal() {
        let cache = SessionCache::default();
        assert_eq!([cache.creation_time(5), cache.creation_time(5), cache.creation_time(9)], [5, 6, 9]);
    }
}
