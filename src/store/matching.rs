//! Asking the database whether a column contains a text, in any case.
//!
//! What "any case" is, is the hub's own rule ([`hxa_domain::fold`]). PostgreSQL evaluates it as a regular expression,
//! SQLite by a function that each connection brings along under the name that PostgreSQL's operator has.

use diesel::prelude::*;

use hxa_domain::fold::folded;

diesel::define_sql_function! {
    /// Whether the text holds what the needle (`super::search::needle()`) says.
    #[sql_name = "textregexeq"]
    fn says(text: diesel::sql_types::Text, needle: diesel::sql_types::Text) -> diesel::sql_types::Bool;
}

/// Gives a SQLite connection the function.
///
/// # Errors
/// When SQLite refuses it.
pub fn register(conn: &mut SqliteConnection) -> QueryResult<()> {
    says_utils::register_impl(conn, |text: String, needle: String| folded(text).contains(&needle))
}
