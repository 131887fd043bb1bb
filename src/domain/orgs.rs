//! What admins ask of organisations and their bots.

use std::fmt::Display;

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::standing::{AuthRole, JoinStatus, OrgStatus};
use crate::text::{Fields, flag, limit_units, optional, required};

/// What the platform's admin makes of an organisation.
const STATUSES: [OrgStatus; 2] = [OrgStatus::Active, OrgStatus::Suspended];
/// What an admin makes of a bot that wants to join.
const DECISIONS: [JoinStatus; 2] = [JoinStatus::Active, JoinStatus::Rejected];

/// A new organisation, made by the platform's admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgDraft {
    /// Its name.
    pub name: String,
    /// Whether its messages are kept; as configured if absent.
    pub persist_messages: Option<bool>,
}

impl Draft for OrgDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let name = name(body.get("name"))?;
        let persist = body.get("persist_messages").filter(|value| !value.is_null());
        Ok(Self { name, persist_messages: flag("persist_messages", persist)? })
    }

    fn form() -> Form {
        let persist = form::nullable(form::flag());
        Form::new("A new organisation.").needs("name", name_schema(), "Its name.").takes(
            "persist_messages",
            persist,
            "Whether its messages are kept; as configured if absent.",
        )
    }
}

/// A new organisation, made by whoever has an invite code.
#[derive(Clone, PartialEq, Eq)]
pub struct OrgFounding {
    /// The code.
    pub invite_code: String,
    /// The organisation's name.
    pub name: String,
}

impl std::fmt::Debug for OrgFounding {
    /// Keeps the code out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrgFounding").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Draft for OrgFounding {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let invite_code = required("invite_code", body.get("invite_code"))?.to_owned();
        Ok(Self { invite_code, name: name(body.get("name"))? })
    }

    fn form() -> Form {
        Form::new("A new organisation, for an invite code.")
            .needs("invite_code", form::text().min_length(Some(1)), "The invite code.")
            .needs("name", name_schema(), "The organisation's name.")
    }
}

/// A change of an organisation by the platform; absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrgPatch {
    /// Its new name.
    pub name: Option<String>,
    /// Active or suspended.
    pub status: Option<OrgStatus>,
}

impl Draft for OrgPatch {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let name = body.get("name").map(|given| name(Some(given))).transpose()?;
        let status = match body.get("status") {
            None => None,
            Some(given) => {
                let status = given.as_str().and_then(OrgStatus::parse).filter(|status| STATUSES.contains(status));
                Some(status.ok_or_else(|| ApiError::validation("status must be active or suspended"))?)
            }
        };
        Ok(Self { name, status })
    }

    fn form() -> Form {
        Form::new("A change of an organisation.").takes("name", name_schema(), "Its new name.").takes(
            "status",
            form::one_of(STATUSES.map(OrgStatus::as_str)),
            "Whether it may be used.",
        )
    }
}

/// A bot's new role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleChange {
    /// The role.
    pub role: AuthRole,
}

impl Draft for RoleChange {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let role = body.get("auth_role").and_then(Value::as_str).and_then(AuthRole::parse);
        Ok(Self { role: one_of("auth_role", role, AuthRole::ALL)? })
    }

    fn form() -> Form {
        Form::new("A bot's role.").needs(
            "auth_role",
            form::one_of(AuthRole::ALL.iter().copied().map(AuthRole::as_str)),
            "The new role.",
        )
    }
}

/// What an admin decides about a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinDecision {
    /// Active or rejected.
    pub status: JoinStatus,
    /// Why.
    pub reason: Option<String>,
}

impl Draft for JoinDecision {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let status = body.get("status").and_then(Value::as_str).and_then(JoinStatus::parse);
        let status = one_of("status", status, &DECISIONS)?;
        Ok(Self { status, reason: reason(body.get("reason"))? })
    }

    fn form() -> Form {
        Form::new("What an admin decides about a bot.")
            .needs("status", form::one_of(DECISIONS.map(JoinStatus::as_str)), "Whether the bot is let in.")
            .takes("reason", form::short(limits::REASON_UNITS), "Why, for the bot and the trail.")
    }
}

schemas_of_drafts!(OrgDraft, OrgFounding, OrgPatch, RoleChange, JoinDecision);

fn name_schema() -> AnySchema {
    form::filled(limits::ORG_NAME_UNITS).into()
}

/// The name of a new or renamed organisation.
fn name(value: Option<&Value>) -> ApiResult<String> {
    let name = required("name", value)?;
    limit_units("name", name, limits::ORG_NAME_UNITS)?;
    Ok(name.to_owned())
}

/// Why an admin accepted or rejected a bot; null is refused, empty counts as none.
fn reason(value: Option<&Value>) -> ApiResult<Option<String>> {
    if value.is_some_and(Value::is_null) {
        return Err(ApiError::validation("reason must be a string, not null"));
    }
    let Some(reason) = optional("reason", value)? else { return Ok(None) };
    limit_units("reason", reason, limits::REASON_UNITS)?;
    Ok(Some(reason.to_owned()).filter(|reason| !reason.is_empty()))
}

/// One of the accepted values, or what is accepted.
fn one_of<T: Copy + Display + PartialEq>(field: &str, given: Option<T>, accepted: &[T]) -> ApiResult<T> {
    given.filter(|given| accepted.contains(given)).ok_or_else(|| {
        let accepted = accepted.iter().map(T::to_string).collect::<Vec<_>>().join(", ");
        ApiError::validation(format!("{field} must be one of {accepted}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Draft>(body: Value) -> ApiResult<T> {
        T::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn organisations_have_names_of_bounded_length() {
        let draft: OrgDraft = read(json!({"name": " ", "persist_messages": null})).unwrap();
        assert_eq!(draft, OrgDraft { name: " ".into(), persist_messages: None });
        assert_eq!(
            read::<OrgDraft>(json!({"name": "n", "persist_messages": false})).unwrap().persist_messages,
            Some(false)
        );
        for bad in [json!({"name": {}}), json!({"name": "n".repeat(129)}), json!({"name": "n", "persist_messages": 1})]
        {
            assert!(read::<OrgDraft>(bad.clone()).is_err(), "{bad}");
        }
        assert!(read::<OrgFounding>(json!({"name": 1})).unwrap_err().message().contains("invite_code"));
        let founding: OrgFounding = read(json!({"invite_code": "hxa_1", "name": "acme"})).unwrap();
        assert!(!format!("{founding:?}").contains("hxa_1"));
    }

    #[test]
    fn a_change_of_an_organisation_may_be_empty() {
        assert_eq!(read::<OrgPatch>(json!({})).unwrap(), OrgPatch::default());
        assert_eq!(read::<OrgPatch>(json!({"status": "suspended"})).unwrap().status, Some(OrgStatus::Suspended));
        for bad in
            [json!({"name": null}), json!({"status": null}), json!({"status": "gone"}), json!({"status": "destroyed"})]
        {
            assert!(read::<OrgPatch>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn roles_and_decisions_are_words() {
        assert_eq!(read::<RoleChange>(json!({"auth_role": "member"})).unwrap().role, AuthRole::Member);
        let refusal = read::<RoleChange>(json!({"auth_role": 1})).unwrap_err();
        assert_eq!(refusal.message(), "auth_role must be one of admin, member");
        let decision: JoinDecision = read(json!({"status": "rejected", "reason": ""})).unwrap();
        assert_eq!(decision, JoinDecision { status: JoinStatus::Rejected, reason: None });
        assert!(read::<JoinDecision>(json!({})).unwrap_err().message().contains("active, rejected"));
        for reason in [Value::Null, json!(1), json!("r".repeat(501))] {
            assert!(read::<JoinDecision>(json!({"status": "active", "reason": reason})).is_err());
        }
    }
}
