//! What the report of an import says beside its counts.

use diesel::QueryableByName;
use diesel::sql_types::Text;

use hxa_store::import::{Adding, ImportError};
use hxa_store::statement::Statement;

/// Responders that the report names.
const NAMED: usize = 10;

#[derive(QueryableByName)]
struct Responder {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What the keys cover now.
pub fn keys(adding: &mut Adding<'_>, keys: i64) {
    if keys == 0 {
        return;
    }
    adding.note(if adding.allow_respond() {
        format!("{keys} keys work as before: each of them also answers any request of the organisation in any name")
    } else {
        format!(
            "{keys} keys go on working for requests of their own agents. They answer no requests any more; with \
             --allow-respond they would, in any name"
        )
    });
}

/// How many requests nothing was told of.
pub fn unaudited(adding: &mut Adding<'_>, requests: usize) {
    if requests > 0 {
        adding.note(format!("{requests} requests had no audit event; each has one now that says it was imported"));
    }
}

/// The names that nobody has.
pub fn responders(adding: &mut Adding<'_>) -> Result<(), ImportError> {
    const NAMELESS: &str = "SELECT DISTINCT r.responder_id AS name FROM coordination_requests r \
         WHERE r.org_id = $1 AND r.responder_key <> '' AND NOT EXISTS \
         (SELECT 1 FROM people p WHERE p.org_id = r.org_id AND p.handle_key = r.responder_key) ORDER BY 1";
    let org = adding.org();
    let all: Vec<Responder> = Statement::new(NAMELESS).text(org).load(adding.conn())?;
    if !all.is_empty() {
        let shown: Vec<&str> = all.iter().take(NAMED).map(|responder| responder.name.as_str()).collect();
        let more = all.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        adding.note(format!(
            "requests name responders that nobody is yet: {}{more}. They wait under these names; \
             `hxa-connect admin person add` hands them over",
            shown.join(", ")
        ));
    }
    Ok(())
}
