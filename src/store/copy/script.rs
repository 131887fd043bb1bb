//! The script that fills a PostgreSQL database with the rows of a dump.
//!
//! A dump is an untrusted program, and none of it is executed: this hub's own migrations create the tables, and of the
//! output of `pg_restore` only the rows pass, each under a COPY into one of the hub's tables that is written here. Rows
//! of uploaded files are validated on the way.

use std::io::{BufRead, BufReader, Read, Write};

use super::{all_tables, check_path};
use crate::{Catalogue, migrate};

/// What a database is filled by.
pub struct Script {
    /// What comes before the rows: a transaction in which the tables are new.
    beginning: String,
    tables: Vec<&'static str>,
}

impl Script {
    /// For a database with these steps. The settings are those that rows are read by.
    pub fn new(catalogue: &Catalogue, schema: &str, steps: &[String]) -> Result<Self, String> {
        let tables = all_tables(catalogue);
        let drops: Vec<String> =
            tables.iter().map(|table| format!("DROP TABLE IF EXISTS \"{table}\" CASCADE;")).collect();
        let beginning = format!(
            "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;\n\
             SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET client_min_messages = warning;\n\
             SET DateStyle = 'ISO, YMD'; SET synchronous_commit = on;\n\
             SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE;\n\
             SET search_path = \"{}\";\nBEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n{}\n\
             CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
             run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);\n{}\n",
            schema.replace('"', "\"\""),
            drops.join("\n"),
            migrate::postgres_script(catalogue, steps)?
        );
        Ok(Self { beginning, tables })
    }

    /// Lets the rows through.
    pub fn pass(&self, from: impl Read, into: &mut impl Write) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the rows cannot be passed on: {error}");
        into.write_all(self.beginning.as_bytes()).map_err(failed)?;
        let (mut lines, mut line) = (BufReader::new(from), Vec::new());
        let mut under: Option<Copy> = None;
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            match &under {
                Some(_) if line == b"\\.\n" => {
                    into.write_all(&line).map_err(failed)?;
                    under = None;
                }
                Some(copy) => {
                    copy.look(&line)?;
                    into.write_all(&line).map_err(failed)?;
                }
                None if line.starts_with(b"COPY ") => {
                    let copy = Copy::parse(&self.tables, &String::from_utf8_lossy(&line))?;
                    let columns: Vec<String> = copy.columns.iter().map(|column| format!("\"{column}\"")).collect();
                    writeln!(into, "COPY \"{}\" ({}) FROM stdin;", copy.table, columns.join(", ")).map_err(failed)?;
                    under = Some(copy);
                }
                None => {}
            }
        }
        if under.is_some() { Err("the dump ends amid a table".to_owned()) } else { Ok(()) }
    }
}

/// Makes everything durable.
pub fn end(into: &mut impl Write) -> Result<(), String> {
    let ended = into.write_all(b"COMMIT;\n").and_then(|()| into.flush());
    ended.map_err(|error| format!("the rows cannot be passed on: {error}"))
}

/// What a COPY fills.
struct Copy {
    table: &'static str,
    columns: Vec<String>,
}

impl Copy {
    /// Reads `COPY schema.table (column, …) FROM stdin;`.
    fn parse(tables: &[&'static str], line: &str) -> Result<Self, String> {
        let odd = || format!("the dump fills something that no hub has: {}", line.trim().escape_debug());
        let rest = line.trim_end().strip_prefix("COPY ").and_then(|rest| rest.strip_suffix(") FROM stdin;"));
        let (name, columns) = rest.and_then(|rest| rest.rsplit_once(" (")).ok_or_else(odd)?;
        let name = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
        let table = tables.iter().copied().find(|table| *table == name).ok_or_else(odd)?;
        let columns: Vec<String> = columns.split(", ").map(|column| column.trim_matches('"').to_owned()).collect();
        let is_name = |column: &String| {
            !column.is_empty()
                && column.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if columns.iter().all(is_name) { Ok(Self { table, columns }) } else { Err(odd()) }
    }

    /// Refuses a row of an upload that lies where no upload does.
    fn look(&self, row: &[u8]) -> Result<(), String> {
        if self.table != "files" {
            return Ok(());
        }
        let row = String::from_utf8_lossy(row);
        let fields: Vec<&str> = row.trim_end_matches('\n').split('\t').collect();
        let field = |name: &str| {
            let at = self.columns.iter().position(|column| column == name);
            at.and_then(|at| fields.get(at).copied()).unwrap_or_default()
        };
        check_path(field("path"), field("org_id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: &str = "01890000-0000-7000-8000-000000000001";

    fn passed(dump: &str) -> Result<String, String> {
        let mut into = Vec::new();
        let script = Script { beginning: "BEGIN;\n".to_owned(), tables: all_tables(&Catalogue::default()) };
        script.pass(dump.as_bytes(), &mut into).map(|()| String::from_utf8(into).unwrap())
    }

    #[test]
    fn only_rows_pass() {
        let dump = "SET row_security = off;\nDROP TABLE bots;\n\\! touch /tmp/x\n\
                    COPY public.bots (id, \"name\") FROM stdin;\n1\ta\n2\t\\\\.\n\\.\n\nSELECT pg_sleep(9);\n";
        assert_eq!(
            passed(dump).unwrap(),
            "BEGIN;\nCOPY \"bots\" (\"id\", \"name\") FROM stdin;\n1\ta\n2\t\\\\.\n\\.\n"
        );
    }

    #[test]
    fn what_is_not_the_hubs_is_refused() {
        for dump in [
            "COPY public.pg_class (oid) FROM stdin;\n\\.\n",
            "COPY public.bots (id) FROM PROGRAM 'id';\n",
            "COPY public.bots (id) FROM stdin; DROP TABLE bots;\n",
            "COPY public.bots (id) FROM stdin;\n1\n",
            "COPY public.bots (id\") FROM stdin; SELECT (1) FROM stdin;\n\\.\n",
            &format!("COPY public.files (org_id, path) FROM stdin;\n{ORG}\thxa-connect.db-wal\n\\.\n"),
        ] {
            assert!(passed(dump).is_err(), "{dump}");
        }
        let good = format!("files/{ORG}/{ORG}/01/{ORG}.txt");
        assert!(passed(&format!("COPY public.files (org_id, path) FROM stdin;\n{ORG}\t{good}\n\\.\n")).is_ok());
    }
}
