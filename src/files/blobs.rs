//! The bytes of uploaded files, on disk.
//!
//! An upload is written to a staging folder and renamed to its final path when it is complete and synced, so a file at
//! a final path is complete. Everything here blocks and runs on a thread for blocking work. A stored path has one form,
//! [`StoredPath`]; a path of another form is never opened, written or deleted, wherever the row comes from. The folders
//! of files and of staging may be symbolic links, or be on separate disks.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use hxa_domain::ids::OrgId;
use hxa_store::private;
use hxa_store::stored_path::{FILES, STAGING, StoredPath};

/// An upload that has been staged for longer was aborted by its client.
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
        private::create_folders(&folder)?;
        let name = format!("{}{extension}", Uuid::new_v4());
        let path = folder.join(&name);
        let file = private::create_new(&path)?;
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
        let path = StoredPath::of(org, bot, &self.name);
        let target = self.data_dir.join(&path);
        let folder = target.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
        private::create_folders(folder)?;
        move_file(&self.path, &target)?;
        File::open(folder)?.sync_all()?;
        self.path = PathBuf::new();
        Ok(path)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
    }
}

/// Gives a file another place, also on another disk; there it is whole before it has its name.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        moved => return moved,
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let copied = private::copy_new(from, &part).and_then(|()| fs::rename(&part, to));
    if copied.is_err() {
        remove(&part);
    }
    copied?;
    fs::remove_file(from)
}

/// Deletes a file that has a place.
pub fn delete(data_dir: &Path, path: &str) {
    if StoredPath::parse(path).is_some() {
        remove(&data_dir.join(path));
    } else {
        log::warn!("not deleting a file: its path is not that of an uploaded file");
    }
}

/// Deletes all files of an organisation.
pub fn delete_org(data_dir: &Path, org: OrgId) {
    let folder = data_dir.join(FILES).join(org.to_string());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(path:% = folder.display(), error:% = error; "cannot delete an organisation's files");
        }
        _ => {}
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(path:% = path.display(), error:% = error; "cannot delete a file");
        }
        _ => {}
    }
}

/// What came of opening a file.
#[derive(Debug)]
pub enum Opened {
    /// The file and its size.
    File(File, u64),
    /// There is no such file.
    Missing,
    /// The path is not that of a file of this organisation, or leads out of the folder of files.
    Outside,
}

/// Opens a file of an organisation by its stored path.
///
/// # Errors
/// When the disk refuses.
pub fn open(data_dir: &Path, org: &str, path: &str) -> io::Result<Opened> {
    if !StoredPath::parse(path).is_some_and(|path| path.is_of(org)) {
        return Ok(Opened::Outside);
    }
    let missing =
        |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(Opened::Missing) } else { Err(error) };
    // The folder itself may be a link; within it, what one leads to decides.
    let real = match data_dir.join(path).canonicalize() {
        Ok(real) => real,
        Err(error) => return missing(error),
    };
    if !real.starts_with(data_dir.join(FILES).canonicalize()?) {
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

    const ORG: &str = "01890000-0000-7000-8000-000000000001";
    const BOT: &str = "01890000-0000-7000-8000-000000000002";
    const NAME: &str = "01890000-0000-4000-8000-000000000003";

    #[test]
    fn an_upload_is_staged_then_placed() {
        let dir = tempfile::tempdir().unwrap();
        let mut staged = Staged::create(dir.path(), ".txt").unwrap();
        staged.write(b"hello ").unwrap();
        staged.write(b"world").unwrap();
        assert_eq!(staged.size(), 11);
        let path = staged.place(ORG, BOT).unwrap();
        assert!(path.starts_with(&format!("files/{ORG}/{BOT}/")) && path.ends_with(".txt"), "{path}");
        assert!(StoredPath::parse(&path).is_some_and(|path| path.is_of(ORG)), "{path}");
        let Opened::File(mut file, size) = open(dir.path(), ORG, &path).unwrap() else { panic!("the file is there") };
        assert_eq!((size, read_piece(&mut file, 6, 100).unwrap()), (11, b"world".to_vec()));
        assert_eq!(fs::read_dir(dir.path().join("files/_tmp")).unwrap().count(), 0);
        assert!(matches!(open(dir.path(), BOT, &path).unwrap(), Opened::Outside), "another organisation's");
        delete(dir.path(), &path);
        assert!(matches!(open(dir.path(), ORG, &path).unwrap(), Opened::Missing));
    }

    #[test]
    fn a_dropped_upload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Staged::create(dir.path(), ".txt").unwrap());
        assert_eq!(fs::read_dir(dir.path().join("files/_tmp")).unwrap().count(), 0);
        drop(Staged::create(dir.path(), ".txt").map(std::mem::forget));
        assert_eq!(sweep_staging(dir.path(), STALE, hxa_store::clock::now()).unwrap(), 0);
        assert_eq!(sweep_staging(dir.path(), STALE, hxa_store::clock::now() + 2 * STALE).unwrap(), 1);
    }

    #[test]
    fn nothing_outside_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let folder = format!("files/{ORG}/{BOT}/01");
        fs::create_dir_all(data.join(&folder)).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        fs::write(data.join("hxa-connect.db-wal"), "s").unwrap();
        let link = format!("{folder}/{NAME}.txt");
        std::os::unix::fs::symlink(dir.path().join("secret"), data.join(&link)).unwrap();
        for path in ["../secret", "files/../../secret", "/etc/passwd", "hxa-connect.db-wal", &link, ""] {
            assert!(matches!(open(&data, ORG, path).unwrap(), Opened::Outside), "{path}");
        }
        delete(&data, "hxa-connect.db-wal");
        assert!(data.join("hxa-connect.db-wal").exists());
    }

    #[test]
    fn the_folder_of_files_may_be_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (data, elsewhere) = (dir.path().join("data"), dir.path().join("elsewhere"));
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, data.join(FILES)).unwrap();
        let path = Staged::create(&data, ".txt").unwrap().place(ORG, BOT).unwrap();
        assert!(matches!(open(&data, ORG, &path).unwrap(), Opened::File(_, 0)));
    }
}
