//! The people of an organisation, for its admins, and a person's own password.

use reqwest::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::login::{Opened, Session};
use crate::page::Page;
use crate::threads::Change;
use crate::words::PersonRole;

/// A person to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPerson {
    /// Its handle, which is unique in its organisation in any case and never changes.
    pub handle: String,
    /// Its name in lists; the handle if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its role.
    pub role: PersonRole,
    /// Its user in Slack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_user_id: Option<String>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Person {
    /// Its id.
    pub id: String,
    /// Its handle.
    pub handle: String,
    /// Its name in lists.
    pub display_name: String,
    /// Its role.
    pub role: PersonRole,
    /// Its user in Slack.
    pub slack_user_id: Option<String>,
    /// Whether it has set a password.
    pub has_password: bool,
    /// Whether it is kept out.
    pub is_disabled: bool,
    /// The time of its creation, ms.
    pub created_at: i64,
    /// The time of its last change, ms.
    pub updated_at: i64,
}

/// A change of a person; a field that is `None` is left unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonUpdate {
    /// Its name in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<PersonRole>,
    /// Its user in Slack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_user_id: Change<String>,
    /// Whether it is kept out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_disabled: Option<bool>,
}

/// Which people are listed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PersonQuery {
    /// Only the one with this handle, in any case.
    pub handle: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 200; 50 if not given.
    pub limit: Option<u32>,
}

/// A login link, which lets a person in once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct LoginLink {
    /// Its code, which is not shown again.
    pub code: String,
    /// The path of the page that it opens.
    pub path: String,
    /// The time at which it expires, ms.
    pub expires_at: i64,
}

#[derive(Serialize)]
struct NewPassword<'a> {
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_password: Option<&'a str>,
}

impl Client {
    /// A page of the organisation's people, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn people(&self, query: &PersonQuery) -> Result<Page<Person>> {
        self.get(&["api", "org", "people"], query).await
    }

    /// A person by its id.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn person(&self, id: &str) -> Result<Person> {
        self.get(&["api", "org", "people", id], &()).await
    }

    /// Creates a person.
    ///
    /// # Errors
    /// `CONFLICT` if the handle or the user in Slack belongs to another person, `LIMIT_REACHED`, and as every call.
    pub async fn create_person(&self, person: &NewPerson) -> Result<Person> {
        self.post(&["api", "org", "people"], person).await
    }

    /// Changes a person. If its role changes, or it is disabled, its sessions end.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT`, `SELF_DEMOTION`, and as every call.
    pub async fn update_person(&self, id: &str, update: &PersonUpdate) -> Result<Person> {
        self.patch(&["api", "org", "people", id], update).await
    }

    /// Deletes a person.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SELF_DEMOTION`, and as every call.
    pub async fn delete_person(&self, id: &str) -> Result<()> {
        self.delete(&["api", "org", "people", id]).await
    }

    /// Creates a login link for a person; the link of before ends, and its password too if `reset_password` is true.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as every call.
    pub async fn create_login_link(&self, id: &str, reset_password: bool) -> Result<LoginLink> {
        self.post(&["api", "org", "people", id, "link"], &json!({ "reset_password": reset_password })).await
    }

    /// Sets the password of the person whose session this is; `current` is needed if there is one. All sessions of the person
    /// end, also this one; the returned client uses the new session.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` if `current` is wrong, and as every call.
    pub async fn set_password(&self, password: &str, current: Option<&str>) -> Result<(Self, Session)> {
        let body = NewPassword { password, current_password: current };
        let answer = self.post_answer(&["api", "auth", "person", "password"], &body).await?;
        let cookie = answer.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.ok_or_else(|| Error::Protocol("the answer set no cookie".to_owned()))?;
        Ok((self.with_cookie(cookie)?, answer.json::<Opened>()?.session))
    }
}
