//! Lists of requests and of audit events.
//!
//! The texts of these statements come from a small set, because every connection keeps what it has prepared: a filter that
//! no index serves is always in the text and lets everything through when it is not asked for.

use diesel::connection::DefaultLoadingMode;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::rows::{AUDIT_COLUMNS, AuditRow, COLUMNS, Kept, RequestRow};
use crate::rules::filters::{AuditFilters, Filters, Page};
use crate::rules::request::handle_key;
use crate::rules::rights::Reach;
use crate::rules::{RequestId, State};
use crate::schema::{coordination_requests, request_audit};
use hxa_domain::ids::OrgId;
use hxa_store::page::within;
use hxa_store::statement::{Statement, Value};
use hxa_store::{DbConnection, DbError};

/// Rows that a total counts exactly; of more it says so.
pub const COUNTED: i64 = 10_000;

/// What is listed.
#[derive(Debug, Clone)]
pub struct Wanted<F> {
    /// The organisation.
    pub org: OrgId,
    /// What the caller sees.
    pub reach: Reach,
    /// What the caller asks for.
    pub filters: F,
    /// Which part.
    pub page: Page,
    /// Now, ms.
    pub now: i64,
    /// About the bytes that an answer may have.
    pub most: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether rows follow.
    pub has_more: bool,
    /// How many rows there are on all pages.
    pub total: i64,
    /// Whether there are more than that.
    pub is_more_than_total: bool,
}

/// Conditions with their values, numbered as they come.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// The next value, by its name.
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn text(&mut self, value: impl ToString) -> String {
        self.value(Value::Text(Some(value.to_string())))
    }

    fn number(&mut self, value: i64) -> String {
        self.value(Value::Number(Some(value)))
    }

    /// One more condition.
    fn and(&mut self, condition: &str) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(condition);
    }

    /// A column equals a text, if one is given.
    fn may_equal(&mut self, column: &str, text: Option<&str>) {
        let name = self.value(Value::Text(text.map(str::to_owned)));
        self.and(&format!("({name} IS NULL OR {column} = {name})"));
    }

    fn statement<C>(self, sql: String) -> Statement<C> {
        self.values.into_iter().fold(Statement::of_columns(sql), Statement::value)
    }
}

/// Text of the smallest and behind the largest id.
const BOUNDS: (&str, &str) = ("", "~");

/// The id from which on requests were made at or after a time.
fn first_at(ms: i64) -> String {
    // Imported ids may be a little apart from the time that is stored.
    const APART_MS: i64 = 60_000;
    RequestId::first_of(ms.saturating_sub(APART_MS)).to_string()
}

impl Wanted<Filters> {
    /// Conditions on the row `r` that all branches share.
    fn conditions(&self, page: bool) -> Conditions {
        let (filters, mut all) = (&self.filters, Conditions::default());
        let agent = match &self.reach {
            Reach::Agent(bot) => Some(bot),
            _ => None,
        };
        // Only the columns of the index that is to be used stand alone.
        let by_agent = agent.is_some() && !self.is_open();
        let org = all.text(self.org);
        all.and(&format!("{} = {org}", if by_agent { "r.org_id || ''" } else { "r.org_id" }));
        if let Some(bot) = agent {
            let bot = all.text(bot);
            all.and(&format!("{} = {bot}", if by_agent { "r.bot_id" } else { "r.bot_id || ''" }));
        }
        let before = self.page.cursor.as_ref().filter(|_| page).map_or(BOUNDS.1, |cursor| cursor.id.as_str());
        let before = all.text(before);
        all.and(&format!("r.id < {before}"));
        let first = all.text(filters.since.map_or(BOUNDS.0.to_owned(), first_at));
        all.and(&format!("r.id >= {first}"));
        if self.is_open() {
            all.and("r.due_at IS NOT NULL");
        }
        if let Some(trace) = &filters.trace_id {
            let trace = all.text(trace);
            all.and(&format!("r.trace_id = {trace}"));
        }
        if self.has_rest() {
            self.add_rest(&mut all);
        }
        all
    }

    /// Whether a great deal may have to be looked at.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        (self.has_rest() && !self.is_open()) || self.page.offset > COUNTED
    }

    /// Whether only open requests are asked for.
    fn is_open(&self) -> bool {
        let states = &self.filters.states;
        !states.is_empty() && states.iter().all(|state| state.is_open())
    }

    /// Whether anything is asked for that no index serves.
    fn has_rest(&self) -> bool {
        let Filters { agent_id, states, intent, urgency, since, until, .. } = &self.filters;
        let has_states = !states.is_empty() && states.as_slice() != [State::PendingResponse];
        let has_words = agent_id.is_some() || intent.is_some() || urgency.is_some();
        // An open request waits for its answer, unless a stop left it on its way.
        has_states || has_words || since.is_some() || until.is_some()
    }

    fn add_rest(&self, all: &mut Conditions) {
        let filters = &self.filters;
        all.may_equal("r.agent_id", filters.agent_id.as_deref());
        all.may_equal("r.intent", filters.intent.map(crate::rules::Intent::as_str));
        all.may_equal("r.urgency", filters.urgency.map(crate::rules::Urgency::as_str));
        let words: Vec<&str> = filters.states.iter().map(|state| state.as_str()).collect();
        let words = (!words.is_empty()).then(|| format!(",{},", words.join(",")));
        let states = all.value(Value::Text(words));
        all.and(&format!("({states} IS NULL OR {states} LIKE '%,' || r.state || ',%')"));
        let since = all.number(filters.since.unwrap_or(i64::MIN));
        let until = all.number(filters.until.unwrap_or(i64::MAX));
        all.and(&format!("r.submitted_at >= {since} AND r.submitted_at < {until}"));
    }

    /// The ids that are listed, newest first, at most `limit` behind `offset`; the conditions hold their values.
    fn ids(&self, (limit, offset): (i64, i64), page: bool) -> (String, Conditions) {
        let mut all = self.conditions(page);
        let asked = self.filters.responder_id.as_deref().map(handle_key);
        let own = match &self.reach {
            Reach::Responder(handle) => Some(handle_key(handle)),
            _ => None,
        };
        // Who asks for their own queue sees what asks them.
        let key = match (&asked, &own) {
            (Some(asked), Some(own)) if asked != own => {
                let (key, now, org) = (all.text(own), all.number(self.now), all.text(self.org));
                all.and(&format!("(r.responder_key = {key} OR EXISTS (SELECT 1 FROM request_seats s WHERE s.org_id = {org} \
                     AND s.responder_key = {key} AND s.request_id = r.id AND (s.asked_until = 0 OR s.asked_until > {now})))"));
                Some((asked.clone(), true))
            }
            (Some(asked), _) => Some((asked.clone(), true)),
            (None, Some(own)) => Some((own.clone(), false)),
            (None, None) => None,
        };
        let Some((key, is_asked)) = key else {
            let (limit, offset) = (all.number(limit), all.number(offset));
            let conditions = &all.sql;
            let ids = format!(
                "SELECT r.id FROM coordination_requests r WHERE {conditions} ORDER BY r.id DESC LIMIT {limit} OFFSET {offset}"
            );
            return (ids, all);
        };
        let conditions = all.sql.clone();
        // The index of seats leads, and each request is found by its id.
        let seated =
            [("r.id < ", "s.request_id < "), ("r.id >= ", "s.request_id >= "), ("r.org_id = ", "r.org_id || '' = ")];
        let seated = seated.iter().fold(conditions.clone(), |sql, (of_row, of_seat)| sql.replace(of_row, of_seat));
        let (key, org, now) = (all.text(key), all.text(self.org), all.number(self.now));
        let most = all.number(limit.saturating_add(offset));
        let (limit, offset) = (all.number(limit), all.number(offset));
        let seen = if is_asked { "" } else { "s.asked_until = 0 OR " };
        let ids = format!(
            "SELECT u.id FROM (\
             SELECT * FROM (SELECT r.id FROM coordination_requests r WHERE {conditions} AND r.responder_key = {key} \
             ORDER BY r.id DESC LIMIT {most}) a \
             UNION SELECT * FROM (SELECT r.id FROM request_seats s CROSS JOIN coordination_requests r \
             WHERE s.org_id = {org} AND s.responder_key = {key} AND ({seen}s.asked_until > {now}) \
             AND r.id = s.request_id AND {seated} ORDER BY s.request_id DESC LIMIT {most}) b\
             ) u ORDER BY u.id DESC LIMIT {limit} OFFSET {offset}"
        );
        (ids, all)
    }

    /// Reads the page.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list(&self, conn: &mut DbConnection) -> Result<Listed<Kept>, DbError> {
        let Page { limit, offset, .. } = self.page;
        if self.reach == Reach::Nothing {
            return Ok(Listed { rows: Vec::new(), has_more: false, total: 0, is_more_than_total: false });
        }
        let (ids, conditions) = self.ids((limit.saturating_add(1), offset), true);
        let rows = format!("SELECT {COLUMNS} FROM coordination_requests WHERE id IN ({ids}) ORDER BY id DESC");
        let statement = conditions.statement::<coordination_requests::SqlType>(rows);
        let (mut rows, next) = match conn {
            DbConnection::Postgres(c) => {
                within(statement.load_iter::<RequestRow, PgRowByRowLoadingMode>(c)?, self.most)?
            }
            DbConnection::Sqlite(c) => within(statement.load_iter::<RequestRow, DefaultLoadingMode>(c)?, self.most)?,
        };
        let has_more = cut(&mut rows, limit) || next.is_some();
        let rows = rows.into_iter().map(RequestRow::kept).collect::<Result<Vec<_>, _>>()?;
        self.listed(conn, rows, has_more)
    }

    fn listed(&self, conn: &mut DbConnection, rows: Vec<Kept>, has_more: bool) -> Result<Listed<Kept>, DbError> {
        let is_all = !has_more && self.page.offset == 0 && self.page.cursor.is_none() && self.page.limit > 0;
        let total = if is_all {
            i64::try_from(rows.len()).unwrap_or(i64::MAX)
        } else {
            let (ids, conditions) = self.ids((COUNTED.saturating_add(1), 0), false);
            count(conn, &ids, conditions)?
        };
        let is_more_than_total = total > COUNTED;
        Ok(Listed { rows, has_more, total: total.min(COUNTED), is_more_than_total })
    }
}

/// Leaves out what is beyond the page; whether there was such.
fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(0);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    has_more
}

/// How many rows these are.
fn count(conn: &mut DbConnection, rows: &str, conditions: Conditions) -> Result<i64, DbError> {
    let counted = conditions.statement::<(BigInt,)>(format!("SELECT count(*) FROM ({rows}) c"));
    let counted: Vec<(i64,)> = counted.load(conn)?;
    Ok(counted.first().map_or(0, |(count,)| *count))
}

impl Wanted<AuditFilters> {
    /// Whether a great deal may have to be looked at.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        let AuditFilters { request_id, event_type, actor, since, until } = &self.filters;
        let has_rest = event_type.is_some() || actor.is_some() || since.is_some() || until.is_some();
        (request_id.is_none() && (has_rest || self.reach != Reach::All)) || self.page.offset > COUNTED
    }

    /// The events' keys, oldest first.
    fn keys(&self, (limit, offset): (i64, i64), page: bool) -> (String, Conditions) {
        let (filters, mut all) = (&self.filters, Conditions::default());
        let org = all.text(self.org);
        // Of one request the index of requests is used.
        all.and(&format!("{} = {org}", if filters.request_id.is_some() { "a.org_id || ''" } else { "a.org_id" }));
        let after = self.page.cursor.as_ref().filter(|_| page).map_or(BOUNDS.0, |cursor| cursor.id.as_str());
        let after = all.text(after);
        all.and(&format!("a.event_id > {after}"));
        if let Some(request) = &filters.request_id {
            let request = all.text(RequestId::parse(request).map_or_else(String::new, |id| id.to_string()));
            all.and(&format!("a.request_id = {request}"));
        }
        if filters.event_type.is_some() || filters.actor.is_some() || filters.since.is_some() || filters.until.is_some()
        {
            all.may_equal("a.event_type", filters.event_type.map(crate::rules::AuditKind::as_str));
            all.may_equal("a.actor", filters.actor.as_deref());
            let since = all.number(filters.since.unwrap_or(i64::MIN));
            let until = all.number(filters.until.unwrap_or(i64::MAX));
            all.and(&format!("a.created_at >= {since} AND a.created_at < {until}"));
        }
        self.add_reach(&mut all);
        let (limit, offset) = (all.number(limit), all.number(offset));
        let conditions = &all.sql;
        let keys = format!(
            "SELECT a.event_id FROM request_audit a WHERE {conditions} ORDER BY a.event_id LIMIT {limit} OFFSET {offset}"
        );
        (keys, all)
    }

    fn add_reach(&self, all: &mut Conditions) {
        let seen = match &self.reach {
            Reach::All | Reach::Nothing => return,
            Reach::Agent(bot) => {
                let bot = all.text(bot);
                format!("r.bot_id = {bot}")
            }
            Reach::Responder(handle) => {
                let (key, now) = (all.text(handle_key(handle)), all.number(self.now));
                format!(
                    "(r.responder_key = {key} OR EXISTS (SELECT 1 FROM request_seats s WHERE s.org_id = r.org_id \
                     AND s.responder_key = {key} AND s.request_id = r.id AND (s.asked_until = 0 OR s.asked_until > {now})))"
                )
            }
        };
        all.and(&format!("EXISTS (SELECT 1 FROM coordination_requests r WHERE r.id = a.request_id AND {seen})"));
    }

    /// Reads the page.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list(&self, conn: &mut DbConnection) -> Result<Listed<AuditRow>, DbError> {
        let Page { limit, offset, .. } = self.page;
        if self.reach == Reach::Nothing {
            return Ok(Listed { rows: Vec::new(), has_more: false, total: 0, is_more_than_total: false });
        }
        let (keys, mut conditions) = self.keys((limit.saturating_add(1), offset), true);
        let org = conditions.text(self.org);
        let rows = format!(
            "SELECT {AUDIT_COLUMNS} FROM request_audit WHERE org_id = {org} AND event_id IN ({keys}) ORDER BY event_id"
        );
        let statement = conditions.statement::<request_audit::SqlType>(rows);
        let (mut rows, next) = match conn {
            DbConnection::Postgres(c) => within(statement.load_iter::<AuditRow, PgRowByRowLoadingMode>(c)?, self.most)?,
            DbConnection::Sqlite(c) => within(statement.load_iter::<AuditRow, DefaultLoadingMode>(c)?, self.most)?,
        };
        let has_more = cut(&mut rows, limit) || next.is_some();
        let is_all = !has_more && offset == 0 && self.page.cursor.is_none() && limit > 0;
        let total = if is_all {
            i64::try_from(rows.len()).unwrap_or(i64::MAX)
        } else {
            let (keys, conditions) = self.keys((COUNTED.saturating_add(1), 0), false);
            count(conn, &keys, conditions)?
        };
        Ok(Listed { rows, has_more, total: total.min(COUNTED), is_more_than_total: total > COUNTED })
    }
}

#[cfg(test)]
mod tests;
