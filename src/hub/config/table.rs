//! Every setting of the hub, declared once.
//!
//! A row gives a setting's name in the file, its type, default, flag and environment variables, and its doc comment is
//! the documentation everywhere: on the field, in `--help` and in the generated `config/hxa-connect.toml`. To add a
//! setting, add a row and run `hxa-connect config print --default > config/hxa-connect.toml`.

use std::path::PathBuf;

use super::checks::{
    allow_list, data_folder, host_name, http_url, key_prefix, listen_host, pauses, postgres_url, redis_url,
};
use super::types::{BasePath, Cidr, CorsOrigins, LogFormat, LogLevel, ProxyHeader, Secret, SessionStore};
use super::value::{FileValue, SettingValue, within};
use hxa_domain::budget::Budget;

/// One row of the table, without its type.
#[derive(Debug)]
pub struct Setting {
    /// The section of the file.
    pub area: &'static str,
    /// The key in its section.
    pub key: &'static str,
    /// The flag, without the dashes.
    pub flag: &'static str,
    /// For a secret, the flag that names a file with it.
    pub file_flag: &'static str,
    /// The environment variables, strongest first.
    pub env: &'static [&'static str],
    /// What it does, line by line.
    pub doc: &'static [&'static str],
    /// The flag may stand without a value.
    pub is_switch: bool,
    /// The value must not be shown.
    pub is_secret: bool,
    /// What an environment variable's text is taken for; nothing when it counts as not set.
    pub read_env: fn(&str) -> Option<&str>,
    /// Sets it from the text of a flag or an environment variable.
    pub set_text: fn(&mut Config, &str) -> Result<(), String>,
    /// Sets it from a value of the file.
    pub set_file: fn(&mut Config, &FileValue) -> Result<(), String>,
    /// Its value as the file would hold it.
    pub show: fn(&Config) -> Option<String>,
}

impl Setting {
    /// Section and key, as messages name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.area, self.key)
    }
}

/// A section of the file.
#[derive(Debug)]
pub struct Area {
    /// Its name.
    pub name: &'static str,
    /// What its settings are about, line by line.
    pub doc: &'static [&'static str],
}

/// Declares the settings; see the module's text for what a row says.
macro_rules! settings {
    ($(
        $(#[doc = $area_doc:literal])+
        $area:ident: $Area:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $type:ty = $default:expr, $flag:literal, [$($env:literal),+]
                    $(, range $range:expr)? $(, check $check:path)? $(, read_env $read_env:expr)?;
            )+
        }
    )+) => {
        /// Everything that can be set, with defaults where nothing was.
        #[derive(Debug, Clone, Default)]
        pub struct Config {
            $($(#[doc = $area_doc])+ pub $area: $Area,)+
        }

        $(
            $(#[doc = $area_doc])+
            #[derive(Debug, Clone)]
            pub struct $Area {
                $($(#[doc = $doc])+ pub $key: $type,)+
            }

            impl Default for $Area {
                fn default() -> Self {
                    Self { $($key: $default,)+ }
                }
            }
        )+

        /// The sections, in the order of the file.
        pub const AREAS: &[Area] = &[$(Area { name: stringify!($area), doc: &[$($area_doc),+] },)+];

        /// The settings, in the order of the file.
        pub const SETTINGS: &[Setting] = &[$($(Setting {
            area: stringify!($area),
            key: stringify!($key),
            flag: $flag,
            file_flag: concat!($flag, "-file"),
            env: &[$($env),+],
            doc: &[$($doc),+],
            is_switch: <$type as SettingValue>::IS_SWITCH,
            is_secret: <$type as SettingValue>::IS_SECRET,
            read_env: settings!(@or_plain $($read_env)?),
            set_text: |config, text| {
                let value = <$type as SettingValue>::from_text(text)?;
                $(let value = within(value, &$range)?;)?
                $($check(&value)?;)?
                config.$area.$key = value;
                Ok(())
            },
            set_file: |config, value| {
                let value = <$type as SettingValue>::from_file(value)?;
                $(let value = within(value, &$range)?;)?
                $($check(&value)?;)?
                config.$area.$key = value;
                Ok(())
            },
            show: |config| config.$area.$key.to_file(),
        },)+)+];
    };
    (@or_plain) => { |text| Some(text) };
    (@or_plain $read_env:expr) => { $read_env };
}

const MIB: usize = 1024 * 1024;

settings! {
    /// Where the hub listens and under which name it is reached.
    server: ServerConfig {
        /// Address to listen on. Development mode listens on 127.0.0.1.
        host: String = "0.0.0.0".to_owned(), "host", ["HXA_CONNECT_HOST"], check listen_host;
        /// Port to listen on; 0 picks a free one (in the environment 0 means the default).
        port: u16 = 4800, "port", ["HXA_CONNECT_PORT"], read_env zero_is_default;
        /// Path under which a reverse proxy serves the hub, such as /hub. Requests work with and without it.
        base_path: BasePath = BasePath::default(), "base-path", ["BASE_PATH", "NEXT_PUBLIC_BASE_PATH"];
        /// Public host name, such as connect.example.com. Browser sessions are accepted from this host only;
        /// without it the request's own host counts.
        domain: Option<String> = None, "domain", ["DOMAIN"], check host_name;
        /// Public URL of the hub, base path included; without it it is made from `domain` and `base_path`.
        public_url: Option<String> = None, "public-url", ["HUB_PUBLIC_URL"], check http_url;
        /// Networks of reverse proxies whose X-Forwarded-For, -Host and -Proto headers are believed, such as 127.0.0.1;
        /// without it nobody's are.
        trusted_proxies: Vec<Cidr> = Vec::new(), "trusted-proxies", ["HXA_CONNECT_SERVER_TRUSTED_PROXIES"];
        /// Header in which trusted proxies name the client: x-forwarded-for, forwarded, x-real-ip, or auto for the first of
        /// these that a request has. Name it when a proxy passes on what clients write into one of the others.
        proxy_header: ProxyHeader = ProxyHeader::Auto, "proxy-header", ["HXA_CONNECT_SERVER_PROXY_HEADER"];
        /// Web origins that may call the hub from a browser, or "*" for all. Development mode allows all.
        cors_origins: CorsOrigins = CorsOrigins::None, "cors-origins", ["HXA_CONNECT_CORS_ORIGINS", "HXA_CONNECT_CORS"];
        /// Threads that serve HTTP and WebSocket connections; 0 is one per core.
        workers: usize = 0, "workers", ["HXA_CONNECT_SERVER_WORKERS"], range 0..=1024;
        /// Development mode: listens on this machine only, no admin secret needed, CORS open but for what hands out
        /// credentials, plain http webhooks, error details in answers, cookies without Secure. Never in production.
        dev_mode: bool = false, "dev-mode", ["DEV_MODE"], read_env only_true;
        /// Name of the environment as /api/config/get reports it; changes nothing else.
        node_env: String = "production".to_owned(), "node-env", ["NODE_ENV"];
        /// Seconds a stopping hub gives its connections to end; two seconds later the process exits anyway.
        drain_seconds: u64 = 8, "drain-seconds", ["HXA_CONNECT_SERVER_DRAIN_SECONDS"], range 0..=600;
        /// Largest body of a JSON request in bytes.
        max_body_bytes: usize = MIB, "max-body-bytes", ["HXA_CONNECT_SERVER_MAX_BODY_BYTES"], range 1024..=1024 * MIB;
        /// Largest body in bytes of the requests that need no credential: logins, registrations, founding an organisation.
        /// A registration with everything a bot can say of itself takes less.
        max_stranger_body_bytes: usize = 65_536, "max-stranger-body-bytes", ["HXA_CONNECT_SERVER_MAX_STRANGER_BODY_BYTES"], range 1024..=1024 * MIB;
        /// Memory in bytes that bodies of all requests together may take, from when they are read until they are answered.
        /// One bot alone gets up to a quarter of it, which is more than a bot with a hundred requests under way needs;
        /// whoever has no credential counts by address, all of them as one organisation.
        bodies_bytes: usize = 256 * MIB, "bodies-bytes", ["HXA_CONNECT_SERVER_BODIES_BYTES"], range 16 * MIB..=64 * 1024 * MIB;
        /// Longest request line with headers in bytes; what common servers and proxies in front of this one allow.
        max_head_bytes: usize = 32_768, "max-head-bytes", ["HXA_CONNECT_SERVER_MAX_HEAD_BYTES"], range 4096..=120_000;
        /// Seconds that a client may keep the hub waiting for bytes it sends or takes in. What gets through restores some
        /// of them, so a client that is slow but steady never runs out.
        patience_seconds: u64 = 20, "patience-seconds", ["HXA_CONNECT_SERVER_PATIENCE_SECONDS"], range 1..=3600;
        /// Bytes per second of the slowest line that counts as steady: a tenth of what a bad mobile connection does.
        slowest_bytes_per_second: u64 = 500, "slowest-bytes-per-second", ["HXA_CONNECT_SERVER_SLOWEST_BYTES_PER_SECOND"], range 1..=1_000_000;
        /// Connections that may be open, all together; beyond them nobody is let in until one ends. One address gets at
        /// most a quarter of those that are free, except this machine's own and those of trusted_proxies.
        max_connections: usize = 50_000, "max-connections", ["HXA_CONNECT_SERVER_MAX_CONNECTIONS"], range 16..=10_000_000;
        /// Connections that may wait to be accepted. The kernel holds fewer if net.core.somaxconn is lower.
        backlog: u16 = 4096, "backlog", ["HXA_CONNECT_SERVER_BACKLOG"], range 1..=65_535;
        /// Largest answer in bytes, but for files; a list that is longer goes on by its cursor or its Link. A list of 10,000 bots
        /// with ordinary profiles fits, and ten of them at once are no burden.
        max_answer_bytes: usize = 8 * MIB, "max-answer-bytes", ["HXA_CONNECT_SERVER_MAX_ANSWER_BYTES"], range MIB..=1024 * MIB;
        /// Bytes of large answers (from 128 KiB) that may be under way to clients at once. One organisation may hold half of what
        /// is free, one bot half of that: by default eight of the largest answers.
        answers_in_flight_bytes: usize = 256 * MIB, "answers-in-flight-bytes", ["HXA_CONNECT_SERVER_ANSWERS_IN_FLIGHT_BYTES"], range 8 * MIB..=65_536 * MIB;
        /// Serve figures for Prometheus at /metrics.
        metrics: bool = true, "metrics", ["HXA_CONNECT_SERVER_METRICS"];
    }

    /// Who administers the hub and where login sessions are kept.
    auth: AuthConfig {
        /// Secret of the super admin; at least 16 random characters, and no hub starts with fewer than 8. Required unless
        /// dev_mode is on or make_admin_secret has made one.
        admin_secret: Option<Secret> = None, "admin-secret", ["HXA_CONNECT_ADMIN_SECRET"];
        /// Make an admin secret at a first start without one, print it once, and keep it in the file admin-secret of data_dir,
        /// from where later starts take it.
        make_admin_secret: bool = false, "make-admin-secret", ["HXA_CONNECT_MAKE_ADMIN_SECRET"];
        /// Where login sessions are kept: sql (the hub's database) or redis.
        session_store: SessionStore = SessionStore::Sql, "session-store", ["SESSION_STORE"], read_env redis_or_sql;
        /// redis:// URL of the Redis server; required when session_store is redis.
        redis_url: Option<Secret> = None, "redis-url", ["REDIS_URL"], check redis_url;
        /// What the names of all keys in Redis begin with. Hubs with the same Redis and prefix accept each other's sessions.
        redis_prefix: String = "hxa:".to_owned(), "redis-prefix", ["HXA_CONNECT_AUTH_REDIS_PREFIX"], check key_prefix;
    }

    /// Where data is kept and how much of the database the hub may use.
    database: DatabaseConfig {
        /// postgres:// URL of the database; without it the hub keeps a SQLite file in data_dir.
        url: Option<Secret> = None, "database-url", ["HXA_CONNECT_DATABASE_URL", "DATABASE_URL"], check postgres_url;
        /// Folder of the SQLite database and of uploaded files.
        data_dir: PathBuf = PathBuf::from("./data"), "data-dir", ["HXA_CONNECT_DATA_DIR"], check data_folder;
        /// Threads that read from SQLite.
        readers: usize = 4, "database-readers", ["HXA_CONNECT_DATABASE_READERS"], range 1..=256;
        /// Connections for reading from PostgreSQL.
        pool: usize = 10, "database-pool", ["HXA_CONNECT_DATABASE_POOL"], range 1..=1000;
        /// Connections for writing to PostgreSQL; SQLite always has one.
        writers: usize = 4, "database-writers", ["HXA_CONNECT_DATABASE_WRITERS"], range 1..=64;
        /// Most rows written in one transaction.
        batch_rows: usize = 512, "database-batch-rows", ["HXA_CONNECT_DATABASE_BATCH_ROWS"], range 1..=4096;
        /// Commits that may wait for one writer, about a second of work; beyond them new work is refused with 503.
        queue: usize = 20_000, "database-queue", ["HXA_CONNECT_DATABASE_QUEUE"], range 1..=10_000_000;
        /// Seconds a starting hub waits for another one on the same database to end before it is refused. The default is
        /// what a stopping hub may take, and longer than a server needs to notice that one is gone.
        takeover_seconds: u64 = 12, "database-takeover-seconds", ["HXA_CONNECT_DATABASE_TAKEOVER_SECONDS"], range 0..=600;
        /// Milliseconds after which PostgreSQL gives up on a statement.
        statement_timeout_ms: u64 = 10_000, "database-statement-timeout-ms", ["HXA_CONNECT_DATABASE_STATEMENT_TIMEOUT_MS"], range 100..=600_000;
        /// Milliseconds a read waits for a connection before it is refused with 503.
        pool_timeout_ms: u64 = 3_000, "database-pool-timeout-ms", ["HXA_CONNECT_DATABASE_POOL_TIMEOUT_MS"], range 10..=600_000;
    }

    /// Messages.
    messages: MessagesConfig {
        /// Longest content of a message in characters.
        max_length: usize = 65_536, "max-message-length", ["HXA_CONNECT_MAX_MSG_LEN"], range 1..=16 * MIB, read_env zero_is_default;
        /// Accepted for compatibility; messages are always stored.
        persist: bool = true, "persist", ["HXA_CONNECT_PERSIST"], read_env not_false;
    }

    /// Uploaded files.
    files: FilesConfig {
        /// Largest uploaded file in MiB.
        max_file_size_mb: u64 = 50, "max-file-size-mb", ["HXA_CONNECT_MAX_FILE_SIZE_MB"], range 1..=102_400, read_env zero_is_default;
        /// Most MiB uploaded to the hub per day, all organisations together. Half of it is kept for them in equal parts, so
        /// that none finds it used up by the others; a lone organisation gets all of it.
        upload_mb_per_day: u64 = 500, "file-upload-mb-per-day", ["HXA_CONNECT_FILE_UPLOAD_MB_PER_DAY"], range 1..=104_857_600, read_env zero_is_default;
        /// Uploads that may be under way at once. One bot alone gets up to a quarter of them, which is more than clients
        /// open connections.
        uploads_at_once: usize = 256, "files-uploads-at-once", ["HXA_CONNECT_FILES_UPLOADS_AT_ONCE"], range 8..=100_000;
        /// Key that signs file links which work without a token; without it one made from the admin secret.
        link_secret: Option<Secret> = None, "files-link-secret", ["HXA_CONNECT_FILES_LINK_SECRET", "ADMIN_SECRET"];
        /// Put absolute, signed file links into events and webhooks instead of /api/files/… paths. Needs link_secret or
        /// admin_secret, and public_url or domain where clients are elsewhere.
        absolute_links: bool = false, "files-absolute-links", ["HXA_CONNECT_FILES_ABSOLUTE_LINKS"];
    }

    /// WebSocket connections.
    sockets: SocketsConfig {
        /// Largest message a client may send, in bytes. A connection takes at most about twice as much memory for what it
        /// receives.
        max_frame_bytes: usize = 1_200_000, "sockets-max-frame-bytes", ["HXA_CONNECT_SOCKETS_MAX_FRAME_BYTES"], range 1024..=64 * MIB;
        /// Bytes that may wait for one connection by itself; what is more counts among waiting_bytes. About what a connection's
        /// own buffers take.
        outbox_bytes: usize = 65_536, "sockets-outbox-bytes", ["HXA_CONNECT_SOCKETS_OUTBOX_BYTES"], range 1024..=1024 * MIB;
        /// Bytes that may wait for all connections beyond that; an event for many counts once. One organisation alone may have
        /// half, of which events get half: 32 MiB, more than 25 of the largest. When that is used up, its connections that are
        /// furthest behind are closed.
        waiting_bytes: usize = 128 * MIB, "sockets-waiting-bytes", ["HXA_CONNECT_SOCKETS_WAITING_BYTES"], range 16 * MIB..=65_536 * MIB;
        /// Milliseconds in which a connection may take nothing of what waits for it (or less than 16 KiB, of more) before it is
        /// closed. While more than half of waiting_bytes is in use, 2000 at most.
        outbox_age_ms: u64 = 10_000, "sockets-outbox-age-ms", ["HXA_CONNECT_SOCKETS_OUTBOX_AGE_MS"], range 100..=600_000;
        /// Operations of one connection that may be under way; beyond that, or with max_frame_bytes of them, it is not
        /// read.
        in_flight: usize = 64, "sockets-in-flight", ["HXA_CONNECT_SOCKETS_IN_FLIGHT"], range 1..=4096;
        /// Operations that one bot may send over its connections per second, whatever they are and however they end;
        /// large ones count for more. Ten seconds' worth may come at once. A hundred times what the usual rate of messages
        /// lets a bot send; four times the rate of messages where an organisation has raised that further.
        operations_per_second_per_bot: u64 = 200, "sockets-operations-per-second-per-bot", ["HXA_CONNECT_SOCKETS_OPERATIONS_PER_SECOND_PER_BOT"], range 1..=1_000_000_000;
        /// The same for all bots of an organisation together: about a third of what one core answers. It rises as the
        /// rate of a bot does.
        operations_per_second_per_org: u64 = 10_000, "sockets-operations-per-second-per-org", ["HXA_CONNECT_SOCKETS_OPERATIONS_PER_SECOND_PER_ORG"], range 1..=1_000_000_000;
        /// Pings, pongs and small fragments of messages that one connection may send per second, ten seconds' worth at
        /// once; beyond that it is closed. They are answered in microseconds, and no client needs more than a few.
        control_frames_per_second: u64 = 1_000, "sockets-control-frames-per-second", ["HXA_CONNECT_SOCKETS_CONTROL_FRAMES_PER_SECOND"], range 1..=1_000_000_000;
        /// Seconds between pings to a silent client.
        heartbeat_seconds: u64 = 30, "sockets-heartbeat-seconds", ["HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS"], range 1..=3600;
        /// Threads and channels one connection may watch.
        subscriptions: usize = 100, "sockets-subscriptions", ["HXA_CONNECT_SOCKETS_SUBSCRIPTIONS"], range 1..=100_000;
        /// Connections one bot may hold.
        per_bot: usize = 64, "sockets-per-bot", ["HXA_CONNECT_SOCKETS_PER_BOT"], range 1..=100_000;
        /// Connections one organisation may hold.
        per_org: usize = 20_000, "sockets-per-org", ["HXA_CONNECT_SOCKETS_PER_ORG"], range 1..=10_000_000;
        /// Deliveries per second and organisation of what everybody in it is told about a bot (it came, went, registered, or has
        /// another name or status) that are made at once; a connection that is woken for them counts as eight more.
        /// Beyond that they come a little later, many together.
        presence_per_second: u64 = 800_000, "sockets-presence-per-second", ["HXA_CONNECT_SOCKETS_PRESENCE_PER_SECOND"], range 10..=1_000_000_000;
        /// Changes of one bot's name and status that its organisation is told at once; then one comes each second, the newest in
        /// the place of those before it. More than anybody makes by hand, and a loop of them is no work for others.
        changes_at_once: u64 = 20, "sockets-changes-at-once", ["HXA_CONNECT_SOCKETS_CHANGES_AT_ONCE"], range 1..=1_000_000;
    }

    /// Budgets of writes, as units a minute per bot / per organisation. A write costs one unit and one more for each 16 KiB
    /// it carries; a minute's worth may be spent at once. What an organisation's settings raise (messages per minute,
    /// threads per hour) raises its budgets as much. 0 is without limit.
    budgets: BudgetsConfig {
        /// Messages, besides the organisation's own limit of their number.
        messages: Budget = Budget::per_minute(600, 60_000), "budgets-messages", ["HXA_CONNECT_BUDGETS_MESSAGES"];
        /// New threads and changes of threads: status, topic, context, tags, policies.
        threads: Budget = Budget::per_minute(600, 12_000), "budgets-threads", ["HXA_CONNECT_BUDGETS_THREADS"];
        /// Invitations, joining, leaving, removals, labels, join requests and what is decided about them.
        memberships: Budget = Budget::per_minute(600, 12_000), "budgets-memberships", ["HXA_CONNECT_BUDGETS_MEMBERSHIPS"];
        /// Versions of artifacts: eighteen of the largest at once.
        artifacts: Budget = Budget::per_minute(1_200, 12_000), "budgets-artifacts", ["HXA_CONNECT_BUDGETS_ARTIFACTS"];
        /// Uploaded files, by their number; their bytes have a limit per day.
        files: Budget = Budget::per_minute(600, 6_000), "budgets-files", ["HXA_CONNECT_BUDGETS_FILES"];
        /// A bot's profile, name, metadata and webhook.
        profiles: Budget = Budget::per_minute(120, 2_400), "budgets-profiles", ["HXA_CONNECT_BUDGETS_PROFILES"];
        /// Making and ending tokens, registration tickets and sessions.
        credentials: Budget = Budget::per_minute(120, 1_200), "budgets-credentials", ["HXA_CONNECT_BUDGETS_CREDENTIALS"];
        /// Logins that succeed; each writes a session and two audit rows at its beginning and end.
        logins: Budget = Budget::per_minute(60, 600), "budgets-logins", ["HXA_CONNECT_BUDGETS_LOGINS"];
        /// Registrations of bots, per ticket / per organisation.
        registrations: Budget = Budget::per_minute(3_000, 6_000), "budgets-registrations", ["HXA_CONNECT_BUDGETS_REGISTRATIONS"];
        /// What an organisation's admins change: settings, other bots, the secret.
        admin: Budget = Budget::per_minute(600, 2_400), "budgets-admin", ["HXA_CONNECT_BUDGETS_ADMIN"];
        /// Refused changes that leave a row in the audit trail, besides what the change itself costs.
        refusals: Budget = Budget::per_minute(120, 2_400), "budgets-refusals", ["HXA_CONNECT_BUDGETS_REFUSALS"];
    }

    /// How many of something a bot or an organisation may have at a time.
    limits: LimitsConfig {
        /// Scoped tokens of one bot that have not ended: one for each of its tools, and those of a busy day's jobs.
        tokens_per_bot: usize = 200, "limits-tokens-per-bot", ["HXA_CONNECT_LIMITS_TOKENS_PER_BOT"], range 1..=1_000_000;
        /// Scoped tokens of all bots of one organisation that have not ended.
        tokens_per_org: usize = 20_000, "limits-tokens-per-org", ["HXA_CONNECT_LIMITS_TOKENS_PER_ORG"], range 1..=10_000_000;
        /// Registration tickets of one organisation that can still be used.
        tickets_per_org: usize = 1_000, "limits-tickets-per-org", ["HXA_CONNECT_LIMITS_TICKETS_PER_ORG"], range 1..=1_000_000;
        /// Bots of one organisation; each takes some 2 kB of memory while its organisation is in use.
        bots_per_org: usize = 50_000, "limits-bots-per-org", ["HXA_CONNECT_LIMITS_BOTS_PER_ORG"], range 1..=10_000_000;
        /// Tickets for sockets that one bot may hold unused, whatever tokens it asks with: a fleet that reconnects together.
        ws_tickets_per_bot: usize = 1_000, "limits-ws-tickets-per-bot", ["HXA_CONNECT_LIMITS_WS_TICKETS_PER_BOT"], range 1..=1_000_000;
        /// Unused tickets for sockets in total, some 30 MB; one organisation gets at most half of those that are free.
        ws_tickets: usize = 100_000, "limits-ws-tickets", ["HXA_CONNECT_LIMITS_WS_TICKETS"], range 100..=10_000_000;
    }

    /// The actors of organisations and threads.
    actors: ActorsConfig {
        /// Threads that run the actors; 0 means those that serve HTTP.
        arbiters: usize = 0, "actors-arbiters", ["HXA_CONNECT_ACTORS_ARBITERS"], range 0..=1024;
        /// Seconds after which an unused actor leaves memory.
        idle_seconds: u64 = 300, "actors-idle-seconds", ["HXA_CONNECT_ACTORS_IDLE_SECONDS"], range 1..=86_400;
    }

    /// The log of recent events from which a reconnecting client resumes; per organisation.
    resume: ResumeConfig {
        /// Events kept.
        log_events: usize = 10_000, "resume-log-events", ["HXA_CONNECT_RESUME_LOG_EVENTS"], range 0..=10_000_000;
        /// Bytes kept.
        log_bytes: usize = 4 * MIB, "resume-log-bytes", ["HXA_CONNECT_RESUME_LOG_BYTES"], range 0..=4096 * MIB;
    }

    /// Webhooks.
    webhooks: WebhooksConfig {
        /// Hosts (name or name:port) that webhooks may reach although they are private or use plain http.
        allow: Vec<String> = Vec::new(), "webhooks-allow", ["HXA_CONNECT_WEBHOOKS_ALLOW"], check allow_list;
        /// Milliseconds that a receiver may take to answer before its conversation goes on without the answer.
        timeout_ms: u64 = 10_000, "webhooks-timeout-ms", ["HXA_CONNECT_WEBHOOKS_TIMEOUT_MS"], range 100..=60_000;
        /// Milliseconds for which an answer is waited for beside the conversation: what agents take to think.
        answer_ms: u64 = 120_000, "webhooks-answer-ms", ["HXA_CONNECT_WEBHOOKS_ANSWER_MS"], range 100..=3_600_000;
        /// Pauses in milliseconds before an event that was sent and not answered is sent again, each time once: few and far
        /// apart, because it may have been taken.
        repeat_ms: Vec<u64> = vec![60_000, 300_000], "webhooks-repeat-ms", ["HXA_CONNECT_WEBHOOKS_REPEAT_MS"];
        /// Seconds for which a receiver's Retry-After is honoured at most.
        retry_after_seconds: u64 = 3600, "webhooks-retry-after-seconds", ["HXA_CONNECT_WEBHOOKS_RETRY_AFTER_SECONDS"], range 0..=86_400;
        /// Pauses in milliseconds between the attempts of a round.
        retry_ms: Vec<u64> = vec![1000, 5000, 30_000], "webhooks-retry-ms", ["HXA_CONNECT_WEBHOOKS_RETRY_MS"], check pauses;
        /// Pause in milliseconds between two rounds of attempts.
        pause_ms: u64 = 60_000, "webhooks-pause-ms", ["HXA_CONNECT_WEBHOOKS_PAUSE_MS"], range 1..=86_400_000;
        /// Failed rounds in a row after which a receiver is degraded and only probed.
        degraded_after: u64 = 10, "webhooks-degraded-after", ["HXA_CONNECT_WEBHOOKS_DEGRADED_AFTER"], range 1..=1_000_000;
        /// Pause in milliseconds between two probes of a degraded receiver.
        probe_ms: u64 = 300_000, "webhooks-probe-ms", ["HXA_CONNECT_WEBHOOKS_PROBE_MS"], range 1..=86_400_000;
        /// Hours after which an event that could not be delivered is given up.
        give_up_hours: u64 = 72, "webhooks-give-up-hours", ["HXA_CONNECT_WEBHOOKS_GIVE_UP_HOURS"], range 1..=720;
        /// Events that may wait for one receiver; beyond them the oldest are given up.
        max_pending: u64 = 10_000, "webhooks-max-pending", ["HXA_CONNECT_WEBHOOKS_MAX_PENDING"], range 1..=10_000_000;
        /// Bytes of events that may wait for one receiver; beyond them the oldest are given up. Ten thousand events of
        /// 6 kB, far above the usual message.
        max_pending_bytes: usize = 64 * MIB, "webhooks-max-pending-bytes", ["HXA_CONNECT_WEBHOOKS_MAX_PENDING_BYTES"], range MIB..=65_536 * MIB;
        /// Events that may wait for all receivers of an organisation; beyond them the oldest are given up. Ten receivers that
        /// are down may fill their queues.
        org_max_pending: u64 = 100_000, "webhooks-org-max-pending", ["HXA_CONNECT_WEBHOOKS_ORG_MAX_PENDING"], range 1..=100_000_000;
        /// Bytes of payloads that an organisation may have stored, each once however many receivers it is for. Beyond them
        /// those go first that are only kept to be sent again, then the oldest events that wait.
        org_max_bytes: usize = 512 * MIB, "webhooks-org-max-bytes", ["HXA_CONNECT_WEBHOOKS_ORG_MAX_BYTES"], range MIB..=1_048_576 * MIB;
        /// Requests to one receiver that may be under way at once, of as many conversations; those whose answer is still
        /// waited for count.
        in_flight_per_bot: usize = 16, "webhooks-in-flight-per-bot", ["HXA_CONNECT_WEBHOOKS_IN_FLIGHT_PER_BOT"], range 1..=1024;
        /// Bytes of requests that may be under way to all receivers at once, 16 KiB each beside their bodies; shared out
        /// between organisations and bots. Some 4,000 usual messages.
        in_flight_bytes: usize = 64 * MIB, "webhooks-in-flight-bytes", ["HXA_CONNECT_WEBHOOKS_IN_FLIGHT_BYTES"], range 16 * MIB..=65_536 * MIB;
        /// Hosts that may be looked up at once, each on a thread of its own; shared out, so that an organisation whose name
        /// servers do not answer takes half of them at most.
        resolvers: usize = 32, "webhooks-resolvers", ["HXA_CONNECT_WEBHOOKS_RESOLVERS"], range 8..=1024;
        /// Changes of webhooks that may be under way at once (each may wait 5 seconds for its host to be looked up); shared
        /// out between organisations and bots. A lone organisation may register 64 bots with webhooks at once.
        changes: usize = 256, "webhooks-changes", ["HXA_CONNECT_WEBHOOKS_CHANGES"], range 8..=65_536;
        /// Send the webhook's secret as a Bearer token too, as older receivers expect; the signature is always sent.
        send_secret: bool = true, "webhooks-send-secret", ["HXA_CONNECT_WEBHOOKS_SEND_SECRET"];
    }

    /// What the hub says about itself while it runs.
    log: LogConfig {
        /// Least important lines to log: debug, info, warn or error. Development mode logs debug.
        level: LogLevel = LogLevel::Info, "log-level", ["HXA_CONNECT_LOG_LEVEL"];
        /// text (readable lines on standard error) or json (one object per line on standard output).
        format: LogFormat = LogFormat::Text, "log-format", ["HXA_CONNECT_LOG_FORMAT"];
        /// Milliseconds after which a query that reads is worth a warning; 0 turns the warnings off.
        slow_query_ms: u64 = 500, "log-slow-query-ms", ["HXA_CONNECT_LOG_SLOW_QUERY_MS"], range 0..=600_000;
        /// Milliseconds after which a commit is worth a warning; 0 turns the warnings off.
        slow_commit_ms: u64 = 500, "log-slow-commit-ms", ["HXA_CONNECT_LOG_SLOW_COMMIT_MS"], range 0..=600_000;
    }
}

/// Zero has always meant "the default" in these variables.
fn zero_is_default(text: &str) -> Option<&str> {
    if text.trim() == "0" { None } else { Some(text) }
}

/// Development mode takes exactly `true`, so that no other value opens a hub by accident.
fn only_true(text: &str) -> Option<&str> {
    Some(if text == "true" { "true" } else { "false" })
}

/// Only exactly `false` counts.
fn not_false(text: &str) -> Option<&str> {
    Some(if text == "false" { "false" } else { "true" })
}

/// Whatever is not `redis` has always meant the hub's own database.
fn redis_or_sql(text: &str) -> Option<&str> {
    Some(if text.parse::<SessionStore>().is_ok() { text } else { "sql" })
}
