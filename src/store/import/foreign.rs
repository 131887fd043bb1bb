//! Databases of other programs that a feature knows how to read: what they hold is added to one organisation.
//!
//! Such a source knows nothing of organisations, so it becomes part of one beside whatever the target holds already. The
//! feature reads the rows and writes its own; the transaction, the counts and the organisation are found here.

use serde_json::{Map, Value, json};

use super::source::{Table, count};
use super::target::Stored;
use super::{ImportError, ImportOptions, Move, TableReport};
use crate::rows::{AuditRow, BotTokenRow, OrgRow};
use crate::{DbConnection, DbError, audit, orgs};
use hxa_domain::ids::OrgId;
use hxa_domain::secrets;
use hxa_domain::standing::OrgStatus;

/// The organisation that is made where there is none, as for the first key of a hub.
const DEFAULT_ORG: &str = "default";
/// Hex digits of its secret, which nobody is told.
const SECRET_DIGITS: usize = 48;
/// Organisations that a refusal names.
const NAMED: usize = 10;

/// Another program's database.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// What it is, in words.
    pub name: &'static str,
    /// Its tables that hold something. A database with all of them is one.
    pub tables: &'static [&'static str],
    /// Reads it and adds what it holds.
    pub add: fn(&mut Adding<'_>) -> Result<(), ImportError>,
}

/// An import that adds to an organisation.
pub struct Adding<'a> {
    all: &'a mut Move,
    org: OrgId,
    allow_respond: bool,
}

impl Adding<'_> {
    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.org
    }

    /// Whether keys may also answer requests.
    #[must_use]
    pub const fn allow_respond(&self) -> bool {
        self.allow_respond
    }

    /// Now, ms.
    #[must_use]
    pub const fn now(&self) -> i64 {
        self.all.now
    }

    /// The target, inside its transaction.
    pub fn conn(&mut self) -> &mut DbConnection {
        self.all.target.conn()
    }

    /// More that the operator should know.
    pub fn note(&mut self, text: String) {
        self.all.report.extend_notes([text]);
    }

    /// Reads a table page by page in the order of its key. `take` stores the rows of a page in the table `into`, and says of
    /// each in the report whether it was stored.
    ///
    /// # Errors
    /// When a database fails, and as `take`.
    pub fn walk(
        &mut self,
        table: &Table,
        into: &str,
        mut take: impl FnMut(&mut DbConnection, &mut TableReport, Vec<Map<String, Value>>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let Move { source, target, report, progress, .. } = &mut *self.all;
        let report = report.table(table.name);
        progress.table(table.name);
        report.counted = source.count(table.name)?.unwrap_or(0);
        let before = count(target.conn(), into)?;
        let (mut after, mut read): (Option<Vec<String>>, i64) = (None, 0);
        loop {
            let rows = source.page(table, after.as_deref())?;
            let Some(last) = rows.last() else { break };
            let text = |key: &&str| last.get(*key).and_then(Value::as_str).unwrap_or_default().to_owned();
            after = Some(table.key.iter().map(text).collect());
            let page = rows.len();
            take(target.conn(), report, rows)?;
            read += i64::try_from(page).unwrap_or(0);
            progress.add(page);
        }
        report.read = report.counted.max(read);
        report.skip_many("its key is empty", report.counted - read, "");
        report.found = count(target.conn(), into)? - before;
        Ok(())
    }
}

/// Stores a token of a bot; false when the hub has one with the same secret.
///
/// # Errors
/// When the database fails.
pub fn put_token(conn: &mut DbConnection, row: &BotTokenRow) -> Result<bool, ImportError> {
    Ok(BotTokenRow::insert(conn, std::slice::from_ref(row))? == 1)
}

/// Adds what a database holds to the organisation of the options.
pub fn add(all: &mut Move, foreign: &Foreign, options: &ImportOptions) -> Result<(), ImportError> {
    let persist_messages = all.persist_messages;
    let (org, is_new) = organisation(all.target.conn(), options.org.as_deref(), persist_messages)?;
    let (name, id) = (&org.name, org.id);
    let note = if is_new {
        format!(
            "there was no organisation, so \"{name}\" ({id}) was created; the platform's admin gets its secret with \
             POST /api/orgs/{id}/rotate-secret"
        )
    } else {
        format!("everything was added to the organisation \"{name}\" ({id})")
    };
    all.report.extend_notes([note]);
    (foreign.add)(&mut Adding { all, org: org.id, allow_respond: options.allow_respond })
}

/// The organisation of this id or name; without one the only one, or a new one. Whether it is new.
fn organisation(
    conn: &mut DbConnection,
    given: Option<&str>,
    persist_messages: bool,
) -> Result<(OrgRow, bool), ImportError> {
    let mut known: Vec<OrgRow> = orgs::list(conn, None, i64::MAX)?.rows.into_iter().map(|(row, _)| row).collect();
    known.retain(|org| org.status != OrgStatus::Destroyed);
    if given.is_none() && known.is_empty() {
        return Ok((found(conn, persist_messages)?, true));
    }
    let is_meant = |org: &OrgRow| given.is_none_or(|given| org.id.to_string() == given || org.name == given);
    known.retain(is_meant);
    match (known.as_slice(), given) {
        ([only], _) => Ok((only.clone(), false)),
        ([], given) => Err(ImportError(format!("there is no organisation {:?}", given.unwrap_or_default()))),
        (several, _) => Err(ambiguous(several)),
    }
}

fn ambiguous(known: &[OrgRow]) -> ImportError {
    let shown: Vec<String> = known.iter().take(NAMED).map(|org| format!("{} ({})", org.name, org.id)).collect();
    let more = known.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    ImportError(format!("there are several organisations; say which with --org: {}{more}", shown.join(", ")))
}

/// Makes the first organisation of a hub.
fn found(conn: &mut DbConnection, persist_messages: bool) -> Result<OrgRow, ImportError> {
    let now = crate::clock::now_ms();
    let row = OrgRow {
        id: OrgId::at(now),
        name: DEFAULT_ORG.to_owned(),
        secret_hash: secrets::secret_hash(&secrets::hex_token("", SECRET_DIGITS)),
        persist_messages,
        status: OrgStatus::Active,
        join_approval_required: false,
        created_at: now,
    };
    orgs::insert(conn, &row)?;
    let detail = json!({ "name": row.name, "by": "import" });
    audit::insert(conn, &AuditRow::new(None, now, None, "org.create", "org", row.id, Some(detail)))?;
    Ok(row)
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Refused(refusal) => Self(refusal.message().to_owned()),
            DbError::Database(error) => error.into(),
        }
    }
}
