//! `hxa-connect demo`: a hub in a temporary folder and a conversation of three bots on it, printed as it happens.
//!
//! The hub is started by the same function as a served one, and the bots use only its public REST and WebSocket
//! interface. Every step checks that its peers received what they should; the first failed check ends the demo with a
//! sentence that explains it. In any case the hub is stopped and the folder removed.

mod bot;
mod output;
mod steps;

use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use crate::{RunningHub, StopKind};
use hxa_domain::secrets;
use hxa_hub::config::Config;
use output::Output;

/// Why the demo failed, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("the demo failed: {0}")]
pub struct DemoError(String);

impl DemoError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<std::io::Error> for DemoError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<hxa_client::Error> for DemoError {
    fn from(error: hxa_client::Error) -> Self {
        Self(error.to_string())
    }
}

/// Runs the demo; with `keep` the hub stays up until Ctrl-C once the conversation is over. Must be called inside an
/// actix system.
///
/// # Errors
/// When the hub does not start or a step does not happen.
pub async fn run(keep: bool) -> Result<(), DemoError> {
    let folder = Folder::create()?;
    let admin_secret = secrets::hex_token("", 48);
    let hub =
        crate::start(config(&folder.0, &admin_secret)).await.map_err(|error| DemoError::new(error.to_string()))?;
    let outcome = tokio::select! {
        outcome = show(&hub, &folder.0, &admin_secret, keep) => outcome,
        stopped = stop_signal() => stopped.and_then(|()| if keep { Ok(()) } else { Err(DemoError::new("interrupted")) }),
    };
    hub.stop(StopKind::Shutdown).await;
    let path = folder.0.clone();
    drop(folder);
    outcome?;
    Output.line(&format!("\nThe hub has stopped and {} is gone.", path.display()))?;
    Ok(())
}

async fn show(hub: &RunningHub, folder: &Path, admin_secret: &str, keep: bool) -> Result<(), DemoError> {
    let url = hub.url();
    Output.line(&format!("HXA Connect demo\nA hub runs at {url} with SQLite in {}.", folder.display()))?;
    let bots = steps::run(&url, admin_secret).await?;
    if !keep {
        return Ok(());
    }
    Output.line(&format!("\nThe hub stays up until Ctrl-C.\n  url           {url}\n  admin secret  {admin_secret}"))?;
    Output.line(&format!("  org_id        {}\n  org_secret    {}", bots.org_id, bots.org_secret))?;
    for bot in [&bots.ada, &bots.bob, &bots.cleo] {
        Output.line(&format!("  {:<12}  {}", bot.name, bot.token))?;
    }
    Output.line(&format!("\nTry: curl -s {url}/api/me -H 'Authorization: Bearer {}'", bots.ada.token))?;
    hub.finished().await;
    Err(DemoError::new("the hub ended by itself"))
}

/// Local only, any free port, a secret that nobody else knows.
fn config(folder: &Path, admin_secret: &str) -> Config {
    let mut config = Config::default();
    config.server.host = "127.0.0.1".to_owned();
    config.server.port = 0;
    config.server.drain_seconds = 2;
    config.auth.admin_secret = Some(admin_secret.into());
    config.database.data_dir = folder.to_owned();
    config
}

/// Resolves at Ctrl-C or when the process is asked to end.
async fn stop_signal() -> Result<(), DemoError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A folder that is removed with its value.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(secrets::hex_token("hxa-connect-demo-", 16));
        std::fs::create_dir(&path)
            .map_err(|error| DemoError::new(format!("cannot make {}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::error!(folder:% = self.0.display(), error:% = error; "cannot remove the demo's folder");
        }
    }
}
