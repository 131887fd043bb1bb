//! `hxa-connect audit`: verifies and exports the audit chains of coordination requests.
//!
//! Both read one state of the database, whether a hub runs on it or not, and change nothing.

use std::error::Error;
use std::io::Write;
use std::ops::Range;

use crate::admin;
use crate::cli::AuditExport;
use crate::serve::store_config;
use hxa_hub::config::Config;
use hxa_requests::chain;
use hxa_store::{DbConnection, DbError, StoreConfig, migrate};

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The chains that are whole, and how many rows they have, a line each.
    pub text: String,
    /// The first row that is not as it was written, if there is one.
    pub broken: Option<String>,
}

/// Verifies the chain of an organisation, or of all.
///
/// # Errors
/// When the database cannot be read or there is no such organisation.
pub fn verify(config: &Config, org: Option<&str>) -> Result<Report, String> {
    let mut conn = open(config)?;
    let (mut text, mut rows, orgs) = (String::new(), 0_i64, orgs(&mut conn, org)?);
    for org in &orgs {
        match chain::verify(&mut conn, org).map_err(unreadable)? {
            Ok(verified) => {
                rows = rows.saturating_add(verified.rows);
                text.push_str(&verified.to_string());
                text.push('\n');
            }
            Err(broken) => return Ok(Report { text, broken: Some(broken.to_string()) }),
        }
    }
    text.push_str(&format!("verified {rows} rows of {} organisations", orgs.len()));
    Ok(Report { text, broken: None })
}

/// Writes the audit events that an export covers as lines of JSON, oldest first.
///
/// # Errors
/// When the database cannot be read or there is no such organisation; when they cannot be written.
pub fn export(config: &Config, export: &AuditExport, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let within = export.since.unwrap_or(i64::MIN)..export.until.unwrap_or(i64::MAX);
    let mut conn = open(config)?;
    let orgs = orgs(&mut conn, export.org.as_deref())?;
    match write_all(&mut conn, &orgs, &within, out) {
        // A reader that has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

fn write_all(
    conn: &mut DbConnection,
    orgs: &[String],
    within: &Range<i64>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    for org in orgs {
        chain::export(conn, org, within, |row| -> Result<(), Failure> { Ok(writeln!(out, "{}", row.line())?) })?;
    }
    Ok(out.flush()?)
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Database(String),
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Database(unreadable(error))
    }
}

fn unreadable(error: DbError) -> String {
    match error {
        DbError::Refused(refusal) => refusal.to_string(),
        DbError::Database(error) => format!("the database cannot be read: {error}"),
    }
}

/// Opens the database as it is now, for reads. Its schema must be current, because a read does not migrate it.
fn open(config: &Config) -> Result<DbConnection, String> {
    let StoreConfig { backend, catalogue, .. } = store_config(config);
    if !migrate::pending(&catalogue, &backend)?.is_empty() {
        return Err("the database is not up to date; start the hub or run `hxa-connect migrate` first".to_owned());
    }
    let mut conn = backend.connect().map_err(|error| format!("cannot open the database: {error}"))?;
    chain::hold_still(&mut conn).map_err(unreadable)?;
    Ok(conn)
}

fn orgs(conn: &mut DbConnection, org: Option<&str>) -> Result<Vec<String>, String> {
    let Some(org) = org else { return chain::list_orgs(conn).map_err(unreadable) };
    let known = admin::orgs::rows(conn).map_err(unreadable)?;
    let id = admin::orgs::resolve(&known, Some(org)).map_err(|error| error.to_string())?;
    Ok(vec![id.to_string()])
}
