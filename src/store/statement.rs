//! Hand-written SQL that is prepared once per connection.
//!
//! Diesel prepares the text of `sql_query` anew for each call, and every update and upsert too, because their texts may
//! differ without bound; that costs more than running the seeks that polls consist of, and on PostgreSQL a round trip
//! of its own. A [`Statement`] is SQL with `$1`, `$2` … for its values, each used as often as needed; its text is the
//! key of the connection's cache. So the text must come from a small set: everything that varies is a value, and a list
//! of rows is one value too ([`rows_of`]). It runs on the database's own connection and bypasses the layer over both,
//! which would inspect every field of every row.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text, Untyped};
use diesel::{PgConnection, SqliteConnection};

use super::connection::each_backend;
use super::{DbConnection, DbError};

/// SQL and its values. `Columns` are the types of its columns, which are then taken by their order; by their names when
/// that is left open.
#[derive(Debug, Clone)]
pub struct Statement<Columns = Untyped> {
    sql: String,
    values: Vec<Value>,
    columns: PhantomData<Columns>,
}

/// A value of a statement.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, or the absence of one.
    Text(Option<String>),
    /// A whole number, or the absence of one.
    Number(Option<i64>),
}

impl Statement {
    /// SQL with `$1`, `$2` … where its values go, whose columns are taken by their names.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        Self::of_columns(sql)
    }
}

impl<Columns> Statement<Columns> {
    /// SQL with `$1`, `$2` … where its values go, whose columns are taken by their order.
    #[must_use]
    pub fn of_columns(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new(), columns: PhantomData }
    }

    /// The next value is a text.
    #[must_use]
    pub fn text(self, value: impl ToString) -> Self {
        self.value(Value::Text(Some(value.to_string())))
    }

    /// The next value is a number.
    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.value(Value::Number(Some(value)))
    }

    /// The next value.
    #[must_use]
    pub fn value(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    /// Its rows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load<Row>(self, conn: &mut DbConnection) -> Result<Vec<Row>, DbError>
    where
        Self: for<'query> LoadQuery<'query, SqliteConnection, Row> + for<'query> LoadQuery<'query, PgConnection, Row>,
    {
        Ok(each_backend!(conn, |c| RunQueryDsl::load(self, c))?)
    }

    /// Runs it; answers how many rows it has changed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn execute(self, conn: &mut DbConnection) -> Result<usize, DbError> {
        Ok(each_backend!(conn, |c| RunQueryDsl::execute(self, c))?)
    }
}

impl<Columns> QueryId for Statement<Columns> {
    type QueryId = ();

    // The text is the identity: diesel then keys its cache by it.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns> Query for Statement<Columns> {
    type SqlType = Columns;
}

impl<Columns, C: Connection> RunQueryDsl<C> for Statement<Columns> {}

impl<Columns, DB> QueryFragment<DB> for Statement<Columns>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut parts = self.sql.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, rest) = part.split_at_checked(digits).unwrap_or((part, ""));
            let value = number.parse::<usize>().ok().and_then(|number| self.values.get(number.checked_sub(1)?));
            match value {
                Some(Value::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                Some(Value::Number(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::connection::{InstrumentationEvent, SimpleConnection};

    use super::*;

    #[test]
    fn a_statement_is_prepared_once_per_connection() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute("CREATE TABLE t (a TEXT, b BIGINT)").unwrap();
        let [begun, prepared] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let counters = [begun.clone(), prepared.clone()];
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            let [begun, prepared] = &counters;
            match event {
                InstrumentationEvent::StartQuery { .. } => begun.fetch_add(1, Ordering::Relaxed),
                InstrumentationEvent::CacheQuery { .. } => prepared.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        });
        let mut conn = DbConnection::Sqlite(conn);
        for n in 0..3 {
            let insert = Statement::new("INSERT INTO t (a, b) VALUES ($1, $2)").value(Value::Text(None)).number(n);
            assert_eq!(insert.execute(&mut conn).unwrap(), 1);
            let update = Statement::new("UPDATE t SET a = $1 WHERE b <= $2 AND a IS NULL").text(n).number(n);
            assert_eq!(update.execute(&mut conn).unwrap(), 1);
        }
        assert_eq!((begun.load(Ordering::Relaxed), prepared.load(Ordering::Relaxed)), (6, 2));
    }
}
