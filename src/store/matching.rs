//! Case-insensitive substring search in the database.
//!
//! The case rule is the hub's own ([`hxa_domain::fold`]). PostgreSQL evaluates it as a regular expression, SQLite by a
//! function that each connection registers under the name of PostgreSQL's operator.

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
