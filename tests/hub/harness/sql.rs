//! SQL as an operator runs it: files through `psql` and `sqlite3`, with parameters.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Database, Db};

/// A database as the command-line tools reach it.
#[derive(Clone)]
pub enum SqlShell {
    Sqlite { program: PathBuf, file: PathBuf },
    Postgres { program: PathBuf, url: String },
}

impl SqlShell {
    /// For this database, or `None` when its tool is not on this machine (never in CI).
    pub fn of(database: &Database) -> Option<Self> {
        match database.postgres_url() {
            Some(url) => Some(Self::Postgres { program: tool("psql")?, url: url.to_owned() }),
            None => Some(Self::Sqlite { program: tool("sqlite3")?, file: database.sqlite_path() }),
        }
    }

    pub fn kind(&self) -> Db {
        match self {
            Self::Sqlite { .. } => Db::Sqlite,
            Self::Postgres { .. } => Db::Postgres,
        }
    }

    /// `sqlite` or `postgres`, as folders are named.
    pub fn folder(&self) -> &'static str {
        match self.kind() {
            Db::Sqlite => "sqlite",
            Db::Postgres => "postgres",
        }
    }

    /// Runs a file; the rows it printed, columns separated by `|`.
    #[track_caller]
    pub fn run(&self, file: &Path, parameters: &[(&str, &str)]) -> Vec<String> {
        let (is_ok, said) = self.attempt(file, parameters);
        assert!(is_ok, "{}: {said}", file.display());
        said.lines().map(str::to_owned).collect()
    }

    /// Whether a file ran to its end, and what was printed.
    pub fn attempt(&self, file: &Path, parameters: &[(&str, &str)]) -> (bool, String) {
        let mut command = match self {
            Self::Sqlite { program, file: database } => {
                let mut command = Command::new(program);
                command.args(["-bail", "-batch"]);
                for (name, value) in parameters {
                    command.arg("-cmd").arg(format!(".parameter set :{name} \"'{value}'\""));
                }
                command.arg(database).stdin(std::fs::File::open(file).unwrap());
                command
            }
            Self::Postgres { program, url } => {
                let mut command = Command::new(program);
                command.args(["-XqAt", "-v", "ON_ERROR_STOP=1"]);
                for (name, value) in parameters {
                    command.arg("-v").arg(format!("{name}={value}"));
                }
                command.arg("-f").arg(file).arg(url).stdin(Stdio::null());
                command
            }
        };
        let outcome = command.output().unwrap();
        // Notices are no rows.
        let complaints = if outcome.status.success() { Vec::new() } else { outcome.stderr };
        let said = String::from_utf8([outcome.stdout, complaints].concat()).unwrap();
        (outcome.status.success(), said)
    }

    /// Runs one statement; the rows it gave.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{sql};\n")).unwrap();
        self.run(file.path(), &[])
    }
}

/// A program on the path, or `None` when it is not on this machine (never in CI).
pub fn tool(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = on_path.into_iter().flatten().map(|folder| folder.join(name)).find(|program| program.exists());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {name}");
        println!("note: no {name} on this machine; this test did not run");
    }
    found
}
