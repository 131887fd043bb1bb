//! The admin secret that the hub generates at its first start.
//!
//! It is stored in a file of the data folder that only the hub's user may read, and shown once, when it is created.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Config, Secret};
use hxa_domain::secrets;
use hxa_store::private;

/// The file, in the data folder.
const FILE: &str = "admin-secret";
/// As many bytes as `openssl rand -hex 32` gives.
const BYTES: usize = 32;

/// Where the secret is kept.
#[must_use]
pub fn place(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The secret that was made before, if one was.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn kept(data_dir: &Path) -> Result<Option<Secret>, String> {
    let path = place(data_dir);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(format!("{} is empty", path.display())),
        Ok(text) => Ok(Some(Secret::new(text.trim()))),
        // A data folder that is no folder is refused for that.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{}: cannot be read: {error}{}", path.display(), private::owner(&path))),
    }
}

/// Makes the secret of a hub that has none and may make one; what its operator is to be shown, once.
///
/// # Errors
/// When the data folder cannot be written.
pub fn make(config: &mut Config) -> Result<Option<String>, String> {
    if config.auth.admin_secret.is_some() || !config.auth.make_admin_secret {
        return Ok(None);
    }
    let (data_dir, secret) = (&config.database.data_dir, secrets::hex_token("", BYTES * 2));
    let path = place(data_dir);
    let failed = |error: std::io::Error| format!("cannot keep the admin secret in {}: {error}", path.display());
    private::create_folders(data_dir).map_err(failed)?;
    match private::write_new(&path, &format!("{secret}\n")) {
        // Another start was faster, and has shown it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            config.auth.admin_secret = kept(data_dir)?;
            return Ok(None);
        }
        written => written.map_err(failed)?,
    }
    let shown = format!(
        "The hub has made its admin secret. It is shown this once and kept in {}:\n\n    {secret}\n",
        path.display()
    );
    config.auth.admin_secret = Some(Secret::new(secret));
    Ok(Some(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let fresh = || {
            let mut config = Config::default();
            config.database.data_dir = folder.path().join("data");
            config.auth.make_admin_secret = true;
            config
        };
        let mut first = fresh();
        let shown = make(&mut first).unwrap().unwrap();
        let secret = first.auth.admin_secret.unwrap();
        assert!(secret.expose().len() >= 32 && shown.contains(secret.expose()));
        assert_eq!(place(&folder.path().join("data")).metadata().unwrap().mode() & 0o777, 0o600);
        let mut second = fresh();
        assert_eq!(make(&mut second).unwrap(), None);
        assert!(second.auth.admin_secret.unwrap().matches(secret.expose()));
        let mut unwilling = Config::default();
        assert_eq!(make(&mut unwilling).unwrap(), None);
        assert!(unwilling.auth.admin_secret.is_none());
    }
}
