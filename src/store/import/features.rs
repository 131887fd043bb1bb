//! Rows of features' tables. The store knows the names and keys of these tables and not their columns, so a row moves as the
//! JSON object that one database makes of it and the other reads.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use serde_json::{Map, Value};

use super::source::Table;
use super::{ImportError, Move, source};
use crate::DbConnection;

/// Copies the tables of all features of the program.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    let catalogue = all.catalogue.clone();
    catalogue.tables().try_for_each(|table| copy(all, &Table { name: table.name, key: table.key, extra: &[] }))
}

fn copy(all: &mut Move, table: &Table) -> Result<(), ImportError> {
    let failed = |error| ImportError(format!("{}: {error}", table.name));
    all.progress.table(table.name);
    all.report.table(table.name).counted = all.source.count(table.name)?.unwrap_or(0);
    let mut after: Option<Vec<String>> = None;
    loop {
        let rows = all.source.page(table, after.as_deref())?;
        let Some(last) = rows.last() else { break };
        after = Some(table.key.iter().map(|column| text_of(last.get(*column))).collect());
        let stored = insert(all.target.conn(), table.name, &rows).map_err(failed)?;
        let report = all.report.table(table.name);
        report.read += i64::try_from(rows.len()).unwrap_or(0);
        report.stored += i64::try_from(stored).unwrap_or(0);
        all.progress.add(rows.len());
    }
    all.report.table(table.name).found = source::count(all.target.conn(), table.name)?;
    Ok(())
}

fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Inserts rows of which each has all columns; how many went in.
fn insert(conn: &mut DbConnection, table: &str, rows: &[Map<String, Value>]) -> QueryResult<usize> {
    let columns = rows.first().map(|row| row.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let list = |each: &dyn Fn(&str) -> String| columns.iter().map(|column| each(column)).collect::<Vec<_>>().join(", ");
    let (names, json) = (list(&|column| format!("\"{column}\"")), Value::from(rows.to_vec()).to_string());
    match conn {
        DbConnection::Sqlite(conn) => {
            let values = list(&|column| format!("j.value ->> '{column}'"));
            let sql = format!("INSERT INTO \"{table}\" ({names}) SELECT {values} FROM json_each($1) j");
            sql_query(sql).bind::<Text, _>(json).execute(conn)
        }
        DbConnection::Postgres(conn) => {
            let rows = format!("json_populate_recordset(NULL::\"{table}\", $1::json)");
            let sql = format!("INSERT INTO \"{table}\" ({names}) SELECT {names} FROM {rows}");
            sql_query(sql).bind::<Text, _>(json).execute(conn)
        }
    }
}
