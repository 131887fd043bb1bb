//! Asking the database whether a column contains a text, in any case.
//!
//! What "any case" is, is the hub's own rule ([`hxa_domain::fold`]). PostgreSQL evaluates it as a regular expression,
//! SQLite by a function that each connection brings along under the name that PostgreSQL's operator has.

use diesel::prelude::*;

use super::DbConnection;
use hxa_domain::fold::{folded, pattern};

diesel::define_sql_function! {
    /// Whether the text holds what the [`needle`] says.
    #[sql_name = "textregexeq"]
    fn says(text: diesel::sql_types::Text, needle: diesel::sql_types::Text) -> diesel::sql_types::Bool;
}

/// The second argument of [`says()`]: the text as the connection's database needs it.
#[must_use]
pub fn needle(conn: &DbConnection, text: &str) -> String {
    match conn {
        DbConnection::Postgres(_) => pattern(text),
        DbConnection::Sqlite(_) => folded(text.to_owned()),
    }
}

/// Gives a SQLite connection the function.
///
/// # Errors
/// When SQLite refuses it.
pub fn register(conn: &mut SqliteConnection) -> QueryResult<()> {
    says_utils::register_impl(conn, |text: String, needle: String| folded(text).contains(&needle))
}
