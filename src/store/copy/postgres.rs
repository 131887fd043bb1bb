//! Copies of a PostgreSQL database, by PostgreSQL's own programs.
//!
//! The rows are counted and dumped in one exported snapshot, so the counts are those of the dump whatever the hub does
//! meanwhile. The programs get the URL without its password, which goes by the environment and not by the command line
//! that everybody on the machine can read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::super::tls;
use super::{Backend, DbConnection, Name, Saved, look, names, sync, tables, unreadable};
use crate::store::PostgresTarget;

pub fn save(target: &PostgresTarget, file: &Path) -> Result<Saved, String> {
    let mut conn = open(target)?;
    // The snapshot lives as long as its transaction, however long the dump takes.
    conn.batch_execute(
        "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
         BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )
    .map_err(unreadable)?;
    let snapshot: Name = sql_query("SELECT pg_export_snapshot() AS name").get_result(&mut conn).map_err(unreadable)?;
    let saved = look(&mut conn)?;
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

pub fn refuse_unless_empty(target: &PostgresTarget, force: bool) -> Result<(), String> {
    let mut conn = open(target)?;
    match tables(&mut conn)?.first() {
        Some(_) if !force => Err("the database has a hub's tables already; --force replaces them".to_owned()),
        _ => Ok(()),
    }
}

pub fn load(target: &PostgresTarget, file: &Path, counts: &BTreeMap<String, i64>) -> Result<(), String> {
    let mut conn = open(target)?;
    // Tables of later schema steps than the dump's would stand in the way of those steps.
    for table in tables(&mut conn)?.iter().filter(|table| !counts.contains_key(*table)) {
        conn.batch_execute(&format!("DROP TABLE {table} CASCADE"))
            .map_err(|error| format!("{table} cannot be dropped: {error}"))?;
    }
    drop(conn);
    let mut restore = program("pg_restore", target);
    restore.args([
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
    ]);
    restore.arg("--dbname").arg(tls::without_password(&target.url).0).arg(file);
    run(restore, "pg_restore").map(|_| ())
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
    let outcome = command.stdin(std::process::Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "{name} is not on the PATH; install PostgreSQL's client programs (Debian: apt-get install postgresql-client)"
        ),
        _ => format!("{name} cannot be run: {error}"),
    })?;
    if outcome.status.success() {
        Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
    } else {
        Err(format!("{name} failed: {}", String::from_utf8_lossy(&outcome.stderr).trim()))
    }
}
