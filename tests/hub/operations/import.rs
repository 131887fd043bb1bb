//! Moving in: databases of an older server and of this hub, from either kind of database to either, and what their
//! clients find afterwards.

mod moved;
mod older;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use crate::harness::*;

const SCHEMA: &str = include_str!("import/schema.sql");
const ROWS: &str = include_str!("import/rows.sql");
const DAMAGE: &str = include_str!("import/damage.sql");

/// The id that a name stands for: a random-looking UUID of version 4, as older servers made them.
fn id(name: &str) -> String {
    let hash = hxa_connect::domain::secrets::secret_hash(name);
    let bytes: [u8; 16] = hash.as_bytes()[..16].try_into().unwrap();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The beginning of all times: an hour ago, so that nothing is too old to be kept.
fn beginning() -> i64 {
    static BEGINNING: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *BEGINNING.get_or_init(|| now_ms() - 3_600_000)
}

/// Puts ids, hashes and times into the marks of a script.
fn filled(script: &str) -> String {
    let script = replaced(script, '«', '»', id);
    let script = replaced(&script, '‹', '›', hxa_connect::domain::secrets::secret_hash);
    let mut parts = script.split('¤');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        text += &(beginning() + part[..digits].parse::<i64>().unwrap()).to_string();
        text += &part[digits..];
    }
    text
}

fn replaced(script: &str, open: char, close: char, by: impl Fn(&str) -> String) -> String {
    let mut parts = script.split(open);
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(close).unwrap();
        text += &by(name);
        text += rest;
    }
    text
}

/// The file or URL of a database, as `--from` takes it.
fn place(database: &Database) -> String {
    match database.postgres_url() {
        Some(url) => url.to_owned(),
        None => database.sqlite_path().to_str().unwrap().to_owned(),
    }
}

fn execute(database: &Database, sql: &str) {
    match database.postgres_url() {
        Some(url) => PgConnection::establish(url).unwrap().batch_execute(sql).unwrap(),
        None => SqliteConnection::establish(&place(database)).unwrap().batch_execute(sql).unwrap(),
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn count(database: &Database, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    match database.postgres_url() {
        Some(url) => sql_query(sql).get_result::<Count>(&mut PgConnection::establish(url).unwrap()).unwrap().n,
        None => {
            sql_query(sql).get_result::<Count>(&mut SqliteConnection::establish(&place(database)).unwrap()).unwrap().n
        }
    }
}

/// Every row of every table that is moved, as text that is the same on both databases.
fn rows(database: &Database) -> Vec<String> {
    let columns: Vec<(String, Vec<String>)> = tables();
    let mut all = Vec::new();
    for (table, columns) in columns {
        let shown: Vec<String> =
            columns.iter().map(|column| format!("coalesce(CAST({column} AS TEXT), '~')")).collect();
        let sql = format!("SELECT '{table}: ' || {} AS line FROM {table}", shown.join(" || '|' || "));
        let mut lines: Vec<String> = match database.postgres_url() {
            Some(url) => {
                let lines: Vec<Line> = sql_query(sql).load(&mut PgConnection::establish(url).unwrap()).unwrap();
                lines.into_iter().map(|line| line.line.replace("|true", "|1").replace("|false", "|0")).collect()
            }
            None => {
                let mut conn = SqliteConnection::establish(&place(database)).unwrap();
                let lines: Vec<Line> = sql_query(sql).load(&mut conn).unwrap();
                lines.into_iter().map(|line| line.line).collect()
            }
        };
        lines.sort();
        all.extend(lines);
    }
    all
}

/// Tables and columns as the code declares them, without what belongs to one process.
fn tables() -> Vec<(String, Vec<String>)> {
    let (mut tables, mut named) = (Vec::<(String, Vec<String>)>::new(), None);
    for line in include_str!("../../../src/store/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            tables.push((name.to_owned(), Vec::new()));
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"") {
            named = Some(format!("\"{}\"", name.trim_end_matches("\"]")));
        } else if let Some((name, _)) = line.split_once(" -> ") {
            let column = named.take().unwrap_or_else(|| format!("\"{name}\""));
            tables.last_mut().unwrap().1.push(column);
        }
    }
    tables.retain(|(name, _)| name != "writer_marks");
    tables
}

/// Runs an import into a database; whether it succeeded and all that it printed.
fn import(target: &Database, from: &str, more: &[&str]) -> (bool, String) {
    let args: Vec<&str> = ["import", "--from", from].into_iter().chain(more.iter().copied()).collect();
    let outcome = cli_on(target, &args);
    let said = [outcome.stdout, outcome.stderr].concat();
    (outcome.status.success(), String::from_utf8(said).unwrap())
}

/// As [`import`], for one that must succeed; its report.
#[track_caller]
fn imported(target: &Database, from: &str, more: &[&str]) -> Value {
    let args: Vec<&str> = more.iter().copied().chain(["--json"]).collect();
    let (is_ok, said) = import(target, from, &args);
    assert!(is_ok, "{said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What a report says of a table: rows read, stored and left out.
fn told(report: &Value, table: &str) -> (i64, i64, i64) {
    let tables = report["tables"].as_array().unwrap();
    let found = tables.iter().find(|told| told["table"] == table).unwrap_or_else(|| panic!("no {table} in {report}"));
    (found["read"].as_i64().unwrap(), found["stored"].as_i64().unwrap(), found["left_out"].as_i64().unwrap())
}

/// All pairs of databases that this machine has.
fn pairs() -> Vec<(Database, Database)> {
    let kinds = [Db::Sqlite, Db::Postgres];
    let pairs = kinds.into_iter().flat_map(|from| kinds.into_iter().map(move |to| (from, to)));
    pairs.filter_map(|(from, to)| Some((Database::fresh(from)?, Database::fresh(to)?))).collect()
}
