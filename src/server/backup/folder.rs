//! Files and folders of a backup: copied with their hash, and synced to disk before anything depends on them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use hxa_domain::secrets;
use hxa_store::stored_path::{STAGING, StoredPath};
use hxa_store::{copy, private};
use serde::{Deserialize, Serialize};

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its path within the backup, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

/// Turns an error of the disk into a sentence with the path.
pub fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(io::Error) -> String + 'a {
    move |error| format!("{what} {}: {error}", path.display())
}

/// Makes a folder, or accepts one that is empty.
pub fn make_empty(path: &Path) -> Result<(), String> {
    if has_entries(path)? {
        return Err(format!("{} is not empty; name a new folder for each backup", path.display()));
    }
    private::create_folders(path).map_err(failed("cannot make", path))
}

/// Whether there is anything in a folder; one that does not exist has nothing.
pub fn has_entries(path: &Path) -> Result<bool, String> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("cannot read", path)(error)),
    }
}

/// Renames a folder so that another can take its place; its new path.
pub fn move_aside(path: &Path) -> Result<PathBuf, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.before-restore-{}", hxa_store::clock::now_ms()));
    fs::rename(path, &aside).map_err(failed("cannot put aside", path))?;
    Ok(aside)
}

/// What a manifest says of a file.
pub fn describe(folder: &Path, path: &str) -> Result<Part, String> {
    let place = folder.join(path);
    let mut file = open(folder, path)?;
    let (bytes, sha256) = copy_and_hash(&mut file, &mut io::sink()).map_err(failed("cannot read", &place))?;
    Ok(Part { path: path.to_owned(), bytes, sha256 })
}

/// Opens a file of a backup, which no link may lead out of.
fn open(folder: &Path, path: &str) -> Result<File, String> {
    let mut place = folder.to_owned();
    for part in path.split('/') {
        place.push(part);
        let about = fs::symlink_metadata(&place).map_err(failed("cannot read", &place))?;
        if !about.is_dir() && !about.is_file() {
            return Err(format!("{} is a link or no file; a backup has none such", place.display()));
        }
    }
    File::open(&place).map_err(failed("cannot read", &place))
}

/// Copies a file of a backup to a place where nothing is, and compares it with the manifest on the way.
pub fn take(folder: &Path, part: &Part, to: &Path) -> Result<(), String> {
    let mut source = open(folder, &part.path)?;
    let above = to.parent().unwrap_or(to);
    private::create_folders(above).map_err(failed("cannot make", above))?;
    let (bytes, sha256) = copy_to(&mut source, to).map_err(failed("cannot copy to", to))?;
    if (bytes, sha256.as_str()) != (part.bytes, part.sha256.as_str()) {
        return Err(format!("{} is damaged: it is not what the manifest says", folder.join(&part.path).display()));
    }
    copy::sync(above)
}

/// Copies the uploaded files of a folder; `name` stands before the paths of the parts. A folder that does not exist
/// has nothing, a file that vanishes meanwhile is left out, and so is what is not an upload in its place.
pub fn copy_tree(from: &Path, to: &Path, name: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut folders = vec![(from.to_owned(), to.to_owned(), name.to_owned())];
    while let Some((from, to, name)) = folders.pop() {
        let entries = match fs::read_dir(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed("cannot read", &from))?,
        };
        private::create_folders(&to).map_err(failed("cannot make", &to))?;
        for entry in entries {
            let entry = entry.map_err(failed("cannot read", &from))?;
            let kind = entry.file_type().map_err(failed("cannot read", &from))?;
            let own = entry.file_name();
            let (from, to, name) = (entry.path(), to.join(&own), format!("{name}/{}", own.to_string_lossy()));
            if kind.is_dir() && own != STAGING {
                folders.push((from, to, name));
            } else if kind.is_file() && StoredPath::parse(&name).is_some() {
                parts.extend(copy_file(&from, &to, name)?);
            }
        }
        copy::sync(&to)?;
    }
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(parts)
}

fn copy_file(from: &Path, to: &Path, path: String) -> Result<Option<Part>, String> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        source => source.map_err(failed("cannot read", from))?,
    };
    let (bytes, sha256) = copy_to(&mut source, to).map_err(failed("cannot copy to", to))?;
    Ok(Some(Part { path, bytes, sha256 }))
}

fn copy_to(source: &mut File, to: &Path) -> io::Result<(u64, String)> {
    let mut target = private::create_new(to)?;
    let outcome = copy_and_hash(source, &mut target)?;
    target.sync_all()?;
    Ok(outcome)
}

/// Copies to the end; how many bytes, and their hash.
fn copy_and_hash(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let count = from.read(&mut buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok((bytes, secrets::hex(&hash.finalize())));
        }
        hash.update(piece);
        to.write_all(piece)?;
        bytes = bytes.saturating_add(u64::try_from(count).unwrap_or_default());
    }
}
