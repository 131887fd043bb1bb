//! Every setting of the hub, declared once.
//!
//! A row gives a setting's name in the file, its type, default, flag and environment variables, and its doc comment is
//! the documentation everywhere: on the field, in `--help` and in the generated `config/hxa-connect.toml`. To add a
//! setting, add a row and run `hxa-connect config print --default > config/hxa-connect.toml`.

use std::path::PathBuf;

use super::checks::{
    allow_list, data_folder, host_name, http_url, key_prefix, listen_host, pauses, postgres_url, redis_url, slack_base,
};
use super::types::{BasePath, Cidr, CorsOrigins, LogFormat, LogLevel, OpenPortal, ProxyHeader, Secret, SessionStore};
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
    /// Listen address, public names, and limits of connections, requests and responses.
    server: ServerConfig {
        /// Address to listen on. Development mode listens on 127.0.0.1.
        host: String = "0.0.0.0".to_owned(), "host", ["HXA_CONNECT_HOST"], check listen_host;
        /// Port to listen on; 0 picks a free one (in the environment 0 means the default).
        port: u16 = 4800, "port", ["HXA_CONNECT_PORT", "HCP_PORT"], read_env zero_is_default;
        /// Path under which a reverse proxy serves the hub, such as /hub. Requests work with and without it.
        base_path: BasePath = BasePath::default(), "base-path", ["BASE_PATH", "NEXT_PUBLIC_BASE_PATH"];
        /// Public host name, such as connect.example.com. Browser sessions are accepted from this host only; if unset,
        /// the host of the request is used.
        domain: Option<String> = None, "domain", ["DOMAIN"], check host_name;
        /// Public URL of the hub, including the base path; if unset, it is derived from `domain` and `base_path`.
        public_url: Option<String> = None, "public-url", ["HUB_PUBLIC_URL", "HCP_BASE_URL"], check http_url;
        /// Networks of reverse proxies whose X-Forwarded-For, -Host and -Proto headers are trusted, such as 127.0.0.1; if
        /// empty, no proxy is trusted.
        trusted_proxies: Vec<Cidr> = Vec::new(), "trusted-proxies", ["HXA_CONNECT_SERVER_TRUSTED_PROXIES"];
        /// Header in which trusted proxies name the client: x-forwarded-for, forwarded, x-real-ip, or auto for the first
        /// of these that a request has. Set it if a proxy forwards one of the others as clients send it.
        proxy_header: ProxyHeader = ProxyHeader::Auto, "proxy-header", ["HXA_CONNECT_SERVER_PROXY_HEADER"];
        /// Web origins that may call the hub from a browser, or "*" for all. Development mode allows all.
        cors_origins: CorsOrigins = CorsOrigins::None, "cors-origins", ["HXA_CONNECT_CORS_ORIGINS", "HXA_CONNECT_CORS"];
        /// Threads that serve HTTP and WebSocket connections; 0 means one per core.
        workers: usize = 0, "workers", ["HXA_CONNECT_SERVER_WORKERS"], range 0..=1024;
        /// Development mode: listens on this machine only, needs no admin secret, opens CORS except for routes that issue
        /// credentials, allows plain http webhooks, shows error details in responses, and sets cookies without Secure.
        /// Never use it in production.
        dev_mode: bool = false, "dev-mode", ["DEV_MODE"], read_env only_true;
        /// Name of the environment as /api/config/get reports it; has no other effect.
        node_env: String = "production".to_owned(), "node-env", ["NODE_ENV"];
        /// Seconds that connections have to end during shutdown; two seconds later the process exits anyway.
        drain_seconds: u64 = 8, "drain-seconds", ["HXA_CONNECT_SERVER_DRAIN_SECONDS"], range 0..=600;
        /// Maximum body of a JSON request, in bytes.
        max_body_bytes: usize = MIB, "max-body-bytes", ["HXA_CONNECT_SERVER_MAX_BODY_BYTES"], range 1024..=1024 * MIB;
        /// Maximum body, in bytes, of requests that need no credential: logins, registrations, creating an organisation.
        /// A registration with a full profile is smaller than the default.
        max_stranger_body_bytes: usize = 65_536, "max-stranger-body-bytes", ["HXA_CONNECT_SERVER_MAX_STRANGER_BODY_BYTES"], range 1024..=1024 * MIB;
        /// Memory, in bytes, for the bodies of all requests from when they are read until they are answered. One bot
        /// alone gets up to a quarter, which is more than a bot with a hundred requests in flight needs; requests without
        /// a credential are counted by address, all of them together as one organisation.
        bodies_bytes: usize = 256 * MIB, "bodies-bytes", ["HXA_CONNECT_SERVER_BODIES_BYTES"], range 16 * MIB..=64 * 1024 * MIB;
        /// Maximum size of a request line with headers, in bytes; the limit of common servers and reverse proxies.
        max_head_bytes: usize = 32_768, "max-head-bytes", ["HXA_CONNECT_SERVER_MAX_HEAD_BYTES"], range 4096..=120_000;
        /// Seconds that a client may stall while sending a request or receiving a response. Progress refills this
        /// allowance, so a slow but steady client never exhausts it.
        patience_seconds: u64 = 20, "patience-seconds", ["HXA_CONNECT_SERVER_PATIENCE_SECONDS"], range 1..=3600;
        /// Bytes per second at which the allowance of patience_seconds is refilled; a tenth of a bad mobile connection.
        slowest_bytes_per_second: u64 = 500, "slowest-bytes-per-second", ["HXA_CONNECT_SERVER_SLOWEST_BYTES_PER_SECOND"], range 1..=1_000_000;
        /// Maximum number of open connections; further ones are refused until one ends. One address gets at most a
        /// quarter of the free ones, except this machine's own addresses and those of trusted_proxies.
        max_connections: usize = 50_000, "max-connections", ["HXA_CONNECT_SERVER_MAX_CONNECTIONS"], range 16..=10_000_000;
        /// Connections that may wait to be accepted. The kernel caps this at net.core.somaxconn.
        backlog: u16 = 4096, "backlog", ["HXA_CONNECT_SERVER_BACKLOG"], range 1..=65_535;
        /// Maximum size of a response in bytes, except for files; a longer list continues with its cursor or its Link.
        /// The default fits a list of 10,000 bots with ordinary profiles, and ten such responses at once are no burden.
        max_answer_bytes: usize = 8 * MIB, "max-answer-bytes", ["HXA_CONNECT_SERVER_MAX_ANSWER_BYTES"], range MIB..=1024 * MIB;
        /// Maximum bytes of large responses (from 128 KiB) in flight to clients. One organisation may use half of what is
        /// free, one bot half of that: by default eight responses of the maximum size.
        answers_in_flight_bytes: usize = 256 * MIB, "answers-in-flight-bytes", ["HXA_CONNECT_SERVER_ANSWERS_IN_FLIGHT_BYTES"], range 8 * MIB..=65_536 * MIB;
        /// Serve Prometheus metrics at /metrics.
        metrics: bool = true, "metrics", ["HXA_CONNECT_SERVER_METRICS"];
        /// Serve the pages for people: the portal at /portal/, in which they answer what agents ask.
        dashboard: bool = true, "dashboard", ["HXA_CONNECT_SERVER_DASHBOARD"];
    }

    /// The super admin and the storage of login sessions.
    auth: AuthConfig {
        /// Secret of the super admin; use at least 16 random characters; fewer than 8 are refused. Required unless
        /// dev_mode is on or make_admin_secret has created one.
        admin_secret: Option<Secret> = None, "admin-secret", ["HXA_CONNECT_ADMIN_SECRET"];
        /// Create an admin secret at the first start without one, print it once, and store it in the file admin-secret of
        /// data_dir, where later starts find it.
        make_admin_secret: bool = false, "make-admin-secret", ["HXA_CONNECT_MAKE_ADMIN_SECRET"];
        /// Where login sessions are stored: sql (the hub's database) or redis.
        session_store: SessionStore = SessionStore::Sql, "session-store", ["SESSION_STORE"], read_env redis_or_sql;
        /// redis:// URL of the Redis server; required when session_store is redis.
        redis_url: Option<Secret> = None, "redis-url", ["REDIS_URL"], check redis_url;
        /// Prefix of all keys in Redis. Hubs with the same Redis and prefix accept each other's sessions.
        redis_prefix: String = "hxa:".to_owned(), "redis-prefix", ["HXA_CONNECT_AUTH_REDIS_PREFIX"], check key_prefix;
    }

    /// Where data is stored, and how much of the database the hub may use.
    database: DatabaseConfig {
        /// postgres:// URL of the database; if unset, the hub uses a SQLite file in data_dir.
        url: Option<Secret> = None, "database-url", ["HXA_CONNECT_DATABASE_URL", "DATABASE_URL"], check postgres_url;
        /// Folder for the SQLite database and uploaded files.
        data_dir: PathBuf = PathBuf::from("./data"), "data-dir", ["HXA_CONNECT_DATA_DIR"], check data_folder;
        /// Threads that read from SQLite.
        readers: usize = 4, "database-readers", ["HXA_CONNECT_DATABASE_READERS"], range 1..=256;
        /// Connections for reading from PostgreSQL.
        pool: usize = 10, "database-pool", ["HXA_CONNECT_DATABASE_POOL"], range 1..=1000;
        /// Connections for writing to PostgreSQL; SQLite always has one.
        writers: usize = 4, "database-writers", ["HXA_CONNECT_DATABASE_WRITERS"], range 1..=64;
        /// Maximum number of rows written in one transaction.
        batch_rows: usize = 512, "database-batch-rows", ["HXA_CONNECT_DATABASE_BATCH_ROWS"], range 1..=4096;
        /// Commits that may wait for one writer, about a second of work; beyond that, new work is refused with 503.
        queue: usize = 20_000, "database-queue", ["HXA_CONNECT_DATABASE_QUEUE"], range 1..=10_000_000;
        /// Seconds that a starting hub waits for another hub on the same database to stop before it is refused. The
        /// default is the longest time a shutdown takes, and longer than a database server needs to notice that a hub is
        /// gone.
        takeover_seconds: u64 = 12, "database-takeover-seconds", ["HXA_CONNECT_DATABASE_TAKEOVER_SECONDS"], range 0..=600;
        /// Milliseconds after which PostgreSQL cancels a statement.
        statement_timeout_ms: u64 = 10_000, "database-statement-timeout-ms", ["HXA_CONNECT_DATABASE_STATEMENT_TIMEOUT_MS"], range 100..=600_000;
        /// Milliseconds a read waits for a connection before it is refused with 503.
        pool_timeout_ms: u64 = 3_000, "database-pool-timeout-ms", ["HXA_CONNECT_DATABASE_POOL_TIMEOUT_MS"], range 10..=600_000;
    }

    /// Messages.
    messages: MessagesConfig {
        /// Maximum length of a message's content, in characters.
        max_length: usize = 65_536, "max-message-length", ["HXA_CONNECT_MAX_MSG_LEN"], range 1..=16 * MIB, read_env zero_is_default;
        /// Accepted for compatibility; messages are always stored.
        persist: bool = true, "persist", ["HXA_CONNECT_PERSIST"], read_env not_false;
    }

    /// Uploaded files.
    files: FilesConfig {
        /// Maximum size of an uploaded file, in MiB.
        max_file_size_mb: u64 = 50, "max-file-size-mb", ["HXA_CONNECT_MAX_FILE_SIZE_MB"], range 1..=102_400, read_env zero_is_default;
        /// Maximum MiB uploaded to the hub per day, all organisations together. Half of it is reserved for organisations
        /// in equal parts, so that no organisation finds it used up by others; a lone organisation gets all of it.
        upload_mb_per_day: u64 = 500, "file-upload-mb-per-day", ["HXA_CONNECT_FILE_UPLOAD_MB_PER_DAY"], range 1..=104_857_600, read_env zero_is_default;
        /// Maximum number of concurrent uploads. One bot alone gets up to a quarter of them, which is more than the
        /// number of connections that clients open.
        uploads_at_once: usize = 256, "files-uploads-at-once", ["HXA_CONNECT_FILES_UPLOADS_AT_ONCE"], range 8..=100_000;
        /// Key that signs file links which work without a token; if unset, it is derived from the admin secret.
        link_secret: Option<Secret> = None, "files-link-secret", ["HXA_CONNECT_FILES_LINK_SECRET", "ADMIN_SECRET"];
        /// Put absolute, signed file links into events and webhooks instead of /api/files/… paths. Needs link_secret or
        /// admin_secret, and public_url or domain if clients run on other machines.
        absolute_links: bool = false, "files-absolute-links", ["HXA_CONNECT_FILES_ABSOLUTE_LINKS"];
    }

    /// WebSocket connections.
    sockets: SocketsConfig {
        /// Maximum size of a message from a client, in bytes. The receive buffers of a connection take at most about
        /// twice as much memory.
        max_frame_bytes: usize = 1_200_000, "sockets-max-frame-bytes", ["HXA_CONNECT_SOCKETS_MAX_FRAME_BYTES"], range 1024..=64 * MIB;
        /// Bytes that may be queued for one connection on its own; further bytes count towards waiting_bytes. About the
        /// size of a connection's own buffers.
        outbox_bytes: usize = 65_536, "sockets-outbox-bytes", ["HXA_CONNECT_SOCKETS_OUTBOX_BYTES"], range 1024..=1024 * MIB;
        /// Bytes that may be queued for all connections beyond that; an event for many recipients counts once. One
        /// organisation alone may use half, of which events get half: 32 MiB, more than 25 events of the maximum size.
        /// When an organisation's share is used up, those of its connections that are furthest behind are closed.
        waiting_bytes: usize = 128 * MIB, "sockets-waiting-bytes", ["HXA_CONNECT_SOCKETS_WAITING_BYTES"], range 16 * MIB..=65_536 * MIB;
        /// Milliseconds after which a connection is closed if it has read nothing of what is queued for it (or less than
        /// 16 KiB, if more is queued). At most 2000 while more than half of waiting_bytes is in use.
        outbox_age_ms: u64 = 10_000, "sockets-outbox-age-ms", ["HXA_CONNECT_SOCKETS_OUTBOX_AGE_MS"], range 100..=600_000;
        /// Operations of one connection that may be in flight; beyond that, or with max_frame_bytes of them, the hub
        /// stops reading from it.
        in_flight: usize = 64, "sockets-in-flight", ["HXA_CONNECT_SOCKETS_IN_FLIGHT"], range 1..=4096;
        /// Operations per second that one bot may send over its connections, of any kind and with any result; large ones
        /// cost more. Bursts may use ten seconds' worth. The default is a hundred times what the usual message rate lets
        /// a bot send; if an organisation raises its message rate beyond that, the limit is four times the message rate.
        operations_per_second_per_bot: u64 = 200, "sockets-operations-per-second-per-bot", ["HXA_CONNECT_SOCKETS_OPERATIONS_PER_SECOND_PER_BOT"], range 1..=1_000_000_000;
        /// The same for all bots of an organisation together: about a third of what one core can answer. It rises in
        /// proportion to the rate of a bot.
        operations_per_second_per_org: u64 = 10_000, "sockets-operations-per-second-per-org", ["HXA_CONNECT_SOCKETS_OPERATIONS_PER_SECOND_PER_ORG"], range 1..=1_000_000_000;
        /// Pings, pongs and small message fragments that one connection may send per second, with bursts of ten seconds'
        /// worth; beyond that it is closed. They are answered in microseconds, and no client needs more than a few.
        control_frames_per_second: u64 = 1_000, "sockets-control-frames-per-second", ["HXA_CONNECT_SOCKETS_CONTROL_FRAMES_PER_SECOND"], range 1..=1_000_000_000;
        /// Seconds between pings to an idle client.
        heartbeat_seconds: u64 = 30, "sockets-heartbeat-seconds", ["HXA_CONNECT_SOCKETS_HEARTBEAT_SECONDS"], range 1..=3600;
        /// Threads and channels that one connection may subscribe to.
        subscriptions: usize = 100, "sockets-subscriptions", ["HXA_CONNECT_SOCKETS_SUBSCRIPTIONS"], range 1..=100_000;
        /// Maximum number of connections of one bot.
        per_bot: usize = 64, "sockets-per-bot", ["HXA_CONNECT_SOCKETS_PER_BOT"], range 1..=100_000;
        /// Maximum number of connections of one organisation.
        per_org: usize = 20_000, "sockets-per-org", ["HXA_CONNECT_SOCKETS_PER_ORG"], range 1..=10_000_000;
        /// Deliveries per second and organisation of events about bots that go to everybody (presence, registration,
        /// name, status); each connection that is woken for them counts as eight more. Events beyond that are delayed and
        /// batched.
        presence_per_second: u64 = 800_000, "sockets-presence-per-second", ["HXA_CONNECT_SOCKETS_PRESENCE_PER_SECOND"], range 10..=1_000_000_000;
        /// Changes of one bot's name and status that are published immediately; after that, one is published per second,
        /// and the newest replaces those before it. This is more than anyone does by hand, and a bot that changes them in
        /// a loop causes no load.
        changes_at_once: u64 = 20, "sockets-changes-at-once", ["HXA_CONNECT_SOCKETS_CHANGES_AT_ONCE"], range 1..=1_000_000;
    }

    /// Write budgets, in units per minute, per bot / per organisation. A write costs one unit plus one for each 16 KiB it
    /// carries; a burst may use a whole minute's budget. If an organisation's settings raise its rates (messages per
    /// minute, threads per hour), its budgets rise in proportion. 0 means unlimited.
    budgets: BudgetsConfig {
        /// Messages, in addition to the organisation's own limit of their number.
        messages: Budget = Budget::per_minute(600, 60_000), "budgets-messages", ["HXA_CONNECT_BUDGETS_MESSAGES"];
        /// New threads and changes of threads: status, topic, context, tags, policies.
        threads: Budget = Budget::per_minute(600, 12_000), "budgets-threads", ["HXA_CONNECT_BUDGETS_THREADS"];
        /// Invitations, joins, leaves, removals, labels, join requests and decisions about them.
        memberships: Budget = Budget::per_minute(600, 12_000), "budgets-memberships", ["HXA_CONNECT_BUDGETS_MEMBERSHIPS"];
        /// Versions of artifacts; the default allows a burst of eighteen of the maximum size.
        artifacts: Budget = Budget::per_minute(1_200, 12_000), "budgets-artifacts", ["HXA_CONNECT_BUDGETS_ARTIFACTS"];
        /// Uploaded files, by number; their bytes have a daily limit.
        files: Budget = Budget::per_minute(600, 6_000), "budgets-files", ["HXA_CONNECT_BUDGETS_FILES"];
        /// A bot's profile, name, metadata and webhook.
        profiles: Budget = Budget::per_minute(120, 2_400), "budgets-profiles", ["HXA_CONNECT_BUDGETS_PROFILES"];
        /// Creating and ending tokens, registration tickets and sessions.
        credentials: Budget = Budget::per_minute(120, 1_200), "budgets-credentials", ["HXA_CONNECT_BUDGETS_CREDENTIALS"];
        /// Successful logins; each writes a session and two audit rows, at its beginning and end.
        logins: Budget = Budget::per_minute(60, 600), "budgets-logins", ["HXA_CONNECT_BUDGETS_LOGINS"];
        /// Registrations of bots, per ticket / per organisation.
        registrations: Budget = Budget::per_minute(3_000, 6_000), "budgets-registrations", ["HXA_CONNECT_BUDGETS_REGISTRATIONS"];
        /// Changes by an organisation's admins: settings, other bots, the secret.
        admin: Budget = Budget::per_minute(600, 2_400), "budgets-admin", ["HXA_CONNECT_BUDGETS_ADMIN"];
        /// Refused changes that write a row to the audit trail, in addition to the cost of the change itself.
        refusals: Budget = Budget::per_minute(120, 2_400), "budgets-refusals", ["HXA_CONNECT_BUDGETS_REFUSALS"];
        /// Coordination requests: asking, answering, the first read of an answer, cancelling, reassigning. The default lets a
        /// bot ask ten thousand times at once.
        requests: Budget = Budget::per_minute(60_000, 180_000), "budgets-requests", ["HXA_CONNECT_BUDGETS_REQUESTS"];
        /// Calls of /v1: of one bot or person and of its organisation; the same of one address and of all addresses. Far above
        /// what agents do: it stops loops that have gone wild.
        calls: Budget = Budget::per_minute(1_200_000, 6_000_000), "budgets-calls", ["HXA_CONNECT_BUDGETS_CALLS"];
    }

    /// How many of something a bot or an organisation may have at a time.
    limits: LimitsConfig {
        /// Valid scoped tokens of one bot: one for each of its tools, and those of a busy day's jobs.
        tokens_per_bot: usize = 200, "limits-tokens-per-bot", ["HXA_CONNECT_LIMITS_TOKENS_PER_BOT"], range 1..=1_000_000;
        /// Valid scoped tokens of all bots of one organisation.
        tokens_per_org: usize = 20_000, "limits-tokens-per-org", ["HXA_CONNECT_LIMITS_TOKENS_PER_ORG"], range 1..=10_000_000;
        /// Usable registration tickets of one organisation.
        tickets_per_org: usize = 1_000, "limits-tickets-per-org", ["HXA_CONNECT_LIMITS_TICKETS_PER_ORG"], range 1..=1_000_000;
        /// Bots of one organisation; each takes about 2 kB of memory while its organisation is in use.
        bots_per_org: usize = 50_000, "limits-bots-per-org", ["HXA_CONNECT_LIMITS_BOTS_PER_ORG"], range 1..=10_000_000;
        /// People of one organisation; each takes about 1 kB of memory while its organisation is in use.
        people_per_org: usize = 1_000, "limits-people-per-org", ["HXA_CONNECT_LIMITS_PEOPLE_PER_ORG"], range 1..=100_000;
        /// Unused WebSocket tickets of one bot, over all its tokens; enough for a fleet that reconnects at once.
        ws_tickets_per_bot: usize = 1_000, "limits-ws-tickets-per-bot", ["HXA_CONNECT_LIMITS_WS_TICKETS_PER_BOT"], range 1..=1_000_000;
        /// Unused WebSocket tickets in total, about 30 MB; one organisation gets at most half of the free ones.
        ws_tickets: usize = 100_000, "limits-ws-tickets", ["HXA_CONNECT_LIMITS_WS_TICKETS"], range 100..=10_000_000;
    }

    /// Coordination requests: agents ask, people decide.
    coordination: CoordinationConfig {
        /// Open requests of one bot; further ones are refused until one has ended. Each takes less than 1 kB of memory.
        open_per_bot: usize = 20_000, "coordination-open-per-bot", ["HXA_CONNECT_COORDINATION_OPEN_PER_BOT"], range 1..=10_000_000;
        /// Open requests of one organisation.
        open_per_org: usize = 100_000, "coordination-open-per-org", ["HXA_CONNECT_COORDINATION_OPEN_PER_ORG"], range 1..=10_000_000;
        /// Event streams (SSE) that one bot or person may have open.
        streams_per_member: usize = 500, "coordination-streams-per-member", ["HXA_CONNECT_COORDINATION_STREAMS_PER_MEMBER"], range 1..=1_000_000;
        /// Event streams that one organisation may have open.
        streams_per_org: usize = 5_000, "coordination-streams-per-org", ["HXA_CONNECT_COORDINATION_STREAMS_PER_ORG"], range 1..=1_000_000;
        /// People answer requests without logging in, under whichever name they give. Refused unless the hub listens on its own
        /// machine only, or the value is i-trust-this-network.
        open_portal: OpenPortal = OpenPortal::Closed, "coordination-open-portal", ["HXA_CONNECT_COORDINATION_OPEN_PORTAL"];
        /// Days after which requests that have ended are deleted; 0 keeps them. What the audit says of them stays.
        keep_days: u64 = 0, "coordination-keep-days", ["HXA_CONNECT_COORDINATION_KEEP_DAYS"], range 0..=36_500;
        /// Days after which audit events of requests are deleted, oldest first; 0 keeps them.
        keep_audit_days: u64 = 0, "coordination-keep-audit-days", ["HXA_CONNECT_COORDINATION_KEEP_AUDIT_DAYS"], range 0..=36_500;
    }

    /// Slack: people hear of coordination requests there, and answer them by buttons.
    slack: SlackConfig {
        /// Token of the Slack app's bot (xoxb-…), which may write messages; if unset, nothing is sent to Slack.
        bot_token: Option<Secret> = None, "slack-bot-token", ["SLACK_BOT_TOKEN"];
        /// Signing secret of the Slack app; two, separated by a comma, while one is being replaced. If unset, messages have no
        /// buttons, and what Slack sends is refused.
        signing_secret: Option<Secret> = None, "slack-signing-secret", ["SLACK_SIGNING_SECRET"];
        /// Address of Slack's API; an https URL, unless it is on this machine.
        api_base: String = "https://slack.com/api".to_owned(), "slack-api-base", ["SLACK_API_BASE"], check slack_base;
        /// Requests of one organisation whose messages may wait for Slack; those beyond that are in the portal only.
        outbox_per_org: usize = 10_000, "slack-outbox-per-org", ["HXA_CONNECT_SLACK_OUTBOX_PER_ORG"], range 1..=1_000_000;
        /// Messages that are being sent at the same time.
        in_flight: usize = 4, "slack-in-flight", ["HXA_CONNECT_SLACK_IN_FLIGHT"], range 1..=64;
        /// Attempts to send a message that may fail, the first after a second and each further one after twice as long, up to
        /// five minutes; then the portal remains, and the audit says so. Waiting for a rate limit of Slack does not count.
        attempts: u64 = 12, "slack-attempts", ["HXA_CONNECT_SLACK_ATTEMPTS"], range 1..=100;
    }

    /// The actors of organisations and threads.
    actors: ActorsConfig {
        /// Threads that run the actors; 0 means those that serve HTTP.
        arbiters: usize = 0, "actors-arbiters", ["HXA_CONNECT_ACTORS_ARBITERS"], range 0..=1024;
        /// Seconds after which an idle actor is unloaded from memory.
        idle_seconds: u64 = 300, "actors-idle-seconds", ["HXA_CONNECT_ACTORS_IDLE_SECONDS"], range 1..=86_400;
    }

    /// The log of recent events from which a reconnecting client resumes, per organisation.
    resume: ResumeConfig {
        /// Maximum number of events.
        log_events: usize = 10_000, "resume-log-events", ["HXA_CONNECT_RESUME_LOG_EVENTS"], range 0..=10_000_000;
        /// Maximum size in bytes.
        log_bytes: usize = 4 * MIB, "resume-log-bytes", ["HXA_CONNECT_RESUME_LOG_BYTES"], range 0..=4096 * MIB;
    }

    /// Webhooks.
    webhooks: WebhooksConfig {
        /// Hosts (name or name:port) that webhooks may reach even if they are private or use plain http.
        allow: Vec<String> = Vec::new(), "webhooks-allow", ["HXA_CONNECT_WEBHOOKS_ALLOW"], check allow_list;
        /// Milliseconds to wait for a receiver's response before its conversation continues without it.
        timeout_ms: u64 = 10_000, "webhooks-timeout-ms", ["HXA_CONNECT_WEBHOOKS_TIMEOUT_MS"], range 100..=60_000;
        /// Milliseconds to keep waiting for a response while the conversation continues; long enough for an agent to
        /// think.
        answer_ms: u64 = 120_000, "webhooks-answer-ms", ["HXA_CONNECT_WEBHOOKS_ANSWER_MS"], range 100..=3_600_000;
        /// Delays in milliseconds before an event that got no response is sent again, each once: few and far apart,
        /// because the receiver may have accepted it.
        repeat_ms: Vec<u64> = vec![60_000, 300_000], "webhooks-repeat-ms", ["HXA_CONNECT_WEBHOOKS_REPEAT_MS"];
        /// Maximum seconds for which a receiver's Retry-After is honoured.
        retry_after_seconds: u64 = 3600, "webhooks-retry-after-seconds", ["HXA_CONNECT_WEBHOOKS_RETRY_AFTER_SECONDS"], range 0..=86_400;
        /// Delays in milliseconds between the attempts of a retry round.
        retry_ms: Vec<u64> = vec![1000, 5000, 30_000], "webhooks-retry-ms", ["HXA_CONNECT_WEBHOOKS_RETRY_MS"], check pauses;
        /// Delay in milliseconds between two retry rounds.
        pause_ms: u64 = 60_000, "webhooks-pause-ms", ["HXA_CONNECT_WEBHOOKS_PAUSE_MS"], range 1..=86_400_000;
        /// Consecutive failed rounds after which a receiver is degraded and only probed.
        degraded_after: u64 = 10, "webhooks-degraded-after", ["HXA_CONNECT_WEBHOOKS_DEGRADED_AFTER"], range 1..=1_000_000;
        /// Delay in milliseconds between two probes of a degraded receiver.
        probe_ms: u64 = 300_000, "webhooks-probe-ms", ["HXA_CONNECT_WEBHOOKS_PROBE_MS"], range 1..=86_400_000;
        /// Hours after which an event that could not be delivered is dropped.
        give_up_hours: u64 = 72, "webhooks-give-up-hours", ["HXA_CONNECT_WEBHOOKS_GIVE_UP_HOURS"], range 1..=720;
        /// Events that may wait for one receiver; beyond that the oldest are dropped.
        max_pending: u64 = 10_000, "webhooks-max-pending", ["HXA_CONNECT_WEBHOOKS_MAX_PENDING"], range 1..=10_000_000;
        /// Bytes of events that may wait for one receiver; beyond that the oldest are dropped. The default fits ten
        /// thousand events of 6 kB, far above the usual message.
        max_pending_bytes: usize = 64 * MIB, "webhooks-max-pending-bytes", ["HXA_CONNECT_WEBHOOKS_MAX_PENDING_BYTES"], range MIB..=65_536 * MIB;
        /// Events that may wait for all receivers of an organisation; beyond that the oldest are dropped. The default
        /// lets ten unreachable receivers fill their queues.
        org_max_pending: u64 = 100_000, "webhooks-org-max-pending", ["HXA_CONNECT_WEBHOOKS_ORG_MAX_PENDING"], range 1..=100_000_000;
        /// Bytes of payloads that an organisation may have stored, each counted once however many receivers it has.
        /// Beyond that, payloads kept only for a repeat are dropped first, then the oldest waiting events.
        org_max_bytes: usize = 512 * MIB, "webhooks-org-max-bytes", ["HXA_CONNECT_WEBHOOKS_ORG_MAX_BYTES"], range MIB..=1_048_576 * MIB;
        /// Concurrent requests to one receiver, each of a different conversation, including those whose response is still
        /// awaited.
        in_flight_per_bot: usize = 16, "webhooks-in-flight-per-bot", ["HXA_CONNECT_WEBHOOKS_IN_FLIGHT_PER_BOT"], range 1..=1024;
        /// Bytes of requests in flight to all receivers, 16 KiB each in addition to their bodies; shared between
        /// organisations and bots. The default fits about 4,000 usual messages.
        in_flight_bytes: usize = 64 * MIB, "webhooks-in-flight-bytes", ["HXA_CONNECT_WEBHOOKS_IN_FLIGHT_BYTES"], range 16 * MIB..=65_536 * MIB;
        /// Concurrent host lookups, each on a thread of its own; shared, so that an organisation whose name servers do
        /// not respond takes at most half of them.
        resolvers: usize = 32, "webhooks-resolvers", ["HXA_CONNECT_WEBHOOKS_RESOLVERS"], range 8..=1024;
        /// Concurrent changes of webhooks (each may wait 5 seconds for a host lookup); shared between organisations and
        /// bots. By default a lone organisation may register 64 bots with webhooks at once.
        changes: usize = 256, "webhooks-changes", ["HXA_CONNECT_WEBHOOKS_CHANGES"], range 8..=65_536;
        /// Also send the webhook's secret as a bearer token, as older receivers expect; the signature is always sent.
        send_secret: bool = true, "webhooks-send-secret", ["HXA_CONNECT_WEBHOOKS_SEND_SECRET"];
    }

    /// Logging.
    log: LogConfig {
        /// Lowest level to log: debug, info, warn or error. Development mode logs debug.
        level: LogLevel = LogLevel::Info, "log-level", ["HXA_CONNECT_LOG_LEVEL"];
        /// text (readable lines on standard error) or json (one object per line on standard output).
        format: LogFormat = LogFormat::Text, "log-format", ["HXA_CONNECT_LOG_FORMAT"];
        /// Milliseconds after which a read query is logged as a warning; 0 disables the warnings.
        slow_query_ms: u64 = 500, "log-slow-query-ms", ["HXA_CONNECT_LOG_SLOW_QUERY_MS"], range 0..=600_000;
        /// Milliseconds after which a commit is logged as a warning; 0 disables the warnings.
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
