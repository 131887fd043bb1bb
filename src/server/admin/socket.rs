//! Commands through the control socket of a running hub, seen from both of its ends.
//!
//! The hub carries out what arrives there as a command on its database would, so every command works while the hub runs
//! and while it does not, and the hub knows of every change. A question names the database by the number of its lease,
//! so that a hub on another database, whose data folder is the same, is not taken for the one that is meant.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::Place;
use super::{AdminError, local};
use crate::cli::AdminCommand;
use crate::control::{self, ControlSocket};
use crate::serve::store_config;
use hxa_hub::config::{Config, Flags};
use hxa_hub::hub::Hub;
use hxa_store::lease;

/// How long a command waits for a hub that holds the database and does not listen yet, or any more: both take a moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// What goes to the hub.
#[derive(Serialize, Deserialize)]
struct Question {
    /// The number of the newest lease of the database that is meant; `None` on SQLite.
    lease: Option<i64>,
    command: AdminCommand,
}

/// What comes back.
#[derive(Serialize, Deserialize)]
enum Answer {
    /// What the command found or made.
    Done(Value),
    /// Why it did nothing.
    Refused(String),
    /// The hub runs on another database.
    Elsewhere,
}

/// Lets commands reach a running hub. Must be called inside an actix system.
///
/// # Errors
/// When there can be no socket in the data folder.
pub fn listen(hub: &Hub) -> io::Result<ControlSocket> {
    let owned = hub.clone();
    ControlSocket::open(&hub.config().database.data_dir, move |question| answer(owned.clone(), question))
}

async fn answer(hub: Hub, question: Vec<u8>) -> Vec<u8> {
    let answer = match serde_json::from_slice::<Question>(&question) {
        Ok(question) if question.lease != hub.store().lease_number() => Answer::Elsewhere,
        Ok(question) => match local::execute(&Place::Hub(&hub), &question.command).await {
            Ok(found) => Answer::Done(found),
            Err(refusal) => Answer::Refused(refusal.to_string()),
        },
        Err(error) => Answer::Refused(format!(
            "the hub that runs is version {} and does not know this command; restart it ({error})",
            env!("CARGO_PKG_VERSION")
        )),
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// Carries out a command on the hub that runs here, or on the database while there is none.
///
/// # Errors
/// When the hub or the database refuses.
pub async fn execute(flags: &Flags, command: &AdminCommand) -> Result<Value, AdminError> {
    let config = Config::load(flags).map_err(|error| AdminError(error.to_string()))?.config;
    let since = Instant::now();
    loop {
        if let Some(answer) = ask_hub(&config, command).await? {
            return Ok(answer);
        }
        let place = Place::database(&config);
        let outcome = local::execute(&place, command).await;
        if !place.was_in_use() || since.elapsed() >= PATIENCE {
            return outcome;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The answer of the hub that runs on the configured database; `None` when none can be reached.
async fn ask_hub(config: &Config, command: &AdminCommand) -> Result<Option<Value>, AdminError> {
    let folder = &config.database.data_dir;
    if !control::is_there(folder) {
        return Ok(None);
    }
    let backend = store_config(config).backend;
    let lease = actix_web::web::block(move || lease::newest_number(&backend)).await;
    // A database that cannot be asked is named where the command uses it.
    let Ok(Ok(lease)) = lease else { return Ok(None) };
    let question = serde_json::to_vec(&Question { lease, command: command.clone() });
    let question = question.map_err(|error| AdminError(format!("the command cannot be sent to the hub: {error}")))?;
    let answer = control::ask(folder, &question).await.map_err(|error| {
        AdminError(format!("the hub went away before it answered; look whether anything has changed ({error})"))
    })?;
    match answer.map(|answer| serde_json::from_slice(&answer)) {
        None | Some(Ok(Answer::Elsewhere)) => Ok(None),
        Some(Ok(Answer::Done(found))) => Ok(Some(found)),
        Some(Ok(Answer::Refused(refusal))) => Err(AdminError(refusal)),
        Some(Err(error)) => Err(AdminError(format!("the hub that runs is of another version; restart it ({error})"))),
    }
}
