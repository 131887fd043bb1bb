//! Rows of a server up to 1.7.2, whatever its version: table by table, parents first, each row read leniently.
//!
//! Data that this hub derives from other rows is not imported: rate limits start fresh, and summaries and the trail of
//! sends are derived from the messages themselves.

mod conversations;
mod fields;
mod identity;
mod sends;
mod trail;
mod work;

use std::collections::HashSet;

use serde_json::{Map, Value};

use self::fields::{Fields, Known, Skip};
use super::source::Table;
use super::target::{Parent, Stored};
use super::{ImportError, Move};

/// Tables of such a server that hold something; later ones may be missing.
pub const NAMES: [&str; 20] = [
    "orgs",
    "org_settings",
    "bots",
    "bot_tokens",
    "org_tickets",
    "platform_invite_codes",
    "deleted_bot_names",
    "sessions",
    "channels",
    "messages",
    "threads",
    "thread_participants",
    "thread_join_requests",
    "thread_messages",
    "artifacts",
    "files",
    "webhook_status",
    "catchup_events",
    "audit_log",
    "rate_limit_events",
];

/// Moves everything.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    identity::tables(all)?;
    let merged = conversations::channels(all)?;
    conversations::messages(all, &merged)?;
    conversations::threads(all, &merged)?;
    work::tables(all)?;
    trail::tables(all, &merged)
}

/// Reads a table page by page, with what each page refers to looked up, and counts it. False when it does not exist.
fn walk(
    all: &mut Move,
    table: &Table,
    parents: &[(&str, Parent)],
    mut take: impl FnMut(&mut Move, Vec<(String, Fields<'_>)>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let Some(counted) = all.source.count(table.name)? else { return Ok(()) };
    all.progress.table(table.name);
    let (mut after, mut read): (Option<Vec<String>>, i64) = (None, 0);
    loop {
        let rows = all.source.page(table, after.as_deref())?;
        let Some(last) = rows.last() else { break };
        after = Some(table.key.iter().map(|key| plain(last.get(*key))).collect());
        let known = look_up(all, &rows, parents)?;
        let page = rows.len();
        let named = rows.into_iter().map(|row| (name_of(table, &row), Fields::new(row, &known))).collect();
        take(all, named)?;
        read += i64::try_from(page).unwrap_or(0);
        all.progress.add(page);
    }
    let report = all.report.table(table.name);
    (report.counted, report.read) = (counted, counted.max(read));
    report.skip_many("its key is empty or given twice", counted - read, "");
    Ok(())
}

/// Moves a table whose rows have no say in each other.
fn simple<Row: Stored>(
    all: &mut Move,
    table: &Table,
    parents: &[(&str, Parent)],
    mut clean: impl FnMut(&mut Fields<'_>) -> Result<Row, Skip>,
) -> Result<(), ImportError> {
    walk(all, table, parents, |all, page| {
        let mut rows = Vec::with_capacity(page.len());
        for (name, mut fields) in page {
            let cleaned = clean(&mut fields);
            if let Some(row) = cleaned_row(all, table.name, &name, fields, cleaned) {
                rows.push(row);
            }
        }
        insert(all, table.name, &rows)
    })?;
    found::<Row>(all, table.name)
}

/// Notes how a row fared; the row if it is kept.
fn cleaned_row<Row>(
    all: &mut Move,
    table: &'static str,
    name: &str,
    fields: Fields<'_>,
    cleaned: Result<Row, Skip>,
) -> Option<Row> {
    let report = all.report.table(table);
    match cleaned {
        Ok(row) => {
            fields.into_changes().into_iter().for_each(|why| report.change(why, name));
            Some(row)
        }
        Err(why) => {
            report.skip(why, name);
            None
        }
    }
}

fn insert<Row: Stored>(all: &mut Move, table: &'static str, rows: &[Row]) -> Result<(), ImportError> {
    let stored = Row::insert(all.target.conn(), rows).map_err(|error| ImportError(format!("{table}: {error}")))?;
    let stored = i64::try_from(stored).unwrap_or(0);
    let report = all.report.table(table);
    report.stored += stored;
    let given = i64::try_from(rows.len()).unwrap_or(0);
    report.skip_many("another row has the same key, name or secret", given - stored, "");
    Ok(())
}

/// Counts what the target holds in the end.
fn found<Row: Stored>(all: &mut Move, table: &'static str) -> Result<(), ImportError> {
    let found = Row::count(all.target.conn())?;
    all.report.table(table).found = found;
    Ok(())
}

fn look_up(all: &mut Move, rows: &[Map<String, Value>], parents: &[(&str, Parent)]) -> Result<Known, ImportError> {
    let mut wanted: std::collections::HashMap<Parent, HashSet<String>> = std::collections::HashMap::new();
    for (column, parent) in parents {
        let ids = rows.iter().filter_map(|row| row.get(*column)?.as_str()).filter(|id| fields::is_id(id));
        wanted.entry(*parent).or_default().extend(ids.map(str::to_owned));
    }
    wanted.into_iter().map(|(parent, ids)| Ok((parent, all.target.known(parent, &ids)?))).collect()
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// By which a row is found again in the source.
fn name_of(table: &Table, row: &Map<String, Value>) -> String {
    // The key of a session is its cookie.
    if table.name == "sessions" {
        return String::new();
    }
    let key: Vec<String> = table.key.iter().map(|key| plain(row.get(*key))).collect();
    key.join("/")
}
