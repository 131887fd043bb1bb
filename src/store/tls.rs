//! TLS to PostgreSQL: the `sslmode` of the database URL, implemented with rustls.
//!
//! The client library (libpq) is compiled in without OpenSSL, so it cannot encrypt. For a URL that requests TLS each
//! connection gets its own relay: a thread that connects to the server, does the handshake and the checks, and then
//! copies between it and a unix socket in a private folder, to which libpq connects without TLS. The invariants: no
//! plain connection if the URL requests TLS, no other process on the socket, no password in any text, and a relay never
//! outlives its connection. `settings` parses the URL, `trust` verifies certificates, `relay` copies.

mod login;
mod parameters;
mod relay;
mod settings;
mod trust;

use diesel::prelude::*;

pub use parameters::understood;
use settings::{Mode, Plan, TlsSettings};

/// Opens a connection as the URL asks for it.
///
/// # Errors
/// When the URL asks for what cannot be done, or the server is away, refuses or is not to be trusted.
pub fn establish(url: &str) -> ConnectionResult<PgConnection> {
    let url = understood(url).map_err(ConnectionError::BadConnection)?;
    match settings::plan(&url).map_err(ConnectionError::BadConnection)? {
        Plan::Plain => PgConnection::establish(&url),
        Plan::Tls(settings) if settings.mode == Mode::Allow => {
            let plain = PgConnection::establish(&settings.without_tls());
            if plain.as_ref().is_err_and(insists_on_tls) { through_relay(&settings) } else { plain }
        }
        Plan::Tls(settings) => through_relay(&settings),
    }
}

/// What is wrong with the TLS part of a URL, judged without the network; the text has no secret.
///
/// # Errors
/// With a sentence for the operator.
pub fn check(url: &str) -> Result<(), String> {
    settings::plan(&understood(url)?).map(|_| ())
}

/// A URL without its password, and the password, decoded; for programs that take it from the environment.
#[must_use]
pub fn without_password(url: &str) -> (String, Option<String>) {
    // What cannot be understood has been refused before.
    settings::without_password(&understood(url).unwrap_or_else(|_| url.to_owned()))
}

/// The server has no rule for unencrypted connections of this user.
fn insists_on_tls(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::BadConnection(text) if text.contains("no pg_hba.conf entry"))
}

fn through_relay(settings: &TlsSettings) -> ConnectionResult<PgConnection> {
    let trust = trust::client_config(settings).map_err(ConnectionError::BadConnection)?;
    match relay::start(settings, trust).map_err(ConnectionError::BadConnection)? {
        // The folder of the socket is removed when this scope ends; the connection needs it no longer.
        Some(door) => PgConnection::establish(&settings.through(door.folder())).map_err(|error| match error {
            ConnectionError::BadConnection(text) => {
                ConnectionError::BadConnection(door.name_server(&text, &settings.server.to_string()))
            }
            other => other,
        }),
        None => PgConnection::establish(&settings.without_tls()),
    }
}
