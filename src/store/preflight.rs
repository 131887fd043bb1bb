//! Checks of a PostgreSQL database at startup.
//!
//! Settings that would break the hub's guarantees and cannot be set per connection are refused, with the reason and the
//! remedy; less serious ones produce a warning for the operator.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use super::connection::{Backend, DbConnection};

/// Connections in addition to those of the pools: the one that holds the hub's lease, and one more at startup.
const OTHERS: i64 = 2;

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Text)]
    search_path: String,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    replication_role: String,
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
}

#[derive(QueryableByName)]
struct Limits {
    #[diesel(sql_type = Integer)]
    role: i32,
    #[diesel(sql_type = Integer)]
    database: i32,
    #[diesel(sql_type = BigInt)]
    server: i64,
}

#[derive(QueryableByName)]
struct Process {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// Looks at the database; what an operator should hear. A hub wants `connections` of it.
///
/// # Errors
/// When the database cannot be reached, or cannot keep what the hub promises.
pub fn check(backend: &Backend, connections: usize) -> Result<Vec<String>, String> {
    let Backend::Postgres(_) = backend else { return Ok(Vec::new()) };
    let connect = || backend.connect().map_err(|error| format!("cannot open the database: {error}"));
    let unreadable = |error: diesel::result::Error| format!("the database cannot be looked at: {error}");
    let (mut conn, mut other) = (connect()?, connect()?);
    if shares_sessions(&mut conn, &mut other).map_err(unreadable)? {
        return Err(
            "a pooler shares the sessions of this database between transactions (PgBouncer's transaction mode, \
                    port 6543 of Supabase); the hub needs sessions of its own: use the pooler's session mode or \
                    the address of the server itself"
                .to_owned(),
        );
    }
    let server = server(&mut conn).map_err(unreadable)?;
    refuse(&server)?;
    let mut warnings = warnings(&server);
    // Without permission to read the limits there is no warning; a refused connection reports the problem later.
    if let Ok(limits) = limits(&mut conn) {
        warnings.extend(too_few(&limits, i64::try_from(connections).unwrap_or(i64::MAX).saturating_add(OTHERS)));
    }
    Ok(warnings)
}

/// Whether two connections come to lie on one session of the server, or one wanders between sessions.
fn shares_sessions(one: &mut DbConnection, other: &mut DbConnection) -> QueryResult<bool> {
    let before = process(one)?;
    other.batch_execute("BEGIN")?;
    let shares = match process(other) {
        // A pooler with one session would let the first wait for the other's transaction.
        Ok(beside) if beside == before => Ok(true),
        Ok(_) => process(one).map(|after| after != before),
        Err(error) => Err(error),
    };
    other.batch_execute("ROLLBACK")?;
    shares
}

fn process(conn: &mut DbConnection) -> QueryResult<i32> {
    let found: Process = sql_query("SELECT pg_backend_pid() AS pid").get_result(conn)?;
    Ok(found.pid)
}

fn server(conn: &mut DbConnection) -> QueryResult<Server> {
    sql_query(
        "SELECT current_setting('server_encoding') AS encoding, current_schema()::text AS schema, \
         current_setting('search_path') AS search_path, current_setting('fsync') AS fsync, \
         current_setting('session_replication_role') AS replication_role, pg_is_in_recovery() AS in_recovery",
    )
    .get_result(conn)
}

fn limits(conn: &mut DbConnection) -> QueryResult<Limits> {
    // How many are kept for others has been called differently over time.
    sql_query(
        "SELECT r.rolconnlimit AS role, d.datconnlimit AS database, \
         current_setting('max_connections')::bigint - (SELECT coalesce(sum(setting::bigint), 0)::bigint FROM pg_settings WHERE NOT r.rolsuper \
         AND name IN ('superuser_reserved_connections', 'reserved_connections')) AS server \
         FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()",
    )
    .get_result(conn)
}

fn refuse(server: &Server) -> Result<(), String> {
    if server.encoding != "UTF8" {
        return Err(format!(
            "the database is encoded in {}, which cannot hold every message; make one in UTF8: \
             CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            server.encoding
        ));
    }
    if server.schema.is_none() {
        return Err(format!(
            "search_path is \"{}\", and none of its schemas exists or may be used by this role; make one or name another \
             (ALTER ROLE … SET search_path)",
            server.search_path
        ));
    }
    if server.replication_role != "origin" {
        return Err(format!(
            "session_replication_role is {}, which turns off the references between tables; set it to origin for this role",
            server.replication_role
        ));
    }
    Ok(())
}

fn warnings(server: &Server) -> Vec<String> {
    let mut warnings = Vec::new();
    if server.fsync == "off" {
        warnings.push(
            "the PostgreSQL server runs with fsync=off: what is acknowledged does not survive its crash".to_owned(),
        );
    }
    if server.in_recovery {
        warnings.push("the PostgreSQL server is a standby: the hub is not ready until it is the primary".to_owned());
    }
    warnings
}

/// The narrowest limit that is too narrow, if one is.
fn too_few(limits: &Limits, wanted: i64) -> Option<String> {
    let limited = |limit: i32| (limit >= 0).then(|| i64::from(limit));
    let found = [
        ("the role's CONNECTION LIMIT", limited(limits.role)),
        ("the database's CONNECTION LIMIT", limited(limits.database)),
        ("the server's max_connections, without the reserved ones,", Some(limits.server)),
    ];
    let (whose, limit) =
        found.into_iter().filter_map(|(whose, limit)| Some((whose, limit?))).min_by_key(|(_, limit)| *limit)?;
    (limit < wanted).then(|| {
        format!(
            "{whose} is {limit}, and this hub opens up to {wanted} connections (database.pool and database.writers, and \
             {OTHERS} more): raise it or lower them"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_limit_is_named() {
        let told = |role, database, server| too_few(&Limits { role, database, server }, 16).unwrap_or_default();
        assert_eq!(told(-1, -1, 16), "");
        assert!(told(5, 9, 100).starts_with("the role's CONNECTION LIMIT is 5,"));
        assert!(told(-1, 9, 100).starts_with("the database's CONNECTION LIMIT is 9,"));
        assert!(told(-1, -1, 10).contains("max_connections"));
    }
}
