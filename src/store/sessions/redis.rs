//! Sessions in Redis.
//!
//! One connection serves the whole hub and is reopened when it breaks; its work runs on the runtime that opened it, so
//! that it does not depend on the calling thread. Every command may be sent twice, and each is answered within
//! [`PATIENCE`]. While Redis is unavailable the response is 503 immediately, and the next success ends that.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, Script, ScriptInvocation};

use super::super::Health;
use super::super::rows::SessionRow;
use super::{Gone, Holder, scripts};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::OrgId;

/// How long a connection, and how long an answer, may take.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(1);
/// How long a command may take with everything that it may need.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long after a failure nobody else tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Ended sessions stay for a while: the clocks of the hub and of Redis may differ.
const LEFTOVER_MS: i64 = 3_600_000;
/// No session lives longer; a set of sessions that nobody adds to may go after it.
const LONGEST_MS: i64 = 8 * 24 * 3_600_000;
/// Ends moved by one script, so that it does not hold Redis up.
const SLICE: usize = 500;

/// Handle to the sessions in Redis; cheap to clone.
#[derive(Clone)]
pub struct RedisSessions {
    inner: Arc<Inner>,
}

struct Inner {
    connection: ConnectionManager,
    runtime: tokio::runtime::Handle,
    prefix: String,
    health: Health,
    failed_at: Mutex<Option<Instant>>,
}

impl RedisSessions {
    /// Connects; must be called on the runtime that lives as long as the hub.
    ///
    /// # Errors
    /// When Redis does not answer; the text names the place and holds no password.
    pub async fn open(url: &str, prefix: &str) -> Result<Self, String> {
        let info = url.into_connection_info().map_err(|_| "the URL (not shown) cannot be used".to_owned())?;
        let place = info.addr().to_string();
        let failed = |error: &dyn Display| format!("{place} cannot be used: {error}");
        let client = Client::open(info.set_tcp_settings(tcp_settings())).map_err(|error| failed(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_min_delay(Duration::from_millis(50))
            .set_number_of_retries(1);
        let opened = tokio::time::timeout(2 * PATIENCE, ConnectionManager::new_with_config(client, config)).await;
        let connection = opened.map_err(|_| failed(&"no answer"))?.map_err(|error| failed(&error))?;
        let inner = Inner {
            connection,
            runtime: tokio::runtime::Handle::current(),
            prefix: prefix.to_owned(),
            health: Health::of("Redis", "sessions are refused with 503 until it returns"),
            failed_at: Mutex::new(None),
        };
        let sessions = Self { inner: Arc::new(inner) };
        sessions.ping().await.map_err(|_| failed(&"it refuses commands; see the log"))?;
        Ok(sessions)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> ApiResult<()> {
        self.run::<String>(redis::cmd("PING")).await.map(|_| ())
    }

    pub(super) async fn find(&self, hash: &str) -> ApiResult<Option<SessionRow>> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.session_key(hash)).arg("row").arg("ends");
        let (row, ends): (Option<String>, Option<i64>) = self.run(command).await?;
        Ok(row.zip(ends).and_then(|(row, ends)| parse(&row, ends)))
    }

    pub(super) async fn insert(&self, row: &SessionRow, limit: i64) -> ApiResult<Vec<String>> {
        let text = serde_json::to_string(row).map_err(|error| {
            log::error!(error:% = error; "cannot serialize a session");
            ApiError::internal()
        })?;
        let token = row.token_id.map(|token| token.to_string()).unwrap_or_default();
        let mut script = self.script(&scripts::INSERT);
        script.key(self.session_key(&row.id_hash)).key(self.holder_key(row));
        if let Some(org) = row.org_id {
            script.key(self.key("org", org)).key(self.reference_key(org, &row.reference));
        }
        script.arg(&row.id_hash).arg(text).arg(row.expires_at).arg(row.created_at).arg(limit);
        script.arg(kept_until(row.expires_at)).arg(LONGEST_MS).arg(token);
        self.run(script).await
    }

    pub(super) async fn extend(&self, ends: &[(String, i64)]) -> ApiResult<()> {
        for slice in ends.chunks(SLICE) {
            let mut script = self.script(&scripts::EXTEND);
            for (hash, at) in slice {
                script.key(self.session_key(hash)).arg(*at).arg(kept_until(*at));
            }
            self.run::<()>(script).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(&self, hash: &str) -> ApiResult<()> {
        let mut script = self.script(&scripts::DELETE);
        script.key(self.session_key(hash)).arg(hash);
        self.run(script).await
    }

    pub(super) async fn list(&self, holder: Holder, now: i64, offset: i64, limit: i64) -> ApiResult<Vec<SessionRow>> {
        let set = match holder {
            Holder::Org(org) => self.key("org", org),
            Holder::Bot(bot) => self.key("bot", bot),
        };
        let mut script = self.script(&scripts::LIST);
        script.key(set).arg(now).arg(offset).arg(limit);
        let page: Vec<(String, i64)> = self.run(script).await?;
        Ok(page.iter().filter_map(|(row, ends)| parse(row, *ends)).collect())
    }

    pub(super) async fn find_by_reference(
        &self,
        org: OrgId,
        reference: &str,
        now: i64,
    ) -> ApiResult<Option<SessionRow>> {
        let mut command = redis::cmd("GET");
        command.arg(self.reference_key(org, reference));
        let Some(hash) = self.run::<Option<String>>(command).await? else {
            return Ok(None);
        };
        Ok(self.find(&hash).await?.filter(|row| row.expires_at > now))
    }

    pub(super) async fn end_with(&self, gone: Gone) -> ApiResult<()> {
        let script = match gone {
            Gone::OrgSecret(org) => self.delete_of(&self.key("admins", org), ""),
            Gone::Token(bot, token) => self.delete_of(&self.key("bot", bot), &token.to_string()),
            Gone::Primary(bot) => self.delete_of(&self.key("bot", bot), scripts::PRIMARY),
            Gone::Person(person) => self.delete_of(&self.key("person", person), ""),
            Gone::Bot(bot) => self.unlist(&self.key("bot", bot)),
            Gone::Org(org) => self.unlist(&self.key("org", org)),
        };
        self.run(script).await
    }

    // --- keys and commands ---

    fn key(&self, kind: &str, name: impl Display) -> String {
        format!("{}{kind}:{name}", self.inner.prefix)
    }

    fn session_key(&self, hash: &str) -> String {
        self.key("sess", hash)
    }

    fn reference_key(&self, org: OrgId, reference: &str) -> String {
        self.key("ref", format_args!("{org}:{reference}"))
    }

    /// The set of the sessions that a new one is counted with.
    fn holder_key(&self, row: &SessionRow) -> String {
        match (row.bot_id, row.person_id, row.org_id) {
            (Some(bot), ..) => self.key("bot", bot),
            (None, Some(person), _) => self.key("person", person),
            (None, None, Some(org)) => self.key("admins", org),
            (None, None, None) => self.key("platform", "admins"),
        }
    }

    /// A call of a script, whose first argument is the prefix.
    fn script(&self, script: &'static Script) -> ScriptInvocation<'static> {
        let mut call = script.prepare_invoke();
        call.arg(&self.inner.prefix);
        call
    }

    fn delete_of(&self, holder: &str, token: &str) -> ScriptInvocation<'static> {
        let mut script = self.script(&scripts::DELETE_OF);
        script.key(holder).arg(token);
        script
    }

    fn unlist(&self, set: &str) -> ScriptInvocation<'static> {
        let mut script = self.script(&scripts::UNLIST);
        script.key(set);
        script
    }

    async fn run<T: FromRedisValue + Send + 'static>(&self, request: impl Into<Request>) -> ApiResult<T> {
        if self.inner.failed_at.lock().is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(away());
        }
        let connection = self.inner.connection.clone();
        let job = self.inner.runtime.spawn(tokio::time::timeout(PATIENCE, ask_twice(connection, request.into())));
        let outcome = match job.await {
            Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("no answer in time".to_owned()),
            Err(_) => Err("the hub is stopping".to_owned()),
        };
        *self.inner.failed_at.lock() = outcome.is_err().then(Instant::now);
        self.inner.health.set(outcome.is_ok());
        outcome.map_err(|error| {
            log::warn!(error; "a Redis command failed");
            away()
        })
    }
}

/// A connection that broke while nobody used it shows at the first command only; the second finds a new one.
async fn ask_twice<T: FromRedisValue>(mut connection: ConnectionManager, request: Request) -> RedisResult<T> {
    match request.ask(&mut connection).await {
        Err(error) if is_broken(&error) => request.ask(&mut connection).await,
        outcome => outcome,
    }
}

/// What Redis is asked to do.
enum Request {
    Command(Cmd),
    /// By the script's hash; the script itself is sent when Redis does not know it.
    Script(ScriptInvocation<'static>),
}

impl Request {
    async fn ask<T: FromRedisValue>(&self, connection: &mut ConnectionManager) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }
}

impl From<Cmd> for Request {
    fn from(command: Cmd) -> Self {
        Self::Command(command)
    }
}

impl From<ScriptInvocation<'static>> for Request {
    fn from(script: ScriptInvocation<'static>) -> Self {
        Self::Script(script)
    }
}

fn is_broken(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error()
}

/// A peer that vanished without a word is noticed by the kernel in seconds.
fn tcp_settings() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(CONNECT);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    settings
}

fn away() -> ApiError {
    ApiError::unavailable("The session store is not available right now")
}

fn kept_until(end: i64) -> i64 {
    end.saturating_add(LEFTOVER_MS)
}

fn parse(row: &str, ends: i64) -> Option<SessionRow> {
    match serde_json::from_str::<SessionRow>(row) {
        Ok(row) => Some(SessionRow { expires_at: ends, ..row }),
        Err(error) => {
            log::error!(error:% = error; "cannot parse a session in Redis; ignoring it");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use hxa_domain::ids::{BotId, PersonId, TokenId};

    /// Far from now, so that Redis keeps what the tests expect it to keep.
    const START: i64 = 4_000_000_000_000;
    const HOUR_MS: i64 = 3_600_000;

    /// A place of its own on the Redis for tests, or `None` where there is none (never in CI).
    async fn place() -> Option<RedisSessions> {
        let Some(url) = std::env::var("HXA_TEST_REDIS_URL").ok().filter(|url| !url.is_empty()) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "HXA_TEST_REDIS_URL must name a Redis server in CI");
            println!("note: HXA_TEST_REDIS_URL is not set; this test did not run");
            return None;
        };
        Some(RedisSessions::open(&url, &format!("hxa-test:{}:", Uuid::new_v4().simple())).await.unwrap())
    }

    fn session(name: &str, org: OrgId, bot: Option<BotId>, created_at: i64) -> SessionRow {
        SessionRow {
            id_hash: format!("hash-{name}"),
            reference: format!("ref-{name}"),
            role: if bot.is_some() { "bot_owner" } else { "org_admin" }.to_owned(),
            org_id: Some(org),
            bot_id: bot,
            token_id: None,
            owner_name: Some("Zoë \u{1F600} \"quoted\"".to_owned()),
            scopes: None,
            is_scoped_token: false,
            created_at,
            expires_at: created_at + HOUR_MS,
            person_id: None,
        }
    }

    fn ids() -> (OrgId, BotId) {
        (OrgId::from_uuid(Uuid::new_v4()), BotId::from_uuid(Uuid::new_v4()))
    }

    #[tokio::test]
    async fn a_session_comes_back_as_it_went() {
        let Some(place) = place().await else { return };
        let (org, bot) = ids();
        let row = session("a", org, Some(bot), START);
        assert_eq!(place.find("hash-a").await.unwrap(), None);
        assert_eq!(place.insert(&row, 5).await.unwrap(), Vec::<String>::new());
        assert_eq!(place.insert(&row, 5).await.unwrap(), Vec::<String>::new(), "inserting twice is inserting once");
        assert_eq!(place.find("hash-a").await.unwrap(), Some(row.clone()));
        assert_eq!(place.find_by_reference(org, "ref-a", START).await.unwrap(), Some(row.clone()));
        assert_eq!(place.find_by_reference(ids().0, "ref-a", START).await.unwrap(), None);
        assert_eq!(place.find_by_reference(org, "ref-a", row.expires_at).await.unwrap(), None);
        place.delete("hash-a").await.unwrap();
        place.delete("hash-a").await.unwrap();
        assert_eq!(place.find("hash-a").await.unwrap(), None);
        assert_eq!(place.find_by_reference(org, "ref-a", START).await.unwrap(), None);
        assert_eq!(place.list(Holder::Org(org), START, 0, 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn ends_move_to_later_times_only() {
        let Some(place) = place().await else { return };
        let (org, bot) = ids();
        let row = session("a", org, Some(bot), START);
        place.insert(&row, 5).await.unwrap();
        let moved = |at: i64| [("hash-a".to_owned(), at), ("hash-gone".to_owned(), at)];
        for (asked, expected) in [(2 * HOUR_MS, 2 * HOUR_MS), (HOUR_MS, 2 * HOUR_MS), (3 * HOUR_MS, 3 * HOUR_MS)] {
            place.extend(&moved(START + asked)).await.unwrap();
            let expires_at = START + expected;
            assert_eq!(place.find("hash-a").await.unwrap(), Some(SessionRow { expires_at, ..row.clone() }));
        }
        assert_eq!(place.find("hash-gone").await.unwrap(), None, "extending does not bring back");
        assert_eq!(place.list(Holder::Org(org), START + 2 * HOUR_MS, 0, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_oldest_live_sessions_of_a_holder_are_evicted() {
        let Some(place) = place().await else { return };
        let (org, bot) = ids();
        place.insert(&session("admin", org, None, START), 1).await.unwrap();
        place.insert(&session("other", org, Some(ids().1), START), 1).await.unwrap();
        for (created_at, evicted) in [(0, None), (1, None), (2, Some("hash-0")), (3, Some("hash-1"))] {
            let row = session(&created_at.to_string(), org, Some(bot), START + created_at);
            assert_eq!(place.insert(&row, 2).await.unwrap(), evicted.map_or(vec![], |hash| vec![hash.to_owned()]));
        }
        // Those that have ended do not count.
        let late = session("late", org, Some(bot), START + 2 * HOUR_MS);
        assert_eq!(place.insert(&late, 1).await.unwrap(), Vec::<String>::new());
        let listed = place.list(Holder::Org(org), START, 0, 10).await.unwrap();
        let names: Vec<&str> = listed.iter().map(|row| row.id_hash.trim_start_matches("hash-")).collect();
        assert_eq!(names, ["late", "3", "2", "other", "admin"]);
        let page = place.list(Holder::Org(org), START, 1, 2).await.unwrap();
        assert_eq!(page.iter().map(|row| row.created_at).collect::<Vec<_>>(), [START + 3, START + 2]);
    }

    #[tokio::test]
    async fn sessions_go_with_what_opened_them() {
        let Some(place) = place().await else { return };
        let (org, bot) = ids();
        let token = TokenId::from_uuid(Uuid::new_v4());
        let by_token = SessionRow { token_id: Some(token), ..session("token", org, Some(bot), START) };
        for row in [&by_token, &session("primary", org, Some(bot), START + 1), &session("admin", org, None, START + 2)]
        {
            place.insert(row, 5).await.unwrap();
        }
        let listed = async || place.list(Holder::Org(org), START, 0, 10).await.unwrap().len();
        place.insert(&session("replaced", org, Some(bot), START), 5).await.unwrap();
        place.end_with(Gone::Primary(bot)).await.unwrap();
        assert_eq!((listed().await, place.find("hash-replaced").await.unwrap()), (2, None));
        place.insert(&session("primary", org, Some(bot), START + 1), 5).await.unwrap();
        place.end_with(Gone::Token(bot, token)).await.unwrap();
        assert_eq!((listed().await, place.find("hash-token").await.unwrap()), (2, None));
        let person = PersonId::from_uuid(Uuid::new_v4());
        for (name, created_at) in [("dora", START + 3), ("dora again", START + 4), ("dora at last", START + 5)] {
            let row = SessionRow { person_id: Some(person), ..session(name, org, None, created_at) };
            place.insert(&row, 2).await.unwrap();
        }
        assert_eq!((listed().await, place.find("hash-dora").await.unwrap()), (4, None), "counted apart from admins");
        place.end_with(Gone::Person(person)).await.unwrap();
        assert_eq!((listed().await, place.find("hash-dora again").await.unwrap()), (2, None));
        place.end_with(Gone::OrgSecret(org)).await.unwrap();
        assert_eq!((listed().await, place.find("hash-admin").await.unwrap()), (1, None));
        place.end_with(Gone::Bot(bot)).await.unwrap();
        assert_eq!(listed().await, 0);
        assert!(place.find("hash-primary").await.unwrap().is_some(), "its owner is to be told");
        place.insert(&session("more", org, None, START), 5).await.unwrap();
        place.end_with(Gone::Org(org)).await.unwrap();
        assert_eq!(listed().await, 0);
    }
}
