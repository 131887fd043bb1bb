//! The bytes of uploaded files: copied from the old folder of files into the new one.
//!
//! A copy is complete before it gets its name, and exists before its row is durable: a file without a row is harmless.
//! Only files in the old folder are read, and files are written only to paths that a hub itself would assign
//! ([`StoredPath`]): a row that names another path gets a new one.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::ImportError;
use crate::private;
use crate::rows::FileRow;
use crate::stored_path::{FILES, STAGING, StoredPath};

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

    /// Copies the bytes of a row from where it says to where a hub would put them, and has it say so; what the operator
    /// should know about it otherwise.
    pub fn take(&mut self, row: &mut FileRow) -> Result<Option<&'static str>, ImportError> {
        self.rows += 1;
        let old = std::mem::take(&mut row.path);
        let org = row.org_id.to_string();
        row.path = if StoredPath::parse(&old).is_some_and(|path| path.is_of(&org)) {
            old.clone()
        } else {
            let new = StoredPath::new_for(&org, row.uploader_id.as_deref(), ending(&old));
            new.ok_or_else(|| ImportError(format!("files: the organisation of {} has no id of a hub", row.id)))?
        };
        let Some(from) = &self.from else { return Ok(None) };
        let Some(source) = place(from, &old) else {
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

/// Whether a path of an older server is one of an uploaded file: within its folder of files, and whole.
pub fn is_of_upload(path: &str) -> bool {
    let parts: Vec<Component<'_>> = Path::new(path).components().collect();
    let [Component::Normal(first), second, rest @ ..] = parts.as_slice() else { return false };
    *first == FILES
        && *second != Component::Normal(STAGING.as_ref())
        && std::iter::once(second).chain(rest).all(|part| matches!(part, Component::Normal(_)))
}

/// The ending of a path's name, with its dot.
fn ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rfind('.').and_then(|at| name.get(at..)).unwrap_or_default()
}

/// Where the bytes are: in the folder of files of the old data folder, or in that folder itself if it was named.
fn place(from: &Path, path: &str) -> Option<PathBuf> {
    if !is_of_upload(path) {
        return None;
    }
    let within = path.strip_prefix("files/")?;
    let roots = [from.join(FILES), from.to_owned()].into_iter().filter_map(|root| root.canonicalize().ok());
    roots.into_iter().find_map(|root| {
        let found = root.join(within).canonicalize().ok()?;
        (found.is_file() && found.starts_with(&root)).then_some(found)
    })
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let size = source.metadata()?.len();
    if target.metadata().is_ok_and(|there| there.len() == size) {
        return Ok(());
    }
    let folder = target.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    private::create_folders(folder)?;
    let part = folder.join(format!(".import-{}", uuid::Uuid::new_v4()));
    let placed = private::copy_new(source, &part).and_then(|()| fs::rename(&part, target));
    if placed.is_err() {
        // The error of the copy is what matters.
        let _ = fs::remove_file(&part);
    }
    placed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_are_taken() {
        for good in ["files/a.txt", "files/old/a.txt", "files/o/b/xx/n.png"] {
            assert!(is_of_upload(good), "{good}");
        }
        for bad in [
            "hxa-connect.db",
            "hxa-connect.db-wal",
            "files",
            "files/../hxa-connect.db",
            "/etc/passwd",
            "files/_tmp/x",
            "",
        ] {
            assert!(!is_of_upload(bad), "{bad}");
        }
        assert_eq!((ending("files/a.b/c.txt"), ending("files/a.b/c")), (".txt", ""));
    }
}
