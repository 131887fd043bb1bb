//! Import: reads the database of an older server, or one of this hub's own on either kind of database, into the
//! configured one.
//!
//! Everything happens in one transaction of the target, so an import that fails or is killed leaves the target
//! unchanged and is simply run again; the source is read in one snapshot and never written. Both are walked in pages by
//! key, so memory does not grow with the data. Every row that is not copied unchanged is counted with its reason, and
//! the counts of source, report and target are compared before the transaction ends.

mod bytes;
mod features;
mod older;
mod own;
mod progress;
mod report;
mod source;
mod target;

use std::path::PathBuf;

use crate::{Backend, Catalogue, PostgresTarget};
use hxa_domain::ids::{BotId, resembles_id};
use hxa_domain::secrets;
use progress::Progress;
pub use report::{Report, TableReport};
use source::{Kind, Source};
use target::Target;

/// What to move, and how.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// A SQLite file or a `postgres://` URL.
    pub from: String,
    /// The folder with the bytes of uploaded files.
    pub files: Option<PathBuf>,
    /// Empty the target first.
    pub force: bool,
    /// Read, check and count only.
    pub dry_run: bool,
}

/// Why nothing was moved; the text is for the operator and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

/// What the report says of a bot that is called like an id.
const NAMED_LIKE_AN_ID: &str = "its name has the form of an id, which is no name; it has one made of its own id now";
/// Digits of its id in the name of such a bot: the last ones, which are random.
const NAMED_BY_DIGITS: usize = 12;

/// The name of a bot that is called like an id; `None` for all others.
fn instead_of_id(name: &str, id: BotId) -> Option<String> {
    let id = id.to_string();
    let digits = || id.get(id.len().saturating_sub(NAMED_BY_DIGITS)..).unwrap_or(&id);
    resembles_id(name).then(|| format!("bot-{}", digits()))
}

impl From<String> for ImportError {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<diesel::result::Error> for ImportError {
    fn from(error: diesel::result::Error) -> Self {
        Self(format!("database: {error}"))
    }
}

/// What every table's import needs beside its rows.
struct Move {
    catalogue: Catalogue,
    source: Source,
    target: Target,
    report: Report,
    progress: Progress,
    files: bytes::Files,
    reference_key: Vec<u8>,
    keeps_sessions: bool,
    now: i64,
}

/// Where a database is moved to.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The database.
    pub backend: Backend,
    /// The schema steps and tables of this program.
    pub catalogue: Catalogue,
    /// The hub's data folder, in which its files are.
    pub data_dir: PathBuf,
    /// What references of people's sessions are made with, if it is set.
    pub admin_secret: Option<&'a str>,
    /// Whether people's sessions are kept in the database.
    pub keeps_sessions: bool,
}

/// Moves a database into another one.
///
/// # Errors
/// When the source cannot be read, the target is in use or not empty, or the counts do not agree; the target is then as
/// it was before.
pub fn run(into: Destination<'_>, options: &ImportOptions) -> Result<Report, ImportError> {
    let from = source_of(&options.from)?;
    let (backend, catalogue) = (into.backend, into.catalogue);
    refuse_itself(&from, &backend)?;
    let mut source = Source::open(&catalogue, &from)?;
    let total = match source.kind() {
        Kind::Own => source.sum(&own::names(&catalogue))?,
        Kind::Older => source.sum(&older::NAMES)?,
    };
    let (target, note) = if options.dry_run {
        (Target::scratch(&catalogue)?, target::occupied(&catalogue, &backend)?)
    } else {
        (Target::open(&catalogue, &backend, options.force)?, None)
    };
    let mut report = Report::new(source.kind().name(), options.dry_run);
    report.extend_notes(note.map(|what| format!("the target is not empty ({what}); importing will need --force")));
    let progress = Progress::over(total);
    let mut all = Move {
        catalogue,
        files: bytes::Files::new(options.files.clone(), into.data_dir, options.dry_run),
        reference_key: secrets::session_ref_key(into.admin_secret),
        keeps_sessions: into.keeps_sessions,
        now: crate::clock::now_ms(),
        source,
        target,
        report,
        progress,
    };
    all.target.begin(&all.catalogue, options.force)?;
    match all.source.kind() {
        Kind::Own => {
            own::tables(&mut all)?;
            features::tables(&mut all)?;
        }
        Kind::Older => older::tables(&mut all)?,
    }
    all.report.verify().map_err(ImportError)?;
    all.target.check()?;
    all.target.commit()?;
    if !options.dry_run {
        crate::disturb(&backend)?;
    }
    all.progress.done();
    all.report.extend_notes(all.files.summary());
    Ok(all.report)
}

/// Where the source is.
fn source_of(from: &str) -> Result<Backend, ImportError> {
    if from.starts_with("postgres://") || from.starts_with("postgresql://") {
        // Pages are small, but a sum over a large table may take its time.
        return Ok(Backend::Postgres(PostgresTarget { url: from.to_owned(), statement_timeout_ms: 0 }));
    }
    if from.contains("://") {
        return Err(ImportError("--from takes the path of a SQLite file or a postgres:// URL".to_owned()));
    }
    let path = PathBuf::from(from);
    if !path.is_file() {
        return Err(ImportError(format!("there is no file {}", path.display())));
    }
    Ok(Backend::Sqlite(path))
}

fn refuse_itself(from: &Backend, to: &Backend) -> Result<(), ImportError> {
    let is_same = match (from, to) {
        (Backend::Sqlite(from), Backend::Sqlite(to)) => {
            from.canonicalize().is_ok_and(|from| to.canonicalize().is_ok_and(|to| from == to))
        }
        (Backend::Postgres(from), Backend::Postgres(to)) => from.url == to.url,
        _ => false,
    };
    if is_same { Err(ImportError("source and target are the same database".to_owned())) } else { Ok(()) }
}
