//! Copies of a PostgreSQL database, by PostgreSQL's own programs.
//!
//! The rows are counted and dumped in one exported snapshot, so the counts match the dump whatever the hub does
//! meanwhile. The programs get the URL without its password, which is passed in the environment and not on the command
//! line, which every user of the machine can read.

use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::super::tls;
use super::{Backend, Catalogue, DbConnection, Name, Saved, all_tables, look, names, script, sync, tables, unreadable};
use crate::{PostgresTarget, migrate, private};

pub fn save(catalogue: &Catalogue, target: &PostgresTarget, file: &Path) -> Result<Saved, String> {
    let mut conn = open(target)?;
    // The snapshot lives as long as its transaction, however long the dump takes.
    conn.batch_execute(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
         BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )
    .map_err(unreadable)?;
    let snapshot: Name = sql_query("SELECT pg_export_snapshot() AS name").get_result(&mut conn).map_err(unreadable)?;
    let saved = look(catalogue, &mut conn)?;
    let schema = schema(&mut conn)?;
    let mut dump = program("pg_dump", target);
    dump.args(["--format=custom", "--no-owner", "--no-privileges", "--snapshot", &snapshot.name]);
    for table in saved.counts.keys() {
        dump.arg("--table").arg(format!("\"{schema}\".\"{table}\""));
    }
    dump.arg("--file").arg(file);
    dump.arg("--dbname").arg(tls::without_password(&target.url).0);
    run(dump, "pg_dump")?;
    check(target, file, &saved)?;
    sync(file)?;
    Ok(saved)
}

/// The dump can be read, and every table is in it with its rows.
fn check(target: &PostgresTarget, file: &Path, saved: &Saved) -> Result<(), String> {
    let mut list = program("pg_restore", target);
    list.arg("--list").arg(file);
    let contents = run(list, "pg_restore")?;
    for table in saved.counts.keys() {
        let is_in = |line: &str| line.contains(" TABLE DATA ") && line.contains(&format!(" {table} "));
        if !contents.lines().any(is_in) {
            return Err(format!("{} is damaged: {table} is missing", file.display()));
        }
    }
    Ok(())
}

pub fn refuse_unless_empty(catalogue: &Catalogue, target: &PostgresTarget, force: bool) -> Result<(), String> {
    let mut conn = open(target)?;
    match tables(catalogue, &mut conn)?.first() {
        Some(_) if !force => Err("the database has a hub's tables already; --force replaces them".to_owned()),
        _ => Ok(()),
    }
}

/// Kinds of entries in a dump that are made of tables and their rows, and do nothing by themselves.
const KINDS: [&str; 8] =
    ["TABLE DATA", "TABLE", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "DEFAULT", "STATISTICS DATA", "COMMENT"];
/// Triggers keep tables from being changed; those that the hub's own steps make may be in a dump.
const TRIGGER: &str = "TRIGGER";

/// The dump names nothing but the hub's tables.
pub fn verify(catalogue: &Catalogue, target: &PostgresTarget, file: &Path) -> Result<(), String> {
    entries(catalogue, target, file).map(|_| ())
}

/// The entries with the rows of tables, as `pg_restore` lists them, each behind those that its rows refer to.
fn entries(catalogue: &Catalogue, target: &PostgresTarget, file: &Path) -> Result<Vec<String>, String> {
    let mut list = program("pg_restore", target);
    list.arg("--list").arg(file);
    let contents = run(list, "pg_restore")?;
    let (tables, triggers, mut data) = (all_tables(catalogue), triggers(catalogue)?, Vec::new());
    for line in contents.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty()) {
        // Number, two object ids, kind, schema, name, owner.
        let rest = line.splitn(4, ' ').nth(3).unwrap_or_default();
        // Kind, schema, table, name, owner.
        let words: Vec<&str> = rest.split(' ').collect();
        if let [TRIGGER, _, table, name, ..] = words.as_slice()
            && tables.contains(table)
            && triggers.iter().any(|trigger| trigger == name)
        {
            continue;
        }
        let kind = KINDS.iter().find(|kind| rest.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(' ')));
        let Some(kind) = kind else {
            return Err(format!("the dump holds something that no hub makes: {}", rest.escape_debug()));
        };
        let words: Vec<&str> = rest.get(kind.len()..).unwrap_or_default().split_whitespace().collect();
        if *kind == "TABLE DATA" {
            let at = words.get(1).and_then(|name| tables.iter().position(|table| table == name));
            let at = at.ok_or_else(|| format!("the dump holds a table that no hub has: {}", rest.escape_debug()))?;
            data.push((at, line.to_owned()));
        }
    }
    data.sort();
    Ok(data.into_iter().map(|(_, line)| line).collect())
}

/// Names of the triggers that the hub's steps make.
fn triggers(catalogue: &Catalogue) -> Result<Vec<String>, String> {
    let script = migrate::postgres_script(catalogue, &migrate::known_to_postgres(catalogue)?)?;
    let named = script.split("CREATE TRIGGER ").skip(1);
    Ok(named.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect())
}

/// Makes the tables anew by the hub's own steps and fills them with the rows of the dump, all in one transaction. Of the
/// dump nothing is carried out: only its rows are taken ([`super::script`]).
pub fn load(catalogue: &Catalogue, target: &PostgresTarget, file: &Path, steps: &[String]) -> Result<(), String> {
    let schema = schema(&mut open(target)?)?;
    let list = file.with_extension("list");
    let entries = entries(catalogue, target, file)?;
    // One of a restore that was interrupted.
    let _ = std::fs::remove_file(&list);
    private::write_new(&list, &(entries.join("\n") + "\n"))
        .map_err(|error| format!("cannot write {}: {error}", list.display()))?;
    let script = script::Script::new(catalogue, &schema, steps)?;
    let loaded = stream(target, [file, &list], &script);
    if let Err(error) = std::fs::remove_file(&list) {
        log::warn!(path:% = list.display(), error:% = error; "cannot remove the list of a restore");
    }
    loaded
}

/// Runs `pg_restore` into `psql`, with the script in between.
fn stream(target: &PostgresTarget, [file, list]: [&Path; 2], script: &script::Script) -> Result<(), String> {
    let piped = std::process::Stdio::piped;
    let mut rows = program("pg_restore", target);
    rows.args(["--data-only", "--file=-", "--use-list"]).arg(list).arg(file);
    let mut rows = start(rows.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped()), "pg_restore")?;
    let mut fill = program("psql", target);
    fill.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", "--dbname"]);
    fill.arg(tls::without_password(&target.url).0);
    let mut fill = start(fill.stdin(piped()).stdout(std::process::Stdio::null()).stderr(piped()), "psql")?;
    let (from, into) = (rows.stdout.take(), fill.stdin.take());
    let passed = match (from, into) {
        (Some(from), Some(mut into)) => script.pass(from, &mut into).and_then(|()| {
            // What was not read to its end must not become durable: without a COMMIT nothing does.
            ended(rows, "pg_restore")?;
            script::end(&mut into)
        }),
        _ => Err("pg_restore and psql cannot be connected".to_owned()),
    };
    // Of the two the one that refused knows why; a pipe that broke is only what follows.
    ended(fill, "psql").and(passed)
}

fn start(command: &mut Command, name: &str) -> Result<std::process::Child, String> {
    command.spawn().map_err(|error| not_run(name, &error))
}

fn ended(child: std::process::Child, name: &str) -> Result<(), String> {
    let outcome = child.wait_with_output().map_err(|error| not_run(name, &error))?;
    if outcome.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&outcome.stderr).trim()))
}

fn open(target: &PostgresTarget) -> Result<DbConnection, String> {
    let opened = Backend::Postgres(target.clone()).connect();
    opened.map_err(|error| format!("cannot open the postgres database: {error}"))
}

fn schema(conn: &mut DbConnection) -> Result<String, String> {
    let found = names(conn, "SELECT current_schema()::text AS name")?;
    found.into_iter().next().ok_or_else(|| "the database has no current schema".to_owned())
}

fn program(name: &str, target: &PostgresTarget) -> Command {
    let mut command = Command::new(name);
    if let (_, Some(password)) = tls::without_password(&target.url) {
        command.env("PGPASSWORD", password);
    }
    command
}

/// Runs one of PostgreSQL's programs to its end; what it printed.
fn run(mut command: Command, name: &str) -> Result<String, String> {
    let outcome = command.stdin(std::process::Stdio::null()).output().map_err(|error| not_run(name, &error))?;
    if outcome.status.success() {
        Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
    } else {
        Err(format!("{name} failed: {}", String::from_utf8_lossy(&outcome.stderr).trim()))
    }
}

fn not_run(name: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "{name} is not on the PATH; install PostgreSQL's client programs (Debian: apt-get install postgresql-client)"
        ),
        _ => format!("{name} cannot be run: {error}"),
    }
}
