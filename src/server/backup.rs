//! Backup and restore of a hub: `hxa-connect backup` and `hxa-connect restore`.
//!
//! A backup is a folder: the database, the uploaded files, and a manifest that names them all with size and SHA-256. It
//! is taken while the hub runs; the database first and the files after it, because a file without a row is harmless and
//! a row without its file is not. The manifest is written last, so a folder without one is not a backup. A restore
//! validates everything: it extracts only what the manifest lists, follows no links, checks every byte while it copies
//! it, compares the schema with the one that this hub's migrations create, and counts the tables afterwards.

mod folder;
mod manifest;

use std::fs;
use std::path::{Path, PathBuf};

use crate::serve::store_config;
use folder::failed;
use hxa_hub::config::Config;
use hxa_store::database_lock::DatabaseLock;
use hxa_store::stored_path::FILES;
use hxa_store::{self, Backend, Catalogue, StoreConfig, copy, migrate, private};
use manifest::Manifest;

/// What was done, for the operator.
pub type Report = String;

/// Saves database and files into `to`, a folder that is made or empty.
///
/// # Errors
/// With the reason; what was written until then has no manifest and is no backup.
pub fn backup(config: &Config, to: &Path) -> Result<Report, String> {
    let StoreConfig { backend, catalogue, .. } = store_config(config);
    folder::make_empty(to)?;
    let begun_at = hxa_store::clock::now_ms();
    let saved = copy::save(&catalogue, &backend, to)?;
    let mut parts = vec![folder::describe(to, copy::file_name(&backend))?];
    parts.extend(folder::copy_tree(&config.database.data_dir.join(FILES), &to.join(FILES), FILES)?);
    let missing_files = missing(&saved.uploads, &parts);
    let manifest = Manifest {
        format: manifest::FORMAT,
        made_by: manifest::made_by(),
        begun_at,
        finished_at: hxa_store::clock::now_ms(),
        database: backend.name().to_owned(),
        schema: saved.schema,
        counts: saved.counts,
        parts,
        missing_files,
    };
    manifest.write(to)?;
    Ok(format!("saved to {}\n{}", to.display(), manifest.summary()))
}

/// Uploads that the database names and the folder does not have.
fn missing(uploads: &[String], parts: &[folder::Part]) -> Vec<String> {
    let have: std::collections::HashSet<&str> = parts.iter().map(|part| part.path.as_str()).collect();
    uploads.iter().filter(|path| !have.contains(path.as_str())).cloned().collect()
}

/// Puts the backup in `from` in place of what is configured; with `force` also where something is already, which is
/// then kept beside it (SQLite and files) or replaced (PostgreSQL).
///
/// # Errors
/// With the reason; checks that fail have changed nothing.
pub fn restore(config: &Config, from: &Path, force: bool) -> Result<Report, String> {
    let StoreConfig { backend, catalogue, .. } = store_config(config);
    let manifest = Manifest::read(from)?;
    check(&manifest, from, &catalogue, &backend)?;
    let data_dir = &config.database.data_dir;
    private::create_folders(data_dir).map_err(failed("cannot make", data_dir))?;
    let alone = DatabaseLock::exclusive(&backend)?;
    // An operator may keep the files elsewhere and have a link here.
    let files = data_dir.join(FILES);
    let files = files.canonicalize().unwrap_or(files);
    let have_files = folder::has_entries(&files)?;
    if have_files && !force {
        return Err(format!("{} has files already; --force puts them aside", files.display()));
    }
    copy::refuse_unless_empty(&catalogue, &backend, force)?;
    let database = Scratch::new(data_dir.join(format!("{}.restoring", copy::file_name(&backend))))?;
    folder::take(from, manifest.database_part(&backend)?, &database.0)?;
    copy::verify(&catalogue, &backend, &database.0, &manifest.schema)?;
    let staged = stage_files(&manifest, from, &files)?;
    alone.check()?;
    copy::load(&catalogue, &backend, &database.0, &manifest.schema, &manifest.counts)?;
    hxa_store::disturb(&backend)?;
    let mut report = format!("restored from {}\n{}", from.display(), manifest.summary());
    if have_files {
        let aside = folder::move_aside(&files)?;
        report.push_str(&format!("what was in {} is now in {}\n", files.display(), aside.display()));
    }
    if let Some(staged) = staged {
        if files.exists() {
            fs::remove_dir_all(&files).map_err(failed("cannot replace", &files))?;
        }
        fs::rename(&staged.0, &files).map_err(failed("cannot make", &files))?;
    }
    Ok(report)
}

/// Everything that can be known before anything is touched.
fn check(manifest: &Manifest, from: &Path, catalogue: &Catalogue, backend: &Backend) -> Result<(), String> {
    if manifest.database != backend.name() {
        return Err(format!(
            "the backup is of a {} database, and the configuration names a {} database",
            manifest.database,
            backend.name()
        ));
    }
    let known = migrate::known(catalogue, backend)?;
    if let Some(version) = manifest.schema.iter().find(|version| !known.contains(version)) {
        return Err(format!(
            "the backup has schema step {version}, which this hub does not know: it was made by a newer hub"
        ));
    }
    manifest.check_parts(from, copy::file_name(backend))?;
    manifest.database_part(backend).map(|_| ())
}

/// What is made on the way and gone in the end, unless it has got another name.
struct Scratch(PathBuf);

impl Scratch {
    fn new(path: PathBuf) -> Result<Self, String> {
        let scratch = Self(path);
        scratch.remove().map_err(failed("cannot remove", &scratch.0))?;
        Ok(scratch)
    }

    fn remove(&self) -> std::io::Result<()> {
        match fs::symlink_metadata(&self.0) {
            Ok(about) if about.is_dir() => fs::remove_dir_all(&self.0),
            Ok(_) => fs::remove_file(&self.0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!(path:% = self.0.display(), error:% = error; "cannot remove a temporary copy of the restore");
        }
    }
}

/// Copies the files that the manifest lists beside their place, to be renamed when the database is in.
fn stage_files(manifest: &Manifest, from: &Path, files: &Path) -> Result<Option<Scratch>, String> {
    let mut name = files.as_os_str().to_owned();
    name.push(".restoring");
    let staged = Scratch::new(PathBuf::from(name))?;
    let mut is_empty = true;
    for part in &manifest.parts {
        let Some(within) = part.path.strip_prefix("files/") else { continue };
        folder::take(from, part, &staged.0.join(within))?;
        is_empty = false;
    }
    Ok((!is_empty).then_some(staged))
}
