//! Pages of lists.
//!
//! A list asks its query for one row more than a page has; the extra row shows that there is more. Rows that may be
//! large are read one after the other, and only up to the response limit ([`within`], `read_within!`).

use super::DbError;

/// Rows of varying size.
pub trait Weigh {
    /// About the bytes of its texts; an answer that holds the row is longer.
    fn bytes(&self) -> usize;
}

/// Rows that were read, and the one after them if there is one.
pub type WithNext<T> = (Vec<T>, Option<T>);

/// Reads rows until their texts have `most` bytes, at least one row; and the one after them.
///
/// # Errors
/// When the database fails.
pub fn within<T: Weigh>(
    rows: impl Iterator<Item = diesel::QueryResult<T>>,
    most: usize,
) -> Result<WithNext<T>, DbError> {
    let (mut read, mut used) = (Vec::new(), 0_usize);
    let mut rows = rows;
    while let Some(row) = rows.next().transpose()? {
        used = used.saturating_add(row.bytes());
        read.push(row);
        if used >= most {
            return Ok((read, rows.next().transpose()?));
        }
    }
    Ok((read, None))
}

/// [`within`] for a query on the database's own connection. PostgreSQL's results arrive row by row then; otherwise the client
/// library holds all of them before the first is seen.
macro_rules! read_within {
    ($conn:expr, $query:expr, $Row:ty, $most:expr) => {
        match $conn {
            $crate::connection::DbConnection::Postgres(c) => {
                let rows = $query.load_iter::<$Row, diesel::pg::PgRowByRowLoadingMode>(c)?;
                $crate::page::within(rows, $most)
            }
            $crate::connection::DbConnection::Sqlite(c) => {
                let rows = $query.load_iter::<$Row, diesel::connection::DefaultLoadingMode>(c)?;
                $crate::page::within(rows, $most)
            }
        }
    };
}
pub(crate) use read_within;

/// One page of a list and whether rows follow it.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most as many rows as were asked for.
    pub rows: Vec<T>,
    /// Whether the list goes on.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The page of a query that was given [`Self::asked`] as its limit.
    #[must_use]
    pub fn cut(mut rows: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, has_more }
    }

    /// The page of a query that was given [`Self::asked`] as its limit and may have been left off before.
    #[must_use]
    pub fn cut_short((rows, next): WithNext<T>, limit: i64) -> Self {
        let page = Self::cut(rows, limit);
        Self { has_more: page.has_more || next.is_some(), ..page }
    }

    /// The limit to give a query for a page of `limit` rows.
    #[must_use]
    pub fn asked(limit: i64) -> i64 {
        limit.saturating_add(1)
    }

    /// The row a cursor names: the last one, if the list goes on.
    #[must_use]
    pub fn cursor_row(&self) -> Option<&T> {
        if self.has_more { self.rows.last() } else { None }
    }

    /// The same page of other things.
    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(to).collect(), has_more: self.has_more }
    }
}
