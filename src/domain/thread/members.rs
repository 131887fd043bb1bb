//! What a request says of a thread's participants: whom to invite, and what somebody is called.

use serde_json::Value;

use super::label;
use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::limits;
use crate::text::Fields;

/// An invitation by a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whom: an id or a name.
    pub bot: String,
    /// What the bot is called in the thread's policy.
    pub label: Option<String>,
    /// Whether a label was given at all, even as null.
    pub names_label: bool,
}

impl Draft for Invitation {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let bot = filled(body, "bot_id").ok_or_else(|| ApiError::validation("bot_id must be a bot's id or name"))?;
        Ok(Self { bot, label: label(body.get("label"))?, names_label: body.contains_key("label") })
    }

    fn form() -> Form {
        Form::new("An invitation into a thread.")
            .needs("bot_id", form::text().min_length(Some(1)), "The bot's id or name.")
            .takes("label", label_schema(), "What the bot is called in the thread's policy.")
    }
}

/// An invitation by the organisation's admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgInvitation {
    /// Whom, by id; nobody is refused only once the thread is known.
    pub bot: Option<String>,
    /// What the bot is called in the thread's policy.
    pub label: Option<String>,
}

impl Draft for OrgInvitation {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let bot = filled(body, "bot_id");
        // A label that is no text has always been taken for none.
        let label = match bot {
            Some(_) => label(body.get("label").filter(|label| label.is_string()))?,
            None => None,
        };
        Ok(Self { bot, label })
    }

    fn form() -> Form {
        Form::new("An invitation into a thread, by the organisation's admin.")
            .needs("bot_id", form::id(), "The bot's id.")
            .takes("label", label_schema(), "What the bot is called in the thread's policy.")
    }
}

/// A new label of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelling {
    /// The label; none takes the old one away.
    pub label: Option<String>,
}

impl Draft for Labelling {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let given = body.get("label");
        given.ok_or_else(|| ApiError::validation("label is required; null takes it away"))?;
        Ok(Self { label: label(given)? })
    }

    fn form() -> Form {
        Form::new("A participant's label.").needs("label", label_schema(), "The label; null takes it away.")
    }
}

schemas_of_drafts!(Invitation, OrgInvitation, Labelling);

fn label_schema() -> form::AnySchema {
    form::nullable(form::short(limits::LABEL_UNITS))
}

/// A text that is there and not empty.
fn filled(body: &Fields, field: &str) -> Option<String> {
    body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Draft>(body: Value) -> ApiResult<T> {
        T::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn invitations_name_a_bot() {
        let invitation: Invitation = read(json!({"bot_id": "bob", "label": null})).unwrap();
        assert_eq!(invitation, Invitation { bot: "bob".into(), label: None, names_label: true });
        assert!(!read::<Invitation>(json!({"bot_id": "bob"})).unwrap().names_label);
        for body in [json!({}), json!({"bot_id": ""}), json!({"bot_id": 1, "label": 1})] {
            assert!(read::<Invitation>(body).unwrap_err().message().contains("bot_id"));
        }
        assert!(read::<Invitation>(json!({"bot_id": "bob", "label": 1})).unwrap_err().message().contains("label"));
    }

    #[test]
    fn admins_may_name_nobody_and_give_odd_labels() {
        let invitation: OrgInvitation = read(json!({"bot_id": "b", "label": 1})).unwrap();
        assert_eq!(invitation, OrgInvitation { bot: Some("b".into()), label: None });
        assert_eq!(read::<OrgInvitation>(json!({"label": "l".repeat(129)})).unwrap().bot, None);
        assert!(read::<OrgInvitation>(json!({"bot_id": "b", "label": "l".repeat(129)})).is_err());
    }

    #[test]
    fn labels_are_set_or_taken_away() {
        assert_eq!(read::<Labelling>(json!({"label": "l"})).unwrap().label.as_deref(), Some("l"));
        assert_eq!(read::<Labelling>(json!({"label": null})).unwrap().label, None);
        assert!(read::<Labelling>(json!({})).unwrap_err().message().contains("required"));
        assert!(read::<Labelling>(json!({"label": 1})).is_err());
    }
}
