//! Pages of lists.

use serde::Deserialize;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// Its rows.
    #[serde(alias = "messages", alias = "events")]
    pub items: Vec<T>,
    /// Whether the list goes on.
    #[serde(default)]
    pub has_more: bool,
    /// Where it goes on: the next call's cursor.
    #[serde(alias = "cursor")]
    pub next_cursor: Option<String>,
}
