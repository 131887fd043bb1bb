//! The bytes of uploaded files, on disk.
//!
//! An upload is written to a staging folder and moved to its place when it is whole and on disk, so a file that has a
//! place is complete. Everything here blocks and runs on a thread for that. Nothing outside the data folder is ever
//! opened, whatever a stored path says.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::domain::ids::OrgId;

/// The folder of files, within the data folder and in a backup; stored paths begin with it.
pub const FILES: &str = "files";
/// The folder, within that one, of uploads that are not whole yet; nobody has been told of them.
pub const STAGING: &str = "_tmp";
/// An upload that has been staged for longer has been given up by its client.
pub const STALE: Duration = Duration::from_secs(3600);

/// An upload on its way; gone from disk when dropped before it is placed.
#[derive(Debug)]
pub struct Staged {
    data_dir: PathBuf,
    path: PathBuf,
    name: String,
    file: Option<File>,
    size: u64,
}

impl Staged {
    /// Starts an upload; `extension` with its dot.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(data_dir: &Path, extension: &str) -> io::Result<Self> {
        let folder = data_dir.join(FILES).join(STAGING);
        fs::create_dir_all(&folder)?;
        let name = format!("{}{extension}", Uuid::new_v4());
        let path = folder.join(&name);
        let file = File::create_new(&path)?;
        Ok(Self { data_dir: data_dir.to_owned(), path, name, file: Some(file), size: 0 })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("the upload is closed"))?;
        file.write_all(bytes)?;
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Moves the whole upload to its place, on disk for good, and gives its path relative to the data folder.
    ///
    /// # Errors
    /// When the disk refuses; the upload is then gone.
    pub fn place(mut self, org: &str, bot: &str) -> io::Result<String> {
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        let start = self.name.get(..2).unwrap_or_default();
        let folder = [FILES, org, bot, start].join("/");
        let target = self.data_dir.join(&folder);
        fs::create_dir_all(&target)?;
        fs::rename(&self.path, target.join(&self.name))?;
        File::open(&target)?.sync_all()?;
        self.path = PathBuf::new();
        Ok(format!("{folder}/{}", self.name))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
    }
}

/// Deletes a file that has a place.
pub fn delete(data_dir: &Path, path: &str) {
    if is_inside(path) {
        remove(&data_dir.join(path));
    }
}

/// Deletes all files of an organisation.
pub fn delete_org(data_dir: &Path, org: OrgId) {
    let folder = data_dir.join(FILES).join(org.to_string());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(path:% = folder.display(), error:% = error; "an organisation's files could not be deleted");
        }
        _ => {}
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(path:% = path.display(), error:% = error; "a file could not be deleted");
        }
        _ => {}
    }
}

/// Whether a stored path stays inside the data folder.
fn is_inside(path: &str) -> bool {
    let parts = || Path::new(path).components();
    parts().next().is_some() && parts().all(|part| matches!(part, Component::Normal(_)))
}

/// What came of opening a file.
#[derive(Debug)]
pub enum Opened {
    /// The file and its size.
    File(File, u64),
    /// There is no such file.
    Missing,
    /// The path leads out of the data folder.
    Outside,
}

/// Opens a file by its stored path.
///
/// # Errors
/// When the disk refuses.
pub fn open(data_dir: &Path, path: &str) -> io::Result<Opened> {
    if !is_inside(path) {
        return Ok(Opened::Outside);
    }
    let missing =
        |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(Opened::Missing) } else { Err(error) };
    // Links may lead anywhere; what they lead to decides.
    let real = match data_dir.join(path).canonicalize() {
        Ok(real) => real,
        Err(error) => return missing(error),
    };
    if !real.starts_with(data_dir.canonicalize()?) {
        return Ok(Opened::Outside);
    }
    let file = match File::open(&real) {
        Ok(file) => file,
        Err(error) => return missing(error),
    };
    let about = file.metadata()?;
    Ok(if about.is_file() { Opened::File(file, about.len()) } else { Opened::Missing })
}

/// Reads the next piece of a file, from `offset`, at most `most` bytes; empty at its end.
///
/// # Errors
/// When the disk refuses.
pub fn read_piece(file: &mut File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = vec![0; most];
    let read = file.read(&mut piece)?;
    piece.truncate(read);
    Ok(piece)
}

/// Deletes uploads that were never finished: those that have not grown for longer than `age`.
///
/// # Errors
/// When the folder cannot be read.
pub fn sweep_staging(data_dir: &Path, age: Duration, now: SystemTime) -> io::Result<usize> {
    let folder = match fs::read_dir(data_dir.join(FILES).join(STAGING)) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut swept = 0;
    for entry in folder {
        let entry = entry?;
        // It may have been placed or dropped at this moment.
        let Ok(changed) = entry.metadata().and_then(|about| about.modified()) else { continue };
        if now.duration_since(changed).is_ok_and(|since| since > age) {
            remove(&entry.path());
            swept += 1;
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_staged_then_placed() {
        let dir = tempfile::tempdir().unwrap();
        let mut staged = Staged::create(dir.path(), ".txt").unwrap();
        staged.write(b"hello ").unwrap();
        staged.write(b"world").unwrap();
        assert_eq!(staged.size(), 11);
        let path = staged.place("org", "bot").unwrap();
        assert!(path.starts_with("files/org/bot/") && path.ends_with(".txt"), "{path}");
        let Opened::File(mut file, size) = open(dir.path(), &path).unwrap() else { panic!("the file is there") };
        assert_eq!((size, read_piece(&mut file, 6, 100).unwrap()), (11, b"world".to_vec()));
        assert_eq!(fs::read_dir(dir.path().join("files/_tmp")).unwrap().count(), 0);
        delete(dir.path(), &path);
        assert!(matches!(open(dir.path(), &path).unwrap(), Opened::Missing));
    }

    #[test]
    fn a_dropped_upload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Staged::create(dir.path(), ".txt").unwrap());
        assert_eq!(fs::read_dir(dir.path().join("files/_tmp")).unwrap().count(), 0);
        drop(Staged::create(dir.path(), ".txt").map(std::mem::forget));
        assert_eq!(sweep_staging(dir.path(), STALE, SystemTime::now()).unwrap(), 0);
        assert_eq!(sweep_staging(dir.path(), STALE, SystemTime::now() + 2 * STALE).unwrap(), 1);
    }

    #[test]
    fn nothing_outside_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("files")).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), data.join("files/link")).unwrap();
        for path in ["../secret", "files/../../secret", "/etc/passwd", "files/link", ""] {
            assert!(matches!(open(&data, path).unwrap(), Opened::Outside), "{path}");
        }
    }
}
