//! The bytes of uploaded files: copied from the old data folder to the new one, each at the path its row names.
//!
//! A copy is whole before it has its name, and is made before its row is durable: a file without a row is harmless.
//! Paths that lead out of the folders are not followed.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::ImportError;
use crate::store::rows::FileRow;

/// Both folders and what was done.
pub struct Files {
    from: Option<PathBuf>,
    to: PathBuf,
    dry_run: bool,
    rows: u64,
    copied: u64,
    bytes: u64,
}

impl Files {
    /// From the old folder, if it was given, to the new data folder.
    pub fn new(from: Option<PathBuf>, to: PathBuf, dry_run: bool) -> Self {
        Self { from, to, dry_run, rows: 0, copied: 0, bytes: 0 }
    }

    /// Copies the bytes of a row; what the operator should know about it otherwise.
    pub fn take(&mut self, row: &FileRow) -> Result<Option<&'static str>, ImportError> {
        self.rows += 1;
        let Some(from) = &self.from else { return Ok(None) };
        let Some(source) = place(from, &row.path) else {
            return Ok(Some("its bytes are not in the folder of --files"));
        };
        let failed = |error: io::Error| ImportError(format!("{}: {error}", source.display()));
        let size = source.metadata().map_err(failed)?.len();
        if !self.dry_run {
            copy(&source, &self.to.join(&row.path)).map_err(failed)?;
        }
        (self.copied, self.bytes) = (self.copied + 1, self.bytes.saturating_add(size));
        let is_whole = u64::try_from(row.size).is_ok_and(|expected| expected == size);
        Ok(if is_whole { None } else { Some("its bytes are fewer or more than its row says") })
    }

    /// What was done, in a sentence.
    pub fn summary(&self) -> Option<String> {
        let (rows, copied, bytes) = (self.rows, self.copied, self.bytes);
        match (&self.from, rows) {
            (_, 0) => None,
            (None, _) => {
                Some(format!("the bytes of {rows} files were left where they are; name their folder by --files"))
            }
            (Some(_), _) if self.dry_run => Some(format!("{copied} of {rows} files, {bytes} bytes, would be copied")),
            (Some(_), _) => {
                Some(format!("{copied} of {rows} files, {bytes} bytes, were copied to {}", self.to.display()))
            }
        }
    }
}

/// Whether a stored path stays inside its folder.
pub fn is_inside(path: &str) -> bool {
    let parts = || Path::new(path).components();
    parts().next().is_some() && parts().all(|part| matches!(part, Component::Normal(_)))
}

/// Where the bytes are: under the old data folder, or under its folder of files if that was named.
fn place(from: &Path, path: &str) -> Option<PathBuf> {
    if !is_inside(path) {
        return None;
    }
    let root = from.canonicalize().ok()?;
    let within = path.strip_prefix("files/").unwrap_or(path);
    let found = [from.join(path), from.join(within)].into_iter().filter_map(|place| place.canonicalize().ok());
    found.into_iter().find(|place| place.is_file() && place.starts_with(&root))
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let size = source.metadata()?.len();
    if target.metadata().is_ok_and(|there| there.len() == size) {
        return Ok(());
    }
    let folder = target.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    fs::create_dir_all(folder)?;
    let part = folder.join(format!(".import-{}", uuid::Uuid::new_v4()));
    let placed =
        fs::copy(source, &part).and_then(|_| File::open(&part)?.sync_all()).and_then(|()| fs::rename(&part, target));
    if placed.is_err() {
        // The error of the copy is what matters.
        let _ = fs::remove_file(&part);
    }
    placed?;
    File::open(folder)?.sync_all()
}
