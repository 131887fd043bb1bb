//! The manifest of a backup: its contents, and how to verify that it is complete.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::{self, Part, failed};
use hxa_store::stored_path::StoredPath;
use hxa_store::{Backend, copy, private};

/// Name of the manifest in the backup's folder.
const NAME: &str = "manifest.json";
/// The layout that is described here; another one is not understood.
pub const FORMAT: u32 = 1;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Program and version.
    pub made_by: String,
    /// What was acknowledged before this time (ms since the epoch) is in the backup.
    pub begun_at: i64,
    /// When it was whole.
    pub finished_at: i64,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// The schema steps that are in the database.
    pub schema: Vec<String>,
    /// Rows by table.
    pub counts: BTreeMap<String, i64>,
    /// All files but the manifest.
    pub parts: Vec<Part>,
    /// Uploads that the database names and the data folder no longer had.
    pub missing_files: Vec<String>,
}

/// Program and version, for [`Manifest::made_by`].
pub fn made_by() -> String {
    format!("hxa-connect {}", env!("CARGO_PKG_VERSION"))
}

impl Manifest {
    /// Reads the manifest of the backup in a folder.
    pub fn read(from: &Path) -> Result<Self, String> {
        let path = from.join(NAME);
        let text = fs::read_to_string(&path).map_err(failed("not a (whole) backup: cannot read", &path))?;
        let damaged = |error| format!("{} is damaged: {error}", path.display());
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        if value.get("format").and_then(serde_json::Value::as_u64) != Some(u64::from(FORMAT)) {
            return Err(format!("{} is of a format that this hub does not understand", path.display()));
        }
        serde_json::from_value(value).map_err(damaged)
    }

    /// Writes it, for good.
    pub fn write(&self, to: &Path) -> Result<(), String> {
        let path = to.join(NAME);
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("cannot write the manifest: {error}"))?;
        private::write_new(&path, &(text + "\n")).map_err(failed("cannot write", &path))?;
        copy::sync(&path)?;
        copy::sync(to)
    }

    /// The database of the backup.
    pub fn database_part(&self, backend: &Backend) -> Result<&Part, String> {
        let name = copy::file_name(backend);
        let found = self.parts.iter().find(|part| part.path == name);
        found.ok_or_else(|| "the manifest names no database".to_owned())
    }

    /// Compares every file with what is written of it. `database` is the name of the database's; all others are uploads.
    pub fn check_parts(&self, from: &Path, database: &str) -> Result<(), String> {
        let mut seen = HashSet::new();
        for part in &self.parts {
            if part.path != database && StoredPath::parse(&part.path).is_none() {
                return Err(format!(
                    "the manifest names \"{}\", which is not in the backup's folder or nothing that a hub saves",
                    part.path
                ));
            }
            if !seen.insert(part.path.as_str()) {
                return Err(format!("the manifest names \"{}\" twice", part.path));
            }
            if folder::describe(from, &part.path)? != *part {
                return Err(format!(
                    "{} is damaged: it is not what the manifest says",
                    from.join(&part.path).display()
                ));
            }
        }
        Ok(())
    }

    /// A few lines for the operator.
    pub fn summary(&self) -> String {
        let rows = self.counts.values().sum::<i64>();
        let bytes: u64 = self.parts.iter().map(|part| part.bytes).sum();
        let uploads = self.parts.len().saturating_sub(1);
        let schema = self.schema.last().map_or("none", String::as_str);
        let mut text = format!(
            "{} database with {rows} rows in {} tables, schema {schema}; {uploads} uploaded files; {bytes} bytes\n",
            self.database,
            self.counts.len()
        );
        if !self.missing_files.is_empty() {
            text.push_str(&format!(
                "warning: {} uploaded files are named by the database and were not in the data folder, such as {}\n",
                self.missing_files.len(),
                self.missing_files.first().map_or("", String::as_str)
            ));
        }
        text
    }
}
