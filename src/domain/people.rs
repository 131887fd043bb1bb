//! The people of an organisation: what they are called, what they may do, and how they are created and changed.
//!
//! A person is found by a handle, which is unique in its organisation whatever the case of its letters and never changes:
//! others address it. A role says what a person may do; a person that is disabled may do nothing.

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::fold::folded;
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::text::{Fields, flag, limit_bytes, limit_units, optional, refuse_nul, required, wrong_type};

stored_enum! {
    /// What a person may do in its organisation.
    PersonRole {
        Admin = "admin",
        Coordinator = "coordinator",
        Responder = "responder",
        Auditor = "auditor",
        Viewer = "viewer",
    }
}

impl PersonRole {
    /// Whether it has the rights of the organisation's secret.
    #[must_use]
    pub const fn is_admin(self) -> bool {
        matches!(self, Self::Admin)
    }

    /// Whether it sees the organisation's bots and threads.
    #[must_use]
    pub const fn may_read(self) -> bool {
        !matches!(self, Self::Responder)
    }

    /// Whether it sees who the organisation's people are.
    #[must_use]
    pub const fn may_see_people(self) -> bool {
        matches!(self, Self::Admin | Self::Coordinator | Self::Auditor)
    }

    /// Whether it sees everything: direct messages, the trail, settings and sessions too.
    #[must_use]
    pub const fn may_audit(self) -> bool {
        matches!(self, Self::Admin | Self::Auditor)
    }
}

/// First words of addresses that mean something else than a person.
const RESERVED: [&str; 2] = ["slack:", "system:"];

/// What a person is called by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    /// Reads a handle: 1 to 64 characters without white space and control characters.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub fn read(value: Option<&Value>) -> ApiResult<Self> {
        let handle = required("handle", value)?;
        let most = limits::HANDLE_CHARS;
        if handle.chars().count() > most {
            return Err(ApiError::validation(format!("handle is too long (at most {most} characters)")));
        }
        if handle.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(ApiError::validation("handle must not contain white space or control characters"));
        }
        let key = handle_key(handle);
        if let Some(start) = RESERVED.iter().find(|start| key.starts_with(**start)) {
            return Err(ApiError::validation(format!("handle must not begin with {start:?}, which is no person's")));
        }
        Ok(Self(handle.to_owned()))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What two handles have in common that name the same person.
#[must_use]
pub fn handle_key(handle: &str) -> String {
    folded(handle.to_owned())
}

/// A new person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonDraft {
    /// What it is called by others.
    pub handle: Handle,
    /// What it is called in lists.
    pub display_name: String,
    /// What it may do.
    pub role: PersonRole,
    /// Its user in Slack.
    pub slack_user_id: Option<String>,
}

impl Draft for PersonDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let handle = Handle::read(body.get("handle"))?;
        let display_name = optional("display_name", body.get("display_name"))?.filter(|name| !name.is_empty());
        let display_name = match display_name {
            Some(name) => checked_name(name)?,
            None => handle.as_str().to_owned(),
        };
        let role = role(body.get("role"))?;
        let slack_user_id = slack_user(body.get("slack_user_id"))?;
        Ok(Self { handle, display_name, role, slack_user_id })
    }

    fn form() -> Form {
        Form::new("A new person.")
            .needs("handle", form::filled(limits::HANDLE_CHARS), "What it is called by others; it never changes.")
            .takes("display_name", form::nullable(name_schema()), "Its name in lists; the handle if absent.")
            .needs("role", role_schema(), "What it may do.")
            .takes("slack_user_id", form::nullable(slack_schema()), "Its user in Slack.")
    }
}

/// A change of a person; absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonPatch {
    /// Its name in lists.
    pub display_name: Option<String>,
    /// What it may do.
    pub role: Option<PersonRole>,
    /// Its user in Slack, or none.
    pub slack_user_id: Option<Option<String>>,
    /// Whether it is kept out.
    pub is_disabled: Option<bool>,
}

impl PersonPatch {
    /// Whether it names no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Draft for PersonPatch {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let display_name = match body.get("display_name") {
            None => None,
            given => Some(checked_name(required("display_name", given)?)?),
        };
        let role = body.get("role").map(|given| role(Some(given))).transpose()?;
        let slack_user_id = body.get("slack_user_id").map(|given| slack_user(Some(given))).transpose()?;
        let is_disabled = flag("is_disabled", body.get("is_disabled"))?;
        Ok(Self { display_name, role, slack_user_id, is_disabled })
    }

    fn form() -> Form {
        Form::new("A change of a person.")
            .takes("display_name", name_schema(), "Its name in lists.")
            .takes("role", role_schema(), "What it may do.")
            .takes("slack_user_id", form::nullable(slack_schema()), "Its user in Slack; null takes it away.")
            .takes("is_disabled", form::flag(), "Whether it is kept out.")
    }
}

/// A request for a login link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRequest {
    /// Whether the password ends, so that the person may set another one without it.
    pub resets_password: bool,
}

impl Draft for LinkRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        Ok(Self { resets_password: flag("reset_password", body.get("reset_password"))?.unwrap_or(false) })
    }

    fn form() -> Form {
        let about = "Whether the password ends, so that the person can set another one.";
        Form::new("A login link.").takes("reset_password", form::flag(), about)
    }
}

/// A person's new password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The new one.
    pub password: String,
    /// The one of before, for people who have one.
    pub current: Option<String>,
}

impl std::fmt::Debug for PasswordChange {
    /// Keeps both out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let current = if self.current.is_some() { "***" } else { "none" };
        write!(f, "PasswordChange(***, {current})")
    }
}

impl Draft for PasswordChange {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let password = required("password", body.get("password"))?;
        let (least, most) = (limits::PASSWORD_MIN_CHARS, limits::PASSWORD_MAX_CHARS);
        if !(least..=most).contains(&password.chars().count()) {
            return Err(ApiError::validation(format!("password must have {least} to {most} characters")));
        }
        let current = optional("current_password", body.get("current_password"))?;
        Ok(Self { password: password.to_owned(), current: current.map(str::to_owned) })
    }

    fn form() -> Form {
        let password = form::short(limits::PASSWORD_MAX_CHARS).min_length(Some(limits::PASSWORD_MIN_CHARS));
        Form::new("A person's new password.").needs("password", password, "The new password.").takes(
            "current_password",
            form::nullable(form::text()),
            "The password of before; needed by people who have one.",
        )
    }
}

schemas_of_drafts!(PersonDraft, PersonPatch, LinkRequest, PasswordChange);

fn checked_name(name: &str) -> ApiResult<String> {
    limit_units("display_name", name, limits::DISPLAY_NAME_UNITS)?;
    Ok(name.to_owned())
}

fn name_schema() -> AnySchema {
    form::filled(limits::DISPLAY_NAME_UNITS).into()
}

fn role(value: Option<&Value>) -> ApiResult<PersonRole> {
    let role = value.and_then(Value::as_str).and_then(PersonRole::parse);
    role.ok_or_else(|| ApiError::validation(format!("role must be one of {}", PersonRole::accepted())))
}

fn role_schema() -> AnySchema {
    form::one_of(PersonRole::ALL.iter().copied().map(PersonRole::as_str)).into()
}

/// The id of a user in Slack: `U` or `W` and further capital letters and digits.
fn slack_user(value: Option<&Value>) -> ApiResult<Option<String>> {
    let id = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(id)) => id,
        Some(other) => return Err(wrong_type("slack_user_id", "a string", other)),
    };
    refuse_nul("slack_user_id", id)?;
    limit_bytes("slack_user_id", id, limits::SLACK_USER_BYTES)?;
    let is_id = id.len() > 1
        && id.starts_with(['U', 'W'])
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_id {
        return Ok(Some(id.clone()));
    }
    Err(ApiError::validation("slack_user_id must be the id of a Slack user, such as U012ABCDEF"))
}

fn slack_schema() -> AnySchema {
    form::filled(limits::SLACK_USER_BYTES).pattern(Some("^[UW][A-Z0-9]+$")).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Draft>(body: Value) -> ApiResult<T> {
        T::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn roles_have_the_rights_of_their_names() {
        let of = |may: fn(PersonRole) -> bool| {
            PersonRole::ALL.iter().copied().filter(|role| may(*role)).map(PersonRole::as_str).collect::<Vec<_>>()
        };
        assert_eq!(of(PersonRole::is_admin), ["admin"]);
        assert_eq!(of(PersonRole::may_read), ["admin", "coordinator", "auditor", "viewer"]);
        assert_eq!(of(PersonRole::may_see_people), ["admin", "coordinator", "auditor"]);
        assert_eq!(of(PersonRole::may_audit), ["admin", "auditor"]);
    }

    #[test]
    fn handles_are_short_and_without_white_space() {
        let handle = |text: &str| Handle::read(Some(&json!(text)));
        for good in ["dora", "Émil@acme.example", "slack", "a:b", "x".repeat(64).as_str(), "🦀".repeat(64).as_str()]
        {
            assert_eq!(handle(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\u{a0}b", "a\u{7}", "\u{0}", "slack:U1", "SYSTEM:x", "x".repeat(65).as_str()] {
            assert!(handle(bad).is_err(), "{bad:?}");
        }
        assert!(Handle::read(None).is_err() && Handle::read(Some(&json!(7))).is_err());
        assert_eq!(handle_key("Émil"), handle_key("éMIL"));
        assert_ne!(handle_key("emil"), handle_key("émil"));
    }

    #[test]
    fn new_people_need_a_handle_and_a_role() {
        let draft: PersonDraft = read(json!({"handle": "Dora", "role": "responder", "display_name": ""})).unwrap();
        assert_eq!((draft.display_name.as_str(), draft.slack_user_id), ("Dora", None));
        for bad in [
            json!({"handle": "dora"}),
            json!({"role": "admin"}),
            json!({"handle": "dora", "role": "owner"}),
            json!({"handle": "dora", "role": "admin", "display_name": "n".repeat(129)}),
            json!({"handle": "dora", "role": "admin", "display_name": 7}),
            json!({"handle": "dora", "role": "admin", "slack_user_id": "u1"}),
        ] {
            assert!(read::<PersonDraft>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn changes_name_what_they_change() {
        assert!(read::<PersonPatch>(json!({"handle": "other"})).unwrap().is_empty());
        let patch: PersonPatch = read(json!({"slack_user_id": null, "is_disabled": true, "role": "viewer"})).unwrap();
        let expected = PersonPatch {
            display_name: None,
            role: Some(PersonRole::Viewer),
            slack_user_id: Some(None),
            is_disabled: Some(true),
        };
        assert_eq!(patch, expected);
        for (field, bad) in [
            ("display_name", json!(null)),
            ("display_name", json!("")),
            ("role", json!(null)),
            ("role", json!("Admin")),
            ("slack_user_id", json!("")),
            ("slack_user_id", json!("U")),
            ("slack_user_id", json!("U1\u{0}")),
            ("slack_user_id", json!(7)),
            ("is_disabled", json!(null)),
            ("is_disabled", json!("true")),
        ] {
            assert!(read::<PersonPatch>(json!({field: bad})).is_err(), "{field}: {bad}");
        }
    }

    #[test]
    fn passwords_have_a_length_and_are_not_told() {
        let change = |body| read::<PasswordChange>(body);
        let good = change(json!({"password": "🦀".repeat(128), "current_password": "not told"})).unwrap();
        assert!(!format!("{good:?}").contains("not told") && !format!("{good:?}").contains('🦀'));
        for bad in
            [json!("123456789"), json!("x".repeat(129)), json!(null), json!(1_234_567_890), json!("123456789\u{0}")]
        {
            assert!(change(json!({"password": bad})).is_err(), "{bad}");
        }
        assert!(change(json!({"password": "0123456789", "current_password": 7})).is_err());
        assert!(!read::<LinkRequest>(json!({})).unwrap().resets_password);
        assert!(read::<LinkRequest>(json!({"reset_password": 1})).is_err());
    }
}
