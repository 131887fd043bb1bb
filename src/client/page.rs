//! Pages of lists.

use serde::Deserialize;

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// Its items.
    #[serde(alias = "messages", alias = "events", alias = "requests")]
    pub items: Vec<T>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
    /// The cursor of the next page.
    #[serde(alias = "cursor")]
    pub next_cursor: Option<String>,
}
