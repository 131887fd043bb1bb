//! The target database: locked exclusively, migrated, empty or emptied, and filled in one transaction.
//!
//! A dry run fills a scratch file instead and deletes it, so it meets the same constraints and leaves the target
//! unchanged. What is added to what a target holds is tried on the target itself, in a transaction that is rolled back.

use std::collections::HashSet;
use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::ImportError;
use super::source::{has_table, open};
use crate::connection::{MultiBackend, each_backend};
use crate::database_lock::DatabaseLock;
use crate::rows::{
    ArtifactRow, AuditRow, BotRow, BotTokenRow, CatchupRow, ChannelMessageRow, ChannelRow, DeliveryRow, FileRow,
    InviteCodeRow, JoinRequestRow, OrgRow, OrgSettingsRow, ParticipantRow, PayloadRow, PersonLinkRow, PersonRow,
    ReceiptRow, SessionRow, ThreadMessageRow, ThreadRow, TicketRow, TombstoneRow, WebhookHealthRow,
};
use crate::schema::{
    artifacts, audit_log, bot_tokens, bots, catchup_events, channel_messages, channels, files, idempotency_keys,
    invite_codes, org_settings, org_tickets, orgs, people, person_links, sessions, thread_join_requests,
    thread_messages, thread_participants, threads, tombstones, webhook_deliveries, webhook_health, webhook_payloads,
};
use crate::{Backend, Catalogue, DbConnection, PostgresTarget, migrate};

/// Rows of one statement; thirty columns each stay below SQLite's limit of parameters.
const ROWS: usize = 500;

/// Every table of the kernel that holds something, children before their parents.
pub const TABLES: [&str; 24] = [
    "idempotency_keys",
    "webhook_health",
    "webhook_deliveries",
    "webhook_payloads",
    "catchup_events",
    "audit_log",
    "files",
    "artifacts",
    "thread_messages",
    "thread_join_requests",
    "thread_participants",
    "threads",
    "channel_messages",
    "channels",
    "sessions",
    "person_links",
    "people",
    "tombstones",
    "invite_codes",
    "org_tickets",
    "bot_tokens",
    "bots",
    "org_settings",
    "orgs",
];

/// The same with the tables of features.
fn children_first(catalogue: &Catalogue) -> impl Iterator<Item = &'static str> {
    catalogue.tables().rev().map(|table| table.name).chain(TABLES)
}

/// Rows that can be walked and inserted.
pub trait Stored: Sized {
    /// Their table.
    const TABLE: &'static str;
    /// The rows after this one in the order of their key.
    fn page(conn: &mut DbConnection, after: Option<&Self>, limit: i64) -> QueryResult<Vec<Self>>;
    /// Inserts rows, without those whose key or name is taken; how many went in.
    fn insert(conn: &mut DbConnection, rows: &[Self]) -> QueryResult<usize>;
    /// How many rows the table holds.
    fn count(conn: &mut DbConnection) -> QueryResult<i64>;
}

/// The condition that a row comes after another one by a key of one to three columns.
macro_rules! after {
    ($table:ident, $row:ident, $a:ident) => {
        $table::$a.gt($row.$a.clone())
    };
    ($table:ident, $row:ident, $a:ident, $($rest:ident),+) => {
        $table::$a.gt($row.$a.clone())
            .or($table::$a.eq($row.$a.clone()).and(after!($table, $row, $($rest),+)))
    };
}

macro_rules! stored {
    ($($Row:ident in $table:ident by ($($key:ident),+);)+) => {$(
        impl Stored for $Row {
            const TABLE: &'static str = stringify!($table);

            fn page(conn: &mut DbConnection, after: Option<&Self>, limit: i64) -> QueryResult<Vec<Self>> {
                let mut query = $table::table.into_boxed::<MultiBackend>();
                if let Some(row) = after {
                    query = query.filter(after!($table, row, $($key),+));
                }
                query.order(($($table::$key,)+)).limit(limit).select($Row::as_select()).load(conn)
            }

            fn insert(conn: &mut DbConnection, rows: &[Self]) -> QueryResult<usize> {
                rows.chunks(ROWS).try_fold(0, |sum, rows| {
                    let inserted = each_backend!(conn, |c| {
                        diesel::insert_into($table::table).values(rows.to_vec()).on_conflict_do_nothing().execute(c)
                    });
                    inserted.map(|inserted| sum + inserted)
                })
            }

            fn count(conn: &mut DbConnection) -> QueryResult<i64> {
                $table::table.count().get_result(conn)
            }
        }
    )+};
}

stored! {
    OrgRow in orgs by (id);
    OrgSettingsRow in org_settings by (org_id);
    BotRow in bots by (id);
    BotTokenRow in bot_tokens by (id);
    TicketRow in org_tickets by (id);
    InviteCodeRow in invite_codes by (id);
    TombstoneRow in tombstones by (id);
    PersonRow in people by (id);
    PersonLinkRow in person_links by (code_hash);
    SessionRow in sessions by (id_hash);
    ChannelRow in channels by (id);
    ChannelMessageRow in channel_messages by (channel_id, created_at, id);
    ThreadRow in threads by (id);
    ParticipantRow in thread_participants by (thread_id, bot_id);
    JoinRequestRow in thread_join_requests by (id);
    ThreadMessageRow in thread_messages by (thread_id, created_at, id);
    ArtifactRow in artifacts by (thread_id, artifact_key, version);
    FileRow in files by (id);
    AuditRow in audit_log by (org_id, id);
    CatchupRow in catchup_events by (target_bot_id, id);
    PayloadRow in webhook_payloads by (id);
    DeliveryRow in webhook_deliveries by (bot_id, position, id);
    WebhookHealthRow in webhook_health by (bot_id);
    ReceiptRow in idempotency_keys by (bot_id, key);
}

/// Things that rows refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parent {
    /// An organisation.
    Org,
    /// A bot.
    Bot,
    /// A channel.
    Channel,
    /// A thread.
    Thread,
}

/// The target.
pub struct Target {
    conn: DbConnection,
    lock: Option<DatabaseLock>,
    scratch: Option<Scratch>,
}

/// A folder that is gone with this value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be deleted in the folder for temporary files is somebody else's to tidy.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Target {
    /// Takes the configured database alone and brings it up to date; refuses one that holds something unless forced.
    pub fn open(catalogue: &Catalogue, backend: &Backend, force: bool) -> Result<Self, ImportError> {
        migrate::prepare_place(backend)?;
        let lock = DatabaseLock::exclusive(backend).map_err(|error| ImportError(format!("target: {error}")))?;
        if let (Some(what), false) = (occupied(catalogue, backend)?, force) {
            return Err(ImportError(format!(
                "the target is not empty ({what}); --force deletes all that it holds before the import"
            )));
        }
        migrate::migrate(catalogue, backend)?;
        Ok(Self { conn: connect(backend)?, lock: Some(lock), scratch: None })
    }

    /// Takes the configured database alone and brings it up to date; what it holds stays.
    pub fn join(catalogue: &Catalogue, backend: &Backend) -> Result<Self, ImportError> {
        migrate::prepare_place(backend)?;
        let lock = DatabaseLock::exclusive(backend).map_err(|error| ImportError(format!("target: {error}")))?;
        migrate::migrate(catalogue, backend)?;
        Ok(Self { conn: connect(backend)?, lock: Some(lock), scratch: None })
    }

    /// A database in a temporary folder.
    pub fn scratch(catalogue: &Catalogue) -> Result<Self, ImportError> {
        let folder = std::env::temp_dir().join(format!("hxa-connect-import-{}", uuid::Uuid::new_v4()));
        let backend = Backend::Sqlite(folder.join("scratch.db"));
        let scratch = Scratch(folder);
        migrate::migrate(catalogue, &backend)?;
        let mut conn = connect(&backend)?;
        conn.batch_execute("PRAGMA synchronous = OFF")?;
        Ok(Self { conn, lock: None, scratch: Some(scratch) })
    }

    /// Begins the transaction, and empties every table if wanted.
    pub fn begin(&mut self, catalogue: &Catalogue, empty: bool) -> Result<(), ImportError> {
        self.conn.batch_execute(match &self.conn {
            DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
            DbConnection::Postgres(_) => "BEGIN",
        })?;
        if empty {
            let mut tables = children_first(catalogue);
            tables.try_for_each(|table| self.conn.batch_execute(&format!("DELETE FROM {table}")))?;
        }
        Ok(())
    }

    /// Whether the database is still this import's alone.
    pub fn check(&self) -> Result<(), ImportError> {
        match &self.lock {
            Some(lock) => lock.check().map_err(ImportError),
            None => Ok(()),
        }
    }

    /// Makes everything durable; a dry run of the configured database leaves it as it was.
    pub fn finish(&mut self, dry_run: bool) -> Result<(), ImportError> {
        let is_kept = !dry_run || self.scratch.is_some();
        Ok(self.conn.batch_execute(if is_kept { "COMMIT" } else { "ROLLBACK" })?)
    }

    /// The connection, inside the transaction.
    pub fn conn(&mut self) -> &mut DbConnection {
        &mut self.conn
    }

    /// Which of these ids the target holds.
    pub fn known(&mut self, parent: Parent, ids: &HashSet<String>) -> Result<HashSet<String>, ImportError> {
        let ids: Vec<&String> = ids.iter().collect();
        let mut known = HashSet::new();
        for ids in ids.chunks(ROWS) {
            let conn = &mut self.conn;
            let found: Vec<String> = match parent {
                Parent::Org => orgs::table.filter(orgs::id.eq_any(ids)).select(orgs::id).load(conn)?,
                Parent::Bot => bots::table.filter(bots::id.eq_any(ids)).select(bots::id).load(conn)?,
                Parent::Channel => channels::table.filter(channels::id.eq_any(ids)).select(channels::id).load(conn)?,
                Parent::Thread => threads::table.filter(threads::id.eq_any(ids)).select(threads::id).load(conn)?,
            };
            known.extend(found);
        }
        Ok(known)
    }
}

/// A connection for statements that take as long as they take.
fn connect(backend: &Backend) -> Result<DbConnection, ImportError> {
    let patient = match backend {
        Backend::Sqlite(path) => Backend::Sqlite(path.clone()),
        Backend::Postgres(target) => {
            Backend::Postgres(PostgresTarget { url: target.url.clone(), statement_timeout_ms: 0 })
        }
    };
    patient.connect().map_err(|error| ImportError(format!("cannot open the target database: {error}")))
}

/// What a database holds, if it holds anything; one that does not exist holds nothing.
pub fn occupied(catalogue: &Catalogue, backend: &Backend) -> Result<Option<String>, ImportError> {
    if matches!(backend, Backend::Sqlite(path) if !path.exists()) {
        return Ok(None);
    }
    let mut conn = open(backend)?;
    let mut held = Vec::new();
    for table in TABLES.into_iter().rev().chain(catalogue.tables().map(|table| table.name)) {
        if has_table(&mut conn, table)? {
            let rows = super::source::count(&mut conn, table)?;
            if rows > 0 {
                held.push(format!("{rows} in {table}"));
            }
        }
    }
    Ok(if held.is_empty() { None } else { Some(held.join(", ")) })
}
