//! Private files and folders: everything the hub creates is accessible only to its own user.
//!
//! The modes are set when something is created and not after it, and do not depend on the umask, which the program
//! narrows too. Existing files keep the mode their operator gave them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Only the owner reads and writes.
const FILE: u32 = 0o600;
/// Only the owner enters.
const FOLDER: u32 = 0o700;

/// Makes a folder and those above it, as far as they are missing.
///
/// # Errors
/// When the disk refuses.
pub fn create_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Makes a file that does not exist, for writing.
///
/// # Errors
/// When it exists, or the disk refuses.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)
}

/// Opens a file for adding to it; makes it where it is missing.
///
/// # Errors
/// When the disk refuses.
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(FILE).open(path)
}

/// Makes an empty file where there is none, for a program that would make it readable for all.
///
/// # Errors
/// When the disk refuses.
pub fn ensure(path: &Path) -> io::Result<()> {
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(|_| ()),
    }
}

/// Writes a file that does not exist, for good.
///
/// # Errors
/// When it exists, or the disk refuses.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let mut file = create_new(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Copies a file to one that does not exist, on disk for good.
///
/// # Errors
/// When the disk refuses.
pub fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, create_new(to)?);
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Whose a file is that this process may not open, as the end of a sentence; empty when it is its own.
#[must_use]
pub fn owner(path: &Path) -> String {
    let (Ok(about), Ok(own)) = (path.metadata(), Path::new("/proc/self").metadata()) else { return String::new() };
    let mode = about.mode() & 0o7777;
    if about.uid() == own.uid() {
        format!(" (its mode is {mode:04o})")
    } else {
        format!(" (it belongs to user {} with mode {mode:04o}, and the hub runs as user {})", about.uid(), own.uid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        let deep = folder.path().join("a/b");
        create_folders(&deep).unwrap();
        assert_eq!((mode(&folder.path().join("a")), mode(&deep)), (0o700, 0o700));
        drop(append(&deep.join("x")).unwrap());
        ensure(&deep.join("y")).unwrap();
        ensure(&deep.join("y")).unwrap();
        write_new(&deep.join("z"), "text").unwrap();
        assert!(create_new(&deep.join("z")).is_err());
        for name in ["x", "y", "z"] {
            assert_eq!(mode(&deep.join(name)), 0o600, "{name}");
        }
    }
}
