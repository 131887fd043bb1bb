//! Import: reads the database of an older server, or one of this hub's own on either kind of database, into the
//! configured one, or adds to it what a feature can read of another program's.
//!
//! Everything happens in one transaction of the target, so an import that fails or is killed leaves the target
//! unchanged and is simply run again; the source is read in one snapshot and never written. Both are walked in pages by
//! key, so memory does not grow with the data. Every row that is not copied unchanged is counted with its reason, and
//! the counts of source, report and target are compared before the transaction ends.

mod bytes;
mod features;
mod foreign;
mod kind;
mod older;
mod own;
mod progress;
mod report;
mod source;
mod target;

use std::path::PathBuf;

use crate::{Backend, Catalogue, PostgresTarget, migrate};
pub use foreign::{Adding, Foreign, put_token};
use hxa_domain::ids::{BotId, resembles_id};
use hxa_domain::secrets;
use kind::Kind;
use progress::Progress;
pub use report::{Report, TableReport};
use source::Source;
pub use source::Table;
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
    /// The organisation, by id or name, that another program's database is added to.
    pub org: Option<String>,
    /// Whether keys of another program's database may also answer requests.
    pub allow_respond: bool,
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
    persist_messages: bool,
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
    /// What a new organisation says of its messages.
    pub persist_messages: bool,
}

/// Moves a database into another one; `foreign` are those of other programs that are known.
///
/// # Errors
/// When the source cannot be read, the target is in use or not empty, or the counts do not agree; the target is then as
/// it was before.
pub fn run(into: Destination<'_>, options: &ImportOptions, foreign: &[Foreign]) -> Result<Report, ImportError> {
    let from = source_of(&options.from)?;
    refuse_itself(&from, &into.backend)?;
    let mut source = Source::open(&from)?;
    let kind = Kind::of(source.conn(), foreign)?;
    refuse_options(kind, options)?;
    source.begin(if matches!(kind, Kind::Own) { Some(source::held(&into.catalogue, &from)?) } else { None })?;
    let total = match kind {
        Kind::Own => source.sum(&own::names(&into.catalogue))?,
        Kind::Older => source.sum(&older::NAMES)?,
        Kind::Foreign(foreign) => source.sum(foreign.tables)?,
    };
    let (target, note) = target_of(kind, &into, options)?;
    let mut report = Report::new(kind.name(), options.dry_run);
    report.extend_notes(note);
    let progress = Progress::over(total);
    let mut all = Move {
        files: bytes::Files::new(options.files.clone(), into.data_dir, options.dry_run),
        reference_key: secrets::session_ref_key(into.admin_secret),
        keeps_sessions: into.keeps_sessions,
        persist_messages: into.persist_messages,
        now: crate::clock::now_ms(),
        catalogue: into.catalogue,
        source,
        target,
        report,
        progress,
    };
    all.target.begin(&all.catalogue, options.force)?;
    fill(&mut all, kind, options)?;
    all.report.verify().map_err(ImportError)?;
    all.target.check()?;
    all.target.finish(options.dry_run)?;
    if !options.dry_run {
        crate::disturb(&into.backend)?;
    }
    all.progress.done();
    all.report.extend_notes(all.files.summary());
    Ok(all.report)
}

fn fill(all: &mut Move, kind: Kind, options: &ImportOptions) -> Result<(), ImportError> {
    match kind {
        Kind::Own => {
            own::tables(all)?;
            features::tables(all)
        }
        Kind::Older => older::tables(all),
        Kind::Foreign(foreign) => foreign::add(all, &foreign, options),
    }
}

/// Refuses options that mean nothing to the source, instead of leaving them unheeded.
fn refuse_options(kind: Kind, options: &ImportOptions) -> Result<(), ImportError> {
    let (is_foreign, is_for_foreign) =
        (matches!(kind, Kind::Foreign(_)), options.org.is_some() || options.allow_respond);
    if !is_foreign && is_for_foreign {
        let text =
            format!("--org and --allow-respond mean nothing for {}, which has organisations itself", kind.name());
        return Err(ImportError(text));
    }
    if is_foreign && options.files.is_some() {
        return Err(ImportError(format!("--files means nothing for {}, which has no files", kind.name())));
    }
    Ok(())
}

/// The target, and what is to be said of it. Another program's rows are added to what is there, so a dry run looks at that.
fn target_of(
    kind: Kind,
    into: &Destination<'_>,
    options: &ImportOptions,
) -> Result<(Target, Option<String>), ImportError> {
    let (catalogue, backend) = (&into.catalogue, &into.backend);
    match kind {
        Kind::Foreign(_) if !options.dry_run || migrate::pending(catalogue, backend)?.is_empty() => {
            Ok((Target::join(catalogue, backend)?, None))
        }
        Kind::Foreign(_) => match target::occupied(catalogue, backend)? {
            None => Ok((Target::scratch(catalogue)?, None)),
            Some(_) => {
                Err(ImportError("the target is of an older hub; run `hxa-connect migrate` on it first".to_owned()))
            }
        },
        Kind::Own | Kind::Older if options.dry_run => {
            let note = target::occupied(catalogue, backend)?
                .map(|what| format!("the target is not empty ({what}); importing will need --force"));
            Ok((Target::scratch(catalogue)?, note))
        }
        Kind::Own | Kind::Older => Ok((Target::open(catalogue, backend, options.force)?, None)),
    }
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
