//! Rows that a batch of the writer appends to a table.
//!
//! On PostgreSQL all rows of a table are one statement, which saves round trips. Its values are one array per column,
//! so that its text is the same for any number of rows and each connection prepares it once. SQLite has no round trips,
//! and would keep a copy of every page that a multi-row statement changes, in case one of the rows is refused.

use std::borrow::Cow;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use hxa_domain::artifact::ArtifactType;
use hxa_domain::webhook::DeliveryStatus;

/// Appends rows to a table: `append!(conn, table: Row { every, field }, rows)`, with the fields named as the columns are.
macro_rules! append {
    ($conn:expr, $table:ident: $Row:ident { $($field:ident),+ $(,)? }, $rows:expr) => {
        match $conn {
            $crate::DbConnection::Postgres(c) => {
                // Does not compile when a field is left out.
                const _: fn(&$Row) = |$Row { $($field: _),+ }| ();
                if !$rows.is_empty() {
                    let lists = vec![$((
                        <$table::$field as diesel::Column>::NAME,
                        $crate::append::Cell::list($rows.iter().map(|row| &row.$field)),
                    )),+];
                    $crate::append::Lists { table: stringify!($table), lists }.execute(c)?;
                }
            }
            $crate::DbConnection::Sqlite(c) => {
                for row in $rows {
                    diesel::insert_into($table::table).values(*row).execute(c)?;
                }
            }
        }
    };
}
pub(super) use append;

/// The values of a column, row by row.
pub enum List<'a> {
    /// Of a text column.
    Texts(Vec<Option<Cow<'a, str>>>),
    /// Of a column of 64 bits.
    Numbers(Vec<Option<i64>>),
    /// Of a column of 32 bits.
    Integers(Vec<Option<i32>>),
    /// Of a yes or no.
    Flags(Vec<bool>),
}

/// What a field of a row may be.
pub trait Cell: Sized + 'static {
    /// The column of these fields.
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a>;
}

impl Cell for String {
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
        List::Texts(cells.map(|cell| Some(cell.as_str().into())).collect())
    }
}

impl Cell for DeliveryStatus {
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
        List::Texts(cells.map(|cell| Some(cell.as_str().into())).collect())
    }
}

impl Cell for ArtifactType {
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
        List::Texts(cells.map(|cell| Some(cell.as_str().into())).collect())
    }
}

impl Cell for Option<String> {
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
        List::Texts(cells.map(|cell| cell.as_deref().map(Cow::Borrowed)).collect())
    }
}

macro_rules! numbers {
    ($($number:ty => $List:ident),+) => {$(
        impl Cell for $number {
            fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
                List::$List(cells.copied().map(Some).collect())
            }
        }

        impl Cell for Option<$number> {
            fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
                List::$List(cells.copied().collect())
            }
        }
    )+};
}
numbers!(i64 => Numbers, i32 => Integers);

impl Cell for bool {
    fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
        List::Flags(cells.copied().collect())
    }
}

/// An insert of as many rows as its lists are long.
pub struct Lists<'a> {
    /// The table.
    pub table: &'static str,
    /// Names and values of its columns, all equally long.
    pub lists: Vec<(&'static str, List<'a>)>,
}

impl QueryId for Lists<'_> {
    type QueryId = ();

    // The text is the identity: diesel then keys its cache by it.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: Connection> RunQueryDsl<C> for Lists<'_> {}

impl QueryFragment<Pg> for Lists<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(self.table)?;
        let mut before = " (";
        for (name, _) in &self.lists {
            out.push_sql(before);
            out.push_identifier(name)?;
            before = ", ";
        }
        before = ") SELECT * FROM unnest(";
        for (_, list) in &self.lists {
            out.push_sql(before);
            match list {
                List::Texts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values)?,
                List::Numbers(values) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?,
                List::Integers(values) => out.push_bind_param::<Array<Nullable<Integer>>, _>(values)?,
                List::Flags(values) => out.push_bind_param::<Array<Bool>, _>(values)?,
            }
            before = ", ";
        }
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_one_text() {
        let text = |texts: Vec<Option<&str>>, numbers: Vec<Option<i64>>| {
            let texts = texts.into_iter().map(|text| text.map(Cow::Borrowed)).collect();
            let lists = vec![("type", List::Texts(texts)), ("position", List::Numbers(numbers))];
            let sql = diesel::debug_query::<Pg, _>(&Lists { table: "things", lists }).to_string();
            sql.split(" -- ").next().map(str::to_owned)
        };
        let one = text(vec![Some("a")], vec![None]);
        assert_eq!(
            one.as_deref(),
            Some("INSERT INTO \"things\" (\"type\", \"position\") SELECT * FROM unnest($1, $2)")
        );
        assert_eq!(one, text(vec![None, Some("b")], vec![Some(1), Some(2)]));
    }
}
