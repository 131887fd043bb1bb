//! Pages of lists.
//!
//! A list asks its query for one row more than a page holds; whether that row came tells if there is more.

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

    /// The page by reference.
    #[must_use]
    pub fn as_ref(&self) -> Page<&T> {
        Page { rows: self.rows.iter().collect(), has_more: self.has_more }
    }

    /// The same page of other things.
    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(to).collect(), has_more: self.has_more }
    }
}
