//! Shapes that several answers share, as types: what the OpenAPI document says of them and what is written are one.
//!
//! Long lists are written row by row (`list`) and never become these types; they are the same keys in the same order.

use serde::Serialize;
use utoipa::ToSchema;

use hxa_store::page::Page;

/// A page of a list with an opaque cursor.
#[derive(Serialize, ToSchema)]
pub struct Items<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether the list goes on.
    pub has_more: bool,
    /// Where it goes on; absent at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

impl<T> Items<T> {
    /// The view of a page; `cursor` names a row.
    pub fn of<R>(page: Page<R>, cursor: impl Fn(&R) -> String, view: impl FnMut(R) -> T) -> Self {
        let next_cursor = page.cursor_row().map(cursor);
        Self { has_more: page.has_more, items: page.rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// An array, or a page for those who ask for one.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "lists are written row by row; this is their shape for the document")]
pub enum ArrayOrPage<T> {
    /// The whole list, or as much as fits; the `Link` header names the rest.
    Array(Vec<T>),
    /// A page.
    Page(Items<T>),
}

/// A page of messages, newest first; it goes on before its last message.
#[derive(Serialize, ToSchema)]
pub struct MessagePage<T> {
    /// The messages.
    pub messages: Vec<T>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// Messages as an array, or as a page for those who ask for one.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "lists are written row by row; this is their shape for the document")]
pub enum ArrayOrMessages<T> {
    /// The newest of the window, oldest first.
    Array(Vec<T>),
    /// A page.
    Page(MessagePage<T>),
}

/// It was done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// Always true.
    ok: bool,
}

/// The answer `{ok: true}`.
pub const DONE: Done = Done { ok: true };

/// It was done, and what exactly.
#[derive(Serialize, ToSchema)]
pub struct DoneWithMessage {
    /// Always true.
    ok: bool,
    /// A sentence for people.
    message: String,
}

impl DoneWithMessage {
    /// The answer with this sentence.
    #[must_use]
    pub fn new(message: String) -> Self {
        Self { ok: true, message }
    }
}

/// It was deleted.
#[derive(Serialize, ToSchema)]
pub struct Deleted {
    /// Always true.
    deleted: bool,
}

/// The answer `{deleted: true}`.
pub const DELETED: Deleted = Deleted { deleted: true };
