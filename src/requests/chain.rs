//! The audit chain of each organisation: writing it, verifying it, letting its oldest rows go.
//!
//! Every row is bound to the one before it by its hash; the head names the newest, so that a row which is cut off at the end
//! is missed as well. Rows are appended by the organisation's writer alone, in the transaction of what they tell of, and the
//! event ids of an organisation ascend with `seq`. Triggers refuse to change rows, and to delete those that the head does
//! not say were let go: [`purge`] moves that mark first.

use std::borrow::Cow;
use std::ops::Range;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::Serialize;

use crate::rows::{AUDIT_COLUMNS, AuditRow};
use crate::rules::audit::{ChainedRow, GENESIS, Hash, chain};
use crate::rules::{AuditDraft, AuditEventId, RequestId};
use crate::schema::{request_audit, request_audit_heads};
use hxa_domain::ids::OrgId;
use hxa_domain::secrets::hex;
use hxa_store::statement::Statement;
use hxa_store::{DbConnection, DbError};

/// Rows that are verified, exported or let go at a time.
const PAGE: i64 = 1000;

/// An event that gets its place.
pub struct Entry<'a> {
    /// The organisation.
    pub org: OrgId,
    /// The request.
    pub request: RequestId,
    /// What happened.
    pub draft: &'a AuditDraft,
}

/// A row of `request_audit_heads`.
#[derive(Debug, Clone, Queryable, QueryableByName, Serialize)]
#[diesel(table_name = request_audit_heads)]
struct HeadRow {
    org_id: String,
    event_id: String,
    seq: i64,
    hash: String,
    purged_seq: i64,
    purged_hash: String,
}

impl HeadRow {
    fn genesis(org: OrgId) -> Self {
        let hash = hex(&GENESIS);
        Self {
            org_id: org.to_string(),
            event_id: String::new(),
            seq: 0,
            purged_hash: hash.clone(),
            hash,
            purged_seq: 0,
        }
    }

    /// Puts an event at the end of the chain.
    fn push(&mut self, entry: &Entry<'_>) -> Result<AuditRow, DbError> {
        let event = self.next_id(entry.draft.at);
        self.push_as(event, entry)
    }

    /// Puts an event that has an id behind the newest at the end of the chain.
    fn push_as(&mut self, event: AuditEventId, entry: &Entry<'_>) -> Result<AuditRow, DbError> {
        let Entry { org, request, draft } = entry;
        let previous = unhex(&self.hash).ok_or_else(|| broken(&self.org_id))?;
        let seq = self.seq.saturating_add(1);
        let hash = hex(&chain(&previous, (*org, seq), (event, *request), draft));
        let row = AuditRow {
            org_id: self.org_id.clone(),
            event_id: event.to_string(),
            seq,
            request_id: request.to_string(),
            event_type: draft.kind.as_str().to_owned(),
            actor: draft.actor.clone(),
            actor_type: draft.actor_type.as_str().to_owned(),
            payload: draft.payload.as_str().to_owned(),
            created_at: draft.at,
            hash: hash.clone(),
        };
        (self.seq, self.hash) = (seq, hash);
        self.event_id.clone_from(&row.event_id);
        Ok(row)
    }

    /// An id behind the newest, also where that was made by a clock that was ahead.
    fn next_id(&self, at: i64) -> AuditEventId {
        let fresh = AuditEventId::at(at);
        match AuditEventId::parse(&self.event_id) {
            Some(newest) if newest >= fresh => AuditEventId::at(newest.millis().saturating_add(1)),
            _ => fresh,
        }
    }
}

fn broken(org: &str) -> DbError {
    let text = format!("the audit chain of organisation {org} has a damaged head");
    DbError::Database(diesel::result::Error::DeserializationError(text.into()))
}

fn unhex(text: &str) -> Option<Hash> {
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
    bytes?.try_into().ok()
}

/// Appends events in order, each to the chain of its organisation.
///
/// # Errors
/// When the database fails.
pub fn append(conn: &mut DbConnection, entries: &[Entry<'_>]) -> Result<(), DbError> {
    let mut orgs: Vec<OrgId> = entries.iter().map(|entry| entry.org).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let mut heads = load_heads(conn, &orgs)?;
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let at = orgs.binary_search(&entry.org).unwrap_or_default();
        let head = heads.get_mut(at).ok_or_else(|| broken(&entry.org.to_string()))?;
        rows.push(head.push(entry)?);
    }
    insert(conn, &rows)?;
    store_heads(conn, &heads)
}

/// Appends events that have their ids already, in the order of these and all behind the newest of the organisation.
///
/// # Errors
/// When the database fails.
pub fn append_as(conn: &mut DbConnection, org: OrgId, entries: &[(AuditEventId, Entry<'_>)]) -> Result<(), DbError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut head = load_head(conn, org)?.unwrap_or_else(|| HeadRow::genesis(org));
    let rows: Vec<AuditRow> =
        entries.iter().map(|(event, entry)| head.push_as(*event, entry)).collect::<Result<_, _>>()?;
    insert(conn, &rows)?;
    store_heads(conn, std::slice::from_ref(&head))
}

/// Whether an organisation has a chain.
///
/// # Errors
/// When the database fails.
pub fn exists(conn: &mut DbConnection, org: OrgId) -> Result<bool, DbError> {
    Ok(load_head(conn, org)?.is_some())
}

/// The heads of organisations, in their order; where a chain is new, its beginning.
fn load_heads(conn: &mut DbConnection, orgs: &[OrgId]) -> Result<Vec<HeadRow>, DbError> {
    orgs.iter().map(|org| Ok(load_head(conn, *org)?.unwrap_or_else(|| HeadRow::genesis(*org)))).collect()
}

fn load_head(conn: &mut DbConnection, org: OrgId) -> Result<Option<HeadRow>, DbError> {
    const HEAD: &str =
        "SELECT org_id, event_id, seq, hash, purged_seq, purged_hash FROM request_audit_heads WHERE org_id = $1";
    let head = Statement::<request_audit_heads::SqlType>::of_columns(HEAD).text(org);
    Ok(head.load::<HeadRow>(conn)?.into_iter().next())
}

fn insert(conn: &mut DbConnection, rows: &[AuditRow]) -> Result<(), DbError> {
    match conn {
        DbConnection::Postgres(_) => {
            let insert = format!(
                "INSERT INTO request_audit ({AUDIT_COLUMNS}) SELECT {AUDIT_COLUMNS} \
                 FROM json_populate_recordset(NULL::request_audit, CAST($1 AS json))"
            );
            Statement::new(insert).text(json(rows)?).execute(conn)?;
        }
        DbConnection::Sqlite(_) => {
            let mut rest = rows;
            while let Some((some, more)) = CHUNKS.iter().find_map(|count| rest.split_at_checked(*count)) {
                insert_chunk(conn, some)?;
                rest = more;
            }
        }
    }
    Ok(())
}

/// Rows of one statement on SQLite: a few sizes, because each is a statement that stays prepared. A statement whose triggers
/// may refuse keeps a journal of every page that it changes, which costs as much as the rows if each has its own.
const CHUNKS: [usize; 6] = [32, 16, 8, 4, 2, 1];

fn insert_chunk(conn: &mut DbConnection, rows: &[AuditRow]) -> Result<(), DbError> {
    let columns = AUDIT_COLUMNS.split(',').count();
    let row = |at: usize| -> String {
        let values: Vec<String> = (1..=columns).map(|column| format!("${}", at * columns + column)).collect();
        format!("({})", values.join(", "))
    };
    let values: Vec<String> = (0..rows.len()).map(row).collect();
    let mut insert =
        Statement::new(format!("INSERT INTO request_audit ({AUDIT_COLUMNS}) VALUES {}", values.join(", ")));
    for row in rows {
        insert = insert.text(&row.org_id).text(&row.event_id).number(row.seq).text(&row.request_id);
        insert = insert.text(&row.event_type).text(&row.actor).text(&row.actor_type).text(&row.payload);
        insert = insert.number(row.created_at).text(&row.hash);
    }
    insert.execute(conn)?;
    Ok(())
}

fn store_heads(conn: &mut DbConnection, heads: &[HeadRow]) -> Result<(), DbError> {
    const UPDATE: &str = "ON CONFLICT (org_id) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq, hash = excluded.hash, \
         purged_seq = excluded.purged_seq, purged_hash = excluded.purged_hash";
    const COLUMNS: &str = "org_id, event_id, seq, hash, purged_seq, purged_hash";
    if let DbConnection::Postgres(_) = conn {
        let rows = "json_populate_recordset(NULL::request_audit_heads, CAST($1 AS json))";
        let upsert = format!("INSERT INTO request_audit_heads ({COLUMNS}) SELECT {COLUMNS} FROM {rows} {UPDATE}");
        Statement::new(upsert).text(json(heads)?).execute(conn)?;
        return Ok(());
    }
    for head in heads {
        let upsert = format!("INSERT INTO request_audit_heads ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) {UPDATE}");
        let upsert = Statement::new(upsert).text(&head.org_id).text(&head.event_id).number(head.seq).text(&head.hash);
        upsert.number(head.purged_seq).text(&head.purged_hash).execute(conn)?;
    }
    Ok(())
}

/// Rows as the one value of a statement.
///
/// # Errors
/// When they cannot be written.
pub fn json(rows: &(impl Serialize + ?Sized)) -> Result<String, DbError> {
    let failed = |error: serde_json::Error| diesel::result::Error::SerializationError(Box::new(error));
    Ok(serde_json::to_string(rows).map_err(failed)?)
}

/// A chain that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The organisation.
    pub org_id: String,
    /// Rows that are there and bound to each other.
    pub rows: i64,
    /// Rows that were let go before the oldest that is there.
    pub purged: i64,
    /// The hash of the newest row: whoever keeps it elsewhere can tell later that nothing before it was changed.
    pub head: String,
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "organisation {}: {} rows verified", self.org_id, self.rows)?;
        if self.purged > 0 {
            write!(f, " behind {} that retention let go", self.purged)?;
        }
        write!(f, ", head {}", self.head)
    }
}

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The organisation.
    pub org_id: String,
    /// The row's place, if it is a row.
    pub seq: Option<i64>,
    /// The row's event.
    pub event_id: Option<String>,
    /// What is wrong.
    pub reason: Cow<'static, str>,
}

impl Broken {
    fn at(row: &AuditRow, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            org_id: row.org_id.clone(),
            seq: Some(row.seq),
            event_id: Some(row.event_id.clone()),
            reason: reason.into(),
        }
    }

    fn of_chain(org: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { org_id: org.to_owned(), seq: None, event_id: None, reason: reason.into() }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "organisation {}: ", self.org_id)?;
        if let (Some(seq), Some(event)) = (self.seq, &self.event_id) {
            write!(f, "row {seq} (event {event}): ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Has a connection see the database as it is now from here on, and however long that takes.
///
/// # Errors
/// When the database fails.
pub fn hold_still(conn: &mut DbConnection) -> Result<(), DbError> {
    match conn {
        DbConnection::Postgres(conn) => conn.batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        )?,
        DbConnection::Sqlite(conn) => conn.batch_execute("BEGIN")?,
    }
    Ok(())
}

/// Organisations that have a chain, or requests and none.
///
/// # Errors
/// When the database fails.
pub fn list_orgs(conn: &mut DbConnection) -> Result<Vec<String>, DbError> {
    const ORGS: &str = "SELECT org_id AS id FROM request_audit_heads UNION SELECT DISTINCT org_id AS id FROM request_audit \
         UNION SELECT DISTINCT org_id AS id FROM coordination_requests ORDER BY id";
    let rows: Vec<Named> = Statement::new(ORGS).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Verifies the chain of an organisation, within a transaction that sees one state of the database.
///
/// # Errors
/// When the database fails.
pub fn verify(conn: &mut DbConnection, org: &str) -> Result<Result<Verified, Broken>, DbError> {
    let Some(head) = load_head_of(conn, org)? else {
        let missing = "its head is missing, although it has requests or audit events";
        return Ok(Err(Broken::of_chain(org, missing)));
    };
    let Some(mut previous) = unhex(&head.purged_hash) else {
        return Ok(Err(Broken::of_chain(org, "its head is damaged")));
    };
    let (mut seq, mut after) = (head.purged_seq, String::new());
    loop {
        let page = page_of(conn, org, &after)?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.event_id);
        for row in &page {
            match check(row, seq, &previous) {
                Ok(hash) => (seq, previous) = (row.seq, hash),
                Err(broken) => return Ok(Err(broken)),
            }
        }
    }
    let (rows, purged) = (seq.saturating_sub(head.purged_seq), head.purged_seq);
    if seq != head.seq {
        let what = if seq < head.seq { "its newest rows are missing" } else { "rows were inserted behind its newest" };
        return Ok(Err(Broken::of_chain(
            org,
            format!("{what}: it ends at row {seq}, and its head is row {}", head.seq),
        )));
    }
    if hex(&previous) != head.hash {
        return Ok(Err(Broken::of_chain(org, format!("the hash of its newest row, {seq}, is not that of its head"))));
    }
    if purged == 0 && has_unaudited(conn, org)? {
        return Ok(Err(Broken::of_chain(org, "a request has no audit event")));
    }
    Ok(Ok(Verified { org_id: org.to_owned(), rows, purged, head: head.hash }))
}

fn load_head_of(conn: &mut DbConnection, org: &str) -> Result<Option<HeadRow>, DbError> {
    match OrgId::parse(org) {
        Some(org) => load_head(conn, org),
        None => Ok(None),
    }
}

fn page_of(conn: &mut DbConnection, org: &str, after: &str) -> Result<Vec<AuditRow>, DbError> {
    let rows = format!(
        "SELECT {AUDIT_COLUMNS} FROM request_audit WHERE org_id = $1 AND event_id > $2 ORDER BY event_id LIMIT {PAGE}"
    );
    Statement::<request_audit::SqlType>::of_columns(rows).text(org).text(after).load(conn)
}

/// The hash of a row that follows row `seq` with the hash `previous`.
fn check(row: &AuditRow, seq: i64, previous: &Hash) -> Result<Hash, Broken> {
    let next = seq.saturating_add(1);
    if row.seq > next {
        let missing = row.seq.saturating_sub(next);
        return Err(Broken::at(row, format!("{missing} rows before it are missing: it should be row {next}")));
    }
    if row.seq < next {
        return Err(Broken::at(row, format!("it was inserted: it should be row {next}")));
    }
    let hash = hash_of(row, previous);
    if hex(&hash) != row.hash {
        return Err(Broken::at(row, "its hash does not match what it says, or the row before it"));
    }
    Ok(hash)
}

fn hash_of(row: &AuditRow, previous: &Hash) -> Hash {
    let chained = ChainedRow {
        org: &row.org_id,
        seq: row.seq,
        event_id: &row.event_id,
        request_id: &row.request_id,
        event_type: &row.event_type,
        actor: &row.actor,
        actor_type: &row.actor_type,
        created_at: row.created_at,
        payload: &row.payload,
    };
    chained.hash(previous)
}

/// Whether there is a request of which nothing is told.
fn has_unaudited(conn: &mut DbConnection, org: &str) -> Result<bool, DbError> {
    const UNAUDITED: &str = "SELECT count(*) AS count FROM (SELECT 1 FROM coordination_requests r WHERE r.org_id = $1 \
         AND NOT EXISTS (SELECT 1 FROM request_audit a WHERE a.request_id = r.id) LIMIT 1) u";
    let counted: Vec<Counted> = Statement::new(UNAUDITED).text(org).load(conn)?;
    Ok(counted.first().is_some_and(|row| row.count > 0))
}

/// Calls `take` with the rows of an organisation that were written within a time, in ms, oldest first.
///
/// # Errors
/// When the database fails, or what `take` refuses.
pub fn export<E: From<DbError>>(
    conn: &mut DbConnection,
    org: &str,
    within: &Range<i64>,
    mut take: impl FnMut(&AuditRow) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = String::new();
    loop {
        let page = page_of(conn, org, &after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.event_id);
        page.iter().filter(|row| within.contains(&row.created_at)).try_for_each(&mut take)?;
    }
}

/// Lets the oldest rows of an organisation go that were written before a time, at most a page of them; how many went. The
/// newest stays in any case.
///
/// # Errors
/// When the database fails.
pub fn purge(conn: &mut DbConnection, org: OrgId, before: i64) -> Result<usize, DbError> {
    let Some(mut head) = load_head(conn, org)? else { return Ok(0) };
    let oldest = page_of(conn, &head.org_id, "")?;
    let old = oldest.iter().take_while(|row| row.created_at < before && row.seq < head.seq);
    let Some(last) = old.last() else { return Ok(0) };
    (head.purged_seq, head.purged_hash) = (last.seq, last.hash.clone());
    store_heads(conn, std::slice::from_ref(&head))?;
    const DELETE: &str = "DELETE FROM request_audit WHERE org_id = $1 AND event_id <= $2";
    Statement::new(DELETE).text(org).text(&last.event_id).execute(conn)
}

/// Deletes the whole chain of an organisation that goes, at most a page of it; how many rows went.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut DbConnection, org: OrgId) -> Result<usize, DbError> {
    // Without a head the rows may go; see the triggers.
    Statement::new("DELETE FROM request_audit_heads WHERE org_id = $1").text(org).execute(conn)?;
    let rows = format!(
        "DELETE FROM request_audit WHERE org_id = $1 AND event_id IN \
         (SELECT event_id FROM request_audit WHERE org_id = $1 ORDER BY event_id LIMIT {PAGE})"
    );
    Statement::new(rows).text(org).execute(conn)
}

#[cfg(test)]
mod tests;
