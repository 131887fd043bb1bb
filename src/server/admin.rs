//! `hxa-connect admin`: administration from a shell, through a running hub or directly on its database.
//!
//! With a URL every command goes through the hub's public interface. Without one it goes through the control socket of
//! the hub that runs on this machine ([`listen`]), or, while there is none, to the database directly: for reading at any
//! time, for changes only while no hub runs on it, because a hub relies on what it has cached. Changes use the same
//! functions everywhere. Secrets appear in the output once, and nowhere else.

mod keys;
mod local;
pub(crate) mod orgs;
mod place;
mod remote;
mod setup_key;
mod show;
mod socket;

use serde_json::{Map, Value, json};

pub use setup_key::{Said, run as setup_key};
pub use socket::listen;

use crate::cli::AdminArguments;
use hxa_domain::error::ApiError;
use hxa_domain::ids::resembles_id;
use hxa_domain::text::Fields;
use hxa_hub::config::Flags;
use hxa_store::DbError;

/// Why a command did nothing; the text is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AdminError(String);

impl From<String> for AdminError {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<ApiError> for AdminError {
    fn from(error: ApiError) -> Self {
        Self(format!("{} ({})", error.message(), error.code().token()))
    }
}

impl From<DbError> for AdminError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Refused(refusal) => refusal.into(),
            DbError::Database(error) => Self(format!("database: {error}")),
        }
    }
}

impl From<crate::serve::StartError> for AdminError {
    fn from(error: crate::serve::StartError) -> Self {
        Self(error.to_string())
    }
}

/// Carries out a command; what to print. Must be called inside an actix system.
///
/// # Errors
/// When the hub or the database refuses.
pub async fn run(flags: &Flags, arguments: AdminArguments) -> Result<String, AdminError> {
    let AdminArguments { command, url, json } = arguments;
    let answer = match url {
        Some(url) => remote::execute(flags, &url, &command).await?,
        None => socket::execute(flags, &command).await?,
    };
    Ok(if json { answer.to_string() } else { show::table(&command, &answer) })
}

/// The id of the organisation that somebody means by an id or a name.
fn org_id(orgs: &[(String, String)], given: &str) -> Result<String, AdminError> {
    if let Some((id, _)) = orgs.iter().find(|(id, _)| id == given) {
        return Ok(id.clone());
    }
    let mut named = orgs.iter().filter(|(_, name)| name == given && !resembles_id(given));
    match (named.next(), named.next()) {
        (Some((id, _)), None) => Ok(id.clone()),
        (Some(_), Some(_)) => Err(AdminError(format!("several organisations are called {given:?}; give an id"))),
        (None, _) => Err(AdminError(format!("there is no organisation {given:?}"))),
    }
}

/// The body of a request for a scoped token.
fn token_body(scopes: &[String], label: Option<&String>, expires_in: Option<u32>) -> Fields {
    let mut body = Map::new();
    body.insert("scopes".to_owned(), json!(scopes));
    if let Some(label) = label {
        body.insert("label".to_owned(), json!(label));
    }
    if let Some(seconds) = expires_in {
        body.insert("expires_in".to_owned(), json!(u64::from(seconds) * 1000));
    }
    body
}

/// The body of a request for an invite code.
fn invite_body(max_uses: i32, label: Option<&String>, expires_in: Option<u32>) -> Fields {
    let mut body = Map::new();
    body.insert("max_uses".to_owned(), json!(max_uses));
    if let Some(label) = label {
        body.insert("label".to_owned(), json!(label));
    }
    if let Some(seconds) = expires_in {
        body.insert("expires_in".to_owned(), json!(seconds));
    }
    body
}

/// The body of a request to create a person.
fn person_body(handle: &str, role: &str, name: Option<&str>, slack: Option<&str>) -> Fields {
    let mut body = Map::new();
    body.insert("handle".to_owned(), json!(handle));
    body.insert("role".to_owned(), json!(role));
    for (field, value) in [("display_name", name), ("slack_user_id", slack)] {
        if let Some(value) = value {
            body.insert(field.to_owned(), json!(value));
        }
    }
    body
}

/// What is shown of a person with its new login link: also what it logs in with later, by its handle and a password.
fn link_view(mut person: Value, org: impl Into<Value>, hub_url: &str, (path, expires_at): (&str, i64)) -> Value {
    if let Some(fields) = person.as_object_mut() {
        fields.insert("org_id".to_owned(), org.into());
        fields.insert("login_url".to_owned(), json!(format!("{}{path}", hub_url.trim_end_matches('/'))));
        fields.insert("login_path".to_owned(), json!(path));
        fields.insert("login_expires_at".to_owned(), json!(expires_at));
    }
    person
}

/// What is answered where there is nothing to say.
fn done() -> Value {
    json!({ "ok": true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_go_by_id_or_by_a_name_of_their_own() {
        let orgs = [("1", "a"), ("2", "b"), ("3", "b"), ("4", "1")].map(|(id, name)| (id.to_owned(), name.to_owned()));
        assert_eq!(org_id(&orgs, "1").unwrap(), "1");
        assert_eq!(org_id(&orgs, "a").unwrap(), "1");
        assert!(org_id(&orgs, "b").unwrap_err().to_string().contains("several"));
        assert!(org_id(&orgs, "c").unwrap_err().to_string().contains("no organisation"));
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        let named_so = [("1".to_owned(), id.to_owned())];
        assert!(org_id(&named_so, id).is_err(), "an id is no name");
    }
}
