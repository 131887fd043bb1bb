//! Changes of the feature's rows, as the group-commit writer runs them.
//!
//! A [`Transition`] is everything that one change of a request writes: its row, who sees it, its audit events. The
//! transitions of a batch are written together, which on PostgreSQL takes a handful of statements for any number of them.

use std::any::Any;
use std::collections::HashSet;

use diesel::prelude::*;

use crate::chain::{self, Entry, json};
use crate::rows::{COLUMNS, Kept, RequestRow};
use crate::rules::{AuditDraft, RequestId, State};
use crate::schema::coordination_requests;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_store::statement::{Statement, Value};
use hxa_store::{DbConnection, DbError, FeatureWrite};

/// A change of who sees a request besides its responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatChange {
    /// This one is asked until a time, ms, or has answered: 0.
    Put(String, i64),
    /// This one sees it no more.
    Take(String),
}

/// One change of a request, or its creation.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The request as it shall be, with its new revision.
    pub kept: Kept,
    /// Whether it is new.
    pub is_new: bool,
    /// Whether another responder is asked.
    pub moves: bool,
    /// What its thread must be told from now on.
    pub thread_owed: Option<State>,
    /// Who else sees it.
    pub seats: Vec<SeatChange>,
    /// What is written of it.
    pub audit: Vec<AuditDraft>,
}

impl Transition {
    fn row(&self) -> RequestRow {
        RequestRow::of(&self.kept, self.thread_owed)
    }
}

/// The refusal of a request whose idempotency key was taken a moment before; whoever made it then finds the winner.
#[must_use]
pub fn key_taken() -> ApiError {
    let message = "A request with this idempotency key is in progress; try again shortly";
    ApiError::new(ErrorCode::IdempotencyInProgress, message).with("retry_after", 1)
}

/// The refusal of a change that was computed on a row which has changed since.
#[must_use]
pub fn overtaken() -> ApiError {
    ApiError::unavailable("The request has changed meanwhile; try again")
}

impl FeatureWrite for Transition {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        write_all(conn, &[self])
    }

    fn apply_all(&self, all: &[&dyn FeatureWrite], conn: &mut DbConnection) -> Result<(), DbError> {
        let all: Vec<&Self> = all.iter().filter_map(|write| write.as_any()?.downcast_ref()).collect();
        // One statement may change a row only once.
        let mut known: HashSet<RequestId> = HashSet::with_capacity(all.len());
        let mut begin = 0;
        for (at, transition) in all.iter().enumerate() {
            if !known.insert(transition.kept.request.id) {
                write_all(conn, all.get(begin..at).unwrap_or_default())?;
                known = HashSet::from([transition.kept.request.id]);
                begin = at;
            }
        }
        write_all(conn, all.get(begin..).unwrap_or_default())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn bytes(&self) -> usize {
        let request = &self.kept.request;
        let answer = request.response_data.as_ref().map_or(0, |data| data.as_str().len());
        let audit: usize = self.audit.iter().map(|draft| draft.payload.as_str().len()).sum();
        request.context.as_str().len().saturating_add(answer).saturating_add(audit)
    }
}

/// Writes transitions of different requests.
///
/// # Errors
/// When a row has changed meanwhile or an idempotency key is taken, and when the database fails.
pub fn write_all(conn: &mut DbConnection, all: &[&Transition]) -> Result<(), DbError> {
    let (new, changed): (Vec<&Transition>, Vec<&Transition>) = all.iter().copied().partition(|write| write.is_new);
    insert(conn, &new)?;
    update(conn, &changed)?;
    for transition in all {
        write_seats(conn, transition)?;
    }
    let entries: Vec<Entry<'_>> = all.iter().copied().flat_map(entries_of).collect();
    chain::append(conn, &entries)
}

fn entries_of(transition: &Transition) -> impl Iterator<Item = Entry<'_>> {
    let request = &transition.kept.request;
    transition.audit.iter().map(|draft| Entry { org: request.org, request: request.id, draft })
}

fn insert(conn: &mut DbConnection, new: &[&Transition]) -> Result<(), DbError> {
    if new.is_empty() {
        return Ok(());
    }
    let rows: Vec<RequestRow> = new.iter().map(|transition| transition.row()).collect();
    let inserted = match conn {
        DbConnection::Postgres(_) => {
            let insert = format!(
                "INSERT INTO coordination_requests ({COLUMNS}) SELECT {COLUMNS} \
                 FROM json_populate_recordset(NULL::coordination_requests, CAST($1 AS json)) ON CONFLICT DO NOTHING"
            );
            Statement::new(insert).text(json(&rows)?).execute(conn)?
        }
        DbConnection::Sqlite(conn) => {
            let insert = |row: &RequestRow| {
                diesel::insert_into(coordination_requests::table).values(row).on_conflict_do_nothing().execute(conn)
            };
            rows.iter().map(insert).sum::<QueryResult<usize>>()?
        }
    };
    if inserted == rows.len() { Ok(()) } else { Err(key_taken().into()) }
}

/// Columns that a change may write, without those that it seldom does.
const CHANGED: [&str; 10] = [
    "state",
    "level",
    "progress",
    "response_data",
    "responded_by",
    "responded_at",
    "updated_at",
    "timeout_at",
    "delivered_at",
    "slack",
];

fn update(conn: &mut DbConnection, changed: &[&Transition]) -> Result<(), DbError> {
    if changed.is_empty() {
        return Ok(());
    }
    let updated = match conn {
        DbConnection::Postgres(_) => {
            let rows: Vec<RequestRow> = changed.iter().map(|transition| transition.row()).collect();
            let columns = CHANGED.iter().chain(&["responder_id", "responder_key", "due_at", "revision"]);
            let columns: Vec<String> = columns.map(|column| format!("{column} = v.{column}")).collect();
            let update = format!(
                "UPDATE coordination_requests r SET {}, thread_owed = coalesce(v.thread_owed, r.thread_owed) \
                 FROM json_populate_recordset(NULL::coordination_requests, CAST($1 AS json)) v \
                 WHERE r.id = v.id AND r.revision = v.revision - 1",
                columns.join(", ")
            );
            Statement::new(update).text(json(&rows)?).execute(conn)?
        }
        DbConnection::Sqlite(_) => {
            let mut updated = 0;
            for transition in changed {
                updated += update_alone(conn, transition)?;
            }
            updated
        }
    };
    if updated == changed.len() { Ok(()) } else { Err(overtaken().into()) }
}

/// One row on SQLite, which writes an index anew when a column of it is named, whether it changes or not.
fn update_alone(conn: &mut DbConnection, transition: &Transition) -> Result<usize, DbError> {
    let row = transition.row();
    let mut columns: Vec<&str> = CHANGED.to_vec();
    let text = |text: Option<String>| Value::Text(text);
    let mut values = vec![
        text(Some(row.state.to_string())),
        Value::Number(Some(row.level.into())),
        text(row.progress),
        text(row.response_data),
        text(row.responded_by),
        Value::Number(row.responded_at),
        Value::Number(Some(row.updated_at)),
        Value::Number(Some(row.timeout_at)),
        Value::Number(row.delivered_at),
        text(row.slack),
    ];
    if row.state != State::Delivered {
        columns.push("due_at");
        values.push(Value::Number(row.due_at));
    }
    if transition.moves {
        columns.extend(["responder_id", "responder_key"]);
        values.extend([text(Some(row.responder_id)), text(Some(row.responder_key))]);
    }
    if let Some(owed) = row.thread_owed {
        columns.push("thread_owed");
        values.push(text(Some(owed.to_string())));
    }
    let set: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("{column} = ${}", at + 3)).collect();
    let update = format!(
        "UPDATE coordination_requests SET revision = $2, {} WHERE id = $1 AND revision = $2 - 1",
        set.join(", ")
    );
    let update = Statement::new(update).text(row.id).number(row.revision);
    values.into_iter().fold(update, Statement::value).execute(conn)
}

fn write_seats(conn: &mut DbConnection, transition: &Transition) -> Result<(), DbError> {
    const PUT: &str = "INSERT INTO request_seats (org_id, responder_key, request_id, asked_until) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (org_id, responder_key, request_id) DO UPDATE SET asked_until = excluded.asked_until";
    const TAKE: &str = "DELETE FROM request_seats WHERE org_id = $1 AND responder_key = $2 AND request_id = $3";
    let request = &transition.kept.request;
    for seat in &transition.seats {
        let of = |sql: &str, key: &String| Statement::new(sql).text(request.org).text(key).text(request.id);
        match seat {
            SeatChange::Put(key, until) => of(PUT, key).number(*until).execute(conn)?,
            SeatChange::Take(key) => of(TAKE, key).execute(conn)?,
        };
    }
    Ok(())
}

/// Marks that a thread was told of a request's state; refuses when somebody else has done it.
pub struct ThreadTold {
    /// The request.
    pub request: RequestId,
    /// The state it was told of.
    pub state: State,
}

impl FeatureWrite for ThreadTold {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        const TOLD: &str = "UPDATE coordination_requests SET thread_owed = NULL WHERE id = $1 AND thread_owed = $2";
        let told = Statement::new(TOLD).text(self.request).text(self.state).execute(conn)?;
        if told == 1 { Ok(()) } else { Err(overtaken().into()) }
    }
}

/// Stores an organisation's policy.
pub struct StorePolicy {
    /// The organisation.
    pub org: OrgId,
    /// What may approve itself, as JSON.
    pub auto_approve: String,
    /// Whether strangers in Slack answer.
    pub slack_names: bool,
    /// Now, ms.
    pub at: i64,
}

impl FeatureWrite for StorePolicy {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        const PUT: &str = "INSERT INTO request_policies (org_id, auto_approve, updated_at, slack_names) \
             VALUES ($1, $2, $3, $4 = 1) ON CONFLICT (org_id) DO UPDATE SET auto_approve = excluded.auto_approve, \
             updated_at = excluded.updated_at, slack_names = excluded.slack_names";
        let put = Statement::new(PUT).text(self.org).text(&self.auto_approve).number(self.at);
        put.number(i64::from(self.slack_names)).execute(conn)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
