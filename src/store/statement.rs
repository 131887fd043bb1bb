//! SQL by hand that is prepared once per connection.
//!
//! Diesel prepares what `sql_query` is given anew for each call, and preparing costs more than running the seeks that
//! polls are made of. A [`Statement`] is SQL with `$1`, `$2` … where its values go, each as often as it is needed; its
//! text is the key of the connection's cache. So the text must come from a small set: whatever varies is a value, and
//! a list of rows is one value too ([`rows_of`]).

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text, Untyped};

use super::DbConnection;
use super::connection::MultiBackend;

/// SQL and its values.
#[derive(Debug, Clone)]
pub struct Statement {
    sql: String,
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(i64),
}

impl Statement {
    /// SQL with `$1` to `$9` where its values go.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    /// The next value is a text.
    #[must_use]
    pub fn text(mut self, value: impl ToString) -> Self {
        self.values.push(Value::Text(value.to_string()));
        self
    }

    /// The next value is a number.
    #[must_use]
    pub fn number(mut self, value: i64) -> Self {
        self.values.push(Value::Number(value));
        self
    }
}

impl QueryId for Statement {
    type QueryId = ();

    // The text is the identity: diesel then keys its cache by it.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement {
    type SqlType = Untyped;
}

impl RunQueryDsl<DbConnection> for Statement {}

impl QueryFragment<MultiBackend> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let mut parts = self.sql.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let (number, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            let value = number.parse::<usize>().ok().and_then(|number| self.values.get(number.checked_sub(1)?));
            match value {
                Some(Value::Text(value)) => out.push_bind_param::<Text, _>(value)?,
                Some(Value::Number(value)) => out.push_bind_param::<BigInt, _>(value)?,
                None => return Err(diesel::result::Error::QueryBuilderError(format!("no value for ${part}").into())),
            }
            out.push_sql(rest);
        }
        Ok(())
    }
}

/// A table `v` out of one value that is a JSON list of rows: column `position` counts from 0, the others are the rows'
/// fields in order.
#[must_use]
pub fn rows_of(conn: &DbConnection, value: &str, columns: &[(&str, Field)]) -> String {
    let column = |(index, (name, field)): (usize, &(&str, Field))| match field {
        Field::Text => format!("j.value ->> {index} AS {name}"),
        Field::Number => format!("CAST(j.value ->> {index} AS BIGINT) AS {name}"),
    };
    let columns: Vec<String> = columns.iter().enumerate().map(column).collect();
    let columns = columns.join(", ");
    match conn {
        DbConnection::Sqlite(_) => format!("(SELECT j.key AS position, {columns} FROM json_each({value}) j) v"),
        DbConnection::Postgres(_) => format!(
            "(SELECT j.ordinality - 1 AS position, {columns} \
             FROM json_array_elements(CAST({value} AS json)) WITH ORDINALITY j (value, ordinality)) v"
        ),
    }
}

/// What a column of [`rows_of`] holds.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    /// A text.
    Text,
    /// A whole number.
    Number,
}
